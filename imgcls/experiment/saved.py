"""The network of a finished run, as it was saved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from imgcls import backend
from imgcls.data.images import MAX_PIXELS
from imgcls.errors import DataError, SpecError
from imgcls.evaluation.batching import batch_size
from imgcls.runs import Run, layout
from imgcls.spec import LoadedSpec, Spec, load_spec
from imgcls.wording import size

if TYPE_CHECKING:
    import keras

    from imgcls.backend import Device

__all__ = ["load_network", "load_resolved", "refuse_other_network", "resolved_spec"]


def load_resolved(run: Run) -> LoadedSpec:
    """Return what ``resolved.yaml`` says: the spec that was in force.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        loaded = load_spec(run.checked(layout.RESOLVED))
    except SpecError as error:
        raise DataError(f"the run folder is damaged: {error}") from error
    if loaded.spec.resolution and math.prod(loaded.spec.resolution) > MAX_PIXELS:
        raise DataError(
            f"the run folder is damaged: {run.path(layout.RESOLVED)} has images of {loaded.spec.resolution}"
        )
    return loaded


def resolved_spec(run: Run) -> Spec:
    """Return the spec that was in force; errors as of ``load_resolved``."""
    return load_resolved(run).spec


def load_network(run: Run, spec: Spec, shape: tuple[int, ...], classes: int) -> tuple[keras.Model, Device]:
    """Start the backend as the run had it and load its network.

    A run that was trained on a GPU needs none for this: it is taken where there is one.

    Args:
        run: a finished one.
        spec: that was in force.
        shape: (height, width, channels) of the images that it is to be given.
        classes: how many it tells apart.

    Returns:
        The network, and the device that it computes on.

    Raises:
        DataError: the model cannot be loaded, or is not that of the run.
        RunError: this process cannot use the backend that the run was trained with.
    """
    wanted = "cpu" if spec.device == "cpu" else "auto"
    device = backend.start(wanted, spec.backend, threads=(run.environment.get("device") or {}).get("threads"))
    network = backend.load_model(run.checked(layout.MODEL))
    refuse_other_network(run, network, shape, classes)
    return network, device


def refuse_other_network(run: Run, network: keras.Model, shape: tuple[int, ...], classes: int) -> None:
    """Raise if a saved network cannot be the run's; arguments as of ``load_network``.

    Raises:
        DataError: it takes other images, tells another number of classes apart, or needs more memory than there is.
    """
    taken, given = tuple(network.input_shape[1:]), network.output_shape[-1]
    if taken != shape or given != classes:
        raise DataError(
            f"{run.path(layout.MODEL)} is not this run's network: it takes images of {taken} and tells {given} classes "
            f"apart, the run has {shape} and {classes}"
        )
    from imgcls.models.checks import largest_tensor_bytes

    free, needed = backend.free_memory(), largest_tensor_bytes(network, batch_size(shape))
    if free is not None and needed > free:
        raise DataError(
            f"{run.path(layout.MODEL)} is refused: one of its layers gives {size(needed)} for a batch of images, and "
            f"{size(free)} of memory are free"
        )
