"""What ``precision: auto`` means: bfloat16 where it is faster in a few measured steps of the network itself.

A flag of the processor does not tell: dense convolutions become about twice as fast, depthwise ones slower. What was
measured is remembered, so that a machine takes the same precision each time, and with it gives the same numbers.
"""

from __future__ import annotations

import gc
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.augmentation.applying import augmenting_model
from imgcls.backend import Device
from imgcls.errors import RunError
from imgcls.files import write_json
from imgcls.models import FrozenSplit, build_network, folded, set_trainable, split_frozen, summarize
from imgcls.randomness import generator
from imgcls.spec import Spec
from imgcls.spec.architecture import BackboneSpec
from imgcls.spec.loss import FocalSpec
from imgcls.training.assembling import TRAINING, stored_views
from imgcls.training.feed import TrainingFeed
from imgcls.training.losses import build_loss
from imgcls.training.optimizers import RateTable, build_optimizer

__all__ = ["PrecisionChoice", "choose_precision"]

Precision = Literal["float32", "bfloat16"]

_FORMAT = 1  # another one, and what was remembered is measured anew
_PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
_LEAST_GAIN = 1.15  # times as fast; less is not worth fewer digits, nor beyond doubt on a busy machine

# Measuring a small network takes 5 to 10 seconds, most of it tracing. It does not pay for trainings of fewer steps or,
# at the lower end of the speeds that networks reach, of less time.
_LEAST_STEPS = 50
_LEAST_SECONDS = 30.0
_FLOP_A_SECOND = {"cpu": 1e11, "gpu": 3e12}  # measured on two cores: 1e11 to 5e11; a card's is a low guess

_WARM_UP = 2  # steps: the first traces
_ENOUGH_STEPS, _ENOUGH_SECONDS = 8, 1.0  # of each precision; of all
_FEWEST_STEPS, _MOST_SECONDS = 3, 6.0  # of each, where steps are slow; of all
_STEP_SECONDS = 1.0  # at the speed above; a batch that takes longer is measured in part


@dataclass(frozen=True)
class PrecisionChoice:
    """What ``precision: auto`` came to.

    Attributes:
        reason: for people, one line.
        step_seconds: median by precision; empty where nothing was measured, now or before.
    """

    precision: Precision
    reason: str
    step_seconds: Mapping[str, float] = field(default_factory=dict)


_SHORT = PrecisionChoice("float32", "float32: the training is too short for measuring another precision to pay")


def choose_precision(
    spec: Spec, device: Device, shape: tuple[int, int, int], classes: int, images: int, folder: Path
) -> PrecisionChoice:
    """Choose the faster precision for a training; what is built for that is gone afterwards.

    Args:
        spec: complete, with ``precision: auto``.
        shape: (height, width, channels) of an image.
        images: of an epoch.
        folder: where choices are remembered; need not exist, nor be writable.

    Raises:
        SpecError: the network cannot be built.
    """
    if not device.bfloat16:
        return PrecisionChoice("float32", f"float32: {device.name} has no instructions for bfloat16")
    shown = images * sum(phase.epochs for phase in spec.phases)
    if shown < _LEAST_STEPS * spec.batch:
        return _SHORT
    phase = max(spec.phases, key=lambda phase: phase.epochs)
    phase = phase.model_copy(update={"batch": min(phase.batch, images)})
    speed = _FLOP_A_SECOND[device.kind]
    path = folder / f"{_key(phase, device, shape, classes)}.json"
    note = _read(path)
    if note is None:
        try:
            note = _measured(phase, shape, classes, speed=speed, least_flops=_LEAST_SECONDS * speed / shown)
        finally:
            gc.collect()  # Keras' networks are full of circles, and would stay beside the one that is trained
        if note is None:
            return _SHORT
        _write(path, note)
    return _SHORT if note.flops * shown < _LEAST_SECONDS * speed else note.choice


@dataclass(frozen=True)
class _Note:
    """What is remembered of a network on a machine.

    Attributes:
        flops: of the training for each image that an epoch shows.
    """

    flops: float
    choice: PrecisionChoice


def _measured(
    phase: Spec, shape: tuple[int, int, int], classes: int, *, speed: float, least_flops: float
) -> _Note | None:
    """Measure what most of the training goes into; None where it is less than ``least_flops`` for each image shown."""
    network = _network(_in(phase, "float32"), shape, classes)
    split = split_frozen(network)
    frozen = summarize(split.base).flops if split else 0
    learning = TRAINING * (summarize(network).flops - frozen)
    share = _frozen_passes(phase) / phase.epochs
    if learning + share * frozen < least_flops:
        return None
    of_frozen = share * frozen > learning
    batch = max(1, min(phase.batch, int(_STEP_SECONDS * speed / max(frozen if of_frozen else learning, 1))))
    smaller = phase.model_copy(update={"batch": batch})
    taken = _measure(_steps(smaller, network, shape, classes, of_frozen=of_frozen))
    return _Note(learning + share * frozen, _choice(taken))


def _frozen_passes(phase: Spec) -> int:
    """Return how often each training image passes the frozen layers, if there are any."""
    views = stored_views(phase)
    return phase.epochs if views is None else len(views)


def _network(spec: Spec, shape: tuple[int, int, int], classes: int) -> keras.Model:
    network = build_network(spec, shape, classes, None)
    set_trainable(network, spec.architecture)
    return network


def _in(spec: Spec, precision: Precision) -> Spec:
    return spec.model_copy(update={"precision": precision})


