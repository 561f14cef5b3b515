"""What a run writes into its folder, and in which order: inputs first, then a row an epoch, the result last."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcls import assistant
from imgcls.environment import describe_environment
from imgcls.errors import ConsistencyError, DataError, ImgclsError, RunError
from imgcls.files import read_csv, whole_file, write_bytes, write_csv, write_json, write_text
from imgcls.findings import Finding
from imgcls.runs import Run, layout
from imgcls.spec import LoadedSpec, Spec, spec_yaml
from imgcls.wording import some

if TYPE_CHECKING:
    import keras

    from imgcls.backend import Device
    from imgcls.data import Dataset
    from imgcls.evaluation.prediction import Predictions
    from imgcls.observer import Observer
    from imgcls.tracking import Tracker
    from imgcls.training.state import EpochRow, Stage, TrainingResult

__all__ = [
    "Clock",
    "HistoryRecorder",
    "draw_history",
    "note_resumption",
    "recorded",
    "refuse_changed",
    "save_model",
    "write_evaluation",
    "write_inputs",
    "write_manifest",
    "write_results",
    "write_timings",
]

log = logging.getLogger("imgcls")

_ALL = "total"  # what a clock calls the whole in `so_far`
_WORTH_A_PEAK_S = 20.0  # of training; measuring the peak takes up to a second


@contextmanager
def recorded(run: Run) -> Iterator[None]:
    """Keep status and log of a run true, however it ends; what killed processes left half written goes."""
    run.tidy()
    handler = _log_handler(run)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        run.set_status("running")
        yield
        run.complete()
    except ImgclsError as error:
        log.error("%s", error)  # noqa: TRY400 - the message is the whole story
        _note(run, "failed", str(error))
        raise
    except Exception as error:
        log.exception("the run failed")
        _note(run, "failed", f"{type(error).__name__}: {error}")
        if run.is_kept:
            error.run_folder = run.folder  # type: ignore[attr-defined] # where the traceback is
        raise
    except BaseException as error:  # Ctrl-C or a signal
        log.warning("interrupted: %s", error or type(error).__name__)
        _note(run, "interrupted", str(error) or "by the user")
        raise
    finally:
        log.removeHandler(handler)
        handler.close()


def _note(run: Run, state: str, message: str) -> None:
    """Write how a run ended; where that fails too, it must not hide why the run did."""
    try:
        run.set_status(state, message)
    except RunError as error:
        log.warning("%s", error)
        run.forget_status()


class _Log(logging.FileHandler):
    """A log that ends no run: on a full disk lines are missing."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Do nothing, where logging would print a traceback for every line."""

    def close(self) -> None:
        with suppress(OSError):  # the lines that are still held
            super().close()


def _log_handler(run: Run) -> logging.Handler:
    """Open the log of a run.

    Raises:
        RunError: it cannot be written; names path and reason.
    """
    try:
        handler = _Log(run.path(layout.LOG), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise RunError(f"cannot write {run.path(layout.LOG)}: {error.strerror or error}") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handler


def write_inputs(run: Run, loaded: LoadedSpec, spec: Spec, device: Device, precision_reason: str) -> None:
    """Write what a run or its repeats start from, before the first epoch."""
    write_text(run.path(layout.SPEC), _told_apart(loaded, spec) + loaded.text)
    write_text(run.path(layout.RESOLVED), spec_yaml(spec))
    environment = describe_environment(
        device, precision=spec.precision, precision_reason=precision_reason, seed=spec.seed, base=loaded.base
    )
    write_json(run.path(layout.ENVIRONMENT), environment)
    log.info("device: %s; %s", device.name, precision_reason or spec.precision)
    if device.replicas > 1:
        log.info("replicas: %d in %d processes", device.replicas, device.workers)


def note_resumption(run: Run, device: Device, epochs: int) -> list[Finding]:
    """Note that a run goes on after so many epochs; return a finding where that is not as it began."""
    environment = dict(run.environment)
    now = describe_environment(
        device, precision=environment["precision"], precision_reason="", seed=environment["seed"], base=run.folder
    )
    changed = {
        "versions": _differences(environment["versions"], now["versions"]),
        "device": _differences(environment["device"], now["device"]),
    }
    note = {"time": datetime.now().astimezone().isoformat(timespec="seconds"), "epochs": epochs}
    write_json(
        run.path(layout.ENVIRONMENT), environment | {"resumed": [*environment.get("resumed", ()), note | changed]}
    )
    log.info("resumed after %d epochs", epochs)
    found = [f"{key} {was} then, {value} now" for each in changed.values() for key, (was, value) in each.items()]
    if not found:
        return []
    text = f"the run goes on, but not as it began ({some(found, 3)}): its last digits may be others than of one piece"
    return [Finding("resumed_elsewhere", text)]


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (value, now.get(key)) for key, value in then.items() if now.get(key) != value}


