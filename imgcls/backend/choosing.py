"""Which backend Keras gets: once in a process, and before Keras is imported."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec

from imgcls.errors import RunError
from imgcls.findings import Finding
from imgcls.importing import sparing

__all__ = ["INSTALLED_BY", "choose", "import_quietly", "is_installed", "quiet", "silent"]

_VARIABLE = "KERAS_BACKEND"

INSTALLED_BY = {"tensorflow": "tensorflow", "jax": "imgcls[jax]", "torch": "imgcls[torch]"}


def choose(backend: str) -> Finding | None:
    """Have Keras use a backend when it is imported; nothing heavy is imported here.

    Returns:
        A finding where the environment names another one, which the spec's overrules.

    Raises:
        RunError: the backend is not installed, or this process has loaded Keras on another one.
    """
    if (keras := sys.modules.get("keras")) is not None:
        if (loaded := keras.backend.backend()) != backend:
            raise RunError(
                f"backend: {backend}: this process has loaded Keras on {loaded} already, and cannot change that: "
                f"start a new one (in a notebook: restart the kernel), or set backend: {loaded}"
            )
        return None
    if not is_installed(backend):
        raise RunError(f"backend: {backend} needs {backend}: pip install '{INSTALLED_BY[backend]}'")
    wanted = os.environ.get(_VARIABLE, backend)
    os.environ[_VARIABLE] = backend
    if wanted == backend:
        return None
    message = f"{_VARIABLE}={wanted} of the environment does not count: the spec has backend: {backend}"
    return Finding("keras_backend_overruled", message)


def is_installed(package: str) -> bool:
    """Tell whether a package can be imported; a mere folder of that name does not count."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None


def import_quietly() -> None:
    """Import Keras and its backend, by default TensorFlow, and nothing more: no device is chosen."""
    if "keras" in sys.modules:
        return
    with quiet(), sparing(os.environ.setdefault(_VARIABLE, "tensorflow")):
        import keras  # noqa: F401 - only its import is wanted


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what C++ writes at start-up from the terminal; show it if the import fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except Exception:
            noise.seek(0)
            os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def silent() -> Iterator[None]:
    """Keep what converters and runtimes write, in C++ and in Python, from stdout and stderr, even where they fail."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    with open(os.devnull, "w", encoding="utf-8") as null:  # noqa: PTH123 - the null device is no path of ours
        for number in kept:
            os.dup2(null.fileno(), number)
        try:
            with warnings.catch_warnings(), redirect_stdout(null), redirect_stderr(null):
                warnings.simplefilter("ignore")
                yield
        finally:
            for number, copy in kept.items():
                os.dup2(copy, number)
                os.close(copy)
