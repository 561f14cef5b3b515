"""Whether a difference between accuracies is one: the tests, their intervals, and how much data they would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LEVEL",
    "SEED_SPREAD",
    "Difference",
    "holm",
    "images_needed",
    "of_folds",
    "of_images",
    "of_repeats",
    "of_run_and_repeats",
    "rank_ranges",
]

LEVEL = 0.05  # a difference is called one where chance alone would show such a one less often

SEED_SPREAD = 0.005
"""Standard deviation of an accuracy by the seed alone, beyond what each image does for itself, that one training cannot
know. Five repeats of a course report's networks had .003 to .008, 40 short trainings on digits .0076; networks that are
trained to the end have less (Jordan, 2023)."""

_POWER = 0.8  # how often as many images as are said to be needed would show the difference
_RESAMPLES = 20_000
_SEED = 0  # of the bootstrap: the same runs give the same interval


@dataclass(frozen=True)
class Difference:
    """How much better the second of two sides is than the first, in shares of the images.

    Attributes:
        test: its name, as people cite it.
        value: accuracy of the second minus that of the first.
        low: lower end of the 95 % interval of the value.
        high: upper end.
        p: how often chance alone would show as great a difference, either way.
        p_seeds: the same where other seeds might have been drawn too; p itself of tests that know of seeds.
        needed: how many images it takes to see one of this size; None where that cannot be told.
    """

    test: str
    value: float
    low: float
    high: float
    p: float
    p_seeds: float
    needed: int | None = None

    @property
    def turned(self) -> Difference:
        """How much better the first of the two is."""
        return replace(self, value=-self.value, low=-self.high, high=-self.low)


def of_images(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Difference:
    """Compare two networks by the images that only one of them has right.

    The p-value is that of McNemar's test (McNemar, 1947) in its exact form, a binomial test of the images on which the
    two differ: is one of these networks better? The interval is a paired bootstrap of the images (Efron and Tibshirani,
    1993, percentiles). Whether its settings are better is a harder question, for another seed would have made another
    network: ``p_seeds`` allows for ``SEED_SPREAD`` in each.

    Args:
        first: (n,), whether the first has each image right.
        second: the same of the second, in the same order.
    """
    from scipy.stats import binomtest

    count, gains, losses = len(first), int((second & ~first).sum()), int((first & ~second).sum())
    differing = gains + losses
    p = float(binomtest(gains, differing).pvalue) if differing else 1.0
    # a resampled image is a gain, a loss or neither: so many draws of images are as many of their counts
    shares = np.array([gains, losses, count - differing]) / count
    drawn = np.random.default_rng(_SEED).multinomial(count, shares, _RESAMPLES)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / count, [100 * LEVEL / 2, 100 * (1 - LEVEL / 2)])
    value = (gains - losses) / count
    needed = images_needed(value, differing / count)
    p_seeds = max(p, _beyond_seeds(value, differing / count, count))
    return Difference("exact McNemar test", value, float(low), float(high), p, p_seeds, needed)


def _beyond_seeds(value: float, differing: float, count: int) -> float:
    """Return the p-value of a difference whose variance is that of the images and of two seeds."""
    from scipy.special import ndtr

    variance = (differing - value**2) / count + 2 * SEED_SPREAD**2
    return 2 * float(ndtr(-abs(value) / math.sqrt(variance)))


def images_needed(value: float, differing: float) -> int | None:
    """Return how many images McNemar's test takes to see a difference four times out of five (Connor, 1987).

    Args:
        value: the difference, as a share of the images.
        differing: share of the images that only one of the two has right; at least as great.

    Returns:
        None where there is no difference.
    """
    if not value:
        return None
    from scipy.special import ndtri

    alpha, power = float(ndtri(1 - LEVEL / 2)), float(ndtri(_POWER))
    spread = math.sqrt(max(differing - value**2, 0.0))
    return math.ceil(((alpha * math.sqrt(differing) + power * spread) / value) ** 2)


def of_repeats(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """Compare two experiments by the accuracies of their repeats: Welch's test (Welch, 1947).

    Args:
        first: an accuracy a repeat.
        second: likewise, of the other experiment.

    Returns:
        None of fewer than two repeats, or where none of them differ: nothing is known of chance then.
    """
    from scipy.stats import ttest_ind

    if min(len(first), len(second)) < 2 or not (np.ptp(first) or np.ptp(second)):
        return None
    found = ttest_ind(second, first, equal_var=False)
    interval = found.confidence_interval(1 - LEVEL)
    value = float(np.mean(second) - np.mean(first))
    p = float(found.pvalue)
    return Difference("Welch's t-test", value, float(interval.low), float(interval.high), p, p)


def of_folds(first: Sequence[float], second: Sequence[float], overlap: float) -> Difference | None:
    """Compare two cross-validations over the same folds: the corrected resampled t-test (Nadeau and Bengio, 2003).

    Args:
        first: an accuracy a fold.
        second: likewise, of the other experiment, in the same order.
        overlap: images that a fold is measured on for one that trains it.

    Returns:
        None where the folds do not differ at all: nothing is known of chance then.
    """
    from scipy.special import stdtr, stdtrit

    gains = np.subtract(second, first)
    count = len(gains)
    if count < 2 or not np.ptp(gains):
        return None
    value = float(gains.mean())
    error = float(gains.std(ddof=1)) * math.sqrt(1 / count + overlap)
    reach = float(stdtrit(count - 1, 1 - LEVEL / 2)) * error
    p = 2 * float(stdtr(count - 1, -abs(value) / error))
    return Difference("corrected resampled t-test", value, value - reach, value + reach, p, p)


def of_run_and_repeats(single: float, repeats: Sequence[float]) -> Difference | None:
    """Compare repeats with a single run, as if it were one more of them (Crawford and Howell, 1998).

    Args:
        single: accuracy of the run.
        repeats: an accuracy a repeat.

    Returns:
        How much better the repeats are; None of fewer than two repeats, or where none of them differ.
    """
    from scipy.special import stdtr, stdtrit

    count = len(repeats)
    if count < 2 or not np.ptp(repeats):
        return None
    value = float(np.mean(repeats) - single)
    error = float(np.std(repeats, ddof=1)) * math.sqrt(1 + 1 / count)
    reach = float(stdtrit(count - 1, 1 - LEVEL / 2)) * error
    p = 2 * float(stdtr(count - 1, -abs(value) / error))
    return Difference("Crawford and Howell's t-test", value, value - reach, value + reach, p, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for there being several tests (Holm, 1979), in the order they were given."""
    corrected, greatest = [1.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        greatest = max(greatest, min(1.0, p_values[index] * (len(p_values) - place)))
        corrected[index] = greatest
    return corrected


def rank_ranges(count: int, better: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return from which to which rank each side may be; 1 is the best (Mogstad and others, 2024).

    Args:
        count: of the sides.
        better: pairs (of the better, of the worse) that a test has told apart.
    """
    return [
        (
            1 + sum((other, each) in better for other in range(count)),
            count - sum((each, other) in better for other in range(count)),
        )
        for each in range(count)
    ]
