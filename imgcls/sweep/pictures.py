"""The pictures of a sweep, for print: what each parameter does, and every trial as a line or a point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgcls.evaluation.pictures import save_figure, short_name
from imgcls.settings import plain_text
from imgcls.sweep.effects import Effect, levels_of, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["draw_effects", "draw_parallel_coordinates", "draw_scatter_matrix"]

TRIAL, MEAN = "0.6", "#d1590a"
MOST_PANELS = 12
ACROSS = 4
MOST_LINES = 1000
MOST_SCATTERED = 8  # parameters
SPREAD = 0.12  # of the lines through one value
_NEAR = 0.17  # of the way to the next value: so far around it lie the trials that have it


def draw_effects(path: Path, effects: Sequence[Effect], objective: str) -> None:
    """Draw a panel a parameter: its trials as dots, and the adjusted mean of each value with its 95 % interval.

    Args:
        path: the PNG file.
        effects: the greatest first; of more than twelve the others are left out.
        objective: its name.
    """
    from matplotlib.figure import Figure

    shown = effects[:MOST_PANELS]
    columns = min(len(shown), ACROSS)
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(max(2.7 * columns, 4.0), 2.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, effect in zip(panels, shown, strict=False):
        _draw_effect(axes, effect)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for place in range(0, len(shown), columns):
        panels[place].set_ylabel(objective)
    save_figure(figure, path)


def _draw_effect(axes: Axes, effect: Effect) -> None:
    for place, level in enumerate(effect.levels):
        spread = np.random.default_rng(0).uniform(-0.16, 0.16, len(level.values))  # else they hide each other
        axes.plot(place + spread, level.values, ".", color=TRIAL, markersize=3, zorder=1)
        if level.low is not None and level.high is not None:
            axes.plot([place, place], [level.low, level.high], color=MEAN, linewidth=2, zorder=2)
    means = [level.mean for level in effect.levels]
    axes.plot(range(len(means)), means, "-o", color=MEAN, markersize=5, linewidth=1.2, zorder=3)
    labels = [short_name(level.label) for level in effect.levels]
    upright = sum(map(len, labels)) <= 22
    axes.set_xticks(range(len(labels)), labels, rotation=0 if upright else 30, ha="center" if upright else "right")
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_title(f"{short_name(effect.parameter)} ({percent(effect.share)})", fontsize=10, parse_math=False)
    axes.grid(visible=True, axis="y", color="0.88", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def draw_parallel_coordinates(
    path: Path, points: Sequence[Mapping[str, Any]], values: Sequence[float], objective: str, *, maximize: bool
) -> None:
    """Draw each trial as a line through the values of its parameters to its objective, the best ones on top.

    Args:
        path: the PNG file.
        points: parameter → value, of each trial with a result.
        values: the objective of each.
        objective: its name.
        maximize: whether more is better.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    order = np.argsort(values if maximize else [-value for value in values])[-MOST_LINES:]
    axes_of = {name: _scale([point[name] for point in points]) for name in points[0]}
    axes_of[objective] = _linear(list(values))
    figure = Figure(figsize=(max(1.7 * len(axes_of), 5.0), 4.2), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(axes_of))
    heights = np.array([scale.heights for scale in axes_of.values()]).T
    spread = np.array([SPREAD if scale.is_crowded else 0.0 for scale in axes_of.values()])
    for rank, trial in enumerate(order):
        share = rank / max(len(order) - 1, 1)
        color = colormaps["viridis"](share)
        line = heights[trial] + spread * (share - 0.5)  # of trials with one value the better runs above
        axes.plot(places, line, color=color, alpha=0.15 + 0.75 * share**2, linewidth=0.7 + 1.3 * share**4)
    for place, (name, scale) in enumerate(axes_of.items()):
        axes.plot([place, place], [-SPREAD / 2, 1 + SPREAD / 2], color="0.3", linewidth=1)
        for label, height in scale.ticks:
            axes.annotate(
                short_name(label), (place, height), xytext=(4, 0), textcoords="offset points", fontsize=8, va="center",
                bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75}, parse_math=False,
            )  # fmt: skip
        axes.annotate(
            short_name(name), (place, 1.1), ha="center", fontsize=9, annotation_clip=False, parse_math=False,
            weight="bold" if name == objective else "normal",
        )  # fmt: skip
    axes.set_xlim(-0.35, len(axes_of) - 0.6)
    axes.set_ylim(-0.06, 1.18)
    axes.set_axis_off()
    save_figure(figure, path)


