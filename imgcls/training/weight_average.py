"""Weights averaged over the steps, exponentially: they have less noise than those of the last one.

After Polyak and Juditsky (1992), as is usual since Szegedy et al. (2016): the optimizer goes on from its own weights,
and the average is what is validated and saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = ["averaging", "take_average"]


class _Averaging:
    """What an optimizer with ``use_ema`` does otherwise than Keras' own."""

    def _update_model_variables_moving_average(self: Any, trainable_variables: Sequence[keras.Variable]) -> None:
        """Count a step in.

        Keras' average begins with the first step's weights and holds them for long. As in TensorFlow's
        ``ExponentialMovingAverage`` with ``num_updates``, the momentum is smaller at first: n / (n + 9) after n steps.
        """
        step = ops.cast(self.iterations, "float32")
        share = 1 - ops.minimum(self.ema_momentum, step / (step + 9))
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            average.assign(average + ops.cast(share, average.dtype) * (variable - average))

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        """Leave the weights to the optimizer: ``fit`` ends with this, and here it ends with each epoch."""


def averaging(optimizer: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """Return the optimizer's class with an average that tells of all steps so far, be they few."""
    return type(optimizer.__name__, (_Averaging, optimizer), {})


def take_average(optimizer: keras.optimizers.Optimizer) -> None:
    """Put the average that an optimizer keeps into the network that it trains."""
    own = getattr(optimizer, "inner_optimizer", optimizer)  # where the loss is scaled
    pairs = zip(own._trainable_variables, own._model_variables_moving_average, strict=True)  # noqa: SLF001
    for variable, average in pairs:
        variable.assign(np.array(ops.convert_to_numpy(average)))  # a copy: JAX's steps give their arrays away
