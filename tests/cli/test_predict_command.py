"""``imgcls predict`` as the shell runs it."""

import csv
import io
import json
import os
import struct
import subprocess
import sys
import zlib

import pytest
from photos import make_color_photos
from PIL import Image
from run_folders import make_repeats, make_run

import imgcls as package


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("predict")
    spec = {"data": str(make_color_photos(root / "photos")), "resolution": [12, 16], "architecture": ["flatten"],
            "lr": 0.01, "batch": 8, "epochs": 2, "precision": "float32"}  # fmt: skip
    return package.train(spec, runs_dir=root / "runs", cache_dir=root / "cache")


@pytest.fixture
def photos(run, monkeypatch):
    """The run's photos, in the working directory."""
    monkeypatch.chdir(run.folder.parents[1])
    return run.folder.parents[1] / "photos"


def test_the_table_has_the_classes_and_stderr_the_speed(imgcls, run, photos):
    done = imgcls("predict", run.folder, "photos/red", "photos/green/0*.png", "--top", "2")
    assert done.code == 0
    assert "photos/red/07.png" in done.out
    assert done.out.splitlines()[1].split() == ["image", "class", "probability", "then"]
    assert "30 images in " in done.err
    assert "images/s" in done.err


def test_json_and_csv_have_what_predictions_csv_has(imgcls, run, photos):
    stored = run.predictions
    files = [f"photos/{path}" for path in stored.path]
    record = json.loads(imgcls("predict", run.folder, *files, "--json", "--top", "3").out)
    rows = list(csv.DictReader(io.StringIO(imgcls("predict", run.folder, *files, "--csv").out)))

    assert record["classes"] == ["blue", "green", "red"]
    for image, row, predicted in zip(record["images"], rows, stored.predicted, strict=True):
        assert image["predicted"] == row["predicted"] == predicted
        assert image["path"] == row["path"]
        assert next(iter(image["probabilities"])) == predicted
        assert {name: float(row[name]) for name in record["classes"]} == image["probabilities"]
    assert record["failures"] == []


def test_bad_files_are_named_the_others_printed_and_the_code_is_3(imgcls, run, photos, tmp_path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    whole = (photos / "red/00.png").read_bytes()
    bomb = whole[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + whole[33:]
    (tmp_path / "bomb.png").write_bytes(bomb)
    (tmp_path / "cut.png").write_bytes(whole[:100])
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.png").write_text("<html>404</html>")
    os.mkfifo(tmp_path / "pipe.png")
    bad = [tmp_path / f"{name}.png" for name in ("bomb", "cut", "empty", "page", "pipe", "nothing")]
    done = imgcls("predict", run.folder, *bad, "photos/red/00.png", "--json")

    assert done.code == 3
    record = json.loads(done.out)
    assert [image["path"] for image in record["images"]] == ["photos/red/00.png"]
    assert [failure["path"] for failure in record["failures"]] == list(map(str, bad))
    assert all(f"{path}: " in done.err for path in bad)
    assert "6 of 7 could not be predicted" in done.err


def test_names_neither_style_nor_steer_the_terminal(imgcls, run, photos, tmp_path):
    odd = tmp_path / "[bold]\x1b[31m\n.png"
    Image.new("RGB", (4, 4)).save(odd)
    broken = tmp_path / "[red]\x1b]0;title\x07.png"
    broken.touch()
    done = imgcls("predict", run.folder, odd, broken)
    assert "\x1b" not in done.out + done.err
    assert "\x07" not in done.err
    assert "[bold]\\x1b" in "".join(done.out.split())


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--json", "--csv"], 2, "one format at a time"),
        (["--top", "0"], 2, "--top"),
        (["--explain-layer", "conv"], 2, "--explain DIR"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_the_run_is_looked_for(imgcls, options, code, message):
    done = imgcls("predict", "nowhere", "x.png", *options)
    assert done.code == code
    assert message in done.err


def test_repeats_and_damaged_models_are_data_errors(imgcls, run, photos, tmp_path):
    refused = imgcls("predict", make_repeats(tmp_path).folder, "photos")
    assert refused.code == 3
    assert "name one" in refused.err
    damaged = make_run(tmp_path, "damaged", overrides={"resolution": [12, 16], "color": "rgb"})
    damaged.path("model.keras").write_bytes(b"PK no model")
    assert imgcls("predict", damaged.folder, "photos").code == 3


def test_files_that_are_no_images_are_refused_without_tensorflow(tmp_path):
    run = make_run(tmp_path / "runs", overrides={"resolution": [12, 16], "color": "rgb"})
    run.path("model.keras").write_bytes(b"PK")
    (tmp_path / "notes.txt").write_text("no image")
    program = (
        "import sys; from imgcls_cli.app import main; code = main(sys.argv[1:]); "
        "assert not {'keras', 'tensorflow'} & sys.modules.keys(); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, "predict", str(run.folder), str(tmp_path / "notes.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""


def test_a_network_without_places_explains_nothing_and_says_so(imgcls, run, photos, tmp_path):
    done = imgcls("predict", run.folder, "photos/red/00.png", "--explain", tmp_path / "why")
    assert done.code == 2
    assert "no layer that keeps places" in done.err
    assert done.out == ""
