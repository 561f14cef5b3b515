"""How counts, lists and file names are put into messages."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence

__all__ = ["counted", "display", "first_line", "shown", "size", "some", "within_bytes"]

KILO = 1000
BREAKING = ("Cc", "Zl", "Zp")  # Unicode's categories of control characters, and of what ends a line or a paragraph
MAX_SHOWN = 20  # names in one message; a folder of a million broken files must not fill the terminal


def some(names: Sequence[str], limit: int = MAX_SHOWN, *, total: int | None = None) -> str:
    """Return the first names, as ``shown``, and how many more there are; ``total`` where not all are given."""
    more = (len(names) if total is None else total) - limit
    return ", ".join(map(shown, names[:limit])) + (f" and {more:,} more" if more > 0 else "")


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Return ``"1 image"`` or ``"2,000 images"``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def shown(text: str) -> str:
    r"""Return text that stays on its line and leaves the terminal alone: a line break becomes ``\n``."""
    if text.isprintable():
        return text
    return "".join(
        each.encode("unicode_escape").decode() if unicodedata.category(each) in BREAKING else each for each in text
    )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the error's name where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def size(count_bytes: int) -> str:
    """Return ``"512 bytes"``, ``"1.5 kB"``, ``"20 MB"`` or ``"1.2 GB"``."""
    if count_bytes < KILO:
        return counted(count_bytes, "byte")
    value, unit = float(count_bytes), "bytes"
    for unit in ("kB", "MB", "GB"):  # noqa: B007 - the last one stays
        value /= KILO
        if value < KILO - 0.5:
            break
    return f"{value:,.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"


def display(name: str | os.PathLike[str]) -> str:
    r"""Return a file name as text that can be printed and stored: bytes that are not UTF-8 become ``\xff``."""
    return os.fspath(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def within_bytes(name: str, most: int) -> str:
    """Return the beginning of a file name that takes at most so many bytes on the disk, in whole characters."""
    name = name[:most]
    while len(os.fsencode(name)) > most:
        name = name[:-1]
    return name
