"""What the Keras scripts for report 000's network share: the network and its training, with a clock."""

import json
import time
from typing import Any

import keras

RESOLUTION, BATCH = 64, 128


class TrainingClock(keras.callbacks.Callback):
    """Takes the seconds of each epoch's training, without its validation."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._begun = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras' own
        self._begun = time.perf_counter()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras' own
        self.seconds.append(time.perf_counter() - self._begun)


def network(classes: int, *first: keras.Layer) -> keras.Model:
    """Return report 000's network for images (64, 64, 3), after the layers given."""
    model = keras.Sequential(
        [
            keras.Input((RESOLUTION, RESOLUTION, 3)),
            *first,
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train_and_report(model: keras.Model, train: Any, held_out: Any, epochs: int) -> None:
    """Train, measure on the held-out images, and print the result as a line of JSON."""
    clock = TrainingClock()
    model.fit(train, validation_data=held_out, epochs=epochs, callbacks=[clock], verbose=0)
    _, accuracy = model.evaluate(held_out, verbose=0)
    print(json.dumps({"epoch_seconds": clock.seconds, "accuracy": accuracy, "params": model.count_params()}))
