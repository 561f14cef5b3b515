"""Networks of keras.applications as part of a flat network: cut, frozen, and named alike in every process."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from imgcls.errors import SpecError, nearest
from imgcls.randomness import derive_seed
from imgcls.spec.architecture import BackboneSpec, FromLayer
from imgcls.wording import counted, first_line

__all__ = [
    "HEAD",
    "OWN_NAME",
    "automatic_name",
    "automatic_prefixes",
    "backbone_features",
    "backbone_layers",
    "numbered_from_zero",
    "set_trainable",
    "stable_names",
    "stock_network",
]

HEAD = "architecture.head"  # where the layers of the head stand in the spec

_HEAD_NAME = re.compile(r"_head(_\d+)+$")  # what apply_layers makes of it
OWN_NAME = re.compile(
    r"(image|normalize|zca_\w+|patch_whiten|output)$"
)  # what building makes around the layers of an architecture
_LEAST = re.compile(r"at least\s+`?(\d+x\d+)")


def backbone_features(architecture: BackboneSpec, tensor: Any, seed: int) -> Any:
    """Apply a backbone to normalised images, up to its cut.

    Its layers become layers of the network itself, under their own names.

    Args:
        tensor: symbolic (n, height, width, channels), normalised.
        seed: what its initial weights and its dropout derive from.

    Raises:
        SpecError: the images are too small or of a wrong number of channels, or there is no layer to cut at.
    """
    with _seeded(seed):
        base = stock_network(architecture.backbone, tuple(tensor.shape[1:]))
        names = stable_names(base)
        made: dict[str, Any] = {}

        def copy(operation: Any) -> Any:
            config = operation.get_config() | {"name": names[operation.name]}
            if isinstance(operation, keras.layers.Rescaling | keras.layers.Normalization):
                config["dtype"] = "float32"  # as all normalisation
            return type(operation).from_config(config)

        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            made[operation.name] = operation(*args, **kwargs)
            return made[operation.name]

        keras.models.clone_model(base, input_tensors=tensor, clone_function=copy, call_function=call)
    return made[_last_used(architecture, [names[layer.name] for layer in base.layers[1:]], list(made))]


def stock_network(backbone: str, shape: tuple[int, ...], weights: str | None = None) -> keras.Model:
    """Build a network of keras.applications as it comes, without its top.

    Args:
        shape: (height, width, channels) of its images.
        weights: ``imagenet``, or nothing.

    Raises:
        SpecError: it does not take such images.
        Exception: the weights cannot be downloaded; Keras raises whatever it meets.
    """
    arguments: dict[str, Any] = {"include_top": False, "weights": weights, "input_shape": shape}
    if weights and backbone.startswith("nasnet"):
        del arguments["input_shape"]  # with weights, Keras refuses all sizes but one; the weights are the same
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the weights were trained at 224: known, and fine
            return _functions()[backbone](**arguments)
    except ValueError as error:
        if weights:
            raise
        size = "x".join(map(str, shape))
        if least := _LEAST.search(str(error)):
            raise SpecError(f"{backbone} takes images of at least {least[1]}, got {size}: set resolution") from error
        raise SpecError(f"{backbone} does not take images of {size}: {first_line(error)}") from error


def stable_names(network: keras.Model) -> dict[str, str]:
    """Return name → the name that a fresh process would give.

    Keras numbers layers without a name by all that the process has built before: ``conv2d_94`` is ``conv2d`` here.
    """
    operations = getattr(network, "operations", network.layers)  # a Sequential has layers only
    return numbered_from_zero([operation.name for operation in operations], automatic_prefixes(operations))


def automatic_prefixes(operations: Iterable[Any]) -> set[str]:
    """Return what Keras' own names of such layers begin with: ``conv2d`` of Conv2D, ``re_lu`` of ReLU."""
    return {automatic_name(type(operation).__name__) for operation in operations}


def numbered_from_zero(names: Iterable[str], prefixes: Collection[str]) -> dict[str, str]:
    """Return name → name, where those that are a prefix and a number are numbered from 0, which is not written.

    By subtraction, so that gaps stay: a network that was cut may lack layers in between.
    """
    numbers: dict[str, tuple[str, int]] = {}
    for name in names:
        match = re.fullmatch(r"(\w+?)(?:_(\d+))?", name)
        if match and match[1] in prefixes:
            numbers[name] = (match[1], int(match[2] or 0))
    least: dict[str, int] = {}
    for prefix, number in numbers.values():
        least[prefix] = min(number, least.get(prefix, number))
    fresh = {name: (prefix, number - least[prefix]) for name, (prefix, number) in numbers.items()}
    return {name: name for name in names} | {
        name: f"{prefix}_{number}" if number else prefix for name, (prefix, number) in fresh.items()
    }


