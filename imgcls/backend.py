"""TensorFlow and Keras: started quietly, on the device asked for, with fixed threads and deterministic operations."""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from imgcls.errors import DataError, RunError
from imgcls.wording import first_line

__all__ = ["Device", "import_quietly", "load_model", "memory_is_told", "start"]

_MEMORY = "out of memory: a smaller batch, resolution or network needs less"
_GPU_WITH_BFLOAT16 = (8, 0)  # the compute capability of NVIDIA's Ampere
_CPU_BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # as Linux names these instructions; oneDNN uses either
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError)


@dataclass(frozen=True)
class Device:
    """What the network runs on.

    Attributes:
        kind: ``cpu`` or ``gpu``.
        name: the processor's or card's name.
        threads: of one operation; another number gives other rounding, so it is part of what makes a run repeatable.
        note: why not a GPU, where one is there and cannot be used; else empty.
        bfloat16: whether it computes in bfloat16 by instructions of its own.
    """

    kind: Literal["cpu", "gpu"]
    name: str
    threads: int
    note: str = ""
    bfloat16: bool = False


def start(device: str = "cpu", *, threads: int | None = None) -> Device:
    """Import TensorFlow and Keras and fix what makes a run repeatable.

    Args:
        device: ``auto``, ``cpu`` or ``gpu``.
        threads: of one operation; by default as many as there are cores. Other numbers round differently.

    Raises:
        RunError: a GPU was asked for and there is none that TensorFlow can use.
    """
    import_quietly()
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise RunError(f"this process has loaded Keras on {keras.backend.backend()}; imgcls needs it on TensorFlow")
    keras.config.set_image_data_format("channels_last")  # whatever a keras.json of the user's says
    keras.config.set_floatx("float32")
    with _quiet():
        found = tf.config.list_physical_devices("GPU")
    tf.get_logger().setLevel("ERROR")  # it warns of every new network that it is traced
    threads = _fix_threads(tf, threads)
    tf.config.experimental.enable_op_determinism()
    note = "" if found else _why_no_gpu(tf)
    if device == "gpu" and not found:
        raise RunError(f"device: gpu was asked for, but {note or 'this machine has no GPU'}")
    _show_gpus(tf, found if device != "cpu" else [])
    if device != "cpu" and found:
        details = tf.config.experimental.get_device_details(found[0])
        bfloat16 = details.get("compute_capability", (0, 0)) >= _GPU_WITH_BFLOAT16
        return Device("gpu", details.get("device_name", "GPU"), threads, bfloat16=bfloat16)
    facts = _cpu_facts()
    bfloat16 = not _CPU_BFLOAT16.isdisjoint(facts.get("flags", "").split())
    return Device("cpu", _cpu_name(facts), threads, note if device == "auto" else "", bfloat16)


def load_model(path: Path) -> Any:
    """Load a ``.keras`` file without running any code from it.

    Raises:
        DataError: the file is truncated, foreign, or asks for code.
    """
    import_quietly()
    import keras

    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is truncated, or was never a Keras model")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, EOFError, *_ZIP_ERRORS) as error:
        raise DataError(f"{path} is not a model that can be loaded: {first_line(error)[:200]}") from error


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
        if type(error).__name__ == "ResourceExhaustedError":
            raise RunError(_MEMORY) from error
        raise


def import_quietly() -> None:
    """Import TensorFlow and Keras, and nothing more: no device is chosen."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with _quiet():
        import keras  # noqa: F401 - only its import is wanted


def _fix_threads(tf: Any, wanted: int | None) -> int:
    """Give one operation so many threads, by default all cores; return how many it has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
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
            raise RunError("the device was chosen earlier in this process and cannot be changed: start anew") from error


def _why_no_gpu(tf: Any) -> str:
    """Say why TensorFlow cannot use an NVIDIA card that is there; an empty string where there is none."""
    if not (Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()):
        return ""
    if not tf.test.is_built_with_cuda():
        return "the NVIDIA GPU cannot be used: this TensorFlow is built without CUDA"
    return "the NVIDIA GPU cannot be used: CUDA's libraries are missing; pip install 'imgcls[gpu]' brings them"


def _cpu_facts() -> dict[str, str]:
    """Return what Linux tells of the first core, for instance ``model name`` and ``flags``; elsewhere nothing."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _cpu_name(facts: dict[str, str]) -> str:
    import platform

    return facts.get("model name") or platform.processor() or platform.machine() or "CPU"


@contextmanager
def _quiet() -> Iterator[None]:
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
