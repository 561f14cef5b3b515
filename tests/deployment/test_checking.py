"""What the checks of an export find, and what is said of it."""

from pathlib import Path

import numpy as np
import pytest

from imgcls.comparison.significance import of_images
from imgcls.deployment.checking import Check, check_export, loss_in_words
from imgcls.deployment.source import Opened, Source
from imgcls.errors import RunError
from imgcls.evaluation.prediction import Predictions

COUNT = 400
IMAGES = (np.arange(COUNT) % 2 * 255).astype(np.uint8).reshape(COUNT, 1, 1, 1)
ROWS = np.arange(COUNT)
LABELS = (ROWS % 2).astype(np.int32)


def answers(classes):
    return np.eye(2, dtype=np.float32)[classes] * 0.8 + 0.1


EXPECTED = Predictions(LABELS, answers(LABELS), 0.1)


def checked(kind, probabilities, tmp_path):
    """Check an export that gives the images, in their order, these answers."""
    (tmp_path / "file").write_bytes(b"12345")
    place = [0]

    def predict(images):
        given = probabilities[place[0] : place[0] + len(images)]
        place[0] = (place[0] + len(images)) % COUNT
        return given

    return check_export(
        kind, tmp_path / "file", Opened(predict, {}, {}), IMAGES, ROWS, EXPECTED, lambda done, total: None
    )


def test_an_exact_format_may_differ_in_one_of_two_hundred_images(tmp_path):
    other = LABELS.copy()
    other[:2] ^= 1
    found = checked("onnx", answers(other), tmp_path)
    assert (found.same, found.accuracy, found.size, found.loss) == (0.995, 0.995, 5, None)
    assert found.largest == pytest.approx(0.8)
    other[2] ^= 1
    with pytest.raises(RunError, match="onnx: it gives 3 of 400 images another class"):
        checked("onnx", answers(other), tmp_path)


def test_a_quantised_one_states_its_loss_instead(tmp_path):
    other = LABELS.copy()
    other[:40] ^= 1
    found = checked("tflite-int8", answers(other), tmp_path)
    text = loss_in_words(found)
    assert "10.0 % of 400 images get another class" in text
    assert "10.0 points fewer are right" in text
    assert text.endswith("more than chance")


def test_a_small_loss_is_not_called_one(tmp_path):
    other = LABELS.copy()
    other[:3] ^= 1
    assert loss_in_words(checked("tflite-int8", answers(other), tmp_path)).endswith(
        "p = 0.25): not to be told from chance on so many images"
    )


def test_of_no_change_it_is_said_how_rare_it_could_be():
    right = np.ones(100, bool)
    text = loss_in_words(Check("tflite-int8", 1, 1.0, 100, 1.0, 0.01, 1.0, of_images(right, right)))
    assert "all 100 images get the class" in text
    assert "at most 3.0 %" in text  # the rule of three


@pytest.mark.parametrize("broken", [np.nan, 5.0])
def test_outputs_that_are_no_probabilities_are_an_error_whatever_the_format(broken, tmp_path):
    given = answers(LABELS)
    given[7] = broken
    with pytest.raises(RunError, match="are no probabilities"):
        checked("tflite-int8", given, tmp_path)


def test_quantisation_sees_training_images_alone_and_all_of_the_range():
    images = np.full((1000, 2, 2, 3), 100, np.uint8)
    images[500:] = 50
    source = Source(None, ("a", "b"), Path("labels.txt"), images, np.arange(500), Path())
    given = [image for (image,) in source.calibration()]
    assert len(given) == 200
    assert given[0].shape == (1, 2, 2, 3)
    assert (given[0].min(), given[0].max()) == (0, 255)
    assert {float(value) for image in given[1:] for value in np.unique(image)} == {100.0}
