"""ONNX, for ONNX Runtime and whatever else reads it: by Keras' own exporter, which uses tf2onnx."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcls.deployment.source import INPUT, OUTPUT, Opened, Source
from imgcls.errors import RunError

if TYPE_CHECKING:
    import keras

__all__ = ["PACKAGES", "open_onnx", "write_onnx"]

PACKAGES = ("onnx", "tf2onnx", "onnxruntime")


def write_onnx(source: Source, path: Path) -> None:
    """Write the network for batches of any size, with the class names in the file's metadata, as a JSON list."""
    import onnx
    import tensorflow as tf

    _embed_constants(source.network)
    image = tf.TensorSpec(source.network.input_shape, tf.float32, name=INPUT)
    source.network.export(str(path), format="onnx", input_signature=[image], verbose=False)
    model = onnx.load(str(path))
    if len(model.graph.input) > 1:
        raise RunError("onnx: constants of this network became inputs of the file: nothing was exported")
    (taken,), (given,) = model.graph.input, model.graph.output
    for node in model.graph.node:
        node.output[:] = [OUTPUT if name == given.name else name for name in node.output]
        node.input[:] = [OUTPUT if name == given.name else name for name in node.input]
    given.name = OUTPUT
    for tensor in (taken, given):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(model, {"classes": json.dumps(source.classes, ensure_ascii=False)})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _embed_constants(network: keras.Model) -> None:
    """Have Normalization keep its constants as arrays: tf2onnx makes inputs of those that are tensors."""
    import keras

    for layer in network._flatten_layers():  # noqa: SLF001 - nested ones too
        if isinstance(layer, keras.layers.Normalization):
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)


def open_onnx(path: Path, threads: int) -> Opened:
    """Load the file with ONNX Runtime, on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # fatal
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (image,), (answer,) = session.get_inputs(), session.get_outputs()
    return Opened(
        lambda images: session.run([OUTPUT], {INPUT: images.astype(np.float32)})[0],
        _described(image),
        _described(answer),
    )


def _described(tensor: Any) -> dict[str, Any]:
    dtype = {"tensor(float)": "float32"}.get(tensor.type, tensor.type)
    return {"name": tensor.name, "dtype": dtype, "shape": [n if isinstance(n, int) else None for n in tensor.shape]}
