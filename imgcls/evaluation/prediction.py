"""One prediction pass over images in their stored order; every figure of a result comes from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.backend import memory_is_told
from imgcls.errors import ConsistencyError, RunError
from imgcls.evaluation.batching import batch_size
from imgcls.evaluation.metrics import predicted_classes
from imgcls.spec import Spec
from imgcls.training.losses import build_accuracy, build_loss, encode_labels

__all__ = ["Predictions", "predict_batch", "predict_images"]


@dataclass(frozen=True)
class Predictions:
    """What a network says of some images.

    Attributes:
        labels: int (n,), the true classes in stored order.
        probabilities: float32 (n, classes), rows sum to 1.
        loss: mean over the images, with the penalties on the weights, as Keras reports it.
    """

    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    loss: float

    @property
    def predicted(self) -> NDArray[np.integer[Any]]:
        """The most probable class of each image; the first of equals."""
        return predicted_classes(self.probabilities)

    @property
    def accuracy(self) -> float:
        """Share of images whose predicted class is the true one."""
        return int(np.sum(self.predicted == self.labels)) / len(self.labels)


@memory_is_told()
def predict_images(
    spec: Spec,
    network: keras.Model,
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
    labels: NDArray[np.int32],
) -> Predictions:
    """Predict some images in one pass.

    Keras' own accuracy is computed on the way, from the batches as they pass; it must be the accuracy of the result.

    Args:
        images: uint8 (n, height, width, channels), 0..255.
        rows: int (m,), which of them, in the order of the result.
        labels: int (m,), their true classes.

    Raises:
        RunError: what the network gives are no probabilities, or memory ran out.
        ConsistencyError: Keras counts other hits than the predictions have.
    """
    loss, accuracy = build_loss(spec), build_accuracy(spec)
    classes = network.output_shape[-1]
    size = batch_size(images.shape[1:], len(rows))
    parts, total = [], 0.0
    for start in range(0, len(rows), size):
        chosen = rows[start : start + size]
        batch = images[np.resize(chosen, size)]  # the last batch is filled up: one shape, traced once
        probabilities = network.predict_on_batch(batch)[: len(chosen)]
        target = encode_labels(spec, labels[start : start + size], classes)
        accuracy.update_state(target, probabilities)
        total += float(loss(target, probabilities)) * len(chosen)
        parts.append(probabilities)
    for probabilities in parts:
        _refuse_nonsense(probabilities)
    penalty = sum(float(value) for value in network.losses)
    result = Predictions(labels, np.concatenate(parts), total / len(rows) + penalty)
    _agree(result, float(accuracy.result()))
    return result


@memory_is_told()
def predict_batch(network: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities of images that are few enough for one batch: (n, classes), rows sum to 1.

    Args:
        network: (n, height, width, channels) → (n, classes).
        images: uint8 (n, height, width, channels), 0..255; not none.

    Raises:
        RunError: what the network gives are no probabilities, or memory ran out.
    """
    probabilities: NDArray[np.float32] = network.predict_on_batch(images)
    _refuse_nonsense(probabilities)
    return probabilities


def _refuse_nonsense(probabilities: NDArray[np.float32]) -> None:
    """Raise unless every row is a distribution; a damaged or foreign network is found out here."""
    if not np.isfinite(probabilities).all():
        raise RunError("the network's output is not finite: its weights are broken, or the lr was far too high")
    if np.abs(probabilities.sum(axis=1) - 1).max() > 1e-3 or probabilities.min() < 0:
        raise RunError("the network's output are no probabilities: it is not one that imgcls trained")


def _agree(result: Predictions, keras_accuracy: float) -> None:
    n = len(result.labels)
    if abs(result.accuracy - keras_accuracy) > max(1e-6, 0.4 / n):
        raise ConsistencyError(
            f"Keras counts an accuracy of {keras_accuracy:.6f}, the predictions have {result.accuracy:.6f} "
            f"on the same {n} images: no result is written"
        )
