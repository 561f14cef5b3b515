"""TensorFlow's SavedModel, in the folders that TensorFlow Serving looks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcls.deployment.source import INPUT, OUTPUT, Opened, Source

if TYPE_CHECKING:
    import keras

__all__ = ["open_savedmodel", "save_signature", "write_savedmodel"]

_VERSION = "1"  # TensorFlow Serving loads the highest-numbered folder
_SIGNATURE = "serving_default"  # what it calls where a request names none


def write_savedmodel(source: Source, path: Path) -> None:
    """Write ``1/`` with one signature, a batch of any size, and the class names among the assets."""
    save_signature(source.network, path / _VERSION, labels=source.labels)


def open_savedmodel(path: Path, threads: int) -> Opened:  # noqa: ARG001 - TensorFlow has those it was started with
    """Load the serving signature with TensorFlow."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path / _VERSION))  # must live as long as its signature
    serve = loaded.signatures[_SIGNATURE]
    ((_, image),), ((_, answer),) = serve.structured_input_signature[1].items(), serve.structured_outputs.items()

    def predict(images: Any) -> Any:
        assert loaded
        return serve(**{INPUT: tf.constant(images.astype(np.float32))})[OUTPUT].numpy()

    return Opened(predict, _described(INPUT, image), _described(OUTPUT, answer))


def save_signature(network: keras.Model, folder: Path, *, batch: int | None = None, labels: Path | None = None) -> None:
    """Write a SavedModel whose one signature takes images and gives probabilities, by these names.

    Args:
        network: float32 (n, height, width, channels), 0..255 → float32 (n, classes).
        batch: images at a time; None is any number.
        labels: a file to keep among the assets.
    """
    import tensorflow as tf

    image = tf.TensorSpec((batch, *network.input_shape[1:]), tf.float32, name=INPUT)
    serve = tf.function(lambda image: {OUTPUT: network(image, training=False)}, input_signature=[image])
    module = tf.Module()
    module.serve = serve
    module.weights = [variable.value for variable in network.variables]
    if labels is not None:
        module.labels = tf.saved_model.Asset(str(labels))
    tf.saved_model.save(module, str(folder), signatures={_SIGNATURE: serve})


def _described(name: str, tensor: Any) -> dict[str, Any]:
    return {"name": name, "dtype": tensor.dtype.name, "shape": tensor.shape.as_list(), "signature": _SIGNATURE}
