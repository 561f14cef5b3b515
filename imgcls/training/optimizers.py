"""Keras' optimizers from their records, and the learning rate of every step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from imgcls.spec.optimization import Optimizer
from imgcls.training.muon import Muon
from imgcls.training.updates import SGD, Adam, AdamW
from imgcls.training.weight_average import averaging

__all__ = ["OPTIMIZER_CLASSES", "RateTable", "build_optimizer"]

OPTIMIZER_CLASSES: dict[str, type[keras.optimizers.Optimizer]] = {
    "adadelta": keras.optimizers.Adadelta,
    "adafactor": keras.optimizers.Adafactor,
    "adagrad": keras.optimizers.Adagrad,
    "adam": Adam,
    "adamax": keras.optimizers.Adamax,
    "adamw": AdamW,
    "ftrl": keras.optimizers.Ftrl,
    "lamb": keras.optimizers.Lamb,
    "lion": keras.optimizers.Lion,
    "muon": Muon,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": SGD,
}


class RateTable(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc] # Keras is untyped
    """The rates of the running epoch, a number a step; ``load`` sets those of the next."""

    def __init__(self, steps_per_epoch: int) -> None:
        self.rates = keras.Variable(np.zeros(steps_per_epoch), trainable=False, dtype="float32", name="rates")
        self.last = 0.0  # the rate of the epoch's last step

    def load(self, rates: NDArray[np.float32], first: int = 0) -> None:
        """Set the rates of an epoch's steps.

        Args:
            rates: float32 (steps_per_epoch,).
            first: the optimizer's count of steps when the epoch began: it does not count those that float16 skips.
        """
        self.last = float(rates[-1])
        self.rates.assign(np.roll(rates, first))  # where ``__call__`` begins

    def __call__(self, step: Any) -> Any:
        return ops.take(self.rates, ops.cast(step, "int32") % self.rates.shape[0])


def build_optimizer(record: Optimizer, rates: RateTable, precision: str) -> keras.optimizers.Optimizer:
    """Build an optimizer with the arguments of its record; in float16 with a loss that is scaled against underflow."""
    arguments, made = record.model_dump(exclude={"name", "ema_momentum"}), OPTIMIZER_CLASSES[record.name]
    if record.ema_momentum is not None:
        arguments |= {"use_ema": True, "ema_momentum": record.ema_momentum}
        made = averaging(made)
    optimizer = made(learning_rate=rates, **arguments)
    if keras.backend.backend() == "tensorflow":
        # On one device there is nothing to sum. Keras does it by a custom gradient, which TensorFlow registers for
        # ever, and with it the network of every training of this process.
        optimizer._all_reduce_sum_gradients = lambda gradients: gradients  # noqa: SLF001
    if keras.backend.backend() == "jax":
        # JAX compiles what is not known to be a variable as a constant: the first epoch's rates would hold for all.
        optimizer._track_variable(rates.rates)  # noqa: SLF001
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "float16" else optimizer
