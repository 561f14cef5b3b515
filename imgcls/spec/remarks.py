"""What runs as told but would embarrass later, told from the spec alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from imgcls.findings import Finding
from imgcls.spec.architecture import BackboneSpec, FromLayer
from imgcls.spec.preprocessing import BACKBONE_MODES, Mode
from imgcls.spec.spec import Spec

__all__ = ["spec_remarks"]

_WANTED: dict[Mode, str] = {
    "caffe": "pixels in 0..255 less ImageNet's mean colour, blue first",
    "inside": "pixels in 0..255, which it scales itself",
    "tf": "pixels in -1..1",
    "torch": "pixels standardized channel by channel",
}
_AS_GOOD = {("inside", "none"), ("torch", "standardize")}  # the same as, or hardly other than, the network's own
_GIVEN = {
    "unit": "scales pixels to 0..1",
    "minmax": "scales pixels to 0..1",
    "standardize": "gives pixels mean 0 and standard deviation 1",
    "none": "leaves pixels in 0..255",
    "zca": "whitens pixels",
}


def spec_remarks(spec: Spec) -> list[Finding]:
    """Return what the user should know of a spec before it trains; ``spec`` may be complete or as given.

    Only as given it still shows which settings are not used: at the top, a complete one has what is in force.
    """
    return [finding for look in _LOOKS for finding in look(spec)]


def _loss(spec: Spec) -> Iterator[Finding]:
    """Of two classes nothing is said: there binary cross-entropy over a softmax equals the categorical one."""
    if spec.loss == "binary_crossentropy" and len(spec.data.classes or ()) != 2:
        yield Finding(
            "binary_crossentropy_over_softmax",
            "loss binary_crossentropy asks of each class apart whether it is there, but the outputs are one softmax "
            "over classes that exclude each other",
        )


def _input_scale(spec: Spec) -> Iterator[Finding]:
    architecture, method = spec.architecture, spec.normalize
    if not isinstance(method, str | None):
        method = method.method
    if not isinstance(architecture, BackboneSpec) or not architecture.is_pretrained or method in (None, "backbone"):
        return
    mode = BACKBONE_MODES[architecture.backbone]
    if (mode, method) in _AS_GOOD:
        return
    doubt = "" if architecture.weights == "imagenet" else ", unless the weights file was trained so"
    yield Finding(
        "backbone_input_scale",
        f"normalize {method} {_GIVEN[method]}, but {architecture.backbone} was trained on {_WANTED[mode]}: what it "
        f"learnt will not fit{doubt}",
    )


def _rate(spec: Spec) -> Iterator[Finding]:
    """Tell of rates that hardly ever learn, by what is usual for the optimizer; of others nothing is known."""
    for phase in spec.phases:
        name, rate = phase.optimizer.name, phase.lr.initial
        low, high = _USUAL_RATES.get(name, (0.0, math.inf))
        if rate is not None and not low <= rate <= high:
            what = f"above {high:g} it hardly ever learns" if rate > high else f"below {low:g} it hardly moves"
            yield Finding("unusual_rate", f"lr {rate:g} with {name}: {what}")


_USUAL_RATES = {
    **dict.fromkeys(("adam", "adamw", "adamax", "nadam", "rmsprop"), (1e-8, 0.05)),
    "lion": (1e-9, 0.005),
    "sgd": (1e-7, 5.0),
}


def _never_learns(spec: Spec) -> Iterator[Finding]:
    architecture = spec.architecture
    if not isinstance(architecture, BackboneSpec) or architecture.is_pretrained:
        return
    if all(getattr(phase.architecture, "trainable", "none") == "none" for phase in spec.phases):
        yield Finding(
            "backbone_never_learns",
            f"{architecture.backbone} starts with random weights (weights: none) and never learns (trainable: none): "
            "only the head does, on features that mean nothing",
        )


def _changes_nothing(spec: Spec) -> Iterator[Finding]:
    if not spec.augmentation.is_none:
        return
    for key, what in (("classes_below", "whose images are changed"), ("views", "in how many ways images are changed")):
        if getattr(spec.augmentation, key) is not None:
            yield Finding(
                "augmentation_changes_nothing",
                f"augmentation.{key} says {what}, but no change is asked for",
            )


def _unused(spec: Spec) -> Iterator[Finding]:
    """Hold what is written at the top against the first stage, from which the others take what they leave out."""
    for key, show in _SHOWN.items():
        owner, name = (spec.architecture, f"architecture.{key}") if key == "trainable" else (spec, key)
        if spec.uses(key) or key not in owner.model_fields_set:
            continue
        own, first = getattr(owner, key), getattr(spec.stages[0], key)
        gives_rate = key == "lr" and own.initial is not None and first.initial is None
        if own != (None if key == "early_stopping" and first == "none" else first) and not gives_rate:
            which = "each" if all(getattr(stage, key) is not None for stage in spec.stages) else "the first"
            yield Finding(
                "unused_setting",
                f"{name} {show(own)} is not used: {which} stage has its own",
                f"set stages.0.{key}",
            )


_SHOWN: dict[str, Callable[[Any], str]] = {
    "epochs": str,
    "lr": lambda rate: f"{rate.initial:g}" if rate.schedule == "constant" and rate.initial else rate.schedule,
    "optimizer": lambda optimizer: str(optimizer.name),
    "trainable": lambda part: f"from {part.from_}" if isinstance(part, FromLayer) else str(part),
    "early_stopping": lambda rule: "none" if rule is None else f"with patience {rule.patience}",
}
"""What a stage can have of its own, and how a remark shows it."""

_LOOKS: tuple[Callable[[Spec], Iterator[Finding]], ...] = (
    _loss,
    _input_scale,
    _rate,
    _never_learns,
    _changes_nothing,
    _unused,
)
