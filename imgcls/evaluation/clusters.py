"""What images that belong together, as a patient's do, leave of certainty: they are not independent of each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["clustered_interval", "variance_of_mean"]

_LEVEL = 0.95


def variance_of_mean(
    values: npt.NDArray[np.floating[Any]], groups: npt.NDArray[np.integer[Any]] | None
) -> tuple[float, int]:
    """Return the variance of the mean of what images have, and its degrees of freedom; infinite, of one of them.

    Groups vary as a whole, whatever their sizes (Liang and Zeger, 1986).

    Args:
        values: (n,).
        groups: (n,), which group each image is of, counted from 0 without a gap; None where each is for itself.
    """
    import numpy as np

    rest = values - values.mean()
    sums = rest if groups is None else np.bincount(groups, rest)
    freedom = len(sums) - 1
    if not freedom:
        return math.inf, 1
    return float((sums**2).sum()) / len(values) ** 2 * (freedom + 1) / freedom, freedom


def clustered_interval(right: npt.NDArray[np.bool_], groups: npt.NDArray[np.integer[Any]]) -> tuple[float, float]:
    """Return the 95 % confidence interval of an accuracy on images in groups.

    It is Wilson's (1927) for as many images as would tell as much if they were independent, with an allowance for few
    groups (Korn and Graubard, 1998); never for more than there are. Where all are right, or all wrong, the groups do
    not tell how alike their images are: each counts as one.

    Args:
        right: (n,), whether each image was classified rightly.
        groups: as of ``variance_of_mean``.
    """
    from scipy.special import ndtri, stdtrit

    variance, freedom = variance_of_mean(right.astype(float), groups)
    if math.isinf(variance):
        return 0.0, 1.0
    accuracy, far = float(right.mean()), float(ndtri((1 + _LEVEL) / 2))
    independent = accuracy * (1 - accuracy) / variance if variance else freedom + 1.0
    count = min(independent * (far / float(stdtrit(freedom, (1 + _LEVEL) / 2))) ** 2, float(len(right)))
    return _wilson(accuracy, count, far)


def _wilson(share: float, count: float, far: float) -> tuple[float, float]:
    middle = (share + far**2 / (2 * count)) / (1 + far**2 / count)
    reach = far / (1 + far**2 / count) * math.sqrt(share * (1 - share) / count + far**2 / (4 * count**2))
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
