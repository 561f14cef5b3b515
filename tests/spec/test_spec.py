"""A spec as people write it becomes the values they mean."""

import inspect
from pathlib import Path

import pytest
import yaml

from imgcls.spec import load_spec, parse_overrides, spec_yaml
from imgcls.spec.document import parse_value, read_text

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(ROOT.glob("configs/**/*.yaml"))

FULL = """
data: data/flowers
resolution: 64
augmentation: {rotation: 20, width_shift: 0.1, height_shift: 0.1, zoom: 0.2, horizontal_flip: true}
architecture:
  - conv: {filters: 32, kernel: 3, activation: relu}
  - max_pool: 2
  - conv: 64
  - residual: [{conv: {filters: 64, padding: same}}, batch_norm]
  - flatten
  - dense: 128
  - dropout: 0.5
optimizer: {name: sgd, momentum: 0.9, nesterov: true, weight_decay: 5e-4}
lr: {initial: 1e-3, schedule: cosine, warmup_epochs: 1}
batch: 64
epochs: 10
"""


def load(text, tmp_path, overrides=None):
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return load_spec(path, overrides)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), (".5", 0.5), ("5.", 5.0), ("-2", -2), ("0", 0), ("010", "010"), ("1:30", "1:30"),
        ("no", "no"), ("yes", "yes"), ("true", True), ("null", None), ("~", None), ("none", "none"), ("", None),
        ("2024-01-01", "2024-01-01"), ("0x1F", "0x1F"), ("1_000", "1_000"), ("[no, 1e-3]", ["no", 0.001]), ("e5", "e5"),
    ],
)  # fmt: skip
def test_a_value_is_read_as_people_mean_it(text, value):
    read = parse_value(text)
    assert read == value
    assert type(read) is type(value)


def test_only_data_is_required(tmp_path):
    spec = load("data: digits", tmp_path).spec.completed()

    assert spec.resolution == (8, 8)
    assert spec.color == "grayscale"
    assert spec.lr.initial == 1e-3
    assert spec.normalize == "unit"


def test_class_names_stay_what_they_are(tmp_path):
    spec = load("data: {source: folder, path: x, classes: [no, yes, 001, 1, on]}", tmp_path).spec
    assert spec.data.classes == ("no", "yes", "001", "1", "on")


def test_yes_means_true_where_a_flag_stands(tmp_path):
    assert load("data: digits\naugmentation: {vertical_flip: yes}", tmp_path).spec.augmentation.vertical_flip is True


@pytest.mark.parametrize(
    ("short", "source"), [("digits", "digits"), ("a/b.csv", "csv"), ("x.npz", "npz"), ("photos", "folder")]
)
def test_data_in_short_says_its_source(short, source, tmp_path):
    assert load(f"data: {short}", tmp_path).spec.data.source == source


def test_the_resolved_spec_reads_back_as_the_same_spec(tmp_path):
    spec = load(FULL, tmp_path).spec.completed()
    assert load(spec_yaml(spec), tmp_path).spec == spec


@pytest.mark.parametrize("preset", ["cnn", "vgg", "resnet"])
def test_the_resolved_spec_of_a_preset_reads_back(preset, tmp_path):
    spec = load(f"data: digits\narchitecture: {preset}\nearly_stopping: 3\nlr: {{schedule: plateau}}", tmp_path).spec
    assert load(spec_yaml(spec), tmp_path).spec == spec


def test_an_override_opens_what_was_written_in_short(tmp_path):
    overrides = parse_overrides(["optimizer.beta_1=0.8", "lr.schedule=cosine", "data.limit.train=100", "epochs=1"])
    spec = load("data: digits\noptimizer: adam\nlr: 1e-2", tmp_path, overrides).spec

    assert (spec.optimizer.name, spec.optimizer.beta_1) == ("adam", 0.8)
    assert (spec.lr.schedule, spec.lr.initial) == ("cosine", 0.01)
    assert (spec.data.source, spec.data.limit.train, spec.epochs) == ("digits", 100, 1)


def test_an_override_reaches_into_the_list_of_layers(tmp_path):
    assert load(FULL, tmp_path, {"architecture.2.conv": 16}).spec.architecture.layers[2].filters == 16


def test_a_mapping_serves_as_a_spec():
    spec = load_spec({"data": {"source": "folder", "path": Path("photos")}, "lr": 0.5}).spec
    assert spec.lr.initial == 0.5


def test_every_value_knows_where_it_came_from(tmp_path):
    loaded = load("data: digits\nlr: 1e-2", tmp_path, {"epochs": 3})
    assert loaded.origins == {"data": "1:1", "lr": "2:1", "epochs": "-s"}


def test_a_merge_key_takes_values_over(tmp_path):
    document = read_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}")
    assert document.value["b"] == {"x": 1, "y": 3}


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"\xef\xbb\xbfdata: digits\r\nepochs: 3\r\n")
    assert load_spec(path).spec.epochs == 3


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_is_valid(path):
    loaded = load_spec(path)
    assert yaml.safe_load(spec_yaml(loaded.spec))
    assert loaded.text.startswith("#"), "a config opens with what it is and its command"
    assert f"imgcls train configs/{path.relative_to(ROOT / 'configs')}" in loaded.text


def test_the_optimizers_are_keras_own_with_the_same_arguments_and_defaults():
    from imgcls.spec.optimization import OPTIMIZERS
    from imgcls.training.optimizers import OPTIMIZER_CLASSES

    assert OPTIMIZERS.keys() == OPTIMIZER_CLASSES.keys()
    for name, record in OPTIMIZERS.items():
        theirs = inspect.signature(OPTIMIZER_CLASSES[name].__init__).parameters
        assert record.default_lr == theirs["learning_rate"].default
        for argument, field in record.model_fields.items():
            if argument != "name":
                assert theirs[argument].default == field.default, f"{name}.{argument}"
