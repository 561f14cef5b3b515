"""The table of backbones is whole, true to Keras, and has times of this machine where they are asked for."""

import csv
import io
import json

import keras
import pytest

from imgcls.spec.architecture import BACKBONES
from imgcls.spec.backbones import PUBLISHED

FAST = ("mobilenet", "mobilenetv2", "mobilenetv3small")
FUNCTIONS = {name.lower(): getattr(keras.applications, name) for name in dir(keras.applications) if name[0].isupper()}


def test_every_backbone_of_a_spec_has_a_row():
    assert PUBLISHED.keys() == set(BACKBONES)


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in PUBLISHED]
)
def test_parameters_and_resolution_are_those_that_keras_builds(name):
    network = FUNCTIONS[name](weights=None)
    assert network.count_params() == PUBLISHED[name].parameters
    assert network.input_shape[1] in (None, PUBLISHED[name].resolution_px)  # MobileNetV3 takes any


@pytest.mark.parametrize("row", PUBLISHED.values(), ids=PUBLISHED)
def test_figures_are_in_their_ranges(row):
    assert 0.6 < row.top1 < (row.top5 or 0.99) < 1
    assert 3.5 < row.size_mb * 1e6 / row.parameters < 6, "weights are four bytes each, and a file holds little else"


def test_the_table_fits_a_narrow_terminal_and_says_where_its_figures_are_from(imgcls, monkeypatch):
    from imgcls_cli import console

    monkeypatch.setattr(console.out, "width", 60)
    shown = imgcls("backbones")
    assert all(name in shown.out for name in BACKBONES)
    assert max(map(len, shown.out.splitlines())) <= 60
    assert "keras.io/api/applications" in shown.err


def test_json_csv_and_markdown_have_the_same_rows(imgcls):
    rows = json.loads(imgcls("backbones", "mobilenet", "vgg16", "--json").out)
    assert [(row["name"], row["input_range"]) for row in rows] == [
        ("mobilenet", "-1..1"),
        ("vgg16", "0..255 less the mean, BGR"),
    ]
    table = list(csv.DictReader(io.StringIO(imgcls("backbones", "mobilenet", "vgg16", "--csv").out)))
    assert [int(row["parameters"]) for row in table] == [row["parameters"] for row in rows]
    assert "| vgg16 | 528 | 138.4M | 16 | .713 | .901 | 224 |" in imgcls("backbones", "vgg16", "--markdown").out


def test_an_unknown_backbone_is_refused_with_the_nearest(imgcls):
    done = imgcls("backbones", "mobilnet")
    assert done.code == 2
    assert "did you mean mobilenet?" in done.err


@pytest.mark.long
def test_the_benchmark_measures_steps_here(imgcls):
    done = imgcls("backbones", "vgg16", "--benchmark", "--resolution", "32", "--batch", "2", "--json")
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)
    assert (row["benchmark_px"], row["batch"]) == (32, 2)
    assert min(row["inference_ms"], row["training_ms"], row["frozen_ms"]) > 0
