"""Plots as they stand in a page: SVG that follows the reader's light or dark colours."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls.evaluation.plots import GRID

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["png", "svg"]

_INK = "#010203"  # stands in for the reader's colour of text
_STYLE = (
    "<style>svg{--ink:#1c2024;--grid:#e0e0e0}"
    "@media (prefers-color-scheme:dark){svg{--ink:#e8eaed;--grid:#3b4249}}</style>"
)


def svg(make: Callable[[], Figure]) -> str:
    """Return a figure as the source of an image in a page.

    Args:
        make: draws it; colours that it leaves open become the reader's.
    """
    from matplotlib import rc_context

    ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    style: Any = {**dict.fromkeys(ink, _INK), "svg.fonttype": "none", "svg.hashsalt": "imgcls"}
    file = io.StringIO()
    with rc_context(style), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name in a script that the font lacks; the browser has it
        make().savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "var(--ink)").replace(GRID, "var(--grid)")
    text = text.replace("<defs>", f"{_STYLE}<defs>", 1)
    return f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"


def png(path: Path) -> str | None:
    """Return a picture of the run folder as the source of an image in a page; None where it is missing."""
    try:
        return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
    except OSError:
        return None
