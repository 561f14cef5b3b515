"""Grad-CAM looks where the class is: on networks that learnt it from a coloured square in a corner."""

import keras
import numpy as np
import pytest

import imgcls
from imgcls import RunError, SpecError
from imgcls.evaluation.explanations import build_explainer
from imgcls.models import averaged

SIDE, SQUARE = 24, 8
COLOURS = ((255, 40, 40), (40, 40, 255))


def squares(count, seed):
    """Noise with a red or blue square, whose colour is the class, in a random corner; and masks, two pixels wider."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 160, (count, SIDE, SIDE, 3), np.uint8)
    labels = random.integers(0, 2, count)
    masks = np.zeros((count, SIDE, SIDE), bool)
    for row, (down, right) in enumerate(random.integers(0, 2, (count, 2)) * (SIDE - SQUARE)):
        images[row, down : down + SQUARE, right : right + SQUARE] = COLOURS[labels[row]]
        masks[row, max(down - 2, 0) : down + SQUARE + 2, max(right - 2, 0) : right + SQUARE + 2] = True
    return images, labels, masks


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("squares")
    images, labels, _ = squares(400, 0)
    np.savez(root / "squares.npz", x_train=images, y_train=labels)
    spec = {
        "data": {"source": "npz", "path": str(root / "squares.npz"), "validation": 0.1, "test": 0.1},
        "architecture": [{"conv": 8}, {"max_pool": 2}, {"conv": 8}, {"max_pool": 2}, "flatten", {"dropout": 0.2}],
        "lr": 0.01, "epochs": 6, "precision": "float32",
    }  # fmt: skip
    run = imgcls.train(spec, runs_dir=root / "runs", cache_dir=root / "cache")
    assert run.metrics["accuracy"] > 0.95
    return run


@pytest.fixture(scope="module")
def network(run):
    return run.model()


def share_on(maps, masks):
    """The share of each map's mass that lies on the square."""
    return (maps * masks).sum(axis=(1, 2)) / maps.sum(axis=(1, 2))


def test_running_out_of_memory_for_the_maps_is_told(monkeypatch):
    image = keras.Input((8, 8, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(image))
    explainer = build_explainer(keras.Model(image, keras.layers.Dense(2, "softmax")(features)))

    def too_much(*_, **__):
        raise MemoryError

    monkeypatch.setattr(explainer.opened, "call", too_much)
    with pytest.raises(RunError, match="out of memory"):
        explainer.maps(np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1, int))


def test_the_mass_of_a_map_lies_on_the_square_that_decides_the_class(network):
    images, labels, masks = squares(40, 1)
    maps = build_explainer(network).maps(images, labels)

    assert maps.shape == (40, SIDE, SIDE)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.max(axis=(1, 2)), 1)
    assert np.median(share_on(maps, masks)) > 0.8
    assert (masks.mean(axis=(1, 2)) < 0.2).all()


def test_a_map_does_not_depend_on_the_images_beside_it(network):
    images, labels, _ = squares(70, 2)  # more than a batch
    explainer = build_explainer(network)
    together = explainer.maps(images, labels)
    np.testing.assert_allclose(explainer.maps(images[66:67], labels[66:67])[0], together[66], atol=1e-4)


def test_the_last_layer_before_pooling_is_taken_unless_another_is_named(network):
    explainer = build_explainer(network)
    convolutions = [layer.name for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert explainer.layer == convolutions[-1]
    assert build_explainer(network, convolutions[0]).layer == convolutions[0]
    assert explainer.maps(*squares(0, 0)[:2]).shape == (0, SIDE, SIDE)


def test_layers_inside_of_networks_that_serve_as_layers_are_found(network):
    image = keras.Input((SIDE, SIDE, 3))
    nested = keras.Model(image, network(image))
    sequential = keras.Sequential([keras.Input((SIDE, SIDE, 3)), nested])
    images, labels, _ = squares(5, 3)
    expected = build_explainer(network).maps(images, labels)
    for each in (nested, sequential):
        np.testing.assert_allclose(build_explainer(each).maps(images, labels), expected, atol=1e-5)


def test_a_network_that_averages_mirror_images_is_explained_for_both(network):
    images, labels, masks = squares(20, 4)
    explainer = build_explainer(averaged(network, "horizontal_flip"))
    maps = explainer.maps(images, labels)
    assert explainer.is_mirrored
    assert np.median(share_on(maps, masks)) > 0.8
    np.testing.assert_allclose(explainer.maps(images[:, :, ::-1], labels), maps[:, :, ::-1], atol=1e-4)


def test_branches_residuals_and_mixed_precision_can_be_explained():
    image = keras.Input((16, 16, 3), dtype="float32")
    tensor = keras.layers.Conv2D(4, 3, padding="same", dtype="mixed_bfloat16", name="first")(image)
    inside = keras.layers.Conv2D(4, 3, padding="same", dtype="mixed_bfloat16", name="inside")(tensor)
    tensor = keras.layers.Activation("relu", name="last")(keras.layers.Add()([tensor, inside]))
    tensor = keras.layers.GlobalAveragePooling2D(keepdims=True)(tensor)
    output = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(tensor))
    network = keras.Model(image, output)
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    assert build_explainer(network).layer == "last"
    for layer in ("first", "inside", "last"):
        maps = build_explainer(network, layer).maps(images, np.array([0, 2]))
        assert np.isfinite(maps).all()


@pytest.mark.parametrize("normalization", [[], [keras.layers.Conv2D(3, 2, trainable=False, name="patch_whiten")]])
def test_a_network_without_places_is_told_so_in_a_sentence(normalization):
    network = keras.Sequential([
        keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255, name="normalize"), *normalization,
        keras.layers.MaxPooling2D(), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax"),
    ])  # fmt: skip
    with pytest.raises(SpecError, match="no layer that keeps places"):
        build_explainer(network)


def test_a_wrong_layer_is_told_with_the_nearest_and_one_without_places_so(network):
    name = build_explainer(network).layer
    with pytest.raises(SpecError, match=f"no layer {name[:-1]}; did you mean {name}"):
        build_explainer(network, name[:-1])
    flat = next(layer.name for layer in network.layers if isinstance(layer, keras.layers.Flatten))
    with pytest.raises(SpecError, match="has no places"):
        build_explainer(network, flat)
