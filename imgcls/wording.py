"""How counts, lists and file names are put into messages."""

from __future__ import annotations

import os
from collections.abc import Sequence

__all__ = ["counted", "display", "some"]

MAX_SHOWN = 20  # names in one message; a folder of a million broken files must not fill the terminal


def some(names: Sequence[str], limit: int = MAX_SHOWN) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more:,} more" if more > 0 else "")


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Return ``"1 image"`` or ``"2,000 images"``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def display(name: str | os.PathLike[str]) -> str:
    r"""Return a file name as text that can be printed and stored: bytes that are not UTF-8 become ``\xff``."""
    return os.fspath(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
