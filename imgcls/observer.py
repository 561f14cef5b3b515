"""Who is told how a run goes; the terminal has its own, a notebook may have none."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from imgcls.findings import Finding

if TYPE_CHECKING:
    from imgcls.backend import Device
    from imgcls.data import Dataset
    from imgcls.runs import Run
    from imgcls.spec import Spec
    from imgcls.spec.sweep import SweepSpec
    from imgcls.sweep.study import Trial
    from imgcls.training.state import EpochRow, Stage

__all__ = ["Observer"]


class Observer:
    """Hears each step of a run and does nothing; override what is of interest."""

    def joined(self, rank: int, workers: int) -> None:
        """This process is one of several that train together; of rank 0 is the one that writes the run folder."""

    def preparing(self, done: int, total: int) -> None:
        """So many images of the data are decoded."""

    def checking(self, done: int, total: int) -> None:
        """So many held-out images are held against those of the training part."""

    def prepared(self, dataset: Dataset) -> None:
        """The images are there."""

    def remarked(self, findings: Sequence[Finding]) -> None:
        """What is remarkable: of spec and network before the training, of how it goes while it does."""

    def repeating(self, group: Run, number: int, repeats: int, seed: int) -> None:
        """A repeat begins; ``number`` counts from 1, ``group`` is the folder of all."""

    def failed(self, message: str) -> None:
        """A repeat failed; the others go on."""

    def started(
        self,
        spec: Spec,
        run: Run,
        device: Device,
        params: int,
        trainable_params: int | None = None,
        pretrained: str | None = None,
    ) -> None:
        """The network is built and training begins.

        Args:
            spec: every value in force.
            params: of the network, all.
            trainable_params: those that learn, at first where there are stages.
            pretrained: what was loaded into it, for people.
        """

    def stage(self, stage: Stage) -> None:
        """A stage of the training begins; not told where there are none."""

    def freezing(self, done: int, total: int) -> None:
        """So many images have passed the frozen layers, once for all epochs."""

    def resuming(self, epochs: int, step: int) -> None:
        """The training goes on where it was interrupted: after so many epochs, and steps of the next."""

    def kept(self, epochs: int, step: int) -> None:
        """A checkpoint is made, from which the training could go on: after so many epochs, and steps of the next."""

    def stepping(self) -> AbstractContextManager[None]:
        """Give what training steps are made in.

        An exception that is to end the run should come from ``batch``, between two of them: then a checkpoint is made.
        """
        return nullcontext()

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        """A training step is done; loss and accuracy are the epoch's means so far."""

    def epoch(self, row: EpochRow) -> None:
        """An epoch is done, its validation too."""

    def sweeping(self, folder: Run, sweep: SweepSpec, jobs: int, finished: int) -> None:
        """The trials of a sweep begin, so many at a time; so many of them are finished already."""

    def trial_began(self, trial: Trial) -> None:
        """A trial is handed to a worker."""

    def trial_epoch(self, trial: Trial, epoch: int, accuracy: float | None) -> None:
        """A trial has done an epoch; the accuracy is that on its validation images."""

    def trial_lost(self, trial: Trial, why: str) -> None:
        """A trial's process or node is gone; it begins anew."""

    def trial_ended(self, trial: Trial, best: Trial | None, finished: int) -> None:
        """A trial is completed, pruned or failed; ``best`` is the best of those completed so far."""

    def finishing(self, best: Trial) -> None:
        """The point of the best trial is trained once more, on the validation images too, and measured on test."""

    def evaluating(self, split: str, images: int) -> None:
        """Training is done; the held-out images are predicted."""

    def unreadable(self, name: str, reason: str) -> None:
        """One of the images to predict cannot be read; the others go on."""

    def predicting(self, done: int, total: int) -> None:
        """So many new images are predicted."""

    def exporting(self, kind: str, done: int, total: int) -> None:
        """A format is written, and has predicted so many of the held-out images; 0 as its writing begins."""
