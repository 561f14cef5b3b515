from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgcls.data import images
from imgcls.data.images import Geometry, UnreadableImageError, decode, fit_array
from imgcls.errors import DataError

RGB = Geometry((4, 6), "rgb", "stretch")
GREY = Geometry((4, 6), "grayscale", "stretch")


def encode(image: Image.Image, kind: str = "png", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(image: Image.Image, kind: str = "png", geometry: Geometry = RGB, **options: Any) -> np.ndarray:
    return decode(encode(image, kind, **options), geometry)[0]


def halves(mode: str, left: Any, right: Any) -> Image.Image:
    image = Image.new(mode, (6, 4), right)
    image.paste(left, (0, 0, 3, 4))
    return image


@pytest.mark.parametrize("kind", ["png", "gif", "bmp", "webp", "tiff", "jpeg"])
def test_every_kind_of_file_gives_its_pixels(kind: str) -> None:
    options = {"lossless": True} if kind == "webp" else {}
    got = pixels(Image.new("RGB", (6, 4), (200, 100, 50)), kind, **options)
    assert got.shape == (4, 6, 3)
    assert np.abs(got.astype(int) - [200, 100, 50]).max() <= 3


def test_grey_becomes_rgb_by_repeating_and_rgb_becomes_grey_by_luma() -> None:
    assert (pixels(Image.new("L", (6, 4), 77)) == 77).all()
    assert (pixels(Image.new("RGB", (6, 4), (255, 0, 0)), geometry=GREY) == 76).all()
    assert pixels(Image.new("L", (6, 4), 77), geometry=GREY).shape == (4, 6, 1)


@pytest.mark.parametrize(("mode", "colour", "expected"), [
    ("RGBA", (255, 0, 0, 0), 255), ("LA", (0, 0), 255), ("RGBA", (0, 0, 0, 255), 0), ("LA", (100, 255), 100),
])  # fmt: skip
def test_alpha_is_laid_over_white(mode: str, colour: Any, expected: int) -> None:
    assert (pixels(Image.new(mode, (6, 4), colour)) == expected).all()


def test_half_transparent_black_is_middle_grey() -> None:
    assert np.abs(pixels(Image.new("RGBA", (6, 4), (0, 0, 0, 128))).astype(int) - 127).max() <= 1


def test_palettes_are_looked_up_and_their_transparency_is_white() -> None:
    image = halves("RGB", (10, 20, 30), (200, 100, 0)).convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    plain = pixels(image)
    assert np.abs(plain[0, 0].astype(int) - (10, 20, 30)).max() <= 2
    clear = image.getpixel((0, 0))
    see_through = pixels(image, transparency=clear)
    assert (see_through[:, :3] == 255).all()
    assert (see_through[:, 3:] == plain[:, 3:]).all()


def test_a_transparent_colour_of_a_grey_png_is_white() -> None:
    got = pixels(halves("L", 7, 90), transparency=7)
    assert (got[:, :3] == 255).all()
    assert (got[:, 3:] == 90).all()


def test_bilevel_images_are_black_and_white() -> None:
    got = pixels(halves("1", 0, 1))
    assert (got[:, :3] == 0).all()
    assert (got[:, 3:] == 255).all()


def test_cmyk_becomes_rgb() -> None:
    got = pixels(Image.new("CMYK", (6, 4), (0, 255, 255, 0)), "tiff")
    assert (got == (255, 0, 0)).all()


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bit_images_keep_their_intensities(kind: str) -> None:
    values = np.array([0, 257, 128 * 257, 200 * 257 + 100, 65534, 65535], np.uint16)
    got = pixels(Image.fromarray(np.tile(values, (4, 1))), kind, GREY)
    assert got[0, :, 0].tolist() == [0, 1, 128, 200, 255, 255]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_images_are_refused_by_name(mode: str) -> None:
    with pytest.raises(UnreadableImageError, match="32-bit"):
        pixels(Image.new(mode, (6, 4), 3), "tiff")


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_the_orientation_of_exif_is_applied(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the left half comes to the top
    options = {"lossless": True} if kind == "webp" else {}
    got = pixels(halves("RGB", (255, 255, 255), (0, 0, 0)), kind, GREY, exif=exif, **options)
    assert got[0].min() > 200
    assert got[-1].max() < 50


@pytest.mark.parametrize(("orientation", "upright"), [
    (1, lambda a: a), (2, lambda a: a[:, ::-1]), (3, lambda a: a[::-1, ::-1]), (4, lambda a: a[::-1]),
    (5, lambda a: a.T), (6, lambda a: a.T[:, ::-1]), (7, lambda a: a.T[::-1, ::-1]), (8, lambda a: a.T[::-1]),
])  # fmt: skip
def test_every_orientation_moves_each_pixel_to_its_place(orientation: int, upright: Any) -> None:
    stored = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10  # lossless, so to the pixel
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = upright(stored)
    geometry = Geometry((expected.shape[0], expected.shape[1]), "grayscale", "stretch")
    got = decode(encode(Image.fromarray(stored), "png", exif=exif), geometry)
    assert (got.pixels[:, :, 0] == expected).all()
    assert got.size == expected.shape


def test_the_size_of_a_photo_is_that_of_the_file_however_small_it_is_decoded() -> None:
    data = encode(Image.new("RGB", (640, 479)), "jpeg")
    assert decode(data, Geometry((8, 8), "rgb", "stretch")).size == (479, 640)


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_every_alpha_mixes_with_white_by_its_share(mode: str, kind: str) -> None:
    alpha = np.array([0, 1, 64, 128, 254, 255], np.uint8)
    colour = np.array([0, 10, 100, 200, 255, 77], np.uint8)
    layers = np.stack([*([colour] * (len(mode) - 1)), alpha], -1)
    got = pixels(Image.fromarray(np.tile(layers, (4, 1, 1)).astype(np.uint8)), kind)
    share = alpha / 255
    assert np.abs(got - (colour * share + 255 * (1 - share))[None, :, None]).max() <= 1


def test_each_entry_of_a_palette_has_its_own_alpha() -> None:
    image = Image.fromarray(np.tile(np.arange(6, dtype=np.uint8), (4, 1)), "P")
    palette = np.random.default_rng(0).integers(0, 256, (6, 3))
    image.putpalette(palette.astype(np.uint8).tobytes())
    alpha = np.array([0, 50, 100, 200, 255, 255])
    got = pixels(image, transparency=bytes(alpha.tolist()))
    share = alpha[:, None] / 255
    assert np.abs(got - (palette * share + 255 * (1 - share))[None]).max() <= 1


def test_16_bit_big_endian_and_colour_files_keep_their_intensities() -> None:
    values = np.array([[0, 257, 128 * 257, 200 * 257 + 100, 65534, 65535]] * 4, np.uint16)
    grey = pixels(Image.fromarray(values.astype(">u2")), "tiff", GREY)
    assert (grey[:, :, 0] == np.rint(values / 257)).all()
    colour = np.stack([values, values[:, ::-1], values], -1)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colour)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 6, 4, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(body)) + k + body + struct.pack(">I", zlib.crc32(k + body)) for k, body in chunks]
    got = decode(b"\x89PNG\r\n\x1a\n" + b"".join(parts), RGB)[0]
    assert (got == colour >> 8).all()


