"""Which loss the spec means, and what its labels look like."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.spec import Spec
from imgcls.spec.loss import FocalSpec

__all__ = ["LOSSES", "build_accuracy", "build_loss", "encode_labels", "takes_one_hot"]

_SPARSE = "sparse_categorical_crossentropy"

LOSSES: dict[str, type[keras.losses.Loss]] = {
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "categorical_focal_crossentropy": keras.losses.CategoricalFocalCrossentropy,
    "categorical_hinge": keras.losses.CategoricalHinge,
    "kl_divergence": keras.losses.KLDivergence,
    "mean_squared_error": keras.losses.MeanSquaredError,
    _SPARSE: keras.losses.SparseCategoricalCrossentropy,
}


def takes_one_hot(spec: Spec) -> bool:
    """Whether labels are rows of (n, classes) instead of class numbers (n,)."""
    return spec.loss_in_force != _SPARSE


def build_loss(spec: Spec) -> keras.losses.Loss:
    """Build the loss; it takes probabilities."""
    loss = spec.loss_in_force
    settings: dict[str, Any] = {"label_smoothing": spec.label_smoothing} if spec.label_smoothing else {}
    if isinstance(loss, FocalSpec):
        return LOSSES[loss.name](alpha=loss.alpha, gamma=loss.gamma, **settings)
    return LOSSES[loss](**settings)


def build_accuracy(spec: Spec) -> keras.metrics.Metric:
    """Build Keras' accuracy, for labels as the loss takes them."""
    kind = keras.metrics.CategoricalAccuracy if takes_one_hot(spec) else keras.metrics.SparseCategoricalAccuracy
    return kind(name="accuracy")


def encode_labels(spec: Spec, labels: NDArray[np.int32], classes: int) -> NDArray[Any]:
    """Return labels as the loss takes them: int (n,), or float32 one-hot (n, classes)."""
    return np.eye(classes, dtype=np.float32)[labels] if takes_one_hot(spec) else labels
