"""Over what a training is spread: one device, all of this machine, or several machines, by TensorFlow's strategies."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from imgcls.backend.choosing import quiet
from imgcls.backend.cluster import Cluster
from imgcls.backend.device import Device
from imgcls.errors import RunError
from imgcls.wording import first_line

__all__ = ["ALONE", "Distribution", "equipment", "spread_over"]

# What TensorFlow raises, by name, where another worker is gone.
_GONE = {"AbortedError", "CancelledError", "UnavailableError"}


@dataclass(frozen=True)
class Distribution:
    """Over what a training is spread; as it stands here, over nothing: one device of one process.

    Attributes:
        replicas: how many devices, of all workers, work on a batch together, each on its part.
        workers: how many processes.
        rank: which of these this is; 0 is the chief.
        strategy: TensorFlow's; None where there is one replica.
    """

    replicas: int = 1
    workers: int = 1
    rank: int = 0
    strategy: Any = None

    @property
    def local(self) -> range:
        """Which of the replicas are in this process."""
        count = self.replicas // self.workers
        return range(self.rank * count, (self.rank + 1) * count)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Give every replica the variables that are made here; what spans replicas or workers is done in here too.

        Raises:
            RunError: another worker is gone.
        """
        if self.strategy is None:
            yield
            return
        try:
            with self.strategy.scope():
                yield
        except Exception as error:
            if self.workers > 1 and type(error).__name__ in _GONE:
                raise RunError("another worker has ended or cannot be reached: its own output says why") from error
            raise

    def made(self, build: Callable[[], Any]) -> Any:
        """Build a network whose weights all replicas have.

        A network that was made in the scope belongs to all replicas, and each of them would predict all images: what
        is returned is of the same layers, and predicts in this process alone.
        """
        with self.scope():
            network = build()
        if self.strategy is None:
            return network
        return type(network)(network.input, network.output, name=network.name)

    def from_chief(self, figures: Callable[[], tuple[float, float]]) -> tuple[float, float]:
        """Return two figures that the chief computes: what all decide by must be the same number to the last bit."""
        if self.workers == 1:
            return figures()
        import tensorflow as tf

        own = figures() if self.rank == 0 else (0.0, 0.0)

        def of_replica(context: Any) -> Any:
            return tf.constant(own if context.replica_id_in_sync_group == 0 else (0.0, 0.0), tf.float64)

        with self.scope():
            each = self.strategy.experimental_distribute_values_from_function(of_replica)
            first, second = self.strategy.reduce("SUM", each, axis=None).numpy().tolist()
        return first, second


ALONE = Distribution()


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep the process's own answer to SIGTERM: TensorFlow puts one in its place that does nothing visible."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def equipment(device: Device) -> dict[str, str]:
    """Return what workers that train together must have alike: TensorFlow takes it that they do."""
    import keras
    import tensorflow as tf

    count = len(tf.config.get_visible_devices(device.kind.upper()))
    return {"devices": f"{count} {device.kind}", "TensorFlow": tf.__version__, "Keras": keras.__version__}


def spread_over(device: Device, distribute: str, cluster: Cluster) -> Distribution:
    """Spread the training as the spec says; on a single device of a single worker there is nothing to spread.

    Args:
        device: what this process has started on; of its kind all devices are taken.
        distribute: ``none``, ``mirrored`` or ``multi_worker``.
        cluster: the workers, which have met.

    Raises:
        RunError: the workers cannot be connected, for instance as TensorFlow is at work in this process already.
    """
    if distribute == "none":
        return ALONE
    import tensorflow as tf

    if cluster.others:
        try:
            with quiet(), _own_sigterm():
                strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except (RuntimeError, tf.errors.OpError) as error:
            begun = "TensorFlow is at work in this process already: start a new one"
            why = begun if "at program startup" in str(error) else first_line(error)
            raise RunError(f"distribute: multi_worker: {why}") from error
        return Distribution(strategy.num_replicas_in_sync, len(cluster.addresses), cluster.rank, strategy)
    names = tuple(each.name for each in tf.config.list_logical_devices(device.kind.upper()))
    return ALONE if len(names) == 1 else Distribution(len(names), strategy=_mirrored(names))


@functools.cache
def _mirrored(names: tuple[str, ...]) -> Any:
    """Return a process's one strategy over these devices: a second one would number its sums as the first did."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(names)
