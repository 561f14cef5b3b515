"""The page of an audit: counts, what was found with the images it is about, and samples of each class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from imgcls.data import Dataset
from imgcls.files import write_text
from imgcls.findings import Finding
from imgcls.pages.rendering import rendered, thumbnail

__all__ = ["write_data_page"]

_SAMPLES = 8  # of each class
_CLASSES = 50  # of which samples are shown
_GROUPS = 60  # of a finding


def write_data_page(path: Path, dataset: Dataset, source: str) -> None:
    """Write what the data holds as one HTML file.

    Args:
        path: where to; a file there is replaced.
        dataset: with its findings.
        source: what the data is called.

    Raises:
        RunError: it cannot be written.
    """
    height, width, channels = dataset.images.shape[1:]
    counts = {part: images.tolist() for part, images in dataset.counts.items()}
    totals = {part: sum(images) for part, images in counts.items()}
    rows = {path: row for row, path in enumerate(dataset.paths)}
    write_text(
        path,
        rendered(
            "data.html",
            title=f"The data of {source}",
            source=source,
            images=sum(totals.values()),
            geometry=f"{height} x {width} pixels, {'grey' if channels == 1 else 'colour'}",
            classes=dataset.classes,
            counts=counts,
            totals=totals,
            findings=[_finding(dataset, finding, rows) for finding in dataset.findings],
            samples=_samples(dataset),
            samples_of=min(_CLASSES, len(dataset.classes)),
        ),
    )


def _finding(dataset: Dataset, finding: Finding, rows: Mapping[str, int]) -> dict[str, Any]:
    groups = [[_picture(dataset, rows[path]) for path in group] for group in finding.images[:_GROUPS]]
    return {
        "code": finding.code,
        "message": finding.message,
        "advice": finding.advice,
        "groups": groups,
        "more": max(0, len(finding.images) - _GROUPS),
    }


def _samples(dataset: Dataset) -> list[tuple[str, list[dict[str, str]]]]:
    """Return each class with images of its training part, evenly spaced."""
    train = dataset.splits["train"]
    found = []
    for index, name in enumerate(dataset.classes[:_CLASSES]):
        rows = train[dataset.labels[train] == index]
        chosen = rows[np.linspace(0, len(rows) - 1, min(_SAMPLES, len(rows))).astype(int)]
        found.append((name, [_picture(dataset, int(row)) for row in chosen]))
    return found


def _picture(dataset: Dataset, row: int) -> dict[str, str]:
    part = next((part for part, rows in dataset.splits.items() if row in rows), "")
    height, width = dataset.sizes[row]
    return {
        "uri": thumbnail(dataset.images[row]),
        "path": dataset.paths[row],
        "label": dataset.classes[dataset.labels[row]],
        "part": part,
        "size": f"{width} x {height}",
    }
