"""What an epoch shows: images with their own labels and weights, varied anew."""

import numpy as np
import pytest

from imgcls.spec import load_spec
from imgcls.training.feed import TrainingFeed

LABELS = np.array([0] * 12 + [1] * 3, np.int32)


def feed(batch=4, **settings):
    """Return a feed of 2x2 images whose every pixel is the image's number."""
    images = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None, None], (20, 2, 2, 1))
    spec = load_spec({"data": "digits", "batch": batch, **settings}).spec.completed()
    return TrainingFeed(spec, lambda epoch: images, np.arange(5, 20), LABELS, 2)


@pytest.mark.parametrize("imbalance", ["none", "class_weights", "oversample", "undersample"])
def test_every_image_comes_with_its_own_label(imbalance):
    made = feed(imbalance=imbalance)
    batches = list(made.batches(1))
    assert len(batches) == made.steps
    assert sum(len(labels) for _, labels, _ in batches) == made.length
    for image, labels, _ in batches:
        assert np.array_equal(LABELS[image[:, 0, 0, 0] - 5], labels)


def test_an_image_that_is_shown_again_in_an_epoch_is_varied_anew():
    made = feed(imbalance="oversample", augmentation={"rotation": 30})
    shown = [
        (int(number), transform.tobytes())
        for inputs, _, _ in made.batches(1)
        for number, transform in zip(inputs["image"][:, 0, 0, 0], inputs["transform"], strict=True)
    ]
    assert len({number for number, _ in shown}) == 15
    assert len(set(shown)) == len(shown) == 24


def test_class_weights_are_those_of_the_labels_an_image_has():
    weights = np.array([15 / (2 * 12), 15 / (2 * 3)], np.float32)
    for _, labels, weight in feed(imbalance="class_weights").batches(1):
        np.testing.assert_allclose(weight, weights[labels])
    for _, labels, weight in feed(imbalance="class_weights", augmentation={"mixup": 1.0}).batches(1):
        np.testing.assert_allclose(weight, labels @ weights, rtol=1e-6)


def test_the_dataset_of_an_epoch_gives_the_batches_of_that_epoch():
    made = feed(augmentation={"rotation": 30})
    for epoch in (1, 2, 1):
        for given, expected in zip(made.dataset(epoch).as_numpy_iterator(), made.batches(epoch), strict=True):
            np.testing.assert_array_equal(given[0]["image"], expected[0]["image"])
            np.testing.assert_array_equal(given[0]["transform"], expected[0]["transform"])
            np.testing.assert_array_equal(given[1], expected[1])


@pytest.mark.parametrize("imbalance", ["none", "oversample", "undersample"])
@pytest.mark.parametrize(("limit", "changed"), [(3, []), (4, [1]), (12, [1]), (13, [0, 1])])
def test_only_classes_with_fewer_training_images_than_the_limit_are_changed(imbalance, limit, changed):
    made = feed(imbalance=imbalance, augmentation={"rotation": 30, "classes_below": limit})
    for inputs, labels, _ in made.batches(1):
        np.testing.assert_array_equal(inputs["changed"], np.isin(labels, changed))


def test_a_network_is_shown_the_large_classes_as_they_are():
    import keras

    from imgcls.augmentation.applying import augmenting_model

    made = feed(batch=15, augmentation={"brightness": 0.9, "horizontal_flip": True, "classes_below": 12})
    image = keras.Input((2, 2, 1))
    shows = augmenting_model(made.spec.augmentation, keras.Model(image, keras.layers.Identity()(image)), (2, 2, 1))
    (inputs, labels, _) = next(iter(made.dataset(1)))
    shown = np.asarray(shows(inputs))
    is_large = np.asarray(labels) == 0
    np.testing.assert_array_equal(shown[is_large], np.asarray(inputs["image"])[is_large])
    assert not np.array_equal(shown[~is_large], np.asarray(inputs["image"])[~is_large])
