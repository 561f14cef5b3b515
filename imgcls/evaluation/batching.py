"""How many images go through a network at a time."""

from __future__ import annotations

import math

__all__ = ["batch_size"]

_MAX_BATCH = 512
_BATCH_VALUES = 1 << 22  # values of one batch of input, at most: memory stays bounded at any resolution


def batch_size(shape: tuple[int, ...], count: int = _MAX_BATCH) -> int:
    """Return how many images of (height, width, channels) go in a batch, of so many.

    A size that depends on the images alone, their shape and count: other sizes could round differently.
    """
    return max(1, min(_MAX_BATCH, _BATCH_VALUES // math.prod(shape), count))
