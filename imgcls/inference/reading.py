"""Images read and decoded by several threads, in order, as many at a time as memory is meant for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgcls.data.hashing import cores
from imgcls.data.images import Geometry, UnreadableImageError, decode
from imgcls.inference.sources import Failure, Source, read

__all__ = ["Batch", "batches"]

_AHEAD = 8  # images a thread that wait for their turn
_FETCHING = 8  # threads, where images come from the web, whose time is spent waiting
_KEPT_BYTES = 64_000_000  # of files that a batch holds


@dataclass(frozen=True)
class Batch:
    """Some images, ready for a network.

    Attributes:
        sources: where each comes from.
        pixels: uint8 (n, height, width, channels), 0..255; n may be 0.
        files: the bytes of each file, where they were asked for.
        failures: those met on the way that cannot be used.
    """

    sources: tuple[Source, ...]
    pixels: NDArray[np.uint8]
    files: tuple[bytes, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class _Read:
    source: Source
    result: NDArray[np.uint8] | str  # pixels, or why there are none
    file: bytes = b""


def batches(sources: Sequence[Source], geometry: Geometry, size: int, *, keep_files: bool = False) -> Iterator[Batch]:
    """Yield all images in their order, in batches of at most ``size``; those that are decoded ahead are few."""
    images: list[_Read] = []
    failures: list[Failure] = []
    held = 0
    for each in _decoded(sources, geometry, keep_files=keep_files):
        if isinstance(each.result, str):
            failures.append(Failure(each.source.name, each.result))
            continue
        images.append(each)
        held += len(each.file)
        if len(images) == size or held > _KEPT_BYTES:
            yield _batch(images, failures, geometry)
            images, failures, held = [], [], 0
    if images or failures:
        yield _batch(images, failures, geometry)


def _batch(images: Sequence[_Read], failures: Sequence[Failure], geometry: Geometry) -> Batch:
    pixels = np.empty((len(images), *geometry.shape), np.uint8)
    for row, each in enumerate(images):
        pixels[row] = each.result
    files = tuple(each.file for each in images)
    return Batch(tuple(each.source for each in images), pixels, files, tuple(failures))


def _decoded(sources: Sequence[Source], geometry: Geometry, *, keep_files: bool) -> Iterator[_Read]:
    workers = max(cores(), _FETCHING if any(source.is_web for source in sources) else 1)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    waiting: deque[Future[_Read]] = deque()
    try:
        for source in sources:
            waiting.append(pool.submit(_read, source, geometry, keep_file=keep_files))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a slow server must not hold up Ctrl-C


def _read(source: Source, geometry: Geometry, *, keep_file: bool) -> _Read:
    try:
        data = read(source)
        return _Read(source, decode(data, geometry).pixels, data if keep_file else b"")
    except UnreadableImageError as error:
        return _Read(source, str(error))
    except MemoryError:
        return _Read(source, "too large for the memory there is")
