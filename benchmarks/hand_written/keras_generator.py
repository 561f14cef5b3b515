"""Report 000's network as the reports train it: ``ImageDataGenerator.flow_from_directory``, float32.

python benchmarks/hand_written/keras_generator.py DATA_FOLDER [--augment] [--epochs 5]
"""

import argparse
from typing import Any

from keras_report_000 import BATCH, RESOLUTION, network, train_and_report
from tensorflow.keras.preprocessing.image import ImageDataGenerator

AUGMENTATION: dict[str, Any] = {
    "rotation_range": 20,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--epochs", type=int, default=5)
    asked = parser.parse_args()
    changes = AUGMENTATION if asked.augment else {}
    reading: dict[str, Any] = {
        "target_size": (RESOLUTION, RESOLUTION),
        "batch_size": BATCH,
        "class_mode": "sparse",
        "seed": 0,
    }
    generator = ImageDataGenerator(rescale=1 / 255, validation_split=0.15, **changes)
    unchanged = ImageDataGenerator(rescale=1 / 255, validation_split=0.15)
    train = generator.flow_from_directory(asked.folder, subset="training", **reading)
    held_out = unchanged.flow_from_directory(asked.folder, subset="validation", shuffle=False, **reading)
    train_and_report(network(train.num_classes), train, held_out, asked.epochs)


if __name__ == "__main__":
    main()
