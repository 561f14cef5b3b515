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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypeVar

import keras
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from imgcls.augmentation.applying import augmenting_model
from imgcls.backend import Device
from imgcls.errors import RunError
from imgcls.files import write_json
from imgcls.models import FrozenSplit, build_network, folded, fused, set_trainable, split_frozen, summarize
from imgcls.randomness import generator
from imgcls.spec import Spec
from imgcls.spec.architecture import BackboneSpec
from imgcls.spec.augmentation import AugmentationSpec
from imgcls.spec.fields import Fraction, NonNegative, Positive, Record
from imgcls.spec.loss import FocalSpec
from imgcls.training.assembling import TRAINING, stored_views
from imgcls.training.compiling import compile_trainer
from imgcls.training.feed import TrainingFeed
from imgcls.training.optimizers import RateTable

__all__ = ["PrecisionChoice", "choose_precision"]

Precision = Literal["float32", "bfloat16"]

_FORMAT = 2  # another one, and what was remembered is measured anew
_PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
_LEAST_GAIN = 1.15  # times as fast; less is not worth fewer digits, nor beyond doubt on a busy machine

# Measuring a small network takes 5 to 10 seconds, most of it tracing. It does not pay for trainings of fewer steps or,
# at the lower end of the speeds that networks reach, of less time.
_LEAST_STEPS = 50
_LEAST_SECONDS = 30.0
_FLOP_A_SECOND = {"cpu": 1e11, "gpu": 3e12}  # measured on two cores: 1e11 to 5e11; a card's is a low guess

# A shorter training goes by what its layers are, where that leaves no doubt; of the shortest nothing is looked at.
_FEW_STEPS = 10
_DENSE = {"Conv2D", "Conv2DTranspose", "Dense"}
_NEARLY_ALL = 0.9  # of the FLOPs in such layers
_LARGE_STEP = 2e9  # FLOP; in smaller ones bfloat16 gains nothing
_CLEAR_GAIN = 1.4  # times as fast, of a convolution alone

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
    if shown < _FEW_STEPS * spec.batch:
        return _SHORT
    phase = _largest(spec, shape, classes)
    phase = phase.model_copy(update={"batch": min(phase.batch, images)})
    speed = _FLOP_A_SECOND[device.kind]
    path = folder / f"{_key(phase, device, shape, classes)}.json"
    least_flops = _LEAST_SECONDS * speed / shown if shown >= _LEAST_STEPS * spec.batch else math.inf
    note = _read(path, _Note)
    try:
        how = "measured before"
        if _is_lacking(note, least_flops):
            with _alone(path):
                note = _read(path, _Note)  # another process may have been at it
                if _is_lacking(note, least_flops):
                    note, how = _surveyed(phase, shape, classes, speed=speed, least_flops=least_flops)
                    _write(path, note)
        assert note is not None
        if note.step is None or note.flops < least_flops:
            return _by_layers(note, phase.batch, device, folder)
        return _by_steps(note.step, how)
    finally:
        gc.collect()  # Keras' networks are full of circles, and would stay beside the one that is trained


class _Stored(Record, use_attribute_docstrings=False):
    """What is kept in a file; pydantic would look for its docstrings in every module of TensorFlow."""


class _Seconds(_Stored):
    """What one step or one convolution takes, medians."""

    float32: Positive
    bfloat16: Positive

    @property
    def gain(self) -> float:
        """How many times as fast bfloat16 is."""
        return self.float32 / self.bfloat16


class _Note(_Stored):
    """What is remembered of a network on a machine."""

    flops: NonNegative
    """Of the training for each image that an epoch shows."""
    dense: Fraction
    """Share of the network's work in dense convolutions and dense layers."""
    step: _Seconds | None = None
    """None where it was only trained too shortly for measuring."""


def _is_lacking(note: _Note | None, least_flops: float) -> bool:
    """Return whether there is something to find out yet."""
    return note is None or (note.step is None and note.flops >= least_flops)


class _Machine(_Stored):
    """What is remembered of a machine."""

    device: str
    keras: str
    convolution: _Seconds


