"""Tables of a result, for pages and for those who write: HTML, Markdown and LaTeX show the same ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imgcls.comparison.rendering import markdown_cell

__all__ = ["Table", "latex_text", "to_latex", "to_markdown"]

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Cells as people read them.

    Attributes:
        title: what it shows, with how many images it is of.
        header: a name a column.
        rows: as many cells each; the first names the row.
        words: the columns that are text, not figures, beside the first.
        best: (row, column) of the cells that stand out.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = ()
    best: frozenset[tuple[int, int]] = frozenset()

    def is_text(self, column: int) -> bool:
        """Whether a column is text."""
        return column == 0 or column in self.words


def to_markdown(tables: Iterable[Table], notes: Sequence[str] = ()) -> str:
    """Return tables in GitHub's Markdown, each under its title; the best values are bold."""
    parts = ["\n".join(f"- {markdown_cell(note)}" for note in notes)] if notes else []
    for table in tables:
        ruler = ["---" if table.is_text(column) else "---:" for column in range(len(table.header))]
        lines = [_line(map(markdown_cell, table.header)), _line(ruler)]
        for place, row in enumerate(table.rows):
            cells = [markdown_cell(cell) for cell in row]
            bold = [f"**{cell}**" if (place, column) in table.best else cell for column, cell in enumerate(cells)]
            lines.append(_line(bold))
        parts.append("\n".join([f"**{markdown_cell(table.title)}**", "", *lines]))
    return "\n\n".join(parts) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def to_latex(tables: Iterable[Table], notes: Sequence[str] = ()) -> str:
    r"""Return tables in LaTeX, each a ``table`` with its title as caption; ``\usepackage{booktabs}`` is needed."""
    parts = ["% needs \\usepackage{booktabs}", *(f"% {' '.join(note.split())}" for note in notes)]
    for table in tables:
        columns = "".join("l" if table.is_text(column) else "r" for column in range(len(table.header)))
        parts += [
            "\\begin{table}", "  \\centering", f"  \\caption{{{latex_text(table.title)}}}",
            f"  \\begin{{tabular}}{{{columns}}}", "    \\toprule", _latex_line(map(latex_text, table.header)),
            "    \\midrule",
        ]  # fmt: skip
        for place, row in enumerate(table.rows):
            cells = [latex_text(cell) for cell in row]
            bold = [
                f"\\textbf{{{cell}}}" if (place, column) in table.best else cell for column, cell in enumerate(cells)
            ]
            parts.append(_latex_line(bold))
        parts += ["    \\bottomrule", "  \\end{tabular}", "\\end{table}", ""]
    return "\n".join(parts) + "\n"


def _latex_line(cells: Iterable[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def latex_text(text: str) -> str:
    """Return text as LaTeX shows it, whatever stands in it."""
    return " ".join(re.sub(r"[\\&%$#_{}~^<>]", lambda found: _LATEX[found[0]], text).split())
