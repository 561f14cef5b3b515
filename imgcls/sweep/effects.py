"""What mattered in a sweep: how far each parameter moves the objective, the others averaged out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.comparison.significance import LEVEL, holm
from imgcls.settings import plain_text

__all__ = [
    "Effect",
    "Interaction",
    "Level",
    "Thinned",
    "find_effects",
    "find_interactions",
    "find_thinned",
    "levels_of",
    "percent",
]

_MOST_LEVELS = 6  # a parameter with more values is shown in bins
_BINS = 4
_ROUNDING = 1e-12  # of all squares


@dataclass(frozen=True)
class Level:
    """A value of a parameter, or a range of values.

    Attributes:
        values: of the objective, of the trials that had it.
        mean: of the objective, adjusted: as if the trials of each level had the other parameters' values equally often.
        low: lower end of the mean's 95 % interval; None where nothing is left to estimate chance by.
        high: its upper end.
    """

    label: str
    values: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Effect:
    """What a parameter does.

    Attributes:
        share: of the objective's variance over all trials that goes with it, 0..1.
        p: of the F-test that it does nothing, corrected for there being several parameters (Holm, 1979); None where
            nothing is left to estimate chance by.
        best: which of the levels is best.
        worst: which is worst.
        difference: between these two, above 0.
        low: lower end of its 95 % interval, which allows for the two having been picked of several; or None.
        high: its upper end.
    """

    parameter: str
    levels: tuple[Level, ...]
    share: float
    p: float | None
    best: int
    worst: int
    difference: float
    low: float | None
    high: float | None

    @property
    def is_told_apart(self) -> bool:
        """Whether it is more than chance, and the two levels too."""
        return self.p is not None and self.p < LEVEL and self.low is not None and self.low > 0


@dataclass(frozen=True)
class Interaction:
    """Two parameters of which what one does depends on the other.

    Attributes:
        share: of the objective's variance over all trials that goes with it, beyond what each does alone, 0..1.
        p: of the F-test that there is none, corrected for there being several pairs (Bonferroni).
    """

    parameters: tuple[str, str]
    share: float
    p: float


@dataclass(frozen=True)
class Thinned:
    """A value of a parameter, or a range of values, so many of whose trials were given up or failed."""

    parameter: str
    label: str
    given_up: int
    trials: int


def percent(share: float) -> str:
    """Return a share as ``95 %``, or ``0.3 %`` where it is small."""
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


@dataclass(frozen=True)
class _Factor:
    """A parameter as groups of trials: the labels, and which of them each trial has."""

    name: str
    labels: tuple[str, ...]
    members: NDArray[np.intp]


def find_effects(points: Sequence[Mapping[str, Any]], values: Sequence[float], *, maximize: bool) -> list[Effect]:
    """Return what each parameter does that varies, the greatest share first.

    The means are least-squares means of an additive model (Searle, Speed and Milliken, 1980): over a full grid they are
    plain means, and where a search has tried good regions more often, that is allowed for. Shares are of the sums of
    squares that are lost when the parameter is left out (type II). A parameter with many values is cut at quartiles.

    Args:
        points: parameter → value, of each trial with a result.
        values: the objective of each.
        maximize: whether more is better.
    """
    model = _model(points, values)
    if model is None:
        return []
    found = [_effect(model, place, maximize=maximize) for place in range(len(model.factors))]
    corrected = iter(holm([effect.p for effect in found if effect.p is not None]))
    found = [effect if effect.p is None else replace(effect, p=next(corrected)) for effect in found]
    return sorted(found, key=lambda effect: -effect.share)


def find_thinned(points: Sequence[Mapping[str, Any]], has_result: Sequence[bool]) -> list[Thinned]:
    """Return the values half or more of whose trials have no result, and more often so than others; the worst first.

    What is known of such a value is of the trials that were good enough, or nothing.

    Args:
        points: parameter → value, of each trial that was begun.
        has_result: whether each was completed.
    """
    without = ~np.asarray(has_result, np.bool_)
    factors = [_factor(name, points) for name in (points[0] if points else ())]
    found = []
    for factor in factors:
        for level, label in enumerate(factor.labels):
            gone = without[factor.members == level]
            if gone.mean() >= 0.5 and gone.mean() > without.mean():
                found.append(Thinned(factor.name, label, int(gone.sum()), len(gone)))
    return sorted(found, key=lambda each: -each.given_up / each.trials)


def _factor(name: str, points: Sequence[Mapping[str, Any]]) -> _Factor:
    values = [point[name] for point in points]
    levels = levels_of(values)
    if levels is None:
        return _binned(name, np.asarray(values, np.float64))
    return _Factor(name, tuple(levels), np.array([levels[plain_text(value)] for value in values]))


def levels_of(values: Sequence[Any]) -> dict[str, int] | None:
    """Return label → place of the distinct values, numbers in their order; None of many numbers: they are a scale."""
    distinct = {plain_text(value): value for value in values}
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        if len(distinct) > _MOST_LEVELS:
            return None
        distinct = dict(sorted(distinct.items(), key=lambda item: item[1]))
    return {label: place for place, label in enumerate(distinct)}


def _binned(name: str, values: NDArray[np.float64]) -> _Factor:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    members = np.searchsorted(edges, values, side="left")
    _, members = np.unique(members, return_inverse=True)  # ties may leave a bin empty
    bins = [values[members == each] for each in range(members.max() + 1)]
    return _Factor(name, tuple(f"{each.min():.3g} to {each.max():.3g}" for each in bins), members)


def find_interactions(points: Sequence[Mapping[str, Any]], values: Sequence[float]) -> list[Interaction]:
    """Return the pairs of parameters that depend on each other by more than chance, the greatest share first.

    Each pair is added to the additive model of ``find_effects`` alone (Fisher, 1935).

    Args:
        points: parameter → value, of each trial with a result.
        values: the objective of each.
    """
    from scipy.stats import f

    model = _model(points, values)
    pairs = [] if model is None else list(itertools.combinations(range(len(model.factors)), 2))
    found = []
    for pair in pairs:
        assert model is not None
        squares, freedom, left, residual = model.gained(*pair)
        if freedom < 1 or left < 1:
            continue
        p = float(f.sf((squares / freedom) / max(residual / left, 1e-300), freedom, left)) * len(pairs)
        if p < LEVEL:
            names = (model.factors[pair[0]].name, model.factors[pair[1]].name)
            found.append(Interaction(names, squares / model.total, p))
    return sorted(found, key=lambda interaction: -interaction.share)


def _model(points: Sequence[Mapping[str, Any]], values: Sequence[float]) -> _Model | None:
    """Return the additive model of what varies; None where there is nothing to fit."""
    names = points[0] if points else ()
    factors = [factor for factor in (_factor(name, points) for name in names) if len(factor.labels) > 1]
    return _Model(factors, np.asarray(values, np.float64)) if factors and len(values) > 1 else None


class _Model:
    """An additive model, fitted by least squares."""

    def __init__(self, factors: Sequence[_Factor], observed: NDArray[np.float64]) -> None:
        self.factors, self.observed = factors, observed
        self.design = self._design()
        self.inverse = np.linalg.pinv(self.design)
        self.coefficients = self.inverse @ observed
        self.total = float(((observed - observed.mean()) ** 2).sum())
        self.residual = self.rest(self.design)
        self.freedom = len(observed) - int(np.linalg.matrix_rank(self.design))

    def _design(self, without: int | None = None) -> NDArray[np.float64]:
        """Return (trials, columns): a column of ones, and one for each level of each factor but its first."""
        columns = [np.ones((len(self.observed), 1))]
        for place, factor in enumerate(self.factors):
            if place != without:
                columns.append(np.eye(len(factor.labels))[factor.members][:, 1:])
        return np.hstack(columns)

    def rest(self, design: NDArray[np.float64]) -> float:
        """Return the squares that a design leaves; what is only rounding is nothing."""
        squares = float(((self.observed - design @ (np.linalg.pinv(design) @ self.observed)) ** 2).sum())
        return squares if squares > _ROUNDING * self.total else 0.0

    def row(self, place: int, level: int) -> NDArray[np.float64]:
        """Return what the coefficients are weighed by for the mean of a level, over the other factors' levels."""
        parts = [np.ones(1)]
        for other, factor in enumerate(self.factors):
            count = len(factor.labels)
            parts.append(np.eye(count)[level, 1:] if other == place else np.full(count - 1, 1 / count))
        return np.concatenate(parts)

    def estimate(self, row: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return a combination of the coefficients and its standard error; None where the trials do not tell it."""
        is_told = np.allclose(row @ self.inverse @ self.design, row, atol=1e-6)
        value = float(row @ self.coefficients)
        if self.freedom < 1 or not is_told:
            return value, None
        variance = self.residual / self.freedom * float(((row @ self.inverse) ** 2).sum())
        return value, math.sqrt(variance)

    def lost(self, place: int) -> tuple[float, int]:
        """Return the squares that a factor alone accounts for, and its degrees of freedom."""
        design = self._design(without=place)
        residual = self.rest(design)
        rank = int(np.linalg.matrix_rank(self.design)) - int(np.linalg.matrix_rank(design))
        return max(residual - self.residual, 0.0), rank

    def gained(self, first: int, second: int) -> tuple[float, int, int, float]:
        """Return what letting two factors depend on each other explains, its degrees of freedom, those left, the rest.

        The first and the last are sums of squares.
        """
        ours, theirs = (
            np.eye(len(each.labels))[each.members][:, 1:] for each in (self.factors[first], self.factors[second])
        )
        products = (ours[:, :, None] * theirs[:, None, :]).reshape(len(ours), -1)
        design = np.hstack([self.design, products])
        residual = self.rest(design)
        left = len(self.observed) - int(np.linalg.matrix_rank(design))
        return max(self.residual - residual, 0.0), self.freedom - left, left, residual


def _effect(model: _Model, place: int, *, maximize: bool) -> Effect:
    from scipy.stats import f, t

    factor = model.factors[place]
    rows = [model.row(place, level) for level in range(len(factor.labels))]
    reach = float(t.ppf(1 - LEVEL / 2, model.freedom)) if model.freedom else 0.0
    levels = []
    for level, row in enumerate(rows):
        mean, error = model.estimate(row)
        low, high = (None, None) if error is None else (mean - reach * error, mean + reach * error)
        values = tuple(map(float, model.observed[factor.members == level]))
        levels.append(Level(factor.labels[level], values, mean, low, high))
    means = [level.mean if maximize else -level.mean for level in levels]
    best, worst = int(np.argmax(means)), int(np.argmin(means))
    difference, error = model.estimate(rows[best] - rows[worst])
    size, pairs = abs(difference), len(levels) * (len(levels) - 1) // 2
    wide = None if error is None else float(t.ppf(1 - LEVEL / 2 / pairs, model.freedom)) * error  # Bonferroni
    squares, freedom = model.lost(place)
    p = None
    if model.freedom and freedom:
        ratio = (squares / freedom) / max(model.residual / model.freedom, 1e-300)
        p = float(f.sf(ratio, freedom, model.freedom))
    low, high = (None, None) if wide is None else (size - wide, size + wide)
    share = squares / model.total if model.total else 0.0
    return Effect(factor.name, tuple(levels), share, p, best, worst, size, low, high)
