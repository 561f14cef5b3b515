"""What the history of a training tells: that nothing was learnt, too much, or that it ended at the wrong time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgcls.findings import Finding
from imgcls.spec import Spec
from imgcls.training.state import EpochRow, TrainingState

__all__ = ["check_history", "check_learning", "is_overfitted"]

_SOME_EPOCHS = 3  # before that nothing need be learnt
_SURE = 3.0  # standard deviations
_APART = 0.1  # training accuracy above that of validation
_RISEN = 1.1  # times the least validation loss
_LONG_AGO = 2 / 3  # of the epochs: the best one was before that
_FALLING = frozenset({"cosine", "linear", "one_cycle"})  # the rate ends near zero: the last epoch is meant to be best


def check_history(spec: Spec, state: TrainingState, counts: NDArray[np.int64]) -> list[Finding]:
    """Return what is suspicious about the last stage of a training.

    Args:
        spec: of the whole training, complete.
        state: at its end.
        counts: training images of each class, (classes,).
    """
    stage = state.stages[-1]
    rows = state.history[stage.first_epoch - 1 :]
    found = _Stage(spec.phases[-1], rows, stage.stopped_early, counts)
    return [*_worse_end(state), *(finding for look in _LOOKS for finding in look(found))]


def _worse_end(state: TrainingState) -> Iterator[Finding]:
    """Tell of a last stage that ended worse on the validation part than an earlier one."""
    ends = [state.history[stage.best_epoch - 1].val_accuracy for stage in state.stages if stage.epochs_run]
    known = {place: accuracy for place, accuracy in enumerate(ends, start=1) if accuracy is not None}
    best, last = max(known, key=known.__getitem__, default=0), len(ends)
    if last in known and known[best] > known[last]:
        yield Finding(
            "worse_last_stage",
            f"stage {last} ended at {known[last]:.4f} on validation, stage {best} at {known[best]:.4f}: the network "
            f"delivered is stage {last}'s",
        )


def check_learning(spec: Spec, rows: Sequence[EpochRow], counts: NDArray[np.int64]) -> list[Finding]:
    """Return whether the epochs of a stage so far have learnt nothing.

    Args:
        spec: of the stage, complete.
        rows: its epochs.
        counts: training images of each class, (classes,).
    """
    return list(_learns(_Stage(spec, rows, False, counts)))


@dataclass(frozen=True)
class _Stage:
    spec: Spec
    rows: Sequence[EpochRow]
    stopped_early: bool
    counts: NDArray[np.int64]

    def values(self, figure: str) -> list[float]:
        """Return a figure of each epoch, as far as it is known."""
        found = [getattr(row, figure) for row in self.rows]
        return [value for value in found if value is not None]

    def best_epoch(self, figure: str) -> int:
        """Return the first epoch with the best value, counted from 1 within the stage."""
        values = self.values(figure)
        return values.index((max if figure.endswith("accuracy") else min)(values)) + 1


def _learns(stage: _Stage) -> Iterator[Finding]:
    """Hold the training accuracy against guessing; where images or labels are mixed or weighted it says nothing."""
    spec, n = stage.spec, int(stage.counts.sum())
    if len(stage.rows) < _SOME_EPOCHS or spec.augmentation.mixes_labels or spec.imbalance == "class_weights":
        return
    is_balanced = spec.imbalance in ("oversample", "undersample")
    guess = 1 / len(stage.counts) if is_balanced else float(stage.counts.max() / n)
    best = max(stage.values("accuracy"))
    if best <= guess + _SURE * math.sqrt(guess * (1 - guess) / n):
        yield Finding(
            "nothing_learnt",
            f"the training accuracy came to {best:.3f} in {len(stage.rows)} epochs, and guessing has {guess:.3f}",
        )


def _overfits(stage: _Stage) -> Iterator[Finding]:
    losses, rows = stage.values("val_loss"), stage.rows
    rule = stage.spec.early_stopping
    if len(losses) < len(rows) or (rule is not None and rule.restore_best) or stage.spec.augmentation.mixes_labels:
        return
    best, last = stage.best_epoch("val_loss"), rows[-1]
    if is_overfitted(stage.values("accuracy"), stage.values("val_accuracy"), losses):
        yield Finding(
            "overfitting",
            f"from epoch {rows[best - 1].epoch} on the validation loss rose from {losses[best - 1]:.3f} to "
            f"{losses[-1]:.3f}, and at the end the training accuracy is {last.accuracy:.3f}, that of validation "
            f"{last.val_accuracy:.3f}",
        )


def is_overfitted(accuracy: Sequence[float], val_accuracy: Sequence[float], val_loss: Sequence[float]) -> bool:
    """Whether the validation loss was at its best long ago and rose since, and the accuracies ended far apart.

    Args:
        accuracy: on the training images, of each epoch.
        val_accuracy: likewise.
        val_loss: likewise.
    """
    best = val_loss.index(min(val_loss))
    has_risen = best < _LONG_AGO * len(val_loss) and val_loss[-1] >= _RISEN * val_loss[best]
    return has_risen and accuracy[-1] - val_accuracy[-1] >= _APART


def _ends(stage: _Stage) -> Iterator[Finding]:
    """Tell of an early stopping whose figure was at its best in the end, or nearly so."""
    rule, rows = stage.spec.early_stopping, stage.rows
    if rule is None or len(rows) < _SOME_EPOCHS or stage.spec.lr.schedule in _FALLING:
        return
    if len(stage.values(rule.monitor)) < len(rows):
        return
    best = stage.best_epoch(rule.monitor)
    if stage.stopped_early:
        if best == len(rows) and rule.min_delta:
            yield Finding(
                "stopped_while_improving",
                f"early stopping ended the training at epoch {rows[-1].epoch}, the best by {rule.monitor}: its steps "
                f"were smaller than min_delta {rule.min_delta:g}",
            )
    elif best == len(rows):
        yield Finding(
            "still_improving",
            f"the last of {len(rows)} epochs was the best by {rule.monitor}, and early stopping had nothing to stop",
        )


_LOOKS: tuple[Callable[[_Stage], Iterator[Finding]], ...] = (_learns, _overfits, _ends)
