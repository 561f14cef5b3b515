"""From a listing to a prepared store: hash, look up, decode what is not there yet."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL
from numpy.typing import NDArray

from imgcls.data.cache import Cache
from imgcls.data.hashing import cores, fingerprint
from imgcls.data.images import DECODING_VERSION, Geometry, UnreadableImageError, decode, fit_array
from imgcls.data.known_files import KnownFiles
from imgcls.data.listing import Files, Listing
from imgcls.data.store import FORMAT_VERSION, Index, Prepared, build, open_prepared
from imgcls.errors import DataError
from imgcls.findings import Finding
from imgcls.wording import counted, shown, some

__all__ = ["Progress", "content_key", "prepare"]

Progress = Callable[[int, int], None]

CHUNK_BYTES = 32_000_000  # what is held of the result at a time
LOCKED_BYTES = 8_000
BLOCK_IMAGES = 64  # images a task at most
SEVERAL_FRAMES = "several_frames"
UNREADABLE = "unreadable"
KEY_ROWS = 10_000  # images whose JSON is held at a time
MAX_LISTED = 20
MAX_KEPT = 10_000  # names of odd images that meta.json keeps


def prepare(
    listing: Listing,
    geometry: Geometry,
    cache: Cache,
    *,
    on_bad_image: Literal["error", "skip"],
    progress: Progress | None = None,
) -> tuple[str, Prepared, tuple[Finding, ...]]:
    """Return the key and the opened store of a listing's images, built if there is none.

    Raises:
        DataError: images are unreadable and ``on_bad_image`` is ``error``, or a file changed meanwhile.
        RunError: the cache cannot be written.
    """
    with KnownFiles(cache.known_files) as known:
        hashes, failures = fingerprint(listing, known)
    key = content_key(listing, hashes, geometry)
    prepared = open_prepared(cache, key)
    if prepared is None:
        with cache.lock(key):
            prepared = open_prepared(cache, key)  # another process may have built it while this one waited
            if prepared is None:
                _build(listing, hashes, failures, geometry, cache, key, on_bad_image, progress)
                prepared = open_prepared(cache, key)
    if prepared is None:
        raise DataError(f"prepared data in {cache.folder(key)} cannot be read back")
    unreadable = prepared.meta[UNREADABLE]
    if unreadable and on_bad_image == "error":
        raise _unreadable_error(listing.origin, unreadable, prepared.meta["unreadable_count"])
    return key, prepared, tuple(_findings(prepared.meta))


def content_key(listing: Listing, hashes: NDArray[np.uint8], geometry: Geometry) -> str:
    """Return what names the store: everything that shapes a pixel, a label or the order."""
    head = {
        "format": FORMAT_VERSION,
        "decoding": DECODING_VERSION,
        "pillow": PIL.__version__,  # another decoder or resampler gives other pixels
        "resolution": geometry.resolution,
        "color": geometry.color,
        "resize": geometry.resize,
        "classes": listing.classes,
    }
    digest = hashlib.sha256(_canonical(head))
    for start in range(0, len(listing.ids), KEY_ROWS):
        rows = slice(start, start + KEY_ROWS)
        names, labels = listing.ids[rows], listing.labels[rows].tolist()
        hexes = [row.tobytes().hex() for row in hashes[rows]]
        digest.update(_canonical(list(zip(names, labels, hexes, strict=True))))
    return digest.hexdigest()[:32]


def _canonical(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


@dataclass
class _Found:
    """What decoding finds out.

    Attributes:
        failures: position in the listing → reason.
        sizes: uint32 (images in the listing, 2), height and width of each picture as it came.
        several: the positions with further frames.
    """

    failures: dict[int, str]
    sizes: NDArray[np.uint32]
    several: set[int] = field(default_factory=set)


def _build(
    listing: Listing,
    hashes: NDArray[np.uint8],
    failures: dict[int, str],
    geometry: Geometry,
    cache: Cache,
    key: str,
    on_bad_image: str,
    progress: Progress | None,
) -> None:
    found = _Found(dict(failures), np.zeros((len(listing.ids), 2), np.uint32))

    def finish() -> tuple[Index, dict[str, Any]]:
        bad = [(listing.ids[row], reason) for row, reason in sorted(found.failures.items())]
        if bad and on_bad_image == "error":
            raise _unreadable_error(listing.origin, bad, len(bad))
        rows = np.setdiff1d(np.arange(len(listing.ids)), np.array(list(found.failures), np.int64))
        if not len(rows):
            raise _unreadable_error(listing.origin, bad, len(bad))
        paths = tuple(listing.ids[row] for row in rows)
        index = Index(listing.labels[rows], hashes[rows], rows, paths, found.sizes[rows])
        several = [listing.ids[row] for row in sorted(found.several)]
        meta = {
            "source": listing.origin,
            "color": geometry.color,
            "resize": geometry.resize,
            "classes": listing.classes,
            UNREADABLE: bad[:MAX_KEPT],
            "unreadable_count": len(bad),
            SEVERAL_FRAMES: several[:MAX_KEPT],
            "several_frames_count": len(several),
        }
        return index, meta

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files name no file; what matters becomes a finding
        blocks = _decoded(listing, hashes, geometry, found, progress)
        build(cache, key, geometry.shape, len(listing.ids), blocks, finish)


def _decoded(
    listing: Listing, hashes: NDArray[np.uint8], geometry: Geometry, found: _Found, progress: Progress | None
) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of the readable images in the listing's order, in chunks of ``CHUNK_BYTES``.

    Threads, not processes: Pillow decodes without the interpreter's lock. On 2 idle cores, one run each, 1,000 photos
    of 60 kB took .48 s with threads and .46 s with processes. 20,000 files of 1.5 kB took 2.6 s and 1.1 s, but
    processes cannot start from a notebook or a script without a main guard, nor fork safely beside TensorFlow.
    """
    total = len(listing.ids)
    rows_a_chunk = max(1, CHUNK_BYTES // int(np.prod(geometry.shape)))
    workers = _threads(listing)
    step = max(1, min(BLOCK_IMAGES, rows_a_chunk // (4 * workers)))
    done = 0
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for start in range(0, total, rows_a_chunk):
            stop = min(start + rows_a_chunk, total)
            chunk = np.empty((stop - start, *geometry.shape), np.uint8)

            def work(first: int, chunk: NDArray[np.uint8] = chunk, start: int = start, stop: int = stop) -> int:
                positions = range(first, min(first + step, stop))
                for position in positions:
                    _decode_one(listing, hashes, position, geometry, found, chunk[position - start])
                return len(positions)

            pending: set[Future[int]] = {pool.submit(work, first) for first in range(start, stop, step)}
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                done += sum(future.result() for future in finished)
                if progress is not None:
                    progress(done, total)
            good = [position - start for position in range(start, stop) if position not in found.failures]
            yield chunk if len(good) == len(chunk) else chunk[good]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _threads(listing: Listing) -> int:
    """Return how many threads help: of tiny images most time passes under the interpreter's lock.

    Opening a JPEG takes some 80 microseconds, mostly under the lock; that long about 5 kB of a photo decode without it.
    Threads that quarrel over the lock are slower than one (60,000 files of 1.5 kB on 2 idle cores, one run each: 8.4 s
    with two threads, 6.3 s with one).
    """
    if isinstance(listing.images, Files):
        sample = [listing.images.paths[row] for row in listing.rows[:: max(1, len(listing.rows) // 100)]]
        sizes = []
        for path in sample:
            with suppress(OSError):  # who reads it is told
                sizes.append(Path(path).stat().st_size)
        mean = sum(sizes) / max(1, len(sizes))
    else:
        mean = listing.images.pieces[0][:1].nbytes
    return max(1, min(cores(), round(mean / LOCKED_BYTES)))


def _decode_one(
    listing: Listing,
    hashes: NDArray[np.uint8],
    position: int,
    geometry: Geometry,
    found: _Found,
    out: NDArray[np.uint8],
) -> None:
    row = int(listing.rows[position])
    if not isinstance(listing.images, Files):
        pixels = listing.images.row(row)
        out[:], found.sizes[position] = fit_array(pixels, geometry), pixels.shape[:2]
        return
    if position in found.failures:
        return
    try:
        data = Path(listing.images.paths[row]).read_bytes()
    except OSError as error:  # it could be read when its content was named, by which a store would keep the failure
        reason = error.strerror or str(error)
        raise DataError(
            f"{listing.ids[position]} of {listing.origin} cannot be read now: {reason}; start again, or move it away"
        ) from error
    if hashlib.sha256(data).digest() != hashes[position].tobytes():
        raise DataError(f"{listing.ids[position]} of {listing.origin} changed while it was read; start again")
    try:
        out[:], several, found.sizes[position] = decode(data, geometry)
    except UnreadableImageError as error:
        found.failures[position] = str(error)
    else:
        if several:
            found.several.add(position)


def _unreadable_error(origin: str, bad: list[tuple[str, str]], count: int) -> DataError:
    lines = [shown(f"  {name}: {reason}") for name, reason in bad[:MAX_LISTED]]
    more = [f"  and {count - MAX_LISTED:,} more"] if count > MAX_LISTED else []
    head = f"{counted(count, 'image')} of {origin} cannot be read (on_bad_image: skip leaves them out):"
    return DataError("\n".join([head, *lines, *more]))


def _findings(meta: Any) -> list[Finding]:
    findings = []
    if meta[UNREADABLE]:
        images = counted(meta["unreadable_count"], "unreadable image")
        names = some([f"{name} ({reason})" for name, reason in meta[UNREADABLE]], 5)
        findings.append(Finding("unreadable_left_out", f"{images} left out: {names}"))
    if meta[SEVERAL_FRAMES]:
        images = counted(meta["several_frames_count"], "image")
        text = f"{images} with several frames or pages, of which the first is used: {some(meta[SEVERAL_FRAMES], 5)}"
        findings.append(Finding("first_frame_used", text))
    return findings
