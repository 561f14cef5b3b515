"""What data holds, as far as a proposal needs it: counts, parts, and the sizes of a few pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgcls.data.dataset import DEFAULT_FRACTIONS
from imgcls.data.images import FORMATS
from imgcls.data.listing import Arrays, Listing
from imgcls.data.parts import PARTS, PartSources
from imgcls.data.sources import list_source
from imgcls.errors import DataError
from imgcls.spec.data import DataSpec
from imgcls.starter.finding import Found
from imgcls.wording import counted, display, some

__all__ = ["Seen", "look"]

SAMPLE = 64  # pictures whose size is read
GREY = ("1", "L", "LA", "I", "I;16", "I;16B")  # Pillow's modes without colour


@dataclass(frozen=True)
class Seen:
    """What there is to choose by.

    Attributes:
        classes: those that can be divided into the parts that are needed.
        too_small: the others, with their images.
        counts: images of each of the classes, all parts together.
        learnt: likewise, of the images that are to train on, validation images included where these are not given.
        parts: part → images, of the parts that the data gives itself; empty where it gives none.
        height, width: median of the pictures looked at, in pixels.
        same_size: whether all of them had that size.
        grey: whether none of them had colour.
    """

    found: Found
    classes: tuple[str, ...]
    too_small: dict[str, int]
    counts: tuple[int, ...]
    learnt: tuple[int, ...]
    parts: dict[str, int]
    height: int
    width: int
    same_size: bool
    grey: bool

    @property
    def images(self) -> int:
        """How many there are."""
        return sum(self.counts)

    @property
    def short_side(self) -> int:
        """The shorter side of the median picture, in pixels."""
        return min(self.height, self.width)

    @property
    def ratio(self) -> float:
        """How many times as many images to train on the largest class has as the smallest."""
        return max(self.learnt) / max(1, min(self.learnt))

    def lines(self) -> list[str]:
        """Return it for people: what there is, how it is divided, how large the pictures are."""
        kind = {"folder": "class folders", "csv": "a CSV file", "npz": "arrays"}[self.found.source]
        least, most = min(self.counts), max(self.counts)
        each = f"{most:,} each" if least == most else f"{least:,} to {most:,} each"
        lines = [
            f"{kind} in {display(self.found.path)}",
            f"{counted(self.images, 'image')} of {counted(len(self.classes), 'class', 'classes')}, {each}",
        ]
        if self.too_small:
            few = [f"{name} {count}" for name, count in self.too_small.items()]
            lines.append(f"left out, for too few images to be divided: {some(few)}")
        if self.parts:
            lines.append("divided already: " + ", ".join(f"{part} {count:,}" for part, count in self.parts.items()))
        about = "" if self.same_size else "about "
        lines.append(f"pictures of {about}{self.width}x{self.height} pixels, in {'grey' if self.grey else 'colour'}")
        if self.found.beside:
            lines.append(f"there is {' and '.join(self.found.beside)} too, which the spec does not use")
        return lines


def look(found: Found) -> Seen:
    """List the data and read the size of a few of its pictures.

    Raises:
        DataError: the data cannot be listed, or has fewer than two classes.
    """
    listing, sources = list_source(DataSpec(source=found.source, path=str(found.path)), Path.cwd(), DEFAULT_FRACTIONS)
    if len(listing.classes) < 2:
        name = ", ".join(listing.classes)
        raise DataError(f"{display(found.path)} has one class alone, {name}: two or more are needed")
    sizes, grey = _pictures(listing)
    height, width = (int(median(side)) for side in zip(*sizes, strict=True))
    counts = _counts(listing, listing.labels)
    learnt = _counts(listing, listing.labels[listing.parts == PARTS.index("train")])
    parts = _parts(listing, sources)
    needed = 1 + len({"validation", "test"} - parts.keys())
    enough = [index for index, count in enumerate(learnt) if count >= needed]
    kept = enough if len(enough) > 1 else range(len(learnt))  # of which training will tell
    return Seen(
        found=found,
        classes=tuple(listing.classes[index] for index in kept),
        too_small={name: counts[index] for index, name in enumerate(listing.classes) if index not in kept},
        counts=tuple(counts[index] for index in kept),
        learnt=tuple(learnt[index] for index in kept),
        parts=parts,
        height=height,
        width=width,
        same_size=len(set(sizes)) == 1,
        grey=grey,
    )


def _counts(listing: Listing, labels: NDArray[np.int32]) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=len(listing.classes)).tolist())


def _parts(listing: Listing, sources: PartSources) -> dict[str, int]:
    """Return part → images, where the data itself gives more than one part."""
    images = Counter(listing.parts.tolist())
    given = {part: images[PARTS.index(part)] for part in PARTS if part in sources.names}
    return given if len(given) > 1 else {}


def _pictures(listing: Listing) -> tuple[Sequence[tuple[int, int]], bool]:
    """Return height and width of pictures taken evenly from all, and whether none has colour.

    Raises:
        DataError: none of them can be read.
    """
    if isinstance(listing.images, Arrays):
        (height, width), color = listing.natural
        return [(height, width)], color == "grayscale"
    paths = listing.images.paths
    chosen = [paths[index * len(paths) // SAMPLE] for index in range(SAMPLE)] if len(paths) > SAMPLE else paths
    heads = [head for path in chosen if (head := _head(path)) is not None]
    if not heads:
        raise DataError(
            f"of {display(listing.origin)}, {counted(len(chosen), 'picture')} were looked at: none can be read"
        )
    return [size for size, _ in heads], all(grey for _, grey in heads)


def _head(path: str) -> tuple[tuple[int, int], bool] | None:
    """Return height and width as stored, and whether the picture is grey; None where it cannot be read."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return (image.height, image.width), image.mode in GREY
    except Exception:  # noqa: BLE001 - broken files make Pillow raise nearly anything; the audit tells of them
        return None