_Remembered = TypeVar("_Remembered", _Note, _Machine)


def _largest(spec: Spec, shape: tuple[int, int, int], classes: int) -> Spec:
    """Return the phase that most of the training's work is in, the last of equals."""
    if len(spec.phases) == 1:
        return spec.phases[0]
    network = _network(_in(spec, "float32"), shape, classes)

    def work(phase: Spec) -> int:
        set_trainable(network, phase.architecture)
        learning, frozen = _flops(network)
        return phase.epochs * learning + _frozen_passes(phase) * frozen

    return max(reversed(spec.phases), key=work)


def _flops(network: keras.Model) -> tuple[int, int]:
    """Return the FLOPs of a training step of what learns, for each image, and of a pass through the frozen layers."""
    split = split_frozen(network)
    frozen = summarize(split.base).flops if split else 0
    return TRAINING * (summarize(network).flops - frozen), frozen


def _surveyed(
    phase: Spec, shape: tuple[int, int, int], classes: int, *, speed: float, least_flops: float
) -> tuple[_Note, str]:
    """Add up the training's work; measure what most of it goes into where it comes to ``least_flops`` an image shown.

    Returns:
        What to remember, and how it was measured, for people.
    """
    network = _network(_in(phase, "float32"), shape, classes)
    summary, (learning, frozen) = summarize(network), _flops(network)
    share = _frozen_passes(phase) / phase.epochs
    dense = sum(layer.flops for layer in summary.layers if layer.kind in _DENSE) / max(1, summary.flops)
    note = _Note(flops=learning + share * frozen, dense=dense)
    if note.flops < least_flops:
        return note, ""
    of_frozen = share * frozen > learning
    batch = max(1, min(phase.batch, int(_STEP_SECONDS * speed / max(frozen if of_frozen else learning, 1))))
    smaller = phase.model_copy(update={"batch": batch})
    taken = _measure(_steps(smaller, network, shape, classes, of_frozen=of_frozen))
    how = f"in {len(taken['float32'])} measured steps of each"
    return note.model_copy(update={"step": _medians(taken)}), how


def _by_layers(note: _Note, batch: int, device: Device, folder: Path) -> PrecisionChoice:
    """Choose for a training that is too short for measuring its own network, by what its layers are."""
    if note.dense < _NEARLY_ALL or note.flops * batch < _LARGE_STEP:
        return _SHORT
    gain = _convolution_gain(folder / f"convolution-{device.backend}-{device.kind}-{device.threads}.json", device)
    if gain < _CLEAR_GAIN:
        return _SHORT
    reason = f"bfloat16: dense convolutions, nearly all of the work, are {gain:.1f} times as fast as in float32 here"
    return PrecisionChoice("bfloat16", reason)


def _convolution_gain(path: Path, device: Device) -> float:
    """Return how many times as fast this machine does a dense convolution in bfloat16; measured once, in a second."""
    known = _read(path, _Machine)
    if known is None or (known.device, known.keras) != (device.name, keras.__version__):
        taken = _measure({each: _convolution(each) for each in _PRECISIONS})
        known = _Machine(device=device.name, keras=keras.__version__, convolution=_medians(taken))
        _write(path, known)
    return known.convolution.gain


def _convolution(precision: Precision) -> Callable[[], Any]:
    """Return what does one dense convolution and waits for its result."""
    images = keras.random.normal((32, 32, 32, 64), dtype=precision, seed=0)
    kernel = keras.random.normal((3, 3, 64, 128), dtype=precision, seed=1)
    return lambda: float(keras.ops.cast(keras.ops.conv(images, kernel, padding="same")[0, 0, 0, 0], "float32"))


def _frozen_passes(phase: Spec) -> int:
    """Return how often each training image passes the frozen layers, if there are any."""
    return len(stored_views(phase)) or phase.epochs


def _network(spec: Spec, shape: tuple[int, int, int], classes: int) -> keras.Model:
    network = build_network(spec, shape, classes, None)
    set_trainable(network, spec.architecture)
    return network


