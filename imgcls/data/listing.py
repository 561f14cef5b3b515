"""What a source holds, before any pixel is decoded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgcls.errors import DataError, SpecError, nearest
from imgcls.findings import Finding
from imgcls.spec.data import DataSpec
from imgcls.wording import counted, some

__all__ = [
    "PARTS",
    "PART_NAMES",
    "Arrays",
    "Files",
    "Listing",
    "PartSources",
    "cores",
    "fingerprint",
    "raise_problems",
    "resolve_parts",
    "select_classes",
]

PARTS = ("train", "validation", "test")
PART_NAMES = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}
"""What folders, files and arrays of a part are called by custom."""

HASH_BLOCK = 256  # files a task: large enough that handing out tasks costs nothing


@dataclass(frozen=True)
class Files:
    """Images in files; ``paths`` are what the operating system opens."""

    paths: tuple[str, ...]


@dataclass(frozen=True)
class Arrays:
    """Images in memory: uint8 arrays (n, height, width, channels) of 0..255, one after the other."""

    pieces: tuple[NDArray[np.uint8], ...]

    def row(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` of all pieces together, (height, width, channels)."""
        for piece in self.pieces:
            if index < len(piece):
                return piece[index]
            index -= len(piece)
        raise IndexError(index)


@dataclass(frozen=True)
class Listing:
    """The images of a source in stored order.

    Attributes:
        origin: the path or built-in name, for people.
        classes: names in the source's natural order; some may have no image.
        ids: a unique name of each image.
        labels: int32 (n,), index into ``classes``.
        parts: int8 (n,), index into ``PARTS``.
        groups: the group of each image, where groups were asked for.
        images: where the pixels are.
        rows: int64 (n,), the row of each image in ``images``.
    """

    origin: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: NDArray[np.int32]
    parts: NDArray[np.int8]
    images: Files | Arrays
    rows: NDArray[np.int64]
    groups: tuple[str, ...] | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def native(self) -> tuple[int, int, int] | None:
        """Height, width and channels that arrays have by themselves; None for files."""
        if isinstance(self.images, Files):
            return None
        _, height, width, _ = self.images.pieces[0].shape
        return height, width, max(piece.shape[3] for piece in self.images.pieces)

    def take(self, keep: NDArray[np.int64]) -> Listing:
        """Return only the images at ``keep``, in that order."""
        return replace(
            self,
            ids=tuple(self.ids[row] for row in keep),
            labels=self.labels[keep],
            parts=self.parts[keep],
            rows=self.rows[keep],
            groups=None if self.groups is None else tuple(self.groups[row] for row in keep),
        )


@dataclass(frozen=True)
class PartSources:
    """Where each part comes from: a name within the source, or a fraction of the training images.

    Attributes:
        names: part → folder, file or key; ``""`` for the training images when they are the whole source.
        fractions: part → share of the training images.
        in_column: parts that a CSV's column gives, which a spec need not name.
    """

    names: dict[str, str]
    fractions: dict[str, float]
    in_column: frozenset[str] = frozenset()

    @property
    def in_force(self) -> dict[str, str | float | None]:
        """As a spec would say it: a name, a fraction, ``none`` for no such part; None for what needs no saying."""
        given: dict[str, str | float] = self.names | self.fractions
        return {part: None if part in self.in_column else given.get(part, "none") or None for part in PARTS}


