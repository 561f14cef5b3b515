"""A stage of a training: a loop over Keras' ``fit``, so that a decision between two epochs stands where it is made."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.models import is_still
from imgcls.spec import Spec
from imgcls.spec.optimization import Plateau
from imgcls.training.assembling import StageParts, Validate
from imgcls.training.checkpoint import NETWORK, Checkpoint, Spent, Underway, put_back, taken
from imgcls.training.compiling import compile_stage
from imgcls.training.feed import TrainingFeed
from imgcls.training.progress import Keeper, Progress
from imgcls.training.schedules import epoch_rates
from imgcls.training.state import EpochRow, Stage, StageResult, TrainingState
from imgcls.training.stopping import watch_plateau, watch_stopping
from imgcls.training.watcher import BatchWatcher, DivergedError, diverged
from imgcls.training.weight_average import take_average

__all__ = ["StageTraining"]

Values = Sequence[NDArray[Any]]


class StageTraining:
    """A stage of the training, with a fresh optimizer and fresh rules."""

    def __init__(
        self,
        stage: Stage,
        network: keras.Model,
        parts: StageParts,
        progress: Progress,
        keeper: Keeper | None,
        state: TrainingState,
        spent: Spent,
    ) -> None:
        self._stage, self._spec, self._network, self._parts = stage, stage.spec, network, parts
        self._progress, self._keeper = progress, keeper
        self._spent_before = spent
        self._watcher = BatchWatcher(progress, parts.feed.steps, self._after_step)
        self._rates = compile_stage(self._spec, parts)
        self._is_averaged = self._spec.optimizer.ema_momentum is not None
        self._weights = _changing_weights(network)
        self._finite: Values = _copied(self._weights)  # of the last whole epoch
        self._best: Values | None = None
        self._state = self._kept = state  # after the last whole epoch; of the newest checkpoint
        self._is_whole = True  # whether the weights are those of the state: nothing is done of the next epoch
        self._begun = 0.0  # the running epoch, as if it had not been interrupted
        self._first = 0  # the optimizer's count of steps then

    @property
    def spent(self) -> Spent:
        """Seconds that this stage and those before it took beside their epochs."""
        return Spent(
            compile_seconds=self._spent_before.compile_seconds + self._watcher.first_step_seconds,
            features_seconds=self._spent_before.features_seconds + self._parts.features_seconds,
            input_seconds=self._spent_before.input_seconds + self._parts.feed.seconds,
        )

    def run(self, underway: Underway | None = None) -> TrainingState:
        """Train to the stage's end, from within an epoch or between two; the network ends with its best weights."""
        try:
            while self._state.stage_epochs < self._spec.epochs and not self._state.stopped:
                self._epoch(underway)
                underway = None
            self._keep_whole()  # what follows may be interrupted too
        except DivergedError:
            _restore(self._weights, self._finite)
            raise
        except (KeyboardInterrupt, SystemExit):
            self._keep_whole()
            raise
        if self._best is not None:
            _restore(self._weights, self._best)
        elif self._is_averaged:
            take_average(self._parts.trainer.optimizer)
        last = len(self._state.history)
        return _ended(self._stage, self._state, self._state.stopping.best_epoch if self._best is not None else last)

    def _epoch(self, underway: Underway | None) -> None:
        """Train for the next epoch, or for what is left of it, validate, and decide how to go on."""
        logs, seconds = self._fit(underway or Underway(0, 0.0))
        finite: Values | None = None
        try:
            self._watcher.raise_late()
            finite = _finite_copy(self._weights, len(self._state.history) + 1, self._parts.feed.steps)
            with self._averaged(finite):
                validate, lr = self._parts.validate, self._rates.last
                state = _decide(self._spec, _with_epoch(self._state, self._stage.stage, logs, validate, lr, seconds))
                best = self._best
                if _is_best(self._spec, state):
                    best = _copied(self._weights) if self._is_averaged else finite
            self._progress.epoch(state.history[-1])
        except (KeyboardInterrupt, SystemExit):
            if finite is not None:
                _restore(self._weights, finite)  # some may be those of the average
            self._keep(Underway(self._parts.feed.steps, seconds, logs))
            raise
        self._state, self._finite, self._best, self._is_whole = state, finite, best, True
        if self._is_due(is_epoch_over=True):
            self._keep(None)

    @contextmanager
    def _averaged(self, own: Values) -> Iterator[None]:
        """Have the network hold the average of its weights, where the spec asks for it, and then its own again."""
        if not self._is_averaged:
            yield
            return
        try:
            take_average(self._parts.trainer.optimizer)
            yield
        finally:
            _restore(self._weights, own)

    def _fit(self, underway: Underway) -> tuple[dict[str, float], float]:
        """Do the steps of the next epoch that are not done yet; return its loss and accuracy, and the seconds."""
        self._first = _count(self._parts.trainer) - underway.step if underway.first is None else underway.first
        self._rates.load(_rates(self._spec, self._state, self._parts.feed.steps), self._first)
        if underway.logs is not None:
            return underway.logs, underway.seconds
        epoch, self._begun = len(self._state.history) + 1, time.perf_counter() - underway.seconds
        data = self._parts.feed.fitted(epoch, underway.step)
        self._watcher.done = underway.step
        self._is_whole = False
        with self._parts.distribution.scope(), self._progress.stepping():
            logs = self._parts.trainer.fit(
                **data, initial_epoch=epoch - 1, epochs=epoch, verbose=0, shuffle=False, callbacks=[self._watcher]
            ).history
        return {name: float(logs[name][-1]) for name in ("loss", "accuracy")}, time.perf_counter() - self._begun

    def _after_step(self, step: int, *, is_ending: bool) -> None:
        """Keep a checkpoint within an epoch, where it is time, or the run is about to end."""
        if self._parts.distribution.replicas > 1:  # their running means are not in one place
            return
        if is_ending or self._is_due(is_epoch_over=False):
            _synchronized(self._parts.trainer)
            self._keep(Underway(step, time.perf_counter() - self._begun, first=self._first))

    def _groups(self) -> dict[str, Sequence[keras.Variable]]:
        """Return all that a step changes; what is fitted has copies of frozen weights beside, which are made anew."""
        return {NETWORK: self._network.variables, "optimizer": self._parts.trainer.optimizer.variables}

    def _is_due(self, *, is_epoch_over: bool) -> bool:
        return self._keeper is not None and self._keeper.is_due(self._size_bytes, is_epoch_over=is_epoch_over)

    @cached_property
    def _size_bytes(self) -> int:
        """About what a checkpoint takes, asked for when the first step is done and all variables are there."""
        return sum(4 * math.prod(each.shape) for group in self._groups().values() for each in group)

    def _keep_whole(self) -> None:
        """Keep a checkpoint between two epochs, where the newest one is older."""
        if self._is_whole and self._kept is not self._state:
            self._keep(None)

    def _keep(self, underway: Underway | None) -> None:
        """Keep a checkpoint, between two epochs or of one that is underway."""
        if self._keeper is None:
            return
        groups: dict[str, Sequence[Any]] = dict(self._groups())
        if underway is not None:
            groups["finite"] = self._finite
            if underway.logs is None:
                groups["metrics"] = self._parts.trainer.metrics_variables
        if self._best is not None and (underway is not None or self._best is not self._finite):
            groups["best"] = self._best
        on_features = self._parts.on_features
        self._keeper.keep(Checkpoint(self._state, taken(groups), underway, self.spent, on_features=on_features))
        self._kept = self._state

    def go_on_from(self, found: Checkpoint) -> Underway | None:
        """Put everything back as it was when a checkpoint was made, and return how far the epoch was."""
        trainer = self._parts.trainer
        with self._parts.distribution.scope():
            for name, variables in self._groups().items():
                put_back(found, name, variables)
        self._finite = found.group("finite") or _copied(self._weights)
        self._best = found.group("best")
        if self._best is None and _is_best(self._spec, self._state):
            self._best = self._finite
        if found.underway is not None and found.underway.logs is None:
            assert isinstance(self._parts.feed, TrainingFeed)
            trainer.test_on_batch(*next(self._parts.feed.batches(1)))  # Keras makes the running means as it needs them
            self._watcher.resumed = found
        return found.underway


