"""Keras on TensorFlow, JAX or PyTorch: chosen once a process, started quietly, on the device asked for.

What only one of the three knows stands in ``on_tensorflow``, ``on_jax`` and ``on_torch``. Elsewhere TensorFlow is named
where only it is used: in ``training.feed``, whose batches it carries, in ``models.fusing``, and where a training is
spread over several devices, ``distributing`` and ``training.distributed``; and in ``deployment``, as its formats are
TensorFlow's or made by it.
"""

from __future__ import annotations

from imgcls.backend.choosing import choose, import_quietly, is_installed, silent
from imgcls.backend.cluster import Cluster, Meeting, find_cluster, meeting
from imgcls.backend.device import Device, core_count, cpu_facts, has_nvidia_driver
from imgcls.backend.distributing import ALONE, Distribution, equipment, spread_over
from imgcls.backend.loading import load_model
from imgcls.backend.memory import free_memory, memory_is_told
from imgcls.backend.starting import jit_compile, many_steps_at_once, start

__all__ = [
    "ALONE",
    "Cluster",
    "Device",
    "Distribution",
    "Meeting",
    "choose",
    "core_count",
    "cpu_facts",
    "equipment",
    "find_cluster",
    "free_memory",
    "has_nvidia_driver",
    "import_quietly",
    "is_installed",
    "jit_compile",
    "load_model",
    "many_steps_at_once",
    "meeting",
    "memory_is_told",
    "silent",
    "spread_over",
    "start",
]
