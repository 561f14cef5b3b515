"""The processor, memory and cards of this machine, and what TensorFlow makes of them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imgcls.backend import core_count, cpu_facts, free_memory, has_nvidia_driver
from imgcls.diagnosis.line import Line
from imgcls.subprocesses import start_module
from imgcls.wording import counted, size

__all__ = ["device", "gpus", "memory", "probing", "processor"]

LEAST_MEMORY = 2_000_000_000  # bytes; TensorFlow alone takes half a gigabyte
PROBE_SECONDS = 120  # a cold start from a network drive takes minutes, a hanging driver for ever
_FAST = {"avx512_bf16": "AVX-512 BF16", "amx_bf16": "AMX BF16", "amx_int8": "AMX INT8"}  # as Linux names them

_probe: list[subprocess.Popen[str]] = []  # the process that is at it; one at a time


@contextmanager
def probing() -> Iterator[None]:
    """Start TensorFlow in a process of its own, for ``device``; end it, whatever comes."""
    environment, pipe = {"TF_CPP_MIN_LOG_LEVEL": "3"}, subprocess.PIPE
    with suppress(OSError):  # then ``device`` finds none and says so
        options = {"stdout": pipe, "stderr": pipe, "text": True, "errors": "replace"}
        _probe.append(start_module("imgcls.diagnosis.probe", environment=environment, **options))
    try:
        yield
    finally:
        while _probe:
            started = _probe.pop()
            started.kill()
            started.communicate()


def processor(_runs_dir: Path, _cache_dir: Path | None) -> Iterator[Line]:
    """Tell its name, cores and fast arithmetic."""
    import platform

    facts = cpu_facts()
    name = facts.get("model name") or platform.processor() or platform.machine() or "unknown"
    flags = set(facts.get("flags", "").split())
    fast = [text for flag, text in _FAST.items() if flag in flags]
    of_all = os.cpu_count() or core_count()
    cores = counted(core_count(), "core") + (f" of {of_all}" if of_all > core_count() else "")
    yield Line("ok", "processor", f"{name}, {cores}; {', '.join(fast) or 'no instructions for bfloat16'}")
    if flags and platform.machine() in ("x86_64", "AMD64") and "avx" not in flags:
        advice = "another machine, or backend: torch"
        yield Line("problem", "processor", "it has no AVX, without which TensorFlow does not start", advice)


def memory(_runs_dir: Path, _cache_dir: Path | None) -> Iterator[Line]:
    """Tell how much a run can still have."""
    free = free_memory()
    if free is None:
        yield Line("ok", "memory", "this system does not say how much is free")
    elif free < LEAST_MEMORY:
        yield Line(
            "note", "memory", f"{size(free)} free", "close other programs, or take a smaller batch and resolution"
        )
    else:
        yield Line("ok", "memory", f"{size(free)} free")


def gpus(_runs_dir: Path, _cache_dir: Path | None) -> Iterator[Line]:
    """Tell the NVIDIA cards that the driver knows."""
    if not has_nvidia_driver():
        yield Line("ok", "gpu", "no NVIDIA card, or no driver for it: runs use the processor")
        return
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError) as error:
        advice = "install NVIDIA's driver anew; in a container, start it with --gpus all"
        yield Line("note", "gpu", f"an NVIDIA card, but nvidia-smi does not work: {type(error).__name__}", advice)
        return
    for card in done.stdout.strip().splitlines():
        yield Line("ok", "gpu", f"{card} (driver)")


def device(_runs_dir: Path, _cache_dir: Path | None) -> Iterator[Line]:
    """Tell what a run would take, and why not a GPU that is there."""
    if not _probe:
        yield Line("problem", "device", "TensorFlow could not be started: no further process can be")
        return
    started = _probe[0]
    try:
        answer, noise = started.communicate(timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        advice = "CUDA_VISIBLE_DEVICES= imgcls doctor leaves GPUs out: does it start then?"
        yield Line("problem", "device", f"TensorFlow does not start within {PROBE_SECONDS} s", advice)
        return
    lines = answer.strip().splitlines()
    if started.returncode or not lines:
        yield Line("problem", "device", f"TensorFlow does not start: {_reason(started.returncode, noise)}", _REINSTALL)
        return
    found = json.loads(lines[-1])
    if not found["is_right"]:
        yield Line("problem", "device", f"{found['name']} computes a convolution wrongly", _REINSTALL)
    elif found["note"]:
        yield Line("note", "device", f"runs use the processor: {found['note']}", found["advice"])
    else:
        names = ", ".join(found["gpus"]) or "the processor"
        yield Line("ok", "device", f"TensorFlow starts and computes on {names}")


_REINSTALL = "pip install --force-reinstall tensorflow, in a new virtual environment if need be"


def _reason(code: int, noise: str) -> str:
    """Return the last line of what a process wrote before it ended, or which signal ended it."""
    if code < 0:
        import signal

        return f"the process was ended by {signal.Signals(-code).name}"
    lines = [line for line in noise.strip().splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else f"the process ended with {code}"
