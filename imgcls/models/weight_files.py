"""Weights as they are stored: read layer by layer from any file that Keras writes, or from a network in memory."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras

from imgcls.backend.inspecting import read_archive, tensors_of
from imgcls.errors import DataError
from imgcls.models.backbones import automatic_name, stable_names
from imgcls.runs.layout import MODEL
from imgcls.wording import first_line

__all__ = ["StoredLayer", "layers_of_network", "opened", "own_weights"]

_ACCEPTED = ".weights.h5, .h5 and .keras as Keras writes them are accepted"
_CONFIG = "config.json"  # of every .keras file


@dataclass(frozen=True)
class StoredLayer:
    """A layer of a file; its tensors are read only where they fit.

    Attributes:
        name: the layer's; nothing where the file has none.
        tensors: in the order of the layer's weights.
        group: layers of one group stand in the order of their network; those of two do not follow each other.
    """

    name: str | None
    tensors: tuple[Any, ...]
    group: str = ""

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of each tensor."""
        return [tuple(tensor.shape) for tensor in self.tensors]


def own_weights(layer: keras.layers.Layer) -> list[Any]:
    """Return the weights of a layer without the state of its random numbers."""
    return [weight for weight in layer.weights if "seed_generator" not in weight.path]


def layers_of_network(network: keras.Model, place: str = "") -> list[StoredLayer]:
    """Return the weights of a network, layer by layer, those of networks inside it too.

    Args:
        place: where it stands in another network.
    """
    names = stable_names(network)
    found: list[StoredLayer] = []
    for layer in network.layers:
        if isinstance(layer, keras.Model) and not isinstance(layer, keras.Sequential):
            found += layers_of_network(layer, f"{place}/{layer.name}")
        elif isinstance(layer, keras.Sequential):
            found += [StoredLayer(inner.name, tuple(own_weights(inner)), place) for inner in layer.layers]
        else:
            found.append(StoredLayer(names[layer.name], tuple(own_weights(layer)), place))
    return [each for each in found if each.tensors]


@contextmanager
def opened(path: Path) -> Iterator[list[StoredLayer]]:
    """Open a weights file of any kind that Keras writes; tensors are read while it is open.

    Raises:
        DataError: there is none, or it is none.
    """
    if path.is_dir():
        hint = f": the network of a run is {path / MODEL}" if (path / MODEL).is_file() else ", no weights file"
        raise DataError(f"architecture.weights: {path} is a folder{hint}")
    if not path.is_file():
        raise DataError(f"architecture.weights: there is no file {path}")
    is_archive = zipfile.is_zipfile(path)
    if not is_archive and not h5py.is_hdf5(path):
        raise DataError(f"{path} is no weights file: {_ACCEPTED}")
    config, weights = read_archive(path) if is_archive else ({}, b"")  # nothing of which is built
    source, size_bytes = (io.BytesIO(weights), len(weights)) if is_archive else (path, path.stat().st_size)
    try:
        with h5py.File(source, "r") as file:
            yield _layers_in(file, config, path, size_bytes)
    except (OSError, KeyError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read: {first_line(error)}") from error


def _layers_in(file: h5py.File, config: Any, path: Path, size_bytes: int) -> list[StoredLayer]:
    """List the layers of an HDF5 file.

    Args:
        config: of the network, which tells the order of its layers; empty where there is none.
        path: where from, for messages.
        size_bytes: of the file.
    """
    try:
        tensors = {name: each for name, each in tensors_of(file, path, size_bytes).items() if each.dtype.kind in "fiu"}
        root = file.get("model_weights", file)
        is_old = bool(_texts(root, "layer_names"))
        stored = _of_old_format(root, tensors) if is_old else _of_new_format(file, tensors, _order(config))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"{path} cannot be read: {first_line(error)}") from error
    if not stored:
        raise DataError(f"{path} holds no weights of Keras layers")
    return stored


def _of_old_format(root: h5py.Group, tensors: dict[str, h5py.Dataset]) -> list[StoredLayer]:
    """List the layers of an ``.h5`` file: attributes name layers and tensors, in order.

    A network inside the network is one layer there, whose tensors are called ``conv1/kernel``, ``conv1_bn/gamma``.
    """
    prefix = root.name.strip("/")
    stored = []
    for name in _texts(root, "layer_names"):
        inner: dict[str, list[h5py.Dataset]] = {}
        for weight in _texts(root[name], "weight_names"):
            tensor = tensors["/".join(filter(None, [prefix, name, weight]))]
            inner.setdefault(weight.rpartition("/")[0], []).append(tensor)
        if len(inner) == 1:
            stored += [StoredLayer(name, tuple(each)) for each in inner.values()]
        else:
            stored += [StoredLayer(own.rpartition("/")[2], tuple(each), name) for own, each in inner.items()]
    return stored


def _of_new_format(
    file: h5py.File, tensors: dict[str, h5py.Dataset], order: dict[str, tuple[str, str]]
) -> list[StoredLayer]:
    """List the layers of a ``.weights.h5`` file: ``layers/conv2d_1/vars/0``, with the name as attribute of ``vars``.

    The number counts the layers of one class, so that only these are in order where nothing else tells it.

    Args:
        order: place in the file → name and group of a layer.
    """
    layers: dict[str, dict[int, h5py.Dataset]] = {}
    for path, tensor in tensors.items():
        match = re.fullmatch(r"(.+/vars)/(\d+)", path)
        if match and not path.startswith("optimizer/") and "seed_generator" not in path:
            layers.setdefault(match[1], {})[int(match[2])] = tensor
    positions = {path: index for index, path in enumerate(order)}
    stored = []
    for path in sorted(layers, key=lambda path: (positions.get(path, len(order)), _natural(path))):
        name, group = order.get(path, (None, re.sub(r"(_\d+)?/vars$", "", path)))
        written = _text(file[path].attrs.get("name"))
        stored.append(StoredLayer(written or name, tuple(layers[path][each] for each in sorted(layers[path])), group))
    return stored


def _order(config: Any, place: str = "", group: str = "") -> dict[str, tuple[str, str]]:
    """Return place in the file of weights → name and group of each layer of a network, in their order.

    Args:
        config: as Keras wrote it, or anything.
        place: of the network in the file.
        group: of its layers.
    """
    found: dict[str, tuple[str, str]] = {}
    counts: Counter[str] = Counter()
    for layer in _layers_of(config):
        kind, name = automatic_name(str(layer.get("class_name"))), str(layer["config"].get("name"))
        own = f"{place}layers/{kind}_{counts[kind]}" if counts[kind] else f"{place}layers/{kind}"
        counts[kind] += 1
        found[f"{own}/vars"] = (name, group)
        found |= _order(layer, f"{own}/", group if kind == "sequential" else f"{group}/{name}")
    return found


def _layers_of(config: Any) -> list[dict[str, Any]]:
    """Return what a config says of each layer of a network; nothing of anything else."""
    settings = config.get("config")
    layers = settings.get("layers") if isinstance(settings, dict) else None
    known = layers if isinstance(layers, list) else []
    return [each for each in known if isinstance(each, dict) and isinstance(each.get("config"), dict)]


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
