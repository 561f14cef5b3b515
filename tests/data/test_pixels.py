"""The same picture twice in other bytes is found, and another picture of the same thing is not."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageFilter

from imgcls.data import Dataset, pixels
from imgcls.data.pixels import check_pixels, flat_images, near_duplicates

SIZE = 48


def scene(seed, size=SIZE):
    """A picture as photos are: large forms, and details on them."""
    rng = np.random.default_rng(seed)
    light = rng.integers(0, 200, (size, size, 1)) + rng.integers(0, 56, (size, size, 3))  # colours go together
    noise = Image.fromarray(light.astype(np.uint8))
    large = noise.filter(ImageFilter.GaussianBlur(8))
    fine = noise.filter(ImageFilter.GaussianBlur(1))
    mixed = 4 * (np.asarray(large, np.float32) - 128) + (np.asarray(fine, np.float32) - 128) + 128
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def as_jpeg(image, quality=60):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


CHANGES = {
    "saved again": as_jpeg,
    "scaled": lambda image: image.resize((64, 64)).resize((SIZE, SIZE)),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "brighter": lambda image: image.point(lambda value: min(255, value * 1.2 + 10)),
}


def pairs(train, test):
    images = np.stack([np.asarray(image.convert("RGB")) for image in (*train, *test)])
    sha256 = np.arange(len(images), dtype=np.uint8)[:, None].repeat(32, axis=1)
    rows = np.arange(len(images))
    return near_duplicates(images, sha256, {"train": rows[: len(train)], "test": rows[len(train) :]})


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_same_picture_in_other_bytes_is_found(change):
    train = [scene(seed) for seed in range(30)]
    assert pairs(train, [scene(100), change(train[7]), scene(101), change(train[20])]) == [(31, 7), (33, 20)]


def test_other_pictures_are_not_the_same():
    assert pairs([scene(seed) for seed in range(200)], [scene(seed) for seed in range(200, 300)]) == []


def test_another_picture_of_the_same_forms_is_not_the_same():
    rng = np.random.default_rng(0)
    form = np.asarray(scene(0).filter(ImageFilter.GaussianBlur(6)), np.float32)
    views = [Image.fromarray(np.clip(form + rng.normal(0, 20, form.shape), 0, 255).astype(np.uint8)) for _ in range(20)]
    assert pairs(views[:10], views[10:]) == []


def test_where_all_thumbnails_are_alike_few_pictures_are_compared(monkeypatch):
    compared, progress = [], []
    monkeypatch.setattr(pixels, "_is_same", lambda *_: compared.append(1))
    views = np.random.default_rng(0).integers(0, 9, (300, SIZE, SIZE, 1), np.uint8)
    views[:, : SIZE // 2] += 200
    sha256 = np.random.default_rng(0).integers(0, 256, (300, 32), np.uint8)
    rows = {"train": np.arange(100), "test": np.arange(100, 300)}
    near_duplicates(views, sha256, rows, lambda done, total: progress.append((done, total)))
    assert len(compared) == 8 * 200
    assert progress == [(64, 200), (128, 200), (192, 200), (200, 200)]


def test_pictures_without_details_are_not_compared():
    flat = [Image.new("RGB", (SIZE, SIZE), (200 + seed, 220, 255)) for seed in range(6)]
    assert pairs(flat[:3], flat[3:]) == []


def test_small_images_are_not_compared():
    small = [scene(seed).resize((16, 16)) for seed in range(4)]
    assert pairs(small[:2], [as_jpeg(small[0]), small[3]]) == []


def test_of_one_part_there_is_nothing_to_compare():
    image = np.asarray(scene(0))[None]
    assert near_duplicates(image, np.zeros((1, 32), np.uint8), {"train": np.array([0])}) == []


def test_the_same_bytes_are_told_elsewhere():
    images = np.stack([np.asarray(scene(0))] * 2)
    rows = {"train": np.array([0]), "test": np.array([1])}
    assert near_duplicates(images, np.zeros((2, 32), np.uint8), rows) == []


def test_large_images_are_held_few_at_a_time():
    one = np.random.default_rng(0).integers(0, 9, (256, 256, 3), np.uint8)
    one[-1, -1] = one[0, 0]  # as where a picture stands on white
    images = np.broadcast_to(one, (600, 256, 256, 3))
    rows = np.arange(600)
    dataset = Dataset(
        images=images,
        labels=np.zeros(600, np.int32),
        paths=("",) * 600,
        sha256=np.zeros((600, 32), np.uint8),
        sizes=np.full((600, 2), 256, np.uint32),
        classes=("a",),
        splits={"train": rows[:500], "test": rows[500:]},
        parts={},
        findings=(),
        key="",
    )
    tracemalloc.start()
    try:
        assert [finding.code for finding in check_pixels(dataset)] == ["narrow_range"]
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()


def test_images_of_one_colour_are_found():
    images = np.stack([np.asarray(scene(seed)) for seed in range(5)])
    images[[1, 4]] = [10, 20, 30]
    assert flat_images(images, np.array([0, 1, 2, 3])).tolist() == [1]


def test_a_picture_with_equal_corners_is_not_flat():
    images = np.full((2, 24, 24, 3), 7, np.uint8)
    images[0, 12, 12] = 8
    assert flat_images(images, np.array([0, 1])).tolist() == [1]
