"""The SHA-256 of files that were read before, so that unchanged ones need not be read again to name their content.

As Git's index does it: a file whose size, inode and times are as they were has its bytes of then. Its ctime is the
operating system's own, which a program that sets a file's times back cannot set back. What changed within the last
seconds is not remembered, for it may change again within the same tick of the clock; nor is anything where these times
are too coarse, as on memory cards, or are something else, as on Windows.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

__all__ = ["KnownFiles", "state_of"]

log = logging.getLogger("imgcls")

_RECENT_NS = 3_000_000_000  # coarser than any file system's clock that tells parts of a second
_COARSE_NS = 1_000_000
_WAIT_S = 5.0  # for another process that writes
_TABLE = """
CREATE TABLE IF NOT EXISTS files
(path BLOB PRIMARY KEY, state TEXT NOT NULL, sha256 BLOB NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID
"""


def state_of(status: os.stat_result) -> str:
    """Return what changes whenever a file does; an empty string where nothing is sure to."""
    recent = max(status.st_ctime_ns, status.st_mtime_ns) > time.time_ns() - _RECENT_NS
    if os.name == "nt" or recent or status.st_ctime_ns % _COARSE_NS == 0:
        return ""
    return f"{status.st_size} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"


class KnownFiles:
    """A table of files, by absolute path, in a SQLite database; where that cannot be used, no file is known.

    Args:
        path: of the database, whose folder need not exist: it is made with the first files.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        with suppress(OSError, sqlite3.Error):
            if path.exists():
                self._database = self._opened()

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_WAIT_S, check_same_thread=False, isolation_level=None)

    @property
    def is_empty(self) -> bool:
        """Whether no file is known."""
        return self._database is None

    def digests(self, states: Mapping[str, str]) -> dict[str, bytes]:
        """Return the SHA-256 of those files, by path, that are as they were; several threads may ask at once.

        Args:
            states: path → as ``state_of``; a thousand at most.
        """
        if self._database is None:
            return {}
        keys = {_key(path): path for path, state in states.items() if state}
        query = f"SELECT path, state, sha256, crc FROM files WHERE path IN ({', '.join('?' * len(keys))})"  # noqa: S608
        found: list[tuple[bytes, str, bytes, int]] = []
        with self._lock, suppress(sqlite3.Error):  # damaged, or locked for long
            found = self._database.execute(query, list(keys)).fetchall()
        return {
            keys[key]: digest
            for key, state, digest, crc in found
            if state == states[keys[key]] and crc == _checksum(key, state, digest)
        }

    def remember(self, files: Sequence[tuple[str, str, bytes]]) -> None:
        """Note the path, state and SHA-256 of files; those without a state are left out."""
        known = [(_key(path), state, digest) for path, state, digest in files if state]
        rows = [(*each, _checksum(*each)) for each in known]
        if not rows:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._opened()) as database:
                database.execute(_TABLE)
                database.execute("BEGIN IMMEDIATE")
                database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)
                database.execute("COMMIT")
        except (OSError, sqlite3.OperationalError) as error:  # others may have filled the cache; the disk may be full
            log.info("the files that were read are not remembered: %s", error)
        except sqlite3.DatabaseError:  # it is damaged
            with suppress(OSError):
                self._path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._database is not None:
            self._database.close()


def _key(path: str) -> bytes:
    return os.fsencode(path if os.path.isabs(path) else os.path.abspath(path))  # noqa: PTH100, PTH117 - a Path costs more


def _checksum(key: bytes, state: str, digest: bytes) -> int:
    """Return what tells that a bit of a row is not what was written: SQLite does not look."""
    return zlib.crc32(b"\0".join((key, state.encode(), digest)))
