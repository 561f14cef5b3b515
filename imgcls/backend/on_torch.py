"""What only PyTorch knows: its devices, threads and deterministic operations."""

from __future__ import annotations

import os
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


def start(device: str, threads: int | None) -> Device:
    """Start Keras on PyTorch; as ``backend.start``."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else its sums come in any order
    with quiet():
        import torch

        found = torch.cuda.is_available()
    note = "" if found else _why_no_gpu(torch)
    if device == "gpu" and not found:
        raise no_gpu(note)
    on_gpu = found and device != "cpu"
    os.environ["KERAS_TORCH_DEVICE"] = "cuda" if on_gpu else "cpu"  # Keras reads it when it is imported
    import_quietly()
    _refuse_other_device("cuda" if on_gpu else "cpu")
    torch.set_num_threads(threads or core_count())
    torch.use_deterministic_algorithms(True, warn_only=True)
    if not on_gpu:
        return cpu_device("torch", torch.get_num_threads(), note if device == "auto" else "")
    return Device(
        "gpu",
        torch.cuda.get_device_name(),
        torch.get_num_threads(),
        bfloat16=torch.cuda.get_device_capability() >= GPU_WITH_BFLOAT16,
        backend="torch",
        deterministic=False,  # some operations on a GPU have no deterministic form, and only warn
    )


def _refuse_other_device(wanted: str) -> None:
    """Raise if Keras was imported earlier in this process, for another device."""
    import keras

    if keras.ops.zeros(()).device.type != wanted:
        raise too_late()


def _why_no_gpu(torch: Any) -> str:
    """Say why PyTorch cannot use an NVIDIA card that is there; an empty string where there is none."""
    if not has_nvidia_driver():
        return ""
    if torch.version.cuda is None:
        return "the NVIDIA GPU cannot be used: this PyTorch is built without CUDA"
    return "the NVIDIA GPU cannot be used: PyTorch's CUDA does not work with its driver"
