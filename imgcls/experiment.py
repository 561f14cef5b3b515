"""The life of a run, from the spec to the finished folder; and measuring a finished run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls import backend, runs
from imgcls.data import Cache, Dataset, data_path, default_cache_root, load_dataset, load_images
from imgcls.data.survey import survey
from imgcls.errors import DataError, DegenerateError, RunError, SpecError
from imgcls.findings import Finding
from imgcls.observer import Observer
from imgcls.recording import (
    Clock,
    HistoryRecorder,
    recorded,
    refuse_changed,
    save_model,
    write_evaluation,
    write_inputs,
    write_results,
    write_timings,
)
from imgcls.runs import Run, check_writable, create_run
from imgcls.spec import LoadedSpec, Spec, load_spec

if TYPE_CHECKING:
    import keras

    from imgcls.evaluation.prediction import Predictions
    from imgcls.models import ModelSummary
    from imgcls.training.loop import TrainingResult

__all__ = ["Evaluation", "describe_network", "evaluate", "refuse_degenerate", "require_free", "train"]


def train(
    spec: Path | str | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    runs_dir: Path | str = "runs",
    cache_dir: Path | str | None = None,
    observer: Observer | None = None,
    strict: bool = False,
) -> Run:
    """Run an experiment: prepare the data, train, evaluate once on the held-out part, write the run folder.

    Args:
        spec: a YAML file, or the spec as a mapping.
        overrides: dotted key → value, on top of the spec: ``{"lr": 1e-4, "data.limit.train": 1000}``.
        runs_dir: where the run folder is made.
        cache_dir: where prepared data is kept; by default the user's cache folder.
        observer: is told how it goes.
        strict: raise where the result is degenerate; the folder is complete nonetheless.

    Raises:
        SpecError: the spec is wrong; no run folder is made.
        DataError: the data is; no run folder is made.
        RunError: the run failed; the folder says so.
        DegenerateError: under ``strict``.
    """
    observer = observer or Observer()
    clock = Clock()
    loaded = load_spec(spec, overrides)
    check_writable(Path(runs_dir))
    with backend.memory_is_told():
        with clock("data"):
            dataset = _load(loaded.spec.completed(), loaded.base, cache_dir, observer)
        with clock("start_up"):
            device = backend.start(loaded.spec.device)
        final = _in_force(loaded, dataset)
        with clock("build"):
            network = _build(final, dataset)
    run = create_run(Path(runs_dir), loaded.name)
    with recorded(run), backend.memory_is_told():
        write_inputs(run, loaded, final, dataset, device)
        observer.started(final, run, device, network.count_params())
        with clock("train"):
            result = _train(run, final, network, dataset, observer)
        with clock("evaluate"):
            split = _held_out(dataset)
            observer.evaluating(split, len(dataset.splits[split]))
            predictions = _save_and_predict(run, final, network, dataset, split)
        metrics = _metrics(dataset, predictions, split, result, network)
        with clock("write"):
            write_results(run, metrics, dataset, predictions, result)
        write_timings(run, clock, result)
    if strict:
        refuse_degenerate(run)
    return run


@dataclass(frozen=True)
class Evaluation:
    """A finished run measured again."""

    metrics: dict[str, Any]
    predictions: Predictions
    dataset: Dataset
    split: str

    def write(self, folder: Path) -> None:
        """Write metrics, predictions, confusion matrix and report under the names they have in a run folder.

        Raises:
            RunError: the folder cannot be made or written, or is that of a run, whose result it would replace.
        """
        require_free(folder)
        write_evaluation(Run(folder), self.metrics, self.dataset, self.predictions)


def evaluate(
    run: Run,
    split: str | None = None,
    *,
    data: Path | str | None = None,
    cache_dir: Path | str | None = None,
    observer: Observer | None = None,
) -> Evaluation:
    """Measure a run's saved model again, on a split of its own data or on other images.

    Args:
        split: ``train``, ``validation`` or ``test``; by default the one the run was evaluated on.
        data: a folder, CSV or npz file with the same classes, instead of the run's data.

    Raises:
        DataError: no such split, other classes, a file that changed since, or a model that cannot be loaded.
    """
    observer = observer or Observer()
    stored, spec = run.metrics, _resolved(run)
    if data is not None:
        classes = tuple(stored["classes"])
        dataset, split = _load_other(spec, Path(data), classes, cache_dir, observer), "data"
    else:
        dataset, split = _load(spec, Path.cwd(), cache_dir, observer), split or stored["split"]
        refuse_changed(run, dataset)
    if split not in dataset.splits:
        raise DataError(f"there is no {split} part; there are {', '.join(dataset.splits)}")
    backend.start(spec.device, threads=run.environment["device"]["threads"])
    network = backend.load_model(run.path(runs.MODEL))
    _refuse_other_network(run, network, dataset)
    observer.evaluating(split, len(dataset.splits[split]))
    predictions = _predict(spec, network, dataset, split)
    metrics = _measure(dataset, predictions, split)
    return Evaluation(metrics, predictions, dataset, split)


def describe_network(loaded: LoadedSpec, *, classes: int | None = None) -> ModelSummary:
    """Describe the network of a spec without training it or reading a pixel.

    Args:
        classes: how many there are; by default the data is listed to know.

    Raises:
        SpecError: the layers do not fit each other or the images.
        DataError: the data cannot be listed.
    """
    spec = loaded.spec.completed()
    if classes is None or spec.resolution is None or spec.color is None:
        found = survey(spec.data, base=loaded.base)
        classes = classes or len(found.classes)
        spec = spec.model_copy(
            update={"resolution": spec.resolution or found.resolution, "color": spec.color or found.color}
        )
    backend.start(spec.device)
    from imgcls.models import PixelStatistics, build_network, summarize  # not before Keras has started quietly

    assert spec.resolution
    channels = 1 if spec.color == "grayscale" else 3
    pixels = PixelStatistics(mean=(0.0,) * channels, variance=(1.0,) * channels)
    with backend.memory_is_told():
        return summarize(build_network(_with_precision(spec), (*spec.resolution, channels), classes, pixels))


def refuse_degenerate(run: Run) -> None:
    """Raise DegenerateError if the run's result means nothing, for instance one class predicted for all images."""
    from imgcls.evaluation.checks import DEGENERATE_CODES

    found = [warning["message"] for warning in run.metrics["warnings"] if warning["code"] in DEGENERATE_CODES]
    if found:
        raise DegenerateError(f"the result in {run.folder} is degenerate: {'; '.join(found)}")