def resolve_parts(data: DataSpec, available: Sequence[str], defaults: dict[str, float]) -> PartSources:
    """Say where train, validation and test come from.

    A name in the spec counts first. Without one, what is called ``train``, ``validation`` and ``test`` by custom is
    taken, provided that there is a ``train`` and at least one other; else train is everything and the others are
    carved out of it.

    Args:
        data: what the spec says.
        available: names in the source: sub-folders, files without ending, keys.
        defaults: part → fraction where the spec says nothing.

    Raises:
        SpecError: two parts have one name, or the fractions leave nothing to train on.
    """
    wanted = {"train": data.train, "validation": data.validation, "test": data.test}
    given = {part: value for part, value in wanted.items() if isinstance(value, str)}
    named = {part: value for part, value in given.items() if part == "train" or value != "none"}
    found = {
        part: next((name for name in available if name.lower() in names and name not in named.values()), None)
        for part, names in PART_NAMES.items()
    }
    others = found["validation"] or found["test"] or (set(named) - {"train"})
    if "train" not in named:
        named["train"] = found["train"] if found["train"] and others else ""
    fractions: dict[str, float] = {}
    for part in ("validation", "test"):
        value, name = wanted[part], found[part]
        if isinstance(value, float):
            fractions[part] = value
        elif value is None and name and named["train"]:
            named[part] = name
        elif value is None:
            fractions[part] = defaults[part]
    if len(set(named.values())) < len(named):
        raise SpecError(f"data: two of train, validation and test have one name: {named}")
    if sum(fractions.values()) >= 1:
        raise SpecError(
            f"data: validation and test take {sum(fractions.values()):g} of the images; below 1 is accepted"
        )
    return PartSources({part: named[part] for part in PARTS if part in named}, fractions)


def select_classes(listing: Listing, classes: Sequence[str] | None, *, strict: bool = False) -> Listing:
    """Return the listing with ``classes`` in that order, and only their images.

    Args:
        listing: what a source holds.
        classes: order and subset; None for all as they are.
        strict: a class of the listing that is not among ``classes`` is an error instead of being left out.

    Raises:
        DataError: a class that is not there, or, if strict, one that is not accepted.
    """
    if classes is None:
        return listing
    position = {name: index for index, name in enumerate(classes)}
    if strict:
        unknown = [name for name in listing.classes if name not in position]
        if unknown:
            raise DataError(
                f"{listing.origin} has {counted(len(unknown), 'class', 'classes')} that the model does not know: "
                f"{some(unknown)}{nearest(unknown[0], classes)} (it knows {some(classes)})"
            )
    else:
        missing = [name for name in classes if name not in listing.classes]
        raise_problems(
            f"data.classes does not fit {listing.origin}",
            [f"there is no class {name}{nearest(name, listing.classes)}" for name in missing],
        )
    mapping = np.array([position.get(name, -1) for name in listing.classes], np.int32)
    labels = mapping[listing.labels] if len(listing.labels) else listing.labels
    chosen = replace(listing, classes=tuple(classes), labels=labels)
    return chosen.take(np.flatnonzero(labels >= 0))


def raise_problems(headline: str, problems: Sequence[str], limit: int = 20) -> None:
    """Raise one DataError that lists the problems, the first ``limit`` of them in full; nothing if there are none."""
    if not problems:
        return
    if len(problems) == 1:
        raise DataError(f"{headline}: {problems[0]}")
    more = [f"  and {len(problems) - limit:,} more"] if len(problems) > limit else []
    raise DataError("\n".join([f"{headline}:", *(f"  {problem}" for problem in problems[:limit]), *more]))


def fingerprint(listing: Listing) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Return the SHA-256 of each image, (n, 32), and of those that cannot be read the reason by position.

    A file's is that of its bytes, an array's that of its shape, type and pixels. All bytes are read each time, since a
    file can change and keep its size and time; 60,000 small files take half a second.
    """
    hashes = np.zeros((len(listing.ids), 32), np.uint8)
    failures: dict[int, str] = {}

    def work(start: int) -> None:
        for position in range(start, min(start + HASH_BLOCK, len(hashes))):
            try:
                digest = _digest(listing, int(listing.rows[position]))
            except OSError as error:
                failures[position] = error.strerror or str(error)
            else:
                hashes[position] = np.frombuffer(digest, np.uint8)

    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(work, range(0, len(hashes), HASH_BLOCK)):
            pass
    return hashes, failures


def _digest(listing: Listing, row: int) -> bytes:
    if isinstance(listing.images, Files):
        with open(listing.images.paths[row], "rb", buffering=0) as file:  # noqa: PTH123 - a Path a file costs a quarter
            return hashlib.file_digest(file, "sha256").digest()
    pixels = listing.images.row(row)
    return hashlib.sha256(f"{pixels.shape} {pixels.dtype} ".encode() + pixels.tobytes()).digest()


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
