"""Which trackers there are, and the one that a spec names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from imgcls.errors import RunError
from imgcls.findings import Finding
from imgcls.runs import Run
from imgcls.settings import flatten
from imgcls.spec import Spec
from imgcls.tracking.tracker import Result, Tracker
from imgcls.wording import first_line

if TYPE_CHECKING:
    from imgcls.training.state import EpochRow

__all__ = ["TRACKERS", "open_tracker", "require_tracker"]

log = logging.getLogger("imgcls")


class _Nothing:
    """Logs nothing."""

    def epoch(self, row: EpochRow) -> None:
        pass

    def result(self, result: Result) -> None:
        pass

    def close(self, *, completed: bool) -> None:
        pass


class _UntilLost:
    """Hands on to a tracker until that fails, and tells so once: no training ends for what logs it elsewhere."""

    def __init__(self, name: str, tracker: Tracker, tell: Callable[[Finding], None]) -> None:
        self._name, self._tracker, self._tell = name, tracker, tell

    def epoch(self, row: EpochRow) -> None:
        self._hand_on(lambda tracker: tracker.epoch(row))

    def result(self, result: Result) -> None:
        self._hand_on(lambda tracker: tracker.result(result))

    def close(self, *, completed: bool) -> None:
        self._hand_on(lambda tracker: tracker.close(completed=completed))

    def _hand_on(self, call: Callable[[Tracker], None]) -> None:
        try:
            call(self._tracker)
        except Exception as error:  # noqa: BLE001 - of clients, servers, networks and disks: nearly anything
            self._tracker = _Nothing()
            message = f"tracking: {self._name}: {first_line(error)}; the run goes on, and nothing more is logged there"
            log.warning("%s", message)
            self._tell(Finding("tracking_lost", message))


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
def open_tracker(spec: Spec, run: Run, tell: Callable[[Finding], None]) -> Iterator[Tracker]:
    """Give the tracker that the spec names, and tell it how the block ends.

    Args:
        tell: called where the tracker fails later on; the block does not hear of it.

    Raises:
        RunError: the tracker cannot begin.
    """
    if spec.tracking not in TRACKERS:
        yield _Nothing()
        return
    tracker = _UntilLost(spec.tracking, TRACKERS[spec.tracking][1](spec, run), tell)
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
