"""Mistakes made on purpose in real photos, each named by its code; and sound runs on them, of which nothing is said.

They need the 1,000 flower photos and MobileNet's weights, which are not in the repository.
"""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imgcls
from imgcls import DataError

DATA = Path(__file__).parents[2] / "shared" / "data"
FLOWERS, WEIGHTS = DATA / "flowers.tar", DATA / "mobilenet_1_0_224_notop.weights.h5"
SIZE = 96
PARTS = (("train", 120), ("validation", 40), ("test", 40))
HARMLESS = {"still_improving", "near_duplicate_across_splits"}  # two of the photos are there twice, in other bytes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FLOWERS.exists() or not WEIGHTS.exists(), reason="the flower photos are not here"),
]


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """The photos in three parts: 120, 40 and 40 of each of five classes."""
    root = tmp_path_factory.mktemp("flowers")
    with tarfile.open(FLOWERS) as archive:
        archive.extractall(root, filter="data")
    for folder in sorted((root / "flowers").iterdir()):
        files = iter(sorted(folder.iterdir()))
        for part, count in PARTS:
            (root / "photos" / part / folder.name).mkdir(parents=True)
            for _ in range(count):
                file = next(files)
                file.rename(root / "photos" / part / folder.name / file.name)
    return root / "photos"


@pytest.fixture
def photos(originals, tmp_path):
    return shutil.copytree(originals, tmp_path / "photos")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def spec_of(photos, **settings):
    network = {"backbone": "mobilenet", "weights": str(WEIGHTS), "head": ["global_average_pool", {"dense": 32}]}
    data = {"source": "folder", "path": str(photos)} | settings.pop("data", {})
    return {"data": data, "resolution": SIZE, "architecture": network, "epochs": 6, "lr": 1e-3} | settings


def codes(cache, photos, **settings):
    """Train, and return what was remarked."""
    run = imgcls.train(spec_of(photos, **settings), runs_dir=photos.parent / "runs", cache_dir=cache)
    return {warning["code"] for warning in run.metrics["warnings"]}


def first(photos, part="train", name="daisy"):
    return min((photos / part / name).iterdir())


def make_tiny_class(photos):
    for file in sorted((photos / "train/daisy").iterdir())[5:]:
        file.unlink()


def make_rare(photos):
    for file in sorted((photos / "train/daisy").iterdir())[11:]:
        file.unlink()


def copy_to_test(photos):
    shutil.copy(first(photos), photos / "test/daisy/copy.jpg")


