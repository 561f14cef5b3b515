"""Who is told how a run goes; the terminal has its own, a notebook may have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgcls.backend import Device
    from imgcls.data import Dataset
    from imgcls.runs import Run
    from imgcls.spec import Spec
    from imgcls.training.loop import EpochRow

__all__ = ["Observer"]


class Observer:
    """Hears each step of a run and does nothing; override what is of interest."""

    def preparing(self, done: int, total: int) -> None:
        """So many images of the data are decoded."""

    def prepared(self, dataset: Dataset) -> None:
        """The images are there."""

    def started(self, spec: Spec, run: Run, device: Device, params: int) -> None:
        """The network is built and training begins; ``spec`` has every value in force."""

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        """A training step is done; loss and accuracy are the epoch's means so far."""

    def epoch(self, row: EpochRow) -> None:
        """An epoch is done, its validation too."""

    def evaluating(self, split: str, images: int) -> None:
        """Training is done; the held-out images are predicted."""
