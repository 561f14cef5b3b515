"""The source ``npz``, and what all arrays have in common: checked, uint8, with class names."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.data.listing import Arrays, Listing
from imgcls.data.parts import PARTS, PartSources, pick_part, resolve_parts, tell_together
from imgcls.errors import DataError, nearest
from imgcls.findings import Finding
from imgcls.spec.data import DataSpec
from imgcls.wording import counted, display, shown, some

__all__ = ["Pair", "list_npz", "list_npz_file", "list_pairs"]

AnyArray = NDArray[Any]
WHITE = 255
BLOCK_VALUES = 4_000_000  # examined at a time, for which 17 bytes each are taken: 70 MB
CLASS_KEYS = ("classes", "class_names")


@dataclass(frozen=True)
class Pair:
    """Images and labels that belong together, and the names of their arrays."""

    images_key: str
    labels_key: str
    images: AnyArray
    labels: AnyArray


def list_npz(data: DataSpec, path: Path, defaults: dict[str, float]) -> tuple[Listing, PartSources]:
    """List the images of an ``.npz`` file, which is never unpickled.

    Arrays are called ``x_NAME`` and ``y_NAME``, or ``NAME_images`` and ``NAME_labels``, for a part; ``x`` and ``y``,
    or ``images`` and ``labels``, when there is one only; ``classes`` or ``class_names`` names the classes.

    Raises:
        DataError: no such file, not an npz file, objects in it, arrays missing or wrong, with name and index.
    """
    found, pick, names = _open(path)
    return list_pairs(data, display(path), found, pick, names, defaults)


def list_npz_file(path: Path, part: str | None) -> Listing:
    """List the images of an ``.npz`` file: those of one part, or all, which is told."""
    found, pick, names = _open(path)
    chosen = list(found) if part is None else [pick_part(part, [name for name in found if name], display(path))]
    pairs = [pick(name) for name in chosen]
    listing = _listing(display(path), pairs, [0] * len(pairs), names)
    counts = {pair.images_key: len(pair.images) for pair in pairs}
    return replace(listing, findings=tell_together(listing.origin, counts))


def list_pairs(
    data: DataSpec,
    origin: str,
    found: Mapping[str, tuple[str, str]],
    pick: Callable[[str], Pair],
    names: tuple[str, ...] | None,
    defaults: dict[str, float],
) -> tuple[Listing, PartSources]:
    """List arrays by part; ``found`` gives the array names of each part there is, ``pick`` loads one."""
    known = {name: name for name in found} | {key: name for name, keys in found.items() for key in keys}
    renamed = data.model_copy(update={part: known.get(value, value) for part, value in _named(data).items()})
    sources = resolve_parts(renamed, [name for name in found if name], defaults)
    wanted = dict(sources.names)
    if not wanted["train"]:
        wanted["train"] = next((name for name in ("", "train") if name in found), "train")
    for part, name in wanted.items():
        if name not in found:
            have = some([f"{images} and {labels}" for images, labels in found.values()])
            hint = nearest(name, [each for each in known if each])
            raise DataError(f"{origin} has no images and labels for {part} under {name!r}{hint}; it has {have}")
    pairs = [pick(name) for name in wanted.values()]
    listing = _listing(origin, pairs, [PARTS.index(part) for part in wanted], names)
    unused = [found[name][0] for name in found if name not in wanted.values()]
    if unused:
        finding = Finding("part_not_used", f"{some(unused)} of {origin} left out: the spec does not use it")
        listing = replace(listing, findings=(finding,))
    return listing, sources


def _named(data: DataSpec) -> dict[str, str]:
    values = {"train": data.train, "validation": data.validation, "test": data.test}
    return {part: value for part, value in values.items() if isinstance(value, str)}


def _open(path: Path) -> tuple[dict[str, tuple[str, str]], Callable[[str], Pair], tuple[str, ...] | None]:
    if not path.is_file():
        raise DataError(f"there is no npz file {display(path.absolute())}")
    arrays = _members(path)
    found = _pair_names(arrays)
    if not found:
        have = some(arrays) if arrays else "nothing"
        looked_for = "x and y, x_train and y_train, or train_images and train_labels"
        raise DataError(f"{display(path)} has {have}; {looked_for} are looked for")
    key = next((key for key in CLASS_KEYS if key in arrays), None)
    names = tuple(_texts(key, _load(path, key))) if key is not None else None
    if names is not None and len(set(names)) < len(names):
        raise DataError(f"{display(path)}: {key} has a name twice")

    def pick(name: str) -> Pair:
        images, labels = found[name]
        return Pair(images, labels, _load(path, images), _load(path, labels))

    return found, pick, names


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataError(f"{display(path)} is not an npz file: {error}") from error


def _load(path: Path, key: str) -> AnyArray:
    try:
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file[key])
    except MemoryError as error:
        raise DataError(f"{display(path)}: array {key} does not fit into memory") from error
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        if "allow_pickle" in str(error):
            raise DataError(f"{display(path)}: array {key} holds Python objects, which are never loaded") from error
        raise DataError(f"{display(path)}: array {key} cannot be read: {error}") from error


def _pair_names(keys: list[str]) -> dict[str, tuple[str, str]]:
    """Return part name → names of its two arrays; the name is empty for ``x`` and ``y``."""
    lower = {key.lower(): key for key in keys}
    found: dict[str, tuple[str, str]] = {}
    for low, key in lower.items():
        if low in ("x", "images"):
            name, partner = "", "y" if low == "x" else "labels"
        elif low.startswith("x_"):
            name, partner = key[2:], "y_" + low[2:]
        elif low.endswith("_images"):
            name, partner = key[: -len("_images")], low.removesuffix("images") + "labels"
        else:
            continue
        if partner not in lower:
            raise DataError(f"array {key} has no labels; {partner} is looked for")
        found.setdefault(name, (key, lower[partner]))
    return found


def _listing(origin: str, pairs: list[Pair], parts: list[int], names: tuple[str, ...] | None) -> Listing:
    for pair in pairs:
        _check_shape(pair)
    scale = _scale([pair for pair in pairs if pair.images.dtype.kind == "f"])
    pieces = tuple(_to_uint8(pair, scale) for pair in pairs)
    values = [_label_values(pair, names) for pair in pairs]
    classes = names if names is not None else _class_names(values)
    position = {name: index for index, name in enumerate(classes)}
    labels = [
        _positions(pair, value, position, named=names is not None) for pair, value in zip(pairs, values, strict=True)
    ]
    return Listing(
        origin=origin,
        classes=classes,
        ids=tuple(f"{pair.images_key}[{row}]" for pair in pairs for row in range(len(pair.images))),
        labels=np.concatenate(labels),
        parts=np.repeat(np.array(parts, np.int8), [len(piece) for piece in pieces]),
        images=Arrays(pieces),
        rows=np.arange(sum(map(len, pieces))),
    )


def _check_shape(pair: Pair) -> None:
    shape, key = pair.images.shape, pair.images_key
    if 0 in shape or len(shape) not in (3, 4) or (*shape, 1)[3] not in (1, 3):
        accepted = "(n, height, width), (n, height, width, 1) or (n, height, width, 3)"
        raise DataError(f"array {key} has the shape {shape}; {accepted} is accepted")
    if pair.images.dtype.kind not in "buif":
        raise DataError(f"array {key} holds {pair.images.dtype}; whole numbers or floating-point numbers are accepted")
    if len(pair.labels.shape) not in (1, 2) or len(pair.labels) != len(pair.images) or not pair.labels.size:
        raise DataError(
            f"array {pair.labels_key} has the shape {pair.labels.shape}, "
            f"{key} has {counted(len(pair.images), 'image')}; (n,), (n, 1) or one-hot (n, classes) is accepted"
        )


def _scale(pairs: list[Pair]) -> float:
    """Return 255 if all floats lie in 0..1, else 1; one rule for a whole file, so that its parts stay comparable."""
    highest = 0.0
    for pair in pairs:
        for rows in _blocks(pair.images):
            highest = max(highest, float(np.max(pair.images[rows])))
    return 255.0 if highest <= 1 else 1.0


def _to_uint8(pair: Pair, scale: float) -> NDArray[np.uint8]:
    """Return (n, height, width, channels) in 0..255: uint8 as it is, floats times ``scale`` and rounded."""
    images = pair.images
    if images.dtype != np.uint8:
        converted = np.empty(images.shape, np.uint8)
        for rows in _blocks(images):
            block = images[rows]
            if block.dtype.kind == "b":
                block = block.astype(np.uint8) * 255
            elif block.dtype.kind == "f":
                block = np.rint(block.astype(np.float64) * scale)
            good = (block >= 0) & (block <= WHITE)  # False for NaN too
            if not good.all():
                _raise_bad_pixel(pair, rows.start, good)
            converted[rows] = block.astype(np.uint8)
        images = converted
    return images.reshape(*images.shape[:3], -1)


def _blocks(images: AnyArray) -> Iterator[slice]:
    """Return the rows of so many images as are examined at a time."""
    size = max(1, BLOCK_VALUES // int(np.prod(images.shape[1:])))
    return (slice(start, start + size) for start in range(0, len(images), size))


def _raise_bad_pixel(pair: Pair, start: int, good: NDArray[np.bool_]) -> None:
    at = np.unravel_index(int(np.argmin(good)), good.shape)
    index = (int(at[0]) + start, *map(int, at[1:]))
    value = pair.images[index]
    place = f"{pair.images_key}[{', '.join(map(str, index))}]"
    raise DataError(f"{place} is {value}; pixels from 0 to 255, or floating-point numbers from 0 to 1, are accepted")


def _label_values(pair: Pair, names: tuple[str, ...] | None) -> NDArray[np.int64] | list[str]:
    """Return whole numbers, or strings, (n,)."""
    labels, key = pair.labels, pair.labels_key
    if labels.dtype.kind in "US":
        return _texts(key, labels)
    if labels.dtype.kind not in "buif":
        raise DataError(f"array {key} holds {labels.dtype}; whole numbers, one-hot rows or strings are accepted")
    if labels.size > len(labels):
        wrong = np.flatnonzero(((labels != 0).sum(axis=1) != 1) | (labels.max(axis=1) != 1))
        if len(wrong):
            raise DataError(f"{key}[{wrong[0]}] is not one-hot: a single 1 among zeros is accepted")
        flat = labels.argmax(axis=1)
    else:
        flat = labels.reshape(-1)
        numbers = flat.astype(np.int8) if flat.dtype.kind == "b" else flat
        wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.floor(numbers)) | (numbers < 0))
        if len(wrong):
            raise DataError(f"{key}[{wrong[0]}] is {flat[wrong[0]]}; labels are whole numbers from 0")
    if names is not None and len(high := np.flatnonzero(flat >= len(names))):
        last = len(names) - 1
        raise DataError(
            f"{key}[{high[0]}] is {flat[high[0]]}; {counted(len(names), 'class', 'classes')} are named, so 0 to {last}"
        )
    return flat.astype(np.int64)


def _class_names(values: list[NDArray[np.int64] | list[str]]) -> tuple[str, ...]:
    """Return the labels that occur, numbers in the order of their value."""
    numbers = [value for value in values if not isinstance(value, list)]
    texts = {text for value in values if isinstance(value, list) for text in value}
    occurring = np.unique(np.concatenate(numbers)).tolist() if numbers else []
    return tuple(dict.fromkeys([*map(str, occurring), *sorted(texts)]))


def _positions(
    pair: Pair, values: NDArray[np.int64] | list[str], position: dict[str, int], *, named: bool
) -> NDArray[np.int32]:
    """Return the class index of each label; where an array names the classes, numbers count its places."""
    if isinstance(values, list):
        for row, value in enumerate(values):
            if value not in position:
                raise DataError(f"{pair.labels_key}[{row}] is {value!r}, no class{nearest(value, position)}")
        return np.array([position[value] for value in values], np.int32)
    if named:
        return values.astype(np.int32)
    occurring, inverse = np.unique(values, return_inverse=True)
    return np.array([position[str(value)] for value in occurring], np.int32)[inverse]


def _texts(key: str, array: AnyArray) -> list[str]:
    if array.dtype.kind not in "US" or array.size != array.shape[0]:
        raise DataError(f"array {key} has the shape {array.shape} of {array.dtype}; (n,) strings are accepted")
    try:
        texts = [value.decode() if isinstance(value, bytes) else str(value) for value in array.reshape(-1).tolist()]
    except UnicodeDecodeError as error:
        raise DataError(f"array {key} has text that is not UTF-8") from error
    for row, text in enumerate(texts):
        if shown(text) != text:
            raise DataError(f"{key}[{row}] is {text!r}, which has a control character")
    return texts
