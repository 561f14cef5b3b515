"""Every figure that follows from the predictions of one split, and the extremes that a person reads first."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgcls.errors import DataError, RunError
from imgcls.evaluation.clusters import clustered_interval
from imgcls.wording import counted

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.floating[Any]]
    IntArray = npt.NDArray[np.integer[Any]]
    BoolArray = npt.NDArray[np.bool_]

__all__ = [
    "SCHEMA_VERSION",
    "TOP",
    "ClassScore",
    "Confusion",
    "accuracy_interval",
    "certainty",
    "compute_metrics",
    "confidence_bins",
    "expected_calibration_error",
    "images_text",
    "most_frequent_confusions",
    "predicted_classes",
    "top_accuracy",
    "worst_classes",
]

SCHEMA_VERSION = 1
TOP = 5


def compute_metrics(
    labels: IntArray,
    probabilities: FloatArray,
    classes: Sequence[str],
    *,
    loss: float,
    split: str,
    groups: IntArray | None = None,
) -> dict[str, Any]:
    """Return the part of ``metrics.json`` that follows from the predictions, as plain Python values.

    The macro averages run over the classes that have images in the split, so that a class which is missing from it
    moves none of them; ``macro_recall`` therefore is ``balanced_accuracy``. A class that is never predicted has
    precision 0. What has no value is None: recall and F1 of a class without images, its precision if it is never
    predicted either, kappa and MCC where all images are of one class, top-5 accuracy of five classes or fewer.

    Args:
        labels: int (n,), true class indices.
        probabilities: float (n, classes).
        classes: the names, in the order of the probability columns.
        loss: the mean loss of the split, as the network's loss function gives it.
        split: ``train``, ``validation``, ``test``, or what else was evaluated.
        groups: int (n,), which group each image is of; None where each is for itself. Of groups the interval of the
            accuracy is wider, and ``groups`` says how many there are.

    Raises:
        DataError: there are no examples, or the shapes or labels do not fit.
        RunError: a probability is not finite.
    """
    from sklearn import metrics as sk

    _check(labels, probabilities, len(classes))
    import numpy as np

    predicted = predicted_classes(probabilities)
    every = range(len(classes))
    matrix = sk.confusion_matrix(labels, predicted, labels=every)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    seen = support > 0
    correct, n = int(np.trace(matrix)), len(labels)
    with warnings.catch_warnings():  # where it is undefined, None says so
        warnings.simplefilter("ignore")
        kappa = sk.cohen_kappa_score(labels, predicted, labels=every) if seen.sum() > 1 else math.nan
    return {
        "schema_version": SCHEMA_VERSION,
        "split": split,
        "n": n,
        "loss": _defined(loss),
        "accuracy": correct / n,
        "balanced_accuracy": float(recall[seen].mean()),
        "macro_f1": float(f1[seen].mean()),
        "weighted_f1": float(np.average(f1, weights=support)),
        "macro_precision": float(precision[seen].mean()),
        "macro_recall": float(recall[seen].mean()),
        "cohen_kappa": _defined(kappa),
        "mcc": _defined(sk.matthews_corrcoef(labels, predicted)) if seen.sum() > 1 else None,
        "top5_accuracy": top_accuracy(probabilities, labels, TOP) if len(classes) > TOP else None,
        "majority_baseline": int(support.max()) / n,
        **_certainty_of(predicted == labels, groups),
        "ece": expected_calibration_error(probabilities, labels),
        "per_class": {
            name: {
                "precision": float(precision[index]) if seen[index] or matrix[:, index].any() else None,
                "recall": float(recall[index]) if seen[index] else None,
                "f1": float(f1[index]) if seen[index] else None,
                "support": int(support[index]),
            }
            for index, name in enumerate(classes)
        },
        "confusion_matrix": matrix.tolist(),
        "classes": list(classes),
    }


def images_text(metrics: Mapping[str, Any]) -> str:
    """Return what a result was measured on: ``1,000 test images``, ``1,000 test images in 40 groups``."""
    images = f"{metrics['n']:,} {metrics['split']} images"
    return f"{images} in {counted(metrics['groups'], 'group')}" if metrics.get("groups") else images


def _certainty_of(right: BoolArray, groups: IntArray | None) -> dict[str, Any]:
    """Return the interval of the accuracy; of groups also how many there are."""
    import numpy as np

    if groups is None:
        return {"accuracy_ci95": list(accuracy_interval(int(right.sum()), len(right)))}
    names, numbers = np.unique(groups, return_inverse=True)
    return {"accuracy_ci95": list(clustered_interval(right, numbers)), "groups": len(names)}


def accuracy_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of an accuracy (Wilson, 1927)."""
    from scipy.stats import binomtest

    interval = binomtest(correct, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def predicted_classes(probabilities: FloatArray) -> IntArray:
    """Return the most probable class of each image, int (n,); of equal ones the first, as Keras does.

    Nothing else in imgcls decides what was predicted.
    """
    return probabilities.argmax(axis=1)


def top_accuracy(probabilities: FloatArray, labels: IntArray, k: int) -> float:
    """Return the share of images whose true class is among the ``k`` most probable.

    Of equally probable classes the one with the lower index ranks first, as in ``predicted_classes``: so k = 1 gives
    the accuracy, and a network that gives all classes the same probability gains nothing.

    Args:
        probabilities: float (n, classes).
        labels: int (n,), true class indices.
        k: how many classes count.
    """
    import numpy as np

    own = probabilities[np.arange(len(labels)), labels][:, None]
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    rank = (probabilities > own).sum(axis=1) + ((probabilities == own) & before).sum(axis=1)
    return float((rank < k).mean())


def expected_calibration_error(probabilities: FloatArray, labels: IntArray, *, bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy (Guo et al., 2017).

    Args:
        probabilities: float (n, classes), rows sum to 1.
        labels: int (n,), true class indices.
        bins: equal-width confidence bins over (0, 1], each open below and closed above.

    Raises:
        DataError: there are no examples.
    """
    found = confidence_bins(*certainty(probabilities, labels), bins=bins)
    return sum(each.count * abs(each.accuracy - each.confidence) for each in found) / len(labels)


@dataclass(frozen=True)
class ConfidenceBin:
    """The images whose confidence lies above ``start`` and up to ``end``.

    Attributes:
        count: how many; at least 1.
        confidence: their mean.
        accuracy: the share that is right.
        low: lower end of its 95 % interval (Wilson, 1927).
        high: upper end.
    """

    start: float
    end: float
    count: int
    confidence: float
    accuracy: float
    low: float
    high: float


def certainty(probabilities: FloatArray, labels: IntArray) -> tuple[FloatArray, BoolArray]:
    """Return how sure the network is of each image, float64 (n,), and whether it is right, bool (n,)."""
    import numpy as np

    return probabilities.max(axis=1).astype(np.float64), predicted_classes(probabilities) == labels


def confidence_bins(confidence: FloatArray, right: BoolArray, *, bins: int = 15) -> list[ConfidenceBin]:
    """Return how often the network is right, the surer it is.

    Args:
        confidence: float (n,), of each image, 0..1.
        right: bool (n,).
        bins: as of the calibration error.

    Raises:
        DataError: there are no examples.
    """
    import numpy as np

    if not len(confidence):
        raise DataError("there are no examples to measure the calibration on")
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for number in np.unique(bin_of):
        inside = bin_of == number
        count, hits = int(inside.sum()), int(right[inside].sum())
        interval = accuracy_interval(hits, count)
        mean = float(confidence[inside].mean())
        found.append(ConfidenceBin(number / bins, (number + 1) / bins, count, mean, hits / count, *interval))
    return found


@dataclass(frozen=True)
class Confusion:
    """``count`` images of the class ``true``, which has ``support``, were taken for ``predicted``."""

    true: str
    predicted: str
    count: int
    support: int


@dataclass(frozen=True)
class ClassScore:
    """How well one class is recognised; ``recall`` and ``precision`` from 0 to 1."""

    name: str
    f1: float
    recall: float
    precision: float
    support: int


def most_frequent_confusions(metrics: Mapping[str, Any], limit: int = 5) -> list[Confusion]:
    """Return the pairs of classes that are confused most often, the most frequent first."""
    classes = metrics["classes"]
    found = [
        Confusion(classes[row], classes[column], count, sum(counts))
        for row, counts in enumerate(metrics["confusion_matrix"])
        for column, count in enumerate(counts)
        if count and row != column
    ]
    return sorted(found, key=lambda confusion: -confusion.count)[:limit]


def worst_classes(metrics: Mapping[str, Any], limit: int = 5) -> list[ClassScore]:
    """Return the classes with the lowest F1 below 1, the worst first; classes without images have no F1."""
    scores = [
        ClassScore(name, score["f1"], score["recall"], score["precision"], score["support"])
        for name, score in metrics["per_class"].items()
        if score["f1"] is not None and score["f1"] < 1
    ]
    return sorted(scores, key=lambda score: score.f1)[:limit]


def _check(labels: IntArray, probabilities: FloatArray, classes: int) -> None:
    import numpy as np

    if not len(labels):
        raise DataError("there are no images to evaluate")
    if probabilities.shape != (len(labels), classes):
        raise DataError(f"predictions of shape {probabilities.shape} for {len(labels)} images of {classes} classes")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"labels from {labels.min()} to {labels.max()} for {classes} classes")
    if not np.isfinite(probabilities).all():
        first = int(np.argmin(np.isfinite(probabilities).all(axis=1)))
        raise RunError(f"the network's output is not finite, first for image {first}: there is no result")


def _defined(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
