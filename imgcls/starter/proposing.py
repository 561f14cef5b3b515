"""Which spec suits some data, and why."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from imgcls.errors import SpecError
from imgcls.spec.document import parse_value
from imgcls.starter.looking import Seen
from imgcls.wording import counted

__all__ = ["Line", "propose", "quoted"]

PHOTO_PX = 96  # shorter side from which a network that was trained on photos sees what it knows
FEW_A_CLASS = 1000  # images of a class below which a pretrained network does better than one from scratch
MANY = 20_000  # images from which a tenth is enough for validation, and ten epochs are enough steps
SOME = 5_000  # images from which larger batches cost no accuracy
UNEQUAL = 3  # times as many images in the largest class as in the smallest
SIZES_PX = (128, 160)  # MobileNet's weights were trained at these, and at 192 and 224
SCRATCH_PX = 64
CHARACTERS = 2  # class names up to so long are characters or numbers, which a mirror makes others


class Line(NamedTuple):
    """A line of a spec: what it says, and why; an empty reason where it needs none."""

    text: str
    why: str = ""


def propose(seen: Seen, path: str) -> list[Line]:
    """Return the lines of a spec.

    Args:
        seen: the data.
        path: of the data, as the spec is to name it.
    """
    return [line for rule in _RULES for line in rule(seen, path)]


def _data(seen: Seen, path: str) -> list[Line]:
    share = 0.1 if seen.images >= MANY else 0.15
    parts = {part: f"{part}: {share}" for part in ("validation", "test") if part not in seen.parts}
    classes = f", classes: [{', '.join(map(quoted, seen.classes))}]" if seen.too_small else ""
    given = classes + "".join(f", {text}" for text in parts.values())
    text = f"data: {{source: {seen.found.source}, path: {quoted(path)}{given}}}"
    if not parts:
        return [Line(text, "it is divided already")]
    of = "train" if seen.parts else "the images"
    what = " and ".join(parts)
    return [
        Line(text, f"{what}: {share:.0%} of {of}{' each' if len(parts) > 1 else ''}, with the classes' shares kept")
    ]


def _resolution(seen: Seen, _path: str) -> list[Line]:
    size = f"{seen.width}x{seen.height}"
    if is_transfer(seen):
        side = max(each for each in SIZES_PX if each <= max(seen.short_side, SIZES_PX[0]))
        return [
            Line(f"resolution: {side}", f"pictures of about {size}; MobileNet's weights were trained at this size too")
        ]
    if seen.short_side <= SCRATCH_PX and seen.same_size:
        side_text = str(seen.height) if seen.height == seen.width else f"[{seen.height}, {seen.width}]"
        return [Line(f"resolution: {side_text}", "their own size")]
    return [Line(f"resolution: {scratch_px(seen)}", f"pictures of about {size}; larger is slower, and often better")]


def _augmentation(seen: Seen, _path: str) -> list[Line]:
    if all(len(name) <= CHARACTERS for name in seen.classes):
        why = "no flips: the classes look like characters or numbers"
        return [Line("augmentation: {rotation: 10, width_shift: 0.1, height_shift: 0.1}", why)]
    if is_transfer(seen):
        why = "views: each photo in four ways, for which the frozen layers run once"
        return [Line("augmentation: {rotation: 15, zoom: 0.2, horizontal_flip: true, views: 4}", why)]
    if seen.short_side < SCRATCH_PX:
        return [Line("augmentation: {horizontal_flip: true, random_crop: 2}", "no flips where left and right matter")]
    changes = "{rotation: 15, width_shift: 0.1, height_shift: 0.1, zoom: 0.2, horizontal_flip: true}"
    return [Line(f"augmentation: {changes}", "no flips where left and right matter")]


def _architecture(seen: Seen, _path: str) -> list[Line]:
    if is_transfer(seen):
        text = "architecture: {backbone: mobilenet, head: [global_average_pool, {dropout: 0.3}, {dense: 128}]}"
        return [Line(text, "few photos of a class: features learnt on ImageNet, 17 MB at the first run")]
    side = min(seen.height, seen.width, SCRATCH_PX)
    filters = (
        ([32, 64] if side < 16 else [32, 64, 128] if side < SCRATCH_PX else [32, 64, 128, 128]) if side >= 8 else [32]
    )
    text = f"architecture: {{preset: cnn, filters: {filters}, dense: 128, dropout: 0.4}}"
    many = min(seen.learnt) >= FEW_A_CLASS
    return [Line(text, "from scratch: " + ("enough images of each class" if many else "not the photos of ImageNet"))]


def _imbalance(seen: Seen, _path: str) -> list[Line]:
    if seen.ratio < UNEQUAL:
        return []
    return [
        Line(
            "imbalance: class_weights",
            f"to train on, the largest class has {seen.ratio:.1f} times the images of the smallest",
        )
    ]


def _training(seen: Seen, _path: str) -> list[Line]:
    batch = Line(f"batch: {32 if seen.images < SOME else 128}")
    if is_transfer(seen):
        return [
            Line("optimizer: adam"),
            batch,
            Line("stages:"),
            Line("  - {epochs: 10, lr: 1e-3}", "the head alone"),
            Line(
                "  - {epochs: 10, lr: 1e-4, trainable: {from: conv_dw_12}, early_stopping: 3}",
                "then the last layers too",
            ),
        ]
    epochs = 10 if seen.images >= MANY else 30
    return [
        Line("optimizer: adam"),
        Line("lr: {initial: 1e-3, schedule: cosine}"),
        batch,
        Line(f"epochs: {epochs}", f"{counted(seen.images, 'image')}: more epochs for fewer" if epochs > 10 else ""),
    ]


def is_transfer(seen: Seen) -> bool:
    """Tell whether a pretrained network is proposed: for photos in colour, of which some class has few."""
    return not seen.grey and seen.short_side >= PHOTO_PX and min(seen.learnt) < FEW_A_CLASS


def scratch_px(seen: Seen) -> int:
    """Return the resolution of a network from scratch: no larger than the pictures, a power of two."""
    return max(8, 1 << (min(seen.short_side, SCRATCH_PX).bit_length() - 1))


def quoted(text: str) -> str:
    """Return text as a flow mapping of a spec reads it: bare where that is the same text, else in quotes."""
    with suppress(SpecError):
        if parse_value(f"[{text}]") == [text]:
            return text
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    """Return a character between quotes; what stands for a byte of a file name that is not UTF-8 has a number."""
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


_RULES: tuple[Callable[[Seen, str], list[Line]], ...] = (
    _data,
    _resolution,
    _augmentation,
    _architecture,
    _imbalance,
    _training,
)
