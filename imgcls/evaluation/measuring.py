"""All that follows from the predictions of one split alone: the figures, and what is remarkable about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.evaluation.checks import DEGENERATE_CODES, check_result
from imgcls.evaluation.confidence import check_confidence, most_confident_errors
from imgcls.evaluation.metrics import compute_metrics, predicted_classes
from imgcls.evaluation.slices import check_slices
from imgcls.findings import Finding

__all__ = ["measure_predictions"]


def measure_predictions(
    labels: NDArray[np.int32],
    probabilities: NDArray[np.float32],
    loss: float,
    split: str,
    classes: Sequence[str],
    paths: Sequence[str],
    sizes: NDArray[np.uint32],
    groups: NDArray[np.int64] | None = None,
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the figures, as ``compute_metrics`` with the errors that were most confident, and what is remarkable.

    Args:
        labels: (n,), true class indices.
        probabilities: (n, classes), rows sum to 1.
        loss: the mean over the images.
        paths: of the n images, relative to the data.
        sizes: (n, 2), height and width of each picture as it came.
        groups: (n,), which group each image is of; None where each is for itself.

    Raises:
        DataError: there are no examples, or the shapes or labels do not fit.
        RunError: a probability is not finite.
    """
    metrics = compute_metrics(labels, probabilities, classes, loss=loss, split=split, groups=groups)
    metrics["most_confident_errors"] = most_confident_errors(labels, probabilities, paths, classes)
    found = check_result(metrics)
    if not DEGENERATE_CODES & {finding.code for finding in found}:  # else there is no part that is better than others
        found = [*found, *check_slices(labels, predicted_classes(probabilities), classes, paths, sizes)]
        found += check_confidence(labels, probabilities)
    return metrics, found
