"""What summaries are made of: labelled lines, small tables of figures, and durations as people say them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["duration", "print_figures", "print_line"]

LABEL_COLUMNS = 10


def print_line(console: Console, label: str, text: str, style: str = "") -> None:
    """Print ``label  text``; where the text wraps, its lines stand below each other."""
    from rich.text import Text

    from imgcls_cli.console import plain

    lines = plain(text, style).wrap(console, max(console.width - LABEL_COLUMNS - 1, 10))
    for index, line in enumerate(lines):
        line.rstrip()
        console.print(Text.assemble((f"{'' if index else label:<{LABEL_COLUMNS}}", "dim"), line), soft_wrap=True)


def print_figures(
    console: Console, header: Sequence[str], rows: Iterable[Sequence[str]], *, words: Sequence[str] = ()
) -> None:
    """Print a table; columns of figures stay whole however narrow the terminal is, those of ``words`` wrap."""
    from rich import box
    from rich.table import Table

    from imgcls_cli.console import plain

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in header:
        is_words = name in words
        table.add_column(name, justify="left" if is_words else "right", overflow="fold", no_wrap=not is_words)
    for row in rows:
        table.add_row(*map(plain, row))
    console.print(table)


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``41.3 s``, ``12 min 5 s``, ``3 h 2 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
