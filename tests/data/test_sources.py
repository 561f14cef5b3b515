from __future__ import annotations

import csv
import os
import subprocess
import sys
import tracemalloc
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgcls.data import Cache, data_path, load_images
from imgcls.data.arrays import Pair, list_pairs
from imgcls.data.builtin import CLASS_NAMES, FILES_BY_HAND, LOADERS
from imgcls.data.sources import LISTERS
from imgcls.data.survey import survey
from imgcls.errors import DataError, SpecError
from imgcls.spec.data import BUILT_IN, SOURCES, DataSpec

Make = Callable[..., Any]
FRACTIONS = {"validation": 0.15, "test": 0.15}


def codes(dataset: Any) -> list[str]:
    return [finding.code for finding in dataset.findings]


def write_csv(path: Path, *rows: tuple[str, ...]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def random_images(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *shape), np.uint8)


@pytest.fixture
def npz(tmp_path: Path) -> Make:
    def write(name: str = "d.npz", **arrays: Any) -> dict[str, str]:
        np.savez(tmp_path / name, **arrays)
        return {"source": "npz", "path": name}

    return write


# One contract for all sources ---------------------------------------------------------------------------------------


@pytest.fixture
def example(tmp_path: Path, folder: Make, npz: Make, monkeypatch: pytest.MonkeyPatch) -> Make:
    """The spec of a small data set of each source, with at least 20 images a class."""

    def make(source: str) -> dict[str, str]:
        if source == "folder":
            folder(cat=20, dog=20)
            return {"source": source, "path": "data"}
        if source == "csv":
            folder(cat=20, dog=20)
            rows = [(f"{label}/{n}.png", label) for label in ("cat", "dog") for n in range(20)]
            write_csv(tmp_path / "data" / "list.csv", ("path", "label"), *rows)
            return {"source": source, "path": "data/list.csv"}
        if source == "npz":
            return npz(x=random_images(40, 6, 6), y=np.arange(40) % 2)
        if source != "digits":  # the network: a loader of the same shape stands in, since tests run offline
            count = len(CLASS_NAMES[source])
            shape = BUILT_IN[source].resolution + ((3,) if BUILT_IN[source].color == "rgb" else ())
            labels = np.arange(count * 20, dtype=np.uint8) % count
            train = (random_images(count * 20, *shape), labels[:, None] if len(shape) == 3 else labels)
            loader = lambda: (train, (random_images(count * 2, *shape), labels[: count * 2]))  # noqa: E731
            monkeypatch.setattr("imgcls.data.builtin._keras_loader", lambda _: loader)
        return {"source": source}

    return make


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_keeps_the_contract(source: str, example: Make, load: Make) -> None:
    spec = example(source)
    data = load(**spec, resolution=None)
    n = len(data.images)
    assert data.images.dtype == np.uint8
    assert data.images.ndim == 4
    assert not data.images.flags.writeable
    assert isinstance(data.images, np.memmap)
    assert data.labels.dtype == np.int32
    assert data.labels.shape == (n,)
    assert data.sha256.shape == (n, 32)
    assert data.sha256.dtype == np.uint8
    assert len(data.paths) == len(set(data.paths)) == n
    assert list(data.splits) == ["train", "validation", "test"]
    rows = np.concatenate(list(data.splits.values()))
    assert sorted(rows.tolist()) == list(range(n))
    for part in data.splits.values():
        assert (np.diff(part) > 0).all()
        assert part.dtype == np.int64
        assert set(data.labels[part].tolist()) == set(range(len(data.classes)))
    again = load(**spec, resolution=None)
    assert again.key == data.key
    assert (again.images == data.images).all()
    assert all((again.splits[name] == data.splits[name]).all() for name in data.splits)


@pytest.mark.parametrize("source", SOURCES)
def test_arrays_keep_their_own_resolution_and_colour_and_files_get_64(
    source: str, example: Make, load: Make, tmp_path: Path
) -> None:
    native = {"folder": (64, 64, 3), "csv": (64, 64, 3), "npz": (6, 6, 1)}
    if source in BUILT_IN:
        native[source] = (*BUILT_IN[source].resolution, 3 if BUILT_IN[source].color == "rgb" else 1)
    spec = example(source)
    assert load(**spec, resolution=None).images.shape[1:] == native[source]
    assert load(**spec, resolution=(5, 7), color="grayscale").images.shape[1:] == (5, 7, 1)
    told = survey(DataSpec(**spec), base=tmp_path)
    assert (*told.resolution, 3 if told.color == "rgb" else 1) == native[source]


