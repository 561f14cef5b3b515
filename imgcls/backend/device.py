"""What a network runs on, and what Linux tells of it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgcls.errors import RunError

__all__ = [
    "GPU_WITH_BFLOAT16",
    "Device",
    "core_count",
    "cpu_device",
    "cpu_facts",
    "has_nvidia_driver",
    "no_gpu",
    "too_late",
]

GPU_WITH_BFLOAT16 = (8, 0)  # the compute capability of NVIDIA's Ampere
_CPU_BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # as Linux names these instructions; oneDNN uses either


@dataclass(frozen=True)
class Device:
    """What the network runs on.

    Attributes:
        kind: ``cpu`` or ``gpu``.
        name: the processor's or card's name.
        threads: of one operation; another number gives other rounding, so it is part of what makes a run repeatable.
        note: why not a GPU, where one is there and cannot be used; else empty.
        advice: what to do about that; empty where it is not known.
        bfloat16: whether it computes in bfloat16 by instructions of its own.
        backend: what Keras computes with there: ``tensorflow``, ``jax`` or ``torch``.
        deterministic: whether the same spec and seed are sure to give the same numbers on it.
        replicas: how many devices of this kind work on a batch together, on all machines.
        workers: how many processes these are in.
    """

    kind: Literal["cpu", "gpu"]
    name: str
    threads: int
    note: str = ""
    advice: str = ""
    bfloat16: bool = False
    backend: str = "tensorflow"
    deterministic: bool = True
    replicas: int = 1
    workers: int = 1

    @property
    def remark(self) -> str:
        """Note and advice, as a line."""
        return "; ".join(filter(None, (self.note, self.advice)))

    @property
    def rounding(self) -> str:
        """All of it that shapes the rounding of results."""
        by = "" if self.backend == "tensorflow" else f", {self.backend}"
        return f"{self.name}, {self.threads} threads{by}"


def cpu_device(backend: str, threads: int, note: str = "", advice: str = "") -> Device:
    """Return the processor of this machine; ``note`` and ``advice`` as of ``Device``."""
    facts = cpu_facts()
    name = facts.get("model name") or platform.processor() or platform.machine() or "CPU"
    bfloat16 = not _CPU_BFLOAT16.isdisjoint(facts.get("flags", "").split())
    return Device("cpu", name, threads, note, advice, bfloat16, backend)


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_nvidia_driver() -> bool:
    """Tell whether an NVIDIA card is there, of use or not."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()


def no_gpu(note: str, advice: str = "") -> RunError:
    """Return the error for a GPU that was asked for and cannot be had; ``note`` and ``advice`` as of ``Device``."""
    why = "; ".join(filter(None, (note or "this machine has no GPU", advice)))
    return RunError(f"device: gpu was asked for, but {why}")


def too_late() -> RunError:
    """Return the error for another device than the one that this process is at work on."""
    return RunError("the device was chosen earlier in this process and cannot be changed: start anew")


def cpu_facts() -> dict[str, str]:
    """Return what Linux tells of the first core, for instance ``model name`` and ``flags``; elsewhere nothing."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
