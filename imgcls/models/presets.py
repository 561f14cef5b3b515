"""The presets, written as the layer lists that a spec could have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imgcls.spec.architecture import AirbenchSpec, CnnSpec, LayersSpec, ResNetSpec, VggSpec
from imgcls.spec.layers import Layer

__all__ = ["PRESET_LAYERS", "architecture_layers"]


def architecture_layers(architecture: Any) -> tuple[Layer, ...]:
    """Return the layers of a preset or of a list."""
    if isinstance(architecture, LayersSpec):
        return architecture.layers
    return LayersSpec.model_validate({"layers": PRESET_LAYERS[architecture.preset](architecture)}).layers


def _conv(filters: int, strides: int = 1) -> list[Any]:
    """Return a convolution with batch norm; the bias would be undone by the norm.

    The norm's momentum is .9, not Keras' .99, with which a short training validates with statistics of its start.
    """
    conv = {
        "filters": filters,
        "strides": strides,
        "padding": "same",
        "bias": False,
        "activation": "none",
        "initializer": "he_normal",
    }
    return [{"conv": conv}, {"batch_norm": 0.9}]


def _head(dense: int, dropout: float) -> list[Any]:
    """Return the hidden layer, with batch norm too: without it, it learnt far slower (.49 against .63 in 4 epochs)."""
    hidden = [{"dense": {"units": dense, "bias": False, "activation": "none"}}, {"batch_norm": 0.9}, "relu"]
    return ["flatten", *(hidden if dense else []), *([{"dropout": dropout}] if dropout else [])]


def _pooled(dropout: float) -> list[Any]:
    return ["global_average_pool", *([{"dropout": dropout}] if dropout else [])]


def _cnn(spec: CnnSpec) -> list[Any]:
    layers: list[Any] = []
    for filters in spec.filters:
        layers += [*_conv(filters), "relu", {"max_pool": {"size": 2, "padding": "same"}}]
    return layers + _head(spec.dense, spec.dropout)


def _airbench(spec: AirbenchSpec) -> list[Any]:
    layers: list[Any] = []
    for stage, filters in enumerate(spec.filters, start=1):
        is_last = stage == len(spec.filters)
        pool = {"max_pool": {"size": 2, "padding": "same" if is_last else "valid"}}  # a single pixel may be left there
        conv, norm = _conv(filters)
        layers += [conv, pool, norm, "relu", conv, norm, "relu"]
    return layers + _pooled(spec.dropout)


def _vgg(spec: VggSpec) -> list[Any]:
    layers: list[Any] = []
    for filters in spec.filters:
        for _ in range(spec.convs):
            layers += [*_conv(filters), "relu"]
        layers += [
            {"max_pool": {"size": 2, "padding": "same"}},
            *([{"dropout": spec.dropout / 2}] if spec.dropout else []),
        ]
    return layers + _head(spec.dense, spec.dropout)


def _resnet(spec: ResNetSpec) -> list[Any]:
    layers: list[Any] = [*_conv(spec.filters[0]), "relu"]
    for stage, filters in enumerate(spec.filters):
        for block in range(spec.blocks):
            strides = 2 if stage > 0 and block == 0 else 1
            layers.append({"residual": [*_conv(filters, strides), "relu", *_conv(filters)]})
    return layers + _pooled(spec.dropout)


PRESET_LAYERS: dict[str, Callable[[Any], list[Any]]] = {
    "airbench": _airbench,
    "cnn": _cnn,
    "resnet": _resnet,
    "vgg": _vgg,
}
