import numpy as np
import pytest

from imgcls.spec.spec import Spec
from imgcls.training.sampling import SAMPLERS, class_weights, epoch_length, epoch_order, occurrences

LABELS = np.array([0] * 50 + [1] * 20 + [2] * 7, np.int32)


def test_the_samplers_are_those_of_the_spec():
    import typing

    assert SAMPLERS.keys() == set(typing.get_args(Spec.model_fields["imbalance"].annotation))


@pytest.mark.parametrize("imbalance", SAMPLERS)
def test_the_order_is_a_function_of_seed_and_epoch(imbalance):
    first = epoch_order(LABELS, imbalance, seed=1, epoch=2)

    assert np.array_equal(first, epoch_order(LABELS, imbalance, seed=1, epoch=2))
    assert not np.array_equal(first, epoch_order(LABELS, imbalance, seed=1, epoch=3))
    assert not np.array_equal(first, epoch_order(LABELS, imbalance, seed=2, epoch=2))
    assert len(first) == epoch_length(LABELS, imbalance)


def test_every_image_is_shown_once_by_default():
    assert sorted(epoch_order(LABELS, "none", seed=0, epoch=1)) == list(range(77))


def test_oversampling_shows_classes_equally_and_every_image():
    order = epoch_order(LABELS, "oversample", seed=0, epoch=1)
    assert np.bincount(LABELS[order]).tolist() == [50, 50, 50]
    shown = np.bincount(order, minlength=77)
    assert shown.min() >= 1
    assert shown[LABELS == 1].max() - shown[LABELS == 1].min() <= 1


def test_undersampling_shows_classes_equally_and_other_images_each_epoch():
    first, second = (epoch_order(LABELS, "undersample", seed=0, epoch=epoch) for epoch in (1, 2))
    assert np.bincount(LABELS[first]).tolist() == [7, 7, 7]
    assert len(set(first)) == 21
    assert set(first) != set(second)


def test_class_weights_are_scikit_learns_balanced_ones():
    from sklearn.utils.class_weight import compute_class_weight

    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(class_weights(LABELS, 3), expected, rtol=1e-6)


def test_occurrences_count_how_often_an_image_was_shown_before():
    assert occurrences(np.array([3, 1, 3, 3, 1, 0])).tolist() == [0, 0, 1, 2, 1, 0]
