"""What each image's content is, as a SHA-256."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from imgcls.data.images import MAX_FILE_BYTES
from imgcls.data.known_files import KnownFiles, state_of
from imgcls.data.listing import Arrays, Files, Listing
from imgcls.wording import size

__all__ = ["cores", "fingerprint"]

HASH_BLOCK = 256  # files a task: large enough that handing out tasks costs nothing
_AT_A_TIME = 20_000  # files that are noted in one transaction


def fingerprint(listing: Listing, known: KnownFiles) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Return the SHA-256 of each image, (n, 32), and of those that cannot be read the reason by position.

    A file's is that of its bytes, an array's that of its shape, type and pixels. Of files that are known only the state
    is looked at; the others are known from now on.
    """
    hashes = np.zeros((len(listing.ids), 32), np.uint8)
    failures: dict[int, str] = {}

    def work(start: int) -> list[_Read]:
        rows = [int(row) for row in listing.rows[start : start + HASH_BLOCK]]
        found = _known(listing.images, rows, known)
        read: list[_Read] = []
        for position, row in enumerate(rows, start):
            if (digest := found.get(row)) is None:
                try:
                    digest = _digest(listing.images, row, read)
                except OSError as error:
                    failures[position] = error.strerror or str(error)
                    continue
            hashes[position] = np.frombuffer(digest, np.uint8)
        return read

    with ThreadPoolExecutor(cores()) as pool:
        read: list[_Read] = []
        for block in pool.map(work, range(0, len(hashes), HASH_BLOCK)):
            read += block
            if len(read) >= _AT_A_TIME:
                known.remember(read)
                read.clear()
        known.remember(read)
    return hashes, failures


_Read = tuple[str, str, bytes]  # path, state and SHA-256 of a file


def _known(images: Files | Arrays, rows: Sequence[int], known: KnownFiles) -> dict[int, bytes]:
    """Return the SHA-256 of those files, by row, that are as they were."""
    if not isinstance(images, Files) or known.is_empty:
        return {}
    states = {}
    for row in rows:
        with suppress(OSError):  # who reads it is told
            states[images.paths[row]] = state_of(os.stat(images.paths[row]))  # noqa: PTH116 - a Path a file costs more
    digests = known.digests(states)
    return {row: digests[images.paths[row]] for row in rows if images.paths[row] in digests}


def _digest(images: Files | Arrays, row: int, read: list[_Read]) -> bytes:
    """Return the SHA-256 of an image; a file is added to those that were read."""
    if isinstance(images, Files):
        with open(images.paths[row], "rb", buffering=0) as file:  # noqa: PTH123 - a Path a file costs a quarter
            status = os.fstat(file.fileno())
            if status.st_size > MAX_FILE_BYTES:
                raise OSError(errno.EFBIG, f"larger than {size(MAX_FILE_BYTES)}")
            digest = hashlib.file_digest(file, "sha256").digest()
            # where it changes meanwhile, that is a state which it has no more
            read.append((images.paths[row], state_of(status), digest))
            return digest
    pixels = images.row(row)
    return hashlib.sha256(f"{pixels.shape} {pixels.dtype} ".encode() + pixels.tobytes()).digest()


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
