"""Training logs: what Keras prints of an epoch, older and newer, what loops written by hand do, CSVLogger's files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from imgcls.evaluation.rounding import Printed
from imgcls.pasted.lines import NUMBER, cells, in_percent, is_percent, printed
from imgcls.pasted.pieces import Epoch, Log, Piece, SingleFigure

__all__ = ["as_shares", "is_metric", "metric_name", "read_logs"]

_EPOCH = re.compile(r"\s*Epoch[\s:\[]*(\d{1,6})\s*/\s*(\d{1,6})", re.IGNORECASE)
_PART_LINE = re.compile(r"\s*(?:(val|valid|validation)|train|training)\s+(?=loss\b)", re.IGNORECASE)
_PARTS = re.compile(r"\b(?:(val|valid|validation)|train|training)[ _]+(?=loss|acc)", re.IGNORECASE)
_STEP = re.compile(r"\s*(\d{1,9})/(\d{1,9})\b")
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
        self._steps = ""  # of the last epoch

    def take(self, index: int, line: str) -> None:
        if len(line) > _MAX_LINE:
            return
        if heading := _EPOCH.match(line):
            number, total = int(heading[1]), int(heading[2])
            if self._epochs and (total != (self._total or total) or number <= (self._epochs[-1].number or 0)):
                self.close()
            self._number, self._total = number, total
            self.taken.add(index)
        figures, step = _figures(line), _STEP.match(line)
        if self._completes(figures, step):
            self._epochs[-1] = Epoch(self._epochs[-1].number, {**self._epochs[-1].figures, **figures})
            self._last = index + 1
        elif "loss" not in figures or not ("accuracy" in figures or "val_loss" in figures):
            return
        elif not step or step[1] == step[2]:  # else a progress bar on its way
            self._take_figures(index, figures, step)
        self.taken.add(index)

    def _completes(self, figures: dict[str, Printed], step: re.Match[str] | None) -> bool:
        """Whether figures are those of the running epoch again, or of its validation."""
        if self._number is not None or not self._epochs or "val_loss" in self._epochs[-1].figures:
            return False
        return bool(figures) and (step[2] == self._steps if step else "loss" not in figures and "val_loss" in figures)

    def _take_figures(self, index: int, figures: dict[str, Printed], step: re.Match[str] | None) -> None:
        if self._number is not None or (step and "val_loss" in figures):
            self._add(index, Epoch(len(self._epochs) + 1 if self._number is None else self._number, figures))
            self._number, self._steps = None, step[2] if step else ""
        elif step:
            self._evaluated(index, figures)
        elif "val_loss" in figures:  # a training in one line
            self.close()
            self._add(index, Epoch(None, figures))
            self.close()

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
            self.pieces.append(Log(first_line=self._first, last_line=self._last, epochs=as_shares(self._epochs)))
        self._epochs, self._number, self._total = [], None, 0


def _figures(line: str) -> dict[str, Printed]:
    found: dict[str, Printed] = {}
    part = _PART_LINE.match(line)  # then it holds for the whole line
    line = _PARTS.sub(lambda each: "val_" if each[1] else "", line)
    for prefix, name, text in _METRIC.findall(line):
        value = printed(text)
        if value is not None:
            found.setdefault(metric_name(prefix + name, is_validation=bool(part and part[1])), value)
    return found


def metric_name(word: str, *, is_validation: bool = False) -> str:
    """Return loss, accuracy, val_loss or val_accuracy for whatever Keras and others call it."""
    word = word.lower()
    prefix = "val_" if is_validation or word.startswith("val_") else ""
    return prefix + ("loss" if word.endswith("loss") else "accuracy")


def is_metric(word: str) -> bool:
    """Whether a word is what Keras calls a loss or an accuracy."""
    return re.fullmatch(rf"(val_)?(loss|{_ACCURACY})", word, re.IGNORECASE) is not None


def as_shares(epochs: Sequence[Epoch]) -> tuple[Epoch, ...]:
    """Return epochs with accuracies from 0 to 1, where they are in percent."""
    accuracies = [value for epoch in epochs for name, value in epoch.figures.items() if name.endswith("accuracy")]
    if not any(map(is_percent, accuracies)):
        return tuple(epochs)
    return tuple(
        Epoch(
            epoch.number,
            {name: in_percent(value) if name.endswith("accuracy") else value for name, value in epoch.figures.items()},
        )
        for epoch in epochs
    )


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
            named = {metric_name(name): value for name, value in row.items() if is_metric(name)}
            epochs.append(Epoch(int(row["epoch"]) if row["epoch"].is_integer() else None, named))
            used.add(below)
        if epochs:
            yield Log(first_line=index + 1, last_line=max(used) + 1, epochs=as_shares(epochs)), used
