"""What frozen layers give is computed once; the training is the same as through them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import imgcls
from imgcls.observer import Observer
from imgcls_cli.app import app

BACKBONE = {
    "backbone": "mobilenet",
    "weights": "none",
    "cut": "conv_pw_2_relu",  # a few layers, so that little is built
    "head": ["global_average_pool", {"dropout": 0.3}],
}


class Listener(Observer):
    """Counts the images that passed frozen layers."""

    passed = 0

    def freezing(self, done, total):
        self.passed += total if done == total else 0


@pytest.fixture
def train(color_photos, tmp_path):
    spec = {"data": str(color_photos), "resolution": 32, "architecture": BACKBONE, "batch": 8, "epochs": 3}

    def train(**settings):
        listener = Listener()
        run = imgcls.train(spec | settings, runs_dir=tmp_path / "runs", observer=listener)
        return run, listener.passed

    return train


def without_the_split(monkeypatch):
    monkeypatch.setattr("imgcls.training.assembling.split_frozen", lambda network: None)


def history(run):
    return run.history[["loss", "accuracy", "val_loss", "val_accuracy"]].to_numpy()


def test_the_training_is_the_same_as_through_the_frozen_layers_and_the_next_computes_nothing(train, monkeypatch):
    run, passed = train()
    assert passed == len([row for row in run.manifest if row["split"] != "test"])
    again, passed = train(lr=0.01)
    assert passed == 0
    without_the_split(monkeypatch)
    plain, _ = train()
    np.testing.assert_allclose(history(run), history(plain), rtol=1e-3)
    assert not np.allclose(history(again), history(plain), rtol=1e-3)
    assert run.metrics["loss"] == pytest.approx(plain.metrics["loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("augmentation", "passes"),
    [
        ({"rotation": 30, "horizontal_flip": True, "views": 2}, 2),
        ({"rotation": 30, "horizontal_flip": True}, 0),
        ({"mixup": 0.2, "views": 2}, 0),  # whom an image is mixed with is another one in each epoch
    ],
)
def test_augmented_views_pass_once_each_and_endless_ones_in_every_epoch(augmentation, passes, train, monkeypatch):
    run, passed = train(augmentation=augmentation)
    parts = [row["split"] for row in run.manifest]
    assert passed == passes * parts.count("train") + parts.count("validation")
    without_the_split(monkeypatch)
    plain, _ = train(augmentation=augmentation)
    np.testing.assert_allclose(history(run), history(plain), rtol=2e-3)


def test_stages_train_the_head_on_features_and_then_the_network_on_images(train, monkeypatch):
    stages = [{"epochs": 2, "trainable": "none"}, {"epochs": 1, "trainable": 4, "lr": 1e-4}]
    run, passed = train(stages=stages)
    parts = [row["split"] for row in run.manifest]
    assert passed == 2 * (parts.count("train") + parts.count("validation"))  # fewer layers are frozen in the second
    without_the_split(monkeypatch)
    plain, _ = train(stages=stages)
    np.testing.assert_allclose(history(run), history(plain), rtol=1e-3)


def test_a_cache_that_cannot_be_written_costs_time_only(train, monkeypatch, caplog):
    from imgcls.data.cache import Cache
    from imgcls.errors import RunError

    run, _ = train()

    def full(*_, **__):
        raise RunError("cannot write prepared data: 9 GB are needed and 2 GB are free")

    monkeypatch.setattr("imgcls.training.features.build", full)
    for entry in Cache().entries():
        if entry.source.startswith("mobilenet"):
            Cache().clear([entry.key])
    slow, passed = train()
    assert passed == 0
    assert "frozen layers are computed in every epoch" in caplog.text
    np.testing.assert_allclose(history(slow), history(run), rtol=1e-3)


def test_the_cache_shows_features_and_the_timings_what_they_took(train):
    run, _ = train()
    assert run.timings["phases"]["features"] > 0
    assert all(seconds >= 0 for seconds in run.timings["phases"].values())
    entries = json.loads(CliRunner().invoke(app, ["cache", "--json"]).stdout)["entries"]
    sources = sorted(entry["source"] for entry in entries if entry["source"].startswith("mobilenet"))
    assert sources == [f"mobilenet up to global_average_pool_head_0, {part} part" for part in ("train", "validation")]