def _told_apart(loaded: LoadedSpec, spec: Spec) -> str:
    """Return a comment where the file as given is not what was trained."""
    changed = dict(loaded.overrides)
    if spec.seed != loaded.spec.seed:
        changed["seed"] = spec.seed
    if not changed:
        return ""
    settings = ", ".join(f"{key}: {' '.join(str(value).split())}" for key, value in changed.items())
    return f"# Trained with {settings} over this; {layout.RESOLVED} has every value that was in force.\n"


def write_manifest(run: Run, dataset: Dataset) -> None:
    """Write which images there are, in which part, before the first epoch."""
    path, columns = run.path(layout.MANIFEST), layout.MANIFEST_COLUMNS
    if dataset.groups is None:
        write_csv(path, columns, _manifest(dataset))
    else:
        numbers = np.concatenate([dataset.groups[rows] for rows in dataset.splits.values()]).tolist()
        grouped = ((*row, number) for row, number in zip(_manifest(dataset), numbers, strict=True))
        write_csv(path, (*columns, layout.GROUP), grouped)
    sizes = ", ".join(f"{len(rows)} {name}" for name, rows in dataset.splits.items())
    log.info("images: %s; classes: %d", sizes, len(dataset.classes))
    for finding in dataset.findings:
        log.warning("%s: %s", finding.code, finding.text)


def _manifest(dataset: Dataset) -> Iterator[tuple[str, str, str, str]]:
    for split, rows in dataset.splits.items():
        for row in rows:
            label = dataset.classes[dataset.labels[row]]
            yield dataset.paths[row], label, split, dataset.sha256[row].tobytes().hex()


class HistoryRecorder:
    """Writes ``history.csv`` as it grows, and hands on to tracker and observer; ``rows`` are those there are."""

    def __init__(self, run: Run, observer: Observer, tracker: Tracker, rows: Sequence[EpochRow] = ()) -> None:
        self.run, self.observer, self.tracker = run, observer, tracker
        self.rows: list[EpochRow] = [*rows]
        self.staged = False  # only then has the history a column that says which stage

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        self.observer.batch(epoch, step, steps, loss, accuracy)

    def stage(self, stage: Stage) -> None:
        self.staged = True
        log.info("stage %d: %d of %d parameters learn", stage.stage, stage.trainable_params, stage.total_params)
        self.observer.stage(stage)

    def epoch(self, row: EpochRow) -> None:
        self.rows.append(row)
        columns = [item.name for item in fields(row) if item.name != "stage" or self.staged]
        values = [[getattr(each, column) for column in columns] for each in self.rows]
        write_csv(self.run.path(layout.HISTORY), columns, values)
        log.info("%s", ", ".join(f"{column} {getattr(row, column)}" for column in columns))
        self.tracker.epoch(row)
        self.observer.epoch(row)


def save_model(run: Run, network: keras.Model) -> None:
    """Save the network, whole or not at all; it needs nothing of imgcls to be loaded."""
    with whole_file(run.path(layout.MODEL)) as temporary:
        network.save(temporary)


def draw_history(result: TrainingResult) -> Callable[[], bytes]:
    """Have the learning curves drawn; return what waits for the PNG, or draws it."""
    from imgcls.evaluation.pictures import draw
    from imgcls.evaluation.plots import curves_figure

    history = [asdict(row) for row in result.state.history]
    return assistant.hand_over(draw, curves_figure, history, result.best_epoch)


def write_results(
    run: Run, metrics: dict[str, Any], dataset: Dataset, predictions: Predictions, curves: Callable[[], bytes]
) -> None:
    """Write what a finished training gave: the figures first, for no picture is worth losing them."""
    write_evaluation(run, metrics, dataset, predictions)
    write_bytes(run.path(layout.CURVES_PNG), curves())
    for warning in metrics["warnings"]:
        log.warning("%s: %s", warning["code"], warning["message"])


def write_evaluation(run: Run, metrics: dict[str, Any], dataset: Dataset, predictions: Predictions) -> None:
    """Write the figures, tables and matrix of one split.

    Raises:
        ConsistencyError: the files say another accuracy than the metrics do; these are not written then.
    """
    from imgcls.evaluation.metrics import certainty
    from imgcls.evaluation.pictures import confusion_figure, draw
    from imgcls.evaluation.plots import reliability_figure
    from imgcls.evaluation.tables import write_confusion_matrix, write_predictions, write_report

    labels, probabilities, classes = predictions.labels, predictions.probabilities, dataset.classes
    matrix = np.array(metrics["confusion_matrix"])
    pictures = {
        layout.CONFUSION_PNG: assistant.hand_over(draw, confusion_figure, matrix, classes),
        layout.RELIABILITY_PNG: assistant.hand_over(draw, reliability_figure, *certainty(probabilities, labels)),
    }
    paths = [dataset.paths[row] for row in dataset.splits[metrics["split"]]]
    write_predictions(run, paths, labels, probabilities, classes)
    write_confusion_matrix(run, metrics)
    _agree(run, metrics)
    write_json(run.path(layout.METRICS), metrics)
    write_report(run, metrics)
    for file, drawn in pictures.items():
        write_bytes(run.path(file), drawn())


