"""From a file's bytes, or an array, to the pixels that a network sees.

One rule for each kind of image:

- The orientation that EXIF gives is applied.
- Palettes are looked up. Bilevel images are 0 and 255.
- Grey becomes rgb by repeating the channel, rgb becomes grey by Pillow's ``L`` (ITU-R 601-2 luma).
- Alpha, of whatever mode, is laid over white.
- CMYK becomes rgb by Pillow's formula; embedded colour profiles are not applied.
- 16-bit grey is divided by 257 and rounded, so that 65535 is 255; 16-bit colour keeps its upper eight bits.
- 32-bit integers and floats have no range that 0..255 could stand for: they are refused.
- Of several frames or pages the first is taken.
- Of a very large picture the mean of squares of pixels is taken, which are small beside those of the wanted size.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

__all__ = [
    "DECODING_VERSION",
    "MAX_PIXELS",
    "Decoded",
    "Geometry",
    "UnreadableImageError",
    "decode",
    "fit_array",
    "picture",
]

DECODING_VERSION = 2  # raise it when a rule here changes any pixel: prepared data of old rules is then not used

# Nothing else is tried: Pillow's other readers are rarely tested, and the one for EPS starts a program.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
MAX_PIXELS = 178_956_970  # twice Pillow's default, where it raises; a phone's 108-megapixel photo is still read
MAX_WEBP_PIXELS = 50_000_000  # libwebp holds four copies of 4 bytes a pixel: 34 bytes can ask for 3 GB
MAX_PROGRESSIVE_CMYK_PIXELS = 100_000_000  # libjpeg holds 8 bytes a pixel
MAX_FILE_BYTES = 1_000_000_000  # 179 million pixels of 16-bit colour, as many as are decoded
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ON_ITS_SIDE = (5, 6, 7, 8)  # orientations whose width is the picture's height
DRAFT_MARGIN = 2  # a JPEG is decoded at no less than twice the wanted size, so that resampling still antialiases
LARGE = 10_000_000  # pixels: some 40 MB; of larger pictures one at a time is decoded, and what follows is done in bands
BAND = 2_000_000  # pixels
BAND_MARGIN = 4  # times as large as a JPEG's draft: the squares at the edge, which count as whole, are then a sliver

_large_one = threading.Lock()

# Pillow takes memory in pieces of 16 MB. Of such, the GNU C library keeps for the thread what was freed: 700 MB a
# thread after one large picture. Pieces of over 32 MB go back to the system. Small pictures take what they need.
Image.core.set_block_size(64 * 1024 * 1024)  # type: ignore[attr-defined]

_Made = TypeVar("_Made")


class UnreadableImageError(Exception):
    """The bytes are no image that can be used; the message says why in a few words."""


@dataclass(frozen=True)
class Geometry:
    """What every prepared image is brought to.

    Attributes:
        resolution: height and width in pixels.
        resize: ``stretch`` ignores the sides' ratio, ``crop`` fills the target and cuts evenly what is beyond,
            ``pad`` shows the whole image centred on black.
    """

    resolution: tuple[int, int]
    color: Literal["rgb", "grayscale"]
    resize: Literal["stretch", "crop", "pad"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (*self.resolution, 3 if self.color == "rgb" else 1)


class Decoded(NamedTuple):
    """What came out of a file.

    Attributes:
        pixels: uint8 (height, width, channels) in 0..255, of the wanted geometry.
        several: whether there were further frames.
        size: height and width of the picture in the file, in pixels.
    """

    pixels: NDArray[np.uint8]
    several: bool
    size: tuple[int, int]


def decode(data: bytes, geometry: Geometry) -> Decoded:
    """Read the bytes of an image file.

    Raises:
        UnreadableImageError: not an image, truncated, too large, or of a kind that has no rule.
    """
    pixels, several, size = _read(
        data, lambda image: _fit(image, geometry), side=DRAFT_MARGIN * max(geometry.resolution)
    )
    return Decoded(pixels, several, size)


def picture(data: bytes) -> Image.Image:
    """Return what an image file shows, in its own size: upright, ``L`` or ``RGB``, without alpha.

    Raises:
        UnreadableImageError: as ``decode``.
    """
    return _read(data, Image.Image.copy)[0]


def _read(data: bytes, finish: Callable[[Image.Image], _Made], *, side: int = 0) -> tuple[_Made, bool, tuple[int, int]]:
    """Open, check and turn an image; return what ``finish`` makes of it, then as ``Decoded``.

    Args:
        side: in pixels; a JPEG may be decoded smaller, as long as its sides stay longer. 0: as large as it is.
    """
    if not data:
        raise UnreadableImageError("the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image)
            several = image.format != "MPO" and bool(getattr(image, "is_animated", False))  # a phone's MPO is one photo
            if several:
                image.seek(0)
            width, height = image.size
            if side:
                image.draft(None, (side, side))  # None keeps the mode
            whole = (width, height) if image.info.get("progressive") else image.size
            with _room_for(image, whole[0] * whole[1]):
                image.load()
                orientation = _orientation(image)
                plain = _opaque(image, is_png=image.format == "PNG") if not side else _reduced(image, side)
                upright = plain.transpose(TURNS[orientation]) if orientation in TURNS else plain
                size = (width, height) if orientation in ON_ITS_SIDE else (height, width)
                return finish(upright), several, size
    except (UnreadableImageError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError("not an image of a known format") from error
    except Exception as error:
        # Broken files make Pillow raise nearly anything: OSError, SyntaxError, struct.error, IndexError.
        raise UnreadableImageError(" ".join(str(error).split()) or type(error).__name__) from error


def fit_array(pixels: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
    """Bring one uint8 array (height, width, 1 or 3) to the geometry."""
    if pixels.shape == geometry.shape:
        return pixels
    return _fit(Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels), geometry)


def _check_size(image: Image.Image) -> None:
    most = MAX_WEBP_PIXELS if image.format == "WEBP" else MAX_PIXELS
    if image.mode == "CMYK" and image.info.get("progressive"):
        most = MAX_PROGRESSIVE_CMYK_PIXELS
    if image.width * image.height > most:
        raise UnreadableImageError(f"{image.width} x {image.height} pixels are too many")


@contextmanager
def _room_for(image: Image.Image, pixels: int) -> Iterator[None]:
    """Let one large picture at a time be in memory.

    Args:
        pixels: that are there at once; of a progressive JPEG all, before it is made smaller.
    """
    if pixels <= LARGE:
        yield
        return
    with _large_one:
        try:
            yield
        finally:
            image.close()  # an error on its way up would hold its memory after the next one began


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """Return a picture as ``_opaque`` does; a large one smaller by a whole number, its sides well above ``side``.

    It is done in bands, so that no second copy of the large picture is ever in memory.
    """
    is_png = image.format == "PNG"
    if image.width * image.height <= LARGE:
        return _opaque(image, is_png=is_png)
    factor = max(1, min(image.size) // (BAND_MARGIN * side))
    height = factor * max(1, BAND // (image.width * factor))
    small: Image.Image | None = None
    for top in range(0, image.height, height):
        band = image.crop((0, top, image.width, min(top + height, image.height)))
        part = _opaque(band, is_png=is_png).reduce(factor)
        if small is None:
            small = Image.new(part.mode, (part.width, -(-image.height // factor)))
        small.paste(part, (0, top // factor))
    assert small is not None
    return small


def _orientation(image: Image.Image) -> int:
    """Return how the picture is to be turned, as EXIF counts it: 1 is upright."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - broken EXIF beside good pixels says nothing about the orientation
        return 1


