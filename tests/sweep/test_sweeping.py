"""Sweeps as they are run: real trials in real processes."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_folders import make_run

import imgcls
from imgcls import DataError, RunError, SpecError, compare
from imgcls.catalog import find_run, full_name
from imgcls.files import read_csv
from imgcls.observer import Observer
from imgcls.runs import Run, layout
from imgcls.spec.sweeping import load_sweep
from imgcls.sweep import resume_sweep, sweep
from imgcls.sweep.results import write_results
from imgcls.sweep.study import Trial

BASE = {
    "data": "digits",
    "architecture": [{"conv": 4}, {"max_pool": 2}, "flatten"],
    "batch": 64,
    "epochs": 3,
    "lr": 0.01,
    "precision": "float32",
}
TWO = {"optimizer": ["adam", "sgd"]}


def rows(folder):
    return read_csv(folder.path(layout.SWEEP_CSV))


class Log(Observer):
    def __init__(self):
        self.ended, self.epochs = [], []

    def trial_epoch(self, trial, epoch, accuracy):
        self.epochs.append((trial.number, epoch))

    def trial_ended(self, trial, best, finished):
        self.ended.append((trial.number, trial.state, finished))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A grid of two optimizers and of a layer that fits for one value only; with what its observer heard."""
    folder = tmp_path_factory.mktemp("sweep")
    log = Log()
    parameters = {**TWO, "pool": {"keys": ["architecture.1.max_pool"], "values": [2, 9]}}
    base = {**BASE, "early_stopping": {"patience": 2, "monitor": "val_loss"}}
    given = {"base": base, "parameters": parameters, "name": "grid", "jobs": 2, "final": True}
    run = sweep(given, runs_dir=folder / "runs", cache_dir=folder / "cache", observer=log)
    return run, log


def test_each_trial_is_a_run_measured_on_validation_images(swept):
    run, _ = swept
    trial = Run(run.path("trial-1"))
    assert trial.status.state == "completed"
    assert trial.metrics["split"] == "validation"
    assert trial.settings["optimizer"]["name"] == "adam"
    assert "not_held_out" not in [warning["code"] for warning in trial.metrics["warnings"]]
    assert {row["split"] for row in trial.manifest} == {"train", "validation", "test"}


def test_the_table_has_a_row_a_trial_and_a_trial_that_failed_stops_no_other(swept):
    run, log = swept
    table = rows(run)
    assert [row["state"] for row in table] == ["completed", "failed", "completed", "failed"]
    assert "max_pool" in table[1]["message"]
    assert [row["optimizer"] for row in table] == ["adam", "adam", "sgd", "sgd"]
    assert float(table[0]["val_accuracy"]) == pytest.approx(Run(run.path("trial-1")).metrics["accuracy"])
    assert min(log.ended)[:2] == (0, "completed")
    assert len(log.epochs) == 6


def test_what_it_comes_to_is_in_words_and_figures(swept):
    run, _ = swept
    record = run.sweep
    assert record["states"] == {"completed": 2, "failed": 2}
    assert record["best"][0]["point"]["optimizer"] == "adam"
    assert record["n"] == 269
    assert any("trial 1 is the best of 2" in text for text in record["verdict"])


def test_the_best_point_is_trained_on_validation_images_too_and_measured_once_on_test(swept):
    run, _ = swept
    final = find_run("grid/final", run.folder.parent)
    parts = [row["split"] for row in final.manifest]
    assert (parts.count("train"), parts.count("test"), "validation" in parts) == (1528, 269, False)
    assert final.metrics["split"] == "test"
    assert final.settings["optimizer"]["name"] == "adam"
    assert final.settings["early_stopping"] is None
    assert final.settings["epochs"] == Run(run.path("trial-1")).metrics["best_epoch"]
    assert f"accuracy {final.metrics['accuracy']:.4f} on 269 test images" in run.sweep["verdict"][-1]
    assert "chosen among 2" in run.sweep["verdict"][-1]


def test_trials_are_found_and_compared_as_runs(swept):
    run, _ = swept
    found = find_run("grid/trial-3", run.folder.parent)
    assert full_name(found) == f"{run.name}/trial-3"
    assert len(compare([Run(run.path("trial-1")), found]).runs) == 2
    with pytest.raises(DataError, match="is a sweep of 2 trials; name one"):
        compare([run, found])


