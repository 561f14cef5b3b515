"""How long steps of a backbone take on this machine."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from imgcls import backend
from imgcls.backend import Device
from imgcls.spec import load_spec

__all__ = ["StepTimes", "time_backbone"]

CLASSES = 10
WARM_UP = 2  # steps: the first traces
STEPS = 7
MOST_SECONDS = 20.0  # of a kind of step, once there are three of them: large networks take seconds a step
FEWEST_STEPS = 3


@dataclass(frozen=True)
class StepTimes:
    """Medians, in milliseconds a batch.

    Attributes:
        inference_ms: from images to probabilities.
        training_ms: with the gradients of all layers, and Adam's update.
        frozen_ms: likewise, where the head alone learns and the frozen layers are not kept.
    """

    name: str
    batch: int
    resolution_px: int
    inference_ms: float
    training_ms: float
    frozen_ms: float


def time_backbone(name: str, device: Device, *, resolution_px: int, batch: int = 32) -> StepTimes:
    """Measure steps of a backbone with random weights and a head of ten classes, in float32.

    Args:
        device: as ``backend.start`` gave it; steps run on it.

    Raises:
        SpecError: the backbone does not take images of that size.
        RunError: it does not fit into memory.
    """
    from imgcls.models import build_network, set_trainable

    gc.collect()  # the network before, of which there may be room for one
    given = {"backbone": name, "weights": "none", "batch_norm": "frozen"}
    data = {"data": "digits", "architecture": given, "precision": "float32", "device": device.kind}
    spec = load_spec(data).spec.completed()
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, resolution_px, resolution_px, 3), dtype=np.uint8)
    labels = np.arange(batch) % CLASSES
    with backend.memory_is_told():
        network = build_network(spec, images.shape[1:], CLASSES, None)
        inference = _median_ms(lambda: network.predict_on_batch(images))
        times = []
        for trainable in ("all", "none"):
            set_trainable(network, spec.architecture.model_copy(update={"trainable": trainable}))
            network.compile("adam", "sparse_categorical_crossentropy", jit_compile=backend.jit_compile())
            times.append(_median_ms(lambda: network.train_on_batch(images, labels)))
    return StepTimes(name, batch, resolution_px, inference, *times)


def _median_ms(step: Callable[[], object]) -> float:
    for _ in range(WARM_UP):
        step()
    seconds: list[float] = []
    while len(seconds) < STEPS and (len(seconds) < FEWEST_STEPS or sum(seconds) < MOST_SECONDS):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return 1000 * median(seconds)