def test_the_tables_and_the_spec_name_the_same_sources() -> None:
    assert set(LISTERS) == set(SOURCES)
    assert set(LOADERS) == set(CLASS_NAMES) == set(BUILT_IN)
    assert set(FILES_BY_HAND) == set(BUILT_IN) - {"digits"}
    assert {name: len(names) for name, names in CLASS_NAMES.items()}["cifar100"] == 100


def test_importing_the_package_loads_no_framework() -> None:
    check = (
        "import sys, imgcls.data; print([m for m in ('tensorflow', 'keras', 'sklearn', 'pandas') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# Built-in -----------------------------------------------------------------------------------------------------------


def test_digits_span_the_whole_range(load: Make) -> None:
    data = load(source="digits", resolution=None)
    assert (data.images.min(), data.images.max()) == (0, 255)
    assert len(data.images) == 1797


def test_a_set_that_cannot_be_fetched_says_where_its_file_goes(load: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise Exception("URL fetch failure on https://x: None -- [Errno -3]\nno name")  # what Keras raises

    monkeypatch.setattr("imgcls.data.builtin._keras_loader", lambda _: fail)
    with pytest.raises(DataError, match="cifar-10-batches-py-target_archive") as error:
        load(source="cifar10")
    assert "\n" not in str(error.value)


# Folder -------------------------------------------------------------------------------------------------------------


def test_given_parts_are_found_by_name(folder: Make, load: Make) -> None:
    folder("data/train", cat=3, dog=3)
    folder("data/val", 100, cat=2, dog=2)
    folder("data/test", 200, cat=1, dog=1)
    data = load(source="folder", path="data")
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 6, "validation": 4, "test": 2}
    assert data.paths[data.splits["test"][0]] == "test/cat/0.png"


def test_a_missing_part_is_carved_out_of_train(folder: Make, load: Make) -> None:
    folder("data/Train", cat=20, dog=20)
    folder("data/Test", 100, cat=1, dog=1)
    data = load(source="folder", path="data")
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 34, "validation": 6, "test": 2}


def test_folders_called_train_alone_are_a_class(folder: Make, load: Make) -> None:
    folder(train=5, car=5)
    assert load(source="folder", path="data").classes == ("car", "train")


def test_training_and_testing_are_parts(folder: Make, load: Make) -> None:
    folder("data/Training", cat=9, dog=9)
    folder("data/Testing", 100, cat=1, dog=1)
    data = load(source="folder", path="data")
    assert (data.classes, len(data.splits["test"])) == (("cat", "dog"), 2)


@pytest.mark.parametrize(("outer", "named"), [
    (("", "test"), r"\(test\), for in them are the folders cat, dog\. Set data\.test: test, or"),
    (("", "val", "test"), r"Set data\.validation: val and data\.test: test, or"),
    (("seg_train", "seg_test"), r"Set data\.train: seg_train and data\.test: seg_test, or"),
    (("seg_train", "seg_test", "more/only"), r"Set data\.train: seg_train and data\.test: seg_test, or"),
    (("seg_train/seg_train", "seg_test/seg_test"), r"Set data\.train: seg_train/seg_train and data\.test: seg_test/se"),
    (("seg_train/a/b", "seg_test"), r"are the folders cat, dog\. Set data\.train: seg_train/a/b and data\.test: "),
])  # fmt: skip
def test_parts_among_the_classes_are_refused(outer: tuple[str, ...], named: str, folder: Make, load: Make) -> None:
    for number, name in enumerate(outer):
        folder(f"data/{name}", 100 * number, cat=9, dog=9)
    with pytest.raises(DataError, match=named):
        load(source="folder", path="data")
    names = sorted(path.name for path in folder().iterdir())
    assert load(source="folder", path="data", classes=names).classes == tuple(names)


def test_parts_in_folders_of_folders_are_not_beside_themselves(folder: Make, load: Make) -> None:
    folder("data/seg_train/seg_train", cat=9, dog=9)
    folder("data/seg_test/seg_test", 100, cat=1, dog=1)
    folder("data/seg_pred", 200, seg_pred=1)
    data = load(source="folder", path="data", train="seg_train/seg_train", test="seg_test/seg_test")
    assert (data.classes, len(data.splits["test"])) == (("cat", "dog"), 2)
    (finding,) = data.findings
    assert finding.message == "1 folder beside the parts left out: seg_pred"


def test_classes_with_the_same_folders_in_them_are_told(folder: Make, load: Make) -> None:
    for number, name in enumerate(("contest", "valley")):
        folder(f"data/{name}", 100 * number, front=9, back=9)
    (finding,) = load(source="folder", path="data").findings
    assert finding.code == "classes_divided_alike"
    assert finding.message == "2 classes have the same folders in them: back, front"


