"""Batch norm folded into the layer before it: the same output, with less arithmetic and less memory to pass through."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.models.graph import chained, replaced, unchanged

__all__ = ["folded"]

_FOLDABLE = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Dense,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


def folded(base: keras.Model) -> keras.Model:
    """Return a network that gives the same in inference mode, to rounding, and does it faster.

    A batch norm is folded into the convolution or the dense layer before it where that has no activation and nothing
    else reads its output (Jacob et al., 2018, section 3.2). All else is as it was.

    Args:
        base: a functional network; its weights are copied where they are folded and shared where not, so the result
            holds for as long as they stay.
    """
    by_name: dict[str, Any] = {}
    for before, norm in chained(base, keras.layers.BatchNormalization):
        if _fits(before.operation, norm.operation, len(norm.input_tensors[0].shape)):
            by_name[before.operation.name] = _with_norm(before, norm.operation)
            by_name[norm.operation.name] = unchanged
    return replaced(base, by_name)


def _fits(layer: Any, norm: Any, dimensions: int) -> bool:
    """Return whether a batch norm scales just what the layer's bias is added to, in the same arithmetic."""
    return (
        type(layer) in _FOLDABLE
        and layer.activation is keras.activations.linear
        and getattr(layer, "data_format", "channels_last") == "channels_last"
        and norm.axis % dimensions == dimensions - 1
        and norm.compute_dtype == layer.compute_dtype
        and not norm.renorm
    )


def _with_norm(call: Any, norm: Any) -> Any:
    """Return the layer of a call, with a bias, as the layer and the batch norm together would compute."""
    layer = call.operation
    config = layer.get_config() | {"use_bias": True}
    # Weights that are replaced at once need no draw, which takes time and would move Python's own random numbers.
    config |= {key: "zeros" for key in config if key.endswith("_initializer")}
    copy = type(layer).from_config(config)
    copy.build(call.input_tensors[0].shape)
    kernels = [np.asarray(weight, np.float64) for weight in layer.get_weights()]
    bias = kernels.pop() if layer.use_bias else 0.0
    scale, shift = _scale_and_shift(norm)
    kernels[-1] *= _along_outputs(scale, layer, kernels[-1].shape)
    copy.set_weights([*kernels, bias * scale + shift])
    copy.trainable = False
    return copy


def _scale_and_shift(norm: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what a batch norm multiplies each channel with and then adds to it: (channels,) each."""
    mean, variance = (np.asarray(weight, np.float64) for weight in (norm.moving_mean, norm.moving_variance))
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.gamma is not None:
        scale = scale * np.asarray(norm.gamma, np.float64)
    beta = 0.0 if norm.beta is None else np.asarray(norm.beta, np.float64)
    return scale, beta - mean * scale


def _along_outputs(scale: NDArray[np.float64], layer: Any, kernel: tuple[int, ...]) -> NDArray[np.float64]:
    """Shape the scale of each output channel so that it multiplies a kernel; of two, the pointwise one."""
    if type(layer) is keras.layers.DepthwiseConv2D:
        return scale.reshape(kernel[-2:])  # (channels, multiplier)
    return scale[:, None] if type(layer) is keras.layers.Conv2DTranspose else scale  # (out, in) there, else (in, out)
