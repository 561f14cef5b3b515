"""``imgcls compare``: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_cli.completion import complete_runs
from imgcls_cli.options import Csv, Json, Markdown, RunsDir

if TYPE_CHECKING:
    from rich.console import RenderableType

    from imgcls.comparison import Comparison, Row

__all__ = ["compare"]


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Paths, names, unique prefixes, or latest.",
            show_default=False,
            autocompletion=complete_runs,
        ),
    ],
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
) -> None:
    """Compare runs: figures with the best marked, the settings that differ, times; and whether it is more than chance.

    Single runs are tested image by image (McNemar's exact test), repeats over seeds and images (Welch's test), several
    with Holm's correction. A folder of repeats is one column: means, with their standard deviations in brackets.

    Example: imgcls compare small-cnn resnet --markdown
    """
    from imgcls.catalog import find_run
    from imgcls.comparison import compare as compare_runs
    from imgcls.comparison import to_csv, to_json, to_markdown
    from imgcls.errors import SpecError
    from imgcls_cli.console import emit, one_format

    if len(runs) < 2:
        raise SpecError("compare takes at least two runs")
    chosen = one_format(json=json, csv=csv, markdown=markdown)
    comparison = compare_runs([find_run(run, runs_dir) for run in runs])
    if chosen:
        emit({"json": to_json, "csv": to_csv, "markdown": to_markdown}[chosen](comparison))
    else:
        _print(comparison)


def _print(comparison: Comparison) -> None:
    """Print the tables, in blocks of as many runs as the terminal is wide enough for."""
    from imgcls_cli.console import err, out, plain

    for number, run in enumerate(comparison.runs, start=1):
        out.print(plain(f"{number:>3}  {run.name}  ({run.state_text})"), soft_wrap=True)
    rows = [*comparison.metrics, *comparison.settings, *comparison.timings]
    wide = max([len(row.key) for row in rows], default=0)
    fits = max(1, (min(out.width, 200) - wide - 2) // _column_width(comparison))
    for start in range(0, len(comparison.runs), fits):
        out.print(_table(comparison, range(start, min(start + fits, len(comparison.runs)))))
    for text in comparison.verdict.lines:
        out.print(plain(text, "bold"))
    for note in comparison.notes:
        err.print(plain(f"note: {note}", "yellow"), soft_wrap=True)
    if not comparison.settings and sum(run.has_settings for run in comparison.runs) > 1:
        err.print("the settings do not differ")


def _table(comparison: Comparison, chosen: range) -> RenderableType:
    from imgcls_cli.console import new_table, plain

    table = new_table()
    table.add_column("", overflow="fold")
    for index in chosen:
        heading = f"run {index + 1}\n{comparison.runs[index].count}".strip()
        table.add_column(heading, justify="right", overflow="fold", max_width=40)
    for section, rows in (
        ("metrics", comparison.metrics),
        ("settings", comparison.settings),
        ("times", comparison.timings),
    ):
        if rows:
            table.add_row(plain(section, "bold"))
        for row in rows:
            table.add_row(plain(row.key), *(plain(*cell) for cell in _cells(row, chosen)))
        if rows:
            table.add_section()
    return table


def _column_width(comparison: Comparison) -> int:
    """Return how wide a column is assumed to be: one of repeats has a deviation in it too."""
    return 22 if any(row.deviations for row in comparison.metrics) else 16


def _cells(row: Row, chosen: range) -> list[tuple[str, str]]:
    """Return text and style; the best has a star too, for it must be seen without colour."""
    from imgcls.comparison import shown

    texts = shown(row)
    return [(f"{texts[index]} *", "bold green") if index in row.best else (f"{texts[index]}  ", "") for index in chosen]
