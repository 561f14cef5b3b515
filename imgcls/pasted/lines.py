"""Text from terminals, notebooks and pages: its lines without what only a terminal reads, their cells and numbers."""

from __future__ import annotations

import csv
import re

from imgcls.evaluation.rounding import NO_LIMIT, Printed

__all__ = ["NUMBER", "cells", "clean_lines", "in_percent", "is_percent", "printed", "separator", "whole"]

NUMBER = r"[-+]?(?:0,\d+|(?:[1-9]\d{0,2}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?%?|[-+]?(?:nan|inf)\b"
"""A number as people and programs print it: ``0.47``, ``.47``, ``0,47``, ``1,896``, ``47%``, ``1e-4``, ``nan``."""

_MAX_LINE = 20_000  # of a table; longer holds an embedded image, or worse
_MAX_NUMBER = 40  # letters
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_SIGNS = str.maketrans("\u2013\u2014\u2212\xa0\u2009\u202f", "---   ", "\ufeff")  # dashes, minus, other spaces
_NUMBER_ALONE = re.compile(NUMBER, re.IGNORECASE)
_RULE = re.compile(r"[\s|:+=_-]*|\s*\\(top|c?mid|bottom)rule.*|\s*\\hline\s*")  # between the rows of a table


def clean_lines(text: str) -> list[str]:
    """Return the lines as they looked at last: where a progress bar wrote over itself, what it wrote last."""
    text = _TERMINAL_CODES.sub("", text.replace("\r\n", "\n")).replace("\\_", "_").translate(_SIGNS)
    return [_written_last(line) for line in text.split("\n")]


def _written_last(line: str) -> str:
    parts = [part for part in re.split(r"[\r\x08]+", line) if part.strip()]
    return parts[-1].rstrip() if parts else ""


def separator(line: str) -> str:
    """Return what parts the cells of a table's line: a tab, ``|``, ``&``, ``;``, ``,``, or nothing for spaces."""
    return next((each for each in "\t|&;," if each in line), "")


def cells(line: str, parted: str | None = None) -> list[str]:
    """Return what stands in a line of a table; empty cells are left out.

    With spaces alone a name of several words is several cells.

    Args:
        line: of the table.
        parted: by what, as ``separator`` says it of the header; None: as it says of this line.
    """
    if len(line) > _MAX_LINE or _RULE.fullmatch(line):
        return []
    parted = separator(line) if parted is None else parted
    if parted in (";", ","):
        found = next(csv.reader([line], delimiter=parted))
    else:
        found = line.replace("\\\\", "").split(parted or None)
    return [cell.strip().strip("*`") for cell in found if cell.strip()]


def printed(text: str) -> Printed | None:
    """Return the number that a cell is, with the decimals it is printed with; None: it is none that figures have.

    A percentage is a share.
    """
    text = text.strip()
    if len(text) > _MAX_NUMBER or not _NUMBER_ALONE.fullmatch(text):
        return None
    has_sign, text = text.endswith("%"), text.removesuffix("%")
    text = text.replace(",", ".") if re.match(r"[-+]?0,", text) else text.replace(",", "")
    mantissa, _, exponent = text.lower().partition("e")
    value, is_word = float(text), text[-1] in "fFnN"
    if not is_word and not abs(value) < NO_LIMIT:
        return None
    digits = 0 if is_word else min(_MAX_NUMBER, max(0, len(mantissa.partition(".")[2]) - int(exponent or 0)))
    return in_percent(Printed(value, digits)) if has_sign else Printed(value, digits)


def is_percent(value: float) -> bool:
    """Whether what should be a share can only be so many percent."""
    return 1 < value <= 100


def in_percent(value: Printed) -> Printed:
    """Return the share that so many percent are."""
    return Printed(value / 100, value.decimals + 2)


def whole(text: str) -> int | None:
    """Return the count that a cell is, which some programs print as ``701.0``; None: it is none."""
    value = printed(text)
    return int(value) if value is not None and value >= 0 and value.is_integer() and not text.endswith("%") else None
