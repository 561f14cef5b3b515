"""A starter spec validates and trains, whatever it was made from, and replaces nothing."""

import shutil

import numpy as np
import pytest
from photos import make_color_photos
from PIL import Image

from imgcls.spec import load_spec
from imgcls.spec.document import read_text
from imgcls.spec.editors import SCHEMA_FILES, modeline, schema_text
from imgcls.spec.sweeping import is_sweep, load_sweep
from imgcls.starter.proposing import quoted
from imgcls.starter.templates import TEMPLATES

ONE_EPOCH = ["-s", "epochs=1", "-s", "device=cpu"]


def class_folders(root):
    return make_color_photos(root / "colors")


def train_and_test(root):
    make_color_photos(root / "parts" / "train")
    make_color_photos(root / "parts" / "test")
    for number, file in enumerate((root / "parts" / "test").rglob("*.png")):
        Image.fromarray(np.full((12, 16, 3), number, np.uint8)).save(file)
    return root / "parts"


def table(root):
    files = sorted(make_color_photos(root / "pictures").rglob("*.png"))
    rows = [f"pictures/{file.parent.name}/{file.name},{file.parent.name}\n" for file in files]
    (root / "labels.csv").write_text("path,label\n" + "".join(rows))
    return root / "labels.csv"


def arrays(root):
    labels = np.arange(60) % 3
    images = np.random.default_rng(0).integers(0, 80, (60, 12, 12), dtype=np.uint8) + 80 * labels[:, None, None]
    np.savez(root / "arrays.npz", x=images.astype(np.uint8), y=labels)
    return root / "arrays.npz"


def a_folder_below(root):
    make_color_photos(root / "project" / "data" / "colors")
    return root / "project"


def images_deep_down(root):
    for file in sorted(make_color_photos(root / "deep").rglob("*.png")):
        (file.parent / "a" / "b").mkdir(parents=True, exist_ok=True)
        shutil.move(file, file.parent / "a" / "b" / file.name)
    return root / "deep"


def photos(root):
    for file in sorted(make_color_photos(root / "large").rglob("*.png")):
        if int(file.stem) < 10:
            Image.open(file).resize((128, 96)).save(file)
        else:
            file.unlink()
    return root / "large"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to be in that is empty."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_a_valid_spec_that_opens_with_schema_and_command(imgcls, here, name):
    assert imgcls("init", name).code == 0
    path = here / f"{name}.yaml"
    first, *_ = lines = path.read_text().splitlines()
    command = TEMPLATES[name].command
    assert first == modeline(command)
    assert f"#   imgcls {command} {name}.yaml" in lines
    assert (here / SCHEMA_FILES[command]).read_text() == schema_text(sweep=command == "sweep")
    assert (load_sweep if is_sweep(path) else load_spec)(path)
    assert imgcls("validate", path).code == 0


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name not in ("sweep", "transfer")])
def test_a_template_trains_on_the_data_it_is_given(imgcls, here, tmp_path, name):
    data = ["--data", class_folders(tmp_path)]
    assert imgcls("init", name, *data, "--out", "spec.yaml").code == 0
    assert imgcls("train", "spec.yaml", *ONE_EPOCH).code == 0


@pytest.mark.parametrize(
    "make",
    [class_folders, train_and_test, table, arrays, a_folder_below, images_deep_down],
    ids=lambda make: make.__name__,
)
def test_what_is_proposed_for_data_validates_and_trains(imgcls, here, tmp_path, make):
    done = imgcls("init", "--data", make(tmp_path), "--out", "spec.yaml")
    assert done.code == 0, done.err
    assert "3 classes, 20 each" in done.out or "3 classes, 40 each" in done.out
    assert "imgcls train spec.yaml" in done.out
    assert imgcls("validate", "spec.yaml").code == 0
    assert len([line for line in (here / "spec.yaml").read_text().splitlines() if line[:1] != "#"]) <= 9
    trained = imgcls("train", "spec.yaml", *ONE_EPOCH)
    assert trained.code == 0, trained.err


def test_for_few_photos_transfer_is_proposed_and_trains(imgcls, here, tmp_path):
    assert imgcls("init", "--data", photos(tmp_path)).code == 0
    spec = load_spec(here / "large.yaml").spec
    assert spec.architecture.backbone == "mobilenet"
    assert len(spec.stages) == 2
    small = ["-s", "architecture.weights=none", "-s", "resolution=32", "-s", "stages=[{epochs: 1}]"]
    trained = imgcls("train", "large.yaml", *small, "-s", "device=cpu")
    assert trained.code == 0, trained.err


