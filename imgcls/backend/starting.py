"""A backend of Keras, started on a device, and how Keras is to train on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from imgcls.backend import on_jax, on_tensorflow, on_torch
from imgcls.backend.choosing import choose, import_quietly
from imgcls.backend.device import Device

__all__ = ["STARTERS", "jit_compile", "many_steps_at_once", "start"]

STARTERS: dict[str, Callable[[str, int | None], Device]] = {
    "tensorflow": on_tensorflow.start,
    "jax": on_jax.start,
    "torch": on_torch.start,
}


def start(device: str = "cpu", backend: str = "tensorflow", *, threads: int | None = None) -> Device:
    """Import Keras on a backend and fix what makes a run repeatable.

    Args:
        device: ``auto``, ``cpu`` or ``gpu``.
        backend: ``tensorflow``, ``jax`` or ``torch``.
        threads: of one operation; by default as many as there are cores. Other numbers round differently. JAX takes
            as many as there are cores, whatever is asked for.

    Raises:
        RunError: the backend is not installed, the process has Keras on another one, or a GPU was asked for and there
            is none that the backend can use.
    """
    choose(backend)
    started = STARTERS[backend](device, threads)
    import keras

    keras.config.set_image_data_format("channels_last")  # whatever a keras.json of the user's says
    keras.config.set_floatx("float32")
    if backend != "tensorflow":
        _leave_tensorflow_out()
    return started


def _leave_tensorflow_out() -> None:
    """Keep Keras from importing TensorFlow where that is installed: on any backend it does so to save a network."""
    with suppress(ImportError):  # of another version of Keras; then it takes seconds more
        from keras.src.utils.module_utils import tensorflow

        if tensorflow.module is None:
            tensorflow._available = False  # noqa: SLF001


def jit_compile() -> Literal[False, "auto"]:
    """Return what a network that trains is to be compiled with."""
    # TensorFlow: XLA was 2 to 4 times slower on a processor. JAX without XLA runs operation by operation.
    return "auto" if _backend() == "jax" else False


def many_steps_at_once() -> bool:
    """Tell whether Keras can do several steps before it tells of them."""
    return _backend() != "torch"


def _backend() -> str:
    import_quietly()
    import keras

    return str(keras.backend.backend())
