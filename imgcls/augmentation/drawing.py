"""What each image gets: a pure function of (seed, epoch, image index).

The geometric changes of an image become one affine map, so that the image is resampled once, however many there are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.randomness import generator, uniforms
from imgcls.spec.augmentation import AugmentationSpec

__all__ = ["DRAWING_VERSION", "Draw", "draw", "draw_fields", "is_geometric", "mixed_labels"]

DRAWING_VERSION = 1  # raise it when a rule here changes any draw: features of old ones are then not used

Draw = dict[str, NDArray[np.float32]]
Shape = tuple[int, int, int]
Floats = NDArray[np.float64]

_NOISE_TABLE = 1 << 20  # normal numbers, of which each image takes a run from a random start (Salimans et al., 2017)

# The columns of the uniform numbers of one image. New ones go to the end: old runs stay repeatable.
_COLUMNS = (
    "rotation", "width_shift", "height_shift", "zoom", "shear", "horizontal_flip", "vertical_flip", "crop_x", "crop_y",
    "brightness", "contrast", "noise", "cutout_x", "cutout_y", "which_mix", "share", "box_x", "box_y",
)  # fmt: skip


def is_geometric(spec: AugmentationSpec) -> bool:
    """Whether any pixel moves."""
    moves = (spec.rotation, spec.width_shift, spec.height_shift, spec.zoom, spec.shear, spec.random_crop)
    return any(moves) or bool(spec.horizontal_flip) or spec.vertical_flip


def draw_fields(spec: AugmentationSpec, shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return the arrays that ``draw`` gives, name → shape of one image's part; only what the spec asks for."""
    fields: dict[str, tuple[int, ...]] = {}
    if is_geometric(spec):
        fields["transform"] = (8,)
    if spec.brightness or spec.contrast:
        fields["color"] = (2,)
    if spec.noise:
        fields["noise"] = shape
    if spec.cutout:
        fields["hole"] = (4,)
    if spec.mixes_labels:
        fields |= {"blend": (), "patch": (4,)}
    if fields and spec.classes_below is not None:
        fields["changed"] = ()
    return fields


def draw(
    spec: AugmentationSpec,
    shape: Shape,
    seed: int,
    epoch: int,
    indices: NDArray[np.int64],
    changed: NDArray[np.bool_] | None = None,
) -> Draw:
    """Draw the changes of some images in an epoch.

    Args:
        shape: (height, width, channels) in pixels.
        indices: int (n,), the images' places among the training images.
        changed: bool (n,), which of them are changed where the spec's ``classes_below`` leaves some as they are; by
            default all.

    Returns:
        float32 arrays of n rows: ``transform`` (n, 8), output to input pixels as a projective map; ``color`` (n, 2),
        contrast factor and brightness in 0..255; ``noise`` (n, height, width, channels) in 0..255; ``hole`` and
        ``patch`` (n, 4), boxes [top, left, bottom, right] in pixels; ``blend`` (n,), the image's own share;
        ``changed`` (n,), 1 or 0.
    """
    view = spec.view(epoch)
    table = uniforms(seed, f"augmentation/{view}", indices, len(_COLUMNS))
    chance = dict(zip(_COLUMNS, table.T, strict=True))
    if spec.horizontal_flip == "alternating":
        chance["horizontal_flip"] = (uniforms(seed, "augmentation/side", indices, 1)[:, 0] + view / 2) % 1
    is_changed = np.ones(len(indices), np.bool_) if changed is None else changed
    mixes = functools.cache(lambda: _mixes(spec, chance, shape))
    makers: dict[str, Callable[[], NDArray[Any]]] = {
        "transform": lambda: _transforms(spec, shape, chance),
        "color": lambda: np.stack(
            [
                1 + spec.contrast * _both_ways(chance["contrast"]),
                255 * spec.brightness * _both_ways(chance["brightness"]),
            ],
            axis=1,
        ),
        "noise": lambda: 255 * spec.noise * _noise(seed, chance["noise"], shape),
        "hole": lambda: _boxes(
            chance["cutout_y"], chance["cutout_x"], np.full(len(indices), spec.cutout * min(shape[:2])), shape
        ),
        "blend": lambda: np.where(is_changed, mixes()[0], 1.0),
        "patch": lambda: np.where(is_changed[:, None], mixes()[1], 0.0),
        "changed": lambda: is_changed,
    }
    return {name: makers[name]().astype(np.float32) for name in draw_fields(spec, shape)}


