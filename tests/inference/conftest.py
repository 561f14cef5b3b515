import pytest
from photos import make_color_photos

import imgcls


@pytest.fixture(scope="session")
def color_run(tmp_path_factory):
    """A finished run on photos that lie beside its folder of runs: colour tells the classes apart."""
    root = tmp_path_factory.mktemp("colors")
    spec = {
        "data": str(make_color_photos(root / "photos")),
        "resolution": [12, 16],
        "architecture": [{"conv": 4}, {"max_pool": 2}, "flatten"],
        "lr": 0.01,
        "batch": 8,
        "epochs": 3,
        "precision": "float32",
    }
    return imgcls.train(spec, runs_dir=root / "runs", cache_dir=root / "cache")


@pytest.fixture(scope="session")
def photos(color_run):
    """The photos that the run was trained on: a folder a class, 20 images each."""
    return color_run.folder.parents[1] / "photos"
