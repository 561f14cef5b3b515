"""Weights that somebody trained: read from Keras or from a file, matched with a backbone's layers, and checked."""

from __future__ import annotations

import io
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from imgcls.backend import load_model, memory_is_told
from imgcls.errors import DataError, RunError
from imgcls.models.backbones import (
    automatic_prefixes,
    backbone_layers,
    numbered_from_zero,
    stable_names,
    stock_network,
)
from imgcls.spec import Spec
from imgcls.spec.architecture import BackboneSpec
from imgcls.wording import counted, first_line, some

__all__ = ["PretrainedReport", "load_pretrained"]

# EfficientNet's ImageNet files hold the standard deviations where Keras wants variances; keras.applications mends it
# with a layer that is only there for `weights="imagenet"` (https://github.com/tensorflow/tensorflow/issues/49930).
_EFFICIENTNET_STDDEV = np.array([0.229, 0.224, 0.225], np.float32)
_SHOWN = 3  # tensors named in a message


@dataclass(frozen=True)
class PretrainedReport:
    """What a backbone started from; ``matched`` and ``total`` count the weight tensors of what is used of it."""

    backbone: str
    source: str
    matched: int
    total: int

    @property
    def message(self) -> str:
        """The report in a line, for people."""
        return f"{self.matched} of {self.total} tensors of {self.backbone} from {self.source}"

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class _Stored:
    """A layer of a file: its name, where the file has it, and its tensors; these are read only where they fit."""

    name: str | None
    tensors: tuple[Any, ...]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [tuple(tensor.shape) for tensor in self.tensors]


@dataclass(frozen=True)
class _Wanted:
    """A layer of the network that has weights."""

    layer: keras.layers.Layer

    @property
    def weights(self) -> list[Any]:
        return [weight for weight in self.layer.weights if "seed_generator" not in weight.path]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [tuple(weight.shape) for weight in self.weights]


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
    layers = backbone_layers(network)
    if architecture.weights == "imagenet":
        source = "ImageNet"
        stored = _of_network(_imagenet_network(architecture.backbone, tuple(network.input_shape[1:])))
        total = _fill(architecture.backbone, layers, stored, "the ImageNet weights of Keras")
    else:
        source = architecture.weights
        with _opened(Path(source)) as stored:
            total = _fill(architecture.backbone, layers, stored, source)
    return PretrainedReport(architecture.backbone, source, total, total)


def _fill(backbone: str, layers: Sequence[keras.layers.Layer], stored: Sequence[_Stored], source: str) -> int:
    """Assign every weight of the layers from what is stored; return how many tensors these are.

    Raises:
        DataError: one is missing or of another shape; then none is assigned.
    """
    pairs = _matched(layers, stored)
    total = sum(len(wanted.weights) for wanted, _ in pairs)
    faults = [fault for wanted, found in pairs for fault in _misfits(wanted, found)]
    if faults:
        raise DataError(
            f"{source} does not fit {backbone}: {len(faults):,} of {counted(total, 'tensor')} are missing or of "
            f"another shape: {some(faults, _SHOWN)}"
        )
    for wanted, found in pairs:
        assert found
        values = _corrected(wanted.layer, [np.asarray(tensor) for tensor in found.tensors])
        for weight, value in zip(wanted.weights, values, strict=True):
            weight.assign(value)
        if isinstance(wanted.layer, keras.layers.Normalization):
            wanted.layer.finalize_state()  # it computes with copies
    return total


def _matched(layers: Sequence[keras.layers.Layer], stored: Sequence[_Stored]) -> list[tuple[_Wanted, _Stored | None]]:
    """Find what is stored of each layer: by name, else the next in order that has the same shapes."""
    names = numbered_from_zero([each.name for each in stored if each.name], automatic_prefixes(layers))
    by_name = {names[each.name]: each for each in stored if each.name}
    units = [unit for layer in layers for unit in _units(layer, stored, by_name)]
    wanted = [each for each in map(_Wanted, units) if each.weights]
    named = {id(by_name[each.layer.name]) for each in wanted if each.layer.name in by_name}
    rest = [each for each in stored if id(each) not in named]
    pairs: list[tuple[_Wanted, _Stored | None]] = []
    for each in wanted:
        found = by_name.get(each.layer.name)
        if found is None:
            found = next((other for other in rest if other.shapes == each.shapes), None)
            rest = [other for other in rest if other is not found]
        pairs.append((each, found))
    return pairs


def _units(layer: Any, stored: Sequence[_Stored], by_name: dict[str, _Stored]) -> list[keras.layers.Layer]:
    """Return a layer, or those inside it where the file has them one by one; old files have them together."""
    whole = _Wanted(layer)
    if not isinstance(layer, keras.Sequential) or layer.name in by_name:
        return [layer]
    return [layer] if any(each.shapes == whole.shapes for each in stored) else list(layer.layers)


