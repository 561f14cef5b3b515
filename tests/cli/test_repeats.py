"""The reading commands on a folder of repeats: list, show, compare, evaluate, and names of single repeats."""

import csv
import io
import json
import shutil
from statistics import fmean, stdev

import pytest
from run_folders import make_repeats, make_run

from imgcls.evaluation.reported import hold_against
from imgcls.files import write_json
from imgcls.runs import Run, layout
from imgcls.spec.reported import ReportedSpec
from imgcls_cli import console

pytestmark = pytest.mark.usefixtures("wide")

ACCURACIES = [right / 30 for right in (20, 22, 24, 26, 28)]
REPORTED = [
    {
        "figure": "accuracy",
        "published": 0.843,
        "measured": 0.8,
        "difference": -0.043,
        "tolerance": 0.02,
        "agrees": False,
    }
]
STAGES = [
    {"stage": 1, "first_epoch": 1, "epochs_run": 5, "best_epoch": 4, "stopped_early": False, "lr": 1e-3,
     "optimizer": "adam", "trainable_params": 53120, "total_params": 23608202},
    {"stage": 2, "first_epoch": 6, "epochs_run": 12, "best_epoch": 15, "stopped_early": True, "lr": 1e-5,
     "optimizer": "adam", "trainable_params": 23555082, "total_params": 23608202},
]  # fmt: skip


