"""A spec that lies over others: what is merged, where paths lead, and where each value and problem stands."""

import json

import jsonschema
import pytest
import yaml

from imgcls.errors import SpecError
from imgcls.spec import load_spec
from imgcls.spec.document import read_text
from imgcls.spec.origins import resolved_values
from imgcls.spec.schema import json_schema

BASE = """
data: {source: folder, path: photos, validation: 0.2}
optimizer: adam
augmentation: {rotation: 20, zoom: 0.1}
architecture: {backbone: mobilenet, weights: weights/mobilenet.weights.h5}
tags: [a, b]
"""


@pytest.fixture
def write(tmp_path):
    def write_it(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_it


def test_mappings_are_merged_and_all_else_is_replaced(write):
    write("base.yaml", BASE)
    top = "extends: base.yaml\naugmentation: {zoom: 0.5}\noptimizer: {name: sgd}\ntags: [c]\nlr: 0.1\n"
    spec = load_spec(write("top.yaml", top)).spec
    assert (spec.augmentation.rotation, spec.augmentation.zoom) == (20, 0.5)
    assert (spec.optimizer.name, spec.lr.initial, spec.tags) == ("sgd", 0.1, ("c",))
    assert (spec.data.validation, spec.architecture.backbone) == (0.2, "mobilenet")


@pytest.mark.parametrize(
    ("base", "top"),
    [
        ("{preset: cnn, dropout: 0.1}", "{backbone: mobilenet, weights: none, trainable: all}"),
        ("{backbone: mobilenet, weights: none}", "{preset: vgg, convs: 1}"),
        ("{backbone: mobilenet, weights: none}", "{layers: [flatten]}"),
    ],
)
def test_an_architecture_of_another_form_replaces_all_of_the_one_below(write, base, top):
    write("base.yaml", f"data: digits\narchitecture: {base}\n")
    loaded = load_spec(write("top.yaml", f"extends: base.yaml\narchitecture: {top}\n"))
    assert (
        loaded.spec.architecture == load_spec({"data": "digits", "architecture": yaml.safe_load(top)}).spec.architecture
    )
    assert not any("base.yaml" in place for key, place in loaded.origins.items() if key.startswith("architecture"))


@pytest.mark.parametrize(
    ("key", "base", "top", "result"),
    [
        ("optimizer", "{name: sgd, momentum: 0.9}", "{name: adam}", "{name: adam}"),
        ("optimizer", "{name: sgd, momentum: 0.9}", "{name: sgd, nesterov: true}",
         "{name: sgd, momentum: 0.9, nesterov: true}"),
        ("optimizer", "{name: sgd, momentum: 0.9}", "{nesterov: true}", "{name: sgd, momentum: 0.9, nesterov: true}"),
        ("lr", "{initial: .01, schedule: step, every: 3, warmup_epochs: 1}", "{schedule: cosine}",
         "{initial: .01, schedule: cosine, warmup_epochs: 1}"),
        ("data", "{source: csv, path: x.csv, group: g}", "{source: folder, path: x}", "{source: folder, path: x}"),
        ("loss", "{name: focal, gamma: 1}", "{name: categorical_focal_crossentropy, alpha: 1}",
         "{name: focal, gamma: 1, alpha: 1}"),
        ("normalize", "{method: zca, epsilon: 1}", "unit", "unit"),
        ("architecture", "{preset: vgg, convs: 1, dropout: 0.1}", "{preset: resnet}", "{preset: resnet}"),
        ("architecture", "{backbone: vgg16, weights: x.h5, cut: block1_pool, trainable: {from: x}, head: [flatten]}",
         "{backbone: resnet50}", "{backbone: resnet50, head: [flatten]}"),
        ("architecture", "{backbone: vgg16, weights: None, trainable: all, batch_norm: frozen}",
         "{backbone: resnet50}", "{backbone: resnet50, weights: none, trainable: all, batch_norm: frozen}"),
        ("architecture", "{backbone: vgg16, weights: x.h5, cut: a}", "{backbone: vgg16, trainable: 3}",
         "{backbone: vgg16, weights: x.h5, cut: a, trainable: 3}"),
    ],
)  # fmt: skip
def test_a_mapping_of_another_kind_leaves_only_what_fits_every_kind(write, key, base, top, result):
    others = "" if key == "data" else "data: digits\n"
    write("base.yaml", f"{others}{key}: {base}\n")
    spec = load_spec(write("top.yaml", f"extends: base.yaml\n{key}: {top}\n")).spec
    assert spec == load_spec(write("alone.yaml", f"{others}{key}: {result}\n")).spec


def test_what_another_kind_leaves_behind_has_no_place(write):
    write("base.yaml", "data: digits\nlr: {initial: .01, schedule: step, every: 3}\n")
    origins = load_spec(write("top.yaml", "extends: base.yaml\nlr: {schedule: cosine}\n")).origins
    assert "lr.every" not in origins
    assert origins["lr.initial"].endswith("base.yaml 2:6")


def test_a_base_may_extend_another_and_overrides_come_last(write):
    write("first.yaml", "data: digits\nepochs: 1\nbatch: 1\nseed: 1\nresize: pad")
    write("second.yaml", "extends: first.yaml\nepochs: 2\nbatch: 2\nseed: 2")
    spec = load_spec(write("third.yaml", "extends: second.yaml\nepochs: 3\nbatch: 3"), {"epochs": 4}).spec
    assert (spec.epochs, spec.batch, spec.seed, spec.resize) == (4, 3, 2, "pad")


def test_paths_of_a_base_are_relative_to_the_base(write, tmp_path):
    write("common/base.yaml", BASE)
    loaded = load_spec(write("report/one/top.yaml", "extends: ../../common/base.yaml"))
    assert (loaded.base / loaded.spec.data.path).resolve() == tmp_path / "common" / "photos"
    weights = loaded.base / loaded.spec.architecture.weights
    assert weights.resolve() == tmp_path / "common" / "weights" / "mobilenet.weights.h5"


def test_paths_hold_through_a_link(write, tmp_path):
    write("real/deep/base.yaml", "data: photos")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "real" / "deep" / "base.yaml")
    loaded = load_spec(write("top.yaml", "extends: link.yaml"))
    assert (loaded.base / loaded.spec.data.path).resolve() == tmp_path / "real" / "deep" / "photos"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("photos", "../photos"),
        ("digits", None),
        ("/photos", "/photos"),
        ("~/photos", "~/photos"),
        ("a.csv", "../a.csv"),
    ],
)
def test_data_in_short_is_moved_where_it_is_a_relative_path(data, expected, write):
    write("base.yaml", f"data: {data}\narchitecture: {{backbone: vgg16, weights: none}}")
    spec = load_spec(write("sub/top.yaml", "extends: ../base.yaml")).spec
    assert (spec.data.path, spec.architecture.weights) == (expected, "none")


