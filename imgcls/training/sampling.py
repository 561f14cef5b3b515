"""Which images an epoch shows and in which order: a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imgcls.randomness import generator

__all__ = ["SAMPLERS", "class_weights", "epoch_length", "epoch_order", "occurrences"]

Labels = NDArray[np.int32]
Places = NDArray[np.int64]


def epoch_order(labels: Labels, imbalance: str, *, seed: int, epoch: int) -> Places:
    """Return the places of an epoch's images among the training images, in the order they are shown.

    Args:
        labels: int (n,), of the training images.
        imbalance: the spec's key; over- and undersampling show classes equally often.
        epoch: counts from 1.
    """
    places = SAMPLERS[imbalance](labels, seed, epoch)
    return generator(seed, f"order/{epoch}").permutation(places)


def occurrences(order: Places) -> Places:
    """Return for each entry how often its place came before: 0, and more where oversampling repeats it."""
    sorting = np.argsort(order, kind="stable")
    ordered = order[sorting]
    begins = np.searchsorted(ordered, ordered, side="left")
    result = np.empty_like(order)
    result[sorting] = np.arange(len(order)) - begins
    return result


def epoch_length(labels: Labels, imbalance: str) -> int:
    """Return how many images an epoch shows; the same for all epochs."""
    return len(SAMPLERS[imbalance](labels, 0, 1))


def class_weights(labels: Labels, classes: int) -> NDArray[np.float32]:
    """Return n / (classes x count) for each class, scikit-learn's "balanced"; 0 for a class without images."""
    counts = np.bincount(labels, minlength=classes)
    weights = np.divide(len(labels), classes * counts, out=np.zeros(classes), where=counts > 0)
    return weights.astype(np.float32)


def _all(labels: Labels, _: int, __: int) -> Places:
    return np.arange(len(labels))


def _oversample(labels: Labels, seed: int, epoch: int) -> Places:
    """Show every class as often as the largest: each image equally often, and some, drawn anew, once more."""
    groups = _groups(labels)
    most = max(map(len, groups))
    draw = generator(seed, f"sampling/{epoch}")
    filled = [np.concatenate([np.tile(g, most // len(g)), draw.permutation(g)[: most % len(g)]]) for g in groups]
    return np.concatenate(filled)


def _undersample(labels: Labels, seed: int, epoch: int) -> Places:
    """Show every class as often as the smallest: other images of the larger ones in each epoch."""
    groups = _groups(labels)
    least = min(map(len, groups))
    draw = generator(seed, f"sampling/{epoch}")
    return np.concatenate([draw.permutation(g)[:least] for g in groups])


def _groups(labels: Labels) -> list[Places]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


SAMPLERS: dict[str, Callable[[Labels, int, int], Places]] = {
    "none": _all,
    "class_weights": _all,
    "oversample": _oversample,
    "undersample": _undersample,
}
