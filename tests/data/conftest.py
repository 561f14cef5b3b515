"""Tiny real images, and a cache that is thrown away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgcls.data import Cache, Dataset, load_dataset
from imgcls.spec.data import DataSpec

Load = Callable[..., Dataset]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def load(tmp_path: Path, cache: Cache) -> Load:
    """Load a data set given by the keys of ``data``, at 8 x 8 unless told; of few images nothing is said."""

    def load_it(**keys: Any) -> Dataset:
        shape = {name: keys.pop(name) for name in ("resolution", "color", "resize", "progress") if name in keys}
        settings = {"resolution": (8, 8), "color": None, "resize": "stretch", **shape}
        keys = {"allow": ("few_images",), **keys}
        return load_dataset(DataSpec(**keys), base=tmp_path, cache=cache, **settings)

    return load_it


@pytest.fixture
def picture() -> Callable[..., Path]:
    """Write a small picture whose pixels follow from ``seed`` alone."""

    def write(path: Path, seed: int = 0, size: tuple[int, int] = (12, 10), **save: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(path, **save)
        return path

    return write


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[..., Path]) -> Callable[..., Path]:
    """Make ``<name>/<class>/<n>.png``, every picture different."""

    def make(name: str = "data", first_seed: int = 0, **counts: int) -> Path:
        seed = first_seed
        for label, count in counts.items():
            (tmp_path / name / label).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                picture(tmp_path / name / label / f"{number}.png", seed)
                seed += 1
        return tmp_path / name

    return make
