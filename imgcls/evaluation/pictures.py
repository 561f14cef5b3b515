"""The pictures of a result, for print: the confusion matrix and the learning curves."""

from __future__ import annotations

import io
import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls.files import whole_file

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from imgcls.evaluation.metrics import IntArray

__all__ = [
    "SAMPLES",
    "draw_confusion_matrix",
    "draw_curves",
    "draw_overlaid",
    "draw_samples",
    "save_figure",
    "short_name",
]

DPI = 200
SAMPLES = 25  # images in a picture of predictions
MAX_LABEL = 24  # characters of a class's name
MAX_COUNTS = 25  # up to so many classes the counts stand in the cells
MAX_NAMED = 200  # up to so many classes each has its name; the most that fit the largest picture at 5 pt
MAX_CELLS = 500  # of more classes, neighbours share a cell: the picture stays small
SMALLEST_IN, LARGEST_IN = 4.8, 16.0
TRAIN, VALIDATION = "#1f6fb4", "#d1590a"  # told apart by the colour-blind, and by the line's kind in grey print
BEST_NAMED = 5
_OTHERS: Mapping[str, Any] = {"color": "0.75", "linewidth": 0.7, "alpha": 0.7}
DISTINCT = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#e69f00",
    "#000000",
    "#8c7a00",
)  # Okabe and Ito, 2008


