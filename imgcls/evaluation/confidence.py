"""How far the probabilities can be believed: calibration, and the errors that the network was surest of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.evaluation.metrics import predicted_classes
from imgcls.findings import Finding

__all__ = ["check_confidence", "most_confident_errors", "surest_errors"]

_ABOVE = 0.15  # confidence above accuracy; below it, as smoothed labels or a short training make it, does no harm
_SURE = 4.0  # standard errors
_ERRORS = 10


def check_confidence(labels: NDArray[np.int32], probabilities: NDArray[np.float32]) -> list[Finding]:
    """Return a finding where the network is far surer than it is right.

    Args:
        labels: (n,), true class indices.
        probabilities: (n, classes), rows sum to 1.
    """
    right = predicted_classes(probabilities) == labels
    confidence = probabilities.max(axis=1).astype(np.float64)
    gap = float((confidence - right).mean())
    error = float((confidence - right).std() / math.sqrt(len(labels)))
    if gap < _ABOVE or gap <= _SURE * error:
        return []
    message = f"the mean confidence is {confidence.mean():.2f}, and {right.mean():.2f} of the images are right"
    return [Finding("overconfident", message)]


def most_confident_errors(
    labels: NDArray[np.int32], probabilities: NDArray[np.float32], paths: Sequence[str], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the ten errors that the network was surest of: ``path``, ``true``, ``predicted`` and ``confidence``."""
    rows = surest_errors(labels, probabilities)[:_ERRORS]
    predicted = predicted_classes(probabilities[rows])
    return [
        {
            "path": paths[row],
            "true": classes[labels[row]],
            "predicted": classes[taken_for],
            "confidence": float(probabilities[row].max()),
        }
        for row, taken_for in zip(rows.tolist(), predicted.tolist(), strict=True)
    ]


def surest_errors(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the rows that are wrong, the surest first.

    Args:
        labels: (n,), true class indices.
        probabilities: (n, classes).
    """
    wrong = np.flatnonzero(predicted_classes(probabilities) != labels)
    return wrong[np.argsort(-probabilities.max(axis=1)[wrong], kind="stable")]
