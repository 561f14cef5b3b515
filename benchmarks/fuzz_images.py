"""Broken images of every format: each is read, or named with a reason; none hangs or takes the machine's memory.

    python benchmarks/fuzz_images.py [--images 10000] [--seed 0] [--keep FOLDER]

Small random pictures are saved in every format and mode that is read. Then their bytes are changed: flips, cuts,
splices of two files, sizes in the header of thousands of pixels, other endings, nothing at all; beside them are a few
whole files of 177 million pixels. Each goes through the reader of ``imgcls predict``, one at a time and timed, and
through the source ``folder`` with ``on_bad_image: skip`` and ``error``. Says how many were read and refused, the
slowest and by how much the process grew; exit code 1 where one was neither read nor named, the three ways disagree,
one took over 15 seconds or the process grew by over 1 GB.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from imgcls import DataError
from imgcls.data import Cache
from imgcls.data.dataset import DEFAULT_FRACTIONS
from imgcls.data.images import Geometry
from imgcls.data.preparation import prepare
from imgcls.data.sources import list_source
from imgcls.inference.reading import batches
from imgcls.inference.sources import find_sources
from imgcls.spec.data import DataSpec

GEOMETRY = Geometry((16, 16), "rgb", "stretch")
FOLDER_IMAGES = 500
BOMBS_EACH = 5_000  # images: as many have each whole bomb once
LONGEST_S = 15.0
MOST_GROWTH_BYTES = 1_000_000_000
BOMB_SIDE = 13_300  # pixels: just below what is refused

ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}
SAVED: list[tuple[str, str, dict[str, Any]]] = [
    ("JPEG", "RGB", {}), ("JPEG", "L", {}), ("JPEG", "CMYK", {}), ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "CMYK", {"progressive": True}), ("PNG", "RGB", {}), ("PNG", "RGBA", {}), ("PNG", "L", {}),
    ("PNG", "LA", {}),
    ("PNG", "P", {}), ("PNG", "P", {"transparency": 3}), ("PNG", "1", {}), ("PNG", "I;16", {}), ("GIF", "P", {}),
    ("GIF", "RGB", {"save_all": True, "append_images": [Image.new("RGB", (40, 30))]}), ("BMP", "RGB", {}),
    ("BMP", "P", {}), ("BMP", "1", {}), ("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True}),
    ("WEBP", "RGB", {"save_all": True, "append_images": [Image.new("RGB", (40, 30))]}), ("TIFF", "RGB", {}),
    ("TIFF", "I;16", {}), ("TIFF", "F", {}), ("TIFF", "RGBA", {"compression": "tiff_lzw"}), ("TIFF", "CMYK", {}),
    ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}), ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "1", {"compression": "group4"}), ("TIFF", "P", {"compression": "packbits"}),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the images that did wrong")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    pictures, bombs = small_pictures(options.seed), whole_bombs()
    warnings.simplefilter("ignore")  # Pillow's remarks on odd files
    results: Counter[str] = Counter()
    problems: list[str] = []
    slowest, size_before, begun = (0.0, ""), peak_bytes(), time.monotonic()
    for start in range(0, options.images, FOLDER_IMAGES):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_images(
                rng, pictures, bombs, folder / "data", range(start, min(start + FOLDER_IMAGES, options.images))
            )
            reasons, longest = predicted(folder / "data")
            slowest = max(slowest, longest)
            found = [*listed(folder, reasons), *([f"{longest[1]} took {longest[0]:.1f} s"] * (longest[0] > LONGEST_S))]
            results.update("refused" if reason else "read" for reason in reasons.values())
            problems += found
            if found and options.keep:
                (folder / "data").rename(options.keep / str(start))
    grown = peak_bytes() - size_before
    if grown > MOST_GROWTH_BYTES:
        problems.append(f"the process grew by {grown / 1e6:.0f} MB")
    counts = ", ".join(f"{count:,} {what}" for what, count in results.most_common())
    print(f"{sum(results.values()):,} images, each three times, in {time.monotonic() - begun:.0f} s: {counts}")
    print(f"slowest {slowest[0]:.1f} s ({slowest[1]}); at its largest the process had {grown / 1e6:.0f} MB more")
    print("\n".join(problems[:20]) or "each was read, or named with a reason, and the same by folder and by predict")
    sys.exit(bool(problems))


def peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def predicted(folder: Path) -> tuple[dict[str, str], tuple[float, str]]:
    """Read images as ``imgcls predict`` does, one by one.

    Returns:
        For each name why it cannot be read, or an empty string; seconds and name of the slowest.
    """
    found = find_sources([folder])
    reasons = {failure.name: failure.reason for failure in found.failures}
    slowest = (0.0, "")
    for source in found.images:
        begun = time.perf_counter()
        (batch,) = batches([source], GEOMETRY, 1)
        slowest = max(slowest, (time.perf_counter() - begun, source.file_name))
        reasons |= {each.name: "" for each in batch.sources} | {each.name: each.reason for each in batch.failures}
    return {str(Path(name).relative_to(folder)): reason for name, reason in reasons.items()}, slowest


def listed(folder: Path, reasons: dict[str, str]) -> list[str]:
    """Prepare the images as training does, skipping the bad and not; return what differs from ``reasons``."""
    data = DataSpec(source="folder", path=str(folder / "data"))
    listing, _ = list_source(data, folder, DEFAULT_FRACTIONS)
    bad = {name: reason for name, reason in reasons.items() if reason}
    problems = [f"{name} is in no list" for name in {*listing.ids} ^ {*reasons}]
    _, prepared, _ = prepare(listing, GEOMETRY, Cache(folder / "cache"), on_bad_image="skip")
    if {*prepared.paths} != {name for name, reason in reasons.items() if not reason}:
        problems.append(f"the folder's images differ: {sorted({*prepared.paths} ^ ({*reasons} - {*bad}))[:5]}")
    if dict(prepared.meta["unreadable"]) != bad:
        problems.append("the reasons differ")
    try:
        prepare(listing, GEOMETRY, Cache(folder / "another"), on_bad_image="error")
        problems += ["on_bad_image: error did not stop"] if bad else []
    except DataError as error:
        if f"{len(bad):,} image" not in str(error):
            problems.append(f"on_bad_image: error says {str(error)[:100]}")
    return problems


def write_images(
    rng: random.Random, pictures: list[tuple[str, bytes]], bombs: list[tuple[str, bytes]], folder: Path, numbers: range
) -> None:
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
    for number in numbers:
        ending, data = rng.choice(pictures)
        if number % BOMBS_EACH < len(bombs):
            ending, data = bombs[number % BOMBS_EACH]
        else:
            for _ in range(rng.randint(1, 3)):
                data = rng.choice(CHANGES)(rng, data, rng.choice(pictures)[1])
        if rng.random() < 0.1:
            ending = rng.choice([*ENDINGS.values()])
        (folder / rng.choice(["one", "two"]) / f"{number:06}{ending}").write_bytes(data)


def small_pictures(seed: int) -> list[tuple[str, bytes]]:
    """Return ending and bytes of a random picture of each kind, and of one that is smooth."""
    rng = np.random.default_rng(seed)
    made = []
    for kind, mode, save in SAVED:
        for noisy in (True, False):
            pixels = rng.integers(0, 256, (30, 40, 3), np.uint8)
            image = Image.fromarray(pixels if noisy else np.sort(pixels, axis=1))
            if mode == "I;16":
                image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
            file = io.BytesIO()
            (image if image.mode == mode else image.convert(mode)).save(file, kind, **save)
            made.append((ENDINGS[kind], file.getvalue()))
    return made


def whole_bombs() -> list[tuple[str, bytes]]:
    """Return files of few bytes and very many pixels."""
    palette = b"PLTE" + bytes(768)
    made = [
        (".png", png(color, depth, palette if color == 3 else b""))
        for color, depth in ((2, 8), (6, 8), (0, 16), (3, 8))
    ]
    gif = struct.pack("<6s2H3B", b"GIF89a", BOMB_SIDE, BOMB_SIDE, 0x80, 0, 0) + bytes(6)
    frame = struct.pack("<B4HB", 0x2C, 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00;"
    webp = struct.pack("<I", (BOMB_SIDE - 1) | (BOMB_SIDE - 1) << 14)
    body = b"\x2f" + webp + bytes(8)
    made += [
        (".gif", gif + frame),
        (".webp", b"RIFF" + struct.pack("<I4s4sI", 12 + len(body) + 1, b"WEBP", b"VP8L", len(body)) + body + b"\0"),
    ]
    return made


def png(color: int, depth: int, palette: bytes) -> bytes:
    """Return a black PNG of ``BOMB_SIDE`` pixels a side."""
    channels = {0: 1, 2: 3, 3: 1, 6: 4}[color]
    row = bytes(1 + BOMB_SIDE * channels * depth // 8)
    squeeze = zlib.compressobj(1)
    pixels = b"".join(squeeze.compress(row) for _ in range(BOMB_SIDE)) + squeeze.flush()
    header = b"IHDR" + struct.pack(">2I5B", BOMB_SIDE, BOMB_SIDE, depth, color, 0, 0, 0)
    chunks = [header, *([palette] if palette else []), b"IDAT" + pixels, b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(each) for each in chunks)


def chunk(data: bytes) -> bytes:
    """Return a PNG chunk of a name and its content."""
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def flipped(rng: random.Random, data: bytes, _: bytes) -> bytes:
    changed = bytearray(data)
    for _each in range(rng.choice([1, 1, 2, 8, 64]) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flipped_early(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return flipped(rng, data[:64], other) + data[64:]


def cut(rng: random.Random, data: bytes, _: bytes) -> bytes:
    return data[
        : rng.choice([0, rng.randint(0, 16), rng.randint(0, len(data)), max(0, len(data) - rng.randint(1, 64))])
    ]


def spliced(rng: random.Random, data: bytes, other: bytes) -> bytes:
    place = rng.randint(0, len(data))
    first, last = sorted(rng.randint(0, len(other)) for _ in range(2))
    return data[:place] + other[first:last] + data[place + rng.choice([0, last - first]) :]


def enlarged(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Write a large size where a format keeps it, with the right check sum."""
    width, height = (rng.choice([0, 1, 255, 8_000, BOMB_SIDE, 16_383, 30_000, 65_535]) for _ in range(2))
    changed = bytearray(data)
    if data[:4] == b"\x89PNG" and len(data) > 33:
        large = rng.choice([(width, height), (2**31 - 1, height)])
        changed[16:24] = struct.pack(">2I", *large)
        changed[29:33] = struct.pack(">I", zlib.crc32(bytes(changed[12:29])))
    elif data[:3] == b"GIF" and len(data) > 10:
        changed[6:10] = struct.pack("<2H", width, height)
    elif data[:2] == b"BM" and len(data) > 26:
        changed[18:26] = struct.pack("<2i", width, rng.choice([1, -1]) * height)
    elif data[:4] == b"RIFF" and len(data) > 30:
        changed[24:30] = struct.pack("<3H", width & 0x3FFF, height & 0x3FFF, width & 0xFFFF)
    elif data[:2] in (b"II", b"MM"):
        _enlarge_tiff(rng, changed)
    elif (place := max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))) >= 0 and len(data) > place + 9:
        changed[place + 5 : place + 9] = struct.pack(">2H", height, width)
    return bytes(changed)


