"""One part of the images, predicted in one pass and measured."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any

from imgcls import assistant
from imgcls.data import Dataset
from imgcls.errors import DataError
from imgcls.evaluation.plausibility import reported_remarks
from imgcls.evaluations import images_digest
from imgcls.findings import Finding
from imgcls.spec import Spec
from imgcls.spec.remarks import spec_remarks

if TYPE_CHECKING:
    import keras

    from imgcls.evaluation.prediction import Predictions

__all__ = [
    "draw_predictions",
    "employ_assistant",
    "held_out_part",
    "import_ahead",
    "measure",
    "predict_part",
    "remarks",
    "unchanged_classes",
]


_MODULES = (
    "sklearn.metrics",
    "scipy.stats",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "imgcls.evaluation.measuring",
    "imgcls.evaluation.plots",
)


def employ_assistant() -> None:
    """Have a second process ready for measuring the network and drawing the pictures, where this one is imgcls' own."""
    assistant.employ(_MODULES)


def import_ahead() -> None:
    """Where there is no such process, import in the background, while the network trains, what it would have."""
    if not assistant.is_employed():
        Thread(target=assistant.import_all, args=(_MODULES,), daemon=True).start()


def held_out_part(spec: Spec, dataset: Dataset) -> str:
    """Return the part that the result is measured on: a fold, else test, unless the spec leaves that shut.

    Raises:
        DataError: the spec wants the validation part, and there is none.
    """
    if spec.evaluate_on == "auto":
        return next(split for split in ("fold", "test", "validation", "train") if split in dataset.splits)
    if spec.evaluate_on not in dataset.splits:
        there = ", ".join(dataset.splits)
        raise DataError(f"evaluate_on: {spec.evaluate_on}: there is no such part; the data has {there}")
    return spec.evaluate_on


def predict_part(spec: Spec, network: keras.Model, dataset: Dataset, split: str) -> Predictions:
    """Predict the images of a part in their stored order."""
    from imgcls.evaluation.prediction import predict_images

    rows = dataset.splits[split]
    return predict_images(spec, network, dataset.images, rows, dataset.labels[rows])


def draw_predictions(dataset: Dataset, split: str, predictions: Predictions) -> bytes:
    """Return a PNG of images of a part, taken evenly from it, with their true and predicted classes."""
    from imgcls.evaluation.pictures import SAMPLES, draw_samples

    count = len(predictions.labels)
    chosen = sorted({round(place * (count - 1) / (SAMPLES - 1)) for place in range(SAMPLES)})
    titles = [(dataset.classes[predictions.labels[row]], dataset.classes[predictions.predicted[row]]) for row in chosen]
    return assistant.ask(draw_samples, [dataset.images[dataset.splits[split][row]] for row in chosen], titles)


def measure(spec: Spec, dataset: Dataset, predictions: Predictions, split: str) -> dict[str, Any]:
    """Return the figures of a part, with what is remarkable about spec, images and result."""
    from imgcls.evaluation.measuring import measure_predictions

    rows = dataset.splits[split]
    paths = [dataset.paths[row] for row in rows]
    metrics, found = assistant.ask(
        measure_predictions,
        predictions.labels,
        predictions.probabilities,
        predictions.loss,
        split,
        dataset.classes,
        paths,
        dataset.sizes[rows],
        None if dataset.groups is None else dataset.groups[rows],
    )
    images = ((dataset.sha256[row].tobytes(), dataset.classes[dataset.labels[row]]) for row in rows)
    remarkable = [*_not_held_out(spec, split), *remarks(spec, dataset), *found]
    return metrics | {
        "images_sha256": images_digest(images),
        "warnings": [finding.record() for finding in remarkable],
    }


def remarks(spec: Spec, dataset: Dataset) -> list[Finding]:
    """Return what is remarkable before any training: of the spec, its published figures, the images, and both."""
    return [*spec_remarks(spec), *reported_remarks(spec.reported), *unchanged_classes(spec, dataset), *dataset.findings]


def unchanged_classes(spec: Spec, dataset: Dataset) -> list[Finding]:
    """Return a finding where an augmentation of the small classes alone finds none small enough."""
    limit = spec.augmentation.classes_below
    if limit is None or "train" not in dataset.splits:
        return []
    least = int(dataset.counts["train"].min())
    if least < limit:
        return []
    message = f"augmentation.classes_below {limit:,}: the smallest class has {least:,} training images; none is changed"
    return [Finding("augmentation_changes_nothing", message)]


def _not_held_out(spec: Spec, split: str) -> list[Finding]:
    if split in ("fold", "test", "data", spec.evaluate_on):
        return []
    return [Finding("not_held_out", f"measured on the {split} part, which the training used: too good to be true")]
