"""Test-time augmentation as a part of the network, so that whoever loads it predicts as it was measured."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

__all__ = ["averaged", "averaged_network"]

_NAME = "averaged"
_SHIFTS = {"horizontal_flip": (0,), "horizontal_flip_and_shift": (0, 1, -1)}  # pixels, down and to the right


def averaged(network: keras.Model, views: str) -> keras.Model:
    """Return a network that gives the mean of its probabilities for several views of an image.

    They are the image and its mirror image, and both of these shifted by a pixel along the diagonal, to either side,
    what lies at the edge repeated (Jordan, 2024, shifts with reflection and gives the shifted ones half the weight).

    Args:
        network: (n, height, width, channels) → (n, classes); it stands in the other, weights and all.
        views: the spec's ``test_time_augmentation``; ``none`` gives the network itself.
    """
    if views == "none":
        return network
    image = keras.Input(network.input_shape[1:], name="image", dtype=network.input.dtype)
    shifted = [_shifted(image, pixels) for pixels in _SHIFTS[views]]
    answers = [network(view) for each in shifted for view in (each, ops.flip(each, axis=2))]
    mean = keras.layers.Average(name="average", dtype="float32")(answers)
    return keras.Model(image, mean, name=_NAME)


def averaged_network(network: keras.Model) -> keras.Model | None:
    """Return the network whose answers to views of an image ``averaged`` took the mean of; else None."""
    if network.name != _NAME:
        return None
    return next((layer for layer in network.layers if isinstance(layer, keras.Model)), None)


def _shifted(image: Any, pixels: int) -> Any:
    """Return the image, moved by a pixel (1 or -1) down and to the right, or as it is (0)."""
    for axis in (1, 2) if pixels else ():
        others = image.shape[axis] - 1
        edge, rest = ((0, others), (0, 1)) if pixels > 0 else ((others, 0), (1, 0))
        parts = [_cropped(image, axis, edge), _cropped(image, axis, rest)]
        image = keras.layers.Concatenate(axis, dtype="float32")(parts[::pixels])
    return image


def _cropped(image: Any, axis: int, less: tuple[int, int]) -> Any:
    """Return the image without so many rows (axis 1) or columns (axis 2) at its beginning and its end."""
    return keras.layers.Cropping2D((less, (0, 0)) if axis == 1 else ((0, 0), less), dtype="float32")(image)