def test_the_spec_names_the_parts(folder: Make, load: Make) -> None:
    folder("data/fit", cat=9, dog=9)
    folder("data/held", 100, cat=1, dog=1)
    folder("data/junk", 200, x=1)
    data = load(source="folder", path="data", train="fit", validation=0.3, test="held")
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 12, "validation": 6, "test": 2}
    assert "folders_left_out" in codes(data)
    assert "test" not in load(source="folder", path="data", train="fit", test="none").splits


def test_images_anywhere_below_a_class_belong_to_it_and_stems_may_repeat(
    folder: Make, load: Make, picture: Make
) -> None:
    root = folder(cat=3, dog=4)
    for seed, name in enumerate(["1.jpg", "1.JPEG", "deep/er/1.jpg"]):
        picture(root / "cat" / name, 50 + seed)
    data = load(source="folder", path="data")
    assert {"cat/1.jpg", "cat/1.png", "cat/1.JPEG", "cat/deep/er/1.jpg"} <= set(data.paths)


def test_hidden_files_and_folders_are_never_data(folder: Make, load: Make, picture: Make) -> None:
    root = folder(cat=5, dog=5)
    for name in (".ipynb_checkpoints/a.png", "__MACOSX/cat/a.png", "cat/.ipynb_checkpoints/a.png", "cat/._0.png"):
        picture(root / name)
    (root / "cat" / "Thumbs.db").write_bytes(b"x")
    data = load(source="folder", path="data")
    assert data.classes == ("cat", "dog")
    assert len(data.images) == 10
    assert "2 hidden files and 3 hidden folders" in data.findings[0].message


def test_what_there_is_none_of_is_not_counted(folder: Make, load: Make, picture: Make) -> None:
    picture(folder(cat=5, dog=5) / ".git" / "a.png")
    assert [finding.message for finding in load(source="folder", path="data").findings] == ["1 hidden folder left out"]