def draw_confusion_matrix(path: Path, matrix: IntArray, classes: Sequence[str]) -> None:
    """Draw the counts, each row coloured by its shares, as a PNG of at most 16 inches.

    Args:
        path: the PNG file.
        matrix: int (classes, classes), rows true, columns predicted.
        classes: their names.
    """
    import numpy as np
    from matplotlib.figure import Figure

    names = [short_name(name) for name in classes]
    count, block = len(names), math.ceil(len(names) / MAX_CELLS)
    merged = _merge(matrix, block)
    shares = merged / np.maximum(merged.sum(axis=1, keepdims=True), 1)
    side_in = float(np.clip(0.48 * count, 3.4, 9.0) if count <= MAX_COUNTS else np.clip(0.085 * count, 9.0, 13.6))
    font_pt = float(np.clip(170 / count, 5.0, 10.0)) if count > MAX_COUNTS else 9.0
    label_in = max(map(len, names)) * font_pt * 0.6 / 72 if count <= MAX_NAMED else 0.5
    size_in = np.clip([side_in + label_in + 1.6, side_in + label_in + 1.2], SMALLEST_IN, LARGEST_IN)
    figure = Figure(figsize=tuple(size_in), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    _name_classes(axes, names, font_pt)
    if count <= MAX_COUNTS:
        _write_counts(axes, merged, shares)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    n = int(matrix.sum())
    note = f"; a cell is {block} x {block} classes" if block > 1 else ""
    axes.set_title(f"{n:,} images, accuracy {np.trace(matrix) / max(n, 1):.3f}{note}")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
    bar.set_label("share of the true class")
    save_figure(figure, path)


def draw_curves(path: Path, history: Sequence[Mapping[str, Any]], best_epoch: int | None = None) -> None:
    """Draw loss and accuracy over the epochs, of training and validation, as a PNG.

    Args:
        path: the PNG file.
        history: a row an epoch with ``epoch`` (from 1), ``loss``, ``accuracy`` and, where there is a validation part,
            ``val_loss`` and ``val_accuracy``. Values may be None or NaN. Where ``stage`` changes, a line is drawn.
        best_epoch: whose weights were evaluated; marked.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _draw_curve(axes, history, name, best_epoch)
    save_figure(figure, path)


def _draw_curve(axes: Axes, history: Sequence[Mapping[str, Any]], name: str, best_epoch: int | None) -> None:
    from matplotlib.ticker import MaxNLocator

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
        axes.axvline(best_epoch, color="0.35", linewidth=1, linestyle=":", label=f"best epoch ({best_epoch})")
    axes.set_xlabel("epoch")
    axes.set_title(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(epochs) <= 1:
        axes.set_xlim(0.5, 1.5) if not epochs else axes.set_xlim(epochs[0] - 0.5, epochs[0] + 0.5)
    axes.grid(visible=True, color="0.88", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)


def draw_overlaid(path: Path, curves: Sequence[tuple[str, Sequence[float]]], figure_name: str) -> None:
    """Draw the curves of several trainings into one another.

    Args:
        path: the PNG file.
        curves: label, and the figure after each epoch, of each training; the best first. Of more than eight only the
            first have a colour and a name.
        figure_name: what stands on the axis.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    named = len(curves) if len(curves) <= len(DISTINCT) else BEST_NAMED
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for place, (label, values) in reversed(list(enumerate(curves))):
        marker = "o" if len(values) == 1 else ""
        style = (
            {"color": DISTINCT[place], "label": short_name(label, 40), "linewidth": 1.6} if place < named else _OTHERS
        )
        axes.plot(range(1, len(values) + 1), [_number(value) for value in values], marker=marker, markersize=4, **style)
    axes.set_xlabel("epoch")
    axes.set_ylabel(figure_name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(visible=True, color="0.88", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    legend = axes.legend(
        handles[::-1], labels[::-1], frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    if named < len(curves):
        legend.set_title(f"the best {named} of {len(curves):,}")
        legend.get_title().set_fontsize(8)
    save_figure(figure, path)


def draw_samples(images: Sequence[NDArray[np.uint8]], titles: Sequence[tuple[str, str]]) -> bytes:
    """Return a PNG of images, each under its true class and, where that is another, the predicted one.

    Args:
        images: uint8 (height, width, 1 or 3) each, 0..255.
        titles: true and predicted class of each.
    """
    from matplotlib.figure import Figure

    across = math.ceil(math.sqrt(len(images)))
    down = math.ceil(len(images) / across)
    figure = Figure(figsize=(1.5 * across, 1.7 * down), layout="constrained")
    for axes in (panels := figure.subplots(down, across, squeeze=False).ravel()):
        axes.set_axis_off()
    for axes, image, (true, predicted) in zip(panels, images, titles, strict=False):
        axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
        is_right = true == predicted
        text = short_name(true) if is_right else f"{short_name(true)}\nnot {short_name(predicted)}"
        axes.set_title(text, fontsize=7, color="0.2" if is_right else VALIDATION, parse_math=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _merge(matrix: Any, block: int) -> Any:
    """Sum blocks of (block, block) cells, so that (classes, classes) counts fit the picture."""
    import numpy as np

    if block == 1:
        return matrix
    starts = np.arange(0, len(matrix), block)
    return np.add.reduceat(np.add.reduceat(matrix, starts, axis=0), starts, axis=1)


def _name_classes(axes: Axes, names: Sequence[str], font_pt: float) -> None:
    if len(names) > MAX_NAMED:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    upright = sum(map(len, names)) <= 60 and max(map(len, names)) <= 6
    axes.set_xticks(range(len(names)), names, rotation=0 if upright else 90, fontsize=font_pt, parse_math=False)
    axes.set_yticks(range(len(names)), names, fontsize=font_pt, parse_math=False)
    axes.tick_params(length=2)


def _write_counts(axes: Axes, matrix: Any, shares: Any) -> None:
    digits = len(str(int(matrix.max())))
    font_pt = min(9.0, 30.0 / digits)
    for row, counts in enumerate(matrix):
        for column, count in enumerate(counts):
            dark = shares[row, column] > 0.55
            colour = "white" if dark else ("0.15" if count else "0.7")
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=font_pt)


def short_name(name: str, most: int = MAX_LABEL) -> str:
    """Return a name as it fits a picture, without characters that cannot be drawn."""
    plain = "".join(character if character.isprintable() else "?" for character in name)
    return plain if len(plain) <= most else plain[: most - 6] + "…" + plain[-5:]


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG, whole or not at all."""
    with whole_file(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name in a script that the font lacks is drawn as boxes
        figure.savefig(temporary, format="png", dpi=DPI)
