"""Single figures in lines of their own, and tables of the means of several runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from imgcls.evaluation.rounding import Printed
from imgcls.pasted.lines import NUMBER, cells, in_percent, is_percent, printed, separator
from imgcls.pasted.pieces import Repeats, SingleFigure
from imgcls.spec.reported import FigureSpec

__all__ = ["read_repeats", "read_single_figures"]

_NAMES = {
    "accuracy": "accuracy", "acc": "accuracy", "balanced accuracy": "balanced_accuracy", "loss": "loss",
    "f1 score": "f1", "f1-score": "f1", "f1": "f1", "macro f1": "macro_f1", "weighted f1": "weighted_f1",
    "cohen's kappa": "cohen_kappa", "cohen kappa": "cohen_kappa", "kappa": "cohen_kappa", "mcc": "mcc",
    "top-5 accuracy": "top5_accuracy",
}  # fmt: skip
_PARTS = ("test", "validation", "val", "train", "training", "eval", "evaluation")
_FILLERS = ("best", "final", "model", "network", "on", "overall", "set", "the", "total")  # they name nothing else
_WORDS = "|".join(sorted(map(re.escape, _NAMES), key=len, reverse=True))
_FIGURE = re.compile(
    rf"(?P<before>[^:=,]*?)\b(?P<name>{_WORDS})\s*[:=]\s*(?P<value>{NUMBER})(?=\s*(?:$|[,;|]))", re.IGNORECASE
)
_COUNTS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_RUNS = re.compile(
    rf"\b([2-9]|[1-9]\d|{'|'.join(_COUNTS)})\s+(?:times|runs|repeats|repetitions|seeds|trainings)\b", re.IGNORECASE
)
_MAX_LINE = 300  # longer is no line of a figure
_CAPTION_LINES = 6  # around a table, that may say of how many runs it is


def read_single_figures(lines: Sequence[str], taken: set[int]) -> list[SingleFigure]:
    """Return the figures of lines that begin with one: ``Accuracy: 0.47``, ``Model 1 - Accuracy: 0.41, F1: 0.45``."""
    return [
        figure
        for index, line in enumerate(lines)
        if index not in taken and len(line) < _MAX_LINE
        for figure in _figures(index + 1, line)
    ]


def _figures(number: int, line: str) -> Iterator[SingleFigure]:
    label, line = "", line.replace("_", " ").replace("*", "").strip(" -\t#>|")
    position = 0
    while match := _FIGURE.match(line, position):
        before = re.findall(r"[\w.]+", match["before"].lower())
        value, part = printed(match["value"]), next((word for word in before if word in _PARTS), "")
        if len(before) > 5 or value is None:
            return
        label = " ".join(word for word in before if word not in (*_PARTS, *_FILLERS)) or label
        name = _NAMES[match["name"].lower()]
        if name != "loss" and is_percent(value):
            value = in_percent(value)
        yield SingleFigure(first_line=number, last_line=number, name=name, value=value, part=part, label=label)
        position = match.end() + len(re.match(r"[\s,;|]*", line[match.end() :])[0])  # type: ignore[index]


def read_repeats(lines: Sequence[str], runs: int | None) -> tuple[list[Repeats], set[int]]:
    """Return the rows of tables with mean and standard deviation, and their lines, counted from 0.

    Args:
        lines: of the text.
        runs: of how many the figures are; None: what a line nearby says.
    """
    repeats, taken = [], set[int]()
    for index, line in enumerate(lines):
        header = [_column(cell) for cell in _wide_cells(line)]
        if "mean" not in header or "sd" not in header:
            continue
        figure = _tabulated(lines, index)
        if not figure:
            continue
        last = index
        for below in range(index + 1, len(lines)):
            row = _wide_cells(lines[below])
            if not row:
                continue
            if len(row) != len(header) or (spread := _spread(header, row, figure)) is None:
                break
            label = next((cell for cell, column in zip(row, header, strict=True) if not column), "")
            near = lines[max(0, index - _CAPTION_LINES) : below + 1 + _CAPTION_LINES]
            repeats.append(
                Repeats(first_line=below + 1, last_line=below + 1, label=label, figure=figure, spread=spread[0],
                        epochs=spread[1], runs=runs or _runs(near))
            )  # fmt: skip
            last = below
        if last > index:
            taken |= set(range(index, last + 1))
    return repeats, taken


def _tabulated(lines: Sequence[str], index: int) -> str:
    """Return of what the means of a table are, as its header or the lines above say; an empty string of others."""
    for text in (lines[index], " ".join(lines[max(0, index - _CAPTION_LINES) : index])):
        found = next((figure for word, figure in _TABULATED.items() if re.search(rf"\b{word}\b", text.lower())), "")
        if found:
            return found
    return ""


_TABULATED = {"accuracy": "accuracy", "acc": "accuracy", "loss": "loss", "f1": "macro_f1"}


def _wide_cells(line: str) -> list[str]:
    """Return the cells of a table in which spaces alone part words, not cells."""
    return cells(line) if separator(line) else [cell for cell in re.split(r"\s{2,}", line.strip()) if cell]


def _column(text: str) -> str:
    words = re.findall(r"[a-z]+", text.lower())
    if "epoch" in words or "epochs" in words:
        return "epochs"
    if {"std", "sd", "stdev", "dev", "deviation"} & set(words):
        return "sd"
    return next((column for word, column in _LEVELS.items() if word in words), "")


_LEVELS = {"mean": "mean", "average": "mean", "avg": "mean", "min": "min", "minimum": "min", "max": "max",
           "maximum": "max"}  # fmt: skip


def _spread(header: Sequence[str], row: Sequence[str], figure: str) -> tuple[FigureSpec, Printed | None] | None:
    values = {column: printed(cell) for column, cell in zip(header, row, strict=True) if column}
    if None in values.values():
        return None
    known: dict[str, Any] = {column: value for column, value in values.items() if value is not None}
    epochs = known.pop("epochs", None)
    if figure != "loss" and is_percent(known["mean"]):
        known = {column: in_percent(value) for column, value in known.items()}
    return FigureSpec.model_construct(**known), epochs


def _runs(lines: Sequence[str]) -> int | None:
    for line in lines:
        if match := _RUNS.search(line):
            word = match[1].lower()
            return int(word) if word.isdecimal() else _COUNTS.index(word) + 2
    return None
