"""What a training starts from: images, device, the spec with every value in force, the network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache as once
from pathlib import Path
from typing import TYPE_CHECKING

from imgcls import backend
from imgcls.data import Cache, Dataset, check_pixels, data_path, is_quickly_checked, load_dataset
from imgcls.errors import DataError
from imgcls.findings import Finding
from imgcls.observer import Observer
from imgcls.recording import Clock
from imgcls.runs.layout import MODEL
from imgcls.settings import flatten, plain_text
from imgcls.spec import LoadedSpec, Spec
from imgcls.spec.architecture import BackboneSpec
from imgcls.tracking import require_tracker

if TYPE_CHECKING:
    import keras

    from imgcls.models import PixelStatistics

__all__ = ["Built", "LoadImages", "Prepared", "load_images_of", "missing_files", "prepare", "refuse_missing_weights"]

LoadImages = Callable[[Spec, Path, Cache, Observer], Dataset]
"""What gives the images of a spec, whose paths are relative to a folder."""


@dataclass(frozen=True)
class Built:
    """A network before its training.

    Attributes:
        pretrained: what was loaded into it, for people.
        findings: what the user should be told.
    """

    network: keras.Model
    pretrained: str | None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """What all repeats of an experiment share.

    Attributes:
        spec: every value in force.
        pixels: gives what the normalisation needs to know of the training images, measured when first asked.
        precision_reason: why this precision, where the spec leaves it open; else empty.
    """

    loaded: LoadedSpec
    spec: Spec
    dataset: Dataset
    device: backend.Device
    cache: Cache
    load: LoadImages
    pixels: Callable[[], PixelStatistics]
    precision_reason: str = ""
    distribution: backend.Distribution = backend.ALONE

    def for_member(self, spec: Spec, observer: Observer) -> Prepared:
        """Return what one training of several starts from: another fold has other images in each part."""
        if spec.data == self.spec.data:
            return replace(self, spec=spec)
        dataset = self.load(spec, self.loaded.base, self.cache, observer)
        return replace(self, spec=spec, dataset=dataset, pixels=_measured_once(spec, dataset))

    def build(self, spec: Spec) -> Built:
        """Build the network with its pretrained weights.

        Raises:
            SpecError: the layers do not fit each other, the images or the weights.
            DataError, RunError: the weights cannot be had.
        """
        from imgcls.models import build_network, check_network, load_pretrained

        height, width, channels = self.dataset.images.shape[1:]
        classes, pixels = len(self.dataset.classes), self.pixels()
        network = self.distribution.made(lambda: build_network(spec, (height, width, channels), classes, pixels))
        report = load_pretrained(spec, network)
        findings = check_network(spec, network, self.dataset.images, self.dataset.splits["train"], self.device.kind)
        return Built(network, report.message if report else None, tuple(findings))


def prepare(
    loaded: LoadedSpec,
    cache_dir: Path | str | None,
    observer: Observer,
    clock: Clock,
    load: LoadImages | None = None,
    *,
    threads: int | None = None,
) -> Prepared:
    """Read the images, start the device, and choose what is left open; of several workers, all of them together.

    Args:
        load: gives the images; by default ``load_images_of``.
        threads: of one operation; by default as many as there are cores.

    Raises:
        DataError, RunError: as ``load_dataset``, ``backend.start`` and ``backend.meeting`` do.
    """
    refuse_missing_weights(loaded)
    require_tracker(loaded.spec.tracking)
    if overruled := backend.choose(loaded.spec.backend):
        observer.remarked([overruled])
    cluster = backend.find_cluster(loaded.spec.distribute)
    if cluster.others:
        observer.joined(cluster.rank, len(cluster.addresses))
    with backend.meeting(cluster) as workers:
        with clock("data"):
            cache = Cache(Path(cache_dir) if cache_dir else None)
            load = load or load_images_of
            dataset = load(loaded.spec.completed().members[0], loaded.base, cache, observer)
        spec, reason = _in_force(loaded, dataset), ""
        with clock("start_up"):
            device = backend.start(spec.device, spec.backend, threads=threads)
            if cluster.others:
                workers.agree(_plan(loaded, dataset) | backend.equipment(device))
    with clock("start_up"):
        distribution = backend.spread_over(device, spec.distribute, cluster)
        device = replace(device, replicas=distribution.replicas, workers=distribution.workers)
    if spec.precision == "auto":
        with clock("precision"):
            spec, reason = _with_precision(spec, dataset, device, cache)
    return Prepared(loaded, spec, dataset, device, cache, load, _measured_once(spec, dataset), reason, distribution)


def _measured_once(spec: Spec, dataset: Dataset) -> Callable[[], PixelStatistics]:
    """Return what measures the pixels of the training images, at the first call."""

    @once
    def measured() -> PixelStatistics:
        from imgcls.models import pixel_statistics

        return pixel_statistics(spec.normalize, dataset.images, dataset.splits["train"])

    return measured


def _plan(loaded: LoadedSpec, dataset: Dataset) -> dict[str, str]:
    """Return what all workers must have in common to train one network: what it is called → what it is."""
    own = dict.fromkeys(("name", "notes", "tags", "device"), True) | {"data": {"path"}, "architecture": {"weights"}}
    settings = flatten(loaded.spec.completed().model_dump(mode="json", exclude=own), open_lists=True)
    plan = {key: plain_text(value) for key, value in settings.items()} | {"digest of the images": dataset.key}
    if path := _weights_file(loaded):
        with path.open("rb") as file:
            return plan | {"digest of architecture.weights": hashlib.file_digest(file, "sha256").hexdigest()}
    return plan | {"architecture.weights": str(getattr(loaded.spec.architecture, "weights", None))}


def refuse_missing_weights(loaded: LoadedSpec) -> None:
    """Raise if the spec names a file of weights that is none, before anything is done.

    Raises:
        DataError: there is no such file, or it is neither HDF5 nor a Keras model.
    """
    path = _weights_file(loaded)
    if path is None:
        return
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        hint = f"; the network of a run is {path / MODEL}" if path.is_dir() else ""
        raise DataError(f"architecture.weights: cannot read {path}: {error.strerror}{hint}") from error
    if not start.startswith((b"\x89HDF\r\n\x1a\n", b"PK")):
        raise DataError(f"architecture.weights: {path} is neither HDF5 (.weights.h5, .h5) nor a Keras model (.keras)")


def missing_files(loaded: LoadedSpec) -> list[Finding]:
    """Return a finding for each file or folder that the spec names and that is not there, or not there yet."""
    named = {"data": data_path(loaded.spec.data, loaded.base), "architecture.weights": _weights_file(loaded)}
    return [
        Finding("missing_file", f"{key}: {path} does not exist") for key, path in named.items()
        if path is not None and not path.exists()
    ]  # fmt: skip


def _weights_file(loaded: LoadedSpec) -> Path | None:
    """Return where the spec's file of weights lies; None where it names none."""
    architecture = loaded.spec.architecture
    name = architecture.weights_file if isinstance(architecture, BackboneSpec) else None
    return (loaded.base / Path(name).expanduser()).resolve() if name else None


