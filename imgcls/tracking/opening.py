"""Which trackers there are, and the one that a spec names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from imgcls.errors import RunError
from imgcls.runs import Run
from imgcls.settings import flatten
from imgcls.spec import Spec
from imgcls.tracking.tracker import Result, Tracker

if TYPE_CHECKING:
    from imgcls.training.state import EpochRow

__all__ = ["TRACKERS", "open_tracker", "require_tracker"]


class _Nothing:
    """Logs nothing."""

    def epoch(self, row: EpochRow) -> None:
        pass

    def result(self, result: Result) -> None:
        pass

    def close(self, *, completed: bool) -> None:
        pass


def _tensorboard(spec: Spec, run: Run) -> Tracker:
    from imgcls.tracking.tensorboard import BoardTracker

    return BoardTracker(run, {} if _is_trial(run) else _tracked_settings(spec))


def _mlflow(spec: Spec, run: Run) -> Tracker:
    from imgcls.tracking.mlflow import MlflowTracker

    return MlflowTracker(run, _tracked_settings(spec))


TRACKERS: dict[str, tuple[str, Callable[[Spec, Run], Tracker]]] = {
    "tensorboard": ("tensorboard", _tensorboard),
    "mlflow": ("mlflow", _mlflow),
}
"""Name in the spec → the package it takes, and what makes the tracker."""


def require_tracker(name: str) -> None:
    """Raise if the package is missing that a tracker takes.

    Raises:
        RunError: says how to install it.
    """
    if name in TRACKERS and find_spec(TRACKERS[name][0]) is None:
        raise RunError(f"tracking: {name} is not installed; pip install 'imgcls[{name}]' brings it")


@contextmanager
def open_tracker(spec: Spec, run: Run) -> Iterator[Tracker]:
    """Give the tracker that the spec names, and tell it how the block ends."""
    tracker = TRACKERS[spec.tracking][1](spec, run) if spec.tracking in TRACKERS else _Nothing()
    completed = False
    try:
        yield tracker
        completed = True
    finally:
        tracker.close(completed=completed)


def _tracked_settings(spec: Spec) -> dict[str, bool | float | int | str]:
    """Return what a run is told from others by: dotted key → value, lists and layers as text."""
    left_out = {"name", "notes", "reported", "tracking", "stages", "tags"}
    flat = flatten(spec.model_dump(mode="json", by_alias=True, exclude=left_out, exclude_none=True))
    return {key: _scalar(value) for key, value in flat.items()}


def _scalar(value: Any) -> bool | float | int | str:
    return value if isinstance(value, bool | int | float | str) else str(value)


def _is_trial(run: Run) -> bool:
    """Whether it is a trial of a sweep, or a repeat of one: the sweep's values tell those apart."""
    return any(Run(folder).is_sweep for folder in (run.folder.parent, run.folder.parent.parent))
