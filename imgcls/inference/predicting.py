"""New images through a run's network, in one pass."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgcls import backend
from imgcls.errors import SpecError
from imgcls.evaluation.metrics import predicted_classes
from imgcls.evaluation.tables import probability_columns
from imgcls.inference.classifier import Classifier, open_classifier, ranked, shortest
from imgcls.inference.pictures import PictureFolder, annotated, explained
from imgcls.inference.reading import Batch, batches
from imgcls.inference.sources import Failure, find_sources
from imgcls.observer import Observer
from imgcls.runs import Run

if TYPE_CHECKING:
    import pandas as pd

    from imgcls.evaluation.explanations import Explainer

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
    explain: Path | str | None = None,
    explain_layer: str | None = None,
    observer: Observer | None = None,
) -> Answers:
    """Tell the classes of new images, read and resized as the training did.

    What cannot be used stands in ``failures`` and stops nothing.

    Args:
        run: a finished one.
        images: files, folders (all images below), patterns (``photos/*.jpg``), addresses (``https://``, ``file://``).
        annotate: a folder for copies of the images with class and probability above them.
        explain: a folder for pictures of where the network saw the class it tells (Grad-CAM; Selvaraju et al., 2017).
        explain_layer: whose features are looked at; by default the last with places, before pooling or flatten.

    Raises:
        DataError: a sweep, a folder of repeats, or a run without a model that can be loaded.
        SpecError: the network has no such layer, none with places, or does not run on TensorFlow.
        RunError: this process cannot use the backend that the run was trained with, or a folder cannot be written.
    """
    observer = observer or Observer()
    classifier = open_classifier(run)
    found = find_sources([images] if isinstance(images, str | os.PathLike) else images)
    pictures = _Pictures(classifier, annotate, explain, explain_layer)
    if overruled := backend.choose(classifier.spec.backend):
        observer.remarked([overruled])
    observer.remarked(found.findings)
    failures, done = list(found.failures), 0
    paths: list[str] = []
    parts: list[NDArray[np.float32]] = []
    for failure in failures:
        observer.unreadable(failure.name, failure.reason)
    begun, loading = time.perf_counter(), 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files name no file
        for batch in batches(found.images, classifier.geometry, classifier.batch_size, keep_files=annotate is not None):
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
            parts.append(classifier.probabilities(batch.pixels))
            paths += [source.name for source in batch.sources]
            pictures.write(batch, parts[-1])
            observer.predicting(done, len(found.images))
    gathered = np.concatenate(parts) if parts else np.empty((0, len(classifier.classes)), np.float32)
    seconds = time.perf_counter() - begun - loading
    return Answers(tuple(paths), gathered, classifier.classes, tuple(failures), seconds)


class _Pictures:
    """Owner of the folders of pictures that are asked for; none may be.

    Raises:
        SpecError: explanations are asked of a network that is not on TensorFlow.
        RunError: a folder cannot be made.
    """

    def __init__(
        self, classifier: Classifier, annotate: Path | str | None, explain: Path | str | None, layer: str | None
    ) -> None:
        if explain is not None and classifier.spec.backend != "tensorflow":
            raise SpecError(f"explain: Grad-CAM is computed with TensorFlow; the run has {classifier.spec.backend}")
        if layer is not None and explain is None:
            raise SpecError("explain_layer: names a layer of explain, a folder for pictures, which is not given")
        self.classifier, self.layer = classifier, layer
        self.copies = None if annotate is None else PictureFolder(Path(annotate))
        self.maps = None if explain is None else PictureFolder(Path(explain))

    @cached_property
    def explainer(self) -> Explainer:
        from imgcls.evaluation.explanations import build_explainer

        return build_explainer(self.classifier.network, self.layer)

    def write(self, batch: Batch, probabilities: NDArray[np.float32]) -> None:
        """Write the pictures of a batch."""
        answers = [ranked(self.classifier.classes, row, 1)[0] for row in probabilities]
        if self.copies is not None:
            for source, file, (name, probability) in zip(batch.sources, batch.files, answers, strict=True):
                self.copies.write(source.file_name, annotated(file, name, probability))
        if self.maps is not None:
            maps = self.explainer.maps(batch.pixels, predicted_classes(probabilities))
            for source, pixels, heat, (name, probability) in zip(
                batch.sources, batch.pixels, maps, answers, strict=True
            ):
                self.maps.write(source.file_name, explained(pixels, heat, name, probability))
