"""Every layer and preset builds, saves, loads, and has the parameters that it should."""

import numpy as np
import pytest

from imgcls.backend import load_model
from imgcls.errors import SpecError
from imgcls.models import build_network, pixel_statistics, summarize
from imgcls.models.layers import BUILDERS
from imgcls.models.presets import PRESET_LAYERS
from imgcls.spec import load_spec
from imgcls.spec.architecture import BACKBONES, PRESETS
from imgcls.spec.layers import LAYERS

SHAPE = (16, 16, 3)
EXAMPLES = {
    "activation": "tanh", "conv": 4, "conv_transpose": 4, "cropping": 2, "dense": 5, "dropout": 0.2,
    "gaussian_noise": 0.1, "group_norm": 1, "reshape": [8, 96], "separable_conv": 4,
    "residual": [{"conv": {"filters": 4, "padding": "same"}}, "batch_norm"],
}  # fmt: skip
NEEDS_FLAT = {"dense"}


def build(architecture, shape=SHAPE, classes=4, pixels=None, **settings):
    loaded = load_spec({"data": "digits", "architecture": architecture, "precision": "float32", **settings})
    return build_network(loaded.spec.completed(), shape, classes, pixels)


def test_the_tables_name_the_same_things():
    import keras

    assert BUILDERS.keys() == LAYERS.keys()
    assert PRESET_LAYERS.keys() == PRESETS.keys()
    assert set(BACKBONES) == {name.lower() for name in dir(keras.applications) if name[0].isupper() and name != "__"}


def test_the_activations_are_keras_own():
    import typing

    import keras

    from imgcls.spec.layers import Activation

    assert all(name == "none" or keras.activations.get(name) for name in typing.get_args(Activation))


def test_every_initializer_and_penalty_is_one_that_a_saved_network_may_have(tmp_path):
    import typing

    from imgcls.spec.layers import Initializer

    starts = [each for each in typing.get_args(Initializer) if each != "zeros"]
    network = build(
        ["flatten", *({"dense": {"units": 3, "initializer": each, "l1": 0.1, "l2": 0.1}} for each in starts)]
    )
    network.save(tmp_path / "model.keras")
    assert len(load_model(tmp_path / "model.keras").layers) == len(network.layers)


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_builds_predicts_saves_and_loads(kind, tmp_path):
    layer = {kind: EXAMPLES[kind]} if kind in EXAMPLES else kind
    network = build([*(["flatten"] if kind in NEEDS_FLAT else []), layer, *([] if kind == "dense" else ["flatten"])])
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)

    probabilities = network.predict(images, verbose=0)
    network.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")

    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), probabilities)


@pytest.mark.parametrize("kind", ["prelu", "leaky_relu", "elu", "relu", "batch_norm", "layer_norm", "dropout"])
def test_layers_for_any_shape_also_follow_a_dense_layer(kind):
    assert build(["flatten", {"dense": 8}, kind]).output_shape == (None, 4)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("side", [8, 28, 64])
def test_every_preset_builds_at_every_size(preset, side):
    assert build(preset, (side, side, 1)).output_shape == (None, 4)


@pytest.mark.parametrize(("side", "params"), [(64, 1_625_797), (96, 3_985_093)])
def test_a_network_in_plain_names_has_the_parameters_published_for_it(side, params):
    layers = [{"conv": 32}, {"max_pool": 2}, {"conv": 64}, {"max_pool": 2}, "flatten", {"dense": 128}]
    assert summarize(build(layers, (side, side, 3), classes=5)).total_params == params


def test_the_work_of_an_image_is_counted_by_kernels():
    layers = [{"conv": {"filters": 8, "kernel": 3, "padding": "same"}}, "flatten"]
    flops = summarize(build(layers)).flops
    assert flops == 2 * 16 * 16 * 3 * 3 * 3 * 8 + 2 * (16 * 16 * 8) * 4


def test_the_weights_follow_from_the_seed():
    first, second, other = (build("resnet", seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("mode", ["unit", "minmax", "standardize", "none"])
def test_pixels_are_normalised_inside_the_network(mode):
    import keras

    images = np.random.default_rng(0).integers(20, 200, (50, *SHAPE), dtype=np.uint8)
    network = build(["flatten"], pixels=pixel_statistics(mode, images, np.arange(50)), normalize=mode)
    inner = keras.Model(network.inputs, network.get_layer("flatten_0").output)
    values = inner.predict(images, verbose=0).reshape(images.shape)
    expected = {
        "unit": images / 255,
        "minmax": (images - 20.0) / (199 - 20),
        "standardize": (images - images.mean(axis=(0, 1, 2))) / images.std(axis=(0, 1, 2)),
        "none": images,
    }
    np.testing.assert_allclose(values, expected[mode], rtol=1e-4, atol=1e-4)


def test_pixel_statistics_are_of_the_chosen_rows_only():
    images = np.zeros((4, 2, 2, 1), np.uint8)
    images[2:] = 255
    statistics = pixel_statistics("minmax", images, np.array([0, 1]))
    assert (statistics.low, statistics.high, statistics.mean) == (0, 0, (0.0,))


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ([{"dense": 8}], r"architecture\.0 \(dense\) gets images of 16x16x3: put flatten or global_average_pool"),
        ([{"conv": 8}], "architecture ends with images of 14x14x8: end it with flatten"),
        ([{"conv": {"filters": 8, "kernel": 99}}, "flatten"], r"architecture\.0 \(conv\)"),
        ([{"max_pool": 2}] * 6 + ["flatten"], r"architecture\.4 \(max_pool\)"),
        (["flatten", {"conv": 8}], r"architecture\.1 \(conv\) does not fit its input of 768"),
        ([{"conv": {"filters": 9, "groups": 2}}, "flatten"], r"architecture\.0 \(conv\)"),
        ([{"reshape": [7]}], r"architecture\.0 \(reshape\)"),
        ([{"residual": ["flatten"]}, "flatten"], r"architecture\.0 \(residual\)"),
    ],
)
def test_layers_that_do_not_fit_are_named(architecture, message):
    with pytest.raises(SpecError, match=message):
        build(architecture)


@pytest.mark.parametrize(
    ("layer", "too_large"),
    [
        ({"conv": {"filters": 4, "kernel": 3}}, "a 3x3 kernel"),
        ({"conv": {"filters": 4, "kernel": 2, "dilation": 4}}, "a 2x2 kernel, which dilation widens to 5x5,"),
        ({"depthwise_conv": [1, 3]}, "a 1x3 kernel"),
        ({"separable_conv": {"filters": 4, "kernel": 3}}, "a 3x3 kernel"),
        ({"max_pool": 3}, "a 3x3 window"),
        ({"average_pool": 3}, "a 3x3 window"),
    ],
)
def test_a_window_larger_than_the_images_says_what_helps(layer, too_large):
    kind = next(iter(layer))
    with pytest.raises(SpecError) as caught:
        build([layer, "flatten"], (2, 2, 3))
    assert str(caught.value) == (
        f"architecture.0 ({kind}): 2x2 is too small for {too_large} with padding: valid; "
        "raise resolution, or set padding: same"
    )


def test_a_window_as_large_as_the_images_or_padded_fits():
    layers = [{"conv": {"filters": 4, "kernel": 3, "padding": "same"}}, {"max_pool": 2}, "flatten"]
    assert build(layers, (2, 2, 3)).get_layer("max_pool_1").output.shape == (None, 1, 1, 4)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_the_probabilities_are_float32_at_any_precision(precision):
    network = build("cnn", precision=precision)
    assert network.output.dtype == "float32"
    assert network.get_layer("conv_0").compute_dtype == precision
