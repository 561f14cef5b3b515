"""What frozen layers make of the images: computed once, and kept beside the prepared images for every run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imgcls.augmentation import DRAWING_VERSION, draw
from imgcls.augmentation.applying import augmenting_model
from imgcls.data import Cache, Dataset
from imgcls.data.store import FEATURE, FORMAT_VERSION, Index, Prepared, build, open_prepared
from imgcls.spec import Spec
from imgcls.training.feed import changed_images

__all__ = ["FrozenLayers"]

_BATCH = 32
_FLUSHED_BATCHES = 8  # written at a time

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FrozenLayers:
    """The first layers of a network, of which none learns, and where to keep what they give.

    Attributes:
        spec: of the stage.
        base: image to features; run in inference mode.
        origin: what they are, for people.
        machine: device and threads, as far as they shape the rounding.
    """

    spec: Spec
    base: keras.Model
    origin: str
    dataset: Dataset
    cache: Cache
    machine: str

    def features(self, split: str, view: int = 0, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return float32 (images of the split, ...) features, memory-mapped; computed where nobody has before.

        Args:
            split: of the data set.
            view: which of the augmented views, from 1; 0 for the images as they are.
            progress: called with (images done, images in all) while they are computed.

        Raises:
            RunError: the cache cannot be written.
        """
        key = self.key(split, view)
        found = open_prepared(self.cache, key, FEATURE)
        if found is None:
            with self.cache.lock(key):
                found = open_prepared(self.cache, key, FEATURE)  # another process may have been at it
                if found is None:
                    self._build(key, split, view, progress)
                    found = open_prepared(self.cache, key, FEATURE)
        assert isinstance(found, Prepared)
        return found.images

    def missing_bytes(self, split: str, view: int = 0) -> int:
        """Return what ``features`` would add to the cache."""
        if self.cache.folder(self.key(split, view)).exists():
            return 0
        return len(self.dataset.splits[split]) * self.image_bytes

    @property
    def image_bytes(self) -> int:
        """What the features of one image take."""
        return int(np.prod(self.base.output_shape[1:])) * FEATURE.itemsize

    def key(self, split: str, view: int = 0) -> str:
        """Return what names the store: all that shapes a feature."""
        spec, backend = self.spec, keras.backend.backend()
        head: dict[str, Any] = {
            "kind": "features",
            "format": FORMAT_VERSION,
            "versions": (keras.__version__, backend, import_module(backend).__version__, DRAWING_VERSION),
            "machine": self.machine,
            "network": self._identity,
            "data": self.dataset.key,
        }
        if view:
            head |= {"augmentation": spec.augmentation.model_dump(exclude={"views"}), "seed": spec.seed, "view": view}
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        digest.update(self.dataset.splits[split].tobytes())
        return digest.hexdigest()[:32]

    @cached_property
    def _identity(self) -> str:
        """What names the layers: their graph and weights, which do not change while this stands for them."""
        digest = hashlib.sha256(self.base.to_json().encode())
        for weight in self.base.get_weights():
            digest.update(np.ascontiguousarray(weight).tobytes())
        return digest.hexdigest()

    def _build(self, key: str, split: str, view: int, progress: Progress | None) -> None:
        dataset, rows = self.dataset, self.dataset.splits[split]
        height, width, channels = dataset.images.shape[1:]

        def finish() -> tuple[Index, dict[str, Any]]:
            paths = tuple(dataset.paths[row] for row in rows)
            index = Index(dataset.labels[rows], dataset.sha256[rows], rows, paths, dataset.sizes[rows])
            source = f"{self.origin}, {split} part" + (f", view {view}" if view else "")
            return index, {
                "source": source,
                "resolution": (height, width),
                "color": "grayscale" if channels == 1 else "rgb",
                "classes": dataset.classes,
            }

        shape = tuple(self.base.output_shape[1:])
        build(self.cache, key, shape, len(rows), self._blocks(split, view, progress), finish, FEATURE)

    @cached_property
    def _augmenting(self) -> keras.Model:
        return augmenting_model(self.spec.augmentation, self.base, self.dataset.images.shape[1:])

    def _blocks(self, split: str, view: int, progress: Progress | None) -> Iterator[NDArray[np.float32]]:
        """Yield the features in the split's order; every batch has the same size, the last is filled up."""
        spec, images, rows = self.spec, self.dataset.images, self.dataset.splits[split]
        model = self._augmenting if view else self.base
        changed = changed_images(spec.augmentation, self.dataset.labels[rows], len(self.dataset.classes))
        size, waiting = min(_BATCH, len(rows)), []
        for start in range(0, len(rows), size):
            stop = min(start + size, len(rows))
            places = np.resize(np.arange(start, stop), size)
            batch: Any = images[rows[places]]
            if view:
                drawn = draw(spec.augmentation, images.shape[1:], spec.seed, view, places, changed[places])
                batch = {**drawn, "image": batch}
            waiting.append(np.asarray(model.predict_on_batch(batch)[: stop - start], np.float32))
            if len(waiting) == _FLUSHED_BATCHES or stop == len(rows):
                yield np.concatenate(waiting)
                waiting = []
            if progress is not None:
                progress(stop, len(rows))
