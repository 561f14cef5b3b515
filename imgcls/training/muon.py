"""Muon for networks of convolutions."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

__all__ = ["Muon"]


class Muon(keras.optimizers.Muon):  # type: ignore[misc] # Keras is untyped
    """Keras' Muon, with the steps of convolutions orthogonalized, too, and not the output layer's.

    Keras leaves all but matrices to AdamW, which is nearly all of a network of convolutions. Here the kernel of one,
    (height, width, in, out), is the matrix (height x width x in, out) that it stands for, as in the original work
    (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon). Left to AdamW are vectors, the last kernel, which
    is the output layer's, and depthwise kernels and embeddings, which are no matrices.
    """

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the moments, now that it is known which variable is the output layer's."""
        kernels = [each.path for each in variables if len(each.shape) > 1]
        self._output_path = kernels[-1] if kernels else ""
        super().build(variables)

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        shape, path = variable.shape, variable.path
        is_depthwise = "depthwise" in path or shape[-1:] == (1,)
        return len(shape) not in (2, 4) or is_depthwise or "embedding" in path or path == self._output_path

    def _muon_update_step(self, gradient: Any, variable: keras.Variable, lr: Any, momentum: keras.Variable) -> None:
        self.assign(momentum, self.momentum * momentum + gradient)
        step = gradient + self.momentum * momentum if self.nesterov else momentum
        step = self.zeropower_via_newtonschulz5(ops.reshape(step, (-1, variable.shape[-1])), self.ns_steps)
        self.assign_sub(variable, ops.reshape(self.lr_adjust(lr * step), variable.shape))
