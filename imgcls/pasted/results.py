"""Which report, matrix, figures and logs of a text belong together."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from imgcls.evaluation.plausibility import impossible
from imgcls.evaluation.rounding import Printed, share
from imgcls.pasted.pieces import ClassReport, Log, Matrix, Piece, SingleFigure
from imgcls.spec.reported import FigureSpec, ReportedSpec

__all__ = ["Result", "results_of"]

_NEAR = 15  # lines between a report and a figure of its evaluation
_ADJACENT = 12  # lines between a report and a matrix that may be meant to be its own, though it is not
_MOST = 1000  # results of a text, and figures, that are put together
_TRAIN = ("train", "training")
_F1 = ("weighted_f1", "macro_f1", "accuracy")  # what an F1 score can be: its micro average is the accuracy


@dataclass(frozen=True)
class Result:
    """The pieces of one evaluation.

    Attributes:
        exact: figures of these very predictions, such as ``Accuracy: 0.4681``.
        evaluated: accuracies that the program printed for a part of the data, ``Test accuracy: 0.55``.
        logs: of the trainings that the evaluation may be of.
    """

    report: ClassReport | None = None
    matrix: Matrix | None = None
    exact: tuple[SingleFigure, ...] = ()
    evaluated: tuple[SingleFigure, ...] = ()
    logs: tuple[Log, ...] = ()

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Report and matrix, as far as they are there."""
        return tuple(piece for piece in (self.report, self.matrix) if piece is not None)

    @property
    def first_line(self) -> int:
        return min(piece.first_line for piece in self.pieces)

    @property
    def last_line(self) -> int:
        return max(piece.last_line for piece in self.pieces)

    @property
    def source(self) -> str:
        """What the accuracy is from, in words."""
        return "report" if self.report is not None else "confusion matrix"

    @property
    def n(self) -> int | None:
        if self.report is not None and self.report.n:
            return self.report.n
        return self.matrix.n if self.matrix is not None else None

    @property
    def supports(self) -> list[int]:
        """Images of each class, where all are known."""
        if self.matrix is not None and self.matrix.counts:
            return [sum(row) for row in self.matrix.counts]
        found = self.report.supports if self.report is not None else []
        return [support for support in found if support is not None] if None not in found else []

    @property
    def accuracy(self) -> Printed | None:
        """The accuracy of these predictions, in the most decimals that it is known with."""
        known = [figure.value for figure in self.exact if figure.name == "accuracy"]
        if self.report is not None and "accuracy" in self.report.figures:
            known.append(self.report.figures["accuracy"])
        if not known and self.matrix is not None and self.matrix.n:
            right = sum(row[index] for index, row in enumerate(self.matrix.counts))
            known.append(Printed(right / self.matrix.n, 4))
        return max(known, key=lambda value: value.decimals, default=None)

    @property
    def reported(self) -> ReportedSpec:
        """All of it, as somebody would have written it under ``reported``."""
        if self.report is not None and self.report.is_partial:
            return self._spec(dict(self.report.figures))  # nothing else follows from it
        figures = dict(self.report.figures) if self.report is not None else {}
        figures |= {figure.name: figure.value for figure in self.exact if figure.name != "f1"}
        for figure in self.exact:
            if figure.name == "f1":
                name = self._f1(figures, figure.value)
                figures[name] = figure.value
        return self._spec(figures)

    def _spec(self, figures: dict[str, Printed]) -> ReportedSpec:
        published: dict[str, Any] = {name: FigureSpec.model_construct(value=value) for name, value in figures.items()}
        return ReportedSpec.model_construct(  # unchecked: a check would make plain floats of them
            n=self.report.n if self.report is not None and not self.report.is_partial else None,
            per_class=dict(self.report.classes) if self.report is not None else {},
            confusion_matrix=self.matrix.counts if self.matrix is not None else (),
            **published,
        )

    def _f1(self, figures: dict[str, Printed], value: Printed) -> str:
        """Return which average an F1 score is: the first that it can be."""
        known = len(impossible(self._spec(figures)))
        for name in _F1:
            fits = name not in figures or share(figures[name]).meets(share(value))
            if fits and len(impossible(self._spec(figures | {name: value}))) <= known:
                return name
        return _F1[0]

    def is_other(self, accuracy: Printed, sure: float) -> bool:
        """Whether an accuracy is too far from this one for images of one kind, by so many standard errors."""
        own, n = self.accuracy, self.n
        if own is None or not n or not 0 <= own + accuracy <= 2:
            return False
        mean = (own + accuracy) / 2
        apart = max(share(own).low - share(accuracy).high, share(accuracy).low - share(own).high)
        return apart > sure * math.sqrt(2 * mean * (1 - mean) / n)


