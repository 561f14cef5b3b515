"""Who is told of a training, and who keeps its checkpoints."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from imgcls.training.state import EpochRow, Stage

if TYPE_CHECKING:
    from imgcls.training.checkpoint import Checkpoint

__all__ = ["Keeper", "Progress"]


class Progress(Protocol):
    """Who wants to know how the training goes."""

    def stage(self, stage: Stage) -> None:
        """Tell that a stage begins; not told where the training has no stages."""

    def stepping(self) -> AbstractContextManager[None]:
        """Give what the steps are made in: an exception that ends the run should come from ``batch``, between two."""

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        """Tell the running means of an epoch after a step."""

    def epoch(self, row: EpochRow) -> None:
        """Tell the figures of a finished epoch."""


class Keeper(Protocol):
    """Who keeps checkpoints."""

    def take(self) -> Checkpoint | None:
        """Hand over what the training is to go on from, if anything, and forget it: its arrays take memory."""

    def is_due(self, size_bytes: int, *, is_epoch_over: bool) -> bool:
        """Tell whether a checkpoint of so many bytes should be made now."""

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint."""
