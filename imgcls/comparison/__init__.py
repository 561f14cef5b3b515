"""Runs held against each other."""

from imgcls.comparison.comparing import Column, Comparison, Row, compare
from imgcls.comparison.rendering import markdown_cell, shown, to_csv, to_json, to_markdown
from imgcls.comparison.repeats import (
    count_text,
    figure_interval,
    finished,
    known_seconds,
    mean_interval,
    summarize_repeats,
    summary_figure,
)
from imgcls.comparison.verdicts import short_names

__all__ = [
    "Column",
    "Comparison",
    "Row",
    "compare",
    "count_text",
    "figure_interval",
    "finished",
    "known_seconds",
    "markdown_cell",
    "mean_interval",
    "short_names",
    "shown",
    "summarize_repeats",
    "summary_figure",
    "to_csv",
    "to_json",
    "to_markdown",
]
