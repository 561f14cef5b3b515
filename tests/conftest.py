"""What all tests share: no test touches the user's cache or runs."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from photos import make_color_photos


@pytest.fixture(autouse=True)
def _no_real_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IMGCLS_RUNS_DIR", str(tmp_path / "runs"))


@pytest.fixture
def color_photos(tmp_path):
    """A folder of three classes that a network can tell apart by colour: 20 images each, 12x16 pixels."""
    return make_color_photos(tmp_path / "photos")
