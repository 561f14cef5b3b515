"""Whether predictions have anything to do with the labels, told from a confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Alignment", "alignment"]

_TABLES = 1999  # drawn at random, to see what chance makes
_AT_A_TIME = 100
_ENOUGH = 5  # images that chance would put into each cell: the chi-square distribution will do (Cochran, 1954)
_MAX_CLASSES = 100  # tables of more are too large to draw; with as many cells, the chi-square distribution will do
_SEED = 0  # the same matrix gives the same p-value


@dataclass(frozen=True)
class Alignment:
    """How far predictions and labels go together.

    Attributes:
        p: how often as many labels of each class and as many predictions of each, put together by chance, would depend
            on each other as much.
        kappa: Cohen's (Cohen, 1960): 1 full agreement, 0 that of chance; nan where only one class is there.
        matched: images that were right, were each predicted class to stand for the one that it goes with best, one to
            one; of those images alone that had no say in which that is.
        judged: how many these images are.
    """

    p: float
    kappa: float
    matched: int
    judged: int


def alignment(matrix: Sequence[Sequence[int]] | NDArray[np.int64]) -> Alignment | None:
    """Test a confusion matrix for independence of its rows and columns (Pearson's chi-square statistic).

    Where classes are rare, the p-value comes from random tables with the same sums (Patefield, 1981), else from the
    chi-square distribution.

    Args:
        matrix: (classes, classes), rows true, columns predicted.

    Returns:
        None where all labels or all predictions are of one class: there is nothing to depend on.
    """
    counts = np.asarray(matrix, np.int64)
    table = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return None
    return Alignment(_independence(table), _kappa(counts), *_matched(counts))


def _independence(table: NDArray[np.int64]) -> float:
    from scipy.stats import chi2_contingency

    rows, columns = table.sum(axis=1), table.sum(axis=0)
    expected = np.outer(rows, columns) / table.sum()
    if max(table.shape) > _MAX_CLASSES or expected.min() >= _ENOUGH:
        return float(chi2_contingency(table, correction=False).pvalue)
    found = _dependence(table, expected)
    chance = np.concatenate([_dependence(each, expected) for each in _drawn(rows, columns)])
    return float((1 + np.sum(chance >= found * (1 - 1e-9))) / (1 + _TABLES))


def _dependence(tables: NDArray[np.int64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's statistic of one table, or of each of several."""
    statistics: NDArray[np.float64] = ((tables - expected) ** 2 / expected).sum(axis=(-2, -1))
    return statistics


def _drawn(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Give all random tables with these sums, a few at a time: of 100 classes all would take half a gigabyte."""
    from scipy.stats import random_table

    drawn = random_table(rows, columns, seed=_SEED)
    for first in range(0, _TABLES, _AT_A_TIME):
        yield drawn.rvs(min(_AT_A_TIME, _TABLES - first), method="patefield")


def _kappa(counts: NDArray[np.int64]) -> float:
    shares = counts / counts.sum()
    chance = float(shares.sum(axis=1) @ shares.sum(axis=0))
    return (float(np.trace(shares)) - chance) / (1 - chance)


def _matched(counts: NDArray[np.int64]) -> tuple[int, int]:
    """Return how many images the best one-to-one renaming of the predicted classes has right (Kuhn, 1955), of how many.

    It is chosen by one half of the images, drawn at random, and judged by the other: of so many renamings the best fits
    the images that it was chosen by far better than any others.
    """
    from scipy.optimize import linear_sum_assignment

    chosen_by = np.random.default_rng(_SEED).binomial(counts, 0.5)  # a coin is tossed for each image
    judged = counts - chosen_by
    return int(judged[linear_sum_assignment(chosen_by, maximize=True)].sum()), int(judged.sum())
