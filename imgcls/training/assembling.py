"""What a stage works with: the images and the whole network, or what frozen layers give and the part that learns."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.augmentation.applying import augmenting_model
from imgcls.data import Cache, Dataset
from imgcls.errors import RunError
from imgcls.models import FrozenSplit, folded, fused, split_frozen, summarize
from imgcls.spec import Spec
from imgcls.spec.architecture import BackboneSpec
from imgcls.spec.augmentation import AugmentationSpec
from imgcls.training.features import FrozenLayers
from imgcls.training.feed import TrainingFeed

__all__ = ["TRAINING", "Assembler", "StageParts", "stored_views"]

log = logging.getLogger("imgcls")

TRAINING = 3  # forward passes that a training step is worth: the gradients of activations and weights cost one each

Measure = Callable[[keras.Model, NDArray[Any], NDArray[np.int64], NDArray[np.int32]], tuple[float, float]]


@dataclass(frozen=True)
class StageParts:
    """What a stage works with.

    Attributes:
        trainer: what is fitted: the network, or the part of it that learns, with the augmentation in front; the weights
            are the network's own.
        feed: what it is fitted on.
        validate: gives loss and accuracy on the validation part; None where there is none.
        flops: of a training step for each image: the forward pass, and twice that for the gradients of what learns.
        features_seconds: what computing the features of frozen layers took.
    """

    trainer: keras.Model
    feed: TrainingFeed
    validate: Callable[[], tuple[float, float]] | None
    flops: int
    features_seconds: float = 0.0


@dataclass(frozen=True)
class Assembler:
    """Puts together what the stages of a training work with.

    Attributes:
        measure: gives loss and accuracy of a network on inputs, of which rows and their labels are given.
        machine: device and threads, as far as they shape the rounding.
        progress: called with (images done, images in all) while features are computed.
    """

    network: keras.Model
    dataset: Dataset
    cache: Cache
    machine: str
    measure: Measure
    progress: Callable[[int, int], None] | None = None

    def __call__(self, spec: Spec) -> StageParts:
        """Return the parts of a stage; ``trainable`` is set in the network as the stage wants it."""
        split = split_frozen(self.network)
        if split is None:
            return self._whole(spec)
        assert isinstance(spec.architecture, BackboneSpec)
        origin = f"{spec.architecture.backbone} up to {split.layer}"
        frozen = FrozenLayers(folded(split.base), origin, self.dataset, self.cache, self.machine)
        try:
            return self._on_features(spec, split, frozen)
        except RunError as error:
            log.warning("frozen layers are computed in every epoch: %s", error)
            return self._through_frozen(spec, split, frozen, self._validation(self.network))

    def _whole(self, spec: Spec) -> StageParts:
        images = self.dataset.images
        trainer = augmenting_model(spec.augmentation, fused(self.network), images.shape[1:])
        return StageParts(
            trainer, self._feed(spec), self._validation(self.network), flops=TRAINING * summarize(self.network).flops
        )

    def _on_features(self, spec: Spec, split: FrozenSplit, frozen: FrozenLayers) -> StageParts:
        """Compute what frozen layers give for the images, as far as these are the same in all epochs."""
        begun = time.perf_counter()
        validate = None
        if "validation" in self.dataset.splits:
            features = frozen.features(spec, "validation", progress=self.progress)
            validate = self._validation(split.head, features)
        if (views := stored_views(spec)) is None:
            seconds = time.perf_counter() - begun
            return self._through_frozen(spec, split, frozen, validate, features_seconds=seconds)
        shown = tuple(frozen.features(spec, "train", view, self.progress) for view in views)
        labels = self.dataset.labels[self.dataset.splits["train"]]
        plain = spec.model_copy(update={"augmentation": AugmentationSpec()})
        feed = TrainingFeed(plain, shown, np.arange(len(labels)), labels, len(self.dataset.classes))
        learning = fused(split.head)
        trainer = keras.Model(learning.input, learning.output)
        seconds = time.perf_counter() - begun
        flops = TRAINING * summarize(split.head).flops
        return StageParts(trainer, feed, validate, flops=flops, features_seconds=seconds)

    def _through_frozen(
        self,
        spec: Spec,
        split: FrozenSplit,
        frozen: FrozenLayers,
        validate: Callable[[], tuple[float, float]] | None,
        *,
        features_seconds: float = 0.0,
    ) -> StageParts:
        """Let each epoch's images pass the frozen layers: augmentation shows other ones every time."""
        image = keras.Input(self.dataset.images.shape[1:], name="image")
        whole = keras.Model(image, fused(split.head)(_Inference(frozen.base)(image)))
        trainer = augmenting_model(spec.augmentation, whole, self.dataset.images.shape[1:])
        flops = summarize(split.base).flops + TRAINING * summarize(split.head).flops
        return StageParts(trainer, self._feed(spec), validate, flops=flops, features_seconds=features_seconds)

    def _feed(self, spec: Spec) -> TrainingFeed:
        rows = self.dataset.splits["train"]
        return TrainingFeed(spec, (self.dataset.images,), rows, self.dataset.labels[rows], len(self.dataset.classes))

    def _validation(
        self, network: keras.Model, features: NDArray[np.float32] | None = None
    ) -> Callable[[], tuple[float, float]] | None:
        rows = self.dataset.splits.get("validation")
        if rows is None:
            return None
        labels = self.dataset.labels[rows]
        if features is None:
            return lambda: self.measure(network, self.dataset.images, rows, labels)
        return lambda: self.measure(network, features, np.arange(len(labels)), labels)


class _Inference(keras.layers.Layer):  # type: ignore[misc] # Keras is untyped
    """Runs a network in inference mode, in training too. It lives in the training graph only."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__(trainable=False, dtype=network.dtype_policy)
        self.network = network

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.network.compute_output_shape(input_shape)

    def call(self, images: Any) -> Any:
        return self.network(images, training=False)


def stored_views(spec: Spec) -> range | None:
    """Return which views frozen layers see of a training image: 0 is the image itself; None where they never end."""
    augmentation = spec.augmentation
    if augmentation.is_none:
        return range(1)
    if augmentation.views is None or augmentation.mixes_labels or spec.imbalance == "oversample":
        return None
    return range(1, min(augmentation.views, spec.epochs) + 1)
