"""Report 002's network 2 in Keras, its layers read from the config: as a user writes it, and tuned.

    python benchmarks/hand_written/keras_network_2.py CONFIG IMAGES.npz BATCH [--epochs 4] [--tuned [--bfloat16]]

As a user writes it: float32 images in memory, a cached tf.data pipeline. Tuned: uint8 images, several steps per
execution, tf.data without autotuning.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import yaml

RESOLUTION, CLASSES = 32, 10
STEPS_PER_EXECUTION = 25


class TrainingClock(keras.callbacks.Callback):
    """Takes the seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._begun = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras' own
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras' own
        self.seconds.append(time.perf_counter() - self._begun)


def layer(entry: str | dict[str, Any]) -> keras.Layer:
    """Return the layer of an entry of ``architecture``."""
    kind, value = (entry, None) if isinstance(entry, str) else next(iter(entry.items()))
    match kind:
        case "conv":
            given = {"padding": value["padding"], "kernel_initializer": value["initializer"]}
            return keras.layers.Conv2D(value["filters"], 3, activation="relu", **given)
        case "dense":
            return keras.layers.Dense(value["units"], activation="relu", kernel_initializer=value["initializer"])
        case "max_pool":
            return keras.layers.MaxPooling2D(value)
        case "dropout":
            return keras.layers.Dropout(value)
        case "batch_norm":
            return keras.layers.BatchNormalization()
        case "flatten":
            return keras.layers.Flatten()
    raise SystemExit(f"this script knows no layer {kind}")


def network(config: dict[str, Any], *, tuned: bool) -> keras.Model:
    """Return the network, compiled; the tuned one takes 0..255, the other 0..1."""
    model = keras.Sequential(
        [
            keras.Input((RESOLUTION, RESOLUTION, 3)),
            *([keras.layers.Rescaling(1 / 255)] if tuned else []),
            *map(layer, config["architecture"]),
            keras.layers.Dense(CLASSES),
            keras.layers.Activation("softmax", dtype="float32"),
        ]
    )
    rate = config["lr"]  # text where it is written as 1e-3: YAML 1.1 knows no such number
    schedule = keras.optimizers.schedules.InverseTimeDecay(float(rate["initial"]), 1, float(rate["decay"]))
    model.compile(
        keras.optimizers.Adam(schedule),
        config["loss"],
        metrics=["categorical_accuracy"],
        steps_per_execution=STEPS_PER_EXECUTION if tuned else 1,
    )
    return model


def forward_flops(model: keras.Model) -> int:
    """Return the operations of the convolutions and dense layers for one image, a multiply-add counted as two."""
    total = 0
    for each in model.layers:
        if isinstance(each, keras.layers.Conv2D | keras.layers.Dense):
            positions = int(np.prod(each.output.shape[1:-1]))  # 1 for a dense layer
            total += 2 * positions * int(np.prod(each.kernel.shape))
    return total


def batches(images: np.ndarray, labels: np.ndarray, batch: int, *, tuned: bool) -> tf.data.Dataset:
    """Return shuffled batches of images and one-hot labels."""
    one_hot = keras.utils.to_categorical(labels, CLASSES)
    if not tuned:
        pairs = tf.data.Dataset.from_tensor_slices((images.astype("float32") / 255, one_hot))
        return pairs.cache().shuffle(len(images)).batch(batch).prefetch(tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.autotune.enabled = False
    pairs = tf.data.Dataset.from_tensor_slices((images, one_hot))
    return pairs.shuffle(len(images)).batch(batch).prefetch(4).with_options(options)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("batch", type=int)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--bfloat16", action="store_true")
    asked = parser.parse_args()
    if asked.bfloat16:
        keras.config.set_dtype_policy("mixed_bfloat16")
    model = network(yaml.safe_load(asked.config.read_text()), tuned=asked.tuned)
    clock = TrainingClock()
    with np.load(asked.images) as data:
        train = batches(data["x_train"], data["y_train"], asked.batch, tuned=asked.tuned)
        model.fit(train, epochs=asked.epochs, callbacks=[clock], verbose=0)
        test = data["x_test"] if asked.tuned else data["x_test"].astype("float32") / 255
        accuracy = float((model.predict(test, verbose=0).argmax(1) == data["y_test"]).mean())
    result = {"epoch_seconds": clock.seconds, "accuracy": accuracy, "params": model.count_params()}
    print(json.dumps(result | {"forward_flops": forward_flops(model)}))


if __name__ == "__main__":
    main()
