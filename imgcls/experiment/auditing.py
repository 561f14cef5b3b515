"""The data of a spec, looked at without training on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgcls.data import Cache, Dataset
from imgcls.experiment.preparing import load_images_of
from imgcls.observer import Observer
from imgcls.spec import LoadedSpec

__all__ = ["Audit", "audit_data"]


@dataclass(frozen=True)
class Audit:
    """What there is of the data, and what is wrong with it.

    Attributes:
        source: the path, or the built-in name.
        dataset: the images as the network will see them, with what was found.
    """

    source: str
    dataset: Dataset

    @property
    def images(self) -> int:
        """How many there are, in all parts."""
        return sum(map(len, self.dataset.splits.values()))

    @property
    def color(self) -> str:
        """``rgb`` or ``grayscale``."""
        return "grayscale" if self.dataset.images.shape[3] == 1 else "rgb"

    @property
    def counts(self) -> dict[str, list[int]]:
        """Part → images of each class, in the order of the classes."""
        return {part: images.tolist() for part, images in self.dataset.counts.items()}

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "source": self.source,
            "images": self.images,
            "resolution": list(self.dataset.images.shape[1:3]),
            "color": self.color,
            "classes": list(self.dataset.classes),
            "counts": self.counts,
            "findings": [finding.record() for finding in self.dataset.findings],
        }


def audit_data(loaded: LoadedSpec, cache_dir: Path | str | None = None, observer: Observer | None = None) -> Audit:
    """Prepare the images of a spec, count them and check all of them.

    Raises:
        DataError: the data is missing, broken, or does not fit the spec.
        RunError: the prepared data cannot be written.
    """
    spec = loaded.spec.completed()
    cache = Cache(Path(cache_dir) if cache_dir else None)
    dataset = load_images_of(spec, loaded.base, cache, observer or Observer(), thoroughly=True)
    return Audit(spec.data.path or spec.data.source, dataset)
