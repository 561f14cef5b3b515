"""From prepared images to the batches of an epoch.

On TensorFlow, tf.data carries the batches to the network, and does nothing else; its autotuning is switched off: it can
stall the end of an epoch by seconds. On other backends a thread makes them ahead of the network.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.augmentation import draw, draw_fields, mixed_labels
from imgcls.spec import Spec
from imgcls.spec.augmentation import AugmentationSpec
from imgcls.training.losses import encode_labels
from imgcls.training.sampling import class_weights, epoch_length, epoch_order, occurrences

__all__ = ["TrainingFeed", "as_dataset", "changed_images"]

Batch = tuple[Any, NDArray[Any], NDArray[np.float32]]

_AHEAD = 2  # batches that wait for the network


@dataclass
class TrainingFeed:
    """The training images in the order and form that each epoch shows them.

    Attributes:
        shown: epoch → uint8 (n, height, width, channels), the images of all parts; or float32 features of them.
        rows: int, which of them are for training.
        labels: int (len(rows),).
        classes: how many.
        seconds: what making the batches has taken so far.
    """

    spec: Spec
    shown: Callable[[int], NDArray[Any]]
    rows: NDArray[np.int64]
    labels: NDArray[np.int32]
    classes: int
    seconds: float = field(default=0.0, init=False)
    _epoch: int = field(default=1, init=False)
    _dataset: Any = field(default=None, init=False)

    @property
    def steps(self) -> int:
        """Batches an epoch; the last may be smaller."""
        return -(-self.length // self.spec.batch)

    @property
    def length(self) -> int:
        """Images an epoch."""
        return epoch_length(self.labels, self.spec.imbalance)

    def batches(self, epoch: int, done: int = 0) -> Iterator[Batch]:
        """Give the batches of an epoch: inputs, labels as the loss takes them, weight of each image.

        Args:
            done: so many of them are left out.
        """
        batch = self.spec.batch
        return self.cut(epoch, [slice(start, start + batch) for start in range(done * batch, self.length, batch)])

    def cut(self, epoch: int, parts: Iterable[slice]) -> Iterator[Batch]:
        """Give parts of what an epoch shows, each as a batch; images mix within a part."""
        spec, images = self.spec, self.shown(epoch)
        shape = images.shape[1:]
        order = epoch_order(self.labels, spec.imbalance, seed=spec.seed, epoch=epoch)
        # a repeated image gets other changes each time, which is why it is repeated
        indices = order + len(self.labels) * occurrences(order)
        balance, changed = self._class_weights(), changed_images(spec.augmentation, self.labels, self.classes)
        for chosen in parts:
            begun = time.perf_counter()
            places = order[chosen]
            inputs: Any = images[self.rows[places]]
            labels = encode_labels(spec, self.labels[places], self.classes)
            if not spec.augmentation.is_none:
                drawn = draw(spec.augmentation, shape, spec.seed, epoch, indices[chosen], changed[places])
                inputs, labels = {**drawn, "image": inputs}, mixed_labels(drawn, labels, shape)
            # one-hot labels may be of two classes, and weigh as these do
            weights = balance[labels] if labels.ndim == 1 else labels @ balance
            self.seconds += time.perf_counter() - begun
            yield inputs, labels, weights

    def _class_weights(self) -> NDArray[np.float32]:
        if self.spec.imbalance == "class_weights":
            return class_weights(self.labels, self.classes)
        return np.ones(self.classes, np.float32)

    def fitted(self, epoch: int, done: int = 0) -> dict[str, Any]:
        """Return what Keras' ``fit`` takes for an epoch's batches, without so many that are done."""
        if keras.backend.backend() != "tensorflow":
            return {"x": _made_ahead(self.batches(epoch, done)), "steps_per_epoch": self.steps - done}
        if not done:
            return {"x": self.dataset(epoch)}
        return {"x": as_dataset(lambda: self.batches(epoch, done), self.signature(), self.steps - done)}

    def dataset(self, epoch: int) -> Any:
        """Return the epoch as a ``tf.data.Dataset``; the same object each time, so that nothing is traced anew."""
        self._epoch = epoch
        if self._dataset is None:
            self._dataset = self._build()
        return self._dataset

    def _build(self) -> Any:
        return as_dataset(lambda: self.batches(self._epoch), self.signature(), self.steps)

    def signature(self) -> tuple[Any, Any, Any]:
        """Return TensorFlow's specs of a batch."""
        import tensorflow as tf

        images = self.shown(self._epoch)
        shape, kind = images.shape[1:], images.dtype
        image: Any = tf.TensorSpec((None, *shape), kind)
        if not self.spec.augmentation.is_none:
            fields = draw_fields(self.spec.augmentation, shape)
            image = {"image": image} | {name: tf.TensorSpec((None, *size), tf.float32) for name, size in fields.items()}
        sample = encode_labels(self.spec, self.labels[:1], self.classes)
        labels = tf.TensorSpec((None, *sample.shape[1:]), sample.dtype)
        return image, labels, tf.TensorSpec((None,), tf.float32)


def as_dataset(batches: Callable[[], Iterator[Any]], signature: Any, count: int) -> Any:
    """Return batches as a ``tf.data.Dataset``; they are made anew each time it is gone through.

    Args:
        signature: TensorFlow's specs of a batch.
        count: of the batches.
    """
    import tensorflow as tf

    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF  # it is cut already
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
    return dataset.prefetch(_AHEAD).with_options(options)


def _made_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Give the batches in their order, while a thread makes the next ones."""
    with ThreadPoolExecutor(1) as worker:
        waiting = deque(worker.submit(next, batches, None) for _ in range(_AHEAD))
        while (batch := waiting.popleft().result()) is not None:
            waiting.append(worker.submit(next, batches, None))
            yield batch


def changed_images(augmentation: AugmentationSpec, labels: NDArray[np.int32], classes: int) -> NDArray[np.bool_]:
    """Return which training images are changed: those of small classes, where it is so limited."""
    if augmentation.classes_below is None:
        return np.ones(len(labels), np.bool_)
    return np.bincount(labels, minlength=classes)[labels] < augmentation.classes_below
