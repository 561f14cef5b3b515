"""Repeats: the same experiment with other seeds, in one go, and what they have in common."""

import json
import statistics

import pytest
from photos import make_color_photos

import imgcls
from imgcls import DataError, DegenerateError, RunError, backend
from imgcls.runs import layout

SETTINGS = {
    "resolution": [12, 16],
    "architecture": [{"conv": 2}, "global_average_pool"],
    "lr": 0.005,
    "batch": 8,
    "epochs": 1,
    "seed": 7,
}


@pytest.fixture
def spec(color_photos):
    return SETTINGS | {"data": str(color_photos), "repeats": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("repeats")


@pytest.fixture(scope="module")
def train(folder):
    photos = make_color_photos(folder / "photos")

    def train(**overrides):
        return imgcls.train(SETTINGS | {"data": str(photos)}, overrides, runs_dir=folder, cache_dir=folder / "cache")

    return train


@pytest.fixture(scope="module")
def group(train):
    reported = {"repeats": 3, "accuracy": {"mean": 0.9, "sd": 0.01, "max": 0.99}, "epochs_run": 2}
    return train(repeats=3, reported=reported)


def test_repeats_are_runs_in_one_folder_with_seeds_that_follow(group):
    assert group.status.state == "completed"
    assert [run.name for run in group.members] == ["repeat-1", "repeat-2", "repeat-3"]
    assert [run.environment["seed"] for run in group.members] == [7, 8, 9]
    assert [run.settings["repeats"] for run in group.members] == [1, 1, 1]
    assert group.settings["repeats"] == 3
    manifests = {run.path(layout.MANIFEST).read_text() for run in group.members}
    assert len(manifests) == 1, "repeats share their test images"
    assert len({run.metrics["loss"] for run in group.members}) == 3


def test_the_summary_is_that_of_the_runs(group):
    losses = [run.metrics["loss"] for run in group.members]
    summary = group.repeats["summary"]
    assert summary["loss"] == {
        "mean": pytest.approx(statistics.fmean(losses)),
        "sd": pytest.approx(statistics.stdev(losses)),
        "min": min(losses),
        "max": max(losses),
    }
    assert summary["epochs_run"] == {"mean": 1.0, "sd": 0.0, "min": 1.0, "max": 1.0}
    assert group.repeats["finished"] == 3
    rows = (group.folder / "repeats.csv").read_text().splitlines()
    assert rows[0].startswith("folder,seed,state,accuracy,")
    assert len(rows) == 4


def test_a_repeat_is_the_run_of_its_seed(group, train):
    assert group.members[1].metrics == train(seed=8).metrics


def test_the_spec_of_a_repeat_says_what_its_file_does_not(group):
    first, second = (run.path(layout.SPEC).read_text().splitlines()[0] for run in group.members[:2])
    assert first.startswith("# Trained with repeats: 3, reported: {")
    assert first.endswith("resolved.yaml has every value that was in force.")
    assert "seed: 8" in second


def test_a_folder_of_repeats_says_that_its_members_have_the_results(group):
    with pytest.raises(DataError, match="folder of repeats, each of them"):
        _ = group.metrics


def test_repeats_are_measured_again_one_at_a_time(group, folder):
    with pytest.raises(DataError, match=r"folder of 3 repeats; name one: .*repeat-1"):
        imgcls.evaluate(group)
    again = imgcls.evaluate(group.members[0], cache_dir=folder / "cache").metrics
    assert again["accuracy"] == group.members[0].metrics["accuracy"]
    assert json.loads(group.path("repeats.json").read_text())["split"] == "test"


def test_published_means_are_held_against_the_mean(group):
    (row,) = [row for row in group.repeats["reported"] if row["figure"] == "accuracy"]
    assert row["measured"] == pytest.approx(group.repeats["summary"]["accuracy"]["mean"])
    assert row["measured_sd"] == pytest.approx(group.repeats["summary"]["accuracy"]["sd"])
    assert "reported_impossible" in {warning["code"] for warning in group.repeats["warnings"]}
    assert all("reported" not in run.metrics for run in group.members)


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


def test_a_repeat_that_crashes_has_failed_and_was_not_interrupted(spec, tmp_path):
    class Broken(imgcls.Observer):
        def epoch(self, row):
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        imgcls.train(spec, runs_dir=tmp_path, observer=Broken())
    (group,) = imgcls.list_runs(tmp_path)
    assert [row["state"] for row in group.repeats["runs"]] == ["failed", "not begun", "not begun"]
    assert group.repeats["runs"][0]["message"] == "ValueError: a bug"


def test_pixels_that_all_repeats_share_are_measured_once(spec, tmp_path, monkeypatch):
    backend.start("cpu")
    from imgcls import models

    measured = []
    statistics = models.pixel_statistics
    monkeypatch.setattr(models, "pixel_statistics", lambda *part: measured.append(part) or statistics(*part))
    imgcls.train(spec | {"normalize": "standardize", "repeats": 2}, runs_dir=tmp_path)
    assert len(measured) == 1


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
                Impatient.states = [each["state"] for each in imgcls.Run(self.group.folder).repeats["runs"]]
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imgcls.train(spec, runs_dir=tmp_path, observer=Impatient())
    (group,) = imgcls.list_runs(tmp_path)
    assert Impatient.states == ["completed", "running", "not begun"]
    assert [row["state"] for row in group.repeats["runs"]] == ["completed", "interrupted", "not begun"]
    assert group.repeats["runs"][1]["message"] == "by the user"


def test_what_is_remarkable_of_a_result_is_told_once_with_how_often(spec, tmp_path):
    with pytest.raises(DegenerateError):
        imgcls.train(spec, {"lr": 1e-12}, runs_dir=tmp_path, strict=True)
    (group,) = imgcls.list_runs(tmp_path)
    found = {warning["code"]: warning["message"] for warning in group.repeats["warnings"]}
    assert found["not_better_than_majority"].startswith("in 3 of 3 repeats, for instance: accuracy 0.333")


@pytest.mark.long
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

    imgcls.train(spec, runs_dir=tmp_path, observer=Counting())
    assert seen[1] == seen[2]