@pytest.mark.parametrize("ink", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 255, 0), (40, 80, 120, 60), (0, 0, 0, 255)])
def test_cmyk_jpegs_have_their_colours_and_not_the_negative(ink: tuple[int, ...]) -> None:
    got = pixels(Image.new("CMYK", (6, 4), ink), "jpeg", quality=100)
    expected = [(255 - each) * (255 - ink[3]) / 255 for each in ink[:3]]
    assert np.abs(got - np.array(expected)).max() <= 3


def test_broken_exif_does_not_make_an_image_unreadable() -> None:
    data = encode(Image.new("RGB", (6, 4), (9, 9, 9)), "png")
    junk = b"MM\0*\xff\xff\xff\xff"
    chunk = struct.pack(">I", len(junk)) + b"eXIf" + junk + struct.pack(">I", zlib.crc32(b"eXIf" + junk))
    assert (decode(data[:33] + chunk + data[33:], RGB)[0] == 9).all()


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tiff"])
def test_the_first_of_several_frames_is_taken_and_told(kind: str) -> None:
    first, second = Image.new("RGB", (6, 4), (255, 255, 255)), Image.new("RGB", (6, 4), (0, 0, 0))
    got, several, _ = decode(encode(first, kind, save_all=True, append_images=[second]), RGB)
    assert several
    assert got.min() > 250
    assert not decode(encode(first, kind), RGB)[1]