def backbone_layers(network: keras.Model) -> list[keras.Layer]:
    """Return the layers of a built network between normalisation and head, as they follow each other."""
    return [layer for layer in network.layers if not OWN_NAME.match(layer.name) and not _HEAD_NAME.search(layer.name)]


def set_trainable(network: keras.Model, architecture: Any, *, place: str = "architecture.trainable") -> None:
    """Set which layers of a backbone learn; head and output always do. Other architectures are left as they are.

    Batch norm that is frozen computes with the statistics it came with, also where its scale and shift learn.

    Args:
        network: as ``build_network`` made it.
        architecture: the spec's; of a stage, with the stage's ``trainable``.
        place: where the spec says so, for messages.

    Raises:
        SpecError: the backbone, up to its cut, has no such layer or fewer layers.
    """
    if not isinstance(architecture, BackboneSpec):
        return
    layers = backbone_layers(network)
    first = _first_trainable(architecture, [layer.name for layer in layers], place)
    for index, layer in enumerate(layers):
        layer.trainable = index >= first
        if isinstance(layer, keras.layers.BatchNormalization) and architecture.batch_norm == "frozen":
            _infer_only(layer, learns=index >= first)


def _infer_only(layer: keras.layers.BatchNormalization, *, learns: bool) -> None:
    """Keep the statistics of a batch norm as they are, in training too.

    Keras does so where the layer is not trainable, and asks the variables what learns. ``training=False`` in the graph
    does not do: a network that is called with ``training=True`` hands that on, over what the graph says.
    """
    layer.trainable = False
    for weight in (layer.gamma, layer.beta):
        if weight is not None:
            weight.trainable = learns


def _first_trainable(architecture: BackboneSpec, names: list[str], place: str) -> int:
    trainable = architecture.trainable
    if isinstance(trainable, FromLayer):
        if trainable.from_ not in names:
            raise _no_layer(f"{place}.from", trainable.from_, architecture, names)
        return names.index(trainable.from_)
    if isinstance(trainable, int):
        if trainable > len(names):
            raise SpecError(
                f"{place}: got {trainable}; what is used of {architecture.backbone} has {counted(len(names), 'layer')}"
            )
        return len(names) - trainable
    return 0 if trainable == "all" else len(names)


def _last_used(architecture: BackboneSpec, layers: list[str], operations: list[str]) -> str:
    """Return the name of the layer that gives the features.

    Args:
        layers: names, as Keras lists them.
        operations: names of the layers and of the bare operations between them, such as a sum.
    """
    cut = architecture.cut
    if isinstance(cut, str):
        if cut not in operations:
            raise _no_layer("architecture.cut", cut, architecture, operations)
        return cut
    if cut and cut >= len(layers):
        raise SpecError(f"architecture.cut: got {cut}; {architecture.backbone} has {counted(len(layers), 'layer')}")
    return layers[-1 - cut] if cut else operations[-1]


def _no_layer(place: str, name: str, architecture: BackboneSpec, names: list[str]) -> SpecError:
    hint = nearest(name, names) or f"; its last layers are {', '.join(names[-3:])}"
    return SpecError(f"{place}: what is used of {architecture.backbone} has no layer {name}{hint}")


def _functions() -> dict[str, Callable[..., keras.Model]]:
    """Return lower-case name → the function of keras.applications that builds it."""
    found = {name: getattr(keras.applications, name) for name in dir(keras.applications)}
    return {name.lower(): function for name, function in found.items() if name[0].isupper()}


def automatic_name(name: str) -> str:
    """Return what Keras calls a layer of a class: ``conv2d`` of Conv2D; split where its ``to_snake_case`` does."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Give all that draws without a seed one that follows from ``seed``: Keras takes these from ``random``."""
    state = random.getstate()
    random.seed(derive_seed(seed, "backbone"))
    try:
        yield
    finally:
        random.setstate(state)