def test_a_folder_that_is_called_like_a_built_in_set_stays_a_folder(write, tmp_path):
    write("base.yaml", "data: sub/digits")
    loaded = load_spec(write("sub/top.yaml", "extends: ../base.yaml"))
    assert loaded.spec.data.source == "folder"
    assert (loaded.base / loaded.spec.data.path).resolve() == tmp_path / "sub" / "digits"


def test_all_problems_are_shown_with_the_file_they_stand_in(write):
    base = write("base.yaml", "data: digits\nbatch: 0\naugmentation: {zoom: 7, fill: x}\n")
    top = write("top.yaml", "extends: base.yaml\nepochs: -1\naugmentation: {fill: y}\n")
    with pytest.raises(SpecError) as raised:
        load_spec(top, {"seed": -1})
    head, *lines = str(raised.value).splitlines()
    assert head == f"{top} has 5 problems"
    begins = [" ".join(line.split()[:3]) for line in lines]
    assert begins[0].startswith("-s seed")
    assert begins[1].startswith("2:9 epochs")
    assert begins[2].startswith("3:22 augmentation.fill")
    assert begins[3] == f"{base} 2:8 batch"
    assert begins[4] == f"{base} 3:22 augmentation.zoom"


def test_a_base_that_is_not_yaml_is_shown_in_its_own_lines(write):
    write("first.yaml", "data: digits\nepochs: 3\nepochs: 4")
    write("second.yaml", "extends: first.yaml")
    with pytest.raises(SpecError, match=r"third\.yaml has 1 problem\n .*first\.yaml 3:1  epochs  the key stands twice"):
        load_spec(write("third.yaml", "extends: second.yaml"))


