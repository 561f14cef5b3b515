"""What each image's content is, as a SHA-256."""

from __future__ import annotations

import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from imgcls.data.images import MAX_FILE_BYTES
from imgcls.data.listing import Files, Listing
from imgcls.wording import size

__all__ = ["cores", "fingerprint"]

HASH_BLOCK = 256  # files a task: large enough that handing out tasks costs nothing


def fingerprint(listing: Listing) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Return the SHA-256 of each image, (n, 32), and of those that cannot be read the reason by position.

    A file's is that of its bytes, an array's that of its shape, type and pixels. All bytes are read each time, since a
    file can change and keep its size and time; 60,000 small files take half a second.
    """
    hashes = np.zeros((len(listing.ids), 32), np.uint8)
    failures: dict[int, str] = {}

    def work(start: int) -> None:
        for position in range(start, min(start + HASH_BLOCK, len(hashes))):
            try:
                digest = _digest(listing, int(listing.rows[position]))
            except OSError as error:
                failures[position] = error.strerror or str(error)
            else:
                hashes[position] = np.frombuffer(digest, np.uint8)

    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(work, range(0, len(hashes), HASH_BLOCK)):
            pass
    return hashes, failures


def _digest(listing: Listing, row: int) -> bytes:
    if isinstance(listing.images, Files):
        with open(listing.images.paths[row], "rb", buffering=0) as file:  # noqa: PTH123 - a Path a file costs a quarter
            if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
                raise OSError(errno.EFBIG, f"larger than {size(MAX_FILE_BYTES)}")
            return hashlib.file_digest(file, "sha256").digest()
    pixels = listing.images.row(row)
    return hashlib.sha256(f"{pixels.shape} {pixels.dtype} ".encode() + pixels.tobytes()).digest()


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
