"""What frozen layers give is computed once; the training is the same as through them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import imgcls
from imgcls import backend
from imgcls.observer import Observer
from imgcls_cli.app import app

BACKBONE = {
    "backbone": "mobilenet",
    "cut": "conv_pw_2_relu",  # a few layers, so that little is built
    "head": ["global_average_pool", {"dropout": 0.3}],
}


class Listener(Observer):
    """Counts the images that passed frozen layers."""

    passed = 0

    def freezing(self, done, total):
        self.passed += total if done == total else 0


class Stops(Listener):
    """Ends the run as Ctrl-C does, in its second epoch."""

    def batch(self, epoch, step, steps, loss, accuracy):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights that tell colours apart a little, as random ones do."""
    backend.start("cpu")
    import keras

    path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    keras.utils.set_random_seed(1)
    network = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(32, 32, 3))
    enlarge(network)
    network.save_weights(path)
    return str(path)


def enlarge(network):
    """Make random kernels so large that what an image shows still shows behind some layers."""
    for weight in network.weights:
        if weight.path.endswith("kernel"):
            weight.assign(4 * weight)


@pytest.fixture
def train(color_photos, weights, tmp_path):
    architecture = BACKBONE | {"weights": weights}
    spec = {
        "data": str(color_photos),
        "resolution": 32,
        "architecture": architecture,
        "batch": 8,
        "epochs": 3,
        "lr": 0.1,
    }

    def train(listener=None, **settings):
        listener = listener or Listener()
        run = imgcls.train(spec | settings, runs_dir=tmp_path / "runs", observer=listener)
        return run, listener.passed

    return train


def without_the_split(monkeypatch):
    monkeypatch.setattr("imgcls.training.assembling.split_frozen", lambda network: None)


def features_in_the_cache():
    from imgcls.data.cache import Cache

    return [entry for entry in Cache().entries() if entry.source.startswith("mobilenet")]


def history(run):
    return run.history[["loss", "accuracy", "val_loss", "val_accuracy"]].to_numpy()


def test_the_training_is_the_same_as_through_the_frozen_layers_and_the_next_computes_nothing(train, monkeypatch):
    run, passed = train()
    assert passed == len([row for row in run.manifest if row["split"] != "test"])
    again, passed = train(lr=0.2)
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
        pytest.param({"rotation": 30, "horizontal_flip": True}, 0, marks=pytest.mark.long),
        # whom an image is mixed with is another one in each epoch
        pytest.param({"mixup": 0.2, "views": 2}, 0, marks=pytest.mark.slow),
    ],
)
def test_augmented_views_pass_once_each_and_endless_ones_in_every_epoch(augmentation, passes, train, monkeypatch):
    run, passed = train(augmentation=augmentation)
    parts = [row["split"] for row in run.manifest]
    assert passed == passes * parts.count("train") + parts.count("validation")
    without_the_split(monkeypatch)
    plain, _ = train(augmentation=augmentation)
    np.testing.assert_allclose(history(run), history(plain), rtol=2e-3)


@pytest.mark.long
def test_stages_train_the_head_on_features_and_then_the_network_on_images(train, monkeypatch):
    stages = [{"epochs": 2, "trainable": "none"}, {"epochs": 2, "trainable": 4, "lr": 1e-4}, {"epochs": 1}]
    run, passed = train(stages=stages)
    parts = [row["split"] for row in run.manifest]
    # what is frozen in the second gives more than it costs; the third has one epoch, and nothing to save
    assert passed == parts.count("train") + parts.count("validation")
    without_the_split(monkeypatch)
    plain, _ = train(stages=stages)
    np.testing.assert_allclose(history(run), history(plain), rtol=1e-3)


@pytest.mark.long
def test_a_cache_that_cannot_be_written_costs_time_only(train, monkeypatch, caplog):
    from imgcls.data.cache import Cache
    from imgcls.errors import RunError

    run, _ = train()

    def full(*_, **__):
        raise RunError("cannot write prepared data: 9 GB are needed and 2 GB are free")

    monkeypatch.setattr("imgcls.training.features.build", full)
    Cache().clear([entry.key for entry in features_in_the_cache()])
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


def test_random_weights_leave_no_features_behind(train):
    _, passed = train(architecture=BACKBONE | {"weights": "none"})
    assert passed > 0
    assert not features_in_the_cache()


@pytest.mark.slow
def test_views_go_on_over_stages(train, monkeypatch):
    settings = {
        "augmentation": {"rotation": 180, "views": 3},
        "stages": [{"epochs": 2}, {"epochs": 2, "lr": 0.05}, {"epochs": 3, "lr": 0.01}],
    }
    run, _ = train(**settings)
    without_the_split(monkeypatch)
    plain, _ = train(**settings)
    np.testing.assert_allclose(history(run), history(plain), rtol=1e-4)


