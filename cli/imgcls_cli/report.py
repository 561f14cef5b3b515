"""``imgcls report``: a page, or tables for those who write."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_cli.completion import complete_runs
from imgcls_cli.options import CacheDir, RunsDir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcls.runs import Run

__all__ = ["report"]

RunNames = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="Runs, repeats or a sweep: paths, names, prefixes, latest.",
        autocompletion=complete_runs,
    ),
]


class Format(StrEnum):
    """What a report is written in."""

    HTML = "html"
    MARKDOWN = "markdown"
    LATEX = "latex"


def report(
    runs: RunNames,
    format: Annotated[Format, typer.Option("--format", help="A page, or its tables as text.")] = Format.HTML,  # noqa: A002
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to.", show_default="report.html in the run folder, or stdout")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show where the network saw the classes of its surest errors (Grad-CAM).")
    ] = False,
    runs_dir: RunsDir = Path("runs"),
    cache_dir: CacheDir = None,
) -> None:
    """Write a page on a run, on repeats or a sweep, or on several runs side by side: one file that needs no network.

    The last line of stdout is its path. Markdown and LaTeX tables go to stdout, if --out names no file.

    Example: imgcls report latest
    """
    from imgcls.catalog import find_run
    from imgcls.errors import SpecError
    from imgcls.files import write_text
    from imgcls.pages.tables import to_latex, to_markdown
    from imgcls.reports import report_page, report_tables
    from imgcls_cli.console import emit

    if explain and format is not Format.HTML:
        raise SpecError("--explain puts pictures into a page: it needs --format html")
    found = [find_run(run, runs_dir) for run in runs]
    if format is Format.HTML:
        path = out or _place(found, runs_dir)
        write_text(path, report_page(found, cache_dir=cache_dir, explain=explain))
        emit(str(path))
        return
    notes, tables = report_tables(found)
    text = to_markdown(tables, notes) if format is Format.MARKDOWN else to_latex(tables, notes)
    if out is None:
        emit(text.rstrip("\n"))
    else:
        write_text(out, text)
        emit(str(out))


def _place(runs: Sequence[Run], runs_dir: Path) -> Path:
    """Return where the page goes by itself: into the run's folder, of several beside them."""
    from imgcls.runs.layout import COMPARISON_HTML, REPORT_HTML

    return runs[0].path(REPORT_HTML) if len(runs) == 1 else runs_dir / COMPARISON_HTML
