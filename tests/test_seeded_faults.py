"""The mistakes that make a result wrong, each made on purpose: its code names it. And sound runs are left alone."""

import shutil

import numpy as np
import pytest
from PIL import Image

import imgcls
from imgcls import DataError, SpecError

CLASSES = ("blue", "green", "red")
SIZE = 32
NETWORK = [{"conv": 8}, {"max_pool": 4}, "flatten"]


def draw(seed, label):
    """A picture as photos are, large forms and details, in the colour of its class."""
    rng = np.random.default_rng(seed)
    forms = np.asarray(Image.fromarray(rng.integers(0, 120, (5, 5), np.uint8)).resize((SIZE, SIZE)), int)
    pixels = np.repeat((forms + rng.integers(0, 40, (SIZE, SIZE)))[..., None], 3, axis=2)
    pixels[..., 2 - label] += 60
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture
def photos(tmp_path):
    """train, validation and test of three classes: 30, 8 and 12 images each."""
    seed = 0
    for part, count in (("train", 30), ("validation", 8), ("test", 12)):
        for label, name in enumerate(CLASSES):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                draw(seed, label).save(folder / f"{number:02}.png")
                seed += 1
    return tmp_path / "photos"


def codes(photos, **settings):
    """Train, and return what was remarked: before, after, and of the data."""
    spec = {"resolution": SIZE, "architecture": NETWORK, "epochs": 2, "batch": 16, "data": str(photos), **settings}
    run = imgcls.train(spec, runs_dir=photos.parent / "runs")
    return {warning["code"] for warning in run.metrics["warnings"]}


def shuffle_labels(photos):
    """Put the images of a part into class folders by chance."""
    rng = np.random.default_rng(0)
    files = sorted((photos / "train").glob("*/*.png"))
    names = rng.permutation([file.parent.name for file in files])
    for number, (file, name) in enumerate(zip(files, names, strict=True)):
        file.rename(photos / "train" / name / f"moved-{number:03}.png")


def make_tiny(photos):
    for file in sorted((photos / "train" / "red").iterdir())[2:]:
        file.unlink()


def copy_to_test(photos):
    shutil.copy(photos / "train/red/03.png", photos / "test/red/copy.png")


def save_again_to_test(photos):
    Image.open(photos / "train/red/03.png").save(photos / "test/red/again.jpg", quality=95)


def copy_to_another_class(photos):
    shutil.copy(photos / "train/red/03.png", photos / "train/blue/copy.png")


def make_flat(photos):
    Image.new("RGB", (SIZE, SIZE), (9, 9, 9)).save(photos / "train/red/03.png")


def put_a_thumbnail(photos):
    draw(7000, 0).resize((4, 4)).save(photos / "train/red/thumbnail.png")


