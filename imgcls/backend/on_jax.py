"""What only JAX knows: its devices, and the flags of its compiler, which it reads once, before its first operation."""

from __future__ import annotations

import os
import sys
from typing import Any

from imgcls.backend.choosing import import_quietly, quiet
from imgcls.backend.device import (
    GPU_WITH_BFLOAT16,
    Device,
    core_count,
    cpu_device,
    has_nvidia_driver,
    no_gpu,
    too_late,
)

__all__ = ["start"]

_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def start(device: str, _threads: int | None) -> Device:
    """Start Keras on JAX; as ``backend.start``. XLA takes as many threads as there are cores."""
    deterministic = _set_flags()
    with quiet():
        import jax

        if device == "cpu":
            jax.config.update("jax_platforms", "cpu")
        import_quietly()
        first = jax.devices()[0]
    if first.platform != "cpu":
        if device == "cpu":
            raise too_late()
        return _gpu(first, deterministic=deterministic)
    why = _why_no_gpu(jax)
    if device == "gpu":
        raise no_gpu(*why)
    return cpu_device("jax", core_count(), *(why if device == "auto" else ()))


def _set_flags() -> bool:
    """Ask for deterministic operations on a GPU, and for its memory as it is needed: several runs may share it.

    Returns:
        Whether the operations are deterministic: not where this process loaded JAX earlier, without the flag.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    flags = os.environ.get("XLA_FLAGS", "")
    if _DETERMINISTIC in flags.split():
        return True
    os.environ["XLA_FLAGS"] = f"{flags} {_DETERMINISTIC}".strip()
    return "jax" not in sys.modules


def _gpu(first: Any, *, deterministic: bool) -> Device:
    return Device(
        "gpu",
        first.device_kind,
        core_count(),
        bfloat16=_capability(getattr(first, "compute_capability", "")) >= GPU_WITH_BFLOAT16,
        backend="jax",
        deterministic=deterministic,
    )


def _capability(text: str) -> tuple[int, ...]:
    """Return NVIDIA's compute capability such as ``9.0``; of other makers' cards nothing."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()


def _why_no_gpu(jax: Any) -> tuple[str, str]:
    """Say why JAX cannot use an NVIDIA card that is there, and what helps; nothing where there is none."""
    if not has_nvidia_driver() or jax.config.jax_platforms == "cpu":
        return "", ""
    return "the NVIDIA GPU cannot be used: this JAX finds no CUDA", "pip install 'jax[cuda12]' brings it"
