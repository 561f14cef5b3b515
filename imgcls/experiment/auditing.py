"""The data of a spec, looked at without training on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgcls.data import Cache, Finding
from imgcls.experiment.preparing import load_images_of
from imgcls.observer import Observer
from imgcls.spec import LoadedSpec

__all__ = ["Audit", "audit_data"]


@dataclass(frozen=True)
class Audit:
    """What there is of the data, and what is wrong with it.

    Attributes:
        source: the path, or the built-in name.
        images: in all parts.
        resolution: as the network will see them, [height, width].
        counts: part → images of each class, in the order of ``classes``.
    """

    source: str
    images: int
    resolution: tuple[int, int]
    color: str
    classes: tuple[str, ...]
    counts: dict[str, list[int]]
    findings: tuple[Finding, ...]


def audit_data(loaded: LoadedSpec, cache_dir: Path | str | None = None, observer: Observer | None = None) -> Audit:
    """Prepare the images of a spec, count them and check all of them.

    Raises:
        DataError: the data is missing, broken, or does not fit the spec.
        RunError: the prepared data cannot be written.
    """
    spec = loaded.spec.completed()
    cache = Cache(Path(cache_dir) if cache_dir else None)
    dataset = load_images_of(spec, loaded.base, cache, observer or Observer(), thoroughly=True)
    height, width, channels = dataset.images.shape[1:]
    return Audit(
        source=spec.data.path or spec.data.source,
        images=sum(map(len, dataset.splits.values())),
        resolution=(height, width),
        color="grayscale" if channels == 1 else "rgb",
        classes=dataset.classes,
        counts={part: images.tolist() for part, images in dataset.counts.items()},
        findings=dataset.findings,
    )
