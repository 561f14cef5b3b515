"""Published figures held against the confusion matrix, from which they follow exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from imgcls.evaluation.class_reports import class_text
from imgcls.evaluation.rounding import MAX_DECIMALS, around, decimals, number_text, share
from imgcls.spec.reported import PublishedClass, ReportedSpec
from imgcls.wording import counted

__all__ = ["against_matrix"]

Matrix = Sequence[Sequence[int]]


def against_matrix(reported: ReportedSpec) -> Iterator[str]:
    """Give the figures that are not those of the published confusion matrix."""
    matrix = reported.confusion_matrix
    total = sum(map(sum, matrix))
    if not total or reported.runs != 1:
        return
    if reported.n not in (None, total):
        yield f"confusion_matrix: it holds {counted(total, 'image')}, n is {reported.n:,}"
        return
    if len(reported.per_class) == len(matrix):
        yield from _wrong_classes(reported.per_class, matrix)
    for name, answers in _figures_of(matrix).items():
        claim = reported.value_of(name)
        if claim is not None and not any(around(name, claim).holds(answer) for answer in answers):
            yield f"{name}: {_refuted(claim, answers[-1])}"


def _wrong_classes(per_class: Mapping[str, PublishedClass], matrix: Matrix) -> Iterator[str]:
    columns = _columns(matrix)
    supports = [row.support for row in per_class.values()]
    exchanged = "; its columns fit: are rows and columns exchanged?" if supports == columns else ""
    for index, (name, row) in enumerate(per_class.items()):
        images = sum(matrix[index])
        if row.support not in (None, images):
            message = f"{row.support:,} images, its row of the confusion matrix has {images:,}{exchanged}"
            yield f"{class_text(name)}: {message}"
            continue
        for key, claim, answers in _shares(row, right=matrix[index][index], images=images, predicted=columns[index]):
            if claim is not None and not any(share(claim).holds(answer) for answer in answers):
                yield f"{class_text(name)}: {key} {_refuted(claim, answers[0])}"


def _shares(
    row: PublishedClass, *, right: int, images: int, predicted: int
) -> Iterator[tuple[str, float | None, list[float]]]:
    """Give word, published share and what it can be: where it is 0 / 0, people write 0 or 1."""
    nothing = [0.0, 1.0]
    yield "precision", row.precision, [right / predicted] if predicted else nothing
    yield "recall", row.recall, [right / images] if images else nothing
    yield "F1", row.f1, [2 * right / (images + predicted)] if images else nothing


def _refuted(claim: float, answer: float) -> str:
    digits = max(3, min(decimals(claim), MAX_DECIMALS))
    return f"{number_text(claim)} cannot be: the confusion matrix gives {number_text(answer, digits)}"


def _figures_of(matrix: Matrix) -> dict[str, list[float]]:
    """Return what follows from a confusion matrix.

    Of an average over the classes there are several: over all of them, over those that are anywhere in the matrix, and
    over those that have images; each with 1 and with 0 for what is 0 / 0.
    """
    rows, columns, right = [sum(row) for row in matrix], _columns(matrix), [row[i] for i, row in enumerate(matrix)]
    total, every = sum(rows), range(len(matrix))
    both, twice = [sum(pair) for pair in zip(rows, columns, strict=True)], [2 * each for each in right]
    groups = [list(every), [i for i in every if both[i]], [i for i in every if rows[i]]]

    def averages(parts: Sequence[int], wholes: Sequence[int]) -> list[float]:
        return [
            sum(parts[i] / wholes[i] if wholes[i] else nothing for i in group) / len(group)
            for nothing in (1.0, 0.0)
            for group in groups
        ]

    return {
        "accuracy": [sum(right) / total],
        "balanced_accuracy": averages(right, rows),
        "macro_recall": averages(right, rows),
        "macro_precision": averages(right, columns),
        "macro_f1": averages(twice, both),
        "weighted_f1": [sum(twice[i] / both[i] * rows[i] for i in groups[-1]) / total],
        **_agreements(rows, columns, sum(right)),
    }


def _agreements(rows: Sequence[int], columns: Sequence[int], right: int) -> dict[str, list[float]]:
    """Return Cohen's kappa and Matthews' correlation, each where it has a value."""
    total = sum(rows)
    chance = sum(row * column for row, column in zip(rows, columns, strict=True))
    beyond_chance, figures = right * total - chance, {}
    if chance < total**2:
        figures["cohen_kappa"] = [beyond_chance / (total**2 - chance)]
    spread = math.prod(math.sqrt(total**2 - sum(each**2 for each in counts)) for counts in (rows, columns))
    if spread:
        figures["mcc"] = [beyond_chance / spread]
    return figures


def _columns(matrix: Matrix) -> list[int]:
    return [sum(column) for column in zip(*matrix, strict=True)]
