"""The images of a run, as thumbnails in its page: read from the prepared data, if that still is what was trained on."""

from __future__ import annotations

from pathlib import Path

from imgcls import runs
from imgcls.data import Cache, Dataset, load_dataset
from imgcls.errors import ImgclsError
from imgcls.pages.rendering import thumbnail
from imgcls.runs import Run
from imgcls.spec import load_spec
from imgcls.wording import first_line

__all__ = ["Thumbnails"]


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

    def uri(self, path: str) -> str | None:
        """Return the source of an image; None where it is not known, or has changed since the training."""
        row = self._rows.get(path)
        return None if row is None or self._dataset is None else thumbnail(self._dataset.images[row])


def _load(run: Run, cache_dir: Path | None) -> Dataset:
    spec = load_spec(run.path(runs.RESOLVED)).spec
    return load_dataset(
        spec.data,
        base=Path.cwd(),  # it has absolute paths only
        resolution=spec.resolution,
        color=spec.color,
        resize=spec.resize,
        cache=Cache(cache_dir),
    )
