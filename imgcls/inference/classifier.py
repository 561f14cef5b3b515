"""A finished run, ready to tell the classes of images; its network is loaded when it is first asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgcls.catalog import refuse_groups
from imgcls.data.images import Geometry
from imgcls.errors import DataError
from imgcls.evaluation.batching import batch_size
from imgcls.experiment import load_network, resolved_spec
from imgcls.runs import Run
from imgcls.runs.layout import MODEL
from imgcls.spec import Spec

if TYPE_CHECKING:
    import keras

__all__ = ["Classifier", "open_classifier", "ranked"]


@dataclass(frozen=True)
class Classifier:
    """A run's network with what belongs to it.

    Attributes:
        spec: that was in force.
        classes: in the order of the network's outputs.
        geometry: what images are brought to, as in the training.
    """

    run: Run
    spec: Spec
    classes: tuple[str, ...]
    geometry: Geometry
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    @cached_property
    def network(self) -> keras.Model:
        """The network, loaded when it is first needed, which takes seconds."""
        network, _ = load_network(self.run, self.spec, self.geometry.shape, len(self.classes))
        return network

    def warm_up(self) -> None:
        """Load the network now and let it answer once, so that the first question does not wait for it.

        Raises:
            DataError, RunError: the network cannot be loaded, or this process cannot use its backend.
        """
        self.probabilities(np.zeros((1, *self.geometry.shape), np.uint8))

    @property
    def batch_size(self) -> int:
        """How many images it is best asked about at a time."""
        return batch_size(self.geometry.shape)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 (n, classes), rows sum to 1; several threads may ask.

        Args:
            pixels: uint8 (n, height, width, channels) of the geometry, 0..255; as many as go in a batch.

        Raises:
            DataError, RunError: the network cannot be loaded, or gives no probabilities.
        """
        with self._lock:
            network = self.network
            from imgcls.evaluation.prediction import predict_batch

            return predict_batch(network, pixels)


def open_classifier(run: Run) -> Classifier:
    """Return the classifier of a run; whether there is one is checked without loading it.

    Raises:
        DataError: it is a sweep or a folder of repeats, is not finished, or damaged.
    """
    refuse_groups(run)
    classes, spec = tuple(map(str, run.metrics["classes"])), resolved_spec(run)
    if not run.path(MODEL).is_file():
        raise DataError(f"{run.folder} has no {MODEL}")
    if spec.resolution is None or spec.color is None:
        raise DataError(f"the run folder is damaged: {run.folder} does not say the resolution")
    return Classifier(run, spec, classes, Geometry(spec.resolution, spec.color, spec.resize))


def ranked(
    classes: tuple[str, ...], probabilities: NDArray[np.float32], top: int | None = None
) -> list[tuple[str, float]]:
    """Return classes with their probabilities, the most probable first, of equal ones the first; at most ``top``.

    Args:
        classes: their names.
        probabilities: float32 (classes,), of one image.
    """
    order = np.argsort(-probabilities, kind="stable")[:top].tolist()
    return [(classes[index], shortest(probabilities[index])) for index in order]


def shortest(value: np.float32) -> float:
    """Return the number with the fewest digits that is this float32, as ``predictions.csv`` has it."""
    return float(str(value))
