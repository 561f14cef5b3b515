"""A spec as people write it becomes the values they mean."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import yaml

from imgcls.errors import SpecError
from imgcls.spec import load_spec, parse_overrides, spec_yaml
from imgcls.spec.architecture import PRESETS
from imgcls.spec.document import parse_value, read_text
from imgcls.spec.sweeping import is_sweep

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(path for path in ROOT.glob("configs/**/*.yaml") if not is_sweep(path))

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


LOOKALIKES = ["1e5", "2e3", "1E5", "1.5", ".5", "5.", "-2", "0x1F", "010", "1:30", "no", "on", "true", "null", "~", "",
              "=", "<<", "2024-01-01", "1_000", ".inf", "a: b", "- a", "# a", " a ", "a\nb", "größe", "a\x85", "\u2028",
              "a\rb", "😀", "\x00", "\ufeff", "!x", "*x", "&x", "%x", "@x", "`x", "'x", '"x']  # fmt: skip


@pytest.mark.parametrize("word", LOOKALIKES)
def test_a_string_that_looks_like_something_else_reads_back(word, tmp_path):
    given = {"data": {"source": "folder", "path": word, "classes": [word, "b"]}, "notes": word, "tags": [word]}
    loaded = load_spec(given)
    assert load(spec_yaml(loaded.spec), tmp_path).spec == loaded.spec
    assert load(loaded.text, tmp_path).spec == loaded.spec
    assert yaml.safe_load(loaded.text) == given, "readers of YAML 1.1 see the same"


@pytest.mark.parametrize("rate", [1e-05, 1e-300, 1e16, 0.1, 1.0, 123456789.123])
def test_a_number_reads_back_in_every_yaml(rate, tmp_path):
    text = spec_yaml(load_spec({"data": "digits", "lr": rate}).spec)
    assert load(text, tmp_path).spec.lr.initial == rate
    assert yaml.safe_load(text)["lr"]["initial"] == rate
    assert "!!" not in text


def test_the_resolved_spec_names_every_key_also_those_without_a_value():
    text = spec_yaml(load_spec({"data": "digits"}).spec.completed())
    assert yaml.safe_load(text).keys() == type(load_spec({"data": "digits"}).spec).model_fields.keys()
    assert "early_stopping: null\n" in text
    assert "resolution: [8, 8]\n" in text


@pytest.mark.parametrize("stem", ["my spec", "größe", "gro\u0308ße", "m²", "½", "x" * 120, "a (copy)", "日本"])
def test_a_files_name_becomes_a_legal_name(stem, tmp_path):
    path = tmp_path / f"{stem}.yaml"
    path.write_text("data: digits", encoding="utf-8")
    name = load_spec(path).name
    assert load(f"data: digits\nname: {name}", tmp_path).spec.name == name


def test_the_default_name_keeps_what_a_name_may_have(tmp_path):
    path = tmp_path / "my größe (2).yaml"
    path.write_text("data: digits", encoding="utf-8")
    assert load_spec(path).name == "my-größe-2"


@pytest.mark.parametrize(
    ("given", "loss"),
    [
        ({}, "sparse_categorical_crossentropy"),
        ({"label_smoothing": 0.1}, "categorical_crossentropy"),
        ({"augmentation": {"mixup": 0.2}}, "categorical_crossentropy"),
        ({"augmentation": {"cutmix": 1.0}}, "categorical_crossentropy"),
        ({"loss": "mean_squared_error"}, "mean_squared_error"),
    ],
)
def test_the_completed_spec_names_the_loss_in_force(given, loss, tmp_path):
    spec = load_spec({"data": "digits"} | given).spec.completed()
    assert spec.loss == spec.loss_in_force == loss
    assert load(spec_yaml(spec), tmp_path).spec == spec


@pytest.mark.parametrize("preset", PRESETS)
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


LAYERS = "data: digits\narchitecture: [conv: 4, flatten, batch_norm, {residual: [conv: 4]}, {max_pool: }]"


@pytest.mark.parametrize(
    ("text", "setting", "reach"),
    [
        ("data: digits\narchitecture: cnn", "architecture.dropout=0.5", lambda spec: spec.architecture.dropout == 0.5),
        ("data: digits", "architecture.dropout=0.5", lambda spec: spec.architecture.dropout == 0.5),
        ("data: digits", "architecture.preset=vgg", lambda spec: spec.architecture.preset == "vgg"),
        ("data: digits\narchitecture: vgg", "architecture.layers=[flatten]", lambda spec: spec.architecture.layers),
        ("data: digits", "optimizer.weight_decay=1e-4", lambda spec: spec.optimizer.weight_decay == 1e-4),
        ("data: digits", "optimizer.name=sgd", lambda spec: spec.optimizer.name == "sgd"),
        ("data: digits", "lr.schedule=cosine", lambda spec: spec.lr.schedule == "cosine"),
        ("data: digits", "early_stopping.patience=3", lambda spec: spec.early_stopping.patience == 3),
        ("{data: digits, early_stopping: none}", "early_stopping.patience=3", lambda spec: spec.early_stopping),
        (LAYERS, "architecture.0.conv.filters=8", lambda spec: spec.architecture.layers[0].filters == 8),
        (LAYERS, "architecture.layers.0.conv.kernel=5", lambda spec: spec.architecture.layers[0].filters == 4),
        (LAYERS, "architecture.2.batch_norm.momentum=0.5", lambda spec: spec.architecture.layers[2].momentum == 0.5),
        (LAYERS, "architecture.3.residual.0.conv.filters=5",
         lambda spec: spec.architecture.layers[3].layers[0].filters == 5),
        (LAYERS, "architecture.3.residual.activation=none",
         lambda spec: (spec.architecture.layers[3].activation, len(spec.architecture.layers[3].layers)) == ("none", 1)),
        (LAYERS, "architecture.4.max_pool.size=3", lambda spec: spec.architecture.layers[4].size == (3, 3)),
        ("data: digits\narchitecture: {layers: [conv: 4]}", "architecture.0.conv.filters=8",
         lambda spec: spec.architecture.layers[0].filters == 8),
    ],
)  # fmt: skip
def test_an_override_reaches_what_is_written_in_short_or_not_at_all(text, setting, reach, tmp_path):
    assert reach(load(text, tmp_path, parse_overrides([setting])).spec)


def test_a_fault_in_what_an_override_opened_is_the_overrides(tmp_path):
    with pytest.raises(SpecError, match=r"-s  architecture.0.conv.filters  got 0; a whole number"):
        load(LAYERS, tmp_path, {"architecture.0.conv.filters": 0})


def test_a_mapping_may_hold_numbers_of_numpy(tmp_path):
    given = {"data": "digits", "lr": np.float64(0.5), "batch": np.int64(8), "resolution": np.array([4, 6])}
    loaded = load_spec(given, {"epochs": np.int32(3)})
    spec = loaded.spec
    assert (spec.lr.initial, spec.batch, spec.resolution, spec.epochs) == (0.5, 8, (4, 6), 3)
    assert load(loaded.text, tmp_path).spec.batch == 8


def test_text_in_a_mapping_stays_text():
    with pytest.raises(SpecError, match="lr  got '1e-3'; a number"):
        load_spec({"data": "digits", "lr": "1e-3"})


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
            if argument not in {"name", "ema_momentum"}:  # which says use_ema, too
                assert theirs[argument].default == field.default, f"{name}.{argument}"


def test_a_path_in_an_override_is_relative_to_where_the_user_is(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "here").mkdir()
    file = tmp_path / "configs" / "spec.yaml"
    file.write_text("data: {source: folder, path: photos}\narchitecture: mobilenet\n")
    monkeypatch.chdir(tmp_path / "here")
    given = {"data.path": "photos", "architecture.weights": "w.h5"}
    loaded = load_spec(file, given)
    assert (loaded.base / loaded.spec.data.path).resolve() == tmp_path / "here" / "photos"
    assert (loaded.base / loaded.spec.architecture.weights_file).resolve() == tmp_path / "here" / "w.h5"
    assert load_spec(file).spec.data.path == "photos"
    assert load_spec(file, {"data": "digits"}).spec.data.source == "digits"
    assert load_spec(file, {"data": str(tmp_path)}).spec.data.path == str(tmp_path)


@pytest.mark.parametrize(("word", "weights"), [("Imagenet", "imagenet"), ("None", "none"), ("./None", "./None")])
def test_the_words_for_weights_may_be_capitalised(word, weights, tmp_path):
    text = f"data: digits\narchitecture: {{backbone: resnet50, weights: {word}}}"
    architecture = load(
        text, tmp_path, {"architecture.weights": word} if word == "Imagenet" else None
    ).spec.architecture
    assert architecture.weights == weights
    assert architecture.batch_norm == ("train" if weights == "none" else "frozen")


def test_grey_images_go_with_a_weights_file_which_may_be_of_grey_images():
    spec = {"data": "digits", "color": "grayscale", "architecture": {"backbone": "mobilenet", "weights": "grey.h5"}}
    assert load_spec(spec).spec.completed().color == "grayscale"
    with pytest.raises(SpecError, match="color  ImageNet weights are of colour images"):
        load_spec(spec, {"architecture.weights": "ImageNet"})


def test_batch_norm_follows_the_batches_where_there_are_no_statistics_to_keep():
    def norm(**settings):
        return load_spec({"data": "digits", "architecture": {"backbone": "resnet50"} | settings}).spec.architecture

    assert norm().batch_norm == "frozen"
    assert norm(weights="none").batch_norm == "train"
    assert norm(weights="none", batch_norm="frozen").batch_norm == "frozen"


def test_stages_can_be_taken_out_of_a_spec():
    spec = {"data": "digits", "stages": [{"epochs": 2}, {"epochs": 3}]}
    assert load_spec(spec, {"stages": "none"}).spec.stages == ()
