"""The epochs: a straight loop over Keras' ``fit``, so that each decision between two epochs stands where it is made."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.backend import jit_compile, many_steps_at_once
from imgcls.errors import RunError
from imgcls.models import is_still, set_trainable, summarize
from imgcls.spec import Spec
from imgcls.spec.optimization import Plateau
from imgcls.training.assembling import StageParts, Validate
from imgcls.training.losses import build_accuracy, build_loss
from imgcls.training.optimizers import RateTable, build_optimizer
from imgcls.training.schedules import epoch_rates
from imgcls.training.state import EpochRow, Stage, StageResult, TrainingResult, TrainingState
from imgcls.training.stopping import watch_plateau, watch_stopping

__all__ = ["DivergedError", "Progress", "compile_trainer", "train_network"]

_FLOPS_AT_ONCE = 50_000_000_000  # a fraction of a second: so often is progress shown, and Ctrl-C heard
_MOST_AT_ONCE = 32

Values = list[NDArray[Any]]


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


def train_network(
    spec: Spec, network: keras.Model, assemble: Callable[[Spec, int], StageParts], progress: Progress
) -> TrainingResult:
    """Train for the epochs of each of the spec's phases, or until its early stopping.

    Args:
        network: what has the weights, and is saved in the end.
        assemble: gives what a phase works with, which begins with an epoch; called when it is set which layers of the
            network learn in it.

    Raises:
        DivergedError: with epoch and step.
    """
    state, result = TrainingState(), TrainingResult(TrainingState(), 0.0, 0.0, 0.0, 0, 0)
    for phase in spec.phases:
        set_trainable(network, phase.architecture)
        stage = _stage(len(state.stages) + 1, phase, network)
        if spec.stages:
            progress.stage(stage)
        parts = assemble(phase, len(state.history) + 1)
        watcher = _BatchWatcher(progress, parts.feed.steps)
        state = _train_stage(stage, network, parts, watcher, state)
        result = TrainingResult(
            state,
            compile_seconds=result.compile_seconds + watcher.first_step_seconds,
            features_seconds=result.features_seconds + parts.features_seconds,
            input_seconds=result.input_seconds + parts.feed.seconds,
            images_per_epoch=parts.feed.length,
            flops=parts.flops,
        )
        if spec.stages:
            del parts, watcher
            gc.collect()  # the stage's optimizer and graph are full of circles, and would stay beside the next one's
    return result


def _stage(number: int, phase: Spec, network: keras.Model) -> Stage:
    summary = summarize(network)
    return Stage(number, phase, summary.trainable_params, summary.total_params)


def _train_stage(
    stage: Stage, network: keras.Model, parts: StageParts, watcher: _BatchWatcher, state: TrainingState
) -> TrainingState:
    """Train with a fresh optimizer and fresh rules; the network ends with the stage's best weights."""
    spec = stage.spec
    rates = _compile(spec, parts)
    weights = _changing_weights(network)
    best, finite = None, _copied(weights)
    while state.stage_epochs < spec.epochs and not state.stopped:
        try:
            logs, train_seconds = _fit_epoch(spec, parts, watcher, rates, state)
            finite = _finite_copy(weights, len(state.history) + 1, parts.feed.steps)
        except DivergedError:
            _restore(weights, finite)
            raise
        state = _with_epoch(state, stage.stage, logs, parts.validate, rates.last, train_seconds)
        watcher.progress.epoch(state.history[-1])
        state = _decide(spec, state)
        if _is_best(spec, state):
            best = finite
    if best is not None:
        _restore(weights, best)
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


def _compile(spec: Spec, parts: StageParts) -> RateTable:
    many = many_steps_at_once() and parts.distribution.replicas == 1
    at_once = steps_at_once(parts.flops * spec.batch, parts.feed.steps) if many else 1
    with parts.distribution.scope():
        rates = RateTable(parts.feed.steps)
        compile_trainer(spec, parts.trainer, rates, at_once)
    return rates


def compile_trainer(spec: Spec, trainer: keras.Model, rates: RateTable, at_once: int = 1) -> None:
    """Make a network ready to be fitted as the spec says, with so many steps an execution."""
    trainer.compile(
        optimizer=build_optimizer(spec.optimizer, rates, spec.precision),
        loss=build_loss(spec),
        metrics=[build_accuracy(spec)],
        jit_compile=jit_compile(),
        steps_per_execution=at_once,
    )


def steps_at_once(flops: int, steps: int) -> int:
    """Return how many steps TensorFlow does by itself before Python hears of them; the result is the same to the bit.

    Going back and forth takes 1.5 ms a step: half of the time of a tiny network, nothing for a large one. (Measured on
    2 cores, medians of 3: 3.0 ms a step alone and 1.4 ms of 4 at once; 32 and 26 ms of 16; 800 and 750 ms of 4.)

    Args:
        flops: of one step.
        steps: in an epoch.
    """
    return max(1, min(_FLOPS_AT_ONCE // max(1, flops), _MOST_AT_ONCE, steps))


def _fit_epoch(
    spec: Spec, parts: StageParts, watcher: _BatchWatcher, rates: RateTable, state: TrainingState
) -> tuple[dict[str, list[float]], float]:
    """Train for the next epoch; return Keras' figures and the seconds."""
    epoch, begun = len(state.history) + 1, time.perf_counter()
    rates.load(_rates(spec, state, parts.feed.steps))
    data = parts.feed.fitted(epoch)
    with parts.distribution.scope():
        logs = parts.trainer.fit(
            **data, initial_epoch=epoch - 1, epochs=epoch, verbose=0, shuffle=False, callbacks=[watcher]
        ).history
    return logs, time.perf_counter() - begun


def _with_epoch(
    state: TrainingState,
    stage: int,
    logs: dict[str, list[float]],
    validate: Validate | None,
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


def _changing_weights(network: keras.Model) -> list[keras.Variable]:
    """Return the weights that a stage can change; those of frozen layers would be copied for nothing."""
    layers = [layer for layer in network.layers if not is_still(layer)]
    return list({id(weight): weight for layer in layers for weight in layer.weights}.values())


def _copied(weights: list[keras.Variable]) -> Values:
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


def _restore(weights: list[keras.Variable], values: Values) -> None:
    for weight, value in zip(weights, values, strict=True):
        weight.assign(value)


def _finite_copy(weights: list[keras.Variable], epoch: int, steps: int) -> Values:
    """Return the weights' values; an epoch's last update can break them when no step follows that would show it."""
    values = _copied(weights)
    if not all(np.isfinite(value).all() for value in values):
        raise _diverged(epoch, steps, steps)
    return values


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
        step = min(batch + 1, self.steps)  # Keras counts on where several at once go beyond the last
        if not math.isfinite(loss):
            raise _diverged(self.current, step, self.steps)
        self.progress.batch(self.current, step, self.steps, loss, accuracy)
