"""Packages that Keras and TensorFlow import where they are installed, for functions that imgcls does not call.

They are half as much to import as Keras and TensorFlow themselves. A process of imgcls' own, as the command is, leaves
them out; a notebook's does not, for there Keras would not know a DataFrame given to its ``fit`` later on. Nor does
it look for garbage among the objects that come, and that all stay: another tenth of the time.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder

__all__ = ["claim_process", "is_claimed", "sparing"]

_PACKAGES = frozenset({"IPython", "jax", "matplotlib", "pandas", "sklearn"})
_is_own = False


def claim_process() -> None:
    """Say that nobody but imgcls uses Keras in this process."""
    global _is_own  # noqa: PLW0603 - a fact about the process
    _is_own = True


def is_claimed() -> bool:
    """Whether this process is imgcls' own, and no notebook's."""
    return _is_own


@contextmanager
def sparing(backend: str) -> Iterator[None]:
    """While Keras is imported in a claimed process, have this thread find none of the packages that are not needed.

    Args:
        backend: what Keras runs on, which is needed.
    """
    if not _is_own:
        yield
        return
    finder = _NotFound(_PACKAGES - {backend})
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        sys.meta_path.remove(finder)


class _NotFound(MetaPathFinder):
    """Finds packages missing, for the thread that made it."""

    def __init__(self, packages: frozenset[str]) -> None:
        self._packages, self._thread = packages, threading.get_ident()

    def find_spec(self, name: str, *_: object) -> None:
        if name in self._packages and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{name} is left out", name=name)
