"""The drawn changes inside the network's graph, on any backend of Keras; one resampling for all that moves pixels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from imgcls.augmentation.drawing import draw_fields
from imgcls.augmentation.resampling import resampled
from imgcls.spec.augmentation import AugmentationSpec

__all__ = ["augmenting_model"]


def augmenting_model(spec: AugmentationSpec, network: keras.Model, shape: tuple[int, int, int]) -> keras.Model:
    """Put the changes in front of a network; the weights are the network's own.

    The result is always a model of its own: it is compiled for training, and the network that is saved is not. Where
    nothing is to be changed it takes images (n, height, width, channels) in 0..255, otherwise a dict:
    ``image`` like that, and what ``draw`` gives.
    """
    if spec.is_none:
        return keras.Model(network.input, network.output)
    inputs = {name: keras.Input(size, name=name) for name, size in draw_fields(spec, shape).items()}
    inputs["image"] = keras.Input(shape, name="image")
    return keras.Model(inputs, network(_Augment(spec, dtype="float32")(inputs)))


class _Augment(keras.layers.Layer):  # type: ignore[misc] # Keras is untyped
    """Applies what was drawn. It lives in the training graph only, never in a saved model."""

    def __init__(self, spec: AugmentationSpec, **settings: Any) -> None:
        super().__init__(**settings)
        self.spec = spec

    def compute_output_shape(self, input_shape: dict[str, Any]) -> Any:
        return input_shape["image"]

    def call(self, inputs: dict[str, Any]) -> Any:
        given = image = inputs["image"]
        if "transform" in inputs:
            image = resampled(image, inputs["transform"], self.spec.fill)
        if "color" in inputs:
            contrast, brightness = (_per_image(inputs["color"][:, column]) for column in (0, 1))
            mean = ops.mean(image, axis=(1, 2, 3), keepdims=True)
            image = mean + (image - mean) * contrast + brightness
        if "noise" in inputs:
            image = image + inputs["noise"]
        if "color" in inputs or "noise" in inputs:
            image = ops.clip(image, 0.0, 255.0)
        if "hole" in inputs:
            mean = ops.mean(image, axis=(1, 2), keepdims=True)
            image = ops.where(_inside(inputs["hole"], image), mean, image)
        if "changed" in inputs:
            image = ops.where(_per_image(inputs["changed"]) > 0, image, given)
        if "blend" in inputs:
            partner = ops.roll(image, -1, axis=0)
            share = _per_image(inputs["blend"])
            image = share * image + (1 - share) * partner
            image = ops.where(_inside(inputs["patch"], image), partner, image)
        return image


def _per_image(values: Any) -> Any:
    return ops.reshape(values, (-1, 1, 1, 1))


def _inside(boxes: Any, image: Any) -> Any:
    """Return a mask (n, height, width, 1) of the pixels inside boxes [top, left, bottom, right]."""
    top, left, bottom, right = (_per_image(boxes[:, column]) for column in range(4))
    rows = ops.reshape(ops.arange(image.shape[1], dtype="float32"), (1, -1, 1, 1))
    columns = ops.reshape(ops.arange(image.shape[2], dtype="float32"), (1, 1, -1, 1))
    return (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
