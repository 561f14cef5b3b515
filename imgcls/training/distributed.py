"""Training over several replicas: each takes its part of every batch, and all together do what one would do.

Equal to one replica, to rounding: the loss, its gradient, the statistics of batch norm, the accuracy. Not equal: what
the network draws itself, such as dropout, and mixed images, whose partners are of the same replica's part.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.backend import Distribution
from imgcls.training.feed import TrainingFeed, as_dataset

__all__ = ["ReplicaTrainer", "SlicedFeed", "parts_of_batch"]

Part = tuple[Any, NDArray[Any], NDArray[np.float32], np.float32]


def parts_of_batch(start: int, stop: int, replicas: int) -> list[slice]:
    """Return the part of each replica, as even as can be; of fewer images than replicas all take all of them.

    No part is empty: not every operation can do with none.
    """
    total = stop - start
    if total < replicas:
        return [slice(start, stop)] * replicas
    edges = [start + total * replica // replicas for replica in range(replicas + 1)]
    return [slice(*pair) for pair in pairwise(edges)]


@dataclass
class SlicedFeed:
    """A feed whose batches are cut for the replicas; this process makes the parts of its own ones alone."""

    feed: TrainingFeed
    distribution: Distribution
    _epoch: int = field(default=1, init=False)
    _dataset: Any = field(default=None, init=False)

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return self.feed.steps

    @property
    def length(self) -> int:
        """Images an epoch."""
        return self.feed.length

    @property
    def seconds(self) -> float:
        """What making the own parts has taken so far."""
        return self.feed.seconds

    def parts(self, epoch: int) -> Iterator[Part]:
        """Give the parts of the own replicas in turn: inputs, labels, weights, and the images of the whole batch.

        Keras divides a part's loss by its images and by the replicas; the weights make up for parts of other sizes.
        """
        batch, replicas = self.feed.spec.batch, self.distribution.replicas
        wanted, facts = [], []
        for start in range(0, self.length, batch):
            stop = min(start + batch, self.length)
            parts = parts_of_batch(start, stop, replicas)
            shown = sum(part.stop - part.start for part in parts)
            for replica in self.distribution.local:
                part = parts[replica]
                wanted.append(part)
                facts.append((np.float32((part.stop - part.start) * replicas / shown), np.float32(stop - start)))
        for (inputs, labels, weights), (share, total) in zip(self.feed.cut(epoch, wanted), facts, strict=True):
            yield inputs, labels, weights * share, total

    def fitted(self, epoch: int, done: int = 0) -> dict[str, Any]:
        """Return what ``fit`` takes for a whole epoch; the same dataset each time, so that nothing is traced anew."""
        assert done == 0, "no checkpoint is made within an epoch that is spread over replicas"
        self._epoch = epoch
        if self._dataset is None:
            self._dataset = self.distribution.strategy.distribute_datasets_from_function(self._build)
        return {"x": self._dataset, "steps_per_epoch": self.steps}

    def _build(self, _: Any) -> Any:
        import tensorflow as tf

        count = self.steps * len(self.distribution.local)
        signature = (*self.feed.signature(), tf.TensorSpec((), tf.float32))
        return as_dataset(lambda: self.parts(self._epoch), signature, count)


class ReplicaTrainer(keras.Model):  # type: ignore[misc] # Keras is untyped
    """Fits a network over replicas; it is made outside of the scope, compiled and fitted inside.

    Keras' own ``fit`` (3.15) does not run over several workers: it reduces figures that are scalars already.
    """

    def compile(self, *, optimizer: Any, metrics: list[Any], **settings: Any) -> None:
        """Compile as Keras does, and make all variables here: the step must not make any."""
        super().compile(optimizer=optimizer, weighted_metrics=metrics, **settings)
        optimizer.build(self.trainable_variables)

    def train_step(self, data: Any) -> Any:
        """Do a replica's part of a step."""
        import tensorflow as tf

        inputs, labels, weights, total = data
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        with tf.GradientTape() as tape:
            outputs = self(inputs, training=True)
            loss = self.compute_loss(inputs, labels, outputs, weights)
        # Here, and not in Keras' optimizer, which would clip a replica's gradients before they are summed.
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, tape.gradient(loss, self.trainable_variables))
        self.optimizer.apply(gradients, self.trainable_variables)
        self._loss_tracker.update_state(loss * replicas, sample_weight=total / replicas)
        counted = tf.where(total < replicas, 1 / replicas, 1.0)  # then every replica has all images
        return self.compute_metrics(inputs, labels, outputs, tf.fill([tf.shape(labels)[0]], counted))

    def make_train_function(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 - Keras' signature
        """Make what does a step in all replicas."""
        if getattr(self, "train_function", None) is not None and not force:
            return
        step: Any = None

        def next_step(iterator: Any) -> Any:
            nonlocal step
            step = step or self._traced(iterator.element_spec)
            return step(next(iterator))

        self.train_function = next_step

    def _traced(self, batch_spec: Any) -> Any:
        """Return TensorFlow's function of a step, traced once, for parts of any size.

        If the sizes of the first parts held for some replicas and not for others, these would trace other sums over all
        replicas, or at other times, and wait for each other for ever.
        """
        import tensorflow as tf

        strategy = tf.distribute.get_strategy()

        @tf.function(input_signature=[batch_spec])  # type: ignore[untyped-decorator]
        def step(batch: Any) -> Any:
            with _synchronized(self):
                logs = strategy.run(self.train_step, args=(batch,))
            # metrics are summed over the replicas: all have the same
            return keras.tree.map_structure(lambda value: strategy.experimental_local_results(value)[0], logs)

        return step


@contextmanager
def _synchronized(network: keras.Model) -> Iterator[None]:
    """Have batch norm take the statistics of the whole batch while a step is traced; what is saved says nothing of it.

    A network that says it would not load on another backend than TensorFlow.
    """
    norms = [norm for norm in _batch_norms(network) if not norm.synchronized]
    for norm in norms:
        norm.synchronized = True
    try:
        yield
    finally:
        for norm in norms:
            norm.synchronized = False


def _batch_norms(network: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            yield layer
        elif isinstance(layer, keras.Model):
            yield from _batch_norms(layer)
