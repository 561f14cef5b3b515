"""Whether a difference between accuracies is one: the tests, their intervals, and how much data they would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imgcls.comparison.intervals import paired_interval
from imgcls.evaluation.clusters import variance_of_mean

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

Right = NDArray[np.bool_]
Groups = NDArray[np.intp] | None


class _Estimate(NamedTuple):
    """What is known of a difference: its 95 % interval, and how often chance alone would show as great a one."""

    low: float
    high: float
    p: float

    def widened(self, other: _Estimate) -> _Estimate:
        """Return what both leave open."""
        return _Estimate(min(self.low, other.low), max(self.high, other.high), max(self.p, other.p))


@dataclass(frozen=True)
class Difference:
    """How much better the second of two sides is than the first, in shares of the images.

    Attributes:
        test: its name, as people cite it.
        value: accuracy of the second minus that of the first.
        low: lower end of the 95 % interval of the value, from -1.
        high: upper end, to 1.
        p: how often chance alone would show as great a difference, either way.
        low_seeds: as ``low``, where other seeds might have been drawn too; ``low`` itself of tests that know of seeds.
        high_seeds: likewise.
        p_seeds: likewise.
        needed: how many images it takes to see one of this size; None where that cannot be told.
    """

    test: str
    value: float
    low: float
    high: float
    p: float
    low_seeds: float
    high_seeds: float
    p_seeds: float
    needed: int | None = None

    @property
    def turned(self) -> Difference:
        """How much better the first of the two is."""
        return replace(
            self,
            value=-self.value,
            low=-self.high,
            high=-self.low,
            low_seeds=-self.high_seeds,
            high_seeds=-self.low_seeds,
        )


def of_images(first: Right, second: Right, groups: Groups = None) -> Difference:
    """Compare two networks by the images that only one of them has right.

    The p-value is that of McNemar's test (McNemar, 1947) in its exact form, a binomial test of the images on which the
    two differ: is one of these networks better? The interval is Tango's (1998), wide enough to agree with that test.
    Images of one group are not independent: both are widened to what a t-test of the groups leaves open. Whether the
    network's settings are better is a harder question, for another seed would have made another network: ``p_seeds``
    and its interval allow for ``SEED_SPREAD`` in each.

    Args:
        first: (n,), whether the first has each image right.
        second: the same of the second, in the same order.
        groups: (n,), which group each image is of, counted from 0; None where each is independent of the others.
    """
    from scipy.stats import binomtest

    count, gains, losses = len(first), int((second & ~first).sum()), int((first & ~second).sum())
    value, differing = (gains - losses) / count, gains + losses
    p = float(binomtest(gains, differing).pvalue) if differing else 1.0
    found = _Estimate(*paired_interval(gains, losses, count, 1 - LEVEL), p)
    variance, freedom = variance_of_mean(second.astype(np.float64) - first, groups)
    if groups is not None:
        found = found.widened(_by_t(value, variance, freedom))
    seeded = found.widened(_by_t(value, variance + 2 * SEED_SPREAD**2, math.inf if groups is None else freedom))
    needed = images_needed(value, differing / count) if groups is None else None
    return Difference("exact McNemar test", value, *found, *seeded, needed)


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


def of_repeats(first: Right, second: Right, groups: Groups = None) -> Difference | None:
    """Compare two experiments by their repeats, as a sample of their seeds and of the images.

    Welch's test (Welch, 1947) of their accuracies knows of other seeds alone: however many there are, they are measured
    on the same images, on which one of two equal experiments is ahead. So the variance of the difference over the
    images is added, without what the seeds do to each image by itself, which Welch's has already; as radiology does
    with readers and cases (Dorfman, Berbaum and Metz, 1992). Degrees of freedom after Satterthwaite (1946).

    Args:
        first: (runs, n), whether each repeat has each image right.
        second: likewise, of the other experiment, the images in the same order.
        groups: as of ``of_images``.

    Returns:
        None of fewer than two repeats, or where none of their accuracies differ: nothing is known of chance then.
    """
    sides = (first, second)
    if min(map(len, sides)) < 2 or not any(np.ptp(side.mean(axis=1)) for side in sides):
        return None
    errors = [float(side.mean(axis=1).var(ddof=1)) / len(side) for side in sides]
    freedom = sum(errors) ** 2 / sum(error**2 / (len(side) - 1) for error, side in zip(errors, sides, strict=True))
    own = sum(_of_seeds(side) / len(side) for side in sides)
    change = second.mean(axis=0) - first.mean(axis=0)
    return _crossed("Welch's t-test over seeds and images", change, sum(errors), freedom, own, groups)


def of_run_and_repeats(single: Right, repeats: Right, groups: Groups = None) -> Difference | None:
    """Compare repeats with a single run, as if it were one more of them (Crawford and Howell, 1998).

    The images are a sample too, as of ``of_repeats``.

    Args:
        single: (n,), whether the run has each image right.
        repeats: (runs, n), the same of each repeat.
        groups: as of ``of_images``.

    Returns:
        How much better the repeats are; None of fewer than two repeats, or where none of their accuracies differ.
    """
    count, accuracies = len(repeats), repeats.mean(axis=1)
    if count < 2 or not np.ptp(accuracies):
        return None
    share = 1 + 1 / count
    seeds, own = float(accuracies.var(ddof=1)) * share, _of_seeds(repeats) * share
    change = repeats.mean(axis=0) - single
    return _crossed("Crawford and Howell's t-test over seeds and images", change, seeds, count - 1, own, groups)


def _of_seeds(repeats: Right) -> float:
    """Return the variance of one run's accuracy by what the seed does to each image by itself."""
    return float(repeats.var(axis=0, ddof=1).mean()) / repeats.shape[1]


def _crossed(
    test: str, change: NDArray[np.float64], seeds: float, freedom: float, own: float, groups: Groups
) -> Difference:
    """Return a difference whose variance is that of the seeds and that of the images, without what both have."""
    value = float(change.mean())
    variance = seeds + max(variance_of_mean(change, groups)[0] - own, 0.0)
    found = _by_t(value, variance, freedom * (variance / seeds) ** 2)
    return Difference(test, value, *found, *found)


def _by_t(value: float, variance: float, freedom: float) -> _Estimate:
    """Return what Student's t leaves open of a difference."""
    from scipy.special import stdtr, stdtrit

    error = math.sqrt(variance)
    reach = float(stdtrit(freedom, 1 - LEVEL / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(value) / error)) if error else float(not value)
    return _Estimate(max(value - reach, -1.0), min(value + reach, 1.0), p)


def of_folds(first: Sequence[float], second: Sequence[float], overlap: float) -> Difference | None:
    """Compare two cross-validations over the same folds: the corrected resampled t-test (Nadeau and Bengio, 2003).

    Args:
        first: an accuracy a fold.
        second: likewise, of the other experiment, in the same order.
        overlap: images that a fold is measured on for one that trains it.

    Returns:
        None where the folds do not differ at all: nothing is known of chance then.
    """
    gains = np.subtract(second, first)
    if len(gains) < 2 or not np.ptp(gains):
        return None
    value, variance = float(gains.mean()), float(gains.var(ddof=1)) * (1 / len(gains) + overlap)
    found = _by_t(value, variance, len(gains) - 1)
    return Difference("corrected resampled t-test", value, *found, *found)


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