def _key(phase: Spec, device: Device, shape: tuple[int, int, int], classes: int) -> str:
    """Return a name for all that shapes a training step on this machine."""
    import tensorflow as tf

    facts = {
        "format": _FORMAT,
        "architecture": phase.architecture.model_dump(mode="json", exclude={"weights"}),
        "normalize": phase.model_dump(mode="json", include={"normalize"}),
        "shape": shape,
        "classes": classes,
        "batch": phase.batch,
        "optimizer": phase.optimizer.name,
        "loss": phase.loss_in_force.name if isinstance(phase.loss_in_force, FocalSpec) else phase.loss_in_force,
        "augmented": not phase.augmentation.is_none,
        "passes": (_frozen_passes(phase), phase.epochs) if isinstance(phase.architecture, BackboneSpec) else None,
        "device": (device.kind, device.name, device.threads),
        "versions": (tf.__version__, keras.__version__),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read(path: Path) -> _Note | None:
    """Return the note in a file; None where there is none, or anything else."""
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        seconds: dict[str, float] = {each: float(noted["step_seconds"][each]) for each in _PRECISIONS}
        flops, precision = float(noted["flops"]), _PRECISIONS[_PRECISIONS.index(noted["precision"])]
    except (OSError, ValueError, TypeError, LookupError):
        return None
    if not all(0 < value < math.inf for value in (flops, *seconds.values())):
        return None
    return _Note(flops, PrecisionChoice(precision, _reason(precision, seconds, "measured before"), seconds))


def _write(path: Path, note: _Note) -> None:
    noted = {"precision": note.choice.precision, "step_seconds": note.choice.step_seconds, "flops": note.flops}
    with suppress(OSError, RunError):  # where nothing can be written, the next training measures again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, noted)


def _steps(
    phase: Spec, network: keras.Model, shape: tuple[int, int, int], classes: int, *, of_frozen: bool
) -> dict[Precision, Callable[[], Any]]:
    """Return for each precision what does one training step, or passes frozen layers, on a batch of random pixels.

    Args:
        network: in float32.
    """
    networks = {"float32": network, "bfloat16": _network(_in(phase, "bfloat16"), shape, classes)}
    if of_frozen:
        images = generator(0, "precision").integers(0, 256, (phase.batch, *shape), dtype=np.uint8)
        return {each: _pass(split_frozen(networks[each]), images) for each in _PRECISIONS}
    batch = _random_batch(phase, shape, classes)
    return {each: _step(_in(phase, each), networks[each], shape, batch) for each in _PRECISIONS}


def _pass(split: FrozenSplit | None, images: NDArray[np.uint8]) -> Callable[[], Any]:
    assert split is not None
    base = folded(split.base)
    return lambda: base.predict_on_batch(images)


def _step(spec: Spec, network: keras.Model, shape: tuple[int, int, int], batch: Any) -> Callable[[], Any]:
    trainer = augmenting_model(spec.augmentation, network, shape)
    rates = RateTable(1)  # of 0: the weights stay as they are, the work is the same
    trainer.compile(
        optimizer=build_optimizer(spec.optimizer, rates, spec.precision),
        loss=build_loss(spec),
        metrics=["accuracy"],
        jit_compile=False,  # as in the training
    )
    return lambda: trainer.train_on_batch(*batch)


def _random_batch(phase: Spec, shape: tuple[int, int, int], classes: int) -> Any:
    """Return inputs, labels and weights as the training feeds them, but of random pixels."""
    count, draw = phase.batch, generator(0, "precision")
    images = draw.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = draw.integers(0, classes, count, dtype=np.int32)
    spec = phase.model_copy(update={"imbalance": "none"})  # all images, each once
    batch = next(TrainingFeed(spec, (images,), np.arange(count), labels, classes).batches(1))
    return keras.tree.map_structure(keras.ops.convert_to_tensor, batch)


def _measure(steps: Mapping[Precision, Callable[[], Any]]) -> dict[Precision, list[float]]:
    """Take the time of steps in turns, so that whatever else the machine does falls on both precisions."""
    for _ in range(_WARM_UP):
        for step in steps.values():
            step()
    taken: dict[Precision, list[float]] = {each: [] for each in steps}
    while not _is_enough(taken):
        for each, step in steps.items():
            before = time.perf_counter()
            step()
            taken[each].append(time.perf_counter() - before)
    return taken


def _is_enough(taken: Mapping[Precision, list[float]]) -> bool:
    count, total_s = min(map(len, taken.values())), sum(map(sum, taken.values()))
    if total_s >= _MOST_SECONDS:
        return count >= _FEWEST_STEPS
    return count >= _ENOUGH_STEPS and total_s >= _ENOUGH_SECONDS


def _choice(taken: Mapping[Precision, list[float]]) -> PrecisionChoice:
    seconds: dict[str, float] = {each: median(times) for each, times in taken.items()}
    precision: Precision = "bfloat16" if _gain(seconds) >= _LEAST_GAIN else "float32"
    how = f"in {len(taken[precision])} measured steps of each"
    return PrecisionChoice(precision, _reason(precision, seconds, how), seconds)


def _reason(precision: Precision, seconds: Mapping[str, float], how: str) -> str:
    if precision == "bfloat16":
        return f"bfloat16: {_gain(seconds):.2f} times as fast as float32, {how}"
    return f"float32: bfloat16 is only {_gain(seconds):.2f} times as fast, {how}"


def _gain(seconds: Mapping[str, float]) -> float:
    """Return how many times as fast bfloat16 is."""
    return seconds["float32"] / seconds["bfloat16"]
