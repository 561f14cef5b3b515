"""Predictions stay with the images that they are of, in whatever order the images were trained on or are asked for."""

import keras
import numpy as np
import pytest

from imgcls.errors import RunError
from imgcls.evaluation.prediction import predict_batch, predict_images
from imgcls.spec import load_spec

CLASSES = 4
NUMBERS = np.arange(24, dtype=np.uint8)
IMAGES = np.broadcast_to(NUMBERS[:, None, None, None], (24, 2, 2, 1))
LABELS = (NUMBERS % CLASSES).astype(np.int32)


@pytest.fixture(scope="module")
def network():
    """A network that knows the class of image n: the remainder of n by four."""
    image = keras.Input((2, 2, 1))
    number = keras.ops.round(keras.ops.mean(image, axis=(1, 2, 3)))
    return keras.Model(image, keras.ops.one_hot(keras.ops.cast(number % CLASSES, "int32"), CLASSES))


@pytest.mark.parametrize("seed", range(3))
def test_predictions_asked_for_in_another_order_are_as_right(network, seed):
    spec = load_spec({"data": "digits"}).spec.completed()
    rows = np.random.default_rng(seed).permutation(24)[:19]
    found = predict_images(spec, network, IMAGES, rows, LABELS[rows])
    assert found.accuracy == 1.0
    np.testing.assert_array_equal(found.predicted, NUMBERS[rows] % CLASSES)
    np.testing.assert_array_equal(found.labels, LABELS[rows])


def test_a_training_that_shuffles_evaluates_in_stored_order(tmp_path, color_photos):
    import imgcls

    spec = {"data": str(color_photos), "resolution": 8, "architecture": ["flatten"], "lr": 0.01, "epochs": 12}
    run = imgcls.train(spec, runs_dir=tmp_path / "runs")
    assert run.metrics["accuracy"] > 0.9, "the colours are easy: at chance the labels would be those of other images"
    assert all(row["path"].startswith(f"{row['true']}/") for _, row in run.predictions.iterrows())


def test_running_out_of_memory_is_told_outside_of_a_training_too(network, monkeypatch):
    def too_much(*_):
        raise MemoryError

    monkeypatch.setattr(network, "predict_on_batch", too_much)
    with pytest.raises(RunError, match="out of memory"):
        predict_batch(network, IMAGES)
    with pytest.raises(RunError, match="out of memory"):
        predict_images(load_spec({"data": "digits"}).spec.completed(), network, IMAGES, np.arange(24), LABELS)
