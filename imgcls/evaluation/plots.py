"""Plots of a result, as figures for a file or a page: learning curves, curves of several trainings, reliability."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgcls.evaluation.metrics import confidence_bins
from imgcls.evaluation.pictures import short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from imgcls.evaluation.metrics import BoolArray, FloatArray

__all__ = ["curves_figure", "overlaid_figure", "reliability_figure"]

GRID = "#e0e0e0"
TRAIN, VALIDATION = "#1f6fb4", "#d1590a"  # told apart by the colour-blind, and by the line's kind in grey print
DISTINCT = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8a8a8a", "#8c7a00",
)  # fmt: skip  # after Okabe and Ito, 2008
BEST_NAMED = 5
_OTHERS: Mapping[str, Any] = {"color": "0.7", "linewidth": 0.7, "alpha": 0.6}


def curves_figure(history: Sequence[Mapping[str, Any]], best_epoch: int | None = None) -> Figure:
    """Return loss and accuracy over the epochs, of training and validation.

    Args:
        history: a row an epoch with ``epoch`` (from 1), ``loss``, ``accuracy`` and, where there is a validation part,
            ``val_loss`` and ``val_accuracy``. Values may be None or NaN. Where ``stage`` changes, a line is drawn.
        best_epoch: whose weights were evaluated; marked.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _draw_curve(axes, history, name, best_epoch)
    return figure


def _draw_curve(axes: Axes, history: Sequence[Mapping[str, Any]], name: str, best_epoch: int | None) -> None:
    epochs = [int(row["epoch"]) for row in history]
    for column, label, colour, line in ((name, "train", TRAIN, "--"), (f"val_{name}", "validation", VALIDATION, "-")):
        values = [_number(row.get(column)) for row in history]
        if any(math.isfinite(value) for value in values):
            marker = "o" if len(values) <= 25 else ""
            axes.plot(epochs, values, line, color=colour, label=label, marker=marker, markersize=4, linewidth=1.6)
    for before, row in itertools.pairwise(history):
        if before.get("stage") != row.get("stage"):
            axes.axvline(row["epoch"] - 0.5, color="0.7", linewidth=1)
            axes.annotate(
                f"stage {row['stage']}", (row["epoch"] - 0.5, 1), xycoords=("data", "axes fraction"),
                xytext=(3, -2), textcoords="offset points", va="top", fontsize=8, color="0.45",
            )  # fmt: skip
    if best_epoch is not None:
        axes.axvline(best_epoch, color="0.35", linewidth=1, linestyle=":", label=f"kept: epoch {best_epoch}")
    axes.set_title(name)
    _over_epochs(axes)
    if len(epochs) <= 1:
        axes.set_xlim(0.5, 1.5) if not epochs else axes.set_xlim(epochs[0] - 0.5, epochs[0] + 0.5)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)


def overlaid_figure(curves: Sequence[tuple[str, Sequence[float | None]]], name: str) -> Figure:
    """Return the curves of several trainings in one plot.

    Args:
        curves: label, and the figure after each epoch, of each training; the best first. Of more than eight only the
            first have a colour and a name.
        name: of the figure, which stands on the axis.
    """
    from matplotlib.figure import Figure

    named = len(curves) if len(curves) <= len(DISTINCT) else BEST_NAMED
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for place, (label, values) in reversed(list(enumerate(curves))):
        is_named = place < named
        style = {"color": DISTINCT[place], "label": short_name(label, 40), "linewidth": 1.6} if is_named else _OTHERS
        marker = "o" if len(values) == 1 else ""
        axes.plot(range(1, len(values) + 1), [_number(value) for value in values], marker=marker, markersize=4, **style)
    axes.set_ylabel(name)
    _over_epochs(axes)
    handles, labels = axes.get_legend_handles_labels()
    legend = axes.legend(
        handles[::-1], labels[::-1], frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    if named < len(curves):
        legend.set_title(f"the best {named} of {len(curves):,}")
        legend.get_title().set_fontsize(8)
    return figure


def reliability_figure(confidence: FloatArray, right: BoolArray) -> Figure:
    """Return a reliability diagram (Guo et al., 2017): accuracy over confidence, and how many images there are.

    Args:
        confidence: float (n,), of each image, 0..1.
        right: bool (n,), whether its predicted class is the true one.
    """
    from matplotlib.figure import Figure

    bins = confidence_bins(confidence, right)
    figure = Figure(figsize=(4.6, 4.8), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], ":", color="0.55", linewidth=1.2, label="as sure as right")
    centres = [each.confidence for each in bins]
    errors = [[each.accuracy - each.low for each in bins], [each.high - each.accuracy for each in bins]]
    upper.errorbar(
        centres, [each.accuracy for each in bins], yerr=errors, fmt="-o", color=TRAIN, markersize=4, linewidth=1.4,
        elinewidth=1, label="measured, with its 95 % interval",
    )  # fmt: skip
    upper.set_ylabel("share that is right")
    upper.set_ylim(-0.02, 1.02)
    upper.legend(frameon=False, fontsize=8, loc="upper left")
    lower.bar(
        [each.start for each in bins], [each.count for each in bins], [each.end - each.start for each in bins],
        align="edge", color=TRAIN, alpha=0.6,
    )  # fmt: skip
    lower.set_ylabel("images")
    lower.set_xlabel("confidence")
    lower.set_xlim(0, 1)
    for axes in (upper, lower):
        _plain(axes)
    return figure


def _over_epochs(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
