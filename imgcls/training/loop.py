"""The epochs: a straight loop over Keras' ``fit``, so that each decision between two epochs stands where it is made."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras
import numpy as np

from imgcls.errors import RunError
from imgcls.spec import Spec
from imgcls.spec.optimization import Plateau
from imgcls.training.feed import TrainingFeed
from imgcls.training.losses import build_loss
from imgcls.training.optimizers import RateTable, build_optimizer
from imgcls.training.schedules import rate_curve
from imgcls.training.stopping import Watch, watch_plateau, watch_stopping

__all__ = ["DivergedError", "EpochRow", "Progress", "TrainingResult", "train_network"]

Weights = list[Any]


@dataclass(frozen=True)
class EpochRow:
    """A row of ``history.csv``; ``lr`` is the rate of the epoch's last step, ``seconds`` includes the validation."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    lr: float
    seconds: float


@dataclass(frozen=True)
class TrainingResult:
    """What the training did; the network has the weights of ``best_epoch``.

    Attributes:
        best_epoch: the best monitored one where ``restore_best``, else the last.
        train_seconds: of each epoch, without its validation.
    """

    history: tuple[EpochRow, ...]
    best_epoch: int
    stopped_early: bool
    train_seconds: tuple[float, ...]


class Progress(Protocol):
    """Who wants to know how the training goes."""

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        """Tell the running means of an epoch after a step."""

    def epoch(self, row: EpochRow) -> None:
        """Tell the figures of a finished epoch."""


class DivergedError(RunError):
    """The loss is not a finite number any more; the network has the last finite weights."""


def train_network(
    spec: Spec,
    network: keras.Model,
    trainer: keras.Model,
    feed: TrainingFeed,
    validate: Callable[[], tuple[float, float]] | None,
    progress: Progress,
) -> TrainingResult:
    """Train for the spec's epochs or until early stopping.

    Args:
        network: what is trained and validated.
        trainer: the network with the augmentation in front; the weights are the same.
        validate: gives loss and accuracy on the validation part; None where there is none.

    Raises:
        DivergedError: with epoch and step.
    """
    table = _compile(spec, trainer, feed.steps)
    state = _State()
    watcher = _BatchWatcher(progress, feed.steps)
    for epoch in range(1, spec.epochs + 1):
        begun = time.perf_counter()
        finite = network.get_weights()
        try:
            logs = trainer.fit(
                feed.dataset(epoch),
                initial_epoch=epoch - 1,
                epochs=epoch,
                verbose=0,
                shuffle=False,
                callbacks=[watcher],
            ).history
        except DivergedError:
            network.set_weights(finite)
            raise
        trained = time.perf_counter()
        val_loss, val_accuracy = validate() if validate else (None, None)
        lr = _rate(trainer, table, epoch * feed.steps - 1)
        seconds = time.perf_counter() - begun
        row = EpochRow(epoch, logs["loss"][-1], logs["accuracy"][-1], val_loss, val_accuracy, lr, seconds)
        state.history.append(row)
        state.train_seconds.append(trained - begun)
        progress.epoch(row)
        if _decide(spec, trainer, network, state, row):
            break
    if state.best is not None:
        network.set_weights(state.best)
    best_epoch = state.stopping.best_epoch if state.best is not None else state.history[-1].epoch
    return TrainingResult(tuple(state.history), best_epoch, state.stopped, tuple(state.train_seconds))


@dataclass
class _State:
    """What the decisions between epochs need from the epochs before."""

    history: list[EpochRow] = field(default_factory=list)
    train_seconds: list[float] = field(default_factory=list)
    stopping: Watch = field(default_factory=Watch)
    plateau: Watch = field(default_factory=Watch)
    best: Weights | None = None
    stopped: bool = False


def _compile(spec: Spec, trainer: keras.Model, steps: int) -> np.ndarray[Any, Any] | None:
    """Make the trainer ready; return the rate of every step, or None where the rate is lowered between epochs."""
    if isinstance(spec.lr, Plateau):
        assert spec.lr.initial is not None
        table, rate = None, spec.lr.initial
    else:
        table = rate_curve(spec.lr, epochs=spec.epochs, steps_per_epoch=steps)
        rate = RateTable(table)
    trainer.compile(
        optimizer=build_optimizer(spec.optimizer, rate),
        loss=build_loss(spec),
        metrics=["accuracy"],
        jit_compile=False,  # XLA was 2 to 4 times slower on a processor
    )
    return table


def _rate(trainer: keras.Model, table: Any, step: int) -> float:
    rate = trainer.optimizer.learning_rate if table is None else table[step]
    return float(f"{float(rate):.7g}")  # as it was given, not as float32 holds it


def _decide(spec: Spec, trainer: keras.Model, network: keras.Model, state: _State, row: EpochRow) -> bool:
    """Lower the rate, keep the best weights; tell whether to stop."""
    if isinstance(spec.lr, Plateau):
        state.plateau, lower = watch_plateau(spec.lr, state.plateau, row.epoch, _monitored(row, spec.lr.monitor))
        if lower:
            rate = trainer.optimizer.learning_rate
            rate.assign(max(float(rate) * spec.lr.factor, spec.lr.min_lr))
    if (rule := spec.early_stopping) is None:
        return False
    state.stopping, stop = watch_stopping(rule, state.stopping, row.epoch, _monitored(row, rule.monitor))
    if rule.restore_best and state.stopping.best_epoch == row.epoch:
        state.best = network.get_weights()
    state.stopped = stop and row.epoch < spec.epochs
    return stop


def _monitored(row: EpochRow, monitor: str) -> float:
    value = getattr(row, monitor)
    return math.nan if value is None else float(value)


class _BatchWatcher(keras.callbacks.Callback):  # type: ignore[misc] # Keras is untyped
    """Hands the running means on, and stops at the first that is not finite."""

    def __init__(self, progress: Progress, steps: int) -> None:
        super().__init__()
        self.progress = progress
        self.steps = steps
        self.current = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        self.current = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        loss, accuracy = float(logs["loss"]), float(logs["accuracy"])
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss is not finite at epoch {self.current}, step {batch + 1} of {self.steps}: "
                "a lower lr, or clipnorm in the optimizer, usually helps; the weights from before this epoch are kept"
            )
        self.progress.batch(self.current, batch + 1, self.steps, loss, accuracy)