def _misfits(wanted: _Wanted, found: _Stored | None) -> list[str]:
    """Describe the tensors of a layer that are not there or have another shape."""
    have = found.shapes if found else []
    if len(have) > len(wanted.shapes):
        return [f"{wanted.layer.name} has {len(wanted.shapes)} tensors, the file {len(have)}"]
    misfits = []
    for index, (weight, shape) in enumerate(zip(wanted.weights, wanted.shapes, strict=True)):
        got = have[index] if index < len(have) else None
        if got != shape:
            there = f"the file has {_shape(got)}" if got is not None else "the file has none"
            misfits.append(f"{wanted.layer.name}/{weight.name} is {_shape(shape)}, {there}")
    return misfits


def _corrected(layer: keras.layers.Layer, values: list[Any]) -> list[Any]:
    """Return a layer's values, with EfficientNet's standard deviations turned into variances."""
    if isinstance(layer, keras.layers.Normalization) and values[1].shape == _EFFICIENTNET_STDDEV.shape:
        mean, variance, *rest = values
        if np.allclose(variance, _EFFICIENTNET_STDDEV, rtol=1e-4):
            return [mean, variance * _EFFICIENTNET_STDDEV, *rest]
    return values


def _of_network(network: keras.Model) -> list[_Stored]:
    """Return the weights of a network, layer by layer, those of networks inside it too."""
    names = stable_names(network)
    found: list[_Stored] = []
    for layer in network.layers:
        if isinstance(layer, keras.Model) and not isinstance(layer, keras.Sequential):
            found += _of_network(layer)
        elif isinstance(layer, keras.Sequential):
            found += [_Stored(inner.name, tuple(_Wanted(inner).weights)) for inner in layer.layers]
        else:
            found.append(_Stored(names[layer.name], tuple(_Wanted(layer).weights)))
    return [each for each in found if each.tensors]


@contextmanager
def _opened(path: Path) -> Iterator[list[_Stored]]:
    """Open a weights file of any kind that Keras writes; tensors are read while it is open.

    Raises:
        DataError: there is none, or it is none.
    """
    if not path.is_file():
        raise DataError(f"architecture.weights: there is no file {path}")
    if zipfile.is_zipfile(path):
        network = load_model(path)
        if not isinstance(network, keras.Model):
            raise DataError(f"{path} is no network whose layers can be told apart")
        yield _of_network(network)
        return
    if not h5py.is_hdf5(path):
        raise DataError(f"{path} is no weights file: .weights.h5, .h5 and .keras as Keras writes them are accepted")
    try:
        with h5py.File(path, "r") as file:
            yield _in_hdf5(file, path)
    except (OSError, KeyError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read: {first_line(error)}") from error


def _in_hdf5(file: h5py.File, path: Path) -> list[_Stored]:
    """List the layers of an HDF5 file.

    Only what lies in the file itself is visited: links to other files are not followed.
    """
    tensors: dict[str, h5py.Dataset] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu":
            if item.is_virtual or item.external:
                raise DataError(f"{path} points to other files: only weights that lie in the file itself are read")
            tensors[name] = item

    file.visititems(visit)
    root = file.get("model_weights", file)
    stored = _of_old_format(root, tensors) if _texts(root, "layer_names") else _of_new_format(file, tensors)
    if not stored:
        raise DataError(f"{path} holds no weights of Keras layers")
    return stored


def _of_old_format(root: h5py.Group, tensors: dict[str, h5py.Dataset]) -> list[_Stored]:
    """List the layers of an ``.h5`` file: attributes name layers and tensors, in order."""
    prefix = root.name.strip("/")
    stored = []
    for name in _texts(root, "layer_names"):
        paths = ["/".join(filter(None, [prefix, name, weight])) for weight in _texts(root[name], "weight_names")]
        stored.append(_Stored(name, tuple(tensors[path] for path in paths)))
    return [each for each in stored if each.tensors]


def _of_new_format(file: h5py.File, tensors: dict[str, h5py.Dataset]) -> list[_Stored]:
    """List the layers of a ``.weights.h5`` file: ``layers/conv2d_1/vars/0``, with the name as attribute of ``vars``."""
    layers: dict[str, dict[int, h5py.Dataset]] = {}
    for path, tensor in tensors.items():
        match = re.fullmatch(r"(.+/vars)/(\d+)", path)
        if match and not path.startswith("optimizer/") and "seed_generator" not in path:
            layers.setdefault(match[1], {})[int(match[2])] = tensor
    ordered = sorted(layers, key=_natural)
    return [
        _Stored(_text(file[path].attrs.get("name")), tuple(layers[path][index] for index in sorted(layers[path])))
        for path in ordered
    ]


def _texts(group: h5py.Group, name: str) -> list[str]:
    """Return a list of names among the attributes; long ones are in pieces, numbered from 0."""
    if name in group.attrs:
        pieces = [group.attrs[name]]
    else:
        pieces = []
        while f"{name}{len(pieces)}" in group.attrs:
            pieces.append(group.attrs[f"{name}{len(pieces)}"])
    return [text for piece in pieces for each in piece if (text := _text(each)) is not None]


def _text(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else None


def _natural(path: str) -> list[tuple[str, int]]:
    """Sort ``conv2d_10`` behind ``conv2d_9``."""
    return [(text, int(number or 0)) for text, number in re.findall(r"([^\d]+)(\d*)", path)]


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"


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
