"""Randomness as a pure function: the same (seed, name, index) gives the same number, in any order, in any run."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["derive_seed", "generator", "uniforms"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def derive_seed(seed: int, name: str, *, bits: int = 64) -> int:
    """Return the seed that ``name`` has under the run's ``seed``; seeds of different names are unrelated."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - bits)


def generator(seed: int, name: str) -> np.random.Generator:
    """Return a generator of its own for one purpose, for instance ``order/3``."""
    return np.random.Generator(np.random.Philox(key=derive_seed(seed, name)))


def uniforms(seed: int, name: str, indices: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return ``count`` uniform numbers in [0, 1) for each index: a hash of (seed, name, index, place), no state.

    The hash is the output function of SplitMix64 (Steele, Lea and Flood, 2014), applied twice over a counter.

    Args:
        indices: int (n,), for instance rows of the training images.

    Returns:
        float (n, count).
    """
    key = np.uint64(derive_seed(seed, name))
    with np.errstate(over="ignore"):
        rows = _mix(indices.astype(np.uint64) * _GOLDEN + key)
        places = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
        bits = _mix(rows[:, None] + places)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
