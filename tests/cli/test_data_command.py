"""``imgcls data``, as a user sees it."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Photos of two classes, a picture of which stands in train and test, the second time as a JPEG."""
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        for label in ("cat", "[/dog]"):
            folder = tmp_path / "photos" / part / label.strip("[/]")
            folder.mkdir(parents=True)
            for number in range(count):
                forms = Image.fromarray(rng.integers(0, 200, (6, 6), np.uint8)).resize((32, 32))
                light = np.asarray(forms, int)[..., None] + rng.integers(0, 56, (32, 32, 1))
                Image.fromarray(np.repeat(light, 3, axis=2).astype(np.uint8)).save(folder / f"{number}.png")
    Image.open(tmp_path / "photos/train/cat/3.png").save(tmp_path / "photos/test/cat/3.jpg", quality=95)
    path = tmp_path / "spec.yaml"
    path.write_text("data: {path: photos, source: folder, validation: none}\nresolution: 32\n")
    return path


def test_it_counts_and_names_what_is_wrong(imgcls, spec):
    result = imgcls("data", spec)
    assert result.code == 0
    assert "photos: 33 images, 32x32 rgb" in result.out
    lines = {line.split()[0]: line.split() for line in result.out.splitlines() if line.strip()}
    assert lines["cat"] == ["cat", "12", "50.0%", "5", "55.6%"]
    assert lines["all"] == ["all", "24", "9"]
    assert "near_duplicate_across_splits: 1 image held out that train has too" in result.out
    assert "test/cat/3.jpg and train/cat/3.png" in result.out


def test_what_is_allowed_is_not_told(imgcls, spec):
    result = imgcls("data", spec, "-s", "data.allow=[near_duplicate_across_splits]")
    assert "near_duplicate" not in result.out
    assert "nothing is wrong with it" in result.out
    wrong = imgcls("data", spec, "-s", "data.allow=[near_duplicates_across_splits]")
    assert wrong.code == 2
    assert "did you mean near_duplicate_across_splits?" in wrong.err


def test_json_has_it_all(imgcls, spec):
    found = json.loads(imgcls("data", spec, "--json").out)
    assert found["counts"] == {"train": [12, 12], "test": [5, 4]}
    assert [finding["code"] for finding in found["findings"]] == ["near_duplicate_across_splits"]


def test_of_many_classes_the_largest_and_the_smallest_are_shown(imgcls, spec):
    assert "... 1 more" in imgcls("data", spec, "--classes", "1").out
    assert "more" not in imgcls("data", spec).out


def test_data_that_is_not_there_is_exit_3(imgcls, tmp_path):
    (tmp_path / "s.yaml").write_text("data: nowhere\n")
    assert imgcls("data", tmp_path / "s.yaml").code == 3


def codes():
    for path in (ROOT / "imgcls").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                yield from (each.value for each in node.args[:1] if isinstance(each, ast.Constant))


def test_every_code_can_be_looked_up():
    from typing import get_args

    from imgcls.findings import ADVICE
    from imgcls.spec.data import DataCode

    text = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    known = {*codes(), *get_args(DataCode), "duplicate_across_splits", "reported_impossible"}
    assert len(known) > 25
    own = {code if code in ADVICE else code.removeprefix("reported_") for code in known}
    assert own == set(ADVICE)
    assert not [code for code in own if f"`{code}`" not in text]


def test_a_page_shows_the_audit(imgcls, spec, tmp_path):
    assert imgcls("data", spec, "--page", tmp_path / "page.html").code == 0
    assert "near_duplicate_across_splits" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert imgcls("data", spec, "--page", tmp_path / "nowhere" / "page.html").code == 1


def test_a_preview_shows_what_augmentation_makes_of_the_images(imgcls, spec, tmp_path):
    varied = imgcls("data", spec, "-s", "augmentation.rotation=40", "--preview", tmp_path / "varied.png")
    plain = imgcls("data", spec, "-s", "augmentation=none", "--preview", tmp_path / "plain.png")
    assert (varied.code, plain.code) == (0, 0), varied.err
    with Image.open(tmp_path / "plain.png") as one, Image.open(tmp_path / "varied.png") as other:
        assert one.width < other.width