def scale_pixels(photos):
    for file in photos.glob("*/*/*.png"):
        Image.open(file).point(lambda value: value // 200).save(file)


def shift_test(photos):
    for number in range(60):
        draw(5000 + number, 2).save(photos / "test/red" / f"more-{number}.png")


def make_unequal(photos):
    for number in range(300):
        draw(9000 + number, 0).save(photos / "train/blue" / f"more-{number}.png")


def hide_a_folder(photos):
    shutil.copytree(photos / "train/red", photos / "train/.ipynb_checkpoints")


def put_texts(photos):
    (photos / "train/red/notes.txt").write_text("to be looked at")


def put_loose(photos):
    shutil.copy(photos / "train/red/03.png", photos / "train/loose.png")


def break_a_file(photos):
    (photos / "train/red/03.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")


DATA_FAULTS = {
    "one class tiny": (make_tiny, "few_images", {}),
    "the same file in train and test": (copy_to_test, "duplicate_across_splits", {}),
    "the same picture saved again": (save_again_to_test, "near_duplicate_across_splits", {}),
    "the same file under two labels": (copy_to_another_class, "duplicate_across_classes", {}),
    "an empty picture": (make_flat, "flat_images", {}),
    "a thumbnail among the pictures": (put_a_thumbnail, "tiny_images", {}),
    "pixels scaled to 0..1": (scale_pixels, "narrow_range", {}),
    "other shares in test": (shift_test, "prior_shift", {}),
    "classes of unequal size": (make_unequal, "imbalanced", {}),
    "a stray hidden folder": (hide_a_folder, "hidden_left_out", {}),
    "texts among the images": (put_texts, "other_endings_left_out", {}),
    "images beside the classes": (put_loose, "loose_images_left_out", {}),
    "an unreadable image": (break_a_file, "unreadable_left_out", {"on_bad_image": "skip"}),
}


@pytest.mark.parametrize(("make", "code", "data"), DATA_FAULTS.values(), ids=DATA_FAULTS)
def test_a_fault_of_the_data_is_named(photos, make, code, data):
    make(photos)
    assert code in codes(photos, data={"source": "folder", "path": str(photos), **data}, epochs=1)


def test_labels_put_together_by_chance_are_at_chance(photos):
    shuffle_labels(photos)
    found = codes(photos, epochs=3)
    assert found & {"predictions_at_chance", "one_class_predicted", "not_better_than_majority"}


def test_memorised_labels_are_overfitting(photos):
    shuffle_labels(photos)
    found = codes(photos, epochs=60, architecture=["flatten", {"dense": 256}, {"dense": 128}])
    assert {"overfitting", "not_better_than_majority"} <= found


def test_a_rate_100_times_too_high_is_named(photos):
    found = codes(photos, lr=0.1, epochs=4, architecture=["flatten", {"dense": 64}, {"dense": 64}, {"dense": 64}])
    assert "unusual_rate" in found
    assert found & {"nothing_learnt", "one_class_predicted", "nearly_one_class_predicted", "not_better_than_majority"}


def test_a_rate_of_nearly_nothing_is_named(photos):
    assert {"unusual_rate", "nothing_learnt"} <= codes(photos, lr=1e-9, epochs=3)


class Listener(imgcls.Observer):
    """Notes after which epoch what was told."""

    def __init__(self):
        self.epochs, self.told = 0, {}

    def epoch(self, row):
        self.epochs = row.epoch

    def remarked(self, findings):
        self.told |= {finding.code: self.epochs for finding in findings}


def test_a_training_that_collapses_is_named_while_it_goes_on(photos):
    listener = Listener()
    network = ["flatten", {"dense": 64}, {"dense": 64}, {"dense": 64}]
    spec = {"resolution": SIZE, "architecture": network, "epochs": 8, "batch": 16, "lr": 0.5, "data": str(photos)}
    imgcls.train(spec, runs_dir=photos.parent / "runs", observer=listener)
    assert listener.told["collapsed"] < 8
    assert listener.told["nothing_learnt"] < 8


def test_a_sound_training_is_told_nothing_while_it_goes_on(photos):
    listener = Listener()
    spec = {"resolution": SIZE, "architecture": NETWORK, "epochs": 5, "batch": 16, "lr": 5e-3, "data": str(photos)}
    imgcls.train(spec, runs_dir=photos.parent / "runs", observer=listener)
    assert listener.told == {}


def test_no_test_part_is_named(photos):
    assert "not_held_out" in codes(photos, data={"source": "folder", "path": str(photos), "test": "none"})


def test_a_training_that_ended_too_soon_is_named(photos):
    assert "still_improving" in codes(photos, epochs=4, lr=1e-5, early_stopping=5)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"loss": "binary_crossentropy"}, "binary_crossentropy_over_softmax"),
        ({"augmentation": {"views": 3}}, "augmentation_changes_nothing"),
    ],
)
def test_a_fault_of_the_spec_is_named(photos, settings, code):
    assert code in codes(photos, **settings)


def test_a_class_renamed_in_validation_is_no_class(photos):
    (photos / "validation/red").rename(photos / "validation/reds")
    with pytest.raises(DataError, match="class reds stands in validation, but train has no image of it"):
        codes(photos)


def test_the_test_part_is_no_validation(photos):
    with pytest.raises(SpecError, match=r"test"):
        codes(photos, data={"source": "folder", "path": str(photos), "validation": "test", "test": "test"})


SOUND = [
    {},
    {"seed": 1},
    {"optimizer": "sgd", "lr": 0.05},
    {"optimizer": {"name": "sgd", "momentum": 0.9}, "lr": 0.01},
    {"augmentation": {"horizontal_flip": True, "rotation": 10}},
    {"lr": {"initial": 1e-2, "schedule": "cosine"}},
    {"early_stopping": 2, "epochs": 12},
    {"label_smoothing": 0.1},
    {"imbalance": "class_weights"},
    {"imbalance": "oversample"},
    {"normalize": "standardize"},
    {"architecture": {"preset": "cnn", "filters": [8, 16]}, "lr": 3e-3, "epochs": 6},
]


@pytest.mark.parametrize("settings", SOUND, ids=str)
def test_a_sound_run_is_not_remarked(photos, settings):
    assert codes(photos, **{"epochs": 5, "lr": 5e-3, **settings}) - {"still_improving"} == set()
