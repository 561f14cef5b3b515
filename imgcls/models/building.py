"""The whole network: normalisation inside, then the architecture, then the output that the classes ask for."""

from __future__ import annotations

from typing import Any

import keras

from imgcls.errors import SpecError
from imgcls.models.backbones import HEAD, backbone_features, set_trainable
from imgcls.models.layers import apply_layers, initializer
from imgcls.models.normalization import PixelStatistics, normalized
from imgcls.models.presets import architecture_layers
from imgcls.randomness import derive_seed
from imgcls.spec import Spec
from imgcls.spec.architecture import BackboneSpec

__all__ = ["POLICIES", "build_network"]

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def build_network(spec: Spec, shape: tuple[int, int, int], classes: int, pixels: PixelStatistics | None) -> keras.Model:
    """Build the network; its weights follow from the spec's seed. Those of a file are not in it yet.

    Args:
        spec: complete: no value left to the data.
        shape: (height, width, channels) of an image, values 0..255.
        classes: how many; the output is that many probabilities, in float32.
        pixels: of the training images; nothing where the network is only described.

    Raises:
        SpecError: the layers do not fit each other or the images, or there is none that a stage, even the last, names.
    """
    keras.config.set_dtype_policy(POLICIES[spec.precision])
    try:
        image = keras.Input(shape, name="image", dtype="float32")
        seed = derive_seed(spec.seed, "network")
        tensor = _features(spec, normalized(spec, image, pixels), seed)
        start = initializer("glorot_uniform", derive_seed(seed, "output", bits=31))
        output = keras.layers.Dense(
            classes, activation="softmax", kernel_initializer=start, dtype="float32", name="output"
        )
        network = keras.Model(image, output(tensor), name="network")
        for index, phase in reversed([*enumerate(spec.phases)]):  # ends as the first begins
            place = f"stages.{index}.trainable" if spec.stages else "architecture.trainable"
            set_trainable(network, phase.architecture, place=place)
        return network
    finally:
        keras.config.set_dtype_policy("float32")


def _features(spec: Spec, tensor: Any, seed: int) -> Any:
    """Return what the output layer sees: symbolic (n, features)."""
    if isinstance(spec.architecture, BackboneSpec):
        if spec.architecture.weights == "imagenet" and tensor.shape[-1] != 3:
            raise SpecError(f"architecture.weights: imagenet is of colour images, got {tensor.shape[-1]} channel: "
                            "set color: rgb, or weights: none")  # fmt: skip
        place, layers = HEAD, spec.architecture.head
        tensor = backbone_features(spec.architecture, tensor, seed)
    else:
        place, layers = "architecture", architecture_layers(spec.architecture)
    tensor = apply_layers(layers, tensor, seed=seed, place=place)
    if len(tensor.shape) > 2:
        size = "x".join(map(str, tensor.shape[1:]))
        raise SpecError(f"{place} ends with images of {size}: end it with flatten or global_average_pool")
    return tensor
