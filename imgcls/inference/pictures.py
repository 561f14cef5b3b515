"""Pictures of an answer: the image with its class above it, in a folder where nothing is overwritten."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from imgcls.data.images import picture
from imgcls.errors import RunError
from imgcls.evaluation.pictures import short_name
from imgcls.files import whole_file
from imgcls.wording import within_bytes

__all__ = ["PictureFolder", "annotated", "explained", "overlaid"]

_LEAST_SIDE = 240  # pixels; smaller images are enlarged, as one of 28 x 28 cannot be seen beside its caption
_FONT_SHARE, _LEAST_FONT, _LARGEST_FONT = 20, 14, 64  # of the width; pixels
_INK, _PAPER = (20, 24, 28), (255, 255, 255)
_GAP, _SCALE_WIDTH = 8, 12  # pixels
_HEAT_SHARE = 0.6  # of the colours, over the image
_MAX_NAME = 180  # bytes of a file's name, without its ending; disks take 255, and it has a longer one at first
_JPEG_QUALITY = 92


class PictureFolder:
    """Owner of a folder of pictures; a name that is taken gets a number.

    Raises:
        RunError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: dict[str, int] = {}  # stem → the last number it got
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot make the folder {folder}: {error.strerror}") from error

    def write(self, name: str, image: Image.Image) -> Path:
        """Write a picture under the name of the image that it shows: photos as JPEG, all else as PNG.

        Raises:
            RunError: it cannot be written.
        """
        is_photo = PurePath(name).suffix.lower() in (".jpg", ".jpeg", ".jfif")
        path = self._free(
            within_bytes(PurePath(name).stem.replace("\0", ""), _MAX_NAME), ".jpg" if is_photo else ".png"
        )
        file = io.BytesIO()
        image.save(file, "JPEG" if is_photo else "PNG", quality=_JPEG_QUALITY)
        with whole_file(path, lasting=False) as temporary:
            temporary.write_bytes(file.getvalue())
        return path

    def _free(self, stem: str, ending: str) -> Path:
        stem = stem or "image"
        number = self.taken.get(stem + ending, 0) + 1
        while (path := self.folder / f"{stem}{f'-{number}' if number > 1 else ''}{ending}").exists():
            number += 1
        self.taken[stem + ending] = number
        return path


def annotated(file: bytes, name: str, probability: float) -> Image.Image:
    """Return a copy of an image, upright and in its own size, with class and probability above it.

    Args:
        file: the bytes of an image that can be read.
        name: of the class.
        probability: 0..1.
    """
    return _captioned(_enlarged(picture(file).convert("RGB")), _caption(name, probability))


def explained(pixels: NDArray[np.uint8], heat: NDArray[np.float32], name: str, probability: float) -> Image.Image:
    """Return an image as the network saw it, and beside it in grey under its heat map, with the scale of colours.

    The colours are viridis, which is perceptually uniform: dark blue is 0, yellow 1.

    Args:
        pixels: uint8 (height, width, 1 or 3), 0..255.
        heat: float32 (height, width), 0..1.
        name: of the class.
        probability: 0..1.
    """
    seen = _enlarged(Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels).convert("RGB"))
    under = overlaid(seen, heat)
    scale = _coloured(np.repeat(np.linspace(1, 0, seen.height)[:, None], _SCALE_WIDTH, axis=1))
    canvas = Image.new("RGB", (2 * seen.width + _SCALE_WIDTH + 2 * _GAP, seen.height), _PAPER)
    for left, part in ((0, seen), (seen.width + _GAP, under), (2 * (seen.width + _GAP), scale)):
        canvas.paste(part, (left, 0))
    nothing = "" if heat.any() else ": no place speaks for it"
    return _captioned(canvas, _caption(name, probability) + nothing)


def overlaid(image: Image.Image, heat: NDArray[np.float32]) -> Image.Image:
    """Return an image in grey under its heat map, float32 (height, width), 0..1, of any size."""
    stretched = Image.fromarray(heat).resize(image.size, Image.Resampling.BILINEAR)
    return Image.blend(image.convert("L").convert("RGB"), _coloured(np.asarray(stretched)), _HEAT_SHARE)


def _coloured(values: NDArray[np.floating[Any]]) -> Image.Image:
    """Return (height, width), 0..1, as colours."""
    import matplotlib as mpl

    return Image.fromarray(mpl.colormaps["viridis"](np.clip(values, 0, 1), bytes=True)[..., :3].copy())


def _caption(name: str, probability: float) -> str:
    return f"{short_name(name, 60)}  {probability:.1%}"


def _enlarged(image: Image.Image) -> Image.Image:
    """Return an image whose longer side has some hundred pixels, each of the small one a square."""
    factor = -(-_LEAST_SIDE // max(image.size))
    return (
        image if factor <= 1 else image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    )


def _captioned(image: Image.Image, text: str) -> Image.Image:
    """Return an RGB image under a strip with a line of text; a narrow one is centred below it."""
    size_px = min(max(image.width // _FONT_SHARE, _LEAST_FONT), _LARGEST_FONT)
    font = _font(size_px)
    margin = size_px // 3
    width = max(image.width, round(font.getlength(text)) + 2 * margin)
    strip = round(1.2 * size_px) + 2 * margin
    canvas = Image.new("RGB", (width, image.height + strip), _PAPER)
    ImageDraw.Draw(canvas).text((margin, strip // 2), text, _INK, font, anchor="lm")
    canvas.paste(image, ((width - image.width) // 2, strip))
    return canvas


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    """Return the font that matplotlib brings, which has Greek and Cyrillic letters too."""
    import matplotlib as mpl

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size_px)
