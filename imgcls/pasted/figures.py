"""Single figures in lines of their own, and tables of the means of several runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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
        names = _wide_cells(line)
        header = [_column(cell) for cell in names]
        if "mean" not in header or "sd" not in header:
            continue
        columns = _columns_of_figures(names, header, _tabulated(lines, index))
        last = index
        for below in range(index + 1, len(lines) if columns else 0):
            row = _wide_cells(lines[below])
            if not row:
                continue
            if len(row) != len(header) or (spreads := _spreads(columns, row)) is None:
                break
            label = next((cell for cell, column in zip(row, header, strict=True) if not column), "")
            near = lines[max(0, index - _CAPTION_LINES) : below + 1 + _CAPTION_LINES]
            repeats += [
                Repeats(first_line=below + 1, last_line=below + 1, label=label, figure=figure, spread=spread,
                        epochs=epochs, runs=runs or _runs(near))
                for figure, (spread, epochs) in spreads.items()
            ]  # fmt: skip
            last = below
        if last > index:
            taken |= set(range(index, last + 1))
    return repeats, taken


def _tabulated(lines: Sequence[str], index: int) -> str:
    """Return of what the means of a table are, as its header or the lines above say; an empty string of others."""
    return _named(lines[index]) or _named(" ".join(lines[max(0, index - _CAPTION_LINES) : index]))


def _named(text: str) -> str:
    return next((figure for word, figure in _TABULATED.items() if re.search(rf"\b{word}\b", text.lower())), "")


_TABULATED = {"accuracy": "accuracy", "acc": "accuracy", "loss": "loss", "f1": "macro_f1"}


def _columns_of_figures(names: Sequence[str], header: Sequence[str], figure: str) -> dict[str, list[str]]:
    """Return figure → its columns, all others being left empty; none where it is not clear of what they are.

    Args:
        names: as they stand in the header.
        header: what each column holds.
        figure: of the table as a whole, which is all of its columns' where none of them stands twice.
    """
    held = [column for column in header if column]
    if not figure or len(set(held)) == len(held):
        return {figure: list(header)} if figure else {}
    columns: dict[str, list[str]] = {}
    current = ""
    for place, (name, column) in enumerate(zip(names, header, strict=True)):
        current = _named(name) or current
        if not column:
            continue
        own = columns.setdefault(current, [""] * len(header))
        if not current or column in own:
            return {}
        own[place] = column
    return {name: own for name, own in columns.items() if {"mean", "sd"} <= set(own)}


def _wide_cells(line: str) -> list[str]:
    """Return the cells of a table in which spaces alone part words, not cells."""
    return cells(line) if separator(line) else [cell for cell in re.split(r"\s{2,}", line.strip()) if cell]


def _column(text: str) -> str:
    words = re.findall(r"[a-z]+", text.lower())
    is_sd = {"std", "sd", "stdev", "dev", "deviation"} & set(words)
    column = "sd" if is_sd else next((column for word, column in _LEVELS.items() if word in words), "")
    if "epoch" in words or "epochs" in words:
        return "epochs" if column in ("", "mean") else ""
    return column


_LEVELS = {"mean": "mean", "average": "mean", "avg": "mean", "min": "min", "minimum": "min", "max": "max",
           "maximum": "max"}  # fmt: skip


def _spreads(
    columns: Mapping[str, Sequence[str]], row: Sequence[str]
) -> dict[str, tuple[FigureSpec, Printed | None]] | None:
    """Return what a row has of each figure; None where a cell is no number."""
    found = {figure: _spread(header, row, figure) for figure, header in columns.items()}
    return {figure: spread for figure, spread in found.items() if spread} if all(found.values()) else None


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
