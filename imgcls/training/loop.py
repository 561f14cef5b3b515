"""The epochs: a straight loop over Keras' ``fit``, so that each decision between two epochs stands where it is made."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.errors import RunError
from imgcls.models import set_trainable, summarize
from imgcls.spec import Spec
from imgcls.spec.optimization import Plateau
from imgcls.training.feed import TrainingFeed
from imgcls.training.losses import build_loss
from imgcls.training.optimizers import RateTable, build_optimizer
from imgcls.training.schedules import epoch_rates
from imgcls.training.state import EpochRow, Stage, StageResult, TrainingResult, TrainingState
from imgcls.training.stopping import watch_plateau, watch_stopping

__all__ = ["DivergedError", "Progress", "train_network"]

Weights = list[NDArray[Any]]


class Progress(Protocol):
    """Who wants to know how the training goes."""

    def stage(self, stage: Stage) -> None:
        """Tell that a stage begins; not told where the training has no stages."""

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        """Tell the running means of an epoch after a step."""

    def epoch(self, row: EpochRow) -> None:
        """Tell the figures of a finished epoch."""


class DivergedError(RunError):
    """The loss is not a finite number any more; the network has the last finite weights."""


@dataclass(frozen=True)
class _Parts:
    """What all stages of a training share."""

    network: keras.Model
    trainer: keras.Model
    feed: TrainingFeed
    validate: Callable[[], tuple[float, float]] | None
    progress: Progress
    watcher: _BatchWatcher


def train_network(
    spec: Spec,
    network: keras.Model,
    trainer: keras.Model,
    feed: TrainingFeed,
    validate: Callable[[], tuple[float, float]] | None,
    progress: Progress,
) -> TrainingResult:
    """Train for the epochs of each of the spec's phases, or until its early stopping.

    Args:
        network: what is trained and validated.
        trainer: the network with the augmentation in front; the weights are the same.
        validate: gives loss and accuracy on the validation part; None where there is none.

    Raises:
        DivergedError: with epoch and step.
    """
    parts = _Parts(network, trainer, feed, validate, progress, _BatchWatcher(progress, feed.steps))
    state = TrainingState()
    for phase in spec.phases:
        set_trainable(network, phase.architecture)
        stage = _stage(len(state.stages) + 1, phase, network)
        if spec.stages:
            progress.stage(stage)
        state = _train_stage(stage, parts, state)
        if spec.stages:
            gc.collect()  # the stage's optimizer and graph are full of circles, and would stay beside the next one's
    return TrainingResult(state, parts.watcher.first_step_seconds, feed.length)


def _stage(number: int, phase: Spec, network: keras.Model) -> Stage:
    summary = summarize(network)
    return Stage(number, phase, summary.trainable_params, summary.total_params)


def _train_stage(stage: Stage, parts: _Parts, state: TrainingState) -> TrainingState:
    """Train with a fresh optimizer and fresh rules; the network ends with the stage's best weights."""
    spec, network = stage.spec, parts.network
    rates = _compile(spec, parts.trainer, parts.feed.steps)
    best, finite = None, network.get_weights()
    while state.stage_epochs < spec.epochs and not state.stopped:
        try:
            logs, train_seconds = _fit_epoch(spec, parts, rates, state)
            weights = _finite_weights(network, len(state.history) + 1, parts.feed.steps)
        except DivergedError:
            network.set_weights(finite)
            raise
        finite = weights
        state = _with_epoch(state, stage.stage, logs, parts.validate, rates.last, train_seconds)
        parts.progress.epoch(state.history[-1])
        state = _decide(spec, state)
        if _is_best(spec, state):
            best = weights
    if best is not None:
        network.set_weights(best)
    return _ended(stage, state, state.stopping.best_epoch if best is not None else len(state.history))


def _ended(stage: Stage, state: TrainingState, best_epoch: int) -> TrainingState:
    """Return the state after a stage: what it did is noted, and nothing is carried over to the next."""
    assert stage.spec.lr.initial is not None
    result = StageResult(
        stage=stage.stage,
        first_epoch=len(state.history) - state.stage_epochs + 1,
        epochs_run=state.stage_epochs,
        best_epoch=best_epoch,
        stopped_early=state.stopped and state.stage_epochs < stage.spec.epochs,
        lr=stage.spec.lr.initial,
        optimizer=stage.spec.optimizer.name,
        trainable_params=stage.trainable_params,
        total_params=stage.total_params,
    )
    return TrainingState(state.history, state.train_seconds, (*state.stages, result))


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
    spec: Spec, parts: _Parts, rates: RateTable, state: TrainingState
) -> tuple[dict[str, list[float]], float]:
    """Train for the next epoch; return Keras' figures and the seconds."""
    epoch, begun = len(state.history) + 1, time.perf_counter()
    rates.load(_rates(spec, state, parts.feed.steps))
    data = parts.feed.dataset(epoch)
    logs = parts.trainer.fit(
        data, initial_epoch=epoch - 1, epochs=epoch, verbose=0, shuffle=False, callbacks=[parts.watcher]
    ).history
    return logs, time.perf_counter() - begun


def _with_epoch(
    state: TrainingState,
    stage: int,
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
        stage=stage,
    )
    return replace(state, history=(*state.history, row), train_seconds=(*state.train_seconds, train_seconds))


def _rates(spec: Spec, state: TrainingState, steps: int) -> NDArray[np.float32]:
    rates = epoch_rates(spec.lr, epoch=state.stage_epochs + 1, epochs=spec.epochs, steps_per_epoch=steps)
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
        state = replace(state, stopping=seen, stopped=stop)
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
