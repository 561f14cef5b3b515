"""One part of the images, predicted in one pass and measured."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

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
    "held_out_part",
    "import_ahead",
    "measure",
    "predict_part",
    "remarks",
    "unchanged_classes",
]


def import_ahead() -> None:
    """Import in the background, while the network trains, what measuring it and drawing the pictures will need."""

    def import_all() -> None:
        with suppress(ImportError, OSError, MemoryError):  # where it is needed, it is told
            for name in ("sklearn.metrics", "scipy.stats", "matplotlib.figure", "matplotlib.backends.backend_agg"):
                import_module(name)

    Thread(target=import_all, daemon=True).start()


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
    return draw_samples([dataset.images[dataset.splits[split][row]] for row in chosen], titles)


def measure(spec: Spec, dataset: Dataset, predictions: Predictions, split: str) -> dict[str, Any]:
    """Return the figures of a part, with what is remarkable about spec, images and result."""
    from imgcls.evaluation.checks import DEGENERATE_CODES, check_result
    from imgcls.evaluation.confidence import check_confidence, most_confident_errors
    from imgcls.evaluation.metrics import compute_metrics
    from imgcls.evaluation.slices import check_slices

    metrics = compute_metrics(
        predictions.labels, predictions.probabilities, dataset.classes, loss=predictions.loss, split=split
    )
    rows = dataset.splits[split]
    paths = [dataset.paths[row] for row in rows]
    found = [*_not_held_out(spec, split), *remarks(spec, dataset), *check_result(metrics)]
    if not DEGENERATE_CODES & {finding.code for finding in found}:  # else there is no part that is better than others
        labels, predicted = predictions.labels, predictions.predicted
        found += check_slices(labels, predicted, dataset.classes, paths, dataset.sizes[rows])
        found += check_confidence(labels, predictions.probabilities)
    images = ((dataset.sha256[row].tobytes(), dataset.classes[dataset.labels[row]]) for row in rows)
    return metrics | {
        "most_confident_errors": most_confident_errors(
            predictions.labels, predictions.probabilities, paths, dataset.classes
        ),
        "images_sha256": images_digest(images),
        "warnings": [finding.record() for finding in found],
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
