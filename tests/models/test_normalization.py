"""Pixels are scaled inside the network, by what the training images are like or what a backbone was trained with."""

import sys

import keras
import numpy as np
import pytest

from imgcls.backend import load_model
from imgcls.errors import SpecError
from imgcls.models import build_network, pixel_statistics, summarize
from imgcls.models.backbones import _functions
from imgcls.models.normalization import normalized
from imgcls.spec import load_spec
from imgcls.spec.architecture import BACKBONES
from imgcls.spec.preprocessing import BACKBONE_MODES

SHAPE = (6, 5, 3)


def zca_spec(**settings):
    complete = {"data": "digits", "architecture": ["flatten"], "normalize": "zca", "precision": "float32", **settings}
    return load_spec(complete).spec.completed()


def photos(count=400, seed=0):
    """Neighbouring pixels alike, as in photos, so that there is something to whiten."""
    steps = np.random.default_rng(seed).normal(0, 12, (count, *SHAPE)).cumsum(axis=1).cumsum(axis=2)
    return np.clip(128 + steps, 0, 255).astype(np.uint8)


def covariance(values):
    return np.cov(values.reshape(len(values), -1), rowvar=False)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_normalize_backbone_is_the_networks_own_preprocessing(backbone):
    spec = load_spec({"data": "digits", "architecture": {"backbone": backbone}}).spec.completed()
    image = keras.Input((4, 4, 3), dtype="float32")
    scaled = keras.Function(image, normalized(spec, image, None))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("float32")
    module = sys.modules[_functions()[backbone].__module__]

    np.testing.assert_allclose(scaled(pixels), module.preprocess_input(pixels.copy()), rtol=1e-5, atol=1e-4)


def test_every_backbone_has_a_mode():
    assert BACKBONE_MODES.keys() == set(BACKBONES)


@pytest.mark.parametrize("backbone", ["resnet50", "densenet121"])
def test_a_backbone_trained_on_colours_asks_for_them(backbone):
    spec = zca_spec(architecture={"backbone": backbone, "weights": "none"}, normalize="backbone")
    with pytest.raises(SpecError, match="set color: rgb"):
        build_network(spec, (32, 32, 1), 4, None)


def test_zca_whitens_the_training_images_and_the_saved_network_too(tmp_path):
    images, spec = photos(), zca_spec()
    network = build_network(spec, SHAPE, 4, pixel_statistics(spec.normalize, images, np.arange(400)))
    network.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")

    for each in (network, loaded):
        inner = keras.Model(each.inputs, each.get_layer("zca_reshape").output)
        white = inner.predict(images, verbose=0)
        np.testing.assert_allclose(covariance(white), np.eye(90), atol=0.03)
        np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-3)
    assert np.abs(covariance(images / 255) - np.eye(90)).max() > 0.5
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), network.predict(images, verbose=0))