def results_of(pieces: Sequence[Piece]) -> list[Result]:
    """Put report, matrix and figures of one evaluation together, and with the logs above them.

    A matrix belongs to the report before it, or to that behind it, by the images that they have; a figure to the
    nearest, unless its words name another, or all figures of its name stand above their reports; of several figures of
    these very predictions the nearest counts. All reports between two groups of logs have the logs of the first.
    """
    results = _evaluations(pieces)
    figures = [piece for piece in pieces if isinstance(piece, SingleFigure) and piece.part not in _TRAIN]
    leading = {figure.name for figure in figures if results and figure.last_line < results[0].first_line}
    exact: dict[tuple[int, str], SingleFigure] = {}
    for figure in figures[:_MOST]:
        index = _owner(results[:_MOST], figure, is_leading=figure.name in leading)
        if index is not None and figure.part:
            results[index] = _with_figure(results[index], figure)
        elif index is not None:
            rival = exact.setdefault((index, figure.name), figure)
            if _lines_between(results[index], figure) < _lines_between(results[index], rival):
                exact[index, figure.name] = figure
    for (index, _), figure in exact.items():
        results[index] = _with_figure(results[index], figure)
    return results


def _evaluations(pieces: Sequence[Piece]) -> list[Result]:
    results: list[Result] = []
    logs: list[Log] = []
    is_fresh = True  # no report has been held against the logs yet
    for place, piece in enumerate(pieces):
        if isinstance(piece, Log):
            logs = [*logs, piece] if is_fresh else [piece]
            is_fresh = True
        elif isinstance(piece, ClassReport | Matrix):
            behind = next((each for each in islice(pieces, place + 1, None) if isinstance(each, ClassReport)), None)
            if results and (joined := _joined(results[-1], piece, logs, behind)) is not None:
                results[-1] = joined
            elif isinstance(piece, ClassReport):
                results.append(Result(report=piece, logs=tuple(logs)))
            else:
                results.append(Result(matrix=piece, logs=tuple(logs)))
            is_fresh = False
    return results


def _joined(last: Result, piece: Piece, logs: Sequence[Log], behind: ClassReport | None) -> Result | None:
    """Return the last result with a piece that belongs to it; None where it does not.

    Args:
        last: the result before the piece.
        piece: a report or a matrix.
        logs: that are above it.
        behind: the report after the piece.
    """
    if tuple(logs) != last.logs:
        return None  # another training lies between them
    if isinstance(piece, Matrix) and last.report is not None and last.matrix is None:
        return replace(last, matrix=piece) if _belongs(piece, last.report, behind) else None
    if isinstance(piece, ClassReport) and last.report is None and last.matrix is not None:
        return replace(last, report=piece) if last.matrix.is_cut or piece.supports == last.supports else None
    return None


def _belongs(matrix: Matrix, report: ClassReport, behind: ClassReport | None) -> bool:
    """Whether a matrix is that of the report before it: of as many images, or none that another report has."""
    if matrix.is_cut:
        return True
    if len(matrix.counts) != len(report.classes) or report.is_partial:
        return False
    rows = [sum(row) for row in matrix.counts]
    if rows == report.supports or None in report.supports:
        return True
    is_anothers = behind is not None and behind.supports == rows
    return not is_anothers and matrix.first_line - report.last_line <= _ADJACENT and _similar(matrix.n, report.n)


def _similar(count: int, other: int | None) -> bool:
    """Whether two numbers of images may be meant to be one: of another part there are far more, or far fewer."""
    return not other or 0.8 <= count / other <= 1.25


def _owner(results: Sequence[Result], figure: SingleFigure, *, is_leading: bool) -> int | None:
    named = [
        index
        for index, result in enumerate(results)
        if figure.label and result.report is not None and f" {figure.label} " in f" {_words(result.report.title)} "
    ]
    if named or figure.label:
        return named[-1] if named else None
    near = [
        (_lines_between(result, figure), index)
        for index, result in enumerate(results)
        if not (is_leading and result.first_line < figure.first_line)
    ]
    distance, index = min(near, default=(_NEAR + 1, 0))
    return index if distance <= _NEAR else None


def _words(text: str) -> str:
    return " ".join(re.findall(r"[\w.]+", text.lower()))


def _lines_between(result: Result, figure: SingleFigure) -> int:
    return max(result.first_line - figure.last_line, figure.first_line - result.last_line, 0)


def _with_figure(result: Result, figure: SingleFigure) -> Result:
    if not figure.part:
        return replace(result, exact=(*result.exact, figure))
    return replace(result, evaluated=(*result.evaluated, figure)) if figure.name == "accuracy" else result
