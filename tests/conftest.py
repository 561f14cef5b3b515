"""What all tests share: no test touches the user's cache or runs."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def _no_real_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IMGCLS_RUNS_DIR", str(tmp_path / "runs"))


@pytest.fixture
def color_photos(tmp_path):
    """A folder of three classes that a network can tell apart by colour: 20 images each, 12x16 pixels."""
    random = np.random.default_rng(0)
    for channel, name in enumerate(("blue", "green", "red")[::-1]):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 120, (12, 16, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return tmp_path / "photos"
