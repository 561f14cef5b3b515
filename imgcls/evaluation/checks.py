"""What would embarrass the user later, found in the metrics of a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgcls.findings import Finding
from imgcls.wording import some

__all__ = ["DEGENERATE_CODES", "check_result"]

# With one of these the result means nothing; ``--strict`` then ends with exit code 4.
DEGENERATE_CODES = frozenset({"not_better_than_majority", "one_class_predicted"})

MAX_NAMES = 10


def check_result(metrics: Mapping[str, Any]) -> list[Finding]:
    """Return what is suspicious about a result.

    Args:
        metrics: as ``compute_metrics`` returns them.
    """
    return [*_never_predicted(metrics), *_majority(metrics)]


def _never_predicted(metrics: Mapping[str, Any]) -> list[Finding]:
    classes, matrix = metrics["classes"], metrics["confusion_matrix"]
    predicted = [sum(column) for column in zip(*matrix, strict=True)]
    there = [name for name, count in zip(classes, predicted, strict=True) if count]
    if len(there) == 1:
        message = f"all {metrics['n']:,} images were predicted as {there[0]}: the network tells nothing apart"
        return [Finding("one_class_predicted", message)]
    never = [
        name
        for name, count, row in zip(classes, predicted, matrix, strict=True)
        if not count and sum(row)  # a class without images need not be predicted
    ]
    if not never:
        return []
    message = f"{len(never):,} of {len(classes):,} classes never predicted: {some(never, MAX_NAMES)}"
    return [Finding("classes_never_predicted", message)]


def _majority(metrics: Mapping[str, Any]) -> list[Finding]:
    low, high = metrics["accuracy_ci95"]
    share = metrics["majority_baseline"]
    if low > share:
        return []
    message = (
        f"accuracy {metrics['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}) is not better than always "
        f"predicting the most frequent class ({share:.3f})"
    )
    return [Finding("not_better_than_majority", message)]
