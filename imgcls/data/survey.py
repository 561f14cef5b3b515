"""What data holds, as far as it can be told without reading a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgcls.data.builtin import CLASS_NAMES
from imgcls.data.dataset import DEFAULT_FRACTIONS
from imgcls.data.listing import select_classes
from imgcls.data.sources import list_source
from imgcls.spec.data import BUILT_IN, DataSpec

__all__ = ["Survey", "survey"]


@dataclass(frozen=True)
class Survey:
    """The classes in their order, and the data's own resolution [height, width] and color."""

    classes: tuple[str, ...]
    resolution: tuple[int, int]
    color: Literal["rgb", "grayscale"]


def survey(data: DataSpec, *, base: Path) -> Survey:
    """List a source; built-in ones are known and need no download.

    Args:
        base: the folder that ``data.path`` is relative to.

    Raises:
        DataError: the data is missing, or does not fit the spec.
    """
    if (built_in := BUILT_IN.get(data.source)) is not None:
        return Survey(data.classes or CLASS_NAMES[data.source], built_in.resolution, built_in.color)
    listing = select_classes(list_source(data, base, DEFAULT_FRACTIONS)[0], data.classes)
    return Survey(listing.classes, *listing.natural)
