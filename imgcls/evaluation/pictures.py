"""The pictures of a result, for print: the confusion matrix, and samples of the predictions."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls.files import write_bytes

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from imgcls.evaluation.metrics import IntArray

__all__ = ["SAMPLES", "confusion_figure", "draw", "draw_samples", "save_figure", "short_name", "views_figure"]

DPI = 200
SAMPLES = 25  # images in a picture of predictions
MAX_LABEL = 24  # characters of a class's name
MAX_COUNTS = 25  # up to so many classes the counts stand in the cells
MAX_NAMED = 200  # up to so many classes each has its name; the most that fit the largest picture at 5 pt
MAX_CELLS = 500  # of more classes, neighbours share a cell: the picture stays small
SMALLEST_IN, LARGEST_IN = 4.8, 16.0
WRONG = "#d1590a"


def confusion_figure(matrix: IntArray, classes: Sequence[str]) -> Figure:
    """Return the counts, each row coloured by its shares, of at most 16 inches.

    Args:
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
    return figure


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
        axes.set_title(text, fontsize=7, color="0.2" if is_right else WRONG, parse_math=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def views_figure(views: Sequence[NDArray[np.uint8]], titles: Sequence[str], names: Sequence[str]) -> Figure:
    """Return images in rows, each column another way of seeing them.

    Args:
        views: uint8 (n, height, width, 1 or 3) each, 0..255.
        titles: of each view.
        names: of the class of each of the n images.
    """
    from matplotlib.figure import Figure

    across, down = len(views), len(names)
    figure = Figure(figsize=(1.3 * across + 0.8, 1.3 * down + 0.3), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False)
    for column, (images, title) in enumerate(zip(views, titles, strict=True)):
        for row, image in enumerate(images):
            axes = panels[row][column]
            axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            if row == 0:
                axes.set_title(title, fontsize=9)
            if column == 0:
                axes.set_ylabel(short_name(names[row]), fontsize=8, parse_math=False)
    return figure


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
            text = axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=font_pt)
            text.set_in_layout(False)  # it lies within its cell: not to be measured


def short_name(name: str, most: int = MAX_LABEL) -> str:
    """Return a name as it fits a picture, without characters that cannot be drawn."""
    plain = "".join(character if character.isprintable() else "?" for character in name)
    return plain if len(plain) <= most else plain[: most - 6] + "…" + plain[-5:]


def draw(make: Callable[..., Figure], *arguments: Any) -> bytes:
    """Return the PNG of a figure that a function makes."""
    return _png(make(*arguments))


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG, whole or not at all."""
    write_bytes(path, _png(figure))


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name in a script that the font lacks is drawn as boxes
        figure.set_dpi(DPI)
        # the same file as of savefig, which draws it twice
        FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]
    return file.getvalue()
