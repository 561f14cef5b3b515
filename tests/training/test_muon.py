"""Muon orthogonalizes the steps of what stands for a matrix, convolutions too, and leaves the rest to AdamW."""

import keras
import numpy as np
import pytest

from imgcls import backend

backend.start("cpu")

from imgcls.training.muon import Muon  # noqa: E402 - not before Keras has started

RATE = 0.01
RANDOM = np.random.default_rng(0)


def network(*layers):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((8, 8, 4)), *layers, keras.layers.GlobalAveragePooling2D()])
    model.add(keras.layers.Dense(3, name="output"))
    return model


def steps(optimizer, variables, gradients, count=3):
    """Return what all steps together have changed, variable by variable."""
    before = [variable.numpy() for variable in variables]
    optimizer.build(variables)
    for _ in range(count):
        optimizer.apply(gradients, variables)
    return [variable.numpy() - start for variable, start in zip(variables, before, strict=True)]


def test_the_first_step_of_a_convolution_is_as_long_in_every_direction():
    variables = network(keras.layers.Conv2D(6, 3, name="conv")).trainable_variables
    gradients = [RANDOM.normal(size=variable.shape).astype(np.float32) for variable in variables]
    settings = {"weight_decay": 0.0, "adam_weight_decay": 0.0, "rms_rate": None}
    kernel = steps(Muon(RATE, **settings), variables, gradients, count=1)[0]
    lengths = np.linalg.svd(kernel.reshape(-1, 6), compute_uv=False) / RATE
    assert ((lengths > 0.5) & (lengths < 1.3)).all()  # the iteration of Newton and Schulz is stopped early


@pytest.mark.parametrize("settings", [{}, {"nesterov": False, "momentum": 0.6}, {"ns_steps": 3, "weight_decay": 0.5}])
def test_a_convolution_is_the_matrix_that_keras_own_would_be_given(settings):
    variables = network(keras.layers.Conv2D(6, 3, name="conv")).trainable_variables
    matrix = keras.Variable(variables[0].numpy().reshape(-1, 6))
    gradients = [RANDOM.normal(size=variable.shape).astype(np.float32) for variable in variables]
    found = steps(Muon(RATE, **settings), variables, gradients)[0]
    expected = steps(keras.optimizers.Muon(RATE, **settings), [matrix], [gradients[0].reshape(-1, 6)])[0]
    np.testing.assert_allclose(found.reshape(-1, 6), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "layers",
    [
        [keras.layers.DepthwiseConv2D(3, name="conv_dw")],
        [keras.layers.SeparableConv2D(4, 3, depth_multiplier=2, name="separable")],
        [keras.layers.BatchNormalization()],
    ],
)
def test_what_is_no_matrix_and_the_output_layer_take_the_steps_of_adamw(layers):
    variables = network(*layers).trainable_variables
    gradients = [RANDOM.normal(size=variable.shape).astype(np.float32) for variable in variables]
    start = [variable.numpy() for variable in variables]
    found = steps(Muon(RATE, adam_weight_decay=0.1), variables, gradients)
    for variable, value in zip(variables, start, strict=True):
        variable.assign(value)
    expected = steps(keras.optimizers.AdamW(RATE, weight_decay=0.1), variables, gradients)
    for variable, ours, theirs in zip(variables, found, expected, strict=True):
        is_alike = np.allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        assert is_alike == ("pointwise" not in variable.path), variable.path


def test_a_frozen_stage_may_leave_it_nothing_but_the_output_layer():
    variables = network().trainable_variables
    gradients = [np.ones(variable.shape, np.float32) for variable in variables]
    assert all(np.isfinite(change).all() for change in steps(Muon(RATE), variables, gradients))
    assert steps(Muon(RATE), [keras.Variable(np.ones(3, np.float32))], [np.ones(3, np.float32)])[0].any()