def test_zca_is_that_of_the_textbook():
    images = photos(300)
    statistics = pixel_statistics(
        zca_spec(normalize={"method": "zca", "epsilon": 0.1}).normalize, images, np.arange(300)
    )
    flat = images.reshape(300, -1) / 255
    centred = flat - flat.mean(axis=0)
    directions, variances, _ = np.linalg.svd(centred.T @ centred / 300)
    expected = directions @ np.diag(1 / np.sqrt(variances + 0.1)) @ directions.T

    np.testing.assert_allclose(statistics.whitening, expected, atol=1e-4)
    np.testing.assert_allclose(statistics.whitening_mean, flat.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("method", ["zca", "patch_whitening"])
def test_whitening_sees_the_training_rows_only(method):
    images, normalize = photos(), zca_spec(normalize=method).normalize
    changed = images.copy()
    changed[300:] = 255 - changed[300:] // 2
    first, second = (pixel_statistics(normalize, each, np.arange(300)) for each in (images, changed))

    np.testing.assert_array_equal(first.whitening, second.whitening)
    np.testing.assert_array_equal(first.whitening_mean, second.whitening_mean)
    assert not np.array_equal(first.whitening, pixel_statistics(normalize, changed, np.arange(400)).whitening)


@pytest.mark.parametrize(
    ("method", "layer", "values"), [("zca", "zca_whiten", 90), ("patch_whitening", "patch_whiten", 5 * 4 * 24)]
)
def test_whitening_does_not_learn(method, layer, values):
    images, spec = photos(), zca_spec(normalize=method)
    network = build_network(spec, SHAPE, 4, pixel_statistics(spec.normalize, images, np.arange(400)))
    before = network.get_layer(layer).get_weights()
    network.compile("sgd", "sparse_categorical_crossentropy")
    network.train_on_batch(images[:32], np.arange(32) % 4)

    assert all(map(np.array_equal, before, network.get_layer(layer).get_weights()))
    assert summarize(network).trainable_params == values * 4 + 4


def whitened_patches(images, normalize, path):
    """The parts that a saved network computes, put together again: (patches, values)."""
    spec = zca_spec(normalize=normalize)
    network = build_network(spec, images.shape[1:], 4, pixel_statistics(spec.normalize, images, np.arange(len(images))))
    network.save(path / "model.keras")
    loaded = load_model(path / "model.keras")
    parts = keras.Model(loaded.inputs, loaded.get_layer("patch_whiten").output).predict(images, verbose=0)
    assert (parts >= 0).all()
    positive, negative = np.split(parts.reshape(-1, parts.shape[-1]), 2, axis=1)
    return positive - negative


@pytest.mark.parametrize(("size", "values"), [(1, 3), (2, 12), (3, 27)])
def test_patches_are_whitened_in_the_saved_network(tmp_path, size, values):
    patches = whitened_patches(photos(), {"method": "patch_whitening", "size": size, "epsilon": 1e-9}, tmp_path)

    assert patches.shape == (400 * (7 - size) * (6 - size), values)
    np.testing.assert_allclose(covariance(patches), np.eye(values), atol=0.02)
    np.testing.assert_allclose(patches.mean(axis=0), 0, atol=1e-3)


def test_the_variance_of_a_weak_component_stays_below_1_by_epsilon(tmp_path):
    patches = whitened_patches(photos(), {"method": "patch_whitening", "epsilon": 1e-3}, tmp_path)
    kept = patches.var(axis=0) / (1 - patches.var(axis=0)) * 1e-3  # s / (s + epsilon) is what is left of 1

    flat = np.lib.stride_tricks.sliding_window_view(photos() / 255, (2, 2), axis=(1, 2)).reshape(-1, 3, 4)
    np.testing.assert_allclose(np.sort(kept), np.linalg.eigvalsh(covariance(flat)), rtol=0.02)


def test_patches_larger_than_the_image_are_refused():
    spec = zca_spec(normalize={"method": "patch_whitening", "size": 6})
    with pytest.raises(SpecError, match="patches of 6 pixels, but images are 6x5"):
        build_network(spec, SHAPE, 4, None)
    with pytest.raises(SpecError, match="patches of 6 pixels, but images are 6x5"):
        pixel_statistics(spec.normalize, photos(), np.arange(400))


def test_patches_of_too_many_values_are_refused():
    spec = zca_spec(normalize={"method": "patch_whitening", "size": 9})
    with pytest.raises(SpecError, match=r"a patch of 9x9 has 243 values.*8x8 in colour"):
        build_network(spec, (32, 32, 3), 4, None)


def test_the_sign_of_a_component_is_not_left_to_the_linear_algebra_of_the_machine():
    whitening = pixel_statistics(zca_spec(normalize="patch_whitening").normalize, photos(), np.arange(400)).whitening
    assert (whitening[np.abs(whitening).argmax(axis=0), np.arange(12)] > 0).all()


@pytest.mark.parametrize("pixels", ["described", "measured"])
def test_images_too_large_to_whiten_are_refused_with_what_fits(pixels):
    spec = zca_spec()
    with pytest.raises(SpecError, match=r"zca at 64x64x3 needs a matrix of 12,288x12,288.*36x36 in colour"):
        if pixels == "described":
            build_network(spec, (64, 64, 3), 4, None)
        else:
            pixel_statistics(spec.normalize, np.zeros((2, 64, 64, 3), np.uint8), np.arange(2))


@pytest.mark.parametrize("normalize", ["unit", "minmax", "standardize", "zca", "patch_whitening", "none"])
def test_a_network_can_be_described_without_pixels(normalize):
    assert build_network(zca_spec(normalize=normalize), SHAPE, 4, None).output_shape == (None, 4)


@pytest.mark.parametrize("normalize", ["unit", "backbone", "none", None])
def test_what_needs_no_measuring_measures_nothing(normalize):
    assert pixel_statistics(normalize, None, None) == pixel_statistics("unit", None, None)
