"""Where the data is: class folders, a CSV or an npz file at a path or below it, without reading a picture."""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgcls.data.folder import ENDINGS, NEVER_DATA
from imgcls.data.parts import PART_NAMES
from imgcls.errors import DataError
from imgcls.runs.layout import MANIFEST, PREDICTIONS, STATUS
from imgcls.wording import display, some

__all__ = ["Found", "find_data"]

MOST_FOLDERS = 200  # are looked into below a path: a home folder must not take minutes
HEAD = 100  # entries of a folder that are looked at, to see whether it holds images
COLUMNS = ("path", "label")


@dataclass(frozen=True)
class Found:
    """Data that a spec can name.

    Attributes:
        path: what ``data.path`` is to be.
        beside: names of data of another kind in the same folder, which were not taken.
    """

    source: Literal["folder", "csv", "npz"]
    path: Path
    beside: tuple[str, ...] = ()


def find_data(path: Path) -> Found:
    """Return the data at a path, or, where that is none itself, the only data in the two levels of folders below it.

    Raises:
        DataError: there is none, or there are several; names what was seen.
    """
    if not path.exists():
        raise DataError(f"there is no {display(path.absolute())}: {_ACCEPTED} is looked for")
    if (found := _at(path)) is not None:
        return found
    if path.is_file():
        raise DataError(f"{display(path)} is no data: {_ACCEPTED} is looked for{_why_not(path)}")
    several = [each for folder in _below(path) if (each := _at(folder)) is not None]
    if len(several) == 1:
        return several[0]
    if several:
        names = some([display(each.path) for each in several], 5)
        raise DataError(f"{display(path.absolute())} holds several data sets: {names}; choose one with --data")
    if _nested_classes(path):
        return Found("folder", path)
    hint = next((text for file in _files(path, ".csv") if (text := _why_not(file))), "")
    raise DataError(
        f"{display(path.absolute())} holds no data: {_ACCEPTED} is looked for{hint}; "
        "give its place with --data, or take a template: imgcls init quickstart"
    )


_ACCEPTED = "a folder with a sub-folder of images for each class, a CSV with the columns path and label, or an npz file"


def _at(path: Path) -> Found | None:
    """Return what a file or folder is as data; a CSV was made to say what the images are, so it goes first."""
    if path.is_file():
        if path.suffix.lower() == ".csv" and not set(COLUMNS) - set(_header(path)):
            return Found("csv", path)
        return Found("npz", path) if path.suffix.lower() == ".npz" and _has_pairs(path) else None
    if (path / STATUS).is_file():
        return None  # a run's folder, whose manifest.csv looks like data
    files = [each for ending in (".csv", ".npz") for file in _files(path, ending) if (each := _at(file)) is not None]
    tables = {each.path.stem.lower() for each in files if each.source == "csv"}
    if len(tables) > 1 and "train" in tables:  # a file for each part
        return Found("csv", path)
    folders = [Found("folder", path)] if _has_class_folders(path) else []
    found = (
        [each for each in files if each.source == "csv"] + folders + [each for each in files if each.source == "npz"]
    )
    return Found(found[0].source, found[0].path, tuple(_name(each) for each in found[1:])) if found else None


def _name(found: Found) -> str:
    return "class folders" if found.source == "folder" else display(found.path.name)


def _has_class_folders(path: Path) -> bool:
    """Tell whether two sub-folders or more hold images, or a sub-folder for training has such."""
    folders = list(_folders(path))
    train = next((each for each in folders if each.name.lower() in PART_NAMES["train"]), None)
    others = {name for part in ("validation", "test") for name in PART_NAMES[part]}
    if train is not None and any(each.name.lower() in others for each in folders):
        return _has_class_folders(train)
    return sum(map(_has_images, folders)) >= 2


def _nested_classes(path: Path) -> bool:
    """Tell whether two sub-folders or more have images somewhere in the folders below them."""
    return sum(any(map(_has_images, _below(folder))) for folder in _folders(path)) >= 2


def _has_images(folder: Path) -> bool:
    return any(Path(name).suffix.lower() in ENDINGS for name in _names(folder)[:HEAD])


def _below(path: Path) -> list[Path]:
    """Return the folders in a folder and in these, at most so many."""
    first = list(_folders(path))[:MOST_FOLDERS]
    return [*first, *(inner for folder in first for inner in _folders(folder))][:MOST_FOLDERS]


def _folders(path: Path) -> Iterator[Path]:
    return (path / name for name in _names(path) if (path / name).is_dir())


def _files(path: Path, ending: str) -> list[Path]:
    """Return the files of a folder that end so; tables of a run are none."""
    return [
        path / name
        for name in _names(path)
        if name.lower().endswith(ending) and name not in (MANIFEST, PREDICTIONS) and (path / name).is_file()
    ]


def _names(path: Path) -> list[str]:
    """Return what is in a folder, hidden things left out; of one that cannot be listed nothing."""
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208 - names are wanted, of thousands
    except OSError:
        return []
    return [name for name in names if not name.startswith(".") and name.lower() not in NEVER_DATA]


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _why_not(path: Path) -> str:
    """Say what a CSV has in place of its two columns."""
    header = _header(path)[:10]
    return f" ({display(path.name)} has the columns {some(header)}: rename two of them)" if len(header) > 1 else ""


def _has_pairs(path: Path) -> bool:
    """Tell whether an npz file has arrays of images and labels, by their names."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy").lower() for name in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    pairs = [("x", "y"), ("images", "labels")]
    pairs += [(name, f"y{name[1:]}") for name in names if name.startswith("x_")]
    pairs += [(name, f"{name.removesuffix('images')}labels") for name in names if name.endswith("_images")]
    return any({images, labels} <= names for images, labels in pairs)
