"""Mean, standard deviation, minimum and maximum of n values, held against each other.

The standard deviation may be of either kind: divided by n - 1 (sample) or by n (population).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from imgcls.evaluation.rounding import Interval, around, decimals, number_text
from imgcls.spec.reported import FigureSpec, ReportedSpec
from imgcls.wording import counted

__all__ = ["impossible_spreads"]


def impossible_spreads(reported: ReportedSpec) -> Iterator[str]:
    """Give what is wrong with the figures of several runs; of each figure the first thing only."""
    for name, figure in reported.figures.items():
        for check in _CHECKS if figure.mean is not None else ():
            if messages := list(check(name, figure, reported.repeats)):
                yield from messages
                break


def _beyond_mean(name: str, figure: FigureSpec, _: int | None) -> Iterator[str]:
    mean, digits = around(name, figure.published), _digits(figure)
    middle = number_text(figure.published, digits)
    for word, side, value in _ends(figure):
        end = around(name, value)
        if end.low > mean.high if side < 0 else end.high < mean.low:
            yield f"{name}: a {word} of {number_text(value, digits)} cannot be: the mean is {middle}"


def _beyond_reach(name: str, figure: FigureSpec, n: int | None) -> Iterator[str]:
    """Give the extremes that are farther from the mean than one of n values can be (Samuelson, 1968)."""
    if figure.sd is None or n is None or n == 1:
        return
    mean, digits = around(name, figure.published), _digits(figure)
    farthest = around(name, figure.sd).high * math.sqrt(n - 1)
    for word, side, value in _ends(figure):
        end = around(name, value)
        if mean.low - farthest > end.high if side < 0 else mean.high + farthest < end.low:
            yield (
                f"{name}: a {word} of {number_text(value, digits)} cannot be: {counted(n, 'value')} with mean "
                f"{number_text(figure.published, digits)} and sd {number_text(figure.sd, digits)} reach at "
                f"{_reach(figure.published, figure.sd, n, side, digits)}"
            )


def _reach(mean: float, sd: float, n: int, side: int, digits: int) -> str:
    """Say how far one of n values can be from their mean, by either kind of standard deviation."""
    farthest = ((n - 1) / math.sqrt(n), math.sqrt(n - 1))  # in sample and in population standard deviations
    sample, population = (number_text(mean + side * sd * far, digits) for far in farthest)
    return f"{'most' if side > 0 else 'least'} {sample} ({population} if the sd is divided by n)"


def _beyond_range(name: str, figure: FigureSpec, n: int | None) -> Iterator[str]:
    """Give a standard deviation that values between the published minimum and maximum cannot have."""
    if figure.sd is None or figure.min is None or figure.max is None or n == 1:
        return
    mean, sd, digits = around(name, figure.published), around(name, figure.sd), _digits(figure)
    above, below = around(name, figure.max).minus(mean), mean.minus(around(name, figure.min))
    least, most = _least_sd(above, below, n), _greatest_sd(above, below, n)
    if least > sd.high or sd.low > most:
        bound, word = (least, "least") if least > sd.high else (most, "most")
        low, high, middle = (number_text(value, digits) for value in (figure.min, figure.max, figure.published))
        yield (
            f"{name}: a sd of {number_text(figure.sd, digits)} cannot be: {counted(n, 'value') if n else 'values'} "
            f"between {low} and {high} with mean {middle} have at {word} {number_text(bound, digits + 1)}"
        )


_CHECKS: tuple[Callable[[str, FigureSpec, int | None], Iterator[str]], ...] = (
    _beyond_mean,
    _beyond_reach,
    _beyond_range,
)


def _least_sd(above: Interval, below: Interval, n: int | None) -> float:
    """Return the sd (divided by n) of two extremes and n - 2 equal values that bring the mean back to where it is.

    Args:
        above: how far the maximum is above the mean.
        below: how far the minimum is below it.
        n: how many values; where nobody says, the two extremes can be lost among any number of them.
    """
    if n is None:
        return 0.0
    gap = max(0.0, above.low - below.high, below.low - above.high)
    rest = gap / math.sqrt(n - 2) if n > 2 else 0.0
    return math.hypot(max(0.0, above.low), max(0.0, below.low), rest) / math.sqrt(n)


def _greatest_sd(above: Interval, below: Interval, n: int | None) -> float:
    """Return the greatest sd (divided by n - 1) of values between two ends (Bhatia and Davis, 2000)."""
    return math.sqrt(above.high * below.high * (n / (n - 1) if n else 2))  # two values have the most


def _ends(figure: FigureSpec) -> Iterator[tuple[str, int, float]]:
    """Give word, side of the mean and value of each extreme that was published."""
    for word, side, value in (("minimum", -1, figure.min), ("maximum", 1, figure.max)):
        if value is not None:
            yield word, side, value


def _digits(figure: FigureSpec) -> int:
    """Return with how many decimals mean, sd, min and max are shown: as the longest of them."""
    return max(decimals(value) for value in (*figure.levels.values(), figure.sd or 0.0))
