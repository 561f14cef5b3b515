"""From a template to a page; whatever comes from data is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from imgcls.errors import DataError

__all__ = ["known", "rendered", "text_of", "thumbnail"]

_SIDE = 128  # pixels at most
_SMALL = 64  # up to this an image is kept to the pixel


def known(read: Callable[[], Any], empty: Any) -> Any:
    """Return what can be read, or what stands for nothing: a page of an unfinished or damaged run has the rest."""
    try:
        return read()
    except DataError:
        return empty


def text_of(path: Path) -> str:
    """Return what a file holds; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def rendered(template: str, **values: Any) -> str:
    """Return the page of a template in ``templates/`` with values in it."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("imgcls.pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Return an image as it can stand in a page, made smaller where it is large.

    Args:
        pixels: uint8 (height, width, 1 or 3).
    """
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    is_small = max(image.size) <= _SMALL
    image.thumbnail((_SIDE, _SIDE))
    file = io.BytesIO()
    if is_small:
        image.save(file, "PNG", optimize=True)
    else:
        image.save(file, "JPEG", quality=80)
    kind = "png" if is_small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
