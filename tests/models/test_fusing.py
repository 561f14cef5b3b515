"""Layers in faster forms train a network as Keras' own layers do."""

import keras
import numpy as np
import pytest

from imgcls import backend

backend.start("cpu")

from imgcls.models import build_network, fused, set_trainable  # noqa: E402 - not before Keras has started
from imgcls.spec import load_spec  # noqa: E402

LAYERS = [{"conv": 4}, {"batch_norm": 0.9}, "relu", "flatten", {"dense": 6}, "batch_norm"]
IMAGES = np.random.default_rng(0).integers(0, 255, (10, 8, 8, 3)).astype(np.float32)
LABELS = np.arange(10) % 3


def built(**settings):
    spec = load_spec({"data": "digits", "architecture": LAYERS, **settings}).spec.completed()
    return build_network(
        spec.model_copy(update={"precision": settings.get("precision", "float32")}), (8, 8, 3), 3, None
    )


def trained(network, trainer):
    trainer.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    for _ in range(3):
        trainer.train_on_batch(IMAGES, LABELS)
    return network.get_weights()


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_it_trains_to_the_same_weights_and_statistics(precision, tolerance):
    network, plain = built(precision=precision), built(precision=precision)
    start = network.get_weights()
    trainer = fused(network)
    kinds = [type(layer).__name__ for layer in trainer.layers]
    assert (kinds.count("_FusedBatchNorm"), "BatchNormalization" in kinds) == (2, False)
    assert [weight.path for weight in trainer.trainable_variables] == [
        each.path for each in network.trainable_variables
    ]
    for found, expected, before in zip(trained(network, trainer), trained(plain, plain), start, strict=True):
        np.testing.assert_allclose(found, expected, atol=tolerance)
        assert not np.array_equal(found, before)


def test_the_network_itself_stays_one_of_keras_own_layers(tmp_path):
    network = built()
    config = network.get_config()
    trained(network, fused(network))
    assert network.get_config() == config
    network.save(tmp_path / "model.keras")
    again = backend.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(IMAGES, verbose=0), network.predict(IMAGES, verbose=0))


def test_frozen_statistics_stay_where_scale_and_shift_learn():
    settings = {"architecture": {"backbone": "mobilenet", "trainable": "all", "cut": "conv_pw_1_relu",
                                 "batch_norm": "frozen", "weights": "none", "head": ["flatten"]}}  # fmt: skip
    spec = load_spec({"data": "digits", **settings}).spec.completed()
    spec = spec.model_copy(update={"precision": "float32"})
    network, plain = (build_network(spec, (32, 32, 3), 3, None) for _ in range(2))
    images = np.random.default_rng(0).integers(0, 255, (10, 32, 32, 3)).astype(np.float32)
    for each in (network, plain):
        set_trainable(each, spec.architecture)
    for trainer in (fused(network), plain):
        trainer.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
        trainer.train_on_batch(images, LABELS)
    for found, expected in zip(network.weights, plain.weights, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not any(np.any(weight) for weight in network.weights if weight.path.endswith("moving_mean"))


POOLED = {
    "in a convolution": [{"conv": 4}, {"max_pool": 2}],
    "exponential": [{"conv": {"filters": 4, "activation": "elu"}}, {"max_pool": 2}],
    "a leaky one": [{"conv": {"filters": 4, "activation": "none"}}, {"leaky_relu": 0.2}, {"max_pool": 2}],
    "behind a batch norm": [{"conv": {"filters": 4, "activation": "none"}}, "batch_norm", "relu", {"max_pool": 2}],
    "twice": [
        {"conv": {"filters": 4, "l2": 0.01}},
        {"max_pool": 2},
        {"conv": {"filters": 3, "kernel": 2}},
        {"max_pool": 2},
    ],
}


@pytest.mark.parametrize("layers", POOLED.values(), ids=POOLED)
def test_an_activation_behind_its_pooling_trains_to_the_same_weights(layers):
    network, plain = (built(architecture=[*layers, "flatten"]) for _ in range(2))
    trainer = fused(network)
    kinds = [type(layer).__name__ for layer in trainer.layers]
    assert kinds.count("_PooledFirst") == sum("max_pool" in layer for layer in layers)
    assert not {"ReLU", "LeakyReLU", "Conv2D"} & set(kinds) or "_Linear" not in kinds
    assert [weight.path for weight in trainer.trainable_variables] == [each.path for each in plain.trainable_variables]
    start = plain.get_weights()
    for found, expected, before in zip(trained(network, trainer), trained(plain, plain), start, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert not np.array_equal(found, before)


def functional(join):
    image = keras.Input((8, 8, 3))
    return keras.Model(image, join(keras.layers.Conv2D(4, 3, activation="relu")(image)))


def test_what_may_decrease_or_is_read_twice_stays_before_the_pooling():
    rounded = functional(lambda tensor: keras.layers.MaxPooling2D()(keras.layers.Activation("silu")(tensor)))
    read_twice = functional(lambda tensor: [keras.layers.MaxPooling2D()(tensor), tensor])
    averaged = functional(lambda tensor: keras.layers.AveragePooling2D(2)(tensor))
    for network in (rounded, read_twice, averaged):
        assert fused(network) is network


def test_a_network_without_such_layers_is_left_alone():
    network = built(architecture=["flatten"])
    assert fused(network) is network
