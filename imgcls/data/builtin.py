"""The sources that need no path: scikit-learn's digits, and the sets that Keras fetches."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imgcls.backend import import_quietly
from imgcls.data.arrays import Pair, list_pairs
from imgcls.data.listing import Listing
from imgcls.data.parts import PartSources
from imgcls.errors import DataError
from imgcls.spec.data import DataSpec

__all__ = ["CLASS_NAMES", "FILES_BY_HAND", "list_builtin"]

DIGITS = tuple("0123456789")
CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""
# Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; Xiao et al., "Fashion-MNIST", 2017.
CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "digits": DIGITS,
    "mnist": DIGITS,
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "cifar100": tuple(CIFAR100.split()),
}  # fmt: skip

# Where Keras 3.15 looks before it goes to the network (keras/src/datasets, keras/src/utils/file_utils.py).
FILES_BY_HAND = {
    "mnist": "datasets/mnist.npz",
    "fashion_mnist": "datasets/fashion-mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz",
    "cifar10": "datasets/cifar-10-batches-py-target_archive (cifar-10-python.tar.gz, renamed)",
    "cifar100": "datasets/cifar-100-python-target_archive (cifar-100-python.tar.gz, renamed)",
}


def list_builtin(data: DataSpec, _path: Path, defaults: dict[str, float]) -> tuple[Listing, PartSources]:
    """List a built-in data set; its own test images are the test part.

    Raises:
        DataError: it cannot be fetched; says where its file can be put by hand.
    """
    pairs = LOADERS[data.source](data.source)
    found = {name: (pair.images_key, pair.labels_key) for name, pair in pairs.items()}
    return list_pairs(data, data.source, found, pairs.__getitem__, CLASS_NAMES[data.source], defaults)


def _digits(_name: str) -> dict[str, Pair]:
    from sklearn.datasets import load_digits  # scikit-learn takes a second to import

    images, labels = load_digits(return_X_y=True)
    # The scanner's counts are 0..16.
    pixels = np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return {"train": Pair("digits", "labels", pixels, labels)}


def _from_keras(name: str) -> dict[str, Pair]:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints its progress to stdout, where results go
            (x_train, y_train), (x_test, y_test) = _keras_loader(name)()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(
            f"{name} cannot be loaded ({reason}); by hand, put it at {_keras_home()}/{FILES_BY_HAND[name]}"
        ) from error
    return {"train": Pair("x_train", "y_train", x_train, y_train), "test": Pair("x_test", "y_test", x_test, y_test)}


def _keras_loader(name: str) -> Callable[[], Any]:
    import_quietly()
    return importlib.import_module(f"keras.datasets.{name}").load_data


def _keras_home() -> str:
    return os.environ.get("KERAS_HOME") or "~/.keras"


LOADERS: dict[str, Callable[[str], dict[str, Pair]]] = {
    "digits": _digits,
    "mnist": _from_keras,
    "fashion_mnist": _from_keras,
    "cifar10": _from_keras,
    "cifar100": _from_keras,
}