def test_the_path_of_the_data_is_absolute_and_knows_the_home_folder(
    folder: Make, load: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    root = folder("home/photos", cat=5, dog=5)
    assert data_path(DataSpec(source="folder", path="~/photos"), tmp_path) == root
    assert data_path(DataSpec(source="folder", path="../x"), tmp_path / "configs") == tmp_path / "x"
    assert data_path(DataSpec(source="digits"), tmp_path) is None
    assert len(load(source="folder", path="~/photos").images) == 10


def test_class_folders_with_control_characters_are_refused(folder: Make, load: Make, cache: Cache) -> None:
    root = folder(cat=5, dog=5, **{"a\nerror: \x1b[2J": 1})
    said = r"control characters in their names: 'a\\nerror: \\x1b\[2J' is to be renamed$"
    with pytest.raises(DataError, match=said):
        load(source="folder", path="data")
    with pytest.raises(DataError, match=said):
        measure(root, cache, "dog", "cat")


def test_other_endings_are_counted(folder: Make, load: Make) -> None:
    root = folder(cat=5, dog=5)
    for name in ("a.txt", "b.TXT", "c.heic", "README"):
        (root / "cat" / name).touch()
    (finding,) = load(source="folder", path="data").findings
    assert finding.code == "other_endings_left_out"
    assert all(text in finding.message for text in ("4 files", ".txt 2", ".heic 1", "no ending 1"))


def test_links_are_followed_without_loops_and_pipes_never_opened(folder: Make, load: Make) -> None:
    root = folder(cat=5, dog=5)
    folder("elsewhere", 50, more=2)
    (root / "cat" / "up").symlink_to(root)
    (root / "cat" / "self").symlink_to(root / "cat")
    (root / "cat" / "linked").symlink_to(root.parent / "elsewhere" / "more")
    os.mkfifo(root / "dog" / "pipe.png")
    data = load(source="folder", path="data")
    assert "cat/linked/0.png" in data.paths
    assert "special_files_left_out" in codes(data)


@pytest.mark.parametrize(("target", "said"), [("nowhere.png", "No such file"), ("x" * 300, "File name too long")])
def test_a_broken_link_is_an_unreadable_image(target: str, said: str, folder: Make, load: Make) -> None:
    root = folder(cat=5, dog=5)
    (root / "cat" / "gone.png").symlink_to(root / target)
    with pytest.raises(DataError, match=rf"cat/gone\.png.*{said}"):
        load(source="folder", path="data")


def test_file_names_that_are_no_text_are_read(folder: Make, load: Make, picture: Make) -> None:
    root = folder(cat=5, dog=5)
    odd = picture(root / "cat" / "x.png", 77)
    odd.rename(os.fsdecode(os.fsencode(root) + b"/cat/\xff\xfe.png"))
    data = load(source="folder", path="data")
    assert r"cat/\xff\xfe.png" in data.paths
    "\n".join(data.paths).encode()


@pytest.mark.parametrize(("make", "said"), [
    ({}, "no folder"),
    ({"cat": 5}, "1 class .cat.; at least two"),
    ({"cat": 5, "dog": 5, "empty": 0}, "class empty has no image"),
    ({"cat": 5, "tulips": 1}, "class tulips has 1 image; train, validation and test need one each"),
])  # fmt: skip
def test_class_folders_that_do_not_do_are_named(make: dict[str, int], said: str, folder: Make, load: Make) -> None:
    folder(**make)
    with pytest.raises(DataError, match=said):
        load(source="folder", path="data")


def test_a_folder_above_the_classes_is_told_with_the_path_that_is_meant(folder: Make, load: Make) -> None:
    root = folder(**{"photos/cat": 5, "photos/dog": 5})
    with pytest.raises(DataError, match=rf"folders in it are the classes \(cat, dog\), the path is {root}/photos$"):
        load(source="folder", path="data")
    (root / "photos").rename(root / "inner")
    (root / "photos").mkdir()
    (root / "inner").rename(root / "photos" / "photos")
    with pytest.raises(DataError, match=rf"the path is {root}/photos/photos$"):
        load(source="folder", path="data")


def test_a_missing_path_is_shown_in_full(load: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=str(tmp_path / "nix")):
        load(source="folder", path="nix")


def test_what_the_file_system_refuses_is_a_data_error(load: Make) -> None:
    for path in ("x" * 5000, "~nobody-of-this-name/data", "a\0b"):
        with pytest.raises(DataError):
            load(source="folder", path=path)


def test_loose_images_without_classes_are_explained(tmp_path: Path, picture: Make, load: Make) -> None:
    picture(tmp_path / "data" / "a.png")
    with pytest.raises(DataError, match="1 image directly in it"):
        load(source="folder", path="data")


def test_classes_must_stand_in_every_given_part(folder: Make, load: Make) -> None:
    folder("data/train", cat=3, dog=3)
    folder("data/test", 50, cat=1, bird=1)
    with pytest.raises(DataError) as error:
        load(source="folder", path="data")
    assert "class dog has no image in test" in str(error.value)
    assert "class bird stands in test, but train has no image of it" in str(error.value)


def test_classes_gives_order_and_subset(folder: Make, load: Make) -> None:
    folder(cat=4, dog=5, bird=6)
    data = load(source="folder", path="data", classes=["dog", "cat"])
    assert data.classes == ("dog", "cat")
    assert len(data.images) == 9
    assert all(data.classes[label] == path.split("/")[0] for label, path in zip(data.labels, data.paths, strict=True))
    with pytest.raises(DataError, match="did you mean bird"):
        load(source="folder", path="data", classes=["dog", "brid"])


APART, COMPOSED = unicodedata.normalize("NFD", "Äpfel"), "Äpfel"


def test_accents_count_alike_however_they_are_written(folder: Make, load: Make, cache: Cache) -> None:
    root = folder(**{APART: 5, "Birnen": 4})
    assert load(source="folder", path="data").classes == ("Birnen", COMPOSED)
    assert load(source="folder", path="data", classes=[COMPOSED, "Birnen"]).labels.tolist() == [0] * 5 + [1] * 4
    assert measure(root, cache, "Birnen", APART).labels.tolist() == [1] * 5 + [0] * 4
    folder(**{COMPOSED: 5})
    with pytest.raises(DataError, match=f"differ in how accents are written alone: {COMPOSED}$"):
        load(source="folder", path="data")


def test_labels_keep_their_accents_as_they_are_written(folder: Make, load: Make, tmp_path: Path) -> None:
    folder(a=40)
    write_csv(tmp_path / "l.csv", ("path", "label"), *[(f"data/a/{n}.png", [APART, "b"][n % 2]) for n in range(40)])
    assert load(source="csv", path="l.csv").classes == (APART, "b")
    assert load(source="csv", path="l.csv", classes=["b", COMPOSED]).classes == ("b", COMPOSED)


def test_two_parts_of_one_name_are_refused(folder: Make, load: Make) -> None:
    folder("data/train", cat=3, dog=3)
    folder("data/test", 9, cat=3, dog=3)
    with pytest.raises(SpecError, match="one name"):
        load(source="folder", path="data", validation="test", test="test")
    with pytest.raises(SpecError, match="below 1"):
        load(source="folder", path="data/train", validation=0.9)  # and 0.15 to test on, by default


# CSV ----------------------------------------------------------------------------------------------------------------


def test_csv_labels_are_exact_strings(folder: Make, load: Make, tmp_path: Path) -> None:
    folder(a=12)
    labels = ["NA", "001", "1", "=1+1"]
    rows = [(f"data/a/{n}.png", labels[n % 4]) for n in range(12)]
    write_csv(tmp_path / "l.csv", ("path", "label"), *rows)
    assert load(source="csv", path="l.csv").classes == ("001", "1", "=1+1", "NA")


def test_labels_that_differ_in_capitals_or_spaces_alone_are_told(folder: Make, load: Make, tmp_path: Path) -> None:
    folder(a=40)
    rows = [(f"data/a/{n}.png", ["cat", "cat ", "dog", "Dog", "cow"][n % 5]) for n in range(40)]
    write_csv(tmp_path / "l.csv", ("path", "label"), *rows)
    data = load(source="csv", path="l.csv")
    assert len(data.classes) == 5
    (finding,) = data.findings
    assert finding.code == "similar_classes"
    assert finding.message.endswith("alone: 'Dog' and 'dog', 'cat' and 'cat '")
    assert load(source="csv", path="l.csv", allow=["few_images", "similar_classes"]).findings == ()


def test_the_column_split_gives_the_parts(folder: Make, load: Make, tmp_path: Path) -> None:
    folder(a=12)
    parts = ["train", "val", "test"]
    rows = [(f"data\\a\\{n}.png", "xy"[n % 2], parts[n % 3]) for n in range(12)]
    write_csv(tmp_path / "l.csv", ("path", "label", "split"), *rows)
    data = load(source="csv", path="l.csv")
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 4, "validation": 4, "test": 4}
    carved = load(source="csv", path="l.csv", validation=0.5)
    assert {name: len(rows) for name, rows in carved.splits.items()} == {"train": 2, "validation": 2, "test": 4}
    assert "part_not_used" in codes(carved)


