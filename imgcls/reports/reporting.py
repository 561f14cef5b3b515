"""A report on whatever is asked for: a run, repeats, a sweep, or several runs held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imgcls.comparison import compare
from imgcls.errors import SpecError
from imgcls.pages.tables import Table
from imgcls.reports.comparison import comparison_page, comparison_tables
from imgcls.reports.repeats import repeats_page, repeats_tables
from imgcls.reports.run import run_page, run_tables
from imgcls.reports.sweep import sweep_page, sweep_tables
from imgcls.runs import Run

__all__ = ["report_page", "report_tables"]


def report_page(runs: Sequence[Run], *, cache_dir: Path | str | None = None, explain: bool = False) -> str:
    """Return a page of HTML that stands alone, on one run, repeats or sweep, or on several runs side by side.

    Args:
        runs: one, or those to compare.
        cache_dir: where prepared images are kept, which the page shows; by default the user's cache folder.
        explain: show too where the network saw the classes of its surest errors (Grad-CAM); of a single run.

    Raises:
        DataError: there is nothing to report yet, or a file is damaged.
        SpecError: sweeps beside others, or ``explain`` of something else than a single run with places to show.
    """
    cache = Path(cache_dir) if cache_dir else None
    if explain and (len(runs) > 1 or runs[0].is_sweep or runs[0].is_repeated):
        raise SpecError("explain: shows the errors of a single run; name one")
    if len(runs) > 1:
        return comparison_page(runs, cache)
    (run,) = runs
    if run.is_sweep:
        return sweep_page(run)
    return repeats_page(run) if run.is_repeated else run_page(run, cache, explain=explain)


def report_tables(runs: Sequence[Run]) -> tuple[list[str], list[Table]]:
    """Return what the page says in words, and its tables; errors as of the page."""
    if len(runs) > 1:
        comparison = compare(runs)
        return [*comparison.verdict.lines, *comparison.notes], comparison_tables(runs, comparison)
    (run,) = runs
    if run.is_sweep:
        return list(run.sweep["verdict"]), sweep_tables(run)
    if run.is_repeated:
        return [], repeats_tables(run)
    return [], run_tables(run)
