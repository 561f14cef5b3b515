"""How much memory there is, and running out of it in the words of each backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imgcls.errors import RunError

__all__ = ["free_memory", "memory_is_told"]

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


def free_memory(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return how many bytes of main memory this process can still have; None where the system does not say.

    A container's limit (cgroup, version 2) counts where it is lower than what the machine has; what its cache holds can
    be had.
    """
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = (proc / "meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with suppress(OSError, ValueError, StopIteration):
        limit, used = (int((cgroup / f"memory.{name}").read_text()) for name in ("max", "current"))
        statistics = (cgroup / "memory.stat").read_text().splitlines()
        cached = int(next(line for line in statistics if line.startswith("inactive_file ")).split()[1])
        found.append(limit - used + cached)
    return min(found, default=None)