@pytest.mark.parametrize(
    ("room", "trainable"), [pytest.param(False, "none", marks=pytest.mark.slow), (True, {"from": "conv1_bn"})]
)
def test_features_that_are_larger_than_what_they_save_or_than_the_disk_are_not_stored(
    room, trainable, weights, train, monkeypatch
):
    monkeypatch.setattr("imgcls.data.cache.Cache.has_room", lambda self, needed: room)
    _, passed = train(architecture=BACKBONE | {"weights": weights, "trainable": trainable})
    assert passed == 0


def test_features_that_are_there_need_no_room(train, monkeypatch):
    train()
    monkeypatch.setattr("imgcls.data.cache.Cache.has_room", lambda self, needed: needed == 0)
    run, passed = train()
    assert passed == 0
    assert run.timings["phases"]["features"] > 0, "they were read"


@pytest.mark.parametrize("room", [True, False])
def test_what_goes_on_does_so_on_features_or_not_as_it_began(room, train, tmp_path, monkeypatch):
    monkeypatch.setattr("imgcls.data.cache.Cache.has_room", lambda self, needed: room)
    whole, _ = train()
    with pytest.raises(KeyboardInterrupt):
        train(Stops())
    monkeypatch.setattr("imgcls.data.cache.Cache.has_room", lambda self, needed: not room)
    run = next(each for each in imgcls.list_runs(tmp_path / "runs") if each.status.state == "interrupted")
    run = imgcls.resume(run)
    np.testing.assert_array_equal(history(run), history(whole))
    assert ("features" in run.timings["phases"]) == room


@pytest.fixture
def frozen(color_photos, weights, tmp_path):
    from imgcls.data import Cache, load_dataset
    from imgcls.models import build_network, folded, split_frozen
    from imgcls.spec import load_spec
    from imgcls.training.features import FrozenLayers

    spec = load_spec(
        {
            "data": str(color_photos), "resolution": 32, "architecture": BACKBONE | {"weights": weights},
            "augmentation": {"rotation": 90, "horizontal_flip": True, "views": 3}, "precision": "float32",
        }
    ).spec.completed()  # fmt: skip
    cache = Cache(tmp_path / "cache")
    dataset = load_dataset(spec.data, base=tmp_path, resolution=(32, 32), color="rgb", resize="stretch", cache=cache)
    network = build_network(spec, (32, 32, 3), 3, None)
    enlarge(network)
    base = folded(split_frozen(network).base)
    return FrozenLayers(spec, base, "mobilenet", dataset, cache, "a machine")


def test_features_are_those_of_each_image_in_its_view(frozen):
    from imgcls.augmentation import draw
    from imgcls.augmentation.applying import augmenting_model

    dataset, rows = frozen.dataset, frozen.dataset.splits["train"]
    np.testing.assert_allclose(
        frozen.features("train"), frozen.base.predict(dataset.images[rows], verbose=0), rtol=1e-4, atol=1e-5
    )
    model = augmenting_model(frozen.spec.augmentation, frozen.base, (32, 32, 3))
    drawn = draw(
        frozen.spec.augmentation, (32, 32, 3), frozen.spec.seed, 5, np.arange(len(rows))
    )  # the second of three
    expected = model.predict({**drawn, "image": dataset.images[rows].astype(np.float32)}, verbose=0)
    np.testing.assert_allclose(frozen.features("train", 2), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(frozen.features("train", 1) - expected).mean() > 1e-2


def test_whatever_shapes_a_feature_names_the_store(frozen):
    rotated = frozen.spec.augmentation.model_copy(update={"rotation": 91})
    keys = [
        frozen.key("train"),
        frozen.key("validation"),
        *(frozen.key("train", view) for view in (1, 2)),
        replace(frozen, spec=frozen.spec.model_copy(update={"seed": 7})).key("train", 1),
        replace(frozen, spec=frozen.spec.model_copy(update={"augmentation": rotated})).key("train", 1),
        replace(frozen, machine="another").key("train"),
        replace(frozen, dataset=replace(frozen.dataset, key="another")).key("train"),
    ]
    same = replace(frozen, spec=frozen.spec.model_copy(update={"seed": 7, "batch": 2, "augmentation": rotated}))
    assert same.key("train") == keys[0]  # images that are not changed
    weight = frozen.base.weights[0]
    weight.assign(weight * 1.001)
    keys.append(replace(frozen).key("train"))
    assert len(set(keys)) == len(keys)