def test_classes_that_cannot_be_divided_are_left_out_and_told(imgcls, here):
    photos = make_color_photos(here / "photos")
    for name, count in (("rare", 1), ("none", 0)):
        (photos / name).mkdir()
        for image in sorted((photos / "red").iterdir())[:count]:
            shutil.copy(image, photos / name)
    done = imgcls("init", "--data", "photos", "--out", "few.yaml")
    assert "left out, for too few images to be divided: none 0, rare 1" in done.out + done.err
    spec = load_spec(here / "few.yaml").spec
    assert spec.data.classes == ("blue", "green", "red")
    assert imgcls("data", "few.yaml").code == 0


def test_given_parts_are_kept_and_only_the_missing_one_is_carved(imgcls, here, tmp_path):
    done = imgcls("init", "--data", train_and_test(tmp_path))
    assert "train 60, test 60" in done.out
    data = load_spec(here / "parts.yaml").spec.data
    assert (data.validation, data.test) == (0.15, None)


def test_unequal_classes_are_weighed_by_what_there_is_to_train_on(imgcls, here, tmp_path):
    for file in (class_folders(tmp_path) / "red").iterdir():
        if int(file.stem) >= 5:
            file.unlink()
    imgcls("init", "--data", tmp_path / "colors")
    assert load_spec(here / "colors.yaml").spec.imbalance == "class_weights"
    assert "4.0 times" in (here / "colors.yaml").read_text()


def test_characters_are_not_mirrored(imgcls, here, tmp_path):
    for number, folder in enumerate(sorted(class_folders(tmp_path).iterdir())):
        folder.rename(folder.with_name(str(number)))
    imgcls("init", "--data", tmp_path / "colors")
    assert not load_spec(here / "colors.yaml").spec.augmentation.horizontal_flip


def test_a_name_that_yaml_would_take_for_something_else_is_quoted(imgcls, here, tmp_path):
    for name in ("a: b, #1", "2021", "digits", "it's", "1e3", "not UTF-8 \udcff"):
        class_folders(tmp_path).rename(here / name)
        for template in ([], ["folder"]):
            assert imgcls("init", *template, "--data", name, "--out", "spec.yaml", "--force").code == 0
            assert load_spec(here / "spec.yaml").spec.data.path == name


@pytest.mark.parametrize(
    "name",
    ["+1", "-1", "0.5", ".5", "1e-3", ".inf", "~", "Null", "", "true", "<<", "a]", "a, b", "- a", "? a", "a:", "a #b",
     '"a"', "a\\b", " a ", "a\nb", "a\u2028b", "\x7f", "\udcff", "né", "\U0001f600"],
)  # fmt: skip
def test_a_class_is_in_the_spec_as_it_is_called(name):
    text = f"data: {{path: {quoted(name)}, classes: [{quoted(name)}, no]}}"
    assert read_text(text).value == {"data": {"path": name, "classes": [name, "no"]}}
    assert text.encode()
    assert (quoted("no"), quoted("a b-c")) == ("no", "a b-c")


def test_nothing_is_replaced_without_being_told_to(imgcls, here):
    (here / "quickstart.yaml").write_text("mine")
    done = imgcls("init", "quickstart")
    assert (done.code, done.err.strip()) == (
        2,
        "error: quickstart.yaml exists already: --force replaces it, --out FILE writes another",
    )
    assert (here / "quickstart.yaml").read_text() == "mine"
    assert imgcls("init", "quickstart", "--force").code == 0
    assert load_spec(here / "quickstart.yaml")


def test_where_there_is_no_data_it_says_what_is_looked_for(imgcls, here):
    done = imgcls("init")
    assert done.code == 3
    assert "holds no data" in done.err
    (here / "labels.csv").write_text("filename,class\na.png,x\n")
    assert "labels.csv has the columns filename, class" in imgcls("init").err
    assert [file.name for file in here.iterdir()] == ["labels.csv"]


def test_of_several_data_sets_one_has_to_be_chosen(imgcls, here):
    make_color_photos(here / "one")
    make_color_photos(here / "two")
    done = imgcls("init")
    assert done.code == 3
    assert "several data sets: one, two; choose one with --data" in done.err


def test_an_unknown_template_names_those_there_are(imgcls, here):
    done = imgcls("init", "foldr")
    assert done.code == 2
    assert "did you mean folder?" in done.err
    assert all(name in done.err for name in TEMPLATES)
    assert "no folder nowhere" in imgcls("init", "quickstart", "--out", "nowhere/x.yaml").err
