"""What can stand in a text: training logs, classification reports, confusion matrices, single figures, repeats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from imgcls.evaluation.rounding import Printed
from imgcls.spec.reported import FigureSpec, PublishedClass

__all__ = ["ClassReport", "Epoch", "Log", "Matrix", "Piece", "Repeats", "SingleFigure"]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of the text: its first and its last line, counted from 1."""

    first_line: int
    last_line: int


@dataclass(frozen=True)
class Epoch:
    """A row of a training log; ``figures`` by Keras' names: loss, accuracy, val_loss, val_accuracy."""

    number: int | None
    figures: Mapping[str, Printed]


@dataclass(frozen=True, kw_only=True)
class Log(Piece):
    """The epochs of one training; of a summary one."""

    epochs: tuple[Epoch, ...]

    def values(self, figure: str) -> list[Printed]:
        """Return a figure of each epoch that has it."""
        return [epoch.figures[figure] for epoch in self.epochs if figure in epoch.figures]


@dataclass(frozen=True, kw_only=True)
class ClassReport(Piece):
    """Precision, recall, F1 and support of each class, and the averages by the names of ``ReportedSpec``.

    Attributes:
        is_partial: of some of the classes only, or of images with several labels: no accuracy follows from it.
    """

    title: str = ""
    classes: Mapping[str, PublishedClass]
    figures: Mapping[str, Printed] = field(default_factory=dict)
    n: int | None = None
    is_partial: bool = False

    @property
    def supports(self) -> list[int | None]:
        """Images of each class; None where they are not told."""
        return [row.support for row in self.classes.values()]


@dataclass(frozen=True, kw_only=True)
class Matrix(Piece):
    """A confusion matrix of counts, rows true; cut: what numpy prints of a large one, ``counts`` is then empty."""

    counts: tuple[tuple[int, ...], ...]
    is_cut: bool = False

    @property
    def n(self) -> int:
        """How many images there are in it."""
        return sum(map(sum, self.counts))


@dataclass(frozen=True, kw_only=True)
class SingleFigure(Piece):
    """A figure in a line of its own, such as ``Test accuracy: 0.55``.

    Attributes:
        name: accuracy, loss, f1, ...
        part: the part of the data that its words name, such as ``test``; empty where they name none.
        label: whatever else stands before it, such as ``model 1``.
    """

    name: str
    value: Printed
    part: str = ""
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Repeats(Piece):
    """A row of a table of several runs: the figure's mean, sd, min and max, and the mean number of epochs."""

    label: str
    figure: str
    spread: FigureSpec
    epochs: Printed | None = None
    runs: int | None = None
