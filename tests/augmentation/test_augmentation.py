"""Each change does what its name says, is repeatable, and leaves alone what it must."""

import numpy as np
import pytest

from imgcls.augmentation import draw, draw_fields, mixed_labels
from imgcls.spec.augmentation import AugmentationSpec

SHAPE = (16, 20, 3)
EVERY = {
    "rotation": 30, "width_shift": 0.2, "height_shift": 0.2, "zoom": 0.3, "shear": 20, "horizontal_flip": True,
    "vertical_flip": True, "random_crop": 3, "brightness": 0.3, "contrast": 0.3, "noise": 0.1, "cutout": 0.5,
    "mixup": 0.5, "cutmix": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (8, *SHAPE), dtype=np.uint8).astype(np.float32)


def applied(images, seed=0, epoch=1, indices=None, changed=None, **settings):
    import keras

    from imgcls.augmentation.applying import augmenting_model

    spec = AugmentationSpec(**settings)
    image = keras.Input(SHAPE)
    network = keras.Model(image, keras.layers.Identity()(image))
    drawn = draw(spec, SHAPE, seed, epoch, np.arange(len(images)) if indices is None else indices, changed)
    return np.asarray(augmenting_model(spec, network, SHAPE)({**drawn, "image": images}))


def test_the_table_of_changes_is_complete():
    assert EVERY.keys() | {"fill", "classes_below", "views"} == AugmentationSpec.model_fields.keys()


@pytest.mark.parametrize("name", EVERY)
def test_every_change_changes_images_stays_in_range_and_is_repeatable(name, images):
    first = applied(images, **{name: EVERY[name]})

    assert first.shape == images.shape
    assert not np.allclose(first, images)
    assert first.min() >= -1e-3
    assert first.max() <= 255 + 1e-3
    assert np.array_equal(first, applied(images, **{name: EVERY[name]}))
    assert not np.allclose(first, applied(images, epoch=2, **{name: EVERY[name]}))
    assert not np.allclose(first, applied(images, seed=1, **{name: EVERY[name]}))


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("mixup", "cutmix")])
def test_what_an_image_gets_does_not_depend_on_its_company(name, images):
    together = applied(images, **{name: EVERY[name]})
    alone = applied(images[5:6], indices=np.array([5]), **{name: EVERY[name]})
    np.testing.assert_allclose(together[5], alone[0], atol=1e-3)


def test_a_flip_is_exact(images):
    flipped = applied(images, horizontal_flip=True)
    mirrored = [np.allclose(one, image[:, ::-1], atol=1e-3) for one, image in zip(flipped, images, strict=True)]
    kept = [np.allclose(one, image, atol=1e-3) for one, image in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert any(mirrored)
    assert any(kept)


def test_alternating_flips_show_both_sides_of_each_image_in_two_epochs(images):
    first, second, third = (applied(images, epoch=epoch, horizontal_flip="alternating") for epoch in (1, 2, 3))
    kept = [np.allclose(one, image, atol=1e-3) for one, image in zip(first, images, strict=True)]
    assert any(kept)
    assert not all(kept)
    np.testing.assert_allclose(second, first[:, :, ::-1], atol=1e-3)
    np.testing.assert_allclose(third, first, atol=1e-3)
    assert not np.allclose(first, applied(images, seed=1, horizontal_flip="alternating"))


def test_a_shift_moves_the_image_right_and_down_by_whole_pixels(images):
    transform = draw(AugmentationSpec(random_crop=3), SHAPE, 0, 1, np.arange(8))["transform"]
    moved = applied(images, random_crop=3, fill="black")
    for one, image, (_, _, dx, _, _, dy, _, _) in zip(moved, images, transform, strict=True):
        shift_x, shift_y = round(-dx), round(-dy)
        expected = np.zeros_like(image)
        height, width, _ = SHAPE
        target = np.s_[max(shift_y, 0) : height + min(shift_y, 0), max(shift_x, 0) : width + min(shift_x, 0)]
        source = np.s_[max(-shift_y, 0) : height - max(shift_y, 0), max(-shift_x, 0) : width - max(shift_x, 0)]
        expected[target] = image[source]
        np.testing.assert_allclose(one, expected, atol=1e-2)


def test_a_quarter_turn_turns_about_the_centre():
    square = np.random.default_rng(1).uniform(0, 255, (1, 9, 9, 3)).astype(np.float32)
    from keras import ops

    from imgcls.augmentation.drawing import _COLUMNS, _transforms

    chance = dict.fromkeys(_COLUMNS, np.array([0.5])) | {"rotation": np.array([1.0])}
    transform = _transforms(AugmentationSpec(rotation=90), (9, 9, 3), chance).astype(np.float32)
    turned = np.asarray(ops.image.affine_transform(square, transform, interpolation="bilinear", fill_mode="constant"))
    options = [np.rot90(square[0], k) for k in (1, 3)]
    assert any(np.allclose(turned[0], option, atol=0.1) for option in options)


def test_flip_shift_and_zoom_together_are_resampled_once():
    fields = draw_fields(AugmentationSpec(rotation=10, zoom=0.1, horizontal_flip=True, width_shift=0.1), SHAPE)
    assert fields == {"transform": (8,)}


@pytest.mark.parametrize("settings", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixed_labels_have_the_share_of_each_image(settings):
    spec = AugmentationSpec(**settings)
    images = np.repeat(np.array([0.0, 255.0] * 4, np.float32), np.prod(SHAPE)).reshape(8, *SHAPE)
    drawn = draw(spec, SHAPE, 0, 1, np.arange(8))
    labels = mixed_labels(drawn, np.eye(2, dtype=np.float32)[[0, 1] * 4], SHAPE)

    mixed = applied(images, **settings)

    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)) / 255, labels[:, 1], atol=1e-3)


def test_no_augmentation_leaves_the_images_as_they_are(images):
    import keras

    from imgcls.augmentation.applying import augmenting_model

    image = keras.Input(SHAPE)
    network = keras.Model(image, keras.layers.Identity()(image))
    trainer = augmenting_model(AugmentationSpec(fill="wrap"), network, SHAPE)
    assert trainer is not network
    np.testing.assert_array_equal(trainer(images), images)


@pytest.mark.parametrize("name", EVERY)
def test_images_of_large_classes_stay_exactly_as_they_are(name, images):
    small = np.arange(8) % 2 == 0
    given = applied(images, changed=small, classes_below=5, **{name: EVERY[name]})

    np.testing.assert_array_equal(given[~small], images[~small])
    assert not np.allclose(given[small], images[small])


def test_a_small_class_is_changed_as_it_would_be_without_a_limit(images):
    settings = {name: EVERY[name] for name in EVERY if name not in ("mixup", "cutmix")}
    small = np.arange(8) < 5
    given = applied(images, changed=small, classes_below=5, **settings)
    np.testing.assert_array_equal(given[small], applied(images, **settings)[small])


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_labels_of_large_classes_are_not_mixed(name):
    small = np.arange(8) % 2 == 0
    drawn = draw(AugmentationSpec(classes_below=5, **{name: 1.0}), SHAPE, 0, 1, np.arange(8), small)
    one_hot = np.eye(8, dtype=np.float32)
    labels = mixed_labels(drawn, one_hot, SHAPE)
    np.testing.assert_array_equal(labels[~small], one_hot[~small])
    assert (labels[small] != one_hot[small]).any()


def test_a_limit_without_a_change_is_no_augmentation():
    spec = AugmentationSpec(classes_below=5)
    assert spec.is_none
    assert draw_fields(spec, SHAPE) == {}
