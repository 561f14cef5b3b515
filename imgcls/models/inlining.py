"""A network with the networks in it laid open, so that what any layer gives can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

__all__ = ["Step", "inlined"]


@dataclass(frozen=True)
class Step:
    """A call of a layer or operation: symbolic tensors, (n, ...)."""

    operation: Any
    input: Any
    output: Any


def inlined(network: keras.Model) -> tuple[Any, list[Step]]:
    """Return a symbolic image and the steps that lead from it to the output, in their order; weights are shared.

    Steps inside of networks that serve as layers (a backbone) are among them, instead of these.
    """
    steps: list[Step] = []

    def apply(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, keras.Sequential):
            tensor = args[0]
            for layer in operation.layers:
                tensor = apply(layer, tensor)
            return tensor
        if isinstance(operation, keras.Model) and hasattr(operation, "operations"):  # a functional one
            return open_up(operation, args[0])
        output = operation(*args, **kwargs)
        steps.append(Step(operation, args[0] if args else None, output))
        return output

    def open_up(inner: Any, tensor: Any) -> Any:
        plain = keras.Model(inner.inputs, inner.outputs, name=inner.name)  # Keras would compile that of a compiled one
        cloned = keras.models.clone_model(
            plain, input_tensors=[tensor], clone_function=lambda operation: operation, call_function=apply
        )
        return cloned.outputs[0]

    image = keras.Input(network.input_shape[1:], name="image", dtype="float32")
    apply(network, image)
    return image, steps
