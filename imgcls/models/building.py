"""The whole network: normalisation inside, then the architecture, then the output that the classes ask for."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.errors import SpecError
from imgcls.models.layers import apply_layers, initializer
from imgcls.models.presets import architecture_layers
from imgcls.randomness import derive_seed
from imgcls.spec import Spec

__all__ = ["POLICIES", "PixelStatistics", "build_network", "pixel_statistics"]

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}

_CHUNK = 1024  # images at once: bounded memory, however many there are
_ROUNDING_VARIANCE = 1 / 12  # of whole numbers: less cannot be known, and a constant channel must not divide by nothing


@dataclass(frozen=True)
class PixelStatistics:
    """Of the training images only, in 0..255: over all values, and for each channel."""

    low: float = 0.0
    high: float = 255.0
    mean: tuple[float, ...] = ()
    variance: tuple[float, ...] = ()


def pixel_statistics(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> PixelStatistics:
    """Measure some images in a single pass.

    Args:
        images: uint8 (n, height, width, channels), 0..255.
        rows: int, which of them.
    """
    channels = images.shape[-1]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(rows), _CHUNK):
        pixels = images[rows[start : start + _CHUNK]].reshape(-1, channels)
        counts += np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(channels)])
    values = np.arange(256)
    seen = np.flatnonzero(counts.sum(axis=0))
    total = counts.sum(axis=1)
    mean = counts @ values / total
    variance = np.maximum(counts @ values**2 / total - mean**2, _ROUNDING_VARIANCE)
    return PixelStatistics(float(seen[0]), float(seen[-1]), tuple(mean.tolist()), tuple(variance.tolist()))


def build_network(spec: Spec, shape: tuple[int, int, int], classes: int, pixels: PixelStatistics) -> keras.Model:
    """Build the network; its weights follow from the spec's seed.

    Args:
        spec: complete: no value left to the data.
        shape: (height, width, channels) of an image, values 0..255.
        classes: how many; the output is that many probabilities, in float32.

    Raises:
        SpecError: the layers do not fit each other or the images.
    """
    keras.config.set_dtype_policy(POLICIES[spec.precision])
    try:
        image = keras.Input(shape, name="image", dtype="float32")
        seed = derive_seed(spec.seed, "network")
        tensor = _normalized(spec, image, pixels)
        tensor = apply_layers(architecture_layers(spec.architecture), tensor, seed=seed, place="architecture")
        if len(tensor.shape) > 2:
            size = "x".join(map(str, tensor.shape[1:]))
            raise SpecError(f"architecture ends with images of {size}: end it with flatten or global_average_pool")
        start = initializer("glorot_uniform", derive_seed(seed, "output", bits=31))
        output = keras.layers.Dense(
            classes, activation="softmax", kernel_initializer=start, dtype="float32", name="output"
        )
        return keras.Model(image, output(tensor), name="network")
    finally:
        keras.config.set_dtype_policy("float32")


def _normalized(spec: Spec, image: keras.KerasTensor, pixels: PixelStatistics) -> keras.KerasTensor:
    """Scale 0..255 inside the network, so that whoever loads it needs to know nothing.

    In float32 at any precision: bfloat16 has too few digits to tell 256 levels of grey apart once they are scaled.
    """
    fixed = {"name": "normalize", "dtype": "float32"}
    match spec.normalize:
        case "unit":
            layer = keras.layers.Rescaling(1 / 255, **fixed)
        case "minmax":
            span = max(pixels.high - pixels.low, 1.0)
            layer = keras.layers.Rescaling(1 / span, offset=-pixels.low / span, **fixed)
        case "standardize":
            layer = keras.layers.Normalization(mean=pixels.mean, variance=pixels.variance, **fixed)
        case _:
            return image
    return layer(image)