def require_free(folder: Path) -> None:
    """Make a folder for results, or raise.

    Raises:
        RunError: it cannot be made, or is that of a run.
    """
    if (folder / runs.STATUS).exists():
        raise RunError(f"{folder} is a run's folder: its result would be replaced; name another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the folder {folder}: {error.strerror}") from error


def _resolved(run: Run) -> Spec:
    """Return the spec that was in force."""
    try:
        return load_spec(run.path(runs.RESOLVED)).spec
    except SpecError as error:
        raise DataError(f"the run folder is damaged: {error}") from error


def _refuse_other_network(run: Run, network: keras.Model, dataset: Dataset) -> None:
    """Raise if the saved network cannot be the run's."""
    taken, given = tuple(network.input_shape[1:]), network.output_shape[-1]
    if taken != dataset.images.shape[1:] or given != len(dataset.classes):
        raise DataError(
            f"{run.path(runs.MODEL)} is not this run's network: it takes images of {taken} and tells {given} classes "
            f"apart, the run has {dataset.images.shape[1:]} and {len(dataset.classes)}"
        )


def _load(spec: Spec, base: Path, cache_dir: Path | str | None, observer: Observer) -> Dataset:
    dataset = load_dataset(
        spec.data,
        base=base,
        resolution=spec.resolution,
        color=spec.color,
        resize=spec.resize,
        cache=Cache(Path(cache_dir) if cache_dir else default_cache_root()),
        progress=observer.preparing,
    )
    observer.prepared(dataset)
    return dataset


def _load_other(
    spec: Spec, path: Path, classes: tuple[str, ...], cache_dir: Path | str | None, observer: Observer
) -> Dataset:
    assert spec.resolution
    assert spec.color
    dataset = load_images(
        path,
        classes=classes,
        resolution=spec.resolution,
        color=spec.color,
        resize=spec.resize,
        cache=Cache(Path(cache_dir) if cache_dir else default_cache_root()),
        on_bad_image=spec.data.on_bad_image,
        progress=observer.preparing,
    )
    observer.prepared(dataset)
    return dataset