@pytest.fixture
def runs_dir(tmp_path):
    return tmp_path / "runs"  # where IMGCLS_RUNS_DIR points


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of five repeats and a single run, made once and copied into each test."""
    folder = tmp_path_factory.mktemp("made")
    return {
        "five": make_repeats(folder),
        "one": make_run(folder, "one", right=24, wrong=6, overrides={"batch": 16, "seed": 9}),
    }


@pytest.fixture
def five(made, runs_dir):
    return Run(shutil.copytree(made["five"].folder, runs_dir / made["five"].name))


@pytest.fixture
def one(made, runs_dir):
    return Run(shutil.copytree(made["one"].folder, runs_dir / made["one"].name))


def lines_of(text):
    return [line.split() for line in text.splitlines()]


def flat(text):
    return " ".join(text.split())


def rewrite(group, **changes):
    """Change ``repeats.json`` of a folder of repeats."""
    record = json.loads(group.path(layout.REPEATS_JSON).read_text())
    write_json(group.path(layout.REPEATS_JSON), record | changes)


def add_to_metrics(run, **more):
    write_json(run.path(layout.METRICS), Run(run.folder).metrics | more)


def kill(run, began="1"):
    """Leave the status as that of a process which is gone."""
    run.set_status("running")
    record = json.loads(run.path(layout.STATUS).read_text())
    write_json(run.path(layout.STATUS), record | {"process_start": began})


def test_show_has_a_row_a_repeat_and_what_they_have_in_common(imgcls, five):
    lines = lines_of(imgcls("show", "five").out)
    assert ["0", "0.6667", "0.6661", "0.5000", "3", "10.0", "s", "completed"] in lines
    assert ["mean", "0.8000", "0.7997", "0.5000", "3.0", "12.0", "s"] in lines
    for part in (["sd", "0.1054"], ["min", "0.6667"], ["max", "0.9333"]):
        assert part in [line[:2] for line in lines]


def test_show_tells_mean_deviation_and_interval_of_the_mean(imgcls, five):
    text = flat(imgcls("show", "five").out)
    assert "0.8000 ± 0.1054 (mean and sd of 5 runs; 95 % interval of the mean 0.6691 to 0.9309; 30 test images)" in text
    assert "1 min 0 s for 5 runs" in text
    assert "30 test, 1 train" in text


def test_one_repeat_that_finished_has_no_deviation(imgcls, runs_dir):
    make_repeats(runs_dir, rights=(24,), broken=("failed",))
    result = imgcls("show", "five")
    assert "0.8000 (mean of 1 of 2 runs; 30 test images)" in flat(result.out)
    assert "repeat-2 failed: out of memory" in result.out
    assert ["sd", "-", "-", "-", "-", "-"] in lines_of(result.out)


def test_a_folder_of_which_no_repeat_finished_is_shown(imgcls, runs_dir):
    make_repeats(runs_dir, rights=(), broken=("failed", "interrupted"))
    text = flat(imgcls("show", "five").out)
    assert "none: 0 of 2 runs finished" in text
    assert "mean" not in text
    assert imgcls("compare", "five", "latest").code == 0
    (record,) = json.loads(imgcls("list", "--json").out)
    assert (record["accuracy"], record["repeats"], record["finished"]) == (None, 2, 0)


def test_a_killed_folder_of_repeats_is_interrupted_and_so_is_the_repeat_that_ran(imgcls, runs_dir):
    group = make_repeats(runs_dir, rights=(20, 22), broken=("running",))
    waiting = {"folder": "repeat-4", "seed": 3, "state": "not begun", "message": ""}
    rewrite(group, repeats=4, runs=[*group.repeats["runs"], waiting])
    for run in (group, group.members[2]):
        kill(run)
    text = imgcls("show", "five").out
    assert "interrupted: its process is gone" in text
    assert ["2", "-", "-", "-", "-", "-", "interrupted"] in lines_of(text)
    assert ["3", "-", "-", "-", "-", "-", "not", "begun"] in lines_of(text)
    assert "mean and sd of 2 of 4 runs" in flat(text)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"repeats": 2, "runs": [3], "summary": {}}', '{"repeats": 2, "runs": [{}], "summary": {}}',
     '{"repeats": 2, "runs": [], "summary": {"accuracy": 3}}',
     '{"repeats": 2, "runs": [], "summary": {"accuracy": {"mean": "x"}}}'],
)  # fmt: skip
def test_a_damaged_summary_of_repeats_is_called_so_by_every_command(imgcls, five, text):
    five.path(layout.REPEATS_JSON).write_text(text)
    shown = imgcls("show", "five")
    assert (shown.code, "repeats.json is damaged" in flat(shown.out)) == (0, True)
    assert json.loads(imgcls("list", "--json").out)[0]["state"] == "damaged"
    assert "repeats.json is damaged" in imgcls("compare", "five", "five/repeat-2").err
    refused = imgcls("evaluate", "five")
    assert refused.code == 3
    assert "is a folder of 5 repeats" in refused.err


def test_a_repeat_whose_status_is_damaged_does_not_hide_the_others(imgcls, runs_dir):
    group = make_repeats(runs_dir, rights=(20, 22), broken=("running",))
    group.members[2].path(layout.STATUS).write_text("{")
    text = imgcls("show", "five").out
    assert ["2", "-", "-", "-", "-", "-", "damaged"] in lines_of(text)
    assert "0.7000" in text


def test_the_figures_of_repeats_whose_folders_are_gone_stay(imgcls, five, one):
    for member in five.members:
        shutil.rmtree(member.folder)
    assert "0.8000 ± 0.1054" in imgcls("show", "five").out
    compared = imgcls("compare", "five", "one")
    assert ["accuracy", "0.8000", "(0.1054)", "0.8000"] in lines_of(compared.out)
    assert "may have other test images" in compared.err


def test_show_json_carries_the_repeats(imgcls, five):
    rewrite(five, reported=REPORTED)
    found = json.loads(imgcls("show", "five", "--json").out)
    assert [row["accuracy"] for row in found["repeats"]["runs"]] == ACCURACIES
    assert found["repeats"]["summary"]["accuracy"]["mean"] == fmean(ACCURACIES)
    assert found["repeats"]["summary"]["accuracy"]["mean_ci95"] == pytest.approx([0.66912, 0.93088], abs=1e-5)
    assert found["repeats"]["reported"] == REPORTED
    assert found["metrics"] == {}
    assert found["seconds"] == 60


def test_a_repeat_has_the_name_of_its_run_and_is_shown_as_a_run(imgcls, five):
    for reference in ("five/repeat-2", "fi/repeat-2", "latest/repeat-2", f"{five.name}/repeat-2/"):
        found = json.loads(imgcls("show", reference, "--json").out)
        assert (found["name"], found["metrics"]["accuracy"]) == (f"{five.name}/repeat-2", 22 / 30)
        assert found["repeats"] == {}


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("five/repeat-9", "five has no repeat-9; it has repeat-1, repeat-2, repeat-3, repeat-4, repeat-5"),
        ("one/repeat-1", "one has no repeat-1: it is no sweep and no folder of repeats"),
        ("nothing/repeat-1", "no run 'nothing' in"),
    ],
)
def test_a_repeat_that_is_not_there_is_said_to_be_so(imgcls, five, one, reference, message):
    result = imgcls("show", reference)
    assert result.code == 3
    assert message in result.err


def test_show_tells_warnings_and_published_figures_of_repeats(imgcls, five):
    rewrite(five, warnings=[{"code": "x", "message": "in 2 of 5 repeats: odd"}], reported=REPORTED)
    text = imgcls("show", "five").out
    assert "in 2 of 5 repeats: odd" in text
    assert ["accuracy", ".843", ".8000", "lower"] in [line[:4] for line in lines_of(text)]


def test_show_of_a_run_has_its_stages_pretrained_weights_and_published_figures(imgcls, one):
    text = "135 of 135 tensors of mobilenet from weights.h5"
    add_to_metrics(one, stages=STAGES, pretrained=text, reported=REPORTED)
    out = imgcls("show", "one").out
    assert ["1", "1", "to", "5", "adam", "0.001", "53,120", "of", "23,608,202", "4", "-", "no"] in lines_of(out)
    assert ["2", "6", "to", "17", "adam", "1e-05", "23,555,082", "of", "23,608,202", "15", "-", "yes"] in lines_of(out)
    assert text in out
    assert ["accuracy", ".843", ".8000", "lower"] in [line[:4] for line in lines_of(out)]
    assert json.loads(imgcls("show", "one", "--json").out)["metrics"]["stages"] == STAGES


def test_a_damaged_history_does_not_hide_the_stages(imgcls, one):
    add_to_metrics(one, stages=STAGES)
    one.path(layout.HISTORY).write_text("epoch,val_accuracy\n1,high\n")
    out = imgcls("show", "one").out
    assert "history.csv is damaged" in flat(out)
    assert "53,120" in out


def test_what_stopped_several_repeats_is_said_once_and_without_the_folder_that_is_shown(imgcls, runs_dir):
    group = make_repeats(runs_dir, rights=(24,), broken=("failed", "failed"))
    group.set_status("failed", f"2 of 3 repeats failed (repeat-2, repeat-3); see {group.folder}")
    out = imgcls("show", "five").out
    assert "state     failed: 2 of 3 repeats failed (repeat-2, repeat-3)\n" in out
    assert "repeat-2, repeat-3 failed: out of memory" in out
    assert out.count("out of memory") == 1


def test_show_has_the_spread_of_the_measured_and_the_classes_that_the_data_lacks(imgcls, five, monkeypatch):
    published = ReportedSpec(
        accuracy={"mean": 0.17, "sd": 0.05, "min": 0.1, "max": 0.3}, per_class={"cow": {"f1": 0.5}}
    )
    spreads = {"accuracy": {"sd": 0.1054, "min": 0.6667, "max": 0.9333}}
    rewrite(five, reported=hold_against(published, {"accuracy": 0.8, "per_class.cat.f1": 0.8}, spreads))
    text = flat(imgcls("show", "five").out)
    assert ".17 (sd .05, .10 to .30) .8000 (sd .1054, .6667 to .9333) higher by .63" in text
    assert "published the data has no class cow" in text
    monkeypatch.setattr(console.out, "width", 60)
    out = imgcls("show", "five").out
    assert max(map(len, out.splitlines())) <= 60
    assert all(digits in out for digits in (".1054", ".6667", ".9333"))


@pytest.mark.parametrize(
    "command", [["show", "five"], ["show", "one"], ["list"], ["compare", "five", "one"]], ids=" ".join
)
def test_sixty_columns_lose_no_digit(imgcls, monkeypatch, five, one, command):
    add_to_metrics(one, stages=STAGES, reported=REPORTED)
    waiting = {"folder": "repeat-6", "seed": 5, "state": "not begun", "message": ""}
    rewrite(five, repeats=6, runs=[*five.repeats["runs"], waiting], reported=REPORTED)
    monkeypatch.setattr(console.out, "width", 60)
    out = imgcls(*command).out
    assert max(map(len, out.splitlines())) <= 60
    wanted = {"show one": ["0.8000", "23,555,082", "23,608,202", ".843"], "show five": ["0.8000", "0.1054", "14.0 s"]}
    assert ("repeat-6 not begun" in out) == (command == ["show", "five"])
    for digits in wanted.get(" ".join(command), ["0.8000", "0.1054"]):
        assert digits in out


def test_list_has_one_row_for_all_repeats(imgcls, five, one):
    result = imgcls("list")
    (line,) = (line for line in lines_of(result.out) if line[:1] == [five.name])
    assert line[1:] == ["completed", "5", "0.8000", "0.669", "to", "0.931", "0.7997", "3.0", "1", "min", "0", "s"]
    assert "repeat-1" not in result.out
    assert "| completed | 5 | 0.8000 | 0.669 to 0.931 |" in imgcls("list", "--markdown").out


@pytest.mark.parametrize("width", [60, 120])
def test_list_has_no_interval_of_one_repeat_that_finished(imgcls, monkeypatch, runs_dir, width):
    make_repeats(runs_dir, rights=(24,), broken=("failed",))
    monkeypatch.setattr(console.out, "width", width)
    out = imgcls("list").out
    assert "1 of 2" in out
    assert "±" not in out
    assert "to" not in out.split()


def test_list_for_programs_has_the_count_and_deviation_in_columns_at_the_end(imgcls, five, one):
    rows = {row["name"][-4:]: row for row in csv.DictReader(io.StringIO(imgcls("list", "--csv").out))}
    assert list(rows["five"])[-2:] == ["repeats", "accuracy_sd"]
    assert (rows["five"]["repeats"], float(rows["five"]["accuracy_sd"])) == ("5", stdev(ACCURACIES))
    assert float(rows["five"]["accuracy_low"]) == pytest.approx(0.66912, abs=1e-5)
    assert (rows["_one"]["repeats"], rows["_one"]["accuracy_sd"]) == ("", "")
    found = {record["name"]: record for record in json.loads(imgcls("list", "--json").out)}
    assert found[one.name]["repeats"] is None
    assert len(found) == 2


def test_compare_shows_means_and_deviations_of_repeats(imgcls, five, one):
    result = imgcls("compare", "five", "one")
    lines = lines_of(result.out)
    assert "five  (completed, 5 runs)" in result.out
    assert ["5", "runs", "run", "2"] in lines
    assert ["accuracy", "0.8000", "(0.1054)", "0.8000"] in lines
    assert ["macro_precision", "0.8016", "(0.1062)", "*", "0.8000"] in lines
    assert ["batch", "64", "16"] in lines
    assert not any(line[:1] == ["seed"] for line in lines)


def test_evaluate_names_the_repeats_it_could_be(imgcls, five, tmp_path):
    result = imgcls("evaluate", "five", "--out", tmp_path / "again")
    assert result.code == 3
    assert f"is a folder of 5 repeats; name one: {five.folder}/repeat-1 (it has repeat-1, repeat-2," in result.err
    assert not (tmp_path / "again").exists()
