"""The two consoles, and how text gets onto them. Importing this loads rich: do it inside a command.

What comes from data (class names, paths, messages) is printed as it is, never as markup or terminal codes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO, cast

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["emit", "err", "new_table", "one_format", "one_line", "out", "plain", "safe", "warn"]

PIPE_COLUMNS = 200  # into a file or pipe nothing needs to be cut


class _Lenient:
    """A stream that is given up in silence where it cannot be written to: its disk is full, or nobody reads it."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._given_up():
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._given_up():
            self._stream.flush()

    @contextmanager
    def _given_up(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


class _ProgressConsole(Console):
    """Where progress is told: a training must not die because that cannot be written any more."""

    @property
    def file(self) -> IO[str]:
        return cast("IO[str]", _Lenient(super().file))

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file


def _width(stream: TextIO | None) -> int | None:
    is_terminal = stream is not None and stream.isatty()
    return None if is_terminal or os.environ.get("COLUMNS", "").isdecimal() else PIPE_COLUMNS


out = Console(width=_width(sys.stdout), highlight=False, markup=False, emoji=False)
err = _ProgressConsole(stderr=True, width=_width(sys.stderr), highlight=False, markup=False, emoji=False)


def safe(text: str) -> str:
    r"""Return text without what a terminal would obey: control characters become ``\x1b``; line breaks stay."""
    return "".join(
        character if character.isprintable() or character in "\n\t " else character.encode("unicode_escape").decode()
        for character in text
    )


def one_line(text: str) -> str:
    r"""Return text from data as it can stand in one line: a line break in it becomes ``\n``."""
    return safe(text).replace("\n", "\\n").replace("\t", "\\t")


def plain(text: object, style: str = "") -> Text:
    """Return text from data as a table's cell, or a line."""
    return Text(one_line(str(text)), style=style)


def new_table() -> Table:
    """Return a table without columns yet, as all commands draw them."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def warn(text: str) -> None:
    """Print a warning to stderr."""
    err.print(Text(f"warning: {one_line(text)}", style="yellow"), soft_wrap=True)


def emit(text: str) -> None:
    """Write a result for machines to stdout: as UTF-8 whatever the locale, but to a terminal what it may be shown."""
    text = text if text.endswith("\n") else text + "\n"
    if sys.stdout.isatty():
        sys.stdout.write(safe(text))
    elif hasattr(sys.stdout, "buffer"):
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    else:  # put there by a program, which takes text
        sys.stdout.write(text)
    sys.stdout.flush()


def one_format(**chosen: bool) -> str:
    """Return which of the formats was chosen; an empty string for none.

    Raises:
        SpecError: more than one was.
    """
    from imgcls.errors import SpecError

    names = [name for name, is_chosen in chosen.items() if is_chosen]
    if len(names) > 1:
        raise SpecError(f"--{' and --'.join(names)}: one format at a time")
    return names[0] if names else ""
