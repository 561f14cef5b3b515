"""The images of a run, as thumbnails in its page: read from the prepared data, if that still is what was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgcls.data import Cache, Dataset, load_dataset
from imgcls.errors import ImgclsError
from imgcls.experiment import resolved_spec
from imgcls.pages.rendering import thumbnail
from imgcls.reports.predictions import Predictions
from imgcls.runs import Run
from imgcls.wording import first_line

__all__ = ["Thumbnails", "heat_maps"]


class Thumbnails:
    """The images of a run by their paths.

    Attributes:
        lacking: why there are none; else empty.
    """

    def __init__(self, run: Run, cache_dir: Path | None = None) -> None:
        self.lacking = ""
        self._dataset: Dataset | None = None
        self._rows: dict[str, int] = {}
        try:
            self._dataset, digests = _load(run, cache_dir), {row["path"]: row["sha256"] for row in run.manifest}
        except (ImgclsError, OSError) as error:
            self.lacking = f"the images cannot be shown: {first_line(error)}"
            return
        known = zip(self._dataset.paths, self._dataset.sha256, strict=True)
        self._rows = {path: row for row, (path, sha256) in enumerate(known) if digests.get(path) == bytes(sha256).hex()}

    def pixels(self, path: str) -> NDArray[np.uint8] | None:
        """Return uint8 (height, width, channels); None where it is not known, or has changed since the training."""
        row = self._rows.get(path)
        return None if row is None or self._dataset is None else self._dataset.images[row]

    def uri(self, path: str) -> str | None:
        """Return the source of an image in a page; None likewise."""
        pixels = self.pixels(path)
        return None if pixels is None else thumbnail(pixels)


def heat_maps(run: Run, predictions: Predictions, rows: Sequence[int], thumbnails: Thumbnails) -> dict[str, str]:
    """Return path → source of the image under the map of what spoke for the class that was told (Grad-CAM).

    Raises:
        SpecError: the network has no layer with places, or does not run on TensorFlow.
        DataError, RunError: the network cannot be loaded.
    """
    from imgcls import backend
    from imgcls.inference import open_classifier
    from imgcls.inference.pictures import overlaid

    known = [(row, pixels) for row in rows if (pixels := thumbnails.pixels(predictions.paths[row])) is not None]
    if not known:
        return {}
    classifier = open_classifier(run)
    backend.choose(classifier.spec.backend)
    network = classifier.network  # before anything else imports Keras: it starts the backend quietly

    from imgcls.evaluation.explanations import build_explainer

    explainer = build_explainer(network)
    maps = explainer.maps(np.stack([pixels for _, pixels in known]), predictions.predicted[[row for row, _ in known]])
    found = {}
    for (row, pixels), heat in zip(known, maps, strict=True):
        image = Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels)
        found[predictions.paths[row]] = thumbnail(np.asarray(overlaid(image, heat)))
    return found


def _load(run: Run, cache_dir: Path | None) -> Dataset:
    spec = resolved_spec(run)
    return load_dataset(
        spec.data,
        base=Path.cwd(),  # it has absolute paths only
        resolution=spec.resolution,
        color=spec.color,
        resize=spec.resize,
        cache=Cache(cache_dir),
    )