def test_a_folder_of_csv_files_gives_the_parts(folder: Make, load: Make) -> None:
    root = folder(a=12)
    for name, start in (("train", 0), ("test", 8)):
        rows = [(f"a/{n}.png", "xy"[n % 2]) for n in range(start, start + (8 if name == "train" else 4))]
        write_csv(root / f"{name}.csv", ("path", "label"), *rows)
    data = load(source="csv", path="data")
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 6, "validation": 2, "test": 4}
    other = load(source="csv", path="data", train="test.csv", validation="train.csv", test="none")
    assert {name: len(rows) for name, rows in other.splits.items()} == {"train": 4, "validation": 8}


def test_all_wrong_rows_are_told_with_their_lines(folder: Make, load: Make, tmp_path: Path) -> None:
    folder(a=3)
    path = tmp_path / "l.csv"
    path.write_text(
        'path,label,split\ndata/a/0.png,,train\n\ndata/a/1.png,x,tets\ndata/a/2.png,x\n,x,test\n0.png,"x\ry",train\n',
        newline="",
    )
    with pytest.raises(DataError) as error:
        load(source="csv", path="l.csv")
    for text in (
        "line 2: no label",
        "line 4: split is 'tets'",
        "did you mean test",
        "line 5: 2 cells",
        "line 6: no path",
        r"the label 'x\ry' has a control character",
    ):
        assert text in str(error.value)


def test_missing_and_repeated_files_are_told_with_their_lines(folder: Make, load: Make, tmp_path: Path) -> None:
    folder(a=3)
    write_csv(
        tmp_path / "l.csv", ("path", "label"), ("data/a/0.png", "x"), ("data/a/9.png", "x"), ("data/a/./0.png", "y")
    )
    with pytest.raises(DataError, match=r"(?s)line 3: there is no file data/a/9\.png.*line 4: .* stands in line 2"):
        load(source="csv", path="l.csv")


