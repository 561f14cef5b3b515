"""The tables of a result: predictions, confusion matrix, classification report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgcls.evaluation.metrics import predicted_classes
from imgcls.files import write_csv
from imgcls.runs import Run
from imgcls.runs.layout import CONFUSION_CSV, PREDICTIONS, REPORT_CSV

if TYPE_CHECKING:
    from imgcls.evaluation.metrics import FloatArray, IntArray

__all__ = [
    "PREDICTION_COLUMNS",
    "probability_columns",
    "write_confusion_matrix",
    "write_predictions",
    "write_report",
]

PREDICTION_COLUMNS = ("path", "true", "predicted", "confidence")


def write_predictions(
    run: Run, paths: Sequence[str], labels: IntArray, probabilities: FloatArray, classes: Sequence[str]
) -> None:
    """Write a row an image; numbers have as many digits as read back to the same float32.

    Args:
        run: its folder exists.
        paths: each image's path or identifier, in the order of the split.
        labels: int (n,), true class indices.
        probabilities: float32 (n, classes).
        classes: the names, in the order of the probability columns.

    Raises:
        RunError: the file cannot be written.
    """
    header = [*PREDICTION_COLUMNS, *probability_columns(classes)]
    write_csv(run.path(PREDICTIONS), header, _prediction_rows(paths, labels, probabilities, classes))


def probability_columns(classes: Sequence[str]) -> list[str]:
    """Return each class's column; a class named like another column gets `` (class)`` behind its name."""
    columns = []
    for name in classes:
        column = f"{name} (class)" if name in PREDICTION_COLUMNS else name
        while column != name and column in classes:
            column += " (class)"
        columns.append(column)
    return columns


def write_confusion_matrix(run: Run, metrics: Mapping[str, Any]) -> None:
    """Write the counts: a row a true class, a column a predicted one."""
    rows = zip(metrics["classes"], metrics["confusion_matrix"], strict=True)
    write_csv(run.path(CONFUSION_CSV), ["true", *metrics["classes"]], ([name, *counts] for name, counts in rows))


def write_report(run: Run, metrics: Mapping[str, Any]) -> None:
    """Write precision, recall, F1 and support of each class, then accuracy, macro and weighted averages."""
    per_class = metrics["per_class"]
    rows: list[list[Any]] = [
        [name, *(score[key] for key in ("precision", "recall", "f1", "support"))] for name, score in per_class.items()
    ]
    n = metrics["n"]
    rows.append(["accuracy", None, None, metrics["accuracy"], n])
    rows.append(["macro avg", metrics["macro_precision"], metrics["macro_recall"], metrics["macro_f1"], n])
    weighted = [
        sum((score[key] or 0.0) * score["support"] for score in per_class.values()) / n
        for key in ("precision", "recall")
    ]
    rows.append(["weighted avg", *weighted, metrics["weighted_f1"], n])
    write_csv(run.path(REPORT_CSV), ["class", "precision", "recall", "f1", "support"], rows)


def _prediction_rows(
    paths: Sequence[str], labels: IntArray, probabilities: FloatArray, classes: Sequence[str]
) -> Iterator[list[str]]:
    import numpy as np

    rows = zip(paths, labels.tolist(), predicted_classes(probabilities).tolist(), probabilities, strict=True)
    for path, true, predicted, row in rows:
        texts = row.astype(np.float32).astype(str).tolist()  # numpy writes the shortest text that reads back the same
        yield [path, classes[true], classes[predicted], texts[predicted], *texts]
