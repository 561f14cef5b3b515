"""What a network said to each image of the evaluated part, as a page needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.evaluation.confidence import surest_errors
from imgcls.evaluation.metrics import predicted_classes
from imgcls.evaluation.tables import probability_columns
from imgcls.runs import DamagedError, Run

__all__ = ["Picture", "Predictions", "read_predictions"]

Picture = dict[str, Any]
"""An image in a page: ``uri`` (None where it cannot be shown), ``path``, ``true``, ``predicted``, ``confidence``."""


@dataclass(frozen=True)
class Predictions:
    """What a network said.

    Attributes:
        paths: of each image.
        labels: int (n,), true classes.
        probabilities: float (n, classes).
        classes: their names.
    """

    paths: tuple[str, ...]
    labels: NDArray[np.intp]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]

    @cached_property
    def predicted(self) -> NDArray[np.intp]:
        """The likeliest class of each: int (n,)."""
        return np.asarray(predicted_classes(self.probabilities), np.intp)

    def surest_errors(self) -> NDArray[np.intp]:
        """Return the rows that are wrong, the surest first."""
        return surest_errors(self.labels, self.probabilities)

    def hardest(self) -> NDArray[np.intp]:
        """Return all rows, those first whose true class was held for the least likely."""
        own = self.probabilities[np.arange(len(self.labels)), self.labels]
        return np.argsort(own, kind="stable")

    def pictures(self, rows: Sequence[int] | NDArray[np.intp], uri: Callable[[str], str | None]) -> list[Picture]:
        """Return images of the page."""
        return [
            {
                "uri": uri(self.paths[row]),
                "path": self.paths[row],
                "true": self.classes[self.labels[row]],
                "predicted": self.classes[self.predicted[row]],
                "confidence": float(self.probabilities[row].max()),
            }
            for row in rows
        ]


def read_predictions(run: Run) -> Predictions:
    """Return what ``predictions.csv`` holds.

    Raises:
        DataError: there is none (DamagedError: or it does not fit the run's classes).
    """
    classes = tuple(run.metrics["classes"])
    table = run.predictions
    place = {name: index for index, name in enumerate(classes)}
    try:
        labels = np.array([place[name] for name in table["true"]], np.intp)
        probabilities = table[probability_columns(classes)].to_numpy(np.float64)
    except (KeyError, ValueError) as error:
        raise DamagedError(f"{run.folder} is damaged: its predictions are not of its classes") from error
    return Predictions(tuple(table["path"]), labels, probabilities, classes)
