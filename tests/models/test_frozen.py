"""A network splits where all that is before does not learn, and both parts are the network's own layers."""

import keras
import numpy as np
import pytest

from imgcls.backend import load_model
from imgcls.models import build_network
from imgcls.models.frozen import split_frozen
from imgcls.spec import load_spec

SHAPE = (32, 32, 3)


def build(*, precision="float32", normalize="backbone", **architecture):
    if "backbone" in architecture:
        architecture = {"weights": "none", "batch_norm": "frozen", **architecture}
    given = {"data": "digits", "precision": precision, "normalize": normalize, "architecture": architecture}
    return build_network(load_spec(given).spec.completed(), SHAPE, 4, None)


def tiny(**architecture):
    return build(backbone="efficientnetb0", **architecture)


def pixels(count=4):
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def outputs(network, images):
    return keras.ops.convert_to_numpy(network(images, training=False))


@pytest.mark.parametrize(
    ("architecture", "last"),
    [
        ({"trainable": "none"}, "global_average_pool_head_0"),
        ({"trainable": 3}, "conv_dw_13_relu"),
        ({"trainable": {"from": "conv_pw_6"}}, "conv_dw_6_relu"),
        ({"trainable": {"from": "conv1_bn"}}, "conv1"),
    ],
)
def test_mobilenet_splits_before_its_first_layer_that_learns(architecture, last):
    network = build(backbone="mobilenet", **architecture)
    split = split_frozen(network)
    assert split.layer == last
    assert not split.base.trainable_variables
    pairs = zip(split.head.trainable_variables, network.trainable_variables, strict=True)
    assert all(ours is theirs for ours, theirs in pairs)
    np.testing.assert_array_equal(outputs(split.head, outputs(split.base, pixels())), outputs(network, pixels()))


def test_where_a_skip_connection_crosses_the_split_is_before_it():
    split = split_frozen(build(backbone="resnet50", trainable={"from": "conv2_block2_2_conv"}))
    assert split.layer == "conv2_block1_out", "the sum of the block before; its second convolution learns"


@pytest.mark.parametrize(
    ("head", "last", "shape"),
    [
        (["global_average_pool", {"dense": 3}], "global_average_pool_head_0", (6,)),
        (["max_pool", "flatten", "relu"], "relu_head_2", (54,)),
        ([{"dropout": 0.5}, "global_average_pool"], "last_norm", (7, 7, 6)),
        ([{"conv": 3}, "global_average_pool"], "last_norm", (7, 7, 6)),
        (["batch_norm", "global_average_pool"], "last_norm", (7, 7, 6)),
    ],
)
def test_of_the_head_only_what_has_neither_weights_nor_chance_is_in_the_base(tiny_backbone, head, last, shape):
    split = split_frozen(tiny(head=head))
    assert (split.layer, split.base.output.shape[1:]) == (last, shape)


def test_frozen_dropout_is_in_the_base_and_thawed_dropout_in_the_head(tiny_backbone):
    assert split_frozen(tiny(trainable=1)).layer == "drop"
    assert split_frozen(tiny(trainable=2)).layer == "conv2d"


@pytest.mark.parametrize(("start", "last"), [("down", "add"), ("stem_relu", "add"), ("conv2d", "down")])
def test_a_sum_and_a_network_inside_the_network_split_like_layers(tiny_backbone, start, last):
    network = tiny(trainable={"from": start})
    split = split_frozen(network)
    assert split.layer == last
    np.testing.assert_array_equal(outputs(split.head, outputs(split.base, pixels())), outputs(network, pixels()))


@pytest.mark.parametrize(
    "architecture",
    [
        {"layers": [{"conv": 4}, "global_average_pool"]},
        {"backbone": "efficientnetb0", "trainable": "all"},
        {"backbone": "efficientnetb0", "trainable": {"from": "stem_conv"}},
    ],
)
@pytest.mark.parametrize("normalize", ["unit", "zca"])
def test_a_network_that_learns_from_its_start_has_no_frozen_part(tiny_backbone, architecture, normalize):
    assert split_frozen(build(normalize=normalize, **architecture)) is None


def test_what_only_prepares_pixels_is_no_frozen_part():
    assert split_frozen(build(normalize="patch_whitening", preset="airbench", filters=[4, 4])) is None


def test_the_statistics_of_a_trained_batch_norm_do_not_stand_still(tiny_backbone):
    network = tiny(batch_norm="train", trainable={"from": "last_norm"})
    norm = network.get_layer("last_norm")
    norm.gamma.trainable = norm.beta.trainable = False
    assert split_frozen(network).layer == "drop"


def test_training_the_head_trains_the_network_and_leaves_the_base(tiny_backbone):
    network = tiny(trainable=1)
    split = split_frozen(network)
    before, base_before = network.get_weights(), split.base.get_weights()
    split.head.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    split.head.train_on_batch(outputs(split.base, pixels()), np.arange(4))
    assert not all(map(np.array_equal, before, network.get_weights()))
    assert all(map(np.array_equal, base_before, split.base.get_weights()))


def test_a_split_leaves_the_network_as_it_was(tiny_backbone, tmp_path):
    network = tiny()
    before = network.get_config()
    split_frozen(network)
    split_frozen(network)
    assert network.get_config() == before
    network.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(loaded, pixels()), outputs(network, pixels()))


def test_features_keep_the_precision_of_the_network(tiny_backbone):
    network = tiny(precision="bfloat16")
    split = split_frozen(network)
    assert split.base.output.dtype == split.head.input.dtype == "bfloat16"
    np.testing.assert_array_equal(outputs(split.head, split.base(pixels())), outputs(network, pixels()))
