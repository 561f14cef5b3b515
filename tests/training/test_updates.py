"""An update as one operation makes the steps that Keras' own optimizers make."""

import keras
import numpy as np
import pytest

from imgcls import backend

backend.start("cpu")

from imgcls.training import updates  # noqa: E402 - not before Keras has started

IMAGES = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)


def trained(optimizer):
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)])
    network.compile(optimizer, "mse", jit_compile=False)
    start = network.get_weights()
    network.fit(IMAGES, IMAGES[:, :3], epochs=5, batch_size=16, verbose=0)
    assert not any(np.array_equal(*pair) for pair in zip(start, network.get_weights(), strict=True))
    return network.get_weights(), [operation.type for operation in operations(network)]


def operations(network):
    def step():
        network.optimizer.apply([weight * 1.0 for weight in network.trainable_variables])

    import tensorflow as tf

    return tf.function(step).get_concrete_function().graph.get_operations()


SETTINGS = [
    ("Adam", "ResourceApplyAdam", {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3}),
    ("Adam", "ResourceApplyAdam", {"clipnorm": 0.1, "use_ema": True}),
    ("Adam", None, {"amsgrad": True}),
    ("AdamW", "ResourceApplyAdam", {"weight_decay": 0.1}),
    ("SGD", None, {}),
    ("SGD", "ResourceApplyKerasMomentum", {"momentum": 0.9}),
    ("SGD", "ResourceApplyKerasMomentum", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
]


@pytest.mark.parametrize(("name", "operation", "settings"), SETTINGS)
def test_it_trains_to_the_weights_of_keras_own(name, operation, settings):
    rate = keras.optimizers.schedules.PolynomialDecay(0.05, 20, 0.01)
    found, kinds = trained(getattr(updates, name)(rate, **settings))
    expected, plain = trained(getattr(keras.optimizers, name)(rate, **settings))
    fused = {kind for kind in kinds if kind.startswith("ResourceApply")}
    assert fused == ({operation} if operation else set())
    assert not any(kind.startswith("ResourceApply") for kind in plain)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5)
