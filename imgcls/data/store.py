"""The cache folder: prepared images on disk, written once and read by every run.

``<root>/prepared/<key>/`` holds ``images.npy`` (uint8), ``index.npz`` (what each row is) and ``meta.json``. It is built
in a hidden folder beside it, under a lock of the operating system that a killed process cannot leave behind, and
renamed when everything is on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from imgcls.errors import RunError

__all__ = ["Cache", "CacheEntry", "Index", "Prepared", "build", "default_cache_root", "open_prepared"]

FORMAT_VERSION = 1
IMAGES, INDEX, META = "images.npy", "index.npz", "meta.json"
SPARE_BYTES = 1_000_000  # for the index, the folder and the file system's own use


@dataclass(frozen=True)
class CacheEntry:
    """One prepared data set, as ``imgcls cache`` shows it; times are seconds since 1970."""

    key: str
    source: str
    images: int
    resolution: tuple[int, int]
    color: str
    size_bytes: int
    created: float
    last_used: float


@dataclass(frozen=True)
class Prepared:
    """An opened store.

    Attributes:
        images: uint8 (n, height, width, channels), memory-mapped, read-only.
        rows: int64 (n,), the row of each image in the listing that was prepared.
        meta: what ``meta.json`` holds.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    sha256: NDArray[np.uint8]
    rows: NDArray[np.int64]
    paths: tuple[str, ...]
    meta: Mapping[str, Any]


def default_cache_root() -> Path:
    """Return ``IMGCLS_CACHE``, or the user's cache folder of this operating system."""
    if chosen := os.environ.get("IMGCLS_CACHE"):
        return Path(chosen).expanduser().absolute()
    import platformdirs  # only needed where nothing else is said

    return Path(platformdirs.user_cache_dir("imgcls"))


