"""What a stage works with: the images and the whole network, or what frozen layers give and the part that learns."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.augmentation.applying import augmenting_model
from imgcls.backend import ALONE, Distribution
from imgcls.data import Cache, Dataset
from imgcls.errors import RunError
from imgcls.models import FrozenSplit, folded, fused, split_frozen, summarize
from imgcls.spec import Spec
from imgcls.spec.architecture import BackboneSpec
from imgcls.spec.augmentation import AugmentationSpec
from imgcls.training.checkpoint import Checkpoint
from imgcls.training.distributed import ReplicaTrainer, SlicedFeed
from imgcls.training.features import FrozenLayers
from imgcls.training.feed import TrainingFeed

__all__ = ["TRAINING", "Assembler", "StageParts", "Validate", "stored_views"]

log = logging.getLogger("imgcls")

_COMPUTED_A_SECOND, _READ_A_SECOND = 1e11, 1e9  # FLOP of two cores; bytes of a page cache or a fast disk

TRAINING = 3  # forward passes that a training step is worth: the gradients of activations and weights cost one each

Validate = Callable[[], tuple[float, float]]
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
        on_features: whether these are stored, and read in each epoch; their last digits may be others than those of
            features that each epoch computes.
        distribution: over what the stage is spread.
    """

    trainer: keras.Model
    feed: TrainingFeed | SlicedFeed
    validate: Validate | None
    flops: int
    features_seconds: float = 0.0
    on_features: bool = False
    distribution: Distribution = ALONE


