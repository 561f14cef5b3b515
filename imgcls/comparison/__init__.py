"""Runs held against each other."""

from imgcls.comparison.comparing import Column, Comparison, Row, compare
from imgcls.comparison.rendering import markdown_cell, shown, to_csv, to_json, to_markdown

__all__ = [
    "Column",
    "Comparison",
    "Row",
    "compare",
    "markdown_cell",
    "shown",
    "to_csv",
    "to_json",
    "to_markdown",
]
