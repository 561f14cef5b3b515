"""What can be told of a built network before its training: what its backbone is given, and whether memory suffices."""

from __future__ import annotations

import math
from collections.abc import Iterator

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.backend import free_memory
from imgcls.findings import Finding
from imgcls.models.backbones import backbone_layers
from imgcls.models.graph import calls
from imgcls.spec import Spec
from imgcls.spec.architecture import BackboneSpec
from imgcls.spec.preprocessing import BACKBONE_MODES, Mode
from imgcls.wording import counted, size

__all__ = ["check_network", "largest_tensor_bytes", "needed_bytes"]

# What a picture from black to white comes to (ImageNet's means and deviations, as keras.applications has them).
_TRAINED_ON: dict[Mode, tuple[float, float]] = {
    "caffe": (-123.68, 151.06),
    "inside": (0.0, 255.0),
    "tf": (-1.0, 1.0),
    "torch": (-2.12, 2.64),
}
_MUCH = 3.0  # times the range, or a fraction of it
_MEASURED = 64  # images
_TAILS = (0.1, 99.9)  # percent: single odd pixels do not count
# Layers whose outputs are kept until the gradients are computed; others are views, or computed in place
_KEPT = (
    keras.layers.Add, keras.layers.BatchNormalization, keras.layers.Concatenate, keras.layers.Conv2D,
    keras.layers.Dense, keras.layers.DepthwiseConv2D, keras.layers.MaxPooling2D, keras.layers.SeparableConv2D,
)  # fmt: skip


def check_network(
    spec: Spec, network: keras.Model, images: NDArray[np.uint8], rows: NDArray[np.int64], device: str
) -> list[Finding]:
    """Return what is wrong with a network for these images and this machine.

    Args:
        spec: complete.
        network: as ``build_network`` made it, with its weights.
        images: uint8 (n, height, width, channels).
        rows: of the training part.
        device: ``cpu`` or ``gpu``, of which nobody knows how much memory is free before it is taken.
    """
    short = _memory(spec, network) if device == "cpu" else ()
    return [*_backbone_input(spec, network, images, rows), *short]


def _backbone_input(
    spec: Spec, network: keras.Model, images: NDArray[np.uint8], rows: NDArray[np.int64]
) -> Iterator[Finding]:
    """Measure what a pretrained backbone is given, whatever the spec says of it."""
    architecture = spec.architecture
    if not isinstance(architecture, BackboneSpec) or not architecture.is_pretrained or not len(rows):
        return
    chosen = images[rows[:: max(1, len(rows) // _MEASURED)][:_MEASURED]]
    given = keras.Model(network.input, backbone_layers(network)[0].input)(chosen.astype(np.float32))
    low, high = np.percentile(keras.ops.convert_to_numpy(given).astype(np.float32), _TAILS)
    least, most = _TRAINED_ON[BACKBONE_MODES[architecture.backbone]]
    share = (high - low) / (most - least)
    if not 1 / _MUCH <= share <= _MUCH:
        yield Finding(
            "backbone_input_range",
            f"{architecture.backbone} is given values from {low:.3g} to {high:.3g}, measured on "
            f"{counted(len(chosen), 'image')}, and was trained on {least:g} to {most:g}",
        )


def _memory(spec: Spec, network: keras.Model) -> Iterator[Finding]:
    free, needed = free_memory(), needed_bytes(spec, network)
    if free is not None and needed > free:
        yield Finding(
            "memory_short",
            f"training takes at least {size(needed)} of memory with {counted(spec.batch, 'image')} a batch, and "
            f"{size(free)} are free",
        )


def needed_bytes(spec: Spec, network: keras.Model) -> int:
    """Return what a training step holds at the least: weights, gradients and activations; optimizers hold more.

    Of the activations only those from the first layer on that learns: a step needs them until it has the gradients.
    """
    learning = [index for index, layer in enumerate(network.layers) if layer.trainable_weights]
    layers = network.layers[learning[0] :] if learning else []
    values = sum(math.prod(layer.output.shape[1:]) for layer in layers if isinstance(layer, _KEPT))
    weights, trainable = (sum(math.prod(each.shape) for each in group) for group in
                          (network.weights, network.trainable_weights))  # fmt: skip
    return 4 * (weights + trainable) + (4 if spec.precision == "float32" else 2) * values * spec.batch


def largest_tensor_bytes(network: keras.Model, batch: int) -> int:
    """Return how large the largest tensor is that a prediction of a batch makes, in half precision at the least.

    Args:
        network: a functional one; those in it count too.
    """
    return 2 * batch * max(math.prod(filter(None, tensor.shape)) for tensor in _tensors(network))


def _tensors(network: keras.Model) -> Iterator[keras.KerasTensor]:
    """Yield what each call in a network gives, and what those of the networks in it give."""
    for call in calls(network):
        yield from call.outputs
        inner = getattr(call.operation, "_functional", call.operation)  # of a Sequential
        if isinstance(inner, keras.Model):
            yield from _tensors(inner)
