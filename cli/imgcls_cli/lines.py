"""What summaries are made of: labelled lines, small tables of figures, and durations as people say them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["duration", "objective_text", "print_figures", "print_line"]

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
    console: Console,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Sequence[str] = (),
    dropped: Sequence[str] = (),
) -> None:
    """Print a table; columns of figures stay whole however narrow the terminal is, those of ``words`` wrap.

    Args:
        console: where to.
        header: a heading a column; a line break in it makes two lines of it.
        rows: a text a column each.
        words: headings of the columns that wrap.
        dropped: headings of the columns that are left out where the terminal is too narrow for all, the first first.
    """
    from imgcls_cli.console import new_table, plain

    columns = _fitting(dict(zip(header, zip(*rows, strict=True), strict=True)), words, dropped, console.width)
    table = new_table()
    for name in columns:
        is_words = name in words
        table.add_column(name, justify="left" if is_words else "right", overflow="fold", no_wrap=not is_words)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(plain, row))
    console.print(table)


def _fitting(
    columns: Mapping[str, Sequence[str]], words: Sequence[str], dropped: Sequence[str], width: int
) -> dict[str, Sequence[str]]:
    """Leave out columns until the others fit; those that wrap need room for their longest word alone."""
    needed = {name: _needed(name, cells, wraps=name in words) for name, cells in columns.items()}
    for name in dropped:
        if sum(needed.values()) > width:
            del needed[name]
    return {name: columns[name] for name in needed}


def _needed(name: str, cells: Sequence[str], *, wraps: bool) -> int:
    """Return how many characters a column takes, with the space around it."""
    texts = [*name.splitlines(), *(part for cell in cells for part in (cell.split() if wraps else (cell,)))]
    return max(map(len, texts)) + 2


def objective_text(name: str, value: float) -> str:
    """Return what a trial of a sweep reached of an objective: a count, a time, or a share or loss of four digits."""
    return f"{value:,.0f}" if name.endswith("params") else duration(value) if name == "seconds" else f"{value:.4f}"


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``41.3 s``, ``12 min 5 s``, ``3 h 2 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
