"""What only TensorFlow knows: its devices, threads and deterministic operations."""

from __future__ import annotations

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
    """Start Keras on TensorFlow; as ``backend.start``."""
    import_quietly()
    import tensorflow as tf

    with quiet():
        found = tf.config.list_physical_devices("GPU")
    tf.get_logger().setLevel("ERROR")  # it warns of every new network that it is traced
    threads = _fix_threads(tf, threads)
    tf.config.experimental.enable_op_determinism()
    why = ("", "") if found else _why_no_gpu(tf)
    if device == "gpu" and not found:
        raise no_gpu(*why)
    _show_gpus(tf, found if device != "cpu" else [])
    if device == "cpu" or not found:
        return cpu_device("tensorflow", threads, *(why if device == "auto" else ()))
    details = tf.config.experimental.get_device_details(found[0])
    bfloat16 = details.get("compute_capability", (0, 0)) >= GPU_WITH_BFLOAT16
    return Device("gpu", details.get("device_name", "GPU"), threads, bfloat16=bfloat16)


def _fix_threads(tf: Any, wanted: int | None) -> int:
    """Give one operation so many threads, by default all cores; return how many it has."""
    cores = core_count()
    threads = wanted or cores
    if tf.config.threading.get_intra_op_parallelism_threads() == 0:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError:  # TensorFlow is in use already, with as many threads as it found cores
            return cores
    return int(tf.config.threading.get_intra_op_parallelism_threads())


def _show_gpus(tf: Any, gpus: list[Any]) -> None:
    try:
        tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:  # already in use by this process: a notebook's second run
        if tf.config.get_visible_devices("GPU") != gpus:
            raise too_late() from error


def _why_no_gpu(tf: Any) -> tuple[str, str]:
    """Say why TensorFlow cannot use an NVIDIA card that is there, and what helps; nothing where there is none."""
    if not has_nvidia_driver():
        return "", ""
    if not tf.test.is_built_with_cuda():
        return "the NVIDIA GPU cannot be used: this TensorFlow is built without CUDA", ""
    return "the NVIDIA GPU cannot be used: CUDA's libraries are missing", "pip install 'imgcls[gpu]' brings them"
