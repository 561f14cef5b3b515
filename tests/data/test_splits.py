from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcls.data.splits import assign_folds, carve, limit_part, ranks
from imgcls.errors import DataError

Make = Callable[..., Any]
FRACTIONS = {"validation": 0.15, "test": 0.15}


def hashes_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 32), np.uint8)


def divide(labels: list[int], groups: list[str] | None = None, seed: int = 0, **fractions: float) -> np.ndarray:
    array, hashes = np.array(labels, np.int32), hashes_of(len(labels))
    rank = ranks(seed, hashes, [str(row) for row in range(len(labels))])
    classes = [f"c{label}" for label in range(max(labels) + 1)]
    return carve(array, hashes, groups, rank, fractions or FRACTIONS, classes)


def test_each_class_keeps_its_share_to_the_image() -> None:
    parts = divide([0] * 1000 + [1] * 100 + [2] * 20 + [3] * 3)
    counts = [
        np.bincount(parts[start:stop]).tolist() for start, stop in ((0, 1000), (1000, 1100), (1100, 1120), (1120, 1123))
    ]
    assert counts == [[700, 150, 150], [70, 15, 15], [14, 3, 3], [1, 1, 1]]


def test_another_seed_takes_other_images_and_the_same_seed_the_same() -> None:
    labels = [0, 1] * 100
    assert (divide(labels) == divide(labels)).all()
    assert (divide(labels, seed=1) != divide(labels)).any()


def test_an_added_image_moves_next_to_no_other() -> None:
    hashes, labels = hashes_of(401), np.arange(401, dtype=np.int32) % 2
    names = [str(row) for row in range(401)]

    def of(count: int) -> np.ndarray:
        rank = ranks(0, hashes[:count], names[:count])
        return carve(labels[:count], hashes[:count], None, rank, FRACTIONS, ["a", "b"])

    assert (of(401)[:400] != of(400)).sum() <= 3


def test_too_large_a_share_still_leaves_an_image_to_train_on() -> None:
    assert sorted(divide([0, 0, 0, 1, 1, 1], validation=0.5, test=0.4).tolist()) == [0, 0, 1, 1, 2, 2]


def test_what_can_be_done_about_too_few_images_is_told() -> None:
    hint = r"add images, leave the class out with data\.classes, or set data\.validation: none or data\.test: none"
    with pytest.raises(DataError, match=hint):
        divide([0, 0, 0, 1])
    with pytest.raises(DataError, match=r"or set data\.test: none\).*2 images in 1 group; train and test"):
        divide([0, 0, 0, 1, 1], ["a", "b", "c", "d", "d"], test=0.3)


def test_classes_with_too_few_images_are_all_named() -> None:
    with pytest.raises(DataError) as error:
        divide([0, 0, 1, 2, 2, 2])
    assert "class c0 has 2 images; train, validation and test need one each" in str(error.value)
    assert "class c1 has 1 image" in str(error.value)
    assert "c2" not in str(error.value)


@pytest.mark.parametrize("seed", range(8))
def test_groups_stay_together_and_shares_are_about_kept(seed: int) -> None:
    chance = random.Random(seed)
    labels, groups = [], []
    for group in range(120):
        for _ in range(chance.randint(1, 12)):
            groups.append(str(group))
            labels.append(group % 3 if chance.random() < 0.8 else chance.randint(0, 2))
    parts = divide(labels, groups, seed)
    for group in set(groups):
        assert len({part for part, own in zip(parts.tolist(), groups, strict=True) if own == group}) == 1
    for label in range(3):
        share = np.bincount(parts[np.array(labels) == label], minlength=3) / labels.count(label)
        assert np.abs(share - [0.7, 0.15, 0.15]).max() < 0.05


