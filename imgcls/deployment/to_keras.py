"""Keras' own format: one file, for those who go on in Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imgcls.backend import load_model
from imgcls.deployment.source import Opened, Source

__all__ = ["open_keras", "write_keras"]


def write_keras(source: Source, path: Path) -> None:
    """Write a ``.keras`` file; who loads it need not know of imgcls."""
    source.network.save(path)


def open_keras(path: Path, threads: int) -> Opened:  # noqa: ARG001 - Keras has those that it was started with
    """Load the file with Keras."""
    network = load_model(path)
    return Opened(
        lambda images: np.asarray(network.predict_on_batch(images), np.float32),
        {"name": network.input.name, "dtype": network.input.dtype, "shape": list(network.input_shape)},
        {"name": network.output_names[0], "dtype": network.output.dtype, "shape": list(network.output_shape)},
    )
