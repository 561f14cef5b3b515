"""Test-time augmentation as a part of the network, so that whoever loads it predicts as it was measured."""

from __future__ import annotations

import keras

__all__ = ["averaged", "averaged_network"]

_NAME = "averaged"


def averaged(network: keras.Model, views: str) -> keras.Model:
    """Return a network that gives the mean of the probabilities of an image and of its mirror image.

    Args:
        network: (n, height, width, channels) → (n, classes); it stands in the other, weights and all.
        views: the spec's ``test_time_augmentation``; ``none`` gives the network itself.
    """
    if views == "none":
        return network
    image = keras.Input(network.input_shape[1:], name="image", dtype=network.input.dtype)
    mirrored = keras.ops.flip(image, axis=2)
    mean = keras.layers.Average(name="average", dtype="float32")([network(image), network(mirrored)])
    return keras.Model(image, mean, name=_NAME)


def averaged_network(network: keras.Model) -> keras.Model | None:
    """Return the network whose answers to an image and its mirror image ``averaged`` took the mean of; else None."""
    if network.name != _NAME:
        return None
    return next((layer for layer in network.layers if isinstance(layer, keras.Model)), None)
