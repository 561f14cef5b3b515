"""The confusion matrix of a page: counts and shares, in several orders of the classes, and the images behind a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.reports.predictions import Picture, Predictions

__all__ = ["Cell", "Matrix", "confusion_matrix", "gallery"]

MOST_WRITTEN = 40  # classes whose matrix is a table; of more it is a picture
_IMAGES_A_CELL = 12
_IMAGES = 360
_LETTERS_ACROSS = 30


@dataclass(frozen=True)
class Cell:
    """Images of one class that were taken for another, or for their own.

    Attributes:
        share: of the row's images, 0..1.
        link: the name of the place that shows its images; empty where none does.
    """

    count: int
    share: float
    link: str


@dataclass(frozen=True)
class Matrix:
    """Rows true, columns predicted.

    Attributes:
        cells: none where it is too large for a table.
        orders: name → the classes' places in that order; none likewise.
    """

    classes: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    orders: Mapping[str, list[int]]

    @property
    def is_written(self) -> bool:
        """Whether it is small enough for a table."""
        return len(self.classes) <= MOST_WRITTEN

    @property
    def has_links(self) -> bool:
        """Whether there are images to be led to."""
        return any(cell.link for row in self.cells for cell in row)

    @property
    def has_long_head(self) -> bool:
        """Whether the names over the columns need to stand upright."""
        return sum(map(len, self.classes)) > _LETTERS_ACROSS


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], linked: Sequence[str]) -> Matrix:
    """Return a matrix for a page.

    Args:
        counts: (classes, classes).
        linked: the names of places that show a cell's images.
    """
    if len(classes) > MOST_WRITTEN:
        return Matrix(tuple(classes), (), {})  # of 5,000 classes the cells alone would take 8 GB
    known = set(linked)
    rows = []
    for true, row in enumerate(counts):
        total = max(sum(row), 1)
        links = [name if (name := _place(true, predicted)) in known else "" for predicted in range(len(row))]
        rows.append(tuple(Cell(count, count / total, link) for count, link in zip(row, links, strict=True)))
    return Matrix(tuple(classes), tuple(rows), _orders(np.asarray(counts)))


def gallery(predictions: Predictions, uri: Callable[[str], str | None]) -> list[dict[str, Any]]:
    """Return the images of each confusion, the most frequent first: ``place``, ``title``, ``pictures``, ``more``."""
    wrong = predictions.surest_errors()
    predicted = predictions.predicted
    groups: dict[tuple[int, int], list[int]] = {}
    for row in wrong.tolist():
        groups.setdefault((int(predictions.labels[row]), int(predicted[row])), []).append(row)
    found, left = [], _IMAGES
    for (true, taken_for), rows in sorted(groups.items(), key=lambda item: -len(item[1])):
        shown = rows[: min(_IMAGES_A_CELL, left)]
        if not shown:
            break
        left -= len(shown)
        pictures: list[Picture] = predictions.pictures(shown, uri)
        title = f"{predictions.classes[true]} taken for {predictions.classes[taken_for]}"
        place = _place(true, taken_for)
        found.append({"place": place, "title": title, "pictures": pictures, "more": len(rows) - len(shown)})
    return found


def _place(true: int, predicted: int) -> str:
    return f"cell-{true}-{predicted}"


def _orders(counts: NDArray[np.int64]) -> dict[str, list[int]]:
    sizes = counts.sum(axis=1)
    recall = np.diagonal(counts) / np.maximum(sizes, 1)
    orders = {
        "as trained": list(range(len(counts))),
        "worst recall first": np.argsort(recall, kind="stable").tolist(),
        "most images first": np.argsort(-sizes, kind="stable").tolist(),
    }
    if len(counts) > 2:
        orders["what is confused side by side"] = _side_by_side(counts)
    return orders


def _side_by_side(counts: NDArray[np.int64]) -> list[int]:
    """Return an order in which classes that are taken for each other are neighbours: leaves of average linkage."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    distance = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distance, 0)
    condensed = squareform(distance, checks=False)
    return leaves_list(optimal_leaf_ordering(linkage(condensed, "average"), condensed)).tolist()
