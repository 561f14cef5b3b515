"""TensorFlow Lite (LiteRT), for phones and small machines: in float32, in float16, or in 8-bit integers throughout."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.deployment.source import INPUT, OUTPUT, Opened, Source
from imgcls.deployment.to_savedmodel import save_signature
from imgcls.errors import RunError

__all__ = ["open_tflite", "write_float16", "write_int8", "write_tflite"]


def write_tflite(source: Source, path: Path) -> None:
    """Write the network in float32."""
    path.write_bytes(_converter(source).convert())


def write_float16(source: Source, path: Path) -> None:
    """Write the weights in float16: half the size; it computes in float16 or in float32, as the device likes."""
    import tensorflow as tf

    converter = _converter(source)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    path.write_bytes(converter.convert())


def write_int8(source: Source, path: Path) -> None:
    """Write weights and activations as 8-bit integers (Jacob et al., 2018), scaled by training images.

    Input and output are uint8 too, as accelerators without floating point want it.
    """
    import tensorflow as tf

    converter = _converter(source)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = source.calibration
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    path.write_bytes(converter.convert())


def open_tflite(path: Path, threads: int) -> Opened:
    """Load the file with the interpreter, which takes an image at a time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # TensorFlow's own is deprecated in favour of ai-edge-litert
        interpreter = _interpreter()(model_path=str(path), num_threads=threads)
    runner = interpreter.get_signature_runner()
    (image,), (answer,) = runner.get_input_details().values(), runner.get_output_details().values()
    dtype = image["dtype"]

    def predict_one(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return _dequantized(runner(**{INPUT: image[None].astype(dtype)})[OUTPUT][0], answer)

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([predict_one(image) for image in images])

    return Opened(predict, _described(INPUT, image), _described(OUTPUT, answer), one_by_one=True)


def _converter(source: Source) -> Any:
    """Return a converter of the network for one image: with a free batch, accelerators decline what depends on it."""
    import tensorflow as tf

    single = source.scratch / "single"
    if not single.exists():
        save_signature(source.network, single, batch=1)
    return tf.lite.TFLiteConverter.from_saved_model(str(single))


def _interpreter() -> Any:
    """Return TensorFlow's interpreter, or that of its successor's package where TensorFlow has none any more."""
    import tensorflow as tf

    if hasattr(tf.lite, "Interpreter"):
        return tf.lite.Interpreter
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise RunError("tflite: this TensorFlow has no interpreter: pip install ai-edge-litert") from error
    return Interpreter


def _dequantized(values: NDArray[Any], details: dict[str, Any]) -> NDArray[np.float32]:
    scale, zero_point = details["quantization"]
    return (values.astype(np.float32) - zero_point) * scale if scale else values


def _described(name: str, details: dict[str, Any]) -> dict[str, Any]:
    described = {"name": name, "dtype": np.dtype(details["dtype"]).name, "shape": details["shape"].tolist()}
    scale, zero_point = details["quantization"]
    return described | ({"scale": float(scale), "zero_point": int(zero_point)} if scale else {})
