"""Published figures that cannot be true, whatever was measured.

A published figure is a rounded one: every check takes it for anything that rounds to it, so that no true figure is ever
called impossible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from imgcls.evaluation.class_reports import class_text, impossible_averages, impossible_classes, times_text
from imgcls.evaluation.matrices import against_matrix
from imgcls.evaluation.rounding import around, number_text
from imgcls.evaluation.spreads import impossible_spreads
from imgcls.findings import Finding
from imgcls.spec.reported import AGREEMENTS, EXACT, LOSSES, SHARES, ReportedSpec

__all__ = ["IMPOSSIBLE", "impossible", "reported_remarks"]

IMPOSSIBLE = "reported_impossible"


def reported_remarks(reported: ReportedSpec | None) -> list[Finding]:
    """Return what the user should know of published figures: that they cannot be true, or mean nothing."""
    found = impossible(reported)
    if reported is not None and reported.confusion_matrix:
        from imgcls.evaluation.checks import check_reported

        found += check_reported(reported)
    return found


def impossible(reported: ReportedSpec | None) -> list[Finding]:
    """Return the published figures that no result can have, each with the bound that it breaks."""
    if reported is None:
        return []
    messages = [*_figures_out_of_range(reported), *_classes_out_of_range(reported)]
    if not messages:  # else the rest would only say so again
        messages = [message for check in _CHECKS for message in check(reported)]
    return [Finding(IMPOSSIBLE, message) for message in messages]


def _figures_out_of_range(reported: ReportedSpec) -> Iterator[str]:
    for name, figure in reported.figures.items():
        low, high = _range(name)
        for value in figure.levels.values():
            if not low <= value <= high:
                bound = f"it is from {low} to {high}" if high == 1 else "it is never below 0"
                yield f"{name}: {number_text(value)} cannot be: {bound}"


def _range(name: str) -> tuple[float, float]:
    if name in LOSSES:  # nobody says which loss it is
        return -math.inf, math.inf
    return (0, 1) if name in SHARES else (-1, 1) if name in AGREEMENTS else (0, math.inf)


def _classes_out_of_range(reported: ReportedSpec) -> Iterator[str]:
    for name, row in reported.per_class.items():
        for key, value in (("precision", row.precision), ("recall", row.recall), ("F1", row.f1)):
            if value is not None and not 0 <= value <= 1:
                yield f"{class_text(name)}: {key} {number_text(value)} cannot be: it is from 0 to 1"


def _parameters(reported: ReportedSpec) -> Iterator[str]:
    """Hold counts of parameters to be whole numbers, and those that learn to be among all."""
    for name, figure in reported.figures.items():
        if name in EXACT:
            values = [value for key, value in figure.levels.items() if key != "mean"]
            yield from (f"{name}: {number_text(value)} is no whole number" for value in values if value % 1)
    total, trainable = reported.total_params, reported.trainable_params
    if total and trainable and trainable.published > total.published:
        yield f"trainable_params: {number_text(trainable.published)} is more than all {number_text(total.published)}"


def _epochs(reported: ReportedSpec) -> Iterator[str]:
    """Hold epochs to be whole, and their mean over n runs to be a multiple of 1/n (Brown and Heathers, 2017)."""
    figure = reported.epochs_run
    for key, value in figure.levels.items() if figure else ():
        n = 1 if key in ("min", "max") else reported.repeats
        if n is not None and not around("epochs_run", value).holds_fraction(n):
            what = "no whole number" if n == 1 else f"no mean of {n} whole numbers"
            yield f"epochs_run: {number_text(value)} is {what}"


def _fractions(reported: ReportedSpec) -> Iterator[str]:
    """Hold the shares of images to be such, where their number is known."""
    runs, n = reported.runs, reported.images
    for name in ("accuracy", "top5_accuracy"):
        figure = reported.figures.get(name)
        for key, value in figure.levels.items() if figure and n else ():
            times = 1 if key in ("min", "max") else runs
            if n and times and not around(name, value).holds_fraction(n * times):
                yield f"{name}: {number_text(value)} is no fraction of {times_text(n, times)}"


def _top5(reported: ReportedSpec) -> Iterator[str]:
    name, top, first = "top5_accuracy", reported.top5_accuracy, reported.accuracy
    if top and first and around(name, top.published).high < around(name, first.published).low:
        yield f"{name}: {number_text(top.published)} is below the accuracy, {number_text(first.published)}"


_CHECKS: tuple[Callable[[ReportedSpec], Iterator[str]], ...] = (
    impossible_spreads,
    _parameters,
    _epochs,
    _fractions,
    _top5,
    impossible_classes,
    impossible_averages,
    against_matrix,
)