class Cache:
    """Owner of the cache folder; it comes into being with the first data set that is prepared."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or default_cache_root()).absolute()
        self.prepared = self.root / "prepared"

    def folder(self, key: str) -> Path:
        """Return where the data set ``key`` lies, or would lie."""
        return self.prepared / key

    @contextmanager
    def lock(self, key: str, *, wait: bool = True) -> Iterator[None]:
        """Hold the lock of one key.

        Raises:
            RunError: the cache folder cannot be written.
            Timeout: not waiting, and another process holds it.
        """
        lock = FileLock(self.prepared / f"{key}.lock", timeout=-1 if wait else 0)
        with self.writing():
            self.prepared.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except NotImplementedError as error:
                raise OSError("its file system has no locks") from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn a failure to write into an error that names the folder, the reason and the way out."""
        try:
            yield
        except Timeout:
            raise
        except OSError as error:
            raise RunError(
                f"cannot write prepared data to {self.prepared}: {error.strerror or error}; "
                "IMGCLS_CACHE or --cache-dir names another folder"
            ) from error

    def entries(self) -> list[CacheEntry]:
        """Return the data sets there are, the last used first."""
        entries = [self._entry(folder) for folder in self._folders()]
        return sorted((entry for entry in entries if entry), key=lambda entry: -entry.last_used)

    def clear(self, keys: Collection[str] | None = None) -> int:
        """Remove data sets, all or those of ``keys``, and what killed runs left; return the bytes freed.

        What is being built at the moment stays. A run that reads a removed data set keeps it until it ends.
        """
        freed = 0
        for folder in self._folders():
            if keys is None or folder.name in keys:
                with suppress(Timeout), self.lock(folder.name, wait=False):
                    freed += _remove(folder)
        return freed + self.sweep()

    def sweep(self, held: str = "") -> int:
        """Remove what killed processes left half built; return the bytes freed.

        A folder whose lock is free belongs to nobody any more; so does one of the key ``held`` by the caller.
        """
        freed = 0
        for leftover in self.prepared.glob(".*.building"):
            key = leftover.name[1:].partition(".")[0]
            with suppress(Timeout), nullcontext() if key == held else self.lock(key, wait=False):
                freed += _remove(leftover)
        return freed

    def _folders(self) -> list[Path]:
        if not self.prepared.is_dir():
            return []
        return sorted(path for path in self.prepared.iterdir() if path.is_dir() and not path.name.startswith("."))

    def _entry(self, folder: Path) -> CacheEntry | None:
        try:
            meta = json.loads((folder / META).read_text(encoding="utf-8"))
            return CacheEntry(
                key=folder.name,
                source=str(meta["source"]),
                images=int(meta["images"]),
                resolution=(int(meta["shape"][0]), int(meta["shape"][1])),
                color=str(meta["color"]),
                size_bytes=_size(folder),
                created=float(meta["created"]),
                last_used=(folder / META).stat().st_mtime,
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            # Something stands there that this version cannot read; it still takes space and can be cleared.
            return CacheEntry(folder.name, "unreadable", 0, (0, 0), "", _size(folder), 0.0, 0.0)


def open_prepared(cache: Cache, key: str) -> Prepared | None:
    """Open a store, or return None if there is none that is whole."""
    folder = cache.folder(key)
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        if any((folder / name).stat().st_size != meta["bytes"][name] for name in (IMAGES, INDEX)):
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
                meta=meta,
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    if images.shape != (len(opened.rows), *meta["shape"]) or images.dtype != np.uint8:
        return None
    if not len(opened.labels) == len(opened.sha256) == len(opened.paths) == len(images):
        return None
    with suppress(OSError):  # a cache that others filled may be read-only
        os.utime(folder / META)
    return opened


@dataclass(frozen=True)
class Index:
    """What each row of a store is."""

    labels: NDArray[np.int32]
    sha256: NDArray[np.uint8]
    rows: NDArray[np.int64]
    paths: tuple[str, ...]


def build(
    cache: Cache,
    key: str,
    shape: tuple[int, int, int],
    count: int,
    blocks: Iterable[NDArray[np.uint8]],
    finish: Callable[[], tuple[Index, dict[str, Any]]],
) -> None:
    """Write a store; the caller holds its lock.

    Args:
        cache: its owner.
        key: names the store.
        shape: height, width, channels.
        count: images at most; broken ones may be missing from ``blocks``.
        blocks: uint8 (m, height, width, channels), one after the other.
        finish: called after the last block, returns the ``Index`` and the entries of ``meta.json``.

    Raises:
        RunError: it cannot be written.
    """
    cache.sweep(held=key)
    with cache.writing():
        _check_room(cache.prepared, count * int(np.prod(shape)) + SPARE_BYTES)
        folder = Path(tempfile.mkdtemp(prefix=f".{key}.", suffix=".building", dir=cache.prepared))
    try:
        written = _write_images(cache, folder / IMAGES, shape, count, blocks)
        index, meta = finish()
        with cache.writing():
            _write_index(folder / INDEX, index)
            sizes = {name: (folder / name).stat().st_size for name in (IMAGES, INDEX)}
            whole = {**meta, "format": FORMAT_VERSION, "images": written, "shape": shape, "created": time.time()}
            _write_meta(folder / META, {**whole, "bytes": sizes})
            folder.chmod(0o755)
            target = cache.folder(key)
            _remove(target)  # only there if it was not whole
            folder.rename(target)
            _sync_folder(cache.prepared)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_images(
    cache: Cache, path: Path, shape: tuple[int, int, int], count: int, blocks: Iterable[NDArray[np.uint8]]
) -> int:
    """Write blocks as they come; plain writes, since the dirty pages of a memory map would count as memory used."""
    written = 0
    with cache.writing():
        file = path.open("wb")
    with file:
        with cache.writing():
            _write_header(file, (count, *shape))
        start = file.tell()
        for block in blocks:
            with cache.writing():
                file.write(np.ascontiguousarray(block).data)
            written += len(block)
        with cache.writing():
            file.seek(0)
            _write_header(file, (written, *shape))  # NumPy pads headers so that the first number can change its length
            if file.tell() != start:
                raise RuntimeError("the header of images.npy changed its length")
            file.flush()
            os.fsync(file.fileno())
    return written


def _write_header(file: Any, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _write_index(path: Path, index: Index) -> None:
    # Bytes: every entry of a NumPy array of text takes as much room as the longest.
    paths = np.frombuffer("\0".join(index.paths).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, labels=index.labels, sha256=index.sha256, rows=index.rows, paths=paths)
        file.flush()
        os.fsync(file.fileno())


def _write_meta(path: Path, meta: Mapping[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(meta, file, indent=2, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())


def _check_room(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OSError(f"{needed_bytes / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free")


def _remove(folder: Path) -> int:
    """Remove a folder, out of sight first so that nobody opens half of it; return its size in bytes."""
    size = _size(folder)
    hidden = folder
    if not folder.name.startswith("."):
        hidden = folder.with_name(f".{folder.name}.{os.getpid()}.building")
        try:
            folder.rename(hidden)
        except OSError:
            return 0
    shutil.rmtree(hidden, ignore_errors=True)
    return size if not hidden.exists() else 0


def _size(folder: Path) -> int:
    total = 0
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                total += path.stat().st_size
    return total


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows cannot open a folder to sync it
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
