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
    """Return the row's values as people read them, one text a run; a mean with its deviation: ``0.8400 (0.0070)``."""
    deviations = row.deviations or (None,) * len(row.values)
    return [_readable(row.key, *pair) for pair in zip(row.values, deviations, strict=True)]


def to_json(comparison: Comparison) -> str:
    """Return strict JSON with the keys verdict, runs, metrics, settings, timings and notes."""
    return strict_json(asdict(comparison))


def to_csv(comparison: Comparison) -> str:
    """Return CSV: a row a figure or setting, a column a run; of means a second row ``KEY_sd`` has the deviations."""
    blank = ("",) * len(comparison.runs)
    rows = [("status", "state", *(column.state for column in comparison.runs))]
    if any(column.repeats is not None for column in comparison.runs):
        rows.append(("status", "repeats", *(_exact(column.repeats) for column in comparison.runs)))
        rows.append(("status", "finished", *(_exact(column.finished) for column in comparison.runs)))
    for section, found in _sections(comparison):
        for row in found:
            rows.append((section, row.key, *map(_exact, row.values)))
            rows += [(section, f"{row.key}_sd", *map(_exact, row.deviations))] if row.deviations else []
    rows += [("verdict", text, *blank) for text in comparison.verdict.lines]
    rows += [("notes", note, *blank) for note in comparison.notes]
    return csv_text(("section", "key", *(column.name for column in comparison.runs)), rows)


def to_markdown(comparison: Comparison) -> str:
    """Return the verdict and a Markdown table a section; the best values are bold."""
    names = [markdown_cell(column.name) for column in comparison.runs]
    lines = [f"{markdown_cell(text)}\n" for text in comparison.verdict.lines]
    lines += [_markdown_row(["", *names]), _markdown_row(["---"] * (len(names) + 1))]
    lines.append(_markdown_row(["state", *(column.state_text for column in comparison.runs)]))
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


def _readable(key: str, value: Any, deviation: float | None) -> str:
    if value is None:
        return "-"
    if key == "accuracy_ci95":
        return f"{value[0]:.4f} to {value[1]:.4f}"
    if not isinstance(value, int | float) or not (key in METRIC_ROWS or key.endswith(("_seconds", "_per_second"))):
        return plain_text(value)
    decimals = _decimals(key, value)
    return f"{value:,.{decimals}f}" + ("" if deviation is None else f" ({deviation:,.{decimals}f})")


def _decimals(key: str, value: float) -> int:
    """Return how many decimals a figure is shown with, and its deviation too."""
    if isinstance(value, int) or key == "images_per_second":
        return 0
    if key.endswith("_seconds"):
        return 3 if value < 1 else 1
    return 1 if key in ("best_epoch", "epochs_run") else 4  # a mean of epochs


def _exact(value: Any) -> Any:
    return "" if value is None else plain_text(value) if isinstance(value, bool | list) else value


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
