"""A finished run, measured again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls import backend
from imgcls.catalog import refuse_groups
from imgcls.data import Cache, Dataset, load_images
from imgcls.errors import DataError, RunError
from imgcls.evaluations import record_evaluation
from imgcls.experiment.measuring import employ_assistant, measure, predict_part
from imgcls.experiment.preparing import load_images_of
from imgcls.experiment.saved import load_network, resolved_spec
from imgcls.observer import Observer
from imgcls.recording import refuse_changed, write_evaluation
from imgcls.runs import Run, layout
from imgcls.spec import Spec

if TYPE_CHECKING:
    from imgcls.evaluation.prediction import Predictions

__all__ = ["Evaluation", "evaluate", "require_free"]


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
        DataError: a folder of repeats, no such split, other classes, a file that changed since, or a model that cannot
            be loaded.
        RunError: this process cannot use the backend that the run was trained with.
    """
    observer = observer or Observer()
    refuse_groups(run)
    stored, spec = run.metrics, resolved_spec(run)
    employ_assistant()
    if overruled := backend.choose(spec.backend):
        observer.remarked([overruled])
    if data is not None:
        classes = tuple(stored["classes"])
        dataset, split = _load_other(spec, Path(data), classes, cache_dir, observer), "data"
    else:
        dataset, split = (
            load_images_of(spec, Path.cwd(), Cache(Path(cache_dir) if cache_dir else None), observer),
            split or stored["split"],
        )
        refuse_changed(run, dataset)
    if split not in dataset.splits:
        raise DataError(f"there is no {split} part; there are {', '.join(dataset.splits)}")
    network, _ = load_network(run, spec, dataset.images.shape[1:], len(dataset.classes))
    observer.evaluating(split, len(dataset.splits[split]))
    predictions = predict_part(spec, network, dataset, split)
    metrics = measure(spec, dataset, predictions, split)
    observer.remarked(record_evaluation(run, metrics))
    return Evaluation(metrics, predictions, dataset, split)


def require_free(folder: Path) -> None:
    """Make a folder for results, or raise.

    Raises:
        RunError: it cannot be made, or is that of a run.
    """
    if (folder / layout.STATUS).exists():
        raise RunError(f"{folder} is a run's folder: its result would be replaced; name another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the folder {folder}: {error.strerror}") from error


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
        cache=Cache(Path(cache_dir) if cache_dir else None),
        on_bad_image=spec.data.on_bad_image,
        progress=observer.preparing,
    )
    observer.prepared(dataset)
    return dataset
