"""New images through a run's network, in one pass."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgcls import backend
from imgcls.evaluation.metrics import predicted_classes
from imgcls.evaluation.tables import probability_columns
from imgcls.inference.classifier import open_classifier, ranked, shortest
from imgcls.inference.pictures import PictureFolder, annotated
from imgcls.inference.reading import batches
from imgcls.inference.sources import Failure, find_sources
from imgcls.observer import Observer
from imgcls.runs import Run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Answers", "predict"]

COLUMNS = ("path", "predicted", "confidence")  # as in predictions.csv, which knows the true class too


@dataclass(frozen=True)
class Answers:
    """What a network says of new images.

    Attributes:
        paths: each image as it was named, or found in a folder that was.
        probabilities: float32 (n, classes), rows sum to 1.
        classes: in the order of the columns of ``probabilities``.
        failures: what was named and cannot be used, with ``name`` and ``reason``.
        seconds: reading and predicting took, without loading the network.
    """

    paths: tuple[str, ...]
    probabilities: NDArray[np.float32]
    classes: tuple[str, ...]
    failures: tuple[Failure, ...]
    seconds: float

    @cached_property
    def predicted(self) -> tuple[str, ...]:
        """The most probable class of each image."""
        return tuple(self.classes[index] for index in predicted_classes(self.probabilities).tolist())

    def top(self, row: int, count: int | None = None) -> list[tuple[str, float]]:
        """Return the classes of one image with their probabilities, the most probable first; by default all."""
        return ranked(self.classes, self.probabilities[row], count)

    @property
    def table(self) -> pd.DataFrame:
        """A row an image: path, predicted, confidence, a probability column a class; as a run's ``predictions``."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=self.columns)

    @property
    def columns(self) -> list[str]:
        """What the table's columns are called."""
        return [*COLUMNS, *probability_columns(self.classes)]

    def rows(self) -> list[list[Any]]:
        """Return the table's rows."""
        rows = []
        for path, predicted, row in zip(self.paths, self.predicted, self.probabilities, strict=True):
            numbers = [shortest(value) for value in row]
            rows.append([path, predicted, max(numbers), *numbers])
        return rows

    def records(self, top: int | None = None) -> list[dict[str, Any]]:
        """Return ``path``, ``predicted``, ``confidence`` and ``probabilities``, of ``top`` classes, of each image."""
        return [{"path": path, **answer(self.top(row, top))} for row, path in enumerate(self.paths)]


def answer(top: list[tuple[str, float]]) -> dict[str, Any]:
    """Return what is said of one image as JSON has it.

    Args:
        top: classes with their probabilities, the most probable first; not none.
    """
    (predicted, confidence), *_ = top
    return {"predicted": predicted, "confidence": confidence, "probabilities": dict(top)}


def predict(
    run: Run,
    images: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    annotate: Path | str | None = None,
    observer: Observer | None = None,
) -> Answers:
    """Tell the classes of new images, read and resized as the training did.

    What cannot be used stands in ``failures`` and stops nothing.

    Args:
        run: a finished one.
        images: files, folders (all images below), patterns (``photos/*.jpg``), addresses (``https://``, ``file://``).
        annotate: a folder for copies of the images with class and probability above them.

    Raises:
        DataError: a sweep, a folder of repeats, or a run without a model that can be loaded.
        RunError: this process cannot use the backend that the run was trained with, or a folder cannot be written.
    """
    observer = observer or Observer()
    classifier = open_classifier(run)
    found = find_sources([images] if isinstance(images, str | os.PathLike) else images)
    copies = PictureFolder(Path(annotate)) if annotate is not None else None
    if overruled := backend.choose(classifier.spec.backend):
        observer.remarked([overruled])
    observer.remarked(found.findings)
    failures, done = list(found.failures), 0
    paths: list[str] = []
    parts: list[NDArray[np.float32]] = []
    for failure in failures:
        observer.unreadable(failure.name, failure.reason)
    begun, loading = time.perf_counter(), 0.0
    for batch in batches(found.images, classifier.geometry, classifier.batch_size, keep_files=copies is not None):
        for failure in batch.failures:
            observer.unreadable(failure.name, failure.reason)
        failures += batch.failures
        done += len(batch.sources) + len(batch.failures)
        if not batch.sources:
            continue
        if not parts:
            load_begun = time.perf_counter()
            _ = classifier.network
            loading = time.perf_counter() - load_begun
        probabilities = classifier.probabilities(batch.pixels)
        parts.append(probabilities)
        paths += [source.name for source in batch.sources]
        if copies is not None:
            for source, file, row in zip(batch.sources, batch.files, probabilities, strict=True):
                copies.write(source.file_name, annotated(file, *ranked(classifier.classes, row, 1)[0]))
        observer.predicting(done, len(found.images))
    gathered = np.concatenate(parts) if parts else np.empty((0, len(classifier.classes)), np.float32)
    seconds = time.perf_counter() - begun - loading
    return Answers(tuple(paths), gathered, classifier.classes, tuple(failures), seconds)
