"""What the pixels tell: images without a picture, and the same picture twice in other bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from imgcls.data.dataset import MAX_IMAGES, Dataset
from imgcls.findings import Finding
from imgcls.wording import counted, some

__all__ = ["check_pixels", "flat_images", "is_quickly_checked", "near_duplicates"]

QUICK = 25_000_000  # pairs of a held-out and a training image: half a second

_CHUNK = 2048  # images at once at most
_CHUNK_BYTES = 32_000_000  # and of so many bytes
_PAIRS_AT_ONCE = 20_000_000  # 80 MB
_HELD_AT_ONCE = 64  # held-out images, after which the progress is told
_SHOWN = 5
_CELLS = 16  # a thumbnail is so many pixels wide and high
_LEAST = 24  # pixels: of smaller images a thumbnail is the picture, and pictures of one thing are alike
_ALIKE = 0.95  # correlation of the thumbnails: who may be the same
_LIKELIEST = 8  # of those: X-rays all are, and comparing the details of two takes a tenth of a millisecond
_SAME = 0.8  # correlation of what the thumbnails leave out: who is
_LIGHT_ONLY = 2.0  # standard deviation of that, in 0..255, below which there is nothing to compare

_NARROW = 26  # a tenth of 0..255
_SAMPLED = 256  # images
_TINY = 0.25  # of the resolution, and of what is usual in these data

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]


def is_quickly_checked(dataset: Dataset) -> bool:
    """Return whether ``check_pixels`` takes no longer than a training can wait for."""
    train = len(dataset.splits["train"])
    return train * (sum(map(len, dataset.splits.values())) - train) <= QUICK


def check_pixels(dataset: Dataset, progress: Progress | None = None) -> list[Finding]:
    """Return what is odd about the pixels of the images in use; a pass over all of them, and one over pairs.

    Args:
        progress: called with (images done, images in all).
    """
    used = np.sort(np.concatenate(list(dataset.splits.values())))
    findings = []
    if flat := [dataset.paths[row] for row in flat_images(dataset.images, used).tolist()]:
        message = f"{counted(len(flat), 'image')} of one colour throughout: {some(flat, _SHOWN)}"
        findings.append(Finding("flat_images", message, images=_kept([(path,) for path in flat])))
    low, high = _range(dataset.images, used)
    if high - low < _NARROW:
        findings.append(Finding("narrow_range", f"pixels run from {low:.0f} to {high:.0f}, of 0 to 255"))
    are_tiny = _are_tiny(dataset.sizes[used], dataset.images.shape[1:3])
    if tiny := [dataset.paths[row] for row in used[are_tiny].tolist()]:
        what = f"{counted(len(tiny), 'image')} far smaller than wanted and than the others"
        images = _kept([(path,) for path in tiny])
        findings.append(Finding("tiny_images", f"{what}: {some(tiny, _SHOWN)}", images=images))
    pairs = near_duplicates(dataset.images, dataset.sha256, dataset.splits, progress)
    if pairs:
        same = [(dataset.paths[one], dataset.paths[other]) for one, other in pairs]
        findings.append(
            Finding(
                "near_duplicate_across_splits",
                f"{counted(len({one for one, _ in pairs}), 'image')} held out that train has too, in other bytes: "
                f"{some([' and '.join(pair) for pair in same], _SHOWN)}",
                images=_kept(same),
            )
        )
    return findings


def _kept(images: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    return tuple(images[:MAX_IMAGES])


def _range(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> tuple[float, float]:
    """Return between which values all but a thousandth of the pixels lie, from some images."""
    some_rows = rows[:: max(1, len(rows) // _SAMPLED)]
    counts = np.zeros(256, np.int64)
    for row in some_rows:
        counts += np.bincount(images[row].reshape(-1), minlength=256)
    low, high = np.searchsorted(np.cumsum(counts), counts.sum() * np.array([0.0005, 0.9995]), side="right")
    return float(low), float(high)


def _are_tiny(sizes: NDArray[np.uint32], wanted: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which pictures are so small that little is to be seen: small beside the resolution and beside the others.

    Args:
        sizes: (n, 2), height and width in pixels.
        wanted: height and width.
    """
    shares = (sizes / np.asarray(wanted)).min(axis=1)
    return np.asarray((shares < _TINY) & (shares < _TINY * np.median(shares)))