def load_images_of(spec: Spec, base: Path, cache: Cache, observer: Observer, *, thoroughly: bool = False) -> Dataset:
    """Return the images of a spec in their parts, prepared once.

    Args:
        thoroughly: hold all held-out images against all training images, however many there are.
    """
    dataset = load_dataset(
        spec.data,
        base=base,
        resolution=spec.resolution,
        color=spec.color,
        resize=spec.resize,
        cache=cache,
        progress=observer.preparing,
    )
    if thoroughly or is_quickly_checked(dataset):
        found = [each for each in check_pixels(dataset, observer.checking) if each.code not in spec.data.allow]
        dataset = replace(dataset, findings=(*dataset.findings, *found))
    observer.prepared(dataset)
    return dataset


def _with_precision(spec: Spec, dataset: Dataset, device: backend.Device, cache: Cache) -> tuple[Spec, str]:
    """Return the spec with the arithmetic that ``auto`` comes to on this device, and why."""
    from imgcls.training.precision import choose_precision

    if device.replicas > 1:
        spread = "float32: what is faster is not measured where a training is spread over several devices"
        return spec.model_copy(update={"precision": "float32"}), spread
    images, shape = len(dataset.splits["train"]), dataset.images.shape[1:]
    choice = choose_precision(spec, device, shape, len(dataset.classes), images, cache.choices)
    return spec.model_copy(update={"precision": choice.precision}), choice.reason


def _in_force(loaded: LoadedSpec, dataset: Dataset) -> Spec:
    """Return the spec with the values that only the data decides, and paths that hold from anywhere."""
    spec = loaded.spec.completed()
    height, width, channels = dataset.images.shape[1:]
    path = data_path(spec.data, loaded.base)
    architecture = spec.architecture
    if weights := _weights_file(loaded):
        architecture = architecture.model_copy(update={"weights": str(weights)})
    return spec.model_copy(
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
