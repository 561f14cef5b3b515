"""list, show, compare, validate, schema and cache, as a user sees them."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from run_folders import make_run, make_unfinished, write_history

from imgcls.runs import layout
from imgcls_cli import console
from imgcls_cli.lines import duration

pytestmark = pytest.mark.usefixtures("wide")


@pytest.fixture
def runs_dir(tmp_path):
    return tmp_path / "runs"  # where IMGCLS_RUNS_DIR points


def test_list_shows_every_run_with_its_state_and_result(imgcls, runs_dir):
    make_run(runs_dir, "good")
    make_unfinished(runs_dir, "bad")
    result = imgcls("list")
    good, bad = (next(line for line in result.out.splitlines() if name in line) for name in ("_good", "_bad"))
    assert "completed" in good
    assert "0.6667" in good
    assert "failed" in bad


def test_list_json_has_what_programs_need(imgcls, runs_dir):
    run = make_run(runs_dir, "good")
    make_unfinished(runs_dir, "bad")
    found = {record["name"]: record for record in json.loads(imgcls("list", "--json").out)}
    assert found[run.name]["accuracy"] == 20 / 30
    assert found[run.name]["seconds"] == 10
    assert found[run.name]["folder"] == str(run.folder)
    assert sorted(record["state"] for record in found.values()) == ["completed", "failed"]


def test_list_csv_and_markdown_have_a_row_a_run(imgcls, runs_dir):
    for name in ("a", "b"):
        make_run(runs_dir, name)
    rows = list(csv.DictReader(io.StringIO(imgcls("list", "--csv").out)))
    assert [float(row["accuracy"]) for row in rows] == [20 / 30, 20 / 30]
    assert len(imgcls("list", "--markdown").out.splitlines()) == 4


def test_list_sorts_and_filters(imgcls, runs_dir):
    make_run(runs_dir, "a", right=25, wrong=5, overrides={"tags": ["paper"]})
    make_run(runs_dir, "b")
    make_unfinished(runs_dir, "c")
    names = [record["name"][-1] for record in json.loads(imgcls("list", "--json", "--sort", "accuracy").out)]
    assert names == ["c", "b", "a"]
    names = [record["name"][-1] for record in json.loads(imgcls("list", "--json", "--tag", "paper").out)]
    assert names == ["a"]


def test_a_damaged_run_does_not_hide_the_others(imgcls, runs_dir):
    make_run(runs_dir, "good")
    make_run(runs_dir, "bad").path(layout.METRICS).write_text("{")
    make_run(runs_dir, "worse").path(layout.STATUS).write_text("{}")
    states = [record["state"] for record in json.loads(imgcls("list", "--json").out)]
    assert sorted(states) == ["completed", "damaged", "damaged"]


def test_no_runs_is_said_on_stderr_and_no_error(imgcls, runs_dir):
    runs_dir.mkdir()
    result = imgcls("list")
    assert (result.code, result.out) == (0, "")
    assert "no runs in" in result.err
    assert json.loads(imgcls("list", "--json").out) == []


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_runs_folder_that_is_not_there_is_said_on_stderr_and_no_error(imgcls, form):
    result = imgcls("list", "--runs-dir", "nowhere", *form)
    assert (result.code, result.err) == (0, "there is no folder nowhere\n")


@pytest.mark.parametrize("file", [layout.TIMINGS, layout.ENVIRONMENT, layout.MANIFEST, layout.METRICS, layout.STATUS])
@pytest.mark.parametrize("text", ["{", "[]", '{"device": 1, "total": "x"}'])
def test_a_damaged_file_does_not_hide_the_rest_of_a_run(imgcls, runs_dir, file, text):
    run = make_run(runs_dir)
    run.path(file).write_text(text)
    result = imgcls("show", "latest")
    assert result.code == 0
    assert f"{file} is damaged" in " ".join(result.out.split())
    assert ("0.6667" in result.out) == (file != layout.METRICS)
    assert json.loads(imgcls("show", "latest", "--json").out)["damaged"]


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        (layout.METRICS, "classes", ["a", 2, "c"]),
        (layout.METRICS, "accuracy_ci95", [0.5]),
        (layout.METRICS, "accuracy_ci95", [0.5, "x"]),
        (layout.METRICS, "confusion_matrix", [[1, 2], [3, 4]]),
        (layout.METRICS, "confusion_matrix", [[0.5] * 3] * 3),
        (layout.METRICS, "per_class", {"a": 5}),
        (layout.METRICS, "mcc", "x"),
        (layout.METRICS, "warnings", [5]),
        (layout.METRICS, "stages", [{"stage": 1}]),
        (layout.METRICS, "reported", [{"figure": "accuracy"}]),
        (layout.METRICS, "most_confident_errors", [{"path": 5}]),
        (layout.TIMINGS, "phases", {"train": "x"}),
        (layout.TIMINGS, "epoch_seconds", [[]]),
        (layout.ENVIRONMENT, "device", {"threads": "x"}),
        (layout.RESOLVED, "tags", 5),
        (layout.RESOLVED, "stages", [5]),
    ],
)
def test_a_value_of_another_kind_within_a_file_is_damage_and_no_bug(imgcls, runs_dir, file, key, value):
    make_run(runs_dir, "good")
    run = make_run(runs_dir, "odd")
    run.path(file).write_text(json.dumps(yaml.safe_load(run.path(file).read_text()) | {key: value}))
    shown, listed, compared = imgcls("show", "odd"), imgcls("list", "--tag", "x"), imgcls("compare", "good", "odd")
    assert (shown.code, listed.code, compared.code) == (0, 0, 0)
    assert re.search(rf"{file} is damaged: (a wrong )?{key}", " ".join(compared.err.split()))
    if file in (layout.METRICS, layout.TIMINGS):
        assert [row["state"] for row in json.loads(imgcls("list", "--json").out)] == ["completed", "damaged"]


def test_a_sweep_of_another_kind_is_damage_and_no_bug(imgcls, runs_dir):
    run = make_unfinished(runs_dir, "searched")
    run.path(layout.SWEEP_RESOLVED).write_text("")
    whole = {"method": "grid", "objective": ["val_accuracy"], "planned": 1, "states": {"completed": 1}, "n": 5}
    whole |= {"best": [{"trial": 1, "point": {"lr": 0.1}, "val_accuracy": 0.5}], "verdict": ["lr matters"]}
    run.path(layout.SWEEP_JSON).write_text(json.dumps(whole))
    assert "lr matters" in imgcls("show", "searched").out
    for wrong in ({"best": [{"trial": 1, "point": {}}]}, {"states": {"completed": "x"}}, {"objective": [5]}):
        run.path(layout.SWEEP_JSON).write_text(json.dumps(whole | wrong))
        shown = imgcls("show", "searched")
        assert (shown.code, "sweep.json is damaged" in " ".join(shown.out.split())) == (0, True)


def test_compare_shows_a_damaged_run_as_a_column_with_a_note(imgcls, runs_dir):
    make_run(runs_dir, "a")
    make_run(runs_dir, "b").path(layout.METRICS).write_text("{}")
    result = imgcls("compare", "a", "b")
    assert result.code == 0
    assert "_b  (damaged)" in result.out
    assert "metrics.json is damaged: no classes" in result.err


def test_show_of_an_unfinished_run_says_how_many_epochs_it_has(imgcls, runs_dir):
    make_unfinished(runs_dir).path(layout.HISTORY).write_text("epoch,loss\n1,0.5\n2,0.4\n")
    assert "epochs    2 finished" in imgcls("show", "half").out


def test_show_of_an_unfinished_run_says_in_which_stage_it_is_and_how_good(imgcls, runs_dir):
    run = make_unfinished(runs_dir, state="interrupted", message="by the user")
    stages = "epochs: 99\nstages: [{epochs: 2}, {epochs: 9}]\n"
    run.path(layout.RESOLVED).write_text(stages)
    write_history(run, [0.5, 0.6, 0.7], [1, 1, 2])
    wanted = "epochs    3 finished, the last in stage 2 of 2; validation accuracy 0.7000, loss 0.5000"
    assert wanted in imgcls("show", "half").out
    found = json.loads(imgcls("show", "half", "--json").out)
    assert (found["last_epoch"]["stage"], found["last_epoch"]["val_accuracy"]) == (2, 0.7)
    write_history(run, [None], [1])
    assert "1 finished, the last in stage 1 of 2\n" in imgcls("show", "half").out


def test_compare_shows_stages_in_words(imgcls, runs_dir):
    make_run(runs_dir, "a", overrides={"stages": [{"epochs": 2}]})
    make_run(runs_dir, "b", overrides={"stages": [{"epochs": 2}, {"epochs": 1, "lr": 0.5}]})
    out = imgcls("compare", "a", "b").out
    assert "{" not in out
    assert ["stages.1", "-", "1", "epoch,", "adam", "at", "0.5", "constant"] in [
        line.split() for line in out.splitlines()
    ]


def test_a_line_break_in_a_class_name_is_shown_as_such(imgcls, runs_dir):
    make_run(runs_dir, classes=("cat", "a\ndog", "bird"))
    out = imgcls("show", "latest").out
    assert r"a\ndog" in out
    assert "\ndog" not in out


def test_show_is_the_summary_of_a_run(imgcls, runs_dir):
    make_run(runs_dir)
    text = imgcls("show", "latest").out
    for part in (
        "30 test, 1 train",
        "CPU CPU, 2 threads, float32",
        "10.0 s for 3 epochs",
        "0.6667  (95 % interval 0.4878 to 0.8077; 30 test images)",
        "0.3333",
        "cat taken for dog",
        "[/bird]",
        "metrics.json",
    ):
        assert part in text, part


def test_show_tells_the_warnings(imgcls, runs_dir):
    make_run(runs_dir, right=2, wrong=28)
    assert "not better than always predicting the most frequent class" in imgcls("show", "latest").out


def test_show_of_an_unfinished_run_tells_what_there_is(imgcls, runs_dir):
    make_unfinished(runs_dir)
    result = imgcls("show", "half")
    assert result.code == 0
    assert "failed: out of memory" in result.out


def test_show_json_is_the_same_for_programs(imgcls, runs_dir):
    make_run(runs_dir)
    found = json.loads(imgcls("show", "latest", "--json").out)
    assert found["splits"] == {"test": 30, "train": 1}
    assert found["metrics"]["accuracy"] == 20 / 30


@pytest.mark.parametrize("command", [["list"], ["show", "one"], ["compare", "one", "two"]], ids=" ".join)
def test_sixty_columns_are_enough(imgcls_process, runs_dir, command):
    make_run(runs_dir, "one", classes=("a class with a name that is long", "b", "c"))
    make_run(runs_dir, "two")
    result = imgcls_process(*command, COLUMNS="60")
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= 60
    assert "0.6667" in result.out


@pytest.mark.parametrize("width", [70, 92, 108, 140])
def test_list_breaks_no_name_for_the_sake_of_a_figure(imgcls, runs_dir, monkeypatch, width):
    run = make_run(runs_dir, "tulips_at_32_with_dropout")
    monkeypatch.setattr(console.out, "width", width)
    out = imgcls("list").out
    assert run.name in out
    assert "0.6667" in out


def test_compare_marks_the_best_and_shows_what_differs(imgcls, runs_dir):
    make_run(runs_dir, "a")
    make_run(runs_dir, "b", right=25, wrong=5, overrides={"batch": 16})
    lines = imgcls("compare", "a", "b").out.splitlines()
    assert any(line.split() == ["accuracy", "0.6667", "0.8333", "*"] for line in lines)
    assert any(line.split() == ["batch", "64", "16"] for line in lines)
    assert not any("epochs " in line and "10" in line for line in lines)


def test_compare_says_what_is_not_comparable(imgcls, runs_dir):
    make_run(runs_dir, "a")
    make_run(runs_dir, "b", images="other", right=25, wrong=5)
    result = imgcls("compare", "a", "b")
    assert "different test images" in result.err
    assert not any("accuracy" in line and "*" in line for line in result.out.splitlines())


def test_many_runs_are_shown_in_blocks(imgcls, runs_dir):
    for number in range(12):
        make_run(runs_dir, f"n{number:02}")
    result = imgcls("compare", *(f"n{number:02}" for number in range(12)))
    assert "run 12" in result.out


@pytest.mark.parametrize("form", ["json", "csv", "markdown"])
def test_compare_has_forms_for_programs(imgcls, runs_dir, form):
    make_run(runs_dir, "a")
    make_run(runs_dir, "b")
    result = imgcls("compare", "a", "b", f"--{form}")
    assert result.code == 0
    assert "accuracy" in result.out


def write_spec(tmp_path, text):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    return path


def test_validate_describes_the_experiment(imgcls, tmp_path):
    result = imgcls("validate", write_spec(tmp_path, "data: digits\narchitecture: resnet\nlr: 1e-2\n"))
    assert result.code == 0
    assert "is valid: digits, 8x8 grayscale, resnet, adam at 0.01, batch 64, 10 epochs" in result.out


def test_validate_shows_all_problems_with_their_places(imgcls, tmp_path):
    result = imgcls("validate", write_spec(tmp_path, "data: digits\nbatsh: 3\nepochs: 0\n"))
    assert result.code == 2
    assert "has 2 problems" in result.err
    assert "2:1" in result.err
    assert "did you mean batch?" in result.err


def test_resolved_names_the_origin_of_every_value(imgcls, tmp_path):
    text = "data: x.npz\noptimizer: sgd\narchitecture:\n  - conv: 8\n  - flatten\nlr: {initial: 1, schedule: cosine}\n"
    path = write_spec(tmp_path, text)
    result = imgcls("validate", path, "--json", "-s", "lr=0.5", "-s", "data.limit.train=9")
    values = json.loads(result.out)["resolved"]
    origins = {key: entry["origin"] for key, entry in values.items()}
    assert origins["optimizer.name"] == f"{path} 2:1"
    assert origins["optimizer.momentum"] == "default"
    assert origins["architecture.layers.0.conv.filters"] == f"{path} 4:5"
    assert origins["architecture.layers.0.conv.padding"] == "default"
    assert origins["architecture.layers.1"] == f"{path} 3:1"
    assert values["lr.initial"] == {"value": 0.5, "origin": "-s"}
    assert values["lr.schedule"] == {"value": "constant", "origin": "default"}
    assert values["data.limit.train"] == {"value": 9, "origin": "-s"}
    assert origins["resolution"] == "from the data"
    assert origins["epochs"] == "default"


def test_resolved_knows_the_name_and_the_loss_in_force(imgcls, tmp_path):
    path = write_spec(tmp_path, "data: digits\n")
    values = json.loads(imgcls("validate", path, "--json").out)["resolved"]
    assert values["name"] == {"value": path.stem, "origin": "file name"}
    assert values["loss"] == {"value": "sparse_categorical_crossentropy", "origin": "default"}


def test_validate_lists_problems_as_json(imgcls, tmp_path):
    path = write_spec(tmp_path, "data: digits\nbatsh: 3\n")
    result = imgcls("validate", path, "--json", "-s", "epochs=0")
    answer = json.loads(result.out)
    message = "got 0; a whole number of at least 1 is accepted"
    assert (result.code, answer["valid"]) == (2, False)
    assert answer["problems"] == [
        {"line": None, "column": None, "key": "epochs", "message": message, "origin": "-s"},
        {"line": 2, "column": 1, "key": "batsh", "message": "unknown key; did you mean batch?", "origin": ""},
    ]


def test_validate_tells_in_json_that_there_is_no_such_file(imgcls, tmp_path):
    result = imgcls("validate", tmp_path / "nowhere.yaml", "--json")
    (problem,) = json.loads(result.out)["problems"]
    assert (result.code, problem["line"]) == (2, None)
    assert "cannot read" in problem["message"]


def test_resolved_is_a_table(imgcls, tmp_path):
    result = imgcls("validate", write_spec(tmp_path, "data: digits\n"), "--resolved")
    assert any(line.split()[:3] == ["epochs", "10", "default"] for line in result.out.splitlines())


def test_schema_is_json(imgcls):
    assert json.loads(imgcls("schema").out)["title"] == "imgcls experiment"


def test_cache_is_shown_and_cleared(imgcls, tmp_path):
    from imgcls.data import Cache, load_dataset
    from imgcls.spec.data import DataSpec

    assert "0 prepared" in imgcls("cache").out
    load_dataset(
        DataSpec(source="digits"), base=tmp_path, resolution=(8, 8), color="grayscale", resize="stretch", cache=Cache()
    )
    assert "1,797 images, 8x8 grayscale" in imgcls("cache").out
    (entry,) = json.loads(imgcls("cache", "--json").out)["entries"]
    assert entry["images"] == 1797
    assert json.loads(imgcls("cache", "--clear", "--json").out)["freed_bytes"] >= 1797 * 64
    assert "0 prepared" in imgcls("cache").out


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 1 s"), (7260.2, "2 h 1 min")]
)
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text


def test_five_thousand_classes_give_bounded_output(imgcls, runs_dir):
    classes = tuple(f"class {index}" for index in range(600))
    make_run(runs_dir, "a", classes=classes, right=600, wrong=600)
    assert len(imgcls("show", "a").out) < 3000
    assert np.size(json.loads(imgcls("show", "a", "--json").out)["metrics"]["classes"]) == 600


@pytest.fixture
def closed(runs_dir, monkeypatch):
    """A run folder that must not be read, beside one that may; the tests may be root's, who may read all."""
    run = make_run(runs_dir, "closed")
    make_run(runs_dir, "open")
    is_file = Path.is_file

    def refuse(path):
        if path.parent == run.folder:
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refuse)
    return run


def test_a_run_that_must_not_be_read_hides_no_other(imgcls, closed, wide):
    out = imgcls("list").out
    assert [line.split()[1] for line in out.splitlines() if "2026" in line or "_open" in line or "_closed" in line] == [
        "unreadable", "completed"
    ]  # fmt: skip
    assert "status.json cannot be read: Permission denied" in imgcls("show", "closed").out


def test_compare_says_nothing_of_settings_that_it_could_not_read(imgcls, runs_dir):
    make_run(runs_dir, "a").path(layout.RESOLVED).write_text("{")
    make_run(runs_dir, "b")
    assert "do not differ" not in imgcls("compare", "a", "b").err


def test_what_is_for_programs_is_utf_8_whatever_the_locale(runs_dir):
    make_run(runs_dir, classes=("é", "日本", "🌵"))
    environment = os.environ | {
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "LC_ALL": "C",
        "PYTHONIOENCODING": "ascii",
    }
    command = [sys.executable, "-m", "imgcls_cli", "show", "latest", "--json"]
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert json.loads(done.stdout.decode("utf-8"))["metrics"]["classes"] == ["é", "日本", "🌵"]
