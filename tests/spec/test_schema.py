"""The JSON Schema accepts what the spec accepts, and refuses what it refuses, but for checks across keys."""

from pathlib import Path

import jsonschema
import pytest

from imgcls.errors import SpecError
from imgcls.spec import load_spec
from imgcls.spec.document import read_document, read_text
from imgcls.spec.schema import json_schema, sweep_schema
from imgcls.spec.sweeping import is_sweep

FILES = sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml"))
SWEEPS = [path for path in FILES if is_sweep(path)]
CONFIGS = [path for path in FILES if path not in SWEEPS]

PRODUCT = """
data: data/flowers
resolution: 64
augmentation: {rotation: 20, width_shift: 0.1, height_shift: 0.1, zoom: 0.2, horizontal_flip: true}
architecture:
  - conv: {filters: 32, kernel: 3, activation: relu}
  - max_pool: 2
  - conv: 64
  - max_pool: 2
  - flatten
  - dense: 128
  - dropout: 0.5
optimizer: adam
lr: 1e-3
batch: 64
epochs: 10
"""
FULL_DATA = """
data:
  source: folder
  path: ../data/flowers
  train: train
  validation: 0.15
  test: test
  classes: [daisy, tulips]
  limit: {train: 6400}
  on_bad_image: error
optimizer: {name: sgd, momentum: 0.9, nesterov: true, weight_decay: 5e-4}
lr: {initial: 1e-3, schedule: cosine, warmup_epochs: 1}
early_stopping: {patience: 3}
"""
BACKBONE = """
data: x
architecture:
  backbone: mobilenet
  weights: imagenet
  cut: conv_pw_11_relu
  trainable: none
  head: [global_average_pool, {dense: 1024}, {dense: 512}]
normalize: backbone
"""
SHORT = [
    PRODUCT,
    FULL_DATA,
    "data: digits",
    "{data: digits, architecture: resnet, early_stopping: 5}",
    "{data: digits, architecture: {preset: cnn, filters: [8]}, augmentation: none, early_stopping: none}",
    "{data: digits, architecture: [{residual: [{conv: 8}, batch_norm]}, {global_average_pool: }, {reshape: [2, 4]}]}",
    "{data: digits, resolution: [8, 16], tags: [a, b], lr: {schedule: plateau, monitor: loss}}",
]
BROKEN = [
    "{}",
    "{data: digits, epochs: 0}",
    "{data: digits, epochs: ten}",
    "{data: digits, batsh: 3}",
    "{data: digits, architecture: resnett}",
    "{data: digits, architecture: [{convv: 3}]}",
    "{data: digits, architecture: [{conv: {kernel: 3}}]}",
    "{data: digits, optimizer: adamm}",
    "{data: digits, optimizer: {name: sgd, beta_1: 0.9}}",
    "{data: digits, lr: {schedule: cosine, gamma: 1}}",
    "{data: digits, augmentation: {rotation: 400}}",
    "{data: digits, resolution: [8, 8, 3]}",
    "{data: {source: foldr}}",
    "{data: digits, color: blue}",
    "{data: digits, lr: -1}",
    "{data: {source: digits, validation: 1.5}}",
]


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_fits_the_schema(validator, path):
    validator.validate(read_document(path).value)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_every_sweep_fits_its_schema(path):
    schema = sweep_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    sweep = jsonschema.Draft202012Validator(schema)
    value = read_document(path).value
    sweep.validate(value)
    for wrong in ({"trials": 0}, {"metod": "tpe"}, {"method": "tpee"}, {"objective": "test_accuracy"}, {"jobs": "two"}):
        assert not sweep.is_valid(value | wrong)


@pytest.mark.parametrize("text", [*SHORT, BACKBONE])
def test_what_the_page_shows_fits_the_schema(validator, text):
    validator.validate(read_text(text).value)


@pytest.mark.parametrize("text", SHORT)
def test_these_are_specs_indeed(text):
    load_spec(read_text(text).value)


@pytest.mark.parametrize("text", BROKEN)
def test_what_the_spec_refuses_does_not_fit(validator, text):
    value = read_text(text).value
    assert not validator.is_valid(value)
    with pytest.raises(SpecError):
        load_spec(value)


FREE = {  # numbers that may be any, or whose range the reported figure's kind gives
    "Adafactor.beta_2_decay", "DataSpec.classes", "Spec.tags", "ParameterSpec.keys", "ParameterSpec.low",
    "ParameterSpec.high", "ParameterSpec.step",
}  # fmt: skip


def keys(schema):
    """Every key of every record, as ``(RECORD.KEY, whether it is required, what is said of it)``."""
    for name, record in {"Spec": schema, **schema["$defs"]}.items():
        for key, value in record.get("properties", {}).items():
            yield f"{name}.{key}", key in record.get("required", ()), value


def unbounded(value):
    """Tell whether any number in a schema has no range."""
    if isinstance(value, list):
        return any(map(unbounded, value))
    if not isinstance(value, dict):
        return False
    bounds = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const"}
    is_free = value.get("type") in ("number", "integer") and not bounds & value.keys()
    return is_free or any(unbounded(inner) for key, inner in value.items() if key != "default")


@pytest.mark.parametrize("schema", [json_schema(), sweep_schema()], ids=lambda schema: schema["title"])
def test_every_key_has_a_description_a_default_and_a_range(schema):
    told = [name for name, _, value in keys(schema) if not value.get("description")]
    assert told == []
    required = ("Spec.data", "Spec.extends")  # one of the two
    assert [name for name, need, value in keys(schema) if not need and "default" not in value] == [
        name for name in required if schema["title"] == "imgcls experiment"
    ]
    reported = ("Figure", "Published", "Reported")
    free = [name for name, _, value in keys(schema) if unbounded(value) and not name.startswith(reported)]
    assert set(free) <= FREE


@pytest.mark.parametrize("key", ["architecture", "optimizer", "lr", "loss", "normalize", "augmentation"])
def test_the_default_that_an_editor_shows_is_the_one_in_force(validator, key):
    value = {"data": "digits", key: json_schema()["properties"][key]["default"]}
    validator.validate(value)
    assert load_spec(value).spec == load_spec({"data": "digits"}).spec


def test_internal_names_do_not_show():
    schema = json_schema()
    assert [name for name, record in schema["$defs"].items() if "kind" in record.get("properties", {})] == []
    assert all("title" not in record for record in schema["$defs"].values())
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["title"] == "imgcls experiment"
