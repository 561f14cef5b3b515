"""What a published figure, which is a rounded one, can stand for; and how people write it."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import NamedTuple, Self

from imgcls.spec.reported import SHARES

__all__ = ["MAX_DECIMALS", "NO_LIMIT", "Interval", "Printed", "around", "decimals", "number_text", "share"]

SINGLE_PRECISION = 1e-6  # of a figure: what Keras' sums in float32 leave open, however many decimals are printed
MAX_DECIMALS = 7  # more are noise of the arithmetic
NO_LIMIT = 10**15


class Printed(float):
    """A number that knows with how many decimals it was printed: ``0.70`` stands for less than ``0.7`` does."""

    def __new__(cls, value: float, decimals: int) -> Self:
        number = super().__new__(cls, value)
        number.decimals = decimals
        return number

    decimals: int


class Interval(NamedTuple):
    """What a published figure can stand for, both ends included."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low - 1e-9 <= value <= self.high + 1e-9

    def meets(self, other: Interval) -> bool:
        return self.low <= other.high + 1e-9 and other.low <= self.high + 1e-9

    def minus(self, other: Interval) -> Interval:
        return Interval(self.low - other.high, self.high - other.low)

    def whole(self, n: int) -> tuple[int, int]:
        """Return the first and last whole number that is n times something in here; last < first: there is none."""
        return math.ceil(self.low * n - 1e-6), math.floor(self.high * n + 1e-6)

    def holds_fraction(self, n: int) -> bool:
        """Whether some k / n is in here."""
        first, last = self.whole(n) if (self.high - self.low) * n < 1 else (0, 0)
        return first <= last


def around(name: str, value: float) -> Interval:
    """Return what rounds to a value of the figure ``name``."""
    return share(value) if name in SHARES else _rounded(value)


def share(value: float) -> Interval:
    """Return what rounds to a share, of which people write at least one decimal."""
    interval = _rounded(value, 1)
    return Interval(max(0.0, interval.low), min(1.0, interval.high))


def _rounded(value: float, least_decimals: int = 0) -> Interval:
    """Return what rounds to ``value``; it has its own decimals, or at least so many (trailing zeros are lost)."""
    half = max(0.5 * 10.0 ** -max(decimals(value), least_decimals), SINGLE_PRECISION * max(1.0, abs(value)))
    return Interval(value - half, value + half)


def decimals(value: float) -> int:
    """Return how many decimals a finite number is written with."""
    if isinstance(value, Printed):
        return value.decimals
    exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
    assert isinstance(exponent, int)  # spec and measured figures are finite
    return max(0, -exponent)


def number_text(value: float, digits: int | None = None) -> str:
    """Return a number as published: ``.843``, ``1.2910``, ``551,082``; by default with its own decimals."""
    if abs(value) >= NO_LIMIT:
        return f"{value:g}"
    text = f"{value:,.{min(decimals(value), MAX_DECIMALS) if digits is None else digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text
