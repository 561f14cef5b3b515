"""What of a network does not learn, as a network of its own: what it gives for an image stays the same."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import keras

from imgcls.models.backbones import backbone_layers
from imgcls.models.graph import calls

__all__ = ["FrozenSplit", "is_still", "split_frozen"]


@dataclass(frozen=True)
class FrozenSplit:
    """A network in two parts, one after the other; both share its layers and so its weights.

    Attributes:
        base: (n, height, width, channels), 0..255 → features. Nothing in it learns; to be run in inference mode.
        head: features → the network's output; all that learns is here, in the network's order.
        layer: name of the layer or the operation that gives the features.
    """

    base: keras.Model
    head: keras.Model
    layer: str


def split_frozen(network: keras.Model) -> FrozenSplit | None:
    """Split a network behind the last frozen tensor that all of it depends on.

    Frozen dropout counts as frozen: the base runs in inference mode, as Keras advises for what does not learn. What
    follows and has neither weights nor chance, such as global pooling, is in the base too: features are smaller there.

    Args:
        network: as ``build_network`` made it, with ``set_trainable`` applied; not changed.

    Returns:
        Nothing where the network does not begin with frozen weights, not counting those that scale the pixels.
    """
    frozen = {layer.name for layer in backbone_layers(network) if _has_learned(layer) and not layer.trainable}
    cut = _last_still(calls(network), frozen) if frozen else None
    if cut is None:
        return None
    [features] = cut.outputs
    return FrozenSplit(
        keras.Model(network.input, features, name="base"),
        keras.Model(features, network.output, name="head"),
        cut.operation.name,
    )


def _has_learned(layer: Any) -> bool:
    """Return whether a layer has weights that training makes, and not only the scale of the pixels."""
    return bool(layer.weights) and not isinstance(layer, keras.layers.Normalization)


def _last_still(order: list[Any], frozen: set[str]) -> Any | None:
    """Return the last call whose output never changes and is all that later calls read of earlier ones.

    All that stands before such a call is needed for it, so the search ends where anything moves.
    """
    last_read = {id(tensor): index for index, call in enumerate(order) for tensor in call.input_tensors}
    found, weighted = None, False
    crossing: set[int] = set()  # tensors made so far that are still to be read
    for index, call in enumerate(takewhile(lambda call: is_still(call.operation), order)):
        made = {id(tensor) for tensor in call.outputs}
        crossing = {tensor for tensor in crossing | made if last_read.get(tensor, -1) > index}
        weighted = weighted or call.operation.name in frozen
        if weighted and len(call.outputs) == 1 and crossing == made:
            found = call
    return found


def is_still(operation: Any) -> bool:
    """Return whether an operation gives the same for the same input at every step of training.

    Weights that do not learn are not enough: the statistics of a batch norm without scale move as long as the layer is
    trainable. Variables without weights are the states of random generators.
    """
    if not isinstance(operation, keras.Layer) or not operation.variables:
        return True
    return not operation.trainable and not any(weight.trainable for weight in operation.weights)
