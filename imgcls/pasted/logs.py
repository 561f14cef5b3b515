"""Training logs: what Keras prints of an epoch, older and newer, what loops written by hand do, CSVLogger's files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from imgcls.evaluation.rounding import Printed
from imgcls.pasted.lines import NUMBER, cells, printed
from imgcls.pasted.pieces import Epoch, Log, Piece, SingleFigure

__all__ = ["read_logs"]

_EPOCH = re.compile(r"\s*Epoch\s*:?\s*\[?\s*(\d+)\s*/\s*(\d+)", re.IGNORECASE)
_PARTS = re.compile(r"\b(?:(val|valid|validation)|train|training)[ _]+(?=loss|acc)", re.IGNORECASE)
_STEP = re.compile(r"^\s*(\d+)/(\d+)\b")
_ACCURACY = r"(?:(?:sparse_)?categorical_|binary_)?acc(?:uracy)?"  # not that of the top five
_METRIC = re.compile(rf"\b(val_)?(loss|{_ACCURACY})\s*[:=]\s*({NUMBER})", re.IGNORECASE)
_MAX_LINE = 2000  # longer is no line of a log


def read_logs(lines: Sequence[str]) -> tuple[list[Piece], set[int]]:
    """Return the logs, the figures that ``evaluate`` printed, and the lines they stand in, counted from 0."""
    reader = _Reader()
    for index, line in enumerate(lines):
        reader.take(index, line)
    reader.close()
    pieces, taken = reader.pieces, reader.taken
    for log, used in _csv_logs(lines):
        pieces.append(log)
        taken |= used
    return pieces, taken


class _Reader:
    """Puts the epochs of one training together."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.taken: set[int] = set()
        self._epochs: list[Epoch] = []
        self._first = self._last = 0
        self._number: int | None = None  # of the epoch whose figures are to come
        self._total = 0

    def take(self, index: int, line: str) -> None:
        if heading := _EPOCH.match(line):
            number, total = int(heading[1]), int(heading[2])
            if self._epochs and (total != (self._total or total) or number <= len(self._epochs)):
                self.close()
            self._number, self._total = number, total
            self.taken.add(index)
        figures = _figures(line)
        step = _STEP.match(line)
        if "loss" not in figures or not ("accuracy" in figures or "val_loss" in figures):
            return
        self.taken.add(index)
        if step and step[1] != step[2]:
            return  # a progress bar on its way
        if self._number is not None or (step and "val_loss" in figures):
            self._add(index, Epoch(self._number or len(self._epochs) + 1, figures))
            self._number = None
        elif step:
            self._evaluated(index, figures)
        elif "val_loss" in figures:  # a training in one line
            self.close()
            self.pieces.append(Log(first_line=index + 1, last_line=index + 1, epochs=(Epoch(None, figures),)))
        else:
            self.taken.discard(index)

    def _add(self, index: int, epoch: Epoch) -> None:
        if self._epochs and self._epochs[-1].number == self._total:
            self.close()  # its first heading is lost
            epoch = Epoch(1, epoch.figures)
        if not self._epochs:
            self._first = index + 1
        self._epochs.append(epoch)
        self._last = index + 1

    def _evaluated(self, index: int, figures: dict[str, Printed]) -> None:
        for name, value in figures.items():
            self.pieces.append(
                SingleFigure(first_line=index + 1, last_line=index + 1, name=name, value=value, part="evaluated")
            )

    def close(self) -> None:
        """End the log: what follows is another training's."""
        if self._epochs:
            self.pieces.append(Log(first_line=self._first, last_line=self._last, epochs=tuple(self._epochs)))
        self._epochs, self._number, self._total = [], None, 0


def _figures(line: str) -> dict[str, Printed]:
    if len(line) > _MAX_LINE:
        return {}
    found: dict[str, Printed] = {}
    line = _PARTS.sub(lambda part: "val_" if part[1] else "", line)
    for prefix, name, text in _METRIC.findall(line):
        value = printed(text)
        if value is not None:
            found.setdefault(_name(prefix + name), value)
    return found


def _name(word: str) -> str:
    """Return ``accuracy`` for whatever Keras calls it."""
    word = word.lower()
    prefix = "val_" if word.startswith("val_") else ""
    return prefix + ("loss" if word.endswith("loss") else "accuracy")


def _csv_logs(lines: Sequence[str]) -> Iterator[tuple[Log, set[int]]]:
    """Give the tables with a column ``epoch`` and one ``loss``, a row an epoch."""
    for index, line in enumerate(lines):
        header = [cell.lower() for cell in cells(line)]
        if "epoch" not in header or "loss" not in header:
            continue
        epochs, used = [], {index}
        for below in range(index + 1, len(lines)):
            values = [printed(cell) for cell in cells(lines[below])]
            if len(values) != len(header) or None in values:
                break
            row = {name: value for name, value in zip(header, values, strict=True) if value is not None}
            named = {
                _name(name): value for name, value in row.items() if re.fullmatch(rf"(val_)?(loss|{_ACCURACY})", name)
            }
            epochs.append(Epoch(int(row["epoch"]), named))
            used.add(below)
        if epochs:
            yield Log(first_line=index + 1, last_line=max(used) + 1, epochs=tuple(epochs)), used
