"""Whether an export gives the answers of its network, how large and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from imgcls.comparison.significance import LEVEL, Difference, of_images
from imgcls.deployment.formats import FORMATS
from imgcls.deployment.source import Opened
from imgcls.errors import RunError
from imgcls.evaluation.batching import batch_size
from imgcls.evaluation.metrics import predicted_classes
from imgcls.evaluation.prediction import Predictions

__all__ = ["MIN_SAME", "Check", "check_export", "latency_ms", "loss_in_words"]

MIN_SAME = 0.995  # share of the images to which an exact format must give the network's class

_WARM_UP, _LEAST, _MOST, _LONG_S = 3, 5, 50, 2.0  # images whose time is not taken; is; at most; seconds for all
_ONE_BY_ONE = 32  # images between two words of how far it is, where each is predicted alone
_TOLERANCE = 0.02  # of a sum of probabilities: integers of 8 bits round each of them by up to 1/512


@dataclass(frozen=True)
class Check:
    """What came of opening an export and having it predict images of which the network's answers are known.

    Attributes:
        kind: as in ``FORMATS``.
        size: in bytes, of a folder that of all its files.
        accuracy: share of right answers.
        n: images.
        same: share of the images that it gives the network's class.
        largest: the largest difference of a probability.
        latency_ms: of one image alone, the median of several.
        loss: how much better it is than the network, where it rounds more coarsely; negative where it is worse.
    """

    kind: str
    size: int
    accuracy: float
    n: int
    same: float
    largest: float
    latency_ms: float
    loss: Difference | None = None


def check_export(
    kind: str,
    path: Path,
    opened: Opened,
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
    expected: Predictions,
    progress: Callable[[int, int], None],
) -> Check:
    """Hold an export's answers against the network's.

    Args:
        images: uint8 (n, height, width, channels), 0..255.
        rows: int (m,), which of them.
        expected: what the network says of these.
        progress: called with (images done, images in all).

    Raises:
        RunError: its output are no probabilities, or it gives fewer than ``MIN_SAME`` of the images the same class
            though it claims to be exact.
    """
    probabilities = _predicted(opened, images, rows, progress)
    if not np.isfinite(probabilities).all() or np.abs(probabilities.sum(axis=1) - 1).max() > _tolerance(probabilities):
        raise RunError(f"{kind}: what it gives are no probabilities: nothing was exported")
    predicted = predicted_classes(probabilities)
    same = int(np.sum(predicted == expected.predicted))
    exact = FORMATS[kind].is_exact
    if exact and same < MIN_SAME * len(rows):
        raise RunError(
            f"{kind}: it gives {len(rows) - same} of {len(rows)} images another class than the network does: "
            "nothing was exported"
        )
    hits = predicted == expected.labels
    return Check(
        kind,
        _size(path),
        float(hits.mean()),
        len(rows),
        same / len(rows),
        float(np.abs(probabilities - expected.probabilities).max()),
        latency_ms(opened, images, rows),
        None if exact else of_images(expected.predicted == expected.labels, hits),
    )


def latency_ms(opened: Opened, images: NDArray[np.uint8], rows: NDArray[np.int64]) -> float:
    """Return how long a single image takes, the median of several after some that are not counted; milliseconds."""
    times: list[float] = []
    begun = time.perf_counter()
    for place in range(_WARM_UP + _MOST):
        image = images[rows[[place % len(rows)]]]
        start = time.perf_counter()
        opened.predict(image)
        times.append(time.perf_counter() - start)
        if place >= _WARM_UP + _LEAST and time.perf_counter() - begun > _LONG_S:
            break
    return 1000 * median(times[_WARM_UP:])


def loss_in_words(check: Check) -> str:
    """Say what a format that rounds costs, and whether that is more than chance; nothing of an exact one."""
    if check.loss is None:
        return ""
    value, low, high, p = check.loss.value, check.loss.low, check.loss.high, check.loss.p
    if check.same == 1:
        bound = 1 - LEVEL ** (1 / check.n)  # of none in n: the exact upper end of the binomial interval
        return (
            f"{check.kind}: all {check.n:,} images get the class that they get in float32; of others like them, with "
            f"95 % confidence, at most {100 * bound:.1f} % do not"
        )
    changed = f"{check.kind}: {100 * (1 - check.same):.1f} % of {check.n:,} images get another class than in float32"
    if not value:
        return f"{changed}; as many are right as before (95 % {_points(low)} to {_points(high)} points)"
    what = f"{abs(100 * value):.1f} points {'more' if value > 0 else 'fewer'} are right"
    verdict = "more than chance" if p < LEVEL else "not to be told from chance on so many images"
    figures = f"95 % {_points(low)} to {_points(high)}, {check.loss.test} p = {p:.2g}"
    return f"{changed}; {what} ({figures}): {verdict}"


def _points(share: float) -> str:
    return f"{100 * share + 0.0:+.1f}"


def _predicted(
    opened: Opened, images: NDArray[np.uint8], rows: NDArray[np.int64], progress: Callable[[int, int], None]
) -> NDArray[np.float32]:
    """Return float32 (m, classes), in batches that keep memory bounded, all of one size: they are traced once."""
    size = min(batch_size(images.shape[1:], len(rows)), _ONE_BY_ONE if opened.one_by_one else len(rows))
    parts = []
    for start in range(0, len(rows), size):
        chosen = rows[start : start + size]
        batch = images[chosen if opened.one_by_one else np.resize(chosen, size)]
        parts.append(opened.predict(batch)[: len(chosen)])
        progress(start + len(chosen), len(rows))
    return np.concatenate(parts)


def _tolerance(probabilities: NDArray[np.float32]) -> float:
    """Return by how much a sum of probabilities may be off: each of them by half of a 256th."""
    return max(_TOLERANCE, probabilities.shape[1] / 512)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
