"""The calls that a functional network is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import keras

__all__ = ["calls", "chained", "replaced", "unchanged"]


def calls(network: keras.Model) -> list[Any]:
    """Return Keras' nodes, each after those it depends on.

    Each has ``operation``, ``input_tensors`` and ``outputs``. Keras shows them nowhere, and ``layer.output`` is another
    tensor where the layer is a network itself.
    """
    by_depth = network._nodes_by_depth  # noqa: SLF001 - nothing public tells which call reads which tensor
    return [call for depth in sorted(by_depth, reverse=True) for call in by_depth[depth]]


def chained(network: keras.Model, kind: type[keras.layers.Layer]) -> Iterator[tuple[Any, Any]]:
    """Yield each call of a layer of just this kind behind the call whose output it alone reads: (the one before, it).

    Layers that are called more than once are left out.
    """
    order = calls(network)
    made_by = {id(tensor): call for call in order for tensor in call.outputs}
    readers = Counter(id(tensor) for call in order for tensor in call.input_tensors)
    readers.update(id(tensor) for tensor in network.outputs)
    uses = Counter(call.operation.name for call in order)
    for call in order:
        if type(call.operation) is kind:
            [tensor] = call.input_tensors
            before = made_by[id(tensor)]
            if readers[id(tensor)] == uses[before.operation.name] == uses[call.operation.name] == 1:
                yield before, call


def replaced(network: keras.Model, by_name: dict[str, Callable[..., Any]]) -> keras.Model:
    """Return a network with other operations in the places of some; the rest, and its weights, it shares."""
    return keras.models.clone_model(
        keras.Model(network.input, network.output, name=network.name),  # Keras would compile that of a compiled network
        input_tensors=network.input,
        clone_function=lambda operation: by_name.get(operation.name, operation),
    )


def unchanged(tensor: Any, **_: Any) -> Any:
    """Take the place of an operation that is left out."""
    return tensor