def mixed_labels(drawn: Draw, one_hot: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """Return the labels of a batch whose images were each mixed with the next one in the batch.

    Args:
        one_hot: float (n, classes).

    Returns:
        float (n, classes); rows sum to 1, each class with the share of pixels or intensity it has in the image.
    """
    if "blend" not in drawn:
        return one_hot
    top, left, bottom, right = drawn["patch"].T
    patched = (bottom - top) * (right - left) / (shape[0] * shape[1])
    own = (drawn["blend"] * (1 - patched))[:, None]
    return np.asarray(own * one_hot + (1 - own) * np.roll(one_hot, -1, axis=0), dtype=np.float32)


def _both_ways(chance: Floats) -> Floats:
    return 2 * chance - 1


def _transforms(spec: AugmentationSpec, shape: Shape, chance: dict[str, Floats]) -> Floats:
    """Compose flip, zoom, shear, rotation and shifts about the centre into one output-to-input map an image."""
    height, width, _ = shape
    count = len(chance["zoom"])
    angle = np.radians(spec.rotation) * _both_ways(chance["rotation"])
    slant = np.radians(spec.shear) * _both_ways(chance["shear"])
    scale = 1 / (1 + spec.zoom * _both_ways(chance["zoom"]))
    mirror_x = np.where(chance["horizontal_flip"] < 0.5, -1.0, 1.0) if spec.horizontal_flip else np.ones(count)
    mirror_y = np.where(chance["vertical_flip"] < 0.5, -1.0, 1.0) if spec.vertical_flip else np.ones(count)
    shift_x = spec.width_shift * width * _both_ways(chance["width_shift"])
    shift_y = spec.height_shift * height * _both_ways(chance["height_shift"])
    if spec.random_crop:
        places = 2 * spec.random_crop + 1
        shift_x = shift_x + np.floor(chance["crop_x"] * places) - spec.random_crop
        shift_y = shift_y + np.floor(chance["crop_y"] * places) - spec.random_crop
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = _matrices(cosine, -sine, sine, cosine)
    shearing = _matrices(np.ones(count), np.tan(slant), np.zeros(count), np.ones(count))
    scaling = _matrices(mirror_x * scale, np.zeros(count), np.zeros(count), mirror_y * scale)
    linear = scaling @ shearing @ rotation
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    moved = np.stack([shift_x, shift_y], axis=1) + center
    offset = center - np.einsum("nij,nj->ni", linear, moved)
    zeros = np.zeros(count)
    columns = (
        linear[:, 0, 0],
        linear[:, 0, 1],
        offset[:, 0],
        linear[:, 1, 0],
        linear[:, 1, 1],
        offset[:, 1],
        zeros,
        zeros,
    )
    return np.stack(columns, axis=1)


def _matrices(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    return np.stack([np.stack([a, b], axis=1), np.stack([c, d], axis=1)], axis=1)


def _boxes(chance_y: Floats, chance_x: Floats, side: Floats, shape: Shape, side_x: Floats | None = None) -> Floats:
    """Return boxes [top, left, bottom, right] of whole pixels around random centres, cut at the image's edge."""
    height, width, _ = shape
    side_x = side if side_x is None else side_x
    center_y, center_x = np.floor(chance_y * height), np.floor(chance_x * width)
    top, left = np.round(center_y - side / 2), np.round(center_x - side_x / 2)
    edges = (
        np.clip(top, 0, height), np.clip(left, 0, width),
        np.clip(top + np.round(side), 0, height), np.clip(left + np.round(side_x), 0, width),
    )  # fmt: skip
    return np.stack(edges, axis=1)


def _mixes(spec: AugmentationSpec, chance: dict[str, Floats], shape: Shape) -> tuple[Floats, Floats]:
    """Return each image's own share under mixup, its patch under cutmix; where both are asked for, one at random."""
    from scipy.stats import beta

    height, width, _ = shape
    is_cutmix = (
        chance["which_mix"] < 0.5 if spec.mixup and spec.cutmix else np.full(len(chance["share"]), spec.cutmix > 0)
    )
    alpha = np.where(is_cutmix, spec.cutmix, spec.mixup)
    share = beta.ppf(chance["share"], alpha, alpha)
    side = np.where(is_cutmix, np.sqrt(1 - share), 0.0)
    return np.where(is_cutmix, 1.0, share), _boxes(chance["box_y"], chance["box_x"], side * height, shape, side * width)


def _noise(seed: int, chance: Floats, shape: Shape) -> NDArray[np.float32]:
    size = int(np.prod(shape))
    table = _noise_table(seed, max(_NOISE_TABLE, 4 * size))
    starts = np.floor(chance * (len(table) - size)).astype(np.int64)
    noise = np.empty((len(starts), size), np.float32)
    for row, start in enumerate(starts.tolist()):
        noise[row] = table[start : start + size]
    return noise.reshape(len(starts), *shape)


@functools.lru_cache(maxsize=1)
def _noise_table(seed: int, size: int) -> NDArray[np.float32]:
    return generator(seed, "noise").standard_normal(size, dtype=np.float32)