def _agree(run: Run, metrics: dict[str, Any]) -> None:
    """Read the files back as a reader would: their hits must be those of the metrics."""
    table = read_csv(run.path(layout.PREDICTIONS))
    hits = {
        layout.PREDICTIONS: sum(row["true"] == row["predicted"] for row in table),
        layout.CONFUSION_CSV: sum(int(row[row["true"]]) for row in read_csv(run.path(layout.CONFUSION_CSV))),
        layout.METRICS: round(metrics["accuracy"] * metrics["n"]),
    }
    if len(set(hits.values())) > 1 or len(table) != metrics["n"]:
        raise ConsistencyError(f"the files of the result do not agree on the hits ({hits}): no result is written")


def write_timings(run: Run, clock: Clock, result: TrainingResult, precision: str, replicas: int) -> None:
    """Write where the seconds went.

    ``compile`` is building the network and tracing its first step, ``features`` what frozen layers make of the images.
    ``input_seconds`` is no phase: batches are made while the network trains, which waits only where that takes as long.
    """
    phases = dict(clock.phases)
    phases["compile"] = phases.pop("build") + result.compile_seconds
    if result.features_seconds:
        phases["features"] = result.features_seconds
    phases["train"] -= result.compile_seconds + result.features_seconds
    timings = {
        "total": clock.total(),
        "phases": phases,
        "epoch_seconds": [row.seconds for row in result.state.history],
        "train_epoch_seconds": list(result.state.train_seconds),
        "input_seconds": result.input_seconds,
        **_speed(result, precision, replicas),
    }
    write_json(run.path(layout.TIMINGS), timings)


def _speed(result: TrainingResult, precision: str, replicas: int) -> dict[str, float]:
    """Return how fast the last stage trained; of a longer training on one device, what share of its peak that is."""
    seconds = result.state.train_seconds[result.state.stages[-1].first_epoch - 1 :]
    images_per_second = result.images_per_epoch / float(np.median(seconds[1:] or seconds))  # the first one traces
    speed = {"images_per_second": images_per_second}
    if sum(seconds) < _WORTH_A_PEAK_S or replicas > 1:
        return speed
    from imgcls.training.peak import peak_flops_per_second

    reached = result.flops * images_per_second
    peak = max(reached, peak_flops_per_second(precision))  # another process may slow the machine just then
    return speed | {"flops_per_second": reached, "peak_flops_per_second": peak, "share_of_peak": reached / peak}


def refuse_changed(run: Run, dataset: Dataset) -> None:
    """Raise if an image is not what the run saw: its content, its class, or the part that it is in.

    The order of the images needs no comparing: it follows from their names.

    Raises:
        DataError: names what changed, what is missing, what is new and what moved.
    """
    seen = {row["path"]: (row["label"], row["split"], row["sha256"]) for row in run.manifest}
    now = {path: rest for path, *rest in _manifest(dataset)}
    both = [(path, was, now[path]) for path, was in seen.items() if path in now]
    differences = {
        "changed": [path for path, (_, _, was), (_, _, digest) in both if was != digest],
        "relabelled": [path for path, (was, _, _), (label, _, _) in both if was != label],
        "missing": [path for path in seen if path not in now],
        "new": [path for path in now if path not in seen],
        "in another part": [path for path, (_, was, _), (_, split, _) in both if was != split],
    }
    found = [f"{what}: {some(sorted(paths), 5)}" for what, paths in differences.items() if paths]
    if found:
        raise DataError(
            f"the data changed since {run.name} ({'; '.join(found)}); restore it, or measure what is there with --data"
        )


class Clock:
    """Sums the seconds of named phases."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self.phases: dict[str, float] = {}
        self._open: dict[str, float] = {}

    def include(self, before: Mapping[str, float]) -> None:
        """Count in what earlier processes of the same run took, as ``so_far`` told it."""
        for phase, seconds in before.items():
            if phase == _ALL:
                self._begun -= seconds
            else:
                self.phases[phase] = self.phases.get(phase, 0.0) + seconds

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        self._open[phase] = time.perf_counter()
        yield
        self.phases[phase] = self.phases.get(phase, 0.0) + time.perf_counter() - self._open.pop(phase)

    def total(self) -> float:
        return time.perf_counter() - self._begun

    def so_far(self) -> dict[str, float]:
        """Return the seconds of each phase up to now, of the running ones too, and of all."""
        now = time.perf_counter()
        running = {phase: self.phases.get(phase, 0.0) + now - begun for phase, begun in self._open.items()}
        return self.phases | running | {_ALL: self.total()}
