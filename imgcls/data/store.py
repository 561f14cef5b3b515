"""Prepared images on disk, or what a network makes of them: written once, and read by every run.

``<root>/prepared/<key>/`` holds ``images.npy`` (uint8, or float32 features), ``index.npz`` (what each row is) and
``meta.json``. It is built in a hidden folder beside it, under a lock of the operating system that a killed process
cannot leave behind, and renamed when everything is on the disk. All of it is held against checksums when it is opened:
a disk that forgets a bit must not change a result.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.data.cache import META, Cache, remove_folder
from imgcls.data.hashing import cores
from imgcls.files import sync_folder
from imgcls.wording import size

__all__ = ["FEATURE", "FORMAT_VERSION", "PIXEL", "Index", "Prepared", "build", "open_prepared"]

log = logging.getLogger("imgcls")

FORMAT_VERSION = 3  # 2: the sizes of the pictures as they came; 3: checksums
PIXEL, FEATURE = np.dtype(np.uint8), np.dtype(np.float32)  # what is stored of an image
IMAGES, INDEX = "images.npy", "index.npz"
_META_CHECKSUM = "meta_crc32"  # of the other entries of meta.json
_BLOCK_BYTES = 4_000_000  # that a checksum is of
SPARE_BYTES = 1_000_000  # for the index, the folder and the file system's own use


@dataclass(frozen=True)
class Prepared:
    """An opened store.

    Attributes:
        images: uint8 (n, height, width, channels), or float32 (n, ...) features; memory-mapped, read-only.
        rows: int64 (n,), the row of each image in the listing that was prepared.
        sizes: uint32 (n, 2), height and width of each picture as it came, in pixels.
        meta: what ``meta.json`` holds.
    """

    images: NDArray[Any]
    labels: NDArray[np.int32]
    sha256: NDArray[np.uint8]
    rows: NDArray[np.int64]
    paths: tuple[str, ...]
    sizes: NDArray[np.uint32]
    meta: Mapping[str, Any]


def open_prepared(cache: Cache, key: str, dtype: np.dtype[Any] = PIXEL) -> Prepared | None:
    """Open a store, or return None if there is none that is as it was written."""
    folder = cache.folder(key)
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        if meta.pop(_META_CHECKSUM) != _checksum_of_meta(meta):
            return None
        if any(_checksums(folder / name) != meta["crc32"][name] for name in (IMAGES, INDEX)):
            return None
        images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
        with np.load(folder / INDEX, allow_pickle=False) as index:
            paths = index["paths"].tobytes().decode()
            opened = Prepared(
                images=images,
                labels=index["labels"],
                sha256=index["sha256"],
                rows=index["rows"],
                paths=tuple(paths.split("\0")) if paths else (),
                sizes=index["sizes"],
                meta=meta,
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    if images.shape != (len(opened.rows), *meta["shape"]) or images.dtype != dtype:
        return None
    if {len(opened.labels), len(opened.sha256), len(opened.paths), len(opened.sizes)} != {len(images)}:
        return None
    with suppress(OSError):  # a cache that others filled may be read-only
        os.utime(folder / META)
    return opened


def _checksums(path: Path) -> list[int]:
    """Return the CRC-32 of each block of a file; several at a time, 1.4 GB a second each where that was measured."""

    def checksum(start: int) -> int:
        with path.open("rb") as file:
            file.seek(start)
            return zlib.crc32(file.read(_BLOCK_BYTES))

    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(checksum, range(0, path.stat().st_size, _BLOCK_BYTES)))


def _checksum_of_meta(meta: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(meta, sort_keys=True).encode())


@dataclass(frozen=True)
class Index:
    """What each row of a store is, as ``Prepared`` says it."""

    labels: NDArray[np.int32]
    sha256: NDArray[np.uint8]
    rows: NDArray[np.int64]
    paths: tuple[str, ...]
    sizes: NDArray[np.uint32]


def build(
    cache: Cache,
    key: str,
    shape: tuple[int, ...],
    count: int,
    blocks: Iterable[NDArray[Any]],
    finish: Callable[[], tuple[Index, dict[str, Any]]],
    dtype: np.dtype[Any] = PIXEL,
) -> None:
    """Write a store; the caller holds its lock.

    Args:
        cache: its owner.
        key: names the store.
        shape: of one image: height, width, channels; or of its features.
        count: images at most; broken ones may be missing from ``blocks``.
        blocks: (m, *shape) of ``dtype``, one after the other.
        finish: called after the last block, returns the ``Index`` and the entries of ``meta.json``.

    Raises:
        RunError: it cannot be written.
    """
    cache.sweep(held=key)
    with cache.writing():
        _check_room(cache.prepared, count * int(np.prod(shape)) * dtype.itemsize + SPARE_BYTES)
        folder = Path(tempfile.mkdtemp(prefix=f".{key}.", suffix=".building", dir=cache.prepared))
    try:
        written = _write_images(cache, folder / IMAGES, (count, *shape), blocks, dtype)
        index, meta = finish()
        with cache.writing():
            _write_index(folder / INDEX, index)
            checksums = {name: _checksums(folder / name) for name in (IMAGES, INDEX)}
            whole = {**meta, "format": FORMAT_VERSION, "images": written, "shape": shape, "created": time.time()}
            _write_meta(folder / META, {**whole, "crc32": checksums})
            folder.chmod(0o755)
            target = cache.folder(key)
            if target.exists():
                log.warning("the prepared data in %s was damaged, and is made again", target)
                remove_folder(target)
            folder.rename(target)
            sync_folder(cache.prepared)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_images(
    cache: Cache, path: Path, shape: tuple[int, ...], blocks: Iterable[NDArray[Any]], dtype: np.dtype[Any]
) -> int:
    """Write blocks as they come; plain writes, since the dirty pages of a memory map would count as memory used."""
    written = 0
    with cache.writing():
        file = path.open("wb")
    with file:
        with cache.writing():
            _write_header(file, shape, dtype)
        start = file.tell()
        for block in blocks:
            with cache.writing():
                file.write(np.ascontiguousarray(block, dtype).data)
            written += len(block)
        with cache.writing():
            file.seek(0)
            # NumPy pads headers so that the first number can change its length
            _write_header(file, (written, *shape[1:]), dtype)
            if file.tell() != start:
                raise RuntimeError("the header of images.npy changed its length")
            file.flush()
            os.fsync(file.fileno())
    return written


def _write_header(file: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _write_index(path: Path, index: Index) -> None:
    # Bytes: every entry of a NumPy array of text takes as much room as the longest.
    paths = np.frombuffer("\0".join(index.paths).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, labels=index.labels, sha256=index.sha256, rows=index.rows, paths=paths, sizes=index.sizes)
        file.flush()
        os.fsync(file.fileno())


def _write_meta(path: Path, meta: Mapping[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump({**meta, _META_CHECKSUM: _checksum_of_meta(meta)}, file, indent=2, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())


def _check_room(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OSError(f"{size(needed_bytes)} are needed and {size(free)} are free")
