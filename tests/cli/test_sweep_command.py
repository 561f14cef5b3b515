"""``sweep`` as the shell runs it."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from imgcls.files import read_csv
from imgcls.runs import Run

BASE = {"data": "digits", "architecture": [{"conv": 4}, "flatten"], "epochs": 2, "lr": 0.01}


@pytest.fixture
def sweep_file(tmp_path):
    path = tmp_path / "rates.yaml"
    path.write_text(json.dumps({"base": BASE, "parameters": {"lr": [0.01, 0.02, 0.03]}, "jobs": 1}))
    return path


@pytest.mark.long
def test_a_dry_run_lists_the_points_and_makes_no_folder(imgcls, sweep_file, tmp_path):
    done = imgcls("sweep", sweep_file, "--dry-run", "--trials", "2", "-s", "epochs=7", "--runs-dir", tmp_path / "runs")
    assert done.code == 0
    assert "2 trials of 3 points (grid), up to 7 epochs each, by val_accuracy" in done.out
    assert [line.split() for line in done.out.splitlines() if len(line.split()) == 2] == [
        ["trial", "lr"], ["1", "0.01"], ["2", "0.02"],
    ]  # fmt: skip
    assert re.search(r"about \d+\.\d s on this machine", done.out)
    assert not (tmp_path / "runs").exists()


def test_a_sweep_is_validated_and_no_spec(imgcls, sweep_file):
    assert "is a valid sweep: 3 trials of 3 points" in imgcls("validate", sweep_file).out
    assert json.loads(imgcls("validate", sweep_file, "--json").out)["valid"]
    done = imgcls("train", sweep_file)
    assert done.code == 2
    assert f"{sweep_file} is a sweep, not a spec: imgcls sweep {sweep_file}" in done.err


def test_of_the_base_of_a_sweep_remarks_and_values_are_told_as_of_a_spec(imgcls, sweep_file):
    given = ("validate", sweep_file, "-s", "lr=3", "-s", "data=nowhere")
    told = json.loads(imgcls(*given, "--json").out)
    assert [warning["code"] for warning in told["warnings"]] == ["missing_file", "unusual_rate"]
    assert told["resolved"]["epochs"]["value"] == 2
    shown = imgcls(*given, "--resolved")
    assert "missing_file" not in shown.out
    assert "nowhere does not exist" in shown.err
    assert "lr.initial" in shown.out


def test_options_that_would_change_nothing_are_refused(imgcls):
    for arguments, why in (
        (("sweep", "latest", "--resume", "--dry-run"), "cannot be given with --resume"),
        (("report", "latest", "--explain", "--format", "markdown"), "it needs --format html"),
        (("backbones", "--batch", "8"), "they need --benchmark"),
        (("backbones", "--resolution", "64", "mobilenet"), "they need --benchmark"),
    ):
        done = imgcls(*arguments)
        assert (done.code, why in done.err) == (2, True), done.err


def test_what_a_resumed_sweep_is_given_must_not_change_it(imgcls):
    done = imgcls("sweep", "latest", "--resume", "--trials", "3", "-s", "epochs=2")
    assert (done.code, "--trials, -s cannot be given with it" in done.err) == (2, True)


def test_a_wrong_option_is_a_problem_of_its_key(imgcls, sweep_file):
    done = imgcls("sweep", sweep_file, "--method", "tpee")
    assert done.code == 2
    assert "method  got 'tpee'; did you mean tpe?" in done.err


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_leaves_a_sweep_that_can_be_resumed_and_shown(imgcls, sweep_file, tmp_path, wide):
    command = [sys.executable, "-m", "imgcls_cli", "sweep", sweep_file, "--runs-dir", tmp_path / "runs"]
    command += ["-s", "epochs=30"]  # so that the second trial goes on for a while
    process = subprocess.Popen([str(each) for each in command], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not list((tmp_path / "runs").glob("*_rates/trial-2/history.csv")):
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "keeps 1 finished trial; imgcls resume" in err
    (folder,) = (tmp_path / "runs").glob("*_rates")
    assert Run(folder / "trial-2").status.state == "interrupted"

    done = imgcls("sweep", sweep_file, "--resume", "--runs-dir", tmp_path / "runs")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == str(folder)
    assert [row["state"] for row in read_csv(folder / "sweep.csv")] == ["completed"] * 3
    assert (folder / "effects.png").is_file()
    shown = imgcls("show", "rates", "--runs-dir", tmp_path / "runs").out
    assert "3 planned (grid): 3 completed" in shown
    assert "is the best of 3" in shown
    assert json.loads(imgcls("show", "rates", "--json", "--runs-dir", tmp_path / "runs").out)["sweep"]["planned"] == 3
    (row,) = json.loads(imgcls("list", "--json", "--runs-dir", tmp_path / "runs").out)
    assert (row["repeats"], row["finished"]) == (3, 3)
    trials = json.loads(imgcls("list", "--json", "--runs-dir", folder).out)
    assert [trial["name"] for trial in trials] == ["trial-1", "trial-2", "trial-3"]
