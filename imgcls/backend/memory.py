"""Running out of memory, in the words of each backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from imgcls.errors import RunError

__all__ = ["memory_is_told"]

_MEMORY = "out of memory: a smaller batch, resolution or network needs less"
# The name of an exception's type (its module may not be imported) → what its text says then; "" where the name does.
_TELLS = {
    "ResourceExhaustedError": "",  # TensorFlow
    "XlaRuntimeError": "RESOURCE_EXHAUSTED",  # JAX
    "JaxRuntimeError": "RESOURCE_EXHAUSTED",
    "OutOfMemoryError": "",  # PyTorch on a GPU
    "RuntimeError": "DefaultCPUAllocator: can't allocate memory",  # PyTorch on a processor
}


@contextmanager
def memory_is_told() -> Iterator[None]:
    """Turn running out of memory into an error that says what needs less.

    Raises:
        RunError: memory ran out.
    """
    try:
        yield
    except MemoryError as error:
        raise RunError(_MEMORY) from error
    except Exception as error:
        told = _TELLS.get(type(error).__name__)
        if told is not None and told in str(error):
            raise RunError(_MEMORY) from error
        raise