def draw_scatter_matrix(
    path: Path, points: Sequence[Mapping[str, Any]], values: Sequence[float], objective: str, *, maximize: bool
) -> None:
    """Draw each pair of parameters as a field of trials, coloured by the objective; the best ones on top.

    Args:
        path: the PNG file.
        points: parameter → value, of each trial with a result; of more than eight parameters the others are left out.
        values: the objective of each.
        objective: its name.
        maximize: whether more is better.
    """
    from matplotlib.figure import Figure

    names = list(points[0])[:MOST_SCATTERED]
    order = np.argsort(values if maximize else [-value for value in values])[-MOST_LINES:]
    scales = [_scale([point[name] for point in points]) for name in names]
    side = len(names) - 1
    figure = Figure(figsize=(1.9 * side + 1.6, 1.9 * side + 0.6), layout="constrained")
    panels = figure.subplots(side, side, squeeze=False)
    for row in range(side):
        for column in range(side):
            axes = panels[row][column]
            if column > row:
                axes.set_visible(False)
                continue
            across, upwards = _apart(scales[column], scales[row + 1], order)
            field = axes.scatter(
                across, upwards, c=np.asarray(values)[order], s=14, linewidths=0,
                cmap="viridis" if maximize else "viridis_r",
            )  # fmt: skip
            _label(axes, scales[column], names[column] if row == side - 1 else "", is_upright=False)
            _label(axes, scales[row + 1], names[row + 1] if column == 0 else "", is_upright=True)
    figure.colorbar(field, ax=panels, shrink=0.6, label=objective)
    save_figure(figure, path)


def _apart(x: _Axis, y: _Axis, trials: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where trials stand in a field: at their values; those with both in common around them, none on another."""
    across, upwards = (np.asarray(scale.heights, np.float64)[trials] for scale in (x, y))
    groups: dict[tuple[float, float], list[int]] = {}
    for place, pair in enumerate(zip(across.tolist(), upwards.tolist(), strict=True)):
        groups.setdefault(pair, []).append(place)
    widths = [_NEAR / max(len(scale.ticks) - 1, 1) for scale in (x, y)]
    for group in groups.values():
        turn = np.arange(len(group)) * math.pi * (3 - math.sqrt(5))  # a sunflower's seeds (Vogel, 1979)
        radius = np.sqrt(np.arange(len(group))[::-1] / max(len(group) - 1, 8))  # the best, which is last, in the middle
        across[group] += widths[0] * radius * np.cos(turn)
        upwards[group] += widths[1] * radius * np.sin(turn)
    return across, upwards


def _label(axes: Axes, scale: _Axis, name: str, *, is_upright: bool) -> None:
    axis = axes.yaxis if is_upright else axes.xaxis
    axis.set_ticks([height for _, height in scale.ticks])
    labels = [short_name(label, 12) for label, _ in scale.ticks] if name else []
    axis.set_ticklabels(labels or [""] * len(scale.ticks), fontsize=7, parse_math=False)
    if not is_upright:
        axes.tick_params(axis="x", rotation=0 if sum(map(len, labels)) <= 16 else 30)
    axis.set_label_text(short_name(name), fontsize=8, parse_math=False)
    (axes.set_ylim if is_upright else axes.set_xlim)(-0.25, 1.25)


class _Axis:
    """Where each trial's value stands on an axis from 0 to 1, and what is written beside it."""

    def __init__(
        self, heights: Sequence[float], ticks: Sequence[tuple[str, float]], *, is_crowded: bool = False
    ) -> None:
        self.heights, self.ticks, self.is_crowded = heights, ticks, is_crowded


def _scale(values: Sequence[Any]) -> _Axis:
    levels = levels_of(values)
    if levels is None:
        return _linear([float(value) for value in values], log=_is_wide(values))
    step = 1 / max(len(levels) - 1, 1)
    height = {label: place * step for label, place in levels.items()}
    return _Axis([height[plain_text(value)] for value in values], list(height.items()), is_crowded=True)


def _is_wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > 30


def _linear(values: list[float], *, log: bool = False) -> _Axis:
    low, high = min(values), max(values)
    scaled = np.log(values) if log else np.asarray(values, np.float64)
    heights = (scaled - scaled.min()) / max(float(np.ptp(scaled)), 1e-300)
    middle = math.sqrt(low * high) if log else (low + high) / 2
    return _Axis(list(heights), [(f"{low:.3g}", 0.0), (f"{middle:.3g}", 0.5), (f"{high:.3g}", 1.0)])