def flat_images(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows of images of one colour throughout.

    Args:
        images: uint8 (n, height, width, channels).
        rows: which to look at.
    """
    found = []
    for chosen in _chunks(rows, images):
        suspects = chosen[(images[chosen, 0, 0] == images[chosen, -1, -1]).all(axis=1)]  # few: the others are not read
        pixels = images[suspects]
        found.append(suspects[(pixels == pixels[:, :1, :1]).all(axis=(1, 2, 3))])
    return np.concatenate(found) if found else rows[:0]


def near_duplicates(
    images: NDArray[np.uint8],
    sha256: NDArray[np.uint8],
    splits: Mapping[str, NDArray[np.int64]],
    progress: Progress | None = None,
) -> list[tuple[int, int]]:
    """Return pairs (held out, in train) of images that show the same picture in other bytes: saved again, or scaled.

    Two images are the same where their thumbnails are, and the details that a thumbnail leaves out too: pictures of the
    same thing share the former, only the same picture shares the latter. Of each image the eight training images of
    the thumbnails most like its own are looked at. Brightness and contrast make no difference.
    Mirrored, turned and cropped pictures are not found, nor are any in images of fewer than 24 pixels.

    Args:
        images: uint8 (n, height, width, channels).
        sha256: uint8 (n, 32); the same bytes are no near duplicates.
        splits: part → rows.

    Returns:
        For each held-out image the one that is most like it, in the order of rows.
    """
    if min(images.shape[1:3]) < _LEAST:
        return []
    train = splits["train"]
    held_out = np.sort(np.concatenate([rows for part, rows in splits.items() if part != "train"] or [train[:0]]))
    known = np.concatenate([_thumbnails(images[rows]) for rows in _chunks(train, images)])
    at_once = min(_HELD_AT_ONCE, max(1, _PAIRS_AT_ONCE // max(1, len(known))))
    pairs, done = [], 0
    for rows in _chunks(held_out, images, at_once):
        likeness = _thumbnails(images[rows]) @ known.T
        for index, row in enumerate(rows.tolist()):
            candidates = np.flatnonzero(likeness[index] > _ALIKE)
            likeliest = candidates[np.argsort(-likeness[index, candidates], kind="stable")[:_LIKELIEST]]
            for other in train[likeliest].tolist():
                if not np.array_equal(sha256[row], sha256[other]) and _is_same(images[row], images[other]):
                    pairs.append((row, other))
                    break
        done += len(rows)
        if progress is not None:
            progress(done, len(held_out))
    return pairs


def _is_same(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> bool:
    one, other = _details(np.stack([first, second]))
    spreads = one.std(), other.std()
    if min(spreads) < _LIGHT_ONLY:
        return False
    return bool((one * other).mean() / (spreads[0] * spreads[1]) > _SAME)


def _thumbnails(images: NDArray[np.uint8]) -> Floats:
    """Return grey thumbnails as vectors of length 1 about their mean, (n, 256)."""
    cells = _cells(_grey(images))
    vectors = cells.reshape(len(cells), -1)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _details(images: NDArray[np.uint8]) -> Floats:
    """Return what grey thumbnails leave out, (n, pixels)."""
    grey = _grey(images)
    heights, widths = (np.diff(_edges(size)) for size in grey.shape[1:])
    details = grey - np.repeat(np.repeat(_cells(grey), heights, axis=1), widths, axis=2)
    return details.reshape(len(details), -1)


def _grey(images: NDArray[np.uint8]) -> Floats:
    """Return the means of the channels; seven times as fast as ``mean`` over an axis of three values."""
    grey = images[..., 0].astype(np.float32)
    for channel in range(1, images.shape[3]):
        grey += images[..., channel]
    grey /= images.shape[3]
    return grey


def _cells(grey: Floats) -> Floats:
    """Return the means of the areas that a thumbnail's pixels stand for, (n, 16, 16)."""
    rows, columns = (_edges(size) for size in grey.shape[1:])
    sums = np.add.reduceat(np.add.reduceat(grey, rows[:-1], axis=1), columns[:-1], axis=2)
    return np.asarray(sums / np.outer(np.diff(rows), np.diff(columns)), np.float32)


def _edges(size: int) -> NDArray[np.int64]:
    """Return where the areas begin and end, in pixels."""
    return np.arange(_CELLS + 1) * size // _CELLS


def _chunks(rows: NDArray[np.int64], images: NDArray[np.uint8], most: int = _CHUNK) -> Iterator[NDArray[np.int64]]:
    size = max(1, min(most, _CHUNK_BYTES // images[:1].nbytes))
    return (rows[start : start + size] for start in range(0, len(rows), size))