def save_again(photos):
    image = Image.open(first(photos))
    image.resize((image.width * 3 // 4, image.height * 3 // 4)).save(photos / "test/daisy/again.jpg", quality=70)


def copy_to_other_class(photos):
    shutil.copy(first(photos), photos / "train/tulips/copy.jpg")


def make_flat(photos):
    Image.new("RGB", (320, 240), (3, 3, 3)).save(photos / "train/daisy/empty.jpg")


def add_thumbnails(photos):
    image = Image.open(first(photos))
    image.resize((16, 12)).save(photos / "train/daisy/thumbnail.jpg")


def scale_pixels(photos):
    for file in photos.glob("*/*/*.jpg"):
        Image.open(file).point(lambda value: value // 200).save(file.with_suffix(".png"))
        file.unlink()


def shuffle_labels(photos):
    files = sorted((photos / "train").glob("*/*.jpg"))
    names = np.random.default_rng(0).permutation([file.parent.name for file in files])
    for number, (file, name) in enumerate(zip(files, names, strict=True)):
        file.rename(photos / "train" / name / f"moved-{number}.jpg")


def shift_test(photos):
    for file in [*(photos / "test/daisy").iterdir(), *(photos / "test/roses").iterdir()]:
        if file.name > first(photos, "test", file.parent.name).name:
            file.unlink()


def hide_a_folder(photos):
    shutil.copytree(photos / "train/daisy", photos / "train/.ipynb_checkpoints")


def add_texts(photos):
    (photos / "train/daisy/notes.txt").write_text("to be looked at")


def add_loose(photos):
    shutil.copy(first(photos), photos / "train/loose.jpg")


def break_a_file(photos):
    first(photos).write_bytes(b"\xff\xd8\xff\xe0 broken")


def nothing(photos):
    pass


def blur_a_folder(photos):
    """Photos of a second camera, out of focus and dark, in the test part."""
    for folder in (photos / "test").iterdir():
        (folder / "second").mkdir()
        for file in sorted(folder.glob("*.jpg"))[::2]:
            image = Image.open(file)
            image.resize((6, 6)).resize(image.size).save(folder / "second" / file.name)
            file.unlink()


LARGE = ["flatten", {"dense": 512}, {"dense": 256}]
PLAIN = [{"conv": 8}, {"max_pool": 8}, "flatten", {"dense": 32}]
FAULTS = {
    "a class of five": (make_tiny_class, {}, {"few_images"}),
    "a class of eleven among 120": (make_rare, {}, {"imbalanced"}),
    "a file in two parts": (copy_to_test, {}, {"duplicate_across_splits"}),
    "a picture saved again": (save_again, {}, {"near_duplicate_across_splits"}),
    "a file under two labels": (copy_to_other_class, {}, {"duplicate_across_classes"}),
    "an empty picture": (make_flat, {}, {"flat_images"}),
    "a thumbnail": (add_thumbnails, {}, {"tiny_images"}),
    "pixels scaled before": (scale_pixels, {}, {"narrow_range", "backbone_input_range"}),
    "other shares in test": (shift_test, {}, {"prior_shift"}),
    "a hidden folder": (hide_a_folder, {}, {"hidden_left_out"}),
    "texts": (add_texts, {}, {"other_endings_left_out"}),
    "loose images": (add_loose, {}, {"loose_images_left_out"}),
    "a broken file": (break_a_file, {"data": {"on_bad_image": "skip"}}, {"unreadable_left_out"}),
    "another camera in test": (blur_a_folder, {}, {"weak_slice"}),
    "a wrong scale": (nothing, {"normalize": "none"}, {"backbone_input_scale", "backbone_input_range"}),
    "a rate 1,000 times too high": (nothing, {"lr": 1.0}, {"unusual_rate"}),
    "a rate of nearly nothing": (nothing, {"lr": 1e-10, "architecture": PLAIN}, {"unusual_rate", "nothing_learnt"}),
    "a loss for other outputs": (nothing, {"loss": "binary_crossentropy"}, {"binary_crossentropy_over_softmax"}),
    "no test part": (nothing, {"data": {"test": "none"}}, {"not_held_out"}),
    "frozen random weights": (
        nothing, {"architecture": {"backbone": "mobilenet", "weights": "none"}}, {"backbone_never_learns"}
    ),
    "learnt by heart": (
        nothing, {"architecture": LARGE, "epochs": 60, "resolution": 32}, {"overfitting", "overconfident"}
    ),
    "stopped too soon": (
        nothing, {"early_stopping": {"patience": 2, "min_delta": 0.5, "monitor": "val_accuracy"}},
        {"stopped_while_improving"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "settings", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_mistake_is_named(photos, cache, make, settings, expected):
    make(photos)
    assert expected <= codes(cache, photos, **settings)


def test_shuffled_labels_are_named(photos, cache):
    shuffle_labels(photos)
    wanted = {"predictions_at_chance", "not_better_than_majority", "nothing_learnt", "one_class_predicted"}
    assert codes(cache, photos) & wanted


def test_a_class_renamed_in_validation_is_named(photos, cache):
    (photos / "validation/daisy").rename(photos / "validation/daisies")
    with pytest.raises(DataError, match="daisies"):
        codes(cache, photos)


SOUND = [
    {}, {"seed": 1}, {"seed": 2}, {"batch": 16}, {"batch": 128, "lr": 2e-3}, {"optimizer": "adamw"},
    {"optimizer": "rmsprop"}, {"optimizer": {"name": "sgd", "momentum": 0.9}, "lr": 2e-3},
    {"lr": {"initial": 3e-3, "schedule": "cosine"}}, {"lr": {"initial": 3e-3, "schedule": "one_cycle"}},
    {"early_stopping": {"patience": 2, "restore_best": True}, "epochs": 12}, {"label_smoothing": 0.1},
    {"imbalance": "class_weights"}, {"imbalance": "oversample"}, {"resize": "crop"}, {"resize": "pad"},
    {"precision": "bfloat16"}, {"augmentation": {"horizontal_flip": True, "views": 2}}, {"resolution": 128},
    {"data": {"classes": ["daisy", "roses", "tulips"]}},
]  # fmt: skip


@pytest.mark.parametrize("settings", SOUND, ids=str)
def test_of_a_sound_run_nothing_is_said(originals, cache, tmp_path, settings):
    run = imgcls.train(spec_of(originals, **settings), runs_dir=tmp_path / "runs", cache_dir=cache)
    assert run.metrics["accuracy"] > 0.7
    assert {warning["code"] for warning in run.metrics["warnings"]} <= HARMLESS
