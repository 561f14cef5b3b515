"""What a tracker is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from imgcls.training.state import EpochRow

__all__ = ["Result", "Tracker"]


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        metrics: as in ``metrics.json``.
        samples: a PNG of images with their true and predicted classes.
    """

    metrics: Mapping[str, Any]
    samples: bytes


class Tracker(Protocol):
    """Who logs a run elsewhere."""

    def epoch(self, row: EpochRow) -> None:
        """Log the figures of an epoch."""

    def result(self, result: Result) -> None:
        """Log what the run came to; its folder is complete."""

    def close(self, *, completed: bool) -> None:
        """Log how the run ended."""
