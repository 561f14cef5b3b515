"""Weights averaged over the steps, exponentially: they have less noise than those of the last one.

After Polyak and Juditsky (1992), as is usual since Szegedy et al. (2016): the optimizer goes on from its own weights,
and the average is what is validated and saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = ["WeightAverage", "averaging"]


class _RampedAverage:
    """What an optimizer does with the average after a step.

    Keras' begins with the first step's weights and holds them for long. As in TensorFlow's ``ExponentialMovingAverage``
    with ``num_updates``, the momentum is smaller at first: n / (n + 9) after n steps.
    """

    def _update_model_variables_moving_average(self: Any, trainable_variables: Sequence[keras.Variable]) -> None:
        step = ops.cast(self.iterations, "float32")
        share = 1 - ops.minimum(self.ema_momentum, step / (step + 9))
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            average.assign(average + ops.cast(share, average.dtype) * (variable - average))


def averaging(optimizer: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """Return the optimizer's class with an average that tells of all steps so far, be they few."""
    return type(optimizer.__name__, (_RampedAverage, optimizer), {})


class WeightAverage:
    """The average of what a stage trains, which its optimizer keeps.

    Attributes:
        is_kept: whether the spec asks for it; if not, the last weights are what counts.
    """

    def __init__(self, trainer: keras.Model, *, is_kept: bool) -> None:
        self.is_kept = is_kept
        self._optimizer, self._variables = trainer.optimizer, trainer.trainable_variables
        if is_kept:  # ``fit`` ends with putting the average into the network, and here it ends with each epoch
            trainer.optimizer.finalize_variable_values = lambda _: None

    def take(self) -> None:
        """Put the average into the network."""
        if not self.is_kept:
            return
        type(self._optimizer).finalize_variable_values(self._optimizer, self._variables)
        for variable in self._variables:  # JAX gave them the average's own arrays, and steps give theirs away
            variable.assign(np.array(ops.convert_to_numpy(variable)))

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Have the network hold the average for a while."""
        kept = [ops.convert_to_numpy(variable) for variable in self._variables] if self.is_kept else []
        self.take()
        try:
            yield
        finally:
            for variable, value in zip(self._variables, kept, strict=self.is_kept):
                variable.assign(value)
