"""Divide photos into a train and a test part whose classes are as unequal as those of report 000.

    python benchmarks/imbalanced_photos.py PHOTOS OUT.csv

PHOTOS is a folder with a sub-folder a class; the first five by name are taken. OUT.csv has the columns path, label and
split, and a spec names it as its data; no image is copied. The same photos give the same file.

The test part has the report's shares: 133, 275, 406, 1,896 and 39 of 2,749 images. Of the training part, the report
says only that it has about 6,400 images and is far more even, and a network there that predicts one class was right on
.29 to .34 of them. Shares that go with the fourth root of the test part's give that (.31 for the largest class), and
the same order of the classes. Both parts are as large as the photos allow, at most as large as the report's.
"""

import csv
import hashlib
import os
import sys
from pathlib import Path

from imgcls.data.folder import ENDINGS
from imgcls.wording import counted

TEST_COUNTS = (133, 275, 406, 1896, 39)
TRAIN_TOTAL = 6400
EVENNESS = 0.25  # the power of the test part's shares that the training part's go with

LEAST = 2  # images of a class in a part, so that validation can be carved from train


def train_counts() -> tuple[float, ...]:
    """Return the images of each class in the report's training part, as far as they can be told."""
    weights = [count**EVENNESS for count in TEST_COUNTS]
    return tuple(TRAIN_TOTAL * weight / sum(weights) for weight in weights)


def part_sizes(available: list[int]) -> list[tuple[int, int]]:
    """Return the images to take of each class, (train, test); ``available`` counts those there are."""
    wanted = list(zip(train_counts(), TEST_COUNTS, strict=True))
    scale = min(1.0, *(count / sum(pair) for count, pair in zip(available, wanted, strict=True)))
    sizes = [(round(scale * train), max(1, round(scale * test))) for train, test in wanted]
    if any(train < LEAST or train + test > count for (train, test), count in zip(sizes, available, strict=True)):
        raise SystemExit(f"error: too few photos for parts of these shares: {available}")
    return sizes


def class_photos(folder: Path) -> list[Path]:
    """Return the photos of a class in an order that depends on their names alone, and looks random."""
    photos = [path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and not path.name.startswith(".")]
    return sorted(photos, key=lambda path: hashlib.sha256(f"{folder.name}/{path.name}".encode()).digest())


def rows(root: Path, relative_to: Path) -> list[tuple[str, str, str]]:
    """Return a row for each photo that is taken: path relative to ``relative_to``, label, split."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(folders) < len(TEST_COUNTS):
        found = counted(len(folders), "class", "classes")
        raise SystemExit(f"error: {root} has {found}; {len(TEST_COUNTS)} are needed")
    photos = {folder.name: class_photos(folder) for folder in folders[: len(TEST_COUNTS)]}
    result = []
    for (label, paths), (train, test) in zip(photos.items(), part_sizes(list(map(len, photos.values()))), strict=True):
        for index, path in enumerate(paths[: train + test]):
            name = Path(os.path.relpath(path, relative_to)).as_posix()
            result.append((name, label, "test" if index < test else "train"))
    return result


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit("usage: python benchmarks/imbalanced_photos.py PHOTOS OUT.csv")
    root, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    table = rows(root, out.parent)
    with out.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *table])
    for part in ("train", "test"):
        labels = [label for _, label, split in table if split == part]
        counts = ", ".join(f"{label} {labels.count(label)}" for label in dict.fromkeys(labels))
        print(f"{part:5}  {len(labels):5,}  {counts}")


if __name__ == "__main__":
    main()