def test_the_test_part_is_needed_by_none_and_validation_by_all(tmp_path):
    given = {"base": {**BASE, "data": {"source": "digits", "validation": "none"}}, "parameters": TWO}
    with pytest.raises((DataError, SpecError), match="validation"):
        sweep(given, runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def verdict(folder, trials, parameters):
    """Return what is said of trials that have been run."""
    loaded = load_sweep({"base": BASE, "parameters": parameters})
    best = max((trial for trial in trials if trial.values), key=lambda trial: trial.values)
    write_results(Run(folder), loaded, trials, [best], 300, is_last=True)
    return Run(folder).sweep["verdict"]


def test_a_value_whose_trials_were_all_given_up_is_named_and_not_called_without_effect(tmp_path):
    parameters = {"optimizer": ["adam", "rmsprop", "sgd"], "lr": [0.01, 0.02, 0.03], "batch": [32, 64]}
    points = [dict(zip(parameters, each, strict=True)) for each in itertools.product(*parameters.values())]
    trials = [
        Trial(number, point, "pruned")
        if point["optimizer"] == "sgd"
        else Trial(number, point, "completed", (0.6 + 5 * point["lr"] + 0.0001 * (number * 7 % 5),))
        for number, point in enumerate(points)
    ]
    effects, left_out, best, optimism = verdict(tmp_path, trials, parameters)
    assert "lr matters most" in effects
    assert effects.endswith("no effect shown of batch")
    assert left_out == "left out of these effects: 6 pruned of 18 trials, among them all 6 with optimizer sgd"
    assert "is the best of 12" in best
    assert optimism.startswith("being the best of 18 makes")


def test_a_trial_that_is_far_behind_is_tested_like_any_other(tmp_path):
    trials = []
    for number, right in enumerate((9000, 8875)):  # the intervals of these accuracies do not overlap
        made = make_run(tmp_path / "runs", right=right, wrong=10_000 - right, split="validation")
        made.folder.rename(tmp_path / f"trial-{number + 1}")
        trials.append(Trial(number, {"lr": 0.01 * (number + 1)}, "completed", (right / 10_000,), facts={"n": 10_000}))
    said = verdict(tmp_path, trials, {"lr": [0.01, 0.02]})
    assert any("not told apart from it by these 10,000 images: trial 2" in text for text in said)


@pytest.mark.long
def test_repeats_are_averaged_and_a_point_that_falls_behind_is_given_up(tmp_path):
    parameters = {"lr": [0.01, 0.011, 0.012, 1e-7]}
    prune = {"method": "median", "warmup_epochs": 1, "startup_trials": 2}
    given = {"base": BASE, "parameters": parameters, "prune": prune, "repeats": 2, "jobs": 1}
    run = sweep(given, {"epochs": 2}, runs_dir=tmp_path / "runs")
    first, *_, last = rows(run)
    members = Run(run.path("trial-1")).members
    assert float(first["val_accuracy"]) == pytest.approx(sum(each.metrics["accuracy"] for each in members) / 2)
    assert float(first["sd"]) > 0
    assert last["state"] == "pruned"
    (behind,) = (each for each in Run(run.path("trial-4")).members if each.folder.exists())
    assert behind.status.state == "interrupted"
    assert "fallen behind" in behind.status.message
    assert behind.epochs_done == 2


def test_if_all_trials_fail_the_sweep_does(tmp_path):
    with pytest.raises(RunError, match=r"all 1 trials failed, the first so: .*max_pool"):
        sweep(
            {"base": BASE, "parameters": {"pool": {"keys": ["architecture.1.max_pool"], "values": [9]}}},
            runs_dir=tmp_path / "runs",
        )


class _KillsItsWorker(Observer):
    """Kills the process of the second trial, as a system does that is out of memory."""

    def trial_epoch(self, trial, epoch, accuracy):
        if trial.number == 1:
            (status,) = list(self.folder.folder.glob("trial-2/status.json"))
            os.kill(json.loads(status.read_text())["pid"], signal.SIGKILL)

    def sweeping(self, folder, sweep, jobs, finished):
        self.folder = folder


@pytest.mark.long
def test_a_worker_that_dies_costs_its_trial_only(tmp_path):
    parameters = {"lr": [0.01, 0.02, 0.03]}
    run = sweep(
        {"base": BASE, "parameters": parameters, "jobs": 1}, runs_dir=tmp_path / "runs", observer=_KillsItsWorker()
    )
    assert [row["state"] for row in rows(run)] == ["completed", "failed", "completed"]
    assert "its process ended" in rows(run)[1]["message"]


@pytest.mark.long
def test_a_sweep_that_is_killed_goes_on_where_it_was(tmp_path):
    path = tmp_path / "many.yaml"
    path.write_text(json.dumps({"base": BASE, "parameters": {"lr": [0.01, 0.02, 0.03]}, "jobs": 1}))
    code = f"from imgcls.sweep import sweep; sweep({str(path)!r}, runs_dir={str(tmp_path / 'runs')!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    folder = _wait_for(lambda: next(iter((tmp_path / "runs").glob("*_many/trial-2/history.csv")), None)).parents[1]
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = (folder / "trial-1" / "metrics.json").stat().st_mtime_ns

    run = resume_sweep(Run(folder))
    assert [row["state"] for row in rows(run)] == ["completed"] * 3
    assert (folder / "trial-1" / "metrics.json").stat().st_mtime_ns == finished
    assert run.status.state == "completed"
    assert run.path(layout.CURVES_PNG).is_file()
    said = json.loads(run.path(layout.SWEEP_JSON).read_text())["verdict"][0]
    assert re.match(r"val_accuracy: lr: 0.0[123] above 0.0[123] by [\d.]+ points, from too few trials to tell", said)
    alone = imgcls.train(BASE, {"lr": 0.02, "evaluate_on": "validation"}, runs_dir=tmp_path / "alone")
    assert alone.metrics["accuracy"] == float(rows(run)[1]["val_accuracy"])


def _wait_for(look, seconds=120):
    until = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_only_a_sweep_that_nobody_is_at_is_taken_up(swept, tmp_path):
    run, _ = swept
    with pytest.raises(DataError, match="is no sweep"):
        resume_sweep(Run(run.path("trial-1")))
    busy = Path(tmp_path / "busy")
    busy.mkdir()
    Run(busy).path(layout.SWEEP_RESOLVED).write_text("")
    Run(busy).set_status("running")
    with pytest.raises(DataError, match="another process is at it"):
        resume_sweep(Run(busy))
