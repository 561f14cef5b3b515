"""Published precision, recall, F1 and support of the classes: held against each other and against the averages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from imgcls.evaluation.rounding import NO_LIMIT, Interval, decimals, number_text, share
from imgcls.spec.reported import PublishedClass, ReportedSpec
from imgcls.wording import counted, shown

__all__ = ["class_text", "impossible_averages", "impossible_classes", "times_text"]

MAX_TRIED = 10_000  # of so many possible counts, one always fits


def impossible_classes(reported: ReportedSpec) -> Iterator[str]:
    """Give of each class the first thing that is wrong with it."""
    runs, n = reported.runs, reported.images
    if runs is None:
        return
    supports = sum(row.support or 0 for row in reported.per_class.values())
    if n is not None and supports > n:
        yield f"per_class: the classes have {supports:,} images, more than all {n:,}"
        return
    for name, row in reported.per_class.items():
        if row.support != 0 and (problem := _class_problem(row, n, runs)):
            yield f"{class_text(name)}: {problem}"


def _class_problem(row: PublishedClass, n: int | None, runs: int) -> str:
    """Return what is wrong with a class, ``n`` images being of all classes; an empty string where nothing is."""
    if problem := _recall_problem(row, runs):
        return problem
    if runs > 1:  # means over runs: nothing more follows from them
        return ""
    return _f1_problem(row) or _counts_problem(row, n)


def _recall_problem(row: PublishedClass, runs: int) -> str:
    if row.recall is None or not row.support or share(row.recall).holds_fraction(row.support * runs):
        return ""
    return f"a recall of {number_text(row.recall)} is no fraction of {times_text(row.support, runs)}"


def _f1_problem(row: PublishedClass) -> str:
    if row.precision is None or row.recall is None or row.f1 is None:
        return ""
    bounds = Interval(*(_harmonic(*pair) for pair in zip(share(row.precision), share(row.recall), strict=True)))
    if share(row.f1).meets(bounds):
        return ""
    return (
        f"an F1 of {number_text(row.f1)} is not the harmonic mean of precision {number_text(row.precision)} and recall "
        f"{number_text(row.recall)}: that is {_bound_text(_harmonic(row.precision, row.recall), row.f1)}"
    )


def _counts_problem(row: PublishedClass, n: int | None) -> str:
    if not row.support or _fits_counts(row, row.support, n):
        return ""
    given = [("precision", row.precision), ("recall", row.recall), ("F1", row.f1)]
    figures = " and ".join(f"{key} {number_text(value)}" for key, value in given if value is not None)
    return f"{figures} come from no whole number of predictions for {counted(row.support, 'image')}"


def _fits_counts(row: PublishedClass, support: int, n: int | None) -> bool:
    """Whether there are whole numbers of right predictions and of all predictions that give the published figures."""
    first, last = _published(row.recall).whole(support)
    if last - first > MAX_TRIED:
        return True
    others = NO_LIMIT if n is None else n - support
    return any(_fits_right(row, right, support, others) for right in range(max(0, first), min(last, support) + 1))


def _fits_right(row: PublishedClass, right: int, support: int, others: int) -> bool:
    """Whether some number of predictions of the class, ``right`` of them right, gives its precision and F1."""
    precision, f1 = _published(row.precision), _published(row.f1)
    if right == 0:  # a precision of 0 / 0 is written as 0 or as 1
        return f1.low <= 0 and (precision.low <= 0 or precision.high >= 1)
    fewest = max(right, right / precision.high, 2 * right / f1.high - support)
    most = min(
        right + others,
        right / precision.low if precision.low > 0 else NO_LIMIT,
        2 * right / f1.low - support if f1.low > 0 else NO_LIMIT,
    )
    return math.ceil(fewest - 1e-6) <= math.floor(most + 1e-6)


def impossible_averages(reported: ReportedSpec) -> Iterator[str]:
    """Give the accuracy and averages that the figures of the classes do not have, where all classes are there."""
    rows = list(reported.per_class.values())
    supports = [row.support or 0 for row in rows]
    if reported.runs != 1 or not rows or sum(supports) != reported.images:
        return
    for name, words, values, weights in _averages(rows, supports):
        claim = reported.value_of(name)
        means = [mean for each in weights if (mean := _mean(values, each))]
        if claim is not None and means and not any(share(claim).meets(mean) for mean in means):
            low, high = (_bound_text(end, claim) for end in means[-1])
            yield f"{name}: {number_text(claim)} is not the mean of {words}: that is {low} to {high}"


def _averages(
    rows: Sequence[PublishedClass], supports: Sequence[int]
) -> Iterator[tuple[str, str, list[float | None], list[Sequence[int]]]]:
    """Give name, what it is the mean of in words, the values, and by what they may be weighted."""
    recalls, precisions, f1s = ([getattr(row, key) for row in rows] for key in ("recall", "precision", "f1"))
    macro: list[Sequence[int]] = [[1] * len(rows), [int(support > 0) for support in supports]]  # all, or those seen
    yield "accuracy", "the recalls, weighted with the images", recalls, [supports]
    yield "balanced_accuracy", "the recalls", recalls, macro
    yield "macro_recall", "the recalls", recalls, macro
    yield "macro_precision", "the precisions", precisions, macro
    yield "macro_f1", "the F1", f1s, macro
    yield "weighted_f1", "the F1, weighted with the images", f1s, [supports]


def _mean(values: Sequence[float | None], weights: Sequence[int]) -> Interval | None:
    """Return where the weighted mean of rounded shares lies; None where one of them is missing."""
    needed = [(value, weight) for value, weight in zip(values, weights, strict=True) if weight]
    shares = [(share(value), weight) for value, weight in needed if value is not None]
    if len(shares) < len(needed) or not shares:
        return None
    total = sum(weights)
    return Interval(*(sum(each[end] * weight for each, weight in shares) / total for end in (0, 1)))


def _published(value: float | None) -> Interval:
    """Return what a share stands for; anything where none was published."""
    return Interval(0, 1) if value is None else share(value)


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _bound_text(value: float, claim: float) -> str:
    """Return a computed share with at least the decimals of what was claimed."""
    return number_text(value, max(3, decimals(claim)))


def class_text(name: str) -> str:
    """Return how messages call a class."""
    return f"class {shown(name)}"


def times_text(images: int, runs: int) -> str:
    """Return what a share is one of: ``39 images``, ``5 times 39 images``."""
    return counted(images, "image") if runs == 1 else f"{runs} times {counted(images, 'image')}"
