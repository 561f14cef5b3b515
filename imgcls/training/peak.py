"""What the machine could do at best: a product of two large matrices, in the precision of the training."""

from __future__ import annotations

import time

from keras import ops, random

__all__ = ["peak_flops_per_second"]

_SIZE = 2048  # 17 GFLOP a product: long enough to fill all cores, short enough to do several
_PRODUCTS = 4


def peak_flops_per_second(precision: str) -> float:
    """Return the best of a few measured matrix products, in FLOP/s.

    Args:
        precision: ``float32``, ``bfloat16`` or ``float16``.
    """
    matrix = random.normal((_SIZE, _SIZE), dtype=precision, seed=0)
    seconds = []
    for _ in range(_PRODUCTS):
        begun = time.perf_counter()
        float(ops.cast(ops.matmul(matrix, matrix)[0, 0], "float32"))  # a card answers when it is asked for a number
        seconds.append(time.perf_counter() - begun)
    return 2 * _SIZE**3 / min(seconds)
