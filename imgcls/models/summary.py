"""What a network is: layers, shapes, parameters, size, work an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras

__all__ = ["LayerSummary", "ModelSummary", "summarize"]


@dataclass(frozen=True)
class LayerSummary:
    """One layer; ``flops`` counts a multiplication and an addition as two."""

    name: str
    kind: str
    shape: tuple[int | None, ...]
    params: int
    trainable: int
    flops: int


@dataclass(frozen=True)
class ModelSummary:
    """A network; ``size_bytes`` is that of its weights as they are saved.

    Attributes:
        stage_trainable_params: what learns in each stage of its training; empty where it has none.
    """

    layers: tuple[LayerSummary, ...]
    total_params: int
    trainable_params: int
    size_bytes: int
    flops: int
    stage_trainable_params: tuple[int, ...] = ()


def summarize(network: keras.Model) -> ModelSummary:
    """Describe a network; FLOPs are of one image, forward, kernels only (what the field counts)."""
    rows = tuple(
        LayerSummary(
            layer.name,
            type(layer).__name__,
            tuple(layer.output.shape[1:]),
            _count(layer.weights),
            _count([weight for weight in layer.weights if weight.trainable]),
            _flops(layer),
        )
        for layer in network.layers
    )
    return ModelSummary(
        layers=rows,
        total_params=_count(network.weights),
        trainable_params=_count(network.trainable_weights),
        size_bytes=4 * _count(network.weights),  # float32, whatever the arithmetic
        flops=sum(row.flops for row in rows),
    )


def _count(weights: list[Any]) -> int:
    """Count parameters; the states of random generators are none."""
    return sum(math.prod(weight.shape) for weight in weights if "seed_generator" not in weight.path)


def _flops(layer: Any) -> int:
    """Two for each use of a kernel's value: kernel size times the places it is applied at."""
    spatial = math.prod(layer.output.shape[1:-1])
    if isinstance(layer, keras.layers.Conv2DTranspose):
        spatial = math.prod(layer.input.shape[1:-1])
    kernels = [weight for weight in layer.weights if weight.name.endswith("kernel")]
    return 2 * spatial * _count(kernels)
