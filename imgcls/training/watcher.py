"""What is done after each training step: hand the running means on, stop at nonsense, keep a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from imgcls.errors import RunError
from imgcls.training.checkpoint import Checkpoint, put_back
from imgcls.training.progress import Progress

__all__ = ["BatchWatcher", "DivergedError", "diverged"]


class DivergedError(RunError):
    """The loss is not a finite number any more; the network has the last finite weights."""


def diverged(epoch: int, first: int, last: int, steps: int) -> DivergedError:
    """Return the error that says where, and what helps.

    Args:
        first: of the steps that were done at once, up to the ``last``: which of them it was is not known.
        steps: of the epoch.
    """
    where = f"step {last} of {steps}" if first == last else f"between steps {first} and {last} of {steps}"
    return DivergedError(
        f"the loss is not finite at epoch {epoch}, {where}: a lower lr, or clipnorm in the optimizer, "
        "usually helps; the weights from before this epoch are kept"
    )


class BatchWatcher(keras.callbacks.Callback):  # type: ignore[misc] # Keras is untyped
    """Hands the running means on, and stops at the first that is not finite.

    Attributes:
        done: steps of the epoch that were done before ``fit`` began with the rest.
        reached: the last step that was told of.
        resumed: what has the running means of these steps.
    """

    def __init__(self, progress: Progress, steps: int, after_step: Callable[..., None]) -> None:
        super().__init__()
        self.progress, self.steps, self.after_step = progress, steps, after_step
        self.done = 0
        self.resumed: Checkpoint | None = None
        self.current = self.reached = 0
        self.begun = 0.0
        self._late: BaseException | None = None
        self.first_step_seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        self.current, self.reached = epoch + 1, self.done
        self.begun = time.perf_counter()
        if self.resumed is not None:  # after Keras has set the running means to nothing
            put_back(self.resumed, "metrics", self.model.metrics_variables)
            self.resumed = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self.first_step_seconds:
            self.first_step_seconds = time.perf_counter() - self.begun
        loss, accuracy = float(logs["loss"]), float(logs["accuracy"])
        step = min(self.done + batch + 1, self.steps)  # Keras counts on where several at once go beyond the last
        if not math.isfinite(loss):
            raise diverged(self.current, self.reached + 1, step, self.steps)
        self.reached = step
        try:
            self.progress.batch(self.current, step, self.steps, loss, accuracy)
        except (KeyboardInterrupt, SystemExit) as error:
            if step == self.steps:
                self._late = error
                return
            self.after_step(step, is_ending=True)
            raise
        if step < self.steps:
            self.after_step(step, is_ending=False)

    def raise_late(self) -> None:
        """Raise what was to end the run after the last step of an epoch, of which Keras had something left to do."""
        if self._late is not None:
            raise self._late
