"""Report 000's network as today's Keras tutorials train it: ``image_dataset_from_directory``, preprocessing layers.

python benchmarks/hand_written/keras_directory.py DATA_FOLDER [--augment] [--cache] [--epochs 5]
"""

import argparse

import keras
import tensorflow as tf
from keras_report_000 import BATCH, RESOLUTION, network, train_and_report


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--cache", action="store_true")
    parser.add_argument("--epochs", type=int, default=5)
    asked = parser.parse_args()
    train, held_out = keras.utils.image_dataset_from_directory(
        asked.folder,
        validation_split=0.15,
        subset="both",
        seed=0,
        image_size=(RESOLUTION, RESOLUTION),
        batch_size=BATCH,
    )
    classes = len(train.class_names)
    if asked.cache:
        train, held_out = train.cache(), held_out.cache()
    changes = [
        keras.layers.RandomRotation(20 / 360, fill_mode="nearest"),
        keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
        keras.layers.RandomZoom(0.2, fill_mode="nearest"),
        keras.layers.RandomFlip("horizontal"),
    ]
    model = network(classes, *(changes if asked.augment else []), keras.layers.Rescaling(1 / 255))
    train_and_report(model, train.prefetch(tf.data.AUTOTUNE), held_out.prefetch(tf.data.AUTOTUNE), asked.epochs)


if __name__ == "__main__":
    main()
