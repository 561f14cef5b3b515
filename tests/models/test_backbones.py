"""Backbones are cut, frozen and thawed as the spec says, and batch norm that is frozen stays so."""

import keras
import numpy as np
import pytest

from imgcls.backend import load_model
from imgcls.errors import SpecError
from imgcls.models import build_network, set_trainable, summarize
from imgcls.models.backbones import backbone_layers
from imgcls.spec import load_spec
from imgcls.spec.architecture import BACKBONES

SHAPE = (16, 16, 3)
NARROW_HEAD = [
    {"conv": {"filters": 384, "kernel": 3}}, "batch_norm", {"conv": {"filters": 300, "kernel": 3}}, "batch_norm",
    "global_average_pool", "flatten", {"dense": 256}, {"dense": 128}, {"dense": 64},
]  # fmt: skip


def complete(architecture, **settings):
    architecture = {"backbone": "efficientnetb0", "weights": "none", "batch_norm": "frozen", **architecture}
    given = {"data": "digits", "precision": "float32", "architecture": architecture, **settings}
    return load_spec(given).spec.completed()


def build(shape=SHAPE, classes=4, *, precision="float32", normalize="backbone", seed=0, **architecture):
    spec = complete(architecture, precision=precision, normalize=normalize, seed=seed)
    return build_network(spec, shape, classes, None)


def pixels(count=8, shape=SHAPE):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def outputs(network, images):
    return keras.ops.convert_to_numpy(network(images, training=False))


def learning(network):
    layers = backbone_layers(network)
    return [layer.name for layer in layers if layer.trainable or any(weight.trainable for weight in layer.weights)]


def trained(network, steps=3):
    network.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    for _ in range(steps):
        network.train_on_batch(pixels(), np.arange(8) % 4)


@pytest.mark.parametrize(
    ("architecture", "shape", "classes", "total", "trainable"),
    [
        ({"backbone": "mobilenet", "head": ["global_average_pool", {"dense": 1024}, {"dense": 512}]},
         (224, 224, 3), 8, 4_807_368, 1_578_504),
        ({"backbone": "mobilenet", "cut": "conv_pw_11_relu", "head": NARROW_HEAD}, (224, 224, 3), 8, None, 2_927_052),
        pytest.param({"backbone": "resnet50", "trainable": "all", "head": ["flatten"]},
                     (32, 32, 3), 10, 23_608_202, 23_555_082, marks=pytest.mark.slow),
        pytest.param({"backbone": "vgg16", "trainable": "all", "head": ["flatten"]},
                     (32, 32, 3), 10, 14_719_818, 14_719_818, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_networks_have_the_parameters_published_for_them(architecture, shape, classes, total, trainable):
    summary = summarize(build(shape, classes, **architecture))
    assert summary.trainable_params == trainable == sum(layer.trainable for layer in summary.layers)
    assert total in (None, summary.total_params)


@pytest.mark.parametrize(
    ("cut", "last"),
    [(None, "last_norm"), ("stem_conv", "stem_conv"), (3, "down"), ("add", "add"), ("conv2d", "conv2d")],
)
def test_features_are_taken_where_the_backbone_is_cut(tiny_backbone, cut, last):
    network = build(cut=cut)
    names = [layer.name for layer in backbone_layers(network)]
    assert names[-1] == ("stem_relu" if last == "add" else last), "a sum is no layer"
    source = network.get_layer("global_average_pool_head_0").input._keras_history.operation
    assert type(source).__name__ == "Add" if last == "add" else source.name == last


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        ("none", []),
        (2, ["drop", "last_norm"]),
        ({"from": "down"}, ["down", "conv2d", "drop", "last_norm"]),
        ({"from": "batch_normalization"},
         ["batch_normalization", "stem_relu", "down", "conv2d", "drop", "last_norm"]),
    ],
)  # fmt: skip
def test_what_learns_of_a_backbone_is_what_the_spec_says(tiny_backbone, trainable, expected):
    network = build(trainable=trainable, head=["flatten", {"dense": 3}])
    assert learning(network) == expected
    assert network.get_layer("dense_head_1").trainable
    assert network.get_layer("output").trainable


def test_all_means_all_and_the_last_layers_are_those_before_the_cut(tiny_backbone):
    assert learning(build(trainable="all")) == [layer.name for layer in backbone_layers(build())]
    assert learning(build(trainable=2, cut="stem_relu")) == ["batch_normalization", "stem_relu"]


def test_only_what_learns_is_changed_by_a_step(tiny_backbone):
    network = build(trainable={"from": "conv2d"})
    before = {layer.name: layer.get_weights() for layer in network.layers}
    trained(network, steps=1)
    after = {layer.name: layer.get_weights() for layer in network.layers}
    changed = {name for name in before if not all(map(np.array_equal, before[name], after[name]))}
    assert changed - {"drop"} == {"conv2d", "last_norm", "output"}


def test_frozen_batch_norm_keeps_its_statistics_even_while_its_scale_learns(tiny_backbone, tmp_path):
    network = build(trainable="none")
    trained(network)
    gamma, _, mean, variance = network.get_layer("last_norm").get_weights()
    network.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")

    for each in (network, loaded):
        set_trainable(each, complete({"trainable": "all"}).architecture)
        trained(each)
        changed = each.get_layer("last_norm").get_weights()
        assert not np.array_equal(changed[0], gamma)
        np.testing.assert_array_equal(changed[2:], [mean, variance])


def test_a_loaded_network_that_is_trained_on_keeps_frozen_statistics(tiny_backbone, tmp_path):
    build(trainable="all").save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    statistics = loaded.get_layer("last_norm").get_weights()[2:]
    trained(loaded)
    np.testing.assert_array_equal(loaded.get_layer("last_norm").get_weights()[2:], statistics)


def test_batch_norm_follows_the_batches_where_it_is_told_to_and_learns(tiny_backbone):
    network = build(trainable=1, batch_norm="train")
    still, moving = (network.get_layer(name) for name in ("batch_normalization", "last_norm"))
    trained(network)
    np.testing.assert_array_equal(still.get_weights()[2], np.zeros(4))
    assert np.abs(moving.get_weights()[2]).max() > 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("normalize", ["backbone", "unit", "zca"])
def test_a_saved_network_loads_in_safe_mode_and_predicts_the_same(tiny_backbone, tmp_path, precision, normalize):
    network = build(trainable="all", precision=precision, normalize=normalize)
    network.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")

    np.testing.assert_array_equal(outputs(loaded, pixels()), outputs(network, pixels()))
    assert network.get_layer("normalization").compute_dtype == "float32"
    assert network.get_layer("stem_conv").compute_dtype == precision


def test_the_network_is_flat_and_its_features_can_be_taken_out(tiny_backbone):
    network = build()
    features = keras.Model(network.input, [network.get_layer("conv2d").output, network.output])
    assert features(pixels(), training=False)[0].shape == (8, 3, 3, 6)


def test_layers_have_the_same_names_whatever_was_built_before(tiny_backbone):
    names = [layer.name for layer in build().layers]
    assert [layer.name for layer in build().layers] == names
    assert {"conv2d", "batch_normalization", "normalization"} <= set(names)


def test_the_weights_of_a_backbone_follow_from_the_seed(tiny_backbone):
    first, second, other = (build(seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(map(np.array_equal, first, second))
    assert not all(map(np.array_equal, first, other))


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"cut": "stem_cnv"}, r"architecture\.cut: .*no layer stem_cnv; did you mean stem_conv\?"),
        ({"cut": 99}, r"architecture\.cut: got 99; efficientnetb0 has 9 layers"),
        ({"trainable": {"from": "last_nrm"}}, r"architecture\.trainable\.from: .*did you mean last_norm\?"),
        ({"trainable": {"from": "last_norm"}, "cut": "down"}, "no layer last_norm; its last layers are"),
        ({"trainable": 99}, r"architecture\.trainable: got 99; what is used of efficientnetb0 has 9 layers"),
        ({"head": ["relu"]}, r"architecture\.head ends with images of 3x3x6: end it with flatten"),
        ({"head": [{"dense": 3}]}, r"architecture\.head\.0 \(dense\) gets images of 3x3x6"),
        ({"shape": (6, 16, 3)}, "takes images of at least 8x8, got 6x16x3: set resolution"),
        ({"shape": (16, 16, 1), "weights": "imagenet"}, "imagenet is of colour images, got 1 channel"),
    ],
)
def test_what_does_not_fit_the_backbone_is_named(tiny_backbone, architecture, message):
    with pytest.raises(SpecError, match=message):
        build(**architecture)


