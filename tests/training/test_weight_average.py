"""The average of the weights is what is validated and saved, and the training does not see it."""

import numpy as np
import pytest

import imgcls

SPEC = {
    "data": {"source": "digits", "limit": {"train": 64, "validation": 40, "test": 40}},
    "architecture": ["flatten", {"dense": 8}],
    "batch": 64,  # an epoch is a step: the weights after each are those of a shorter training
    "precision": "float32",
    "lr": 0.01,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """What a training of so many steps ends with."""
    folder = tmp_path_factory.mktemp("runs")

    def weights(epochs, momentum=None, **overrides):
        optimizer = {"name": "adam", "ema_momentum": momentum}
        run = imgcls.train(SPEC | {"epochs": epochs, "optimizer": optimizer} | overrides, runs_dir=folder)
        return run.model().get_weights(), run

    return weights


def test_the_network_ends_with_the_average_over_the_steps(weights):
    raw = [weights(epochs)[0] for epochs in (1, 2, 3, 4)]
    found, run = weights(4, 0.15)
    for place, ours in enumerate(found):
        expected = raw[0][place]  # the first step's weights alone
        for step, momentum in enumerate((1 / 10, 0.15, 0.15), start=1):  # it may not exceed n / (n + 9)
            expected = momentum * expected + (1 - momentum) * raw[step][place]
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    assert np.abs(found[0] - raw[-1][0]).max() > 1e-4, "the average differs from the last weights"
    plain = weights(4)[1]
    assert run.history["loss"].tolist() == plain.history["loss"].tolist(), "the steps are the same"
    assert run.history["val_loss"].iloc[-1] != plain.history["val_loss"].iloc[-1]


def test_what_was_validated_is_what_is_saved(weights):
    averaged, run = weights(3, 0.9, evaluate_on="validation")
    assert run.metrics["loss"] == pytest.approx(run.history["val_loss"].iloc[-1], rel=1e-5)
    rule = {"monitor": "val_loss", "patience": 9, "restore_best": True}
    best, restored = weights(3, 0.9, early_stopping=rule)
    assert restored.metrics["best_epoch"] == 3
    for ours, theirs in zip(best, averaged, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_epoch_that_was_best_is_gone_back_to_with_its_average(weights):
    rule = {"monitor": "val_loss", "patience": 1, "min_delta": 10, "restore_best": True}
    best, run = weights(3, 0.9, early_stopping=rule)
    assert run.metrics["best_epoch"] == 1
    for ours, theirs in zip(best, weights(1, 0.9)[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_momentum_is_a_share():
    with pytest.raises(imgcls.SpecError, match="ema_momentum  got 2; a number from 0 to 1"):
        imgcls.train(SPEC | {"epochs": 1, "optimizer": {"name": "sgd", "ema_momentum": 2}})