def test_truncated_empty_and_foreign_files_are_unreadable() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    for kind in ("jpeg", "png", "gif", "bmp", "tiff", "webp"):
        data = encode(noise, kind)
        with pytest.raises(UnreadableImageError):
            decode(data[: len(data) * 2 // 3], RGB)
    for data in (b"", b"<html>404</html>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xff\xd8\xff"):
        with pytest.raises(UnreadableImageError):
            decode(data, RGB)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # preparation turns it off for all threads
def test_a_small_file_that_unfolds_to_billions_of_pixels_is_refused() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = encode(Image.new("RGB", (6, 4)))
    bomb = data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:]
    with pytest.raises(UnreadableImageError, match="pixels"):
        decode(bomb, RGB)


def test_stretch_crop_and_pad_do_what_they_say() -> None:
    image = Image.new("RGB", (30, 10), (0, 255, 0))
    image.paste((255, 0, 0), (0, 0, 10, 10))
    image.paste((0, 0, 255), (20, 0, 30, 10))
    data = encode(image)
    stretched = decode(data, Geometry((10, 10), "rgb", "stretch"))[0]
    assert stretched[5, 0, 0] > 200
    assert stretched[5, 9, 2] > 200
    cropped = decode(data, Geometry((10, 10), "rgb", "crop"))[0]
    assert (cropped == (0, 255, 0)).all()
    padded = decode(data, Geometry((30, 30), "rgb", "pad"))[0]
    assert (padded[:10] == 0).all()
    assert (padded[20:] == 0).all()
    assert (padded[10:20] == np.asarray(image)).all()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 7), (401, 399)])
def test_any_size_comes_to_the_target(resize: Any, size: tuple[int, int]) -> None:
    got = decode(encode(Image.new("L", size, 50)), Geometry((5, 9), "rgb", resize))[0]
    assert got.shape == (5, 9, 3)
    assert got.dtype == np.uint8
    assert got.max() in (49, 50)


def test_making_smaller_averages_instead_of_picking() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    got = decode(encode(Image.fromarray(stripes)), Geometry((8, 8), "grayscale", "stretch"))[0]
    assert np.abs(got.astype(int) - 127).max() <= 10


def test_reduced_decoding_of_large_jpegs_changes_next_to_nothing() -> None:
    y, x = np.mgrid[0:512, 0:640]
    image = Image.fromarray(np.stack([x % 256, y % 256, (x + y) // 5], -1).astype(np.uint8)).resize((1280, 1024))
    got = decode(encode(image, "jpeg", quality=95), Geometry((32, 32), "rgb", "stretch"))[0]
    plain = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(got.astype(int) - plain).mean() < 2


def test_arrays_follow_the_same_rules_as_files() -> None:
    array = np.random.default_rng(1).integers(0, 256, (9, 11, 3), np.uint8)
    assert (fit_array(array, RGB) == pixels(Image.fromarray(array))).all()
    assert (fit_array(array, Geometry((9, 11), "rgb", "stretch")) == array).all()
    assert fit_array(array[:, :, :1], RGB).shape == (4, 6, 3)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "1", "I;16", "CMYK"])
def test_a_large_picture_is_made_smaller_in_bands_and_looks_the_same(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ramp = Image.linear_gradient("L").resize((150, 210))
    image = ramp.convert("RGB").convert(mode) if mode != "I;16" else Image.fromarray(np.asarray(ramp) * np.uint16(257))
    data = encode(image, "tiff" if mode == "CMYK" else "png")
    whole = decode(data, RGB)
    monkeypatch.setattr(images, "LARGE", 1000)
    monkeypatch.setattr(images, "BAND", 1000)
    in_bands = decode(data, RGB)
    assert in_bands.size == whole.size == (210, 150)
    assert np.abs(in_bands.pixels.astype(int) - whole.pixels.astype(int)).max() <= 3


def test_a_large_picture_on_its_side_is_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGE", 1000)
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (120, 80))
    image.paste((255, 255, 255), (0, 0, 120, 40))  # white above; turned clockwise it is on the right
    got = decode(encode(image, exif=exif), RGB)
    assert got.size == (120, 80)
    assert got.pixels[:, -1].min() == 255
    assert got.pixels[:, 0].max() == 0


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_34_bytes_of_webp_that_ask_for_gigabytes_are_refused() -> None:
    side = 13_300 - 1
    body = b"\x2f" + struct.pack("<I", side | side << 14) + bytes(9)
    with pytest.raises(UnreadableImageError, match="13300 x 13300 pixels are too many"):
        decode(b"RIFF" + struct.pack("<I4s4sI", 12 + len(body), b"WEBP", b"VP8L", len(body) - 1) + body, RGB)


def test_a_file_too_large_to_be_read_is_named(load: Any, folder: Any) -> None:
    root = folder(a=2, b=2)
    with (root / "a" / "huge.jpg").open("wb") as file:
        file.truncate(100_000_000_000)  # no block of it is on the disk
    with pytest.raises(DataError, match=r"a/huge.jpg: larger than 1.0 GB"):
        load(source="folder", path=str(root))
