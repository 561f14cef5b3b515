"""Confusion matrices: as numpy and Python print them, and as CSV or as a page's table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from imgcls.pasted.lines import cells, whole
from imgcls.pasted.pieces import Matrix

__all__ = ["read_matrices"]

_NESTED = re.compile(r"\[\s*(?:\[[^\[\]]*\][\s,]*(?:\.\.\.[\s,]*)?)+\]")
_INNER = re.compile(r"\[([^\[\]]*)\]")
_HEADING = re.compile(r"confusion|matrix|\bcm\b", re.IGNORECASE)
_ASSIGNED = re.compile(r"\w\s*=\s*\S*$")  # code, not what it printed
_HEADING_LINES = 3  # above a table of counts
_LEAST = 10  # images: a smaller table is something else, or says nothing


def read_matrices(lines: Sequence[str]) -> tuple[list[Matrix], set[int]]:
    """Return the matrices of counts, and the lines they stand in, counted from 0."""
    text = "\n".join(lines)
    matrices, taken = [], set[int]()
    last = end = 0  # the line that the text up to there ends in
    for match in _NESTED.finditer(text):
        first = last + text.count("\n", end, match.start())
        last, end = first + match[0].count("\n"), match.end()
        before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        is_named = any(_HEADING.search(line) for line in (*lines[max(0, first - _HEADING_LINES) : first], before))
        matrix = _nested(match[0], first + 1, last + 1, is_named=is_named)
        if matrix is not None and (is_named or not _ASSIGNED.search(before)):
            matrices.append(matrix)
            taken |= set(range(first, last + 1))
    for matrix in _tables(lines, taken):
        matrices.append(matrix)
        taken |= set(range(matrix.first_line - 1, matrix.last_line))
    return matrices, taken


def _nested(text: str, first_line: int, last_line: int, *, is_named: bool) -> Matrix | None:
    if "..." in text:
        if not is_named:
            return None  # numpy cuts images and labels too
        return Matrix(first_line=first_line, last_line=last_line, counts=(), is_cut=True)
    rows = [[whole(cell) for cell in re.split(r"[\s,]+", row.strip())] for row in _INNER.findall(text)]
    counts = _square(rows)
    return Matrix(first_line=first_line, last_line=last_line, counts=counts) if counts else None


def _square(rows: Sequence[Sequence[int | None]]) -> tuple[tuple[int, ...], ...]:
    """Return rows of counts as a matrix; an empty one where they are none."""
    counts = tuple(tuple(count for count in row if count is not None) for row in rows)
    is_square = len(rows) > 1 and all(
        len(row) == len(rows) == len(full) for row, full in zip(counts, rows, strict=True)
    )
    return counts if is_square and sum(map(sum, counts)) >= _LEAST else ()


def _tables(lines: Sequence[str], taken: set[int]) -> list[Matrix]:
    """Return the tables with as many rows as columns, headed by their names or by a line that says what they are."""
    found, index = [], 0
    while index < len(lines):
        block = _block(lines, index, taken)
        matrix = _table(lines, index, block) if len(block) > 1 else None
        if matrix is not None:
            found.append(matrix)
        index += max(1, len(block))
    return found


def _block(lines: Sequence[str], start: int, taken: set[int]) -> list[tuple[str, list[int]]]:
    """Return the names and counts of the rows from a line on, as long as all have as many counts."""
    block: list[tuple[str, list[int]]] = []
    for index in range(start, len(lines)):
        row = _named_counts(cells(lines[index]), len(block[0][1]) if block else 0)
        if index in taken or row is None:
            break
        block.append(row)
    return block


def _named_counts(found: list[str], columns: int) -> tuple[str, list[int]] | None:
    """Return name and counts of a row; of a first row, ``columns`` being 0, as many as it has."""
    counts: list[int] = []
    for cell in reversed(found):
        if len(counts) == columns > 0 or (count := whole(cell)) is None:
            break
        counts.append(count)
    name = found[: len(found) - len(counts)]
    if len(counts) < 2 or (columns and len(counts) != columns) or len(name) > 3:
        return None
    return " ".join(name), counts[::-1]


def _table(lines: Sequence[str], start: int, block: Sequence[tuple[str, list[int]]]) -> Matrix | None:
    has_numbers = len(block) == len(block[0][1]) + 1 and not block[0][0]  # for names, so that the header is a row too
    rows = block[1:] if has_numbers else block
    counts = _square([row for _, row in rows])
    if not counts:
        return None
    names = [name for name, _ in rows]
    if _has_margins(counts):
        counts, names = tuple(row[:-1] for row in counts[:-1]), names[:-1]
    header = cells(lines[start if has_numbers else start - 1]) if start or has_numbers else []
    is_headed = all(names) and names == [cell for cell in header if cell in names]
    heading = any(_HEADING.search(line) for line in lines[max(0, start - _HEADING_LINES) : start])
    is_all = not any(line.strip() for line in (*lines[:start], *lines[start + len(block) :]))
    if not (is_headed or heading or is_all):
        return None
    first_line = start if is_headed and not has_numbers else start + 1
    return Matrix(first_line=first_line, last_line=start + len(block), counts=counts)


def _has_margins(counts: Sequence[Sequence[int]]) -> bool:
    """Whether the last row and the last column are the sums of the others."""
    columns = [sum(column[:-1]) == column[-1] for column in zip(*counts, strict=True)]
    return len(counts) > 2 and all(columns) and all(sum(row[:-1]) == row[-1] for row in counts)
