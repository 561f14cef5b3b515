"""Repeats: the same experiment with other seeds, in one go, and what they have in common."""

import json
import statistics

import pytest

import imgcls
from imgcls import DataError, DegenerateError, RunError, runs


@pytest.fixture
def spec(color_photos):
    return {
        "data": str(color_photos),
        "resolution": [12, 16],
        "architecture": [{"conv": 2}, "global_average_pool"],
        "lr": 0.005,
        "batch": 8,
        "epochs": 2,
        "seed": 7,
        "repeats": 3,
    }


def test_repeats_are_runs_in_one_folder_with_seeds_that_follow(spec, tmp_path):
    group = imgcls.train(spec, runs_dir=tmp_path)
    assert group.status.state == "completed"
    assert [run.name for run in group.members] == ["repeat-1", "repeat-2", "repeat-3"]
    assert [run.environment["seed"] for run in group.members] == [7, 8, 9]
    assert [run.settings["repeats"] for run in group.members] == [1, 1, 1]
    assert group.settings["repeats"] == 3
    manifests = {run.path(runs.MANIFEST).read_text() for run in group.members}
    assert len(manifests) == 1, "repeats share their test images"
    assert len({run.metrics["loss"] for run in group.members}) == 3


def test_the_summary_is_that_of_the_runs(spec, tmp_path):
    group = imgcls.train(spec, runs_dir=tmp_path)
    losses = [run.metrics["loss"] for run in group.members]
    summary = group.repeats["summary"]
    assert summary["loss"] == {
        "mean": pytest.approx(statistics.fmean(losses)),
        "sd": pytest.approx(statistics.stdev(losses)),
        "min": min(losses),
        "max": max(losses),
    }
    assert summary["epochs_run"] == {"mean": 2.0, "sd": 0.0, "min": 2.0, "max": 2.0}
    assert group.repeats["finished"] == 3
    rows = (group.folder / "repeats.csv").read_text().splitlines()
    assert rows[0].startswith("folder,seed,state,accuracy,")
    assert len(rows) == 4


def test_a_repeat_is_the_run_of_its_seed(spec, tmp_path):
    group = imgcls.train(spec, runs_dir=tmp_path)
    alone = imgcls.train(spec, {"seed": 8, "repeats": 1}, runs_dir=tmp_path)
    assert group.members[1].metrics == alone.metrics


def test_a_repeat_that_fails_does_not_stop_the_others(spec, tmp_path):
    class Unlucky(imgcls.Observer):
        number, failures = 0, ()

        def repeating(self, group, number, repeats, seed):
            self.number = number

        def failed(self, message):
            self.failures = (*self.failures, message)

        def epoch(self, row):
            if self.number == 2:
                raise MemoryError

    observer = Unlucky()
    with pytest.raises(RunError, match=r"1 of 3 repeats failed \(repeat-2\)"):
        imgcls.train(spec, runs_dir=tmp_path, observer=observer)
    (group,) = imgcls.list_runs(tmp_path)
    assert group.status.state == "failed"
    assert [row["state"] for row in group.repeats["runs"]] == ["completed", "failed", "completed"]
    assert "out of memory" in group.repeats["runs"][1]["message"]
    assert group.repeats["finished"] == 2
    assert len(observer.failures) == 1


def test_interrupted_repeats_keep_what_is_finished(spec, tmp_path):
    class Impatient(imgcls.Observer):
        def repeating(self, group, number, repeats, seed):
            if number == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imgcls.train(spec, runs_dir=tmp_path, observer=Impatient())
    (group,) = imgcls.list_runs(tmp_path)
    assert group.status.state == "interrupted"
    assert [row["state"] for row in group.repeats["runs"]] == ["completed", "not begun", "not begun"]
    assert group.repeats["summary"]["accuracy"]["sd"] is None


def test_the_repeat_that_runs_or_was_interrupted_is_told_from_those_not_begun(spec, tmp_path):
    class Impatient(imgcls.Observer):
        states = ()

        def repeating(self, group, number, repeats, seed):
            self.group, self.number = group, number

        def epoch(self, row):
            if self.number == 2:
                Impatient.states = [each["state"] for each in runs.Run(self.group.folder).repeats["runs"]]
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imgcls.train(spec, runs_dir=tmp_path, observer=Impatient())
    (group,) = imgcls.list_runs(tmp_path)
    assert Impatient.states == ["completed", "running", "not begun"]
    assert [row["state"] for row in group.repeats["runs"]] == ["completed", "interrupted", "not begun"]
    assert group.repeats["runs"][1]["message"] == "by the user"


def test_published_means_are_held_against_the_mean(spec, tmp_path):
    reported = {"repeats": 3, "accuracy": {"mean": 0.9, "sd": 0.01, "max": 0.99}, "epochs_run": 2}
    group = imgcls.train(spec, {"reported": reported}, runs_dir=tmp_path)
    (row,) = [row for row in group.repeats["reported"] if row["figure"] == "accuracy"]
    assert row["measured"] == pytest.approx(group.repeats["summary"]["accuracy"]["mean"])
    assert "reported_impossible" in {warning["code"] for warning in group.repeats["warnings"]}
    assert all("reported" not in run.metrics for run in group.members)


def test_what_is_remarkable_of_a_result_is_told_once_with_how_often(spec, tmp_path):
    with pytest.raises(DegenerateError):
        imgcls.train(spec, {"lr": 1e-12}, runs_dir=tmp_path, strict=True)
    (group,) = imgcls.list_runs(tmp_path)
    found = {warning["code"]: warning["message"] for warning in group.repeats["warnings"]}
    assert found["not_better_than_majority"].startswith("in 2 of 3 repeats, for instance: accuracy 0.333")


def test_repeats_are_measured_again_one_at_a_time(spec, tmp_path):
    group = imgcls.train(spec, {"repeats": 2, "epochs": 1}, runs_dir=tmp_path)
    with pytest.raises(DataError, match=r"folder of 2 repeats; name one: .*repeat-1"):
        imgcls.evaluate(group)
    assert imgcls.evaluate(group.members[0]).metrics["accuracy"] == group.members[0].metrics["accuracy"]
    assert json.loads(group.path("repeats.json").read_text())["split"] == "test"


def test_a_repeat_leaves_nothing_of_its_network_in_memory(spec, tmp_path):
    import gc

    import keras
    from tensorflow.python.framework import ops

    seen = []

    class Counting(imgcls.Observer):
        def repeating(self, group, number, repeats, seed):
            gc.collect()
            networks = sum(isinstance(each, keras.Model) for each in gc.get_objects())
            registered = sum(name.startswith("CustomGradient") for name in ops.gradient_registry.list())
            seen.append((networks, registered))

    imgcls.train(spec, {"repeats": 4, "epochs": 1}, runs_dir=tmp_path, observer=Counting())
    assert seen[2] == seen[3]


def test_the_spec_of_a_repeat_says_what_its_file_does_not(spec, tmp_path):
    group = imgcls.train(spec, {"repeats": 2, "lr": 0.01, "epochs": 1}, runs_dir=tmp_path)
    first, second = (run.path(runs.SPEC).read_text().splitlines()[0] for run in group.members)
    assert (
        first
        == "# Trained with repeats: 2, lr: 0.01, epochs: 1 over this; resolved.yaml has every value that was in force."
    )
    assert "seed: 8" in second


def test_a_folder_of_repeats_says_that_its_members_have_the_results(spec, tmp_path):
    group = imgcls.train(spec, {"repeats": 2, "epochs": 1}, runs_dir=tmp_path)
    with pytest.raises(DataError, match="folder of repeats, each of them"):
        _ = group.metrics
