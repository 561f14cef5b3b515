"""The page of a sweep: what mattered, the best trials, the pictures, and every trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgcls.catalog import full_name
from imgcls.files import read_csv
from imgcls.pages.charts import png
from imgcls.pages.rendering import known, rendered, text_of
from imgcls.pages.tables import Table
from imgcls.runs import Run, layout
from imgcls.settings import plain_text

__all__ = ["sweep_page", "sweep_tables"]

_PICTURES = {
    layout.EFFECTS_PNG: "What each parameter does, the others averaged out",
    layout.CURVES_PNG: "The curves of the trials",
    layout.PARALLEL_PNG: "Every trial as a line through its values",
    layout.SCATTER_PNG: "The parameters against each other; the better trials are lighter",
}
_MOST = 1000  # trials in the page's table


def sweep_tables(run: Run) -> list[Table]:
    """Return the best trials, and what each parameter does.

    Raises:
        DataError: it is no sweep, or has no result yet.
    """
    record = run.sweep
    return [table for table in (_best(record), *_effects(record)) if table.rows]


def sweep_page(run: Run) -> str:
    """Return the page of a sweep as HTML."""
    record = run.sweep
    pictures = [(title, png(run.path(file))) for file, title in _PICTURES.items()]
    return rendered(
        "sweep.html",
        title=full_name(run),
        status=run.status,
        record=record,
        states=", ".join(f"{count:,} {state}" for state, count in record["states"].items()) or "none begun",
        tables=sweep_tables(run),
        pictures=[(title, source) for title, source in pictures if source],
        trials=known(lambda: _trials(run), None),
        text=text_of(run.path(layout.SWEEP)),
        folder=str(run.folder),
    )


def _best(record: Mapping[str, Any]) -> Table:
    best = record["best"]
    parameters = list(best[0]["point"]) if best else []
    spreads = {"accuracy_ci95": "95 % interval", "sd": "sd"}
    known_spreads = [key for key in spreads if best and key in best[0]]
    rows = [
        (
            str(row["trial"]),
            *(plain_text(row["point"].get(name)) for name in parameters),
            *(_figure(row[name]) for name in record["objective"]),
            *("{:.4f} to {:.4f}".format(*row[key]) if key != "sd" else _figure(row[key]) for key in known_spreads),
        )
        for row in best
    ]
    header = ("trial", *parameters, *record["objective"], *(spreads[key] for key in known_spreads))
    words = tuple(range(1, len(parameters) + 1))
    return Table(f"The best trials, on {record['n']:,} validation images", header, tuple(rows), words)


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _effects(record: Mapping[str, Any]) -> list[Table]:
    """Return a table an objective: the adjusted mean of each value of each parameter."""
    tables = []
    for objective, effects in record["effects"].items():
        rows = [
            (
                f"{effect['parameter']} = {level['label']}",
                _figure(level["mean"]),
                "-" if level["low"] is None else f"{level['low']:.4f} to {level['high']:.4f}",
                f"{len(level['values']):,}",
                f"{effect['share']:.1%}" if place == 0 else "",
            )
            for effect in effects
            for place, level in enumerate(effect["levels"])
        ]
        header = ("value", f"mean {objective}", "95 % interval", "trials", "share of the variance")
        tables.append(Table(f"{objective} with each value, the others averaged out", header, tuple(rows)))
    return tables


def _trials(run: Run) -> Table:
    rows = read_csv(run.checked(layout.SWEEP_CSV))
    header = [name for name in (rows[0] if rows else ()) if name not in ("folder", "total_params")]
    body = tuple(tuple(_short(row[name] or "") for name in header) for row in rows[:_MOST])
    words = tuple(column for column in range(len(header)) if not all(_is_figure(row[column]) for row in body))
    return Table(f"All {len(rows):,} trials", tuple(header), body, words)


def _is_figure(text: str) -> bool:
    return not text or text.replace(".", "").replace("-", "").replace("e", "").isdecimal()


def _short(text: str) -> str:
    """Return a figure with four digits behind the point; other text as it is."""
    whole, point, digits = text.partition(".")
    return f"{float(text):.4f}" if point and digits.isdecimal() and whole.lstrip("-").isdecimal() else text