@pytest.mark.parametrize(("content", "said"), [
    (b"", "no column path"),
    (b"file,label\n", "no column path"),
    (b"path;label\na;b\n", "separated by something else"),
    (b"path,label\n", "no rows"),
    (b"path,label\n\xff\xfe,x\n", "not UTF-8"),
    (b"path,label\n" + b"a" * 200_000 + b",x\n", "line 2"),
])  # fmt: skip
def test_a_csv_file_that_is_none_is_explained(content: bytes, said: str, load: Make, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_bytes(content)
    with pytest.raises(DataError, match=said):
        load(source="csv", path="l.csv")


def test_a_csv_file_in_another_folder_may_name_files_absolutely(folder: Make, load: Make, tmp_path: Path) -> None:
    root = folder(a=12)
    (tmp_path / "lists").mkdir()
    for name, start in (("train", 0), ("test", 8)):
        rows = [
            (str(root / "a" / f"{n}.png"), "xy"[n % 2]) for n in range(start, start + (8 if name == "train" else 4))
        ]
        write_csv(tmp_path / "lists" / f"{name}.csv", ("path", "label"), *rows)
    data = load(source="csv", path=".", train="lists/train.csv", test="lists/test.csv")
    assert data.paths[0] == f"{root}/a/0.png"


def test_one_file_in_two_csv_parts_is_counted(folder: Make, load: Make, tmp_path: Path) -> None:
    root = folder(a=6)
    rows = [(f"a/{n}.png", "xy"[n % 2]) for n in range(6)]
    write_csv(root / "train.csv", ("path", "label"), *rows)
    write_csv(root / "test.csv", ("path", "label"), *rows[:2])
    data = load(source="csv", path="data")
    assert "duplicate_across_splits" in codes(data)
    assert len(set(data.paths)) == 8


# npz ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("x_train", "y_train", "x_test", "y_test"),
                                   ("train_images", "train_labels", "test_images", "test_labels"),
                                   ("X_train", "Y_train", "X_test", "Y_test")])  # fmt: skip
def test_npz_parts_are_found_by_their_names(names: tuple[str, ...], npz: Make, load: Make) -> None:
    labels = np.arange(40) % 2
    spec = npz(**dict(zip(names, (random_images(40, 6, 6), labels, random_images(4, 6, 6), labels[:4]), strict=True)))
    data = load(**spec)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 34, "validation": 6, "test": 4}
    assert data.paths[0] == f"{names[0]}[0]"
    chosen = load(**spec, train=names[2], validation=0.5, test="none")
    assert {name: len(rows) for name, rows in chosen.splits.items()} == {"train": 2, "validation": 2}


@pytest.mark.parametrize(("array", "expected"), [
    (np.array([0, 128, 255], np.uint8), [0, 128, 255]),
    (np.array([0, 0.5, 1.0], np.float32), [0, 128, 255]),
    (np.array([0, 127.6, 255.0]), [0, 128, 255]),
    (np.array([0, 128, 255], np.int64), [0, 128, 255]),
    (np.array([0, 1, 1], bool), [0, 255, 255]),
])  # fmt: skip
def test_npz_pixels_of_every_kind_become_bytes(array: np.ndarray, expected: list[int], npz: Make, load: Make) -> None:
    x = np.random.default_rng(0).choice(array, (12, 5, 5))
    data = load(**npz(x=x, y=np.arange(12) % 2), resolution=None)
    assert sorted(set(data.images.reshape(-1).tolist())) == sorted(set(expected))


def test_the_memory_that_floats_take_does_not_grow_with_their_number() -> None:
    images = np.broadcast_to(np.float32(0.5), (3000, 64, 64))
    pair = Pair("x", "y", images, np.arange(3000) % 2)
    tracemalloc.start()
    try:
        list_pairs(DataSpec(source="npz", path="x"), "x", {"": ("x", "y")}, lambda _: pair, None, FRACTIONS)
        assert tracemalloc.get_traced_memory()[1] < images.size + 100_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("labels", "classes", "expected"), [
    (np.arange(12) % 3, None, ("0", "1", "2")),
    ((np.arange(12) % 3)[:, None] + 9, None, ("9", "10", "11")),
    (np.eye(3)[np.arange(12) % 3], None, ("0", "1", "2")),
    (np.array(["no", "yes", "NA"] * 4), None, ("NA", "no", "yes")),
    (np.arange(12) % 3, np.array(["c", "b", "a"]), ("c", "b", "a")),
    (np.arange(12) % 3, np.array(["2", "1", "0"]), ("2", "1", "0")),
])  # fmt: skip
def test_npz_labels_of_every_kind(labels: Any, classes: Any, expected: tuple[str, ...], npz: Make, load: Make) -> None:
    data = load(**npz(x=random_images(12, 3, 3), y=labels, **({} if classes is None else {"classes": classes})))
    assert data.classes == expected
    if classes is not None:
        assert data.labels.tolist() == labels.tolist()


def bad(value: float) -> np.ndarray:
    array = np.full((6, 3, 3), 0.5)
    array[4, 1, 2] = value
    return array