def _enlarge_tiff(rng: random.Random, data: bytearray) -> None:
    order = "<" if data[:1] == b"I" else ">"
    if len(data) < 8:
        return
    (place,) = struct.unpack_from(order + "I", data, 4)
    if place + 2 > len(data):
        return
    (count,) = struct.unpack_from(order + "H", data, place)
    for entry in range(place + 2, min(place + 2 + 12 * count, len(data) - 12), 12):
        if rng.random() < 0.3:
            struct.pack_into(
                order + "I", data, entry + rng.choice([4, 8]), rng.choice([0, 1, BOMB_SIDE, 65_535, 2**31, 2**32 - 1])
            )


def filled(rng: random.Random, data: bytes, _: bytes) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + bytes([rng.choice([0, 255, 65])]) * rng.choice([1, 16, 5000]) + data[place:]


def foreign(rng: random.Random, _: bytes, other: bytes) -> bytes:
    text = [b"", b"\0", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"MZ", b"PK\x03\x04", b"%PDF-1.7", rng.randbytes(100)]
    return rng.choice([*text, other])


Change = Callable[[random.Random, bytes, bytes], bytes]
CHANGES: tuple[Change, ...] = (flipped, flipped, flipped_early, cut, spliced, enlarged, enlarged, filled, foreign)

if __name__ == "__main__":
    main()
