"""The epochs: a straight loop over Keras' ``fit``, so that each decision between two epochs stands where it is made."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.errors import RunError
from imgcls.spec import Spec
from imgcls.spec.optimization import Plateau
from imgcls.training.feed import TrainingFeed
from imgcls.training.losses import build_loss
from imgcls.training.optimizers import RateTable, build_optimizer
from imgcls.training.schedules import epoch_rates
from imgcls.training.stopping import Watch, watch_plateau, watch_stopping

__all__ = ["DivergedError", "EpochRow", "Progress", "TrainingResult", "TrainingState", "train_network"]

Weights = list[NDArray[Any]]


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
class TrainingState:
    """What the decisions between two epochs go by; it is all there is beside weights and optimizer.

    Attributes:
        history: of the epochs so far.
        train_seconds: of each of them, without its validation.
        stopping: what early stopping has seen.
        plateau: what the plateau schedule has seen.
        rate_scale: what the plateau schedule multiplies the rate by.
        finished: whether early stopping ended the training.
    """

    history: tuple[EpochRow, ...] = ()
    train_seconds: tuple[float, ...] = ()
    stopping: Watch = Watch()  # noqa: RUF009 - frozen
    plateau: Watch = Watch()  # noqa: RUF009 - frozen
    rate_scale: float = 1.0
    finished: bool = False


@dataclass(frozen=True)
class TrainingResult:
    """What the training did; the network has the weights of ``best_epoch``.

    Attributes:
        best_epoch: the best monitored one where ``restore_best``, else the last.
        compile_seconds: until the first step was done, most of it tracing.
        images_per_epoch: how many were shown, which over- and undersampling change.
    """

    state: TrainingState
    best_epoch: int
    stopped_early: bool
    compile_seconds: float
    images_per_epoch: int


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
    rates = _compile(spec, trainer, feed.steps)
    watcher = _BatchWatcher(progress, feed.steps)
    state, best, finite = TrainingState(), None, network.get_weights()
    for epoch in range(1, spec.epochs + 1):
        try:
            logs, train_seconds = _fit_epoch(spec, trainer, feed, rates, watcher, state)
            weights = _finite_weights(network, epoch, feed.steps)
        except DivergedError:
            network.set_weights(finite)
            raise
        finite = weights
        state = _with_epoch(state, logs, validate, rates.last, train_seconds)
        progress.epoch(state.history[-1])
        state = _decide(spec, state)
        if _is_best(spec, state):
            best = weights
        if state.finished:
            break
    if best is not None:
        network.set_weights(best)
    return TrainingResult(
        state=state,
        best_epoch=state.stopping.best_epoch if best is not None else len(state.history),
        stopped_early=state.finished and len(state.history) < spec.epochs,
        compile_seconds=watcher.first_step_seconds,
        images_per_epoch=feed.length,
    )


def _compile(spec: Spec, trainer: keras.Model, steps: int) -> RateTable:
    rates = RateTable(steps)
    trainer.compile(
        optimizer=build_optimizer(spec.optimizer, rates, spec.precision),
        loss=build_loss(spec),
        metrics=["accuracy"],
        jit_compile=False,  # XLA was 2 to 4 times slower on a processor
    )
    return rates


def _fit_epoch(
    spec: Spec,
    trainer: keras.Model,
    feed: TrainingFeed,
    rates: RateTable,
    watcher: _BatchWatcher,
    state: TrainingState,
) -> tuple[dict[str, list[float]], float]:
    """Train for the next epoch; return Keras' figures and the seconds."""
    epoch, begun = len(state.history) + 1, time.perf_counter()
    rates.load(_rates(spec, state, epoch, feed.steps))
    logs = trainer.fit(
        feed.dataset(epoch), initial_epoch=epoch - 1, epochs=epoch, verbose=0, shuffle=False, callbacks=[watcher]
    ).history
    return logs, time.perf_counter() - begun


def _with_epoch(
    state: TrainingState,
    logs: dict[str, list[float]],
    validate: Callable[[], tuple[float, float]] | None,
    lr: float,
    train_seconds: float,
) -> TrainingState:
    """Validate, and add the epoch to the history."""
    begun = time.perf_counter()
    val_loss, val_accuracy = validate() if validate else (None, None)
    row = EpochRow(
        epoch=len(state.history) + 1,
        loss=logs["loss"][-1],
        accuracy=logs["accuracy"][-1],
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        lr=float(f"{lr:.7g}"),  # as it was given, not as float32 holds it
        seconds=train_seconds + time.perf_counter() - begun,
    )
    return replace(state, history=(*state.history, row), train_seconds=(*state.train_seconds, train_seconds))


def _rates(spec: Spec, state: TrainingState, epoch: int, steps: int) -> NDArray[np.float32]:
    rates = epoch_rates(spec.lr, epoch=epoch, epochs=spec.epochs, steps_per_epoch=steps)
    if isinstance(spec.lr, Plateau):
        return np.maximum(rates * np.float32(state.rate_scale), np.float32(spec.lr.min_lr))
    return rates


def _finite_weights(network: keras.Model, epoch: int, steps: int) -> Weights:
    """Return the weights; an epoch's last update can break them when no step follows that would show it."""
    weights = network.get_weights()
    if not all(np.isfinite(weight).all() for weight in weights):
        raise _diverged(epoch, steps, steps)
    return weights


def _decide(spec: Spec, state: TrainingState) -> TrainingState:
    """Lower the rate, note what is best, say whether it is enough."""
    row = state.history[-1]
    if isinstance(spec.lr, Plateau):
        seen, lower = watch_plateau(spec.lr, state.plateau, row.epoch, _monitored(row, spec.lr.monitor))
        state = replace(state, plateau=seen, rate_scale=state.rate_scale * (spec.lr.factor if lower else 1))
    if (rule := spec.early_stopping) is not None:
        seen, stop = watch_stopping(rule, state.stopping, row.epoch, _monitored(row, rule.monitor))
        state = replace(state, stopping=seen, finished=stop)
    return state


def _is_best(spec: Spec, state: TrainingState) -> bool:
    wanted = spec.early_stopping is not None and spec.early_stopping.restore_best
    return wanted and state.stopping.best_epoch == len(state.history)


def _monitored(row: EpochRow, monitor: str) -> float:
    value = getattr(row, monitor)
    return math.nan if value is None else float(value)


def _diverged(epoch: int, step: int, steps: int) -> DivergedError:
    return DivergedError(
        f"the loss is not finite at epoch {epoch}, step {step} of {steps}: a lower lr, or clipnorm in the optimizer, "
        "usually helps; the weights from before this epoch are kept"
    )


class _BatchWatcher(keras.callbacks.Callback):  # type: ignore[misc] # Keras is untyped
    """Hands the running means on, and stops at the first that is not finite."""

    def __init__(self, progress: Progress, steps: int) -> None:
        super().__init__()
        self.progress = progress
        self.steps = steps
        self.current = 0
        self.begun = 0.0
        self.first_step_seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        self.current = epoch + 1
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self.first_step_seconds:
            self.first_step_seconds = time.perf_counter() - self.begun
        loss, accuracy = float(logs["loss"]), float(logs["accuracy"])
        if not math.isfinite(loss):
            raise _diverged(self.current, batch + 1, self.steps)
        self.progress.batch(self.current, batch + 1, self.steps, loss, accuracy)
