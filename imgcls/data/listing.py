"""What a source holds, before any pixel is decoded."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgcls.data.problems import raise_problems
from imgcls.errors import DataError, nearest
from imgcls.findings import Finding
from imgcls.spec.data import DEFAULT_RESOLUTION
from imgcls.wording import counted, some

__all__ = ["Arrays", "Files", "Listing", "composed", "select_classes", "tell_similar"]


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
    def natural(self) -> tuple[tuple[int, int], Literal["rgb", "grayscale"]]:
        """The [height, width] and color where a spec names none: those of arrays; of files, which differ, a default."""
        if isinstance(self.images, Files):
            return DEFAULT_RESOLUTION, "rgb"
        _, height, width, _ = self.images.pieces[0].shape
        return (height, width), "rgb" if any(piece.shape[3] > 1 for piece in self.images.pieces) else "grayscale"

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


def composed(name: str) -> str:
    """Return a name with each letter and its accents as one character; archives made on a Mac keep them apart."""
    return unicodedata.normalize("NFC", name)


def select_classes(listing: Listing, classes: Sequence[str] | None, *, strict: bool = False) -> Listing:
    """Return the listing with ``classes`` in that order, and only their images.

    Accents count alike whether or not they are composed with their letters.

    Args:
        listing: what a source holds.
        classes: order and subset; None for all as they are.
        strict: a class of the listing that is not among ``classes`` is an error instead of being left out.

    Raises:
        DataError: a class that is not there, or, if strict, one that is not accepted.
    """
    if classes is None:
        return listing
    exact = {name: index for index, name in enumerate(classes)}
    position = {composed(name): index for name, index in exact.items()} | exact
    mapping = np.array([position.get(name, position.get(composed(name), -1)) for name in listing.classes], np.int32)
    if strict:
        unknown = [listing.classes[index] for index in np.flatnonzero(mapping < 0)]
        if unknown:
            raise DataError(
                f"{listing.origin} has {counted(len(unknown), 'class', 'classes')} that the model does not know: "
                f"{some(unknown)}{nearest(unknown[0], classes)} (it knows {some(classes)})"
            )
    else:
        there = set(map(composed, listing.classes))
        missing = [name for name in classes if composed(name) not in there]
        raise_problems(
            f"data.classes does not fit {listing.origin}",
            [f"there is no class {name}{nearest(name, listing.classes)}" for name in missing],
        )
    labels = mapping[listing.labels] if len(listing.labels) else listing.labels
    chosen = replace(listing, classes=tuple(classes), labels=labels)
    return chosen.take(np.flatnonzero(labels >= 0))


def tell_similar(classes: Sequence[str]) -> tuple[Finding, ...]:
    """Tell of classes whose names differ in capitals and outer spaces alone."""
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault(composed(name.strip().casefold()), []).append(name)
    groups = [" and ".join(map(repr, names)) for names in alike.values() if len(names) > 1]
    if not groups:
        return ()
    return (Finding("similar_classes", f"classes whose names differ in capitals or spaces alone: {some(groups)}"),)
