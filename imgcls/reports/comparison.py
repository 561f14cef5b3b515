"""The page of a comparison: the verdict first, then the figures, the curves, and the images that changed sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from imgcls.comparison import Comparison, Row, compare, short_names, shown
from imgcls.errors import DataError
from imgcls.evaluation.plots import overlaid_figure
from imgcls.pages.charts import svg
from imgcls.pages.rendering import known, rendered
from imgcls.pages.tables import Table
from imgcls.reports.facts import validation_curve
from imgcls.reports.pictures import Thumbnails
from imgcls.reports.predictions import read_predictions
from imgcls.runs import Run

__all__ = ["comparison_page", "comparison_tables"]

_IMAGES = 36  # that changed, of each kind


def comparison_tables(runs: Sequence[Run], comparison: Comparison | None = None) -> list[Table]:
    """Return figures, settings that differ, times, and the classes' recall, a column a run.

    Raises:
        SpecError, DataError: as ``compare``.
    """
    comparison = comparison or compare(runs)
    names = _names(comparison)
    states = Row("state", tuple(column.state_text for column in comparison.runs))
    tables = [
        _table("Figures", names, (states, *comparison.metrics)),
        _table("Settings that differ", names, comparison.settings),
        _table("Times", names, comparison.timings),
        _recalls(runs, names, comparable=all(row.comparable for row in comparison.metrics if row.key == "accuracy")),
    ]
    return [table for table in tables if table.rows]


def comparison_page(runs: Sequence[Run], cache_dir: Path | None = None) -> str:
    """Return the page of a comparison as HTML; errors as of ``compare``."""
    comparison = compare(runs)
    return rendered(
        "comparison.html",
        title=" against ".join(_names(comparison)) if len(runs) < 4 else f"{len(runs)} runs side by side",
        verdict=comparison.verdict.lines,
        notes=comparison.notes,
        tables=comparison_tables(runs, comparison),
        curves=_curves(runs, comparison),
        changes=known(lambda: _changes(runs, cache_dir), None) if len(runs) == 2 else None,
        folders=[str(run.folder) for run in runs],
    )


def _names(comparison: Comparison) -> list[str]:
    return short_names([column.name for column in comparison.runs])


def _table(title: str, names: Sequence[str], rows: Sequence[Row]) -> Table:
    best = frozenset((place, column + 1) for place, row in enumerate(rows) for column in row.best)
    return Table(title, ("figure", *names), tuple((row.key, *shown(row)) for row in rows), best=best)


def _recalls(runs: Sequence[Run], names: Sequence[str], *, comparable: bool) -> Table:
    """Return the recall of each class; of two runs also what is between them, where that is most first."""
    found = [_recall(run) for run in runs]
    classes = dict.fromkeys(name for each in found for name in each)
    values = {name: [each.get(name) for each in found] for name in classes}
    rows = [(name, *("-" if value is None else f"{value:.3f}" for value in each)) for name, each in values.items()]
    header: tuple[str, ...] = ("class", *names)
    if len(runs) == 2 and comparable:
        first, second = found
        gaps = {name: _gap(first.get(name), second.get(name)) for name in classes}
        rows.sort(key=lambda row: -abs(gaps[row[0]] or 0.0))
        rows = [(*row, "-" if (gap := gaps[row[0]]) is None else f"{100 * gap:+.1f}") for row in rows]
        header = (*header, "points")
    return Table("Recall of each class", header, tuple(rows))


def _gap(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else second - first


def _recall(run: Run) -> dict[str, float | None]:
    """Return class → recall, None where it has no images; of repeats the mean over those that are completed."""
    found: dict[str, list[float]] = {}
    for scores in known(lambda: [each.metrics["per_class"] for each in _completed(run)], []):
        for name, score in scores.items():
            found.setdefault(name, []).extend([] if score["recall"] is None else [score["recall"]])
    return {name: fmean(values) if values else None for name, values in found.items()}


def _completed(run: Run) -> list[Run]:
    if not run.is_repeated:
        return [run]
    pairs = zip(run.members, run.repeats["runs"], strict=True)
    return [member for member, row in pairs if row["state"] == "completed"]


def _curves(runs: Sequence[Run], comparison: Comparison) -> str | None:
    """Return the validation accuracy of all, of repeats the first's, the best run first."""
    accuracy = next((row.values for row in comparison.metrics if row.key == "accuracy"), (None,) * len(runs))
    order = sorted(range(len(runs)), key=lambda place: -(accuracy[place] or 0.0))
    names = _names(comparison)
    curves = ((names[place], validation_curve(runs[place])) for place in order)
    found = [(name, values) for name, values in curves if values]
    return svg(lambda: overlaid_figure(found, "validation accuracy")) if found else None


def _changes(runs: Sequence[Run], cache_dir: Path | None) -> dict[str, Any]:
    """Return the images that one run has right and the other wrong; DataError where they were not asked the same."""
    one, other = (read_predictions(run) for run in runs)
    place = {path: row for row, path in enumerate(one.paths)}
    if one.classes != other.classes or set(place) != set(other.paths):
        raise DataError("the runs were measured on different images")
    rows = [place[path] for path in other.paths]
    was, now = (one.predicted == one.labels)[rows], other.predicted == other.labels
    thumbnails = Thumbnails(runs[1], cache_dir)
    gained, lost = (now & ~was).nonzero()[0], (was & ~now).nonzero()[0]
    return {
        "gained": one.pictures([rows[row] for row in gained[:_IMAGES]], thumbnails.uri),
        "lost": other.pictures(lost[:_IMAGES].tolist(), thumbnails.uri),
        "counts": (len(gained), len(lost), int((was & now).sum()), int((~was & ~now).sum())),
        "lacking": thumbnails.lacking,
    }
