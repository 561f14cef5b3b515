"""What augmentation makes of the training images, drawn before a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgcls import backend
from imgcls.data import Dataset
from imgcls.spec import Spec

__all__ = ["write_preview"]

_IMAGES = 8
_EPOCHS = 6


def write_preview(path: Path, spec: Spec, dataset: Dataset) -> None:
    """Draw some training images as they were prepared, and as the first epochs of the training will show them.

    Args:
        path: the PNG file.
        spec: that is to be trained, with every value in force.
        dataset: its images.

    Raises:
        RunError: it cannot be written.
    """
    from imgcls.evaluation.pictures import save_figure, views_figure

    backend.choose(spec.backend)
    backend.start("cpu", spec.backend)
    train = dataset.splits["train"]
    places = _chosen(dataset.labels[train])
    epochs = range(1, _EPOCHS + 1) if not spec.augmentation.is_none else range(1, 2)
    views = [_shown(spec, dataset, places, epoch) for epoch in epochs]
    images = dataset.images[train[places]]
    titles = ["as prepared", *(f"epoch {epoch}" for epoch in epochs)]
    names = [dataset.classes[label] for label in dataset.labels[train[places]]]
    save_figure(views_figure([images, *views], titles, names), path)


def _chosen(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return places among the training images, of as many classes as there is room for."""
    by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    ahead = [rows[number] for number in range(_IMAGES) for rows in by_class if number < len(rows)]
    return np.array(ahead[:_IMAGES])


def _shown(spec: Spec, dataset: Dataset, places: NDArray[np.int64], epoch: int) -> NDArray[np.uint8]:
    """Return what an epoch shows: uint8 (n, height, width, channels)."""
    import keras

    from imgcls.augmentation import draw
    from imgcls.augmentation.applying import augmenting_model
    from imgcls.training.feed import changed_images

    train, shape = dataset.splits["train"], dataset.images.shape[1:]
    images = dataset.images[train[places]]
    if spec.augmentation.is_none:
        return images
    changed = changed_images(spec.augmentation, dataset.labels[train], len(dataset.classes))[places]
    drawn = draw(spec.augmentation, shape, spec.seed, epoch, places, changed)
    given = keras.Input(shape)
    model = augmenting_model(spec.augmentation, keras.Model(given, keras.layers.Identity()(given)), shape)
    seen = model.predict_on_batch({**drawn, "image": images})
    return np.clip(np.rint(np.asarray(seen)), 0, 255).astype(np.uint8)
