"""The cache folder: who may write which part of it, what is in it, and how it is emptied."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from imgcls.errors import RunError
from imgcls.locking import locked

__all__ = ["META", "Cache", "CacheEntry", "default_cache_root", "remove_folder"]

META = "meta.json"


@dataclass(frozen=True)
class CacheEntry:
    """One prepared data set, or its features, as ``imgcls cache`` shows it; times are seconds since 1970."""

    key: str
    source: str
    images: int
    resolution: tuple[int, int]
    color: str
    size_bytes: int
    created: float
    last_used: float


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
        self.choices = self.root / "precision"  # what was measured of networks on this machine, a small file each
        self.known_files = self.root / "files.sqlite"  # the SHA-256 of files that were read

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
        with ExitStack() as held:
            with self.writing():
                self.prepared.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(self.prepared / f"{key}.lock", wait=wait))
            yield

    def has_room(self, needed_bytes: int) -> bool:
        """Return whether a tenth of the disk stays free: what is only faster must not be what fills it."""
        there = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        usage = shutil.disk_usage(there)
        return usage.free - needed_bytes >= usage.total / 10

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

        All of them includes what was measured of this machine, and what is known of files.

        What is being built at the moment stays. A run that reads a removed data set keeps it until it ends.
        """
        freed = 0
        for folder in self._folders():
            if keys is None or folder.name in keys:
                with suppress(Timeout), self.lock(folder.name, wait=False):
                    freed += remove_folder(folder)
        freed += self.sweep()
        self._remove_locks()
        if keys is None:
            freed += remove_folder(self.choices)
            with suppress(OSError):
                size = self.known_files.stat().st_size
                self.known_files.unlink()
                freed += size
        return freed

    def sweep(self, held: str = "") -> int:
        """Remove what killed processes left half built; return the bytes freed.

        A folder whose lock is free belongs to nobody any more; so does one of the key ``held`` by the caller.
        """
        freed = 0
        for leftover in self.prepared.glob(".*.building"):
            key = leftover.name[1:].partition(".")[0]
            with suppress(Timeout), nullcontext() if key == held else self.lock(key, wait=False):
                freed += remove_folder(leftover)
        return freed

    def _remove_locks(self) -> None:
        """Remove the lock files of data sets that are gone; who waits for one meanwhile makes it anew (filelock)."""
        for path in self.prepared.glob("*.lock"):
            if not self.folder(path.stem).exists():
                with suppress(Timeout, RunError), self.lock(path.stem, wait=False):
                    if not self.folder(path.stem).exists():  # it may have been built while this looked
                        with suppress(OSError):  # Windows removes no file that is open
                            path.unlink()

    def _folders(self) -> list[Path]:
        if not self.prepared.is_dir():
            return []
        return sorted(path for path in self.prepared.iterdir() if path.is_dir() and not path.name.startswith("."))

    def _entry(self, folder: Path) -> CacheEntry | None:
        try:
            meta = json.loads((folder / META).read_text(encoding="utf-8"))
            height, width = meta.get("resolution", meta["shape"])[:2]  # the shape of features is another
            return CacheEntry(
                key=folder.name,
                source=str(meta["source"]),
                images=int(meta["images"]),
                resolution=(int(height), int(width)),
                color=str(meta["color"]),
                size_bytes=_size(folder),
                created=float(meta["created"]),
                last_used=(folder / META).stat().st_mtime,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # Something stands there that this version cannot read; it still takes space and can be cleared.
            return CacheEntry(folder.name, "unreadable", 0, (0, 0), "", _size(folder), 0.0, 0.0)


def remove_folder(folder: Path) -> int:
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
