"""A folded network gives what the network gives in inference mode, whatever its batch norms hold."""

import random

import keras
import numpy as np
import pytest
from keras import layers

from imgcls.models.backbones import stock_network
from imgcls.models.folding import folded

SIDE = 8


def randomized(network, seed=0):
    """Give batch norms statistics and biases values that matter."""
    generator = np.random.default_rng(seed)
    for weight in network.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean", "bias"):
            weight.assign(generator.normal(0, 0.3, weight.shape))
    return network


def built(*parts, shape=(SIDE, SIDE, 4)):
    """Build the layers, one after the other; a function among them gets the tensor and gives the next."""
    image = tensor = keras.Input(shape)
    for part in parts:
        tensor = part(tensor)
    return randomized(keras.Model(image, tensor))


def norms(network):
    return sum(isinstance(layer, layers.BatchNormalization) for layer in network.layers)


def difference(network, other, shape, seed=0):
    """Return the greatest difference of their outputs, and the size of these."""
    images = np.random.default_rng(seed).uniform(-1, 1, (4, *shape)).astype(np.float32)
    first, second = (keras.ops.convert_to_numpy(keras.ops.cast(each(images, training=False), "float64"))
                     for each in (network, other))  # fmt: skip
    return np.abs(first - second).max(), np.abs(first).max()


def same(network, shape=(SIDE, SIDE, 4)):
    apart, size = difference(network, folded(network), shape)
    return size > 0.1 and apart < 2e-6 * size


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(6, 3, padding="same", use_bias=False),
        layers.Conv2D(6, 3, groups=2, dilation_rate=2),
        layers.DepthwiseConv2D(3, depth_multiplier=3, use_bias=False),
        layers.DepthwiseConv2D(3, strides=2, padding="same"),
        layers.SeparableConv2D(6, 3, use_bias=False),
        layers.SeparableConv2D(6, 3, depth_multiplier=2),
        layers.Conv2DTranspose(6, 3, strides=2, padding="same"),
        layers.Conv2DTranspose(4, 2, use_bias=False),
        layers.Dense(6),
    ],
    ids=lambda layer: layer.name,
)
def test_a_batch_norm_disappears_in_the_layer_before_it(layer):
    network = built(layer, layers.BatchNormalization(), layers.ReLU())
    assert norms(folded(network)) == 0
    assert same(network)


@pytest.mark.parametrize("norm", [{"scale": False}, {"center": False}, {"axis": 3, "epsilon": 0.1}], ids=str)
def test_a_batch_norm_of_any_kind_disappears(norm):
    network = built(layers.Conv2D(6, 3), layers.BatchNormalization(**norm))
    assert norms(folded(network)) == 0
    assert same(network)


def test_a_batch_norm_of_features_disappears_too():
    network = built(layers.Flatten(), layers.Dense(5), layers.BatchNormalization())
    assert norms(folded(network)) == 0
    assert same(network)


def read_twice(tensor):
    before = layers.Conv2D(4, 1)(tensor)
    return layers.Add()([before, layers.BatchNormalization()(before)])


def shared(tensor):
    conv = layers.Conv2D(4, 1)
    return layers.BatchNormalization()(conv(conv(tensor)))


def one_norm_for_two(tensor):
    norm = layers.BatchNormalization()
    return layers.Add()([norm(layers.Conv2D(4, 1)(tensor)), norm(layers.Conv2D(4, 1)(tensor))])


@pytest.mark.parametrize(
    "parts",
    [
        [layers.BatchNormalization(), layers.Conv2D(4, 3)],
        [layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()],
        [layers.Conv2D(4, 3), layers.ZeroPadding2D(), layers.BatchNormalization()],
        [layers.Conv2D(4, 3), lambda tensor: tensor + 1.0, layers.BatchNormalization()],
        [layers.Conv2D(4, 3), layers.BatchNormalization(axis=1)],
        [layers.Conv2D(4, 3, dtype="mixed_bfloat16"), layers.BatchNormalization(dtype="float32")],
        [read_twice],
        [shared],
        [one_norm_for_two],
    ],
    ids=["first", "activation", "padding", "sum", "axis", "precision", "read_twice", "shared", "one_norm_for_two"],
)
def test_a_batch_norm_that_nothing_can_take_stays(parts):
    network = built(*parts)
    assert norms(folded(network)) == 1
    assert same(network)


def test_what_a_network_gives_out_in_between_stays():
    image = keras.Input((SIDE, SIDE, 4))
    conv = layers.Conv2D(4, 3)(image)
    network = randomized(keras.Model(image, [conv, layers.BatchNormalization()(conv)]))
    assert norms(folded(network)) == 1


def test_folding_leaves_the_network_and_all_random_numbers_alone():
    network = built(layers.Conv2D(4, 3, use_bias=False, name="conv"), layers.BatchNormalization(), layers.ReLU())
    network.compile("adam", "mse")
    before, config, state = network.get_weights(), network.get_config(), random.getstate()
    fast = folded(network)
    assert random.getstate() == state
    assert network.get_config() == config
    assert all(map(np.array_equal, before, network.get_weights()))
    assert fast.get_layer("conv") is not network.get_layer("conv")
    assert not fast.compiled
    assert not fast.trainable_variables


def test_precision_is_kept():
    policy = "mixed_bfloat16"
    network = built(
        layers.Conv2D(6, 3, dtype=policy), layers.BatchNormalization(dtype=policy), layers.ReLU(dtype=policy)
    )
    fast = folded(network)
    assert [layer.dtype_policy.name for layer in fast.layers[1:]] == [policy, policy]
    assert {weight.dtype for weight in fast.weights} == {"float32"}
    apart, size = difference(network, fast, (SIDE, SIDE, 4))
    assert apart < 2**-6 * size, "bfloat16 has 8 bits"


LEFT = [
    ("mobilenet", 0), ("mobilenetv2", 0),
    *(pytest.param(name, left, marks=pytest.mark.slow) for name, left in [
        ("densenet121", 62), ("efficientnetb0", 0), ("efficientnetv2b0", 0),
        ("inceptionresnetv2", 0), ("inceptionv3", 0), ("mobilenetv3large", 0), ("mobilenetv3small", 0),
        ("nasnetmobile", 4), ("resnet50", 0), ("resnet50v2", 17), ("vgg16", 0), ("xception", 0),
    ]),
]  # fmt: skip


@pytest.fixture
def double_precision():
    """Tell a wrong formula from rounding, which deep networks with random statistics blow up."""
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(("backbone", "left"), LEFT)
def test_backbones_fold(double_precision, backbone, left):
    """``left``: batch norms that follow no convolution, in networks that normalise before they convolve."""
    side = 32 if backbone.startswith("mobilenet") else 80
    network = randomized(stock_network(backbone, (side, side, 3)))
    fast = folded(network)
    assert norms(fast) == left
    apart, size = difference(network, fast, (side, side, 3))
    assert apart < 1e-9 * size
