"""The interval of a difference between two shares of the same images."""

from __future__ import annotations

import math

__all__ = ["paired_interval"]

_TINY = 1e-12


def paired_interval(gains: int, losses: int, count: int, level: float) -> tuple[float, float]:
    """Return how far the second of two networks may be ahead, in shares of the images.

    It is Tango's score interval (1998), which is right where few images differ or none, and where only one of the two
    has any to itself; it reaches as far as the exact one of the differing images (Clopper and Pearson, 1934), so that
    it holds 0 wherever McNemar's exact test finds no difference.

    Args:
        gains: images that only the second has right.
        losses: images that only the first has right.
        count: all images.
        level: how often the interval holds the truth.
    """
    from scipy.stats import binomtest

    low, high = -_reach(losses, gains, count, level), _reach(gains, losses, count, level)
    if differing := gains + losses:
        exact = binomtest(gains, differing).proportion_ci(level, method="exact")
        low, high = (
            edge(known, (2 * share - 1) * differing / count)
            for edge, known, share in ((min, low, exact.low), (max, high, exact.high))
        )
    return low, high


def _reach(gains: int, losses: int, count: int, level: float) -> float:
    """Return the greatest difference from which the observed one is no further than chance goes."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    value, far = (gains - losses) / count, float(ndtri((1 + level) / 2))

    def beyond(difference: float) -> float:
        return count * (difference - value) - far * _spread(gains, losses, count, difference)

    if value >= 1 or beyond(1.0) < 0:
        return 1.0
    return float(brentq(beyond, value + _TINY, 1.0))  # at the value itself both may be 0


def _spread(gains: int, losses: int, count: int, difference: float) -> float:
    """Return the standard deviation of gains minus losses were the difference so great, by the likeliest losses."""
    middle = (2 * count - gains + losses) * difference - gains - losses
    end = -losses * difference * (1 - difference)
    share = (math.sqrt(max(middle**2 - 8 * count * end, 0.0)) - middle) / (4 * count)
    return math.sqrt(max(count * (2 * share + difference * (1 - difference)), 0.0))