def _synchronized(trainer: keras.Model) -> None:
    """Have the variables hold what the steps came to: on JAX, they do so at the end of an epoch only."""
    if keras.backend.backend() == "jax":
        trainer.jax_state_sync()


def _count(trainer: keras.Model) -> int:
    """Return how many steps the optimizer has counted."""
    return int(keras.ops.convert_to_numpy(trainer.optimizer.iterations))


def _ended(stage: Stage, state: TrainingState, best_epoch: int) -> TrainingState:
    """Return the state after a stage: what it did is noted, and nothing is carried over to the next."""
    assert stage.spec.lr.initial is not None
    result = StageResult(
        stage=stage.stage,
        first_epoch=state.first_epoch,
        epochs_run=state.stage_epochs,
        best_epoch=best_epoch,
        stopped_early=state.stopped and state.stage_epochs < stage.spec.epochs,
        lr=stage.spec.lr.initial,
        optimizer=stage.spec.optimizer.name,
        trainable_params=stage.trainable_params,
        total_params=stage.total_params,
    )
    return TrainingState(state.history, state.train_seconds, (*state.stages, result))


def _with_epoch(
    state: TrainingState,
    stage: int,
    logs: dict[str, float],
    validate: Validate | None,
    lr: float,
    train_seconds: float,
) -> TrainingState:
    """Validate, and add the epoch to the history."""
    begun = time.perf_counter()
    val_loss, val_accuracy = validate() if validate else (None, None)
    row = EpochRow(
        epoch=len(state.history) + 1,
        loss=logs["loss"],
        accuracy=logs["accuracy"],
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
        raise diverged(epoch, steps, steps, steps)
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
    return wanted and 0 < state.stopping.best_epoch == len(state.history)


def _monitored(row: EpochRow, monitor: str) -> float:
    value = getattr(row, monitor)
    return math.nan if value is None else float(value)