@pytest.mark.parametrize("seed", range(20))
def test_few_groups_still_give_every_part_every_class(seed: int) -> None:
    chance = random.Random(seed)
    sizes = [chance.randint(1, 30) for _ in range(6)]
    labels = [group % 2 for group, size in enumerate(sizes) for _ in range(size)]
    groups = [str(group) for group, size in enumerate(sizes) for _ in range(size)]
    if min(labels.count(0), labels.count(1)) >= 3:
        parts = divide(labels, groups)
        for label in range(2):
            assert set(parts[np.array(labels) == label].tolist()) == {0, 1, 2}


def test_a_class_in_too_few_groups_is_named() -> None:
    with pytest.raises(DataError, match="class c1 has 9 images in 2 groups"):
        divide([0] * 9 + [1] * 9, [str(n) for n in range(9)] + ["x"] * 4 + ["y"] * 5)


def folds(labels: np.ndarray, groups: list[str] | None, count: int) -> np.ndarray:
    hashes = hashes_of(len(labels))
    rank = ranks(0, hashes, [str(row) for row in range(len(labels))])
    return assign_folds(labels.astype(np.int32), hashes, groups, rank, count, ["c0", "c1"])


def test_a_class_with_fewer_images_than_folds_is_named() -> None:
    said = r"into 5 folds \(.*fewer folds\): class c1 has 3 images; 5 folds need one each$"
    with pytest.raises(DataError, match=said):
        folds(np.repeat([0, 1], [20, 3]), None, 5)
    enough = np.repeat([0, 1], [20, 5])
    assert sorted(folds(enough, None, 5)[enough == 1].tolist()) == [1, 2, 3, 4, 5]


def test_groups_too_few_or_too_unequal_for_the_folds_are_told() -> None:
    labels, singles = np.repeat([0, 1], [20, 12]), [str(row) for row in range(20)]
    with pytest.raises(DataError, match="class c1 has 12 images in 2 groups; 3 folds need one each"):
        folds(labels, [*singles, *["x"] * 11, "y"], 3)
    with pytest.raises(DataError, match="tied by group or content is too unequal"):
        folds(labels, [*singles, *["x"] * 10, "y", "z"], 3)


def test_a_limit_keeps_shares_and_never_loses_a_class() -> None:
    labels = np.array([0] * 900 + [1] * 99 + [2], np.int32)
    rank = ranks(0, hashes_of(1000), [str(n) for n in range(1000)])
    small = limit_part(np.arange(1000), labels, rank, 100, "train")
    assert np.bincount(labels[small]).tolist() in ([90, 9, 1], [89, 10, 1])
    assert len(limit_part(np.arange(1000), labels, rank, 3, "train")) == 3
    assert len(limit_part(np.arange(1000), labels, rank, 5000, "train")) == 1000
    with pytest.raises(DataError, match=r"limit\.train is 2"):
        limit_part(np.arange(1000), labels, rank, 2, "train")


# Through the whole loader -------------------------------------------------------------------------------------------