@pytest.mark.parametrize(
    ("trainable", "message"),
    [
        ({"from": "last_nrm"}, r"^stages\.1\.trainable\.from: .*did you mean last_norm\?"),
        (99, r"^stages\.1\.trainable: got 99; what is used of efficientnetb0 has 9 layers"),
    ],
)
def test_a_stage_that_cannot_begin_is_told_before_the_first(tiny_backbone, trainable, message):
    spec = complete({}, stages=[{"epochs": 1}, {"trainable": trainable}])
    with pytest.raises(SpecError, match=message):
        build_network(spec, SHAPE, 4, None)


def test_a_network_is_built_ready_for_its_first_stage(tiny_backbone):
    spec = complete({}, stages=[{"trainable": 1}, {"trainable": "all"}])
    assert learning(build_network(spec, SHAPE, 4, None)) == ["last_norm"]


def test_other_architectures_are_left_as_they_are():
    spec = load_spec({"data": "digits", "architecture": "cnn", "precision": "float32"}).spec.completed()
    network = build_network(spec, SHAPE, 4, None)
    set_trainable(network, spec.architecture)
    assert all(layer.trainable for layer in network.layers)


FAMILIES = [
    "convnexttiny", "densenet121", "efficientnetb0", "efficientnetv2b0", "efficientnetv2s", "inceptionresnetv2",
    "inceptionv3", "mobilenet", "mobilenetv2", "mobilenetv3large", "mobilenetv3small", "nasnetmobile", "resnet50",
    "resnet50v2", "vgg16", "xception",
]  # fmt: skip
OWN = {"image", "normalize", "global_average_pool_head_0", "output"}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_builds_and_one_of_each_family_saves_and_loads(backbone, tmp_path):
    shape = (80, 80, 3)
    network = build(shape, backbone=backbone, trainable="all")
    assert [layer.name for layer in backbone_layers(network)] == [
        layer.name for layer in network.layers if layer.name not in OWN
    ]
    if backbone in FAMILIES:
        network.save(tmp_path / "model.keras")
        loaded = load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(outputs(loaded, pixels(2, shape)), outputs(network, pixels(2, shape)))
