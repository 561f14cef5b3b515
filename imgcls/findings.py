"""What the user should be told about the data or the result, though the run goes on."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """One remark: ``code`` is lower_snake and stays the same, ``message`` is for people."""

    code: str
    message: str
