"""Event files for TensorBoard: scalars, pictures, and what its HParams page shows a sweep by.

Written by TensorBoard's own library, in ``tensorboard/`` of the run folder: ``tensorboard --logdir runs`` shows all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from imgcls.runs import Run, layout
from imgcls.settings import plain_text
from imgcls.spec.sweep import ParameterSpec
from imgcls.tracking.tracker import Result

if TYPE_CHECKING:
    from imgcls.training.state import EpochRow

__all__ = ["BoardTracker", "SweepSession", "write_experiment"]

_RESULTS = (
    "accuracy", "balanced_accuracy", "macro_f1", "loss", "cohen_kappa", "ece", "top5_accuracy", "epochs_run",
    "total_params",
)  # fmt: skip
_OBJECTIVE = "objective/"


class BoardTracker:
    """Logs a run.

    Args:
        settings: what its row of the HParams page has; empty for a trial, whose sweep knows.
    """

    def __init__(self, run: Run, settings: Mapping[str, Any]) -> None:
        self._run, self._events = run, _Events(run)
        self._session = _Session(self._events, run.name, settings) if settings else None
        self._epoch = 0

    def epoch(self, row: EpochRow) -> None:
        self._epoch = row.epoch
        values = {key: value for key, value in asdict(row).items() if key not in ("epoch", "stage")}
        self._events.scalars({key: value for key, value in values.items() if value is not None}, row.epoch)
        self._events.flush()

    def result(self, result: Result) -> None:
        split = result.metrics["split"]
        found = {f"{split}/{key}": result.metrics[key] for key in _RESULTS if result.metrics.get(key) is not None}
        self._events.scalars(found, self._epoch)
        self._events.image(f"{split}/confusion_matrix", self._run.path(layout.CONFUSION_PNG).read_bytes(), self._epoch)
        self._events.image(f"{split}/predictions", result.samples, self._epoch)

    def close(self, *, completed: bool) -> None:
        if self._session is not None:
            self._session.end(completed=completed)
        self._events.close()


class SweepSession:
    """The row of a trial on the HParams page.

    Args:
        run: the trial's folder, which need not exist yet.
        parameters: those of the sweep.
        point: parameter → value.
    """

    def __init__(self, run: Run, parameters: Mapping[str, ParameterSpec], point: Mapping[str, Any]) -> None:
        self._events = _Events(run)
        shown = {name: _shown_as(_kind(parameters[name]), value) for name, value in point.items()}
        self._session = _Session(self._events, run.name, shown)

    def end(self, objectives: Mapping[str, float], *, completed: bool) -> None:
        """Log what the trial came to, and how it ended."""
        self._events.scalars({f"{_OBJECTIVE}{name}": value for name, value in objectives.items()}, 0)
        self._session.end(completed=completed)
        self._events.close()


def write_experiment(folder: Run, parameters: Mapping[str, ParameterSpec], objectives: Sequence[str]) -> None:
    """Log what varies in a sweep and what it looks for, once, into its folder."""
    from tensorboard.plugins.hparams import summary_v2 as hparams

    events = _Events(folder)
    columns = [hparams.HParam(name, _domain(parameter)) for name, parameter in parameters.items()]
    metrics = [hparams.Metric(f"{_OBJECTIVE}{name}", display_name=name) for name in objectives]
    events.add(hparams.hparams_config_pb(columns, metrics), 0)
    events.close()


def _domain(parameter: ParameterSpec) -> Any:
    """Return which values TensorBoard is to expect of a parameter."""
    from tensorboard.plugins.hparams import summary_v2 as hparams

    kind = _kind(parameter)
    if parameter.values is None:
        interval = hparams.IntInterval if kind is int else hparams.RealInterval
        return interval(kind(parameter.low or 0), kind(parameter.high or 0))
    return hparams.Discrete([_shown_as(kind, value) for value in parameter.values])


def _kind(parameter: ParameterSpec) -> type:
    """Return what TensorBoard is given a parameter's values as: of mixed ones it would drop all but one kind."""
    if parameter.values is None:
        return int if parameter.is_whole else float
    kinds = {type(value) for value in parameter.values}
    return bool if kinds == {bool} else float if kinds <= {int, float} else str


def _shown_as(kind: type, value: Any) -> Any:
    return plain_text(value) if kind is str else kind(value)


class _Session:
    """Begin and end of what the HParams page has a row for."""

    def __init__(self, events: _Events, name: str, settings: Mapping[str, Any]) -> None:
        from tensorboard.plugins.hparams import summary_v2 as hparams

        self._events = events
        events.add(hparams.hparams_pb(dict(settings), trial_id=name), 0)

    def end(self, *, completed: bool) -> None:
        from tensorboard.plugins.hparams import api_pb2, summary

        status = api_pb2.STATUS_SUCCESS if completed else api_pb2.STATUS_FAILURE
        self._events.add(summary.session_end_pb(status), 0)


class _Events:
    """A file of events in a run's folder."""

    def __init__(self, run: Run) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(run.path(layout.TENSORBOARD)))

    def add(self, summary: Any, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        own = Summary.FromString(summary.SerializeToString())  # parts of TensorBoard make TensorFlow's instead
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=own))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        for tag, value in values.items():
            self.add(scalar_pb(tag, value), step)

    def image(self, tag: str, png: bytes, step: int) -> None:
        import io

        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        width, height = Image.open(io.BytesIO(png)).size
        summary = Summary()
        picture = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
        summary.value.add(tag=tag, image=picture)
        self.add(summary, step)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