def _in_force(loaded: LoadedSpec, dataset: Dataset) -> Spec:
    """Return the spec with the values that only data and machine decide, and paths that hold from anywhere."""
    spec = loaded.spec.completed()
    height, width, channels = dataset.images.shape[1:]
    path = data_path(spec.data, loaded.base)
    return _with_precision(spec).model_copy(
        update={
            "name": loaded.name,
            "data": spec.data.model_copy(
                update={"path": path and str(path), "classes": dataset.classes, **dataset.parts}
            ),
            "resolution": (height, width),
            "color": "grayscale" if channels == 1 else "rgb",
        }
    )


def _with_precision(spec: Spec) -> Spec:
    """Return the spec with the arithmetic that ``auto`` means."""
    return spec.model_copy(update={"precision": "float32" if spec.precision == "auto" else spec.precision})


def _build(spec: Spec, dataset: Dataset) -> keras.Model:
    from imgcls.models import PixelStatistics, build_network, pixel_statistics

    needed = spec.normalize in ("minmax", "standardize")
    pixels = pixel_statistics(dataset.images, dataset.splits["train"]) if needed else PixelStatistics()
    height, width, channels = dataset.images.shape[1:]
    return build_network(spec, (height, width, channels), len(dataset.classes), pixels)


def _train(run: Run, spec: Spec, network: keras.Model, dataset: Dataset, observer: Observer) -> TrainingResult:
    from imgcls.augmentation.applying import augmenting_model
    from imgcls.training.feed import TrainingFeed
    from imgcls.training.loop import DivergedError, train_network

    rows = dataset.splits["train"]
    feed = TrainingFeed(spec, dataset.images, rows, dataset.labels[rows], len(dataset.classes))
    trainer = augmenting_model(spec.augmentation, network, network.input_shape[1:])
    try:
        return train_network(
            spec, network, trainer, feed, _validator(spec, network, dataset), HistoryRecorder(run, observer)
        )
    except DivergedError:
        save_model(run, network)
        raise


def _validator(spec: Spec, network: keras.Model, dataset: Dataset) -> Callable[[], tuple[float, float]] | None:
    if "validation" not in dataset.splits:
        return None

    def validate() -> tuple[float, float]:
        predictions = _predict(spec, network, dataset, "validation")
        return predictions.loss, predictions.accuracy

    return validate


def _held_out(dataset: Dataset) -> str:
    """Return the part that the result is measured on: test if there is one."""
    return next(split for split in ("test", "validation", "train") if split in dataset.splits)


def _save_and_predict(run: Run, spec: Spec, network: keras.Model, dataset: Dataset, split: str) -> Predictions:
    """Save the network and measure what the file holds: what is delivered is what was measured."""
    save_model(run, network)
    return _predict(spec, backend.load_model(run.path(runs.MODEL)), dataset, split)


def _predict(spec: Spec, network: keras.Model, dataset: Dataset, split: str) -> Predictions:
    from imgcls.evaluation.prediction import predict_images

    rows = dataset.splits[split]
    return predict_images(spec, network, dataset.images, rows, dataset.labels[rows])


def _measure(dataset: Dataset, predictions: Predictions, split: str) -> dict[str, Any]:
    from imgcls.evaluation.checks import check_result
    from imgcls.evaluation.metrics import compute_metrics

    metrics = compute_metrics(
        predictions.labels, predictions.probabilities, dataset.classes, loss=predictions.loss, split=split
    )
    found = [*_not_held_out(split), *dataset.findings, *check_result(metrics)]
    return metrics | {"warnings": [asdict(finding) for finding in found]}


def _not_held_out(split: str) -> list[Finding]:
    if split in ("test", "data"):
        return []
    return [Finding("not_held_out", f"measured on the {split} part, which the training used: too good to be true")]


def _metrics(
    dataset: Dataset, predictions: Predictions, split: str, result: TrainingResult, network: keras.Model
) -> dict[str, Any]:
    from imgcls.models import summarize

    summary = summarize(network)
    metrics = _measure(dataset, predictions, split)
    return metrics | {
        "best_epoch": result.best_epoch,
        "epochs_run": len(result.state.history),
        "stopped_early": result.stopped_early,
        "trainable_params": summary.trainable_params,
        "total_params": summary.total_params,
    }