@dataclass(frozen=True)
class Assembler:
    """Puts together what the stages of a training work with.

    Attributes:
        measure: gives loss and accuracy of a network on inputs, of which rows and their labels are given.
        machine: device and threads, as far as they shape the rounding.
        progress: called with (images done, images in all) while features are computed.
        distribution: over what the training is spread.
    """

    network: keras.Model
    dataset: Dataset
    cache: Cache
    machine: str
    measure: Measure
    progress: Callable[[int, int], None] | None = None
    distribution: Distribution = ALONE
    _kept: set[str] = field(default_factory=set)  # keys of features that another run may want
    _passing: set[str] = field(default_factory=set)  # of those that come from what this run itself trained or drew

    def __call__(self, spec: Spec, epoch: int, found: Checkpoint | None = None) -> StageParts:
        """Return the parts of a stage; ``trainable`` is set in the network as the stage wants it.

        Args:
            epoch: which the stage begins with, counted from the first of the training.
            found: where the stage is gone on from, on stored features or not as it began.
        """
        parts = self._on_one_device(spec, epoch, found)
        return parts if self.distribution.replicas == 1 else self._spread(parts)

    def _spread(self, parts: StageParts) -> StageParts:
        """Spread a stage over the replicas."""
        assert isinstance(parts.feed, TrainingFeed)
        measured = parts.validate
        return replace(
            parts,
            trainer=ReplicaTrainer(parts.trainer.input, parts.trainer.output),
            feed=SlicedFeed(parts.feed, self.distribution),
            validate=None if measured is None else lambda: self.distribution.from_chief(measured),
            distribution=self.distribution,
        )

    def _on_one_device(self, spec: Spec, epoch: int, found: Checkpoint | None) -> StageParts:
        split = split_frozen(self.network)
        if split is None:
            return self._whole(spec)
        assert isinstance(spec.architecture, BackboneSpec)
        origin = f"{spec.architecture.backbone} up to {split.layer}"
        base = self.distribution.made(lambda: folded(split.base))
        frozen = FrozenLayers(spec, base, origin, self.dataset, self.cache, self.machine)
        views = stored_views(spec, epoch)
        on_features = found.on_features if found is not None else None
        if self._is_worth_storing(spec, split, frozen, views) if on_features is None else on_features:
            self._note_keys(spec, frozen, views, epoch)
            try:
                return replace(self._on_features(spec, split, frozen, views), on_features=True)
            except RunError as error:
                log.warning("frozen layers are computed in every epoch: %s", error)
        return self._through_frozen(spec, split, frozen, self._validation(self.network))

    def _whole(self, spec: Spec) -> StageParts:
        images = self.dataset.images
        trainer = augmenting_model(spec.augmentation, self._fused(self.network), images.shape[1:])
        return StageParts(
            trainer, self._feed(spec), self._validation(self.network), flops=TRAINING * summarize(self.network).flops
        )

    def _fused(self, network: keras.Model) -> keras.Model:
        """Return a network for training; the fused batch norm knows of no other replica's images."""
        return fused(network) if self.distribution.replicas == 1 else network

    def forget(self) -> None:
        """Remove the features that no other run will want; to be called when the training is over."""
        if gone := self._passing - self._kept:
            self.cache.clear(gone)

    def _is_worth_storing(self, spec: Spec, split: FrozenSplit, frozen: FrozenLayers, views: Sequence[int]) -> bool:
        """Return whether reading features is clearly faster than computing them, and the disk has room for them."""
        passes = len(views) or 1  # where the training images always change, it is about those of validation
        saved_s = summarize(split.base).flops * (spec.epochs - passes) / _COMPUTED_A_SECOND
        read_s = frozen.image_bytes * spec.epochs / _READ_A_SECOND
        if saved_s <= 2 * read_s:
            return False
        return self.cache.has_room(sum(frozen.missing_bytes(*each) for each in self._used(views)))

    def _used(self, views: Sequence[int]) -> list[tuple[str, int]]:
        """Return of which part, and which view of it, features are used."""
        validation = [("validation", 0)] if "validation" in self.dataset.splits else []
        return [*(("train", view) for view in views), *validation]

    def _on_features(self, spec: Spec, split: FrozenSplit, frozen: FrozenLayers, views: Sequence[int]) -> StageParts:
        """Compute what frozen layers give for the images, as far as these are the same in all epochs."""
        begun, validate = time.perf_counter(), None
        if "validation" in self.dataset.splits:
            features = frozen.features("validation", progress=self.progress)
            validate = self._validation(split.head, features)
        if not views:
            seconds = time.perf_counter() - begun
            return self._through_frozen(spec, split, frozen, validate, features_seconds=seconds)
        features_of = {view: frozen.features("train", view, self.progress) for view in views}
        labels = self.dataset.labels[self.dataset.splits["train"]]
        plain = spec.model_copy(update={"augmentation": AugmentationSpec()})

        def shown(epoch: int) -> NDArray[np.float32]:
            return features_of[spec.augmentation.view(epoch)]

        feed = TrainingFeed(plain, shown, np.arange(len(labels)), labels, len(self.dataset.classes))
        learning = self._fused(split.head)
        trainer = keras.Model(learning.input, learning.output)
        seconds = time.perf_counter() - begun
        flops = TRAINING * summarize(split.head).flops
        return StageParts(trainer, feed, validate, flops=flops, features_seconds=seconds)

    def _through_frozen(
        self,
        spec: Spec,
        split: FrozenSplit,
        frozen: FrozenLayers,
        validate: Validate | None,
        *,
        features_seconds: float = 0.0,
    ) -> StageParts:
        """Let each epoch's images pass the frozen layers: augmentation shows other ones every time."""
        image = keras.Input(self.dataset.images.shape[1:], name="image")
        whole = keras.Model(image, self._fused(split.head)(_Inference(frozen.base)(image)))
        trainer = augmenting_model(spec.augmentation, whole, self.dataset.images.shape[1:])
        flops = summarize(split.base).flops + TRAINING * summarize(split.head).flops
        return StageParts(trainer, self._feed(spec), validate, flops=flops, features_seconds=features_seconds)

    def _note_keys(self, spec: Spec, frozen: FrozenLayers, views: Sequence[int], epoch: int) -> None:
        """Note who may want these features: others do where they are of weights that this run did not make."""
        assert isinstance(spec.architecture, BackboneSpec)
        shared = spec.architecture.is_pretrained and epoch == 1
        keys = (frozen.key(*each) for each in self._used(views))
        (self._kept if shared else self._passing).update(keys)

    def _feed(self, spec: Spec) -> TrainingFeed:
        images, rows = self.dataset.images, self.dataset.splits["train"]
        # TensorFlow keeps the feed's generator for ever: it must not hold the assembler, and with it the network.
        return TrainingFeed(spec, lambda _: images, rows, self.dataset.labels[rows], len(self.dataset.classes))

    def _validation(self, network: keras.Model, features: NDArray[np.float32] | None = None) -> Validate | None:
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


def stored_views(spec: Spec, epoch: int = 1) -> tuple[int, ...]:
    """Return which views frozen layers see of a training image: 0 is the image itself; none where they never end.

    Args:
        epoch: which the stage begins with.
    """
    augmentation = spec.augmentation
    endless = augmentation.views is None or augmentation.mixes_labels or spec.imbalance == "oversample"
    if endless and not augmentation.is_none:
        return ()
    return tuple(sorted({augmentation.view(each) for each in range(epoch, epoch + spec.epochs)}))
