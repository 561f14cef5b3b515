"""Where in an image the network saw the class: Grad-CAM (Selvaraju et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgcls.backend import memory_is_told
from imgcls.errors import RunError, SpecError, nearest
from imgcls.models import averaged_network
from imgcls.models.backbones import OWN_NAME
from imgcls.models.inlining import Step, inlined
from imgcls.wording import some

__all__ = ["Explainer", "build_explainer"]

_BATCH_VALUES = 1 << 20  # values of images in one batch: the gradient needs all activations of it at once
_MAX_BATCH = 64

# What passes features on with less detail or changed order: the layer before it shows the same more finely.
_PASSING = (
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
    keras.layers.Permute,
    keras.layers.Reshape,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding2D,
)


@dataclass(frozen=True)
class Explainer:
    """A network opened at one of its layers.

    Attributes:
        layer: the layer's name.
        opened: (n, height, width, channels), 0..255 → what the layer gives, (n, h, w, features), and what the scores
            are made of.
        output: the dense layer of the scores, whose softmax is left out; none where the network ends otherwise.
        is_mirrored: whether the network averages its answers to an image and to its mirror image.
    """

    layer: str
    opened: keras.Model
    output: Any
    is_mirrored: bool

    @memory_is_told()
    def maps(self, images: NDArray[np.uint8], classes: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Return how much each place speaks for a class: float32 (n, height, width), 0..1.

        The greatest value of a map is 1. All are 0 where no place speaks for the class: it is told by what is absent.

        Args:
            images: uint8 (n, height, width, channels), 0..255.
            classes: int (n,), the class that each map is about.

        Raises:
            RunError: memory ran out.
        """
        found = np.empty(images.shape[:3], np.float32)
        size = max(1, min(_MAX_BATCH, _BATCH_VALUES // int(np.prod(images.shape[1:]))))
        for start in range(0, len(images), size):
            rows = slice(start, start + size)
            coarse = self._coarse(images[rows], classes[rows])
            if self.is_mirrored:
                coarse = coarse + self._coarse(images[rows, :, ::-1], classes[rows])[:, :, ::-1]
            found[rows] = [_stretched(each, images.shape[1], images.shape[2]) for each in coarse]
        return found

    def _coarse(self, images: NDArray[np.uint8], classes: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Return maps of the layer's own resolution: its features, weighted by their mean gradients, where positive."""
        import tensorflow as tf

        batch = tf.convert_to_tensor(images, tf.float32)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(batch)
            features, end = self.opened(batch, training=False)
            scores = tf.gather(self._scores(tf.cast(end, tf.float32)), classes, batch_dims=1)
        gradients = tf.cast(tape.gradient(scores, features), tf.float32)
        weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
        weighted = tf.reduce_sum(weights * tf.cast(features, tf.float32), axis=3)
        return np.maximum(weighted.numpy(), 0)

    def _scores(self, end: Any) -> Any:
        """Return (n, classes): what the softmax is taken of, whose own gradient vanishes where the network is sure."""
        if self.output is None:
            return keras.ops.log(end + 1e-12)
        scores = keras.ops.matmul(end, self.output.kernel)
        return scores if self.output.bias is None else scores + self.output.bias


def build_explainer(network: keras.Model, layer: str | None = None) -> Explainer:
    """Return what explains a network's answers, on TensorFlow.

    Args:
        network: (n, height, width, channels), 0..255 → (n, classes), probabilities.
        layer: whose features are looked at; by default the last that still has places, before pooling or flatten.

    Raises:
        SpecError: there is no such layer, or none that has places.
        RunError: Keras is not on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise RunError("Grad-CAM is computed with TensorFlow alone")
    inner = averaged_network(network)
    image, steps = inlined(network if inner is None else inner)
    chosen = _chosen([step for step in steps if _has_places(step.output)], steps, layer)
    last = steps[-1]
    is_softmax = (
        isinstance(last.operation, keras.layers.Dense) and last.operation.activation is keras.activations.softmax
    )
    opened = keras.Model(image, [chosen.output, last.input if is_softmax else last.output])
    return Explainer(chosen.operation.name, opened, last.operation if is_softmax else None, inner is not None)


def _chosen(spatial: list[Step], steps: list[Step], layer: str | None) -> Step:
    names = [step.operation.name for step in spatial]
    if layer is not None:
        if layer in names:
            return spatial[names.index(layer)]
        if layer in [step.operation.name for step in steps]:
            raise SpecError(f"layer {layer} has no places to show: its output is not one of height and width")
        raise SpecError(f"the network has no layer {layer}{nearest(layer, names)}; those with places are {some(names)}")
    first = next((index for index, step in enumerate(spatial) if _is_convolution(step.operation)), len(spatial))
    learnt = [step for step in spatial[first:] if not isinstance(step.operation, _PASSING)]
    if not learnt:
        raise SpecError("the network has no layer that keeps places (no convolution), so there is nothing to explain")
    return learnt[-1]


def _has_places(tensor: Any) -> bool:
    shape: tuple[int | None, ...] = getattr(tensor, "shape", ())
    return len(shape) == 4 and (shape[1] or 0) * (shape[2] or 0) > 1


def _is_convolution(operation: Any) -> bool:
    """Whether a step has a kernel that moves over the image, other than the normalisation's."""
    is_own = OWN_NAME.match(operation.name) is not None
    return not is_own and any(len(weight.shape) == 4 for weight in getattr(operation, "weights", ()))


def _stretched(coarse: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return one map at the images' resolution, its greatest value 1."""
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))
    greatest = smooth.max()
    return smooth / greatest if greatest > 0 else np.zeros_like(smooth)