@pytest.mark.parametrize(
    ("top", "base", "place", "message"),
    [
        ("data: digits\nextends: nowhere.yaml", "", "2:10", "cannot read .*nowhere.yaml: No such file"),
        ("extends: .", "", "1:10", "cannot read .*: Is a directory"),
        ("extends: " + "x" * 300, "", "1:10", "cannot read .*: File name too long"),
        ("extends: top.yaml", "", "1:10", "top.yaml extends itself"),
        ("extends: base.yaml", "batch: 3\nextends: top.yaml", r"base.yaml 2:10", "top.yaml extends itself"),
        ("extends: base.yaml", "- data", "1:10", "base.yaml is no mapping"),
        ("extends: base.yaml", "", "1:10", "base.yaml is no mapping"),
        ("extends: base.yaml", "data: \x00", r"base.yaml", "special characters are not allowed"),
        ("extends: [base.yaml]", "", "1:10", r"got \['base.yaml'\]; the path of a spec file is accepted"),
        ("extends:", "", "1:9", "got nothing; the path of a spec file"),
        ('extends: "a\\0b"', "", "1:10", "the path of a spec file"),
    ],
)
def test_what_cannot_be_extended_is_a_problem_with_its_place(top, base, place, message, write):
    write("base.yaml", base)
    with pytest.raises(SpecError, match=f"(?s)has 1 problem\n.*{place}.*{message}") as raised:
        load_spec(write("top.yaml", top))
    assert raised.value.exit_code == 2
    assert len(raised.value.problems) == 1


def test_every_value_knows_the_file_it_came_from(write):
    base = write("base.yaml", BASE)
    top = write("top.yaml", "extends: base.yaml\naugmentation: {zoom: 0.5}\narchitecture: [conv: 3]\n")
    loaded = load_spec(top, {"epochs": 3})
    origins = {key: entry["origin"] for key, entry in resolved_values(loaded).items()}
    assert origins["data.path"] == f"{base} 2:24"
    assert origins["optimizer.name"] == f"{base} 3:1"
    assert origins["augmentation.rotation"] == f"{base} 4:16"
    assert origins["augmentation.zoom"] == f"{top} 2:16"
    assert origins["architecture.layers.0.conv.filters"] == f"{top} 3:16"
    assert (origins["epochs"], origins["batch"]) == ("-s", "default")


def test_the_text_holds_alone_and_says_what_it_was_merged_from(write, tmp_path):
    base = write("common/base.yaml", BASE)
    top = write("top.yaml", "# What it is.\n#   imgcls train top.yaml\nextends: common/base.yaml\nepochs: 7\n# end\n")
    loaded = load_spec(top)
    comments = [line for line in loaded.text.splitlines() if line.startswith("#")]
    assert comments == ["# What it is.", "#   imgcls train top.yaml", f"# Merged from {top} over {base}"]
    assert "extends" not in yaml.safe_load(loaded.text)
    assert load_spec(write("alone.yaml", loaded.text)).spec == loaded.spec


def test_a_file_name_of_two_lines_stays_in_the_comment(write):
    write("base.yaml", "data: digits")
    loaded = load_spec(write("a\nb: c.yaml", "extends: base.yaml"))
    assert load_spec(write("alone.yaml", loaded.text)).spec == loaded.spec


def test_without_extends_the_text_is_the_one_given(write):
    text = "# a\ndata: digits # b\n"
    assert load_spec(write("top.yaml", text)).text == text


def test_a_mapping_extends_relative_to_the_working_folder(write, tmp_path, monkeypatch):
    write("configs/base.yaml", "data: photos\nepochs: 2")
    monkeypatch.chdir(tmp_path)
    loaded = load_spec({"extends": "configs/base.yaml", "batch": 3})
    assert (loaded.spec.data.path, loaded.spec.epochs, loaded.spec.batch) == ("configs/photos", 2, 3)
    assert "# Merged from spec over configs/base.yaml" in loaded.text


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("extends: base.yaml", True),
        ("{extends: base.yaml, data: {limit: {train: 9}}, optimizer: {momentum: 0.9}, lr: {final: 0.1}}", True),
        ("{extends: base.yaml, architecture: {trainable: 20}}", True),
        ("{extends: base.yaml, epochs: 0}", False),
        ("{extends: base.yaml, data: 3}", False),
        ("{extends: [base.yaml]}", False),
        ("epochs: 3", False),
        ("{data: {limit: {train: 9}}}", False),
    ],
)
def test_the_schema_knows_extends(text, is_valid):
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(read_text(text).value) == is_valid


def test_a_misspelt_extends_is_recognised(write):
    with pytest.raises(SpecError, match="did you mean extends"):
        load_spec(write("top.yaml", "data: digits\nextend: base.yaml"))


def test_validate_names_the_file_of_a_problem(write):
    from typer.testing import CliRunner

    from imgcls_cli.app import app

    base = write("base.yaml", "data: digits\nbatch: 0\n")
    result = CliRunner().invoke(app, ["validate", str(write("top.yaml", "extends: base.yaml")), "--json"])
    (problem,) = json.loads(result.stdout)["problems"]
    assert (result.exit_code, problem["origin"], problem["line"], problem["column"]) == (2, str(base), 2, 8)
