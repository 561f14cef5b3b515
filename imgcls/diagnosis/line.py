"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Line"]


@dataclass(frozen=True)
class Line:
    """One thing that was looked at.

    Attributes:
        kind: ``problem`` where a training would fail, ``note`` where something is worth knowing.
        topic: what it is about, in a word or two.
        text: what was found.
        advice: what to do; empty where nothing is to be done.
    """

    kind: Literal["ok", "note", "problem"]
    topic: str
    text: str
    advice: str = ""