@pytest.mark.parametrize(("arrays", "said"), [
    ({"x": np.array([object()] * 4), "y": np.arange(4)}, "array x holds Python objects"),
    ({"x": bad(np.nan), "y": np.arange(6)}, r"x\[4, 1, 2\] is nan"),
    ({"x": bad(-1), "y": np.arange(6)}, r"x\[4, 1, 2\] is -1"),
    ({"x": bad(256), "y": np.arange(6)}, r"x\[4, 1, 2\] is 256"),
    ({"x": bad(1), "y": np.array([0, 1, -1, 0, 1, 0])}, r"y\[2\] is -1"),
    ({"x": bad(1), "y": np.array([0, 1, 2, 0, 1, 0]), "classes": np.array(["a", "b"])}, r"y\[2\] is 2"),
    ({"x": bad(1), "y": np.array([0, 1, .5, 0, 1, 0])}, r"y\[2\] is 0.5"),
    ({"x": bad(1), "y": np.eye(6), "classes": np.array(["a", "b"])}, r"y\[2\] is 2; 2 classes are named, so 0 to 1"),
    ({"x": bad(1), "y": np.zeros((6, 0))}, r"y has the shape \(6, 0\)"),
    ({"x": bad(1), "y": np.ones((6, 2))}, r"y\[0\] is not one-hot"),
    ({"x": bad(1), "y": np.arange(5)}, "5.* x has 6 images"),
    ({"x": bad(1), "y": np.array(["a", "b\r"] * 3)}, r"y\[1\] is 'b\\r', which has a control character"),
    ({"x": bad(1)}, "y is looked for"),
    ({"x": np.zeros((6, 3, 8, 8), np.uint8), "y": np.arange(6)}, "shape"),
    ({"a": bad(1)}, "x_train and y_train"),
    ({"x": np.zeros((6, 3, 3), complex), "y": np.arange(6)}, "complex"),
])  # fmt: skip
def test_npz_faults_are_named_with_array_and_index(arrays: dict[str, Any], said: str, npz: Make, load: Make) -> None:
    with pytest.raises(DataError, match=said):
        load(**npz(**arrays))


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path, load: Make) -> None:
    (tmp_path / "d.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(DataError, match="not an npz"):
        load(source="npz", path="d.npz")


# Other data for a trained model -------------------------------------------------------------------------------------


def measure(path: Path, cache: Cache, *classes: str, part: str | None = None) -> Any:
    return load_images(path, classes=classes, resolution=(8, 8), color="rgb", resize="stretch", cache=cache, part=part)


def test_other_data_follows_the_saved_order_of_classes(folder: Make, cache: Cache) -> None:
    data = measure(folder(cat=2, dog=3), cache, "dog", "bird", "cat")
    assert data.labels.tolist() == [2, 2, 0, 0, 0]
    assert data.splits["data"].tolist() == [0, 1, 2, 3, 4]
    assert codes(data) == ["classes_without_images"]


def test_a_class_that_the_model_does_not_know_is_named(folder: Make, cache: Cache) -> None:
    with pytest.raises(DataError, match="does not know: cow"):
        measure(folder(cat=2, cow=3), cache, "dog", "cat")


def test_other_data_may_be_a_csv_or_npz_file(folder: Make, cache: Cache, tmp_path: Path, npz: Make) -> None:
    root = folder(cat=2, dog=1)
    table = write_csv(root / "l.csv", ("path", "label"), ("cat/0.png", "cat"), ("dog/0.png", "dog"))
    assert measure(table, cache, "dog", "cat").labels.tolist() == [1, 0]
    npz(x=random_images(3, 4, 4), y=np.array(["cat", "dog", "cat"]))
    assert measure(tmp_path / "d.npz", cache, "dog", "cat").labels.tolist() == [1, 0, 1]
    for path in (tmp_path / "nix", root / "cat" / "0.png"):
        with pytest.raises(DataError, match="folder of class folders"):
            measure(path, cache, "dog", "cat")


def test_a_folder_of_parts_is_measured_by_the_part_that_is_named(folder: Make, cache: Cache) -> None:
    root = folder("data/train", cat=3, dog=3).parent
    folder("data/test", 10, cat=1, dog=1)
    with pytest.raises(DataError, match=f"has the parts test, train; give one of them, as {root / 'test'}$"):
        measure(root, cache, "dog", "cat")
    assert measure(root / "test", cache, "dog", "cat").paths == measure(root, cache, "dog", "cat", part="test").paths
    with pytest.raises(DataError, match=r"no part validation.*it has test, train"):
        measure(root, cache, "dog", "cat", part="validation")


def test_classes_that_are_called_like_parts_stay_classes(folder: Make, cache: Cache) -> None:
    assert measure(folder(train=2, test=3), cache, "test", "train").labels.tolist() == [0, 0, 0, 1, 1]


def test_parts_of_a_csv_file_that_are_measured_together_are_told(folder: Make, cache: Cache) -> None:
    root = folder(cat=3, dog=3)
    rows = [(f"{name}/{n}.png", name, ["train", "train", "test"][n]) for name in ("cat", "dog") for n in range(3)]
    table = write_csv(root / "l.csv", ("path", "label", "split"), *rows)
    (finding,) = measure(table, cache, "dog", "cat").findings
    assert finding.code == "parts_measured_together"
    assert "2 parts, measured together: train (4 images), test (2 images)" in finding.message
    chosen = measure(table, cache, "dog", "cat", part="test")
    assert (chosen.paths, codes(chosen)) == (("cat/2.png", "dog/2.png"), [])
    with pytest.raises(DataError, match=r"no part validation.*it has train, test"):
        measure(table, cache, "dog", "cat", part="validation")


def test_parts_of_an_npz_file_that_are_measured_together_are_told(cache: Cache, tmp_path: Path, npz: Make) -> None:
    names = np.array(["cat", "dog"])
    npz(x_train=random_images(2, 4, 4), y_train=names, x_val=random_images(2, 5, 4), y_val=names[::-1])
    (finding,) = measure(tmp_path / "d.npz", cache, "dog", "cat").findings
    assert finding.code == "parts_measured_together"
    assert "x_train (2 images), x_val (2 images)" in finding.message
    chosen = measure(tmp_path / "d.npz", cache, "dog", "cat", part="validation")
    assert (chosen.paths, codes(chosen)) == (("x_val[0]", "x_val[1]"), [])


def test_numbers_are_not_taken_for_named_classes(cache: Cache, tmp_path: Path, npz: Make) -> None:
    npz(x=random_images(3, 4, 4), y=np.array([0, 1, 0]))
    with pytest.raises(DataError, match="does not know: 0"):
        measure(tmp_path / "d.npz", cache, "dog", "cat")


# Unreadable images --------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(folder: Make) -> Path:
    root = folder(cat=8, dog=8)
    whole = root / "cat" / "0.png"
    (root / "cat" / "cut.png").write_bytes(whole.read_bytes()[:200])
    (root / "cat" / "empty.jpg").touch()
    (root / "dog" / "page.jpg").write_bytes(b"<html>")
    Image.new("F", (3, 3)).save(root / "dog" / "float.tiff")
    return root


def test_all_unreadable_images_are_named_in_one_error(broken: Path, load: Make) -> None:
    with pytest.raises(DataError) as error:
        load(source="folder", path="data")
    text = str(error.value)
    assert text.startswith("4 images of")
    assert all(name in text for name in ("cat/cut.png", "cat/empty.jpg", "dog/page.jpg", "dog/float.tiff"))


def test_the_list_of_unreadable_images_is_bounded(folder: Make, load: Make) -> None:
    root = folder(cat=8, dog=8)
    for number in range(100):
        (root / "cat" / f"bad{number}.png").touch()
    with pytest.raises(DataError, match="and 80 more") as error:
        load(source="folder", path="data")
    assert len(str(error.value).splitlines()) == 22


def test_skipped_images_are_left_out_counted_and_named_each_time(broken: Path, load: Make) -> None:
    for _ in range(2):
        data = load(source="folder", path="data", on_bad_image="skip")
        assert len(data.images) == len(data.paths) == 16
        assert codes(data) == ["unreadable_left_out"]
        assert "4 unreadable images" in data.findings[0].message
        for row, path in enumerate(data.paths):
            assert (data.images[row] == np.asarray(Image.open(broken / path).resize((8, 8), 2))).all()
    with pytest.raises(DataError, match="4 images"):
        load(source="folder", path="data")


def test_a_class_of_unreadable_images_only_is_named(folder: Make, load: Make) -> None:
    root = folder(cat=5, dog=5, gone=0)
    (root / "gone" / "x.png").touch()
    with pytest.raises(DataError, match="class gone has no image"):
        load(source="folder", path="data", on_bad_image="skip")


def test_animations_are_counted_each_time(folder: Make, load: Make) -> None:
    root = folder(cat=5, dog=5)
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(root / "cat" / "move.gif", save_all=True, append_images=frames[1:])
    for _ in range(2):
        (finding,) = load(source="folder", path="data").findings
        assert finding.code == "first_frame_used"
        assert "cat/move.gif" in finding.message


def test_an_archive_is_to_be_unpacked(load: Make, tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="it has to be unpacked first"):
        load(source="folder", path="photos.zip")
