"""A comparison as JSON, CSV, Markdown, and as text for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from imgcls.comparison.comparing import METRIC_ROWS, Comparison, Row
from imgcls.files import csv_text, strict_json
from imgcls.settings import plain_text

__all__ = ["markdown_cell", "shown", "to_csv", "to_json", "to_markdown"]


def shown(row: Row) -> list[str]:
    """Return the row's values as people read them, one text a run."""
    return [_readable(row.key, value) for value in row.values]


def to_json(comparison: Comparison) -> str:
    """Return strict JSON with the keys runs, metrics, settings, timings and notes."""
    return strict_json(asdict(comparison))


def to_csv(comparison: Comparison) -> str:
    """Return CSV: a row a figure or setting, a column a run."""
    rows = [("status", "state", *(column.state for column in comparison.runs))]
    for section, found in _sections(comparison):
        rows += [(section, row.key, *(_exact(value) for value in row.values)) for row in found]
    rows += [("notes", note, *("" for _ in comparison.runs)) for note in comparison.notes]
    return csv_text(("section", "key", *(column.name for column in comparison.runs)), rows)


def to_markdown(comparison: Comparison) -> str:
    """Return a Markdown table a section; the best values are bold."""
    names = [markdown_cell(column.name) for column in comparison.runs]
    lines = [_markdown_row(["", *names]), _markdown_row(["---"] * (len(names) + 1))]
    lines.append(_markdown_row(["state", *(column.state for column in comparison.runs)]))
    for section, rows in _sections(comparison):
        if rows:
            lines.append(_markdown_row([f"**{section}**", *("" for _ in names)]))
        for row in rows:
            cells = [markdown_cell(text) for text in shown(row)]
            marked = [f"**{cell}**" if index in row.best else cell for index, cell in enumerate(cells)]
            lines.append(_markdown_row([markdown_cell(row.key), *marked]))
    if comparison.notes:
        lines += ["", *(f"- {markdown_cell(note)}" for note in comparison.notes)]
    return "\n".join(lines) + "\n"


def markdown_cell(text: str) -> str:
    """Return text as one cell of a Markdown table that shows it as it is."""
    escaped = re.sub(r"[\\|*`\[\]<>]|\b_+|_+\b", lambda found: "".join(f"\\{each}" for each in found[0]), text)
    return " ".join(escaped.split())


def _sections(comparison: Comparison) -> list[tuple[str, tuple[Row, ...]]]:
    return [
        ("metrics", comparison.metrics),
        ("settings", comparison.settings),
        ("timings", comparison.timings),
    ]


def _readable(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if key == "accuracy_ci95":
        return f"{value[0]:.4f} to {value[1]:.4f}"
    if key == "images_per_second":
        return f"{value:,.0f}"
    if isinstance(value, float) and key.endswith("_seconds"):
        return f"{value:,.3f}" if value < 1 else f"{value:,.1f}"
    if key in METRIC_ROWS and isinstance(value, int | float):
        return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
    return plain_text(value)


def _exact(value: Any) -> Any:
    return "" if value is None else plain_text(value) if isinstance(value, bool | list) else value


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
