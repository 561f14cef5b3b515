"""Keras' optimizers from their records, and the learning rate of every step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from imgcls.spec.optimization import Optimizer

__all__ = ["OPTIMIZER_CLASSES", "RateTable", "build_optimizer"]

OPTIMIZER_CLASSES: dict[str, type[keras.optimizers.Optimizer]] = {
    "adadelta": keras.optimizers.Adadelta,
    "adafactor": keras.optimizers.Adafactor,
    "adagrad": keras.optimizers.Adagrad,
    "adam": keras.optimizers.Adam,
    "adamax": keras.optimizers.Adamax,
    "adamw": keras.optimizers.AdamW,
    "ftrl": keras.optimizers.Ftrl,
    "lamb": keras.optimizers.Lamb,
    "lion": keras.optimizers.Lion,
    "muon": keras.optimizers.Muon,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}


class RateTable(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc] # Keras is untyped
    """Looks the rate of a step up in the curve that ``schedules`` computed; after its end the last rate holds."""

    def __init__(self, curve: NDArray[np.float32]) -> None:
        self.curve = curve

    def __call__(self, step: Any) -> Any:
        place = ops.minimum(ops.cast(step, "int32"), len(self.curve) - 1)
        return ops.take(ops.convert_to_tensor(self.curve), place)


def build_optimizer(record: Optimizer, learning_rate: float | RateTable) -> keras.optimizers.Optimizer:
    """Build an optimizer with the arguments of its record."""
    arguments = record.model_dump(exclude={"name"})
    return OPTIMIZER_CLASSES[record.name](learning_rate=learning_rate, **arguments)
