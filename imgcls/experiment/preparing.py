"""What a training starts from: images, device, the spec with every value in force, the network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from imgcls import backend
from imgcls.data import Cache, Dataset, data_path, default_cache_root, load_dataset
from imgcls.observer import Observer
from imgcls.recording import Clock
from imgcls.spec import LoadedSpec, Spec
from imgcls.spec.architecture import BackboneSpec

if TYPE_CHECKING:
    import keras

    from imgcls.models import PixelStatistics

__all__ = ["Prepared", "load_images_of", "prepare", "with_precision"]


@dataclass(frozen=True)
class Prepared:
    """What all repeats of an experiment share.

    Attributes:
        spec: every value in force.
    """

    loaded: LoadedSpec
    spec: Spec
    dataset: Dataset
    device: backend.Device

    @cached_property
    def pixels(self) -> PixelStatistics:
        """What the normalisation needs to know of the training images."""
        from imgcls.models import pixel_statistics

        return pixel_statistics(self.spec.normalize, self.dataset.images, self.dataset.splits["train"])

    def build(self, spec: Spec) -> tuple[keras.Model, str | None]:
        """Build the network with its pretrained weights; return it, and what was loaded, for people.

        Raises:
            SpecError: the layers do not fit each other, the images or the weights.
            DataError, RunError: the weights cannot be had.
        """
        from imgcls.models import build_network, load_pretrained

        height, width, channels = self.dataset.images.shape[1:]
        network = build_network(spec, (height, width, channels), len(self.dataset.classes), self.pixels)
        report = load_pretrained(spec, network)
        return network, report.message if report else None


def prepare(loaded: LoadedSpec, cache_dir: Path | str | None, observer: Observer, clock: Clock) -> Prepared:
    """Read the images and start the device.

    Raises:
        DataError, RunError: as ``load_dataset`` and ``backend.start`` do.
    """
    with clock("data"):
        dataset = load_images_of(loaded.spec.completed(), loaded.base, cache_dir, observer)
    with clock("start_up"):
        device = backend.start(loaded.spec.device)
    return Prepared(loaded, _in_force(loaded, dataset), dataset, device)


def load_images_of(spec: Spec, base: Path, cache_dir: Path | str | None, observer: Observer) -> Dataset:
    """Return the images of a spec in their parts, prepared once."""
    dataset = load_dataset(
        spec.data,
        base=base,
        resolution=spec.resolution,
        color=spec.color,
        resize=spec.resize,
        cache=Cache(Path(cache_dir) if cache_dir else default_cache_root()),
        progress=observer.preparing,
    )
    observer.prepared(dataset)
    return dataset


def with_precision(spec: Spec) -> Spec:
    """Return the spec with the arithmetic that ``auto`` means."""
    return spec.model_copy(update={"precision": "float32" if spec.precision == "auto" else spec.precision})


def _in_force(loaded: LoadedSpec, dataset: Dataset) -> Spec:
    """Return the spec with the values that only data and machine decide, and paths that hold from anywhere."""
    spec = loaded.spec.completed()
    height, width, channels = dataset.images.shape[1:]
    path = data_path(spec.data, loaded.base)
    architecture = spec.architecture
    if isinstance(architecture, BackboneSpec) and architecture.weights_file:
        weights = (loaded.base / Path(architecture.weights_file).expanduser()).resolve()
        architecture = architecture.model_copy(update={"weights": str(weights)})
    return with_precision(spec).model_copy(
        update={
            "name": loaded.name,
            "architecture": architecture,
            "data": spec.data.model_copy(
                update={"path": path and str(path), "classes": dataset.classes, **dataset.parts}
            ),
            "resolution": (height, width),
            "color": "grayscale" if channels == 1 else "rgb",
        }
    )