def test_the_order_of_the_listing_does_not_matter(folder: Make, load: Make, tmp_path: Path) -> None:
    root = folder(cat=30, dog=30)
    by_part = []
    for order in (False, True):
        rows = sorted((f"{label}/{n}.png", label) for label in ("cat", "dog") for n in range(30))
        random.Random(order).shuffle(rows)
        with (root / "l.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("path", "label"), *rows])
        data = load(source="csv", path="data/l.csv")
        by_part.append({name: [data.paths[row] for row in rows] for name, rows in data.splits.items()})
    assert by_part[0] == by_part[1]
    data = load(source="folder", path="data")
    assert by_part[0] == {name: [data.paths[row] for row in rows] for name, rows in data.splits.items()}


def test_a_carved_split_never_leaks_a_duplicate(folder: Make, load: Make) -> None:
    root = folder(cat=40, dog=40)
    for number in range(20):
        shutil.copy(root / "cat" / f"{number}.png", root / "cat" / f"copy{number}.png")
    for seed in range(5):
        data = load(source="folder", path="data", split_seed=seed)
        part = {row: name for name, rows in data.splits.items() for row in rows.tolist()}
        by_path = {path: part[row] for row, path in enumerate(data.paths)}
        assert all(by_path[f"cat/{n}.png"] == by_path[f"cat/copy{n}.png"] for n in range(20))
        assert data.findings == ()


def test_the_same_image_in_two_given_splits_is_counted_and_named(folder: Make, load: Make) -> None:
    root = folder("data/train", cat=5, dog=5)
    folder("data/test", 100, cat=2, dog=2)
    shutil.copy(root / "cat" / "3.png", root.parent / "test" / "cat" / "same.png")
    (finding,) = load(source="folder", path="data").findings
    assert finding.code == "duplicate_across_splits"
    assert "2 images (1 picture)" in finding.message
    assert "train/cat/3.png" in finding.message
    assert "test/cat/same.png" in finding.message


def test_a_validation_folder_that_is_a_copy_of_the_test_folder_is_told(folder: Make, load: Make) -> None:
    root = folder("data/train", cat=5, dog=5).parent
    folder("data/test", 100, cat=2, dog=2)
    shutil.copytree(root / "test", root / "watched")
    (finding,) = load(source="folder", path="data", validation="watched", test="test").findings
    assert finding.code == "duplicate_across_splits"
    assert "8 images (4 pictures)" in finding.message
    assert "watched/cat/0.png (validation)" in finding.message
    assert "test/cat/0.png (test)" in finding.message


def test_a_notebooks_hidden_folder_is_no_class_of_any_part(folder: Make, load: Make, picture: Make) -> None:
    root = folder("data/train", cat=5, dog=5).parent
    folder("data/test", 100, cat=2, dog=2)
    for place in ("", "train/", "test/", "train/cat/"):
        picture(root / f"{place}.ipynb_checkpoints" / "a-checkpoint.png", 200)
    data = load(source="folder", path="data")
    assert data.classes == ("cat", "dog")
    assert not any("checkpoint" in path for path in data.paths)
    assert "3 hidden folders" in data.findings[0].message


def test_one_picture_under_two_classes_is_told(folder: Make, load: Make) -> None:
    root = folder(cat=9, dog=9)
    shutil.copy(root / "cat" / "3.png", root / "dog" / "same.png")
    assert [finding.code for finding in load(source="folder", path="data").findings] == ["duplicate_across_classes"]


def table(root: Path, *columns: str, rows: list[tuple[str, ...]]) -> None:
    with (root / "l.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def test_rows_of_one_group_never_fall_into_two_parts(folder: Make, load: Make) -> None:
    root = folder(cat=30, dog=30)
    rows = [(f"{label}/{n}.png", label, f"p{n // 3}") for label in ("cat", "dog") for n in range(30)]
    table(root, "path", "label", "patient", rows=rows)
    data = load(source="csv", path="data/l.csv", group="patient")
    patients = {path: patient for path, _, patient in rows}
    seen = [{patients[data.paths[row]] for row in part} for part in data.splits.values()]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 10
    with pytest.raises(DataError, match="no column patent; did you mean patient"):
        load(source="csv", path="data/l.csv", group="patent")


def test_a_group_that_the_given_parts_tear_apart_is_named(folder: Make, load: Make) -> None:
    root = folder(cat=4, dog=4)
    rows = [
        (f"{label}/{n}.png", label, f"p{n}", "train" if n % 2 else "test") for label in ("cat", "dog") for n in range(4)
    ]
    rows[0] = ("cat/0.png", "cat", "p1", "test")
    table(root, "path", "label", "patient", "split", rows=rows)
    with pytest.raises(DataError, match="group p1 stands in test and train"):
        load(source="csv", path="data/l.csv", group="patient", validation=0.3)


def test_limits_apply_after_the_split(folder: Make, load: Make) -> None:
    folder(cat=40, dog=40)
    whole = load(source="folder", path="data")
    data = load(source="folder", path="data", limit={"train": 10, "test": 4})
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 10, "validation": 12, "test": 4}
    assert set(data.splits["train"].tolist()) <= set(whole.splits["train"].tolist())
    assert data.key == whole.key
