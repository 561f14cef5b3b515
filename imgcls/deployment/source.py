"""What is exported: the network, computing in float32, and what goes with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

__all__ = ["INPUT", "OUTPUT", "Opened", "Source", "in_float32"]

INPUT, OUTPUT = "image", "probabilities"  # what input and output are called, in every format that has names

_CALIBRATION_IMAGES = 200  # 100 to 500 are what TensorFlow's guide to quantisation names


@dataclass(frozen=True)
class Source:
    """What the formats are written from.

    Attributes:
        network: float32 (n, height, width, channels), 0..255 → float32 (n, classes), rows sum to 1.
        classes: in the order of the outputs.
        labels: a file that has them, one a line.
        images: uint8 (n, height, width, channels), 0..255.
        training: int, which of the images the network was trained on: quantisation is calibrated on them.
        scratch: a folder for what is needed on the way.
    """

    network: keras.Model
    classes: tuple[str, ...]
    labels: Path
    images: NDArray[np.uint8] = field(repr=False)
    training: NDArray[np.int64] = field(repr=False)
    scratch: Path

    def calibration(self) -> Iterator[list[NDArray[np.float32]]]:
        """Yield training images at even distances, float32 (1, height, width, channels), 0..255.

        The corners of the first are made black and white: the input's range is then 0..255, whatever the images are,
        and a quantised network takes a pixel as it is; so is that of the parts which shifting by a pixel puts together.
        """
        distance = max(1, len(self.training) // _CALIBRATION_IMAGES)
        for place, row in enumerate(self.training[::distance][:_CALIBRATION_IMAGES]):
            image = self.images[row][None].astype(np.float32)
            if place == 0:
                checks = 255 * (np.indices(image.shape[1:3]).sum(axis=0)[..., None] % 2)
                for corner in itertools.product((slice(2), slice(-2, None)), repeat=2):
                    image[0][corner] = checks[corner]
            yield [image]


@dataclass(frozen=True)
class Opened:
    """An export, opened by its own runtime.

    Attributes:
        predict: uint8 (n, height, width, channels), 0..255 → float32 (n, classes).
        input: name, dtype and shape of what it takes, as the runtime tells them; None in a shape is any number.
        output: the same of what it gives.
        one_by_one: whether it takes a single image at a time.
    """

    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    input: dict[str, Any]
    output: dict[str, Any]
    one_by_one: bool = False


def in_float32(network: keras.Model) -> keras.Model:
    """Return the network with the same weights and every layer computing in float32; itself where they do already."""
    if all(layer.compute_dtype == "float32" for layer in network._flatten_layers()):  # noqa: SLF001 - nested ones too
        return network
    changed = type(network).from_config(_in_float32(network.get_config()))
    changed.set_weights(network.get_weights())
    return changed


def _in_float32(config: Any) -> Any:
    """Return a network's configuration with ``float32`` for every policy of precision."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {**config["config"], "name": "float32"}}
        return {key: _in_float32(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_in_float32(value) for value in config)
    return config