def _in(spec: Spec, precision: Precision) -> Spec:
    return spec.model_copy(update={"precision": precision})


def _key(phase: Spec, device: Device, shape: tuple[int, int, int], classes: int) -> str:
    """Return a name for all that shapes a training step on this machine."""
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
        "versions": (device.backend, import_module(device.backend).__version__, keras.__version__),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read(path: Path, kind: type[_Remembered]) -> _Remembered | None:
    """Return what a file remembers; None where there is none, or anything else."""
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from measuring the same meanwhile; where nothing can be written they may."""
    lock = FileLock(path.with_suffix(".lock"), fallback_to_soft=False)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _write(path: Path, note: Record) -> None:
    with suppress(OSError, RunError):  # where nothing can be written, the next training measures again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, note.model_dump())


def _steps(
    phase: Spec, network: keras.Model, shape: tuple[int, int, int], classes: int, *, of_frozen: bool
) -> dict[Precision, Callable[[], Any]]:
    """Return for each precision what does one training step, or passes frozen layers, on a batch of random pixels.

    Args:
        network: in float32.
    """
    networks = {"float32": network, "bfloat16": _network(_in(phase, "bfloat16"), shape, classes)}
    if of_frozen:
        images = _random_inputs(phase.batch, shape, is_image=True)
        return {each: _pass(split_frozen(networks[each]), images) for each in _PRECISIONS}
    learning = {each: _learning(networks[each], phase) for each in _PRECISIONS}
    images = _random_inputs(phase.batch, learning["float32"].input_shape[1:], is_image=learning["float32"] is network)
    if learning["float32"] is not network:
        phase = phase.model_copy(update={"augmentation": AugmentationSpec()})
    batch = _batch(phase, images, classes)
    return {each: _step(_in(phase, each), learning[each], images.shape[1:], batch) for each in _PRECISIONS}


def _learning(network: keras.Model, phase: Spec) -> keras.Model:
    """Return what is fitted: the head alone where the features of frozen layers are stored."""
    split = split_frozen(network) if stored_views(phase) else None
    return split.head if split else network


def _pass(split: FrozenSplit | None, images: NDArray[Any]) -> Callable[[], Any]:
    assert split is not None
    base = folded(split.base)
    return lambda: base.predict_on_batch(images)


def _step(spec: Spec, network: keras.Model, shape: Any, batch: Any) -> Callable[[], Any]:
    trainer = augmenting_model(spec.augmentation, fused(network), shape)
    compile_trainer(spec, trainer, RateTable(1))  # rates of 0: the weights stay as they are, the work is the same
    return lambda: trainer.train_on_batch(*batch)


def _random_inputs(count: int, shape: tuple[int, ...], *, is_image: bool) -> NDArray[Any]:
    draw = generator(0, "precision")
    if is_image:
        return draw.integers(0, 256, (count, *shape), dtype=np.uint8)
    return draw.normal(size=(count, *shape)).astype(np.float32)


def _batch(phase: Spec, images: NDArray[Any], classes: int) -> Any:
    """Return inputs, labels and weights as the training feeds them."""
    labels = generator(1, "precision").integers(0, classes, len(images), dtype=np.int32)
    spec = phase.model_copy(update={"imbalance": "none"})  # all images, each once
    batch = next(TrainingFeed(spec, lambda _: images, np.arange(len(images)), labels, classes).batches(1))
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


def _medians(taken: Mapping[Precision, list[float]]) -> _Seconds:
    return _Seconds(float32=median(taken["float32"]), bfloat16=median(taken["bfloat16"]))


def _by_steps(step: _Seconds, how: str) -> PrecisionChoice:
    if step.gain >= _LEAST_GAIN:
        return PrecisionChoice(
            "bfloat16", f"bfloat16: {step.gain:.2f} times as fast as float32, {how}", step.model_dump()
        )
    reason = f"float32: bfloat16 is only {step.gain:.2f} times as fast, {how}"
    return PrecisionChoice("float32", reason, step.model_dump())
