"""Weights that somebody trained, put into a backbone: those of ImageNet that Keras downloads, or those of a file."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imgcls.backend import memory_is_told
from imgcls.errors import DataError, RunError
from imgcls.models.backbones import backbone_layers, stable_names, stock_network
from imgcls.models.weight_files import StoredLayer, layers_of_network, opened
from imgcls.models.weight_matching import match
from imgcls.spec import Spec
from imgcls.spec.architecture import BackboneSpec
from imgcls.wording import first_line, some

__all__ = ["PretrainedReport", "load_pretrained"]

# EfficientNet's ImageNet files hold the standard deviations where Keras wants variances; keras.applications mends it
# with a layer that is only there for `weights="imagenet"` (https://github.com/tensorflow/tensorflow/issues/49930).
_EFFICIENTNET_STDDEV = np.array([0.229, 0.224, 0.225], np.float32)
_SHOWN = 3  # layers named in the report


@dataclass(frozen=True)
class PretrainedReport:
    """What a backbone started from.

    Attributes:
        matched: weight tensors that were loaded: all that are used of the backbone.
        total: weight tensors of the whole backbone, those behind its cut too.
        unused: weight tensors of the source that belong to no layer of the backbone.
        unused_layers: the names of their layers, where the source has names.
    """

    backbone: str
    source: str
    matched: int
    total: int
    unused: int = 0
    unused_layers: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """The report in a line, for people."""
        part = f"{self.matched:,} of {self.total:,}" if self.matched < self.total else f"all {self.total:,}"
        cut = " up to its cut" if self.matched < self.total else ""
        names = f" ({some(self.unused_layers, _SHOWN)})" if self.unused_layers else ""
        more = f", which holds {self.unused:,} more{names}" if self.unused else ""
        return f"{part} tensors of {self.backbone}{cut} from {self.source}{more}"

    def __str__(self) -> str:
        return self.message


def load_pretrained(spec: Spec, network: keras.Model) -> PretrainedReport | None:
    """Put the weights that the spec names into the backbone of a network; nothing without such.

    Args:
        spec: complete, with the path of a weights file absolute.
        network: as ``build_network`` made it of this spec.

    Raises:
        DataError: the file is missing, damaged, or of another network.
        RunError: the ImageNet weights cannot be downloaded.
    """
    architecture = spec.architecture
    if not isinstance(architecture, BackboneSpec) or not architecture.is_pretrained:
        return None
    backbone, cut, weights = architecture.backbone, architecture.cut, architecture.weights
    used = {layer.name: layer for layer in backbone_layers(network)}
    shape = tuple(network.input_shape[1:])
    if weights == "imagenet":
        stock = _imagenet_network(backbone, shape)
        return _filled(backbone, used, _named(stock) | used, layers_of_network(stock), "ImageNet")
    whole = _named(stock_network(backbone, shape)) | used if cut else used
    with opened(Path(weights)) as stored:
        return _filled(backbone, used, whole, stored, weights)


def _named(network: keras.Model) -> dict[str, keras.layers.Layer]:
    """Return name → layer, by the names that a fresh process would give."""
    names = stable_names(network)
    return {names[layer.name]: layer for layer in network.layers}


def _filled(
    backbone: str,
    used: Mapping[str, keras.layers.Layer],
    whole: Mapping[str, keras.layers.Layer],
    stored: Sequence[StoredLayer],
    source: str,
) -> PretrainedReport:
    """Assign every weight of the layers that are used from what is stored, and report it.

    Raises:
        DataError: one is missing or of another shape, or there is more than the backbone has; then none is assigned.
    """
    found = match(used, whole, stored)
    if faults := found.faults(backbone):
        raise DataError(f"{source} does not fit {backbone}: {'; '.join(faults)}")
    for wanted, layer in found.pairs:
        assert layer
        values = _corrected(wanted.layer, [np.asarray(tensor) for tensor in layer.tensors])
        for weight, value in zip(wanted.weights, values, strict=True):
            weight.assign(value)
        if isinstance(wanted.layer, keras.layers.Normalization):
            wanted.layer.finalize_state()  # it computes with copies
    return PretrainedReport(
        backbone,
        source,
        matched=found.needed,
        total=found.total,
        unused=sum(len(each.tensors) for each in found.beyond),
        unused_layers=tuple(each.name for each in found.beyond if each.name),
    )


def _corrected(layer: keras.layers.Layer, values: list[Any]) -> list[Any]:
    """Return a layer's values, with EfficientNet's standard deviations turned into variances."""
    if isinstance(layer, keras.layers.Normalization) and values[1].shape == _EFFICIENTNET_STDDEV.shape:
        mean, variance, *rest = values
        if np.allclose(variance, _EFFICIENTNET_STDDEV, rtol=1e-4):
            return [mean, variance * _EFFICIENTNET_STDDEV, *rest]
    return values


class _Downloading(io.StringIO):
    """Stands in for stdout while Keras downloads: shows it on stderr, as all progress, and keeps it."""

    def write(self, text: str) -> int:
        sys.stderr.write(text)
        return super().write(text)

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def _imagenet_network(backbone: str, shape: tuple[int, ...]) -> keras.Model:
    """Return the network of keras.applications with its ImageNet weights, downloaded once.

    Raises:
        RunError: they cannot be had, or memory ran out.
    """
    told = _Downloading()
    try:
        with redirect_stdout(told), memory_is_told():
            return stock_network(backbone, shape, "imagenet")
    except RunError:  # out of memory, which no file mends
        raise
    except Exception as error:  # Keras raises the bare class where a download fails
        addresses = re.findall(r"https?://[^\s:]+", f"{told.getvalue()} {error}")
        file = addresses[-1].rsplit("/", 1)[-1] if addresses else "their file"
        folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
        raise RunError(
            f"the ImageNet weights of {backbone} cannot be downloaded ({first_line(error)}): put {file} into {folder}, "
            "or say weights: PATH"
        ) from error
