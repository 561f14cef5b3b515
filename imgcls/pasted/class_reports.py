"""Classification reports: as scikit-learn prints them, and the same as CSV or as a page's table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from imgcls.evaluation.rounding import Printed
from imgcls.pasted.lines import cells, printed, separator, whole
from imgcls.pasted.pieces import ClassReport
from imgcls.spec.reported import PublishedClass

__all__ = ["read_class_reports"]

_COLUMNS = {
    "precision": "precision", "recall": "recall", "f1-score": "f1", "f1": "f1", "f1_score": "f1", "f1score": "f1",
    "support": "support",
}  # fmt: skip
_AVERAGES = {
    "accuracy": "accuracy", "macro avg": "macro", "macro": "macro", "weighted avg": "weighted", "weighted": "weighted",
    "avg / total": "weighted", "micro avg": "partial", "samples avg": "partial", "avg": "other", "overall": "other",
    "total": "other", "mean": "other",
}  # fmt: skip
_OTHER_TABLES = frozenset(  # that have precision and recall in their header, and no class a row
    ("algorithm", "approach", "classifier", "dataset", "epoch", "experiment", "fold", "method", "model", "network",
     "run", "threshold")
)  # fmt: skip
_MAX_TITLE = 80


class _Header(NamedTuple):
    groups: int  # reports side by side
    columns: tuple[str, ...]
    parted: str  # by what its cells are


class _Row(NamedTuple):
    name: str
    values: dict[str, Printed]
    numbers: list[Printed]


def read_class_reports(lines: Sequence[str]) -> tuple[list[ClassReport], set[int]]:
    """Return the reports, and the lines they stand in, counted from 0."""
    reports, taken = [], set[int]()
    for index, line in enumerate(lines):
        if index not in taken and (header := _header(line)):
            last, rows = _rows(lines, index, header)
            if any(rows):
                titles = _titles(lines, index, header.groups)
                reports += [
                    _report(group, title, index + 1, last + 1) for group, title in zip(rows, titles, strict=True)
                ]
                taken |= set(range(index, last + 1))
    return reports, taken


def _header(line: str) -> _Header | None:
    found = [cell.lower() for cell in cells(re.sub(r"(?i)\bf1[ -]score", "f1-score", line))]
    if found and found[0] in _OTHER_TABLES:
        return None
    columns = [_COLUMNS[cell] for cell in found if cell in _COLUMNS]
    groups = columns.count("precision")
    if not groups or len(found) - len(columns) > groups or len(columns) % groups:
        return None
    one = tuple(columns[: len(columns) // groups])
    if columns != [*one] * groups or not {"precision", "recall"} <= set(one):
        return None
    return _Header(groups, one, separator(line))


def _rows(lines: Sequence[str], start: int, header: _Header) -> tuple[int, list[list[_Row]]]:
    """Return the last line of the reports below a header, and the rows of each."""
    rows: list[list[_Row]] = [[] for _ in range(header.groups)]
    last = start
    is_ended = False  # behind the averages nothing but another average follows
    for index in range(start + 1, len(lines)):
        found = cells(lines[index], header.parted)
        if not found:
            continue
        parsed = _side_by_side(found, header)
        if parsed is None or (is_ended and not _kind(parsed[0])):
            break
        for group, row in zip(rows, parsed, strict=True):
            group.append(row)
        last = index
        is_ended = is_ended or _kind(parsed[0]) == "weighted"
    return last, rows


def _side_by_side(found: list[str], header: _Header) -> list[_Row] | None:
    size, rest = divmod(len(found), header.groups)
    if rest:
        return None
    rows = [_row(found[size * group : size * (group + 1)], header.columns) for group in range(header.groups)]
    return [row for row in rows if row is not None] if None not in rows else None


def _row(found: list[str], columns: tuple[str, ...]) -> _Row | None:
    numbers: list[Printed] = []
    while found and len(numbers) < len(columns) and (value := printed(found[-1])) is not None:
        numbers.insert(0, value)
        found = found[:-1]
    name = " ".join(found)
    if name.lower() == "accuracy":
        return _Row(name, {}, numbers)
    if not name or len(numbers) != len(columns):
        return None
    return _Row(name, dict(zip(columns, numbers, strict=True)), numbers)


def _kind(row: _Row) -> str:
    """Return which average a row is; an empty string of a class."""
    return _AVERAGES.get(row.name.lower().replace("_", " ").replace("average", "avg"), "")


def _report(rows: Sequence[_Row], title: str, first_line: int, last_line: int) -> ClassReport:
    classes = {row.name: _published(row.values) for row in rows if not _kind(row)}
    figures: dict[str, Printed] = {}
    totals = [0]
    for row in rows:
        figures |= _averages(_kind(row), row)
        if _kind(row) and row.numbers and row.numbers[-1] > 1:
            totals.append(_count(row.numbers[-1]) or 0)
    kinds = {_kind(row) for row in rows}
    supports = [row.support for row in classes.values()]
    n = max(totals) or (sum(filter(None, supports)) if None not in supports else 0)
    return ClassReport(
        first_line=first_line,
        last_line=last_line,
        title=title,
        classes=classes,
        figures=figures,
        n=n or None,
        is_partial="partial" in kinds and "accuracy" not in kinds,
    )


def _published(values: dict[str, Printed]) -> PublishedClass:
    shares: dict[str, Any] = {key: value for key, value in values.items() if key != "support"}
    return PublishedClass.model_construct(**shares, support=_count(values["support"]) if "support" in values else None)


def _count(value: Printed) -> int | None:
    return whole(f"{value:.0f}")


def _averages(kind: str, row: _Row) -> dict[str, Printed]:
    if kind == "accuracy":
        return {"accuracy": row.numbers[0]} if row.numbers else {}
    if kind == "macro":
        return {f"macro_{key}": value for key, value in row.values.items() if key != "support"}
    return {"weighted_f1": row.values["f1"]} if kind == "weighted" and "f1" in row.values else {}


def _titles(lines: Sequence[str], index: int, groups: int) -> list[str]:
    """Return what stands above the reports, one heading each; empty strings where nothing fits."""
    above = next((line for line in reversed(lines[max(0, index - 3) : index]) if cells(line)), "")
    parts = [part for part in re.split(r"\t+|\s{2,}", above.strip(" #*")) if part]
    fits = len(parts) == groups and all(len(part) <= _MAX_TITLE for part in parts)
    return parts if fits else [""] * groups