def _opaque(image: Image.Image, *, is_png: bool) -> Image.Image:
    """Return the image as 8-bit ``L`` or ``RGB`` without alpha."""
    if image.mode.startswith("I;16") or (image.mode == "I" and is_png):
        return _from_16_bit(image)
    if image.mode in ("I", "F"):
        kind = "integers" if image.mode == "I" else "floating-point numbers"
        raise UnreadableImageError(
            f"its pixels are 32-bit {kind}, which have no fixed range; save it with 8 or 16 bits"
        )
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        flat = Image.alpha_composite(white, layer).convert("RGB")
        return flat.convert("L") if image.mode in ("L", "LA", "La") else flat
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.uint32)
    scaled = ((values + 128) // 257).astype(np.uint8)
    key = image.info.get("transparency")
    if isinstance(key, int):
        scaled[values == key] = 255
    return Image.fromarray(scaled)


def _fit(image: Image.Image, geometry: Geometry) -> NDArray[np.uint8]:
    mode = "RGB" if geometry.color == "rgb" else "L"
    if image.mode != mode:
        image = image.convert(mode)
    height, width = geometry.resolution
    if image.size != (width, height):
        image = _resized(image, width, height, geometry.resize)
    return np.asarray(image).reshape(geometry.shape)


def _resized(image: Image.Image, width: int, height: int, how: str) -> Image.Image:
    """Resample with Pillow's ``BILINEAR``, whose support grows with the reduction and so antialiases."""
    sampling = Image.Resampling.BILINEAR
    if how == "stretch":
        return image.resize((width, height), sampling)
    if how == "crop":
        scale = max(width / image.width, height / image.height)
        inside = (min(width / scale, image.width), min(height / scale, image.height))
        left, top = (image.width - inside[0]) / 2, (image.height - inside[1]) / 2
        return image.resize((width, height), sampling, box=(left, top, left + inside[0], top + inside[1]))
    scale = min(width / image.width, height / image.height)
    size = (max(1, min(width, round(image.width * scale))), max(1, min(height, round(image.height * scale))))
    canvas = Image.new(image.mode, (width, height))
    canvas.paste(image.resize(size, sampling), ((width - size[0]) // 2, (height - size[1]) // 2))
    return canvas
