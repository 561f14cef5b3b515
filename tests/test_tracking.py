"""What TensorBoard and MLflow are told, read back through their own libraries."""

import io
import time

import pytest
from PIL import Image

import imgcls
from imgcls import RunError
from imgcls.observer import Observer
from imgcls.runs import layout
from imgcls.spec import load_spec
from imgcls.spec.sweep import ParameterSpec
from imgcls.sweep import sweep
from imgcls.tracking import TRACKERS, open_tracker, require_tracker
from imgcls.tracking.tensorboard import SweepSession, write_experiment

BASE = {"data": "digits", "architecture": [{"conv": 4}, "flatten"], "batch": 64, "epochs": 2, "lr": 0.01}


def events(folder):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    loaded = accumulators.EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0, "images": 0})
    return loaded.Reload()


def scalars(found, tag):
    from tensorboard.util.tensor_util import make_ndarray

    return [(event.step, float(make_ndarray(event.tensor_proto))) for event in found.Tensors(tag)]


def sessions(found):
    """Return what the HParams page reads of a run: its settings, and how it ended."""
    from tensorboard.plugins.hparams import metadata

    plugin = found.summary_metadata
    start = metadata.parse_session_start_info_plugin_data(plugin[metadata.SESSION_START_INFO_TAG].plugin_data.content)
    end = metadata.parse_session_end_info_plugin_data(plugin[metadata.SESSION_END_INFO_TAG].plugin_data.content)
    kinds = {name: value.WhichOneof("kind") for name, value in start.hparams.items()}
    return {name: getattr(start.hparams[name], kind) for name, kind in kinds.items()}, end.status


def test_a_run_is_in_tensorboard_as_it_is_in_its_folder(tmp_path):
    run = imgcls.train(BASE, {"tracking": "tensorboard"}, runs_dir=tmp_path)
    found = events(run.folder)
    history = run.history
    assert scalars(found, "val_accuracy") == [
        (epoch, pytest.approx(value)) for epoch, value in zip(history.epoch, history.val_accuracy, strict=True)
    ]
    assert scalars(found, "test/accuracy") == [(2, pytest.approx(run.metrics["accuracy"]))]
    (matrix,) = found.Images("test/confusion_matrix")
    assert matrix.encoded_image_string == run.path(layout.CONFUSION_PNG).read_bytes()
    (samples,) = found.Images("test/predictions")
    assert Image.open(io.BytesIO(samples.encoded_image_string)).size == (samples.width, samples.height)
    settings, status = sessions(found)
    assert (settings["lr.initial"], settings["optimizer.name"]) == (0.01, "adam")
    assert status == 1  # success


@pytest.mark.long
def test_a_sweep_is_a_table_of_its_values_and_objectives(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.plugins.hparams import metadata

    parameters = {"optimizer": ["adam", "sgd"], "augmentation": ["none"]}
    run = sweep({"base": BASE, "parameters": parameters, "jobs": 1}, {"epochs": 1}, runs_dir=tmp_path)
    (plugin,) = events(run.folder).summary_metadata.values()
    experiment = metadata.parse_experiment_plugin_data(plugin.plugin_data.content)
    assert [info.name for info in experiment.hparam_infos] == ["optimizer", "augmentation"]
    assert [info.name.tag for info in experiment.metric_infos] == ["objective/val_accuracy"]
    for trial, optimizer in (("trial-1", "adam"), ("trial-2", "sgd")):
        found = events(run.path(trial))
        assert sessions(found) == ({"optimizer": optimizer, "augmentation": "none"}, 1)
        accuracy = imgcls.Run(run.path(trial)).metrics["accuracy"]
        assert scalars(found, "objective/val_accuracy") == [(0, pytest.approx(accuracy))]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((None, 3, 5), ["none", "3", "5"]),
        ((1, 0.5), [1.0, 0.5]),
        ((True, False), [True, False]),
        ((True, 2), ["true", "2"]),
        (("a", [1, 2]), ["a", "[1, 2]"]),
    ],
)
def test_each_trial_of_mixed_values_is_among_those_that_its_sweep_announces(tmp_path, values, shown):
    pytest.importorskip("tensorboard")
    from tensorboard.plugins.hparams import metadata

    parameters = {"early_stopping": ParameterSpec(values=values)}
    write_experiment(imgcls.Run(tmp_path), parameters, ["val_accuracy"])
    (plugin,) = events(tmp_path).summary_metadata.values()
    (info,) = metadata.parse_experiment_plugin_data(plugin.plugin_data.content).hparam_infos
    announced = [getattr(value, value.WhichOneof("kind")) for value in info.domain_discrete.values]
    trials = []
    for number, value in enumerate(values):
        run = imgcls.Run(tmp_path / f"trial-{number}")
        SweepSession(run, parameters, {"early_stopping": value}).end({}, completed=True)
        trials.append(sessions(events(run.folder))[0]["early_stopping"])
    assert trials == shown
    assert {*announced} == {*shown}


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # MLflow's and its database's own
def test_mlflow_has_settings_figures_and_files(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    run = imgcls.train(BASE, {"tracking": "mlflow"}, runs_dir=tmp_path / "runs")
    client = MlflowClient()
    experiment = client.get_experiment_by_name("imgcls")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["optimizer.name"] == "adam"
    assert found.data.metrics["test_accuracy"] == pytest.approx(run.metrics["accuracy"])
    assert [metric.step for metric in client.get_metric_history(found.info.run_id, "val_accuracy")] == [1, 2]
    assert "confusion_matrix.png" in [file.path for file in client.list_artifacts(found.info.run_id)]


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_an_mlflow_server_that_does_not_answer_is_told_before_the_training_and_soon(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    for name in ("MAX_RETRIES", "TIMEOUT"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "")  # so that what is set is undone afterwards
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(RunError, match="tracking: mlflow: "):
        imgcls.train(BASE, {"tracking": "mlflow"}, runs_dir=tmp_path / "runs")
    assert time.monotonic() - began < 60
    (tmp_path / "file").touch()
    for address in (f"sqlite:///{tmp_path}/file/mlflow.db", "http://[no"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(RunError, match="tracking: mlflow: "):
            imgcls.train(BASE, {"tracking": "mlflow"}, runs_dir=tmp_path / "runs")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_a_run_gone_on_with_is_the_same_run_in_mlflow(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    class Stops(Observer):
        def epoch(self, row):
            raise KeyboardInterrupt

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        imgcls.train(BASE, {"tracking": "mlflow"}, runs_dir=tmp_path / "runs", observer=Stops())
    client = MlflowClient()
    experiment = client.get_experiment_by_name("imgcls")
    (begun,) = client.search_runs([experiment.experiment_id])
    assert begun.info.status == "FAILED"
    (folder,) = (tmp_path / "runs").glob("2*")
    imgcls.resume(imgcls.Run(folder))
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_id, found.info.status) == (begun.info.run_id, "FINISHED")
    assert {metric.step for metric in client.get_metric_history(found.info.run_id, "val_accuracy")} == {1, 2}


class Refuses:
    """A tracker that fails from some call on, and counts how often it was told anything."""

    def __init__(self, after):
        self.after, self.calls = after, 0

    def _told(self):
        self.calls += 1
        if self.calls > self.after:
            raise ConnectionError("quota used up\nmore")

    def epoch(self, row):
        self._told()

    def result(self, result):
        self._told()

    def close(self, *, completed):
        self._told()


class Hears(Observer):
    def __init__(self):
        self.findings = []

    def remarked(self, findings):
        self.findings += findings


@pytest.mark.parametrize("after", [0, 2, 3])  # fails at the first epoch, at the result, at the close
def test_a_tracker_that_fails_is_told_once_and_ends_no_training(tmp_path, monkeypatch, after):
    tracker, observer = Refuses(after), Hears()
    monkeypatch.setitem(TRACKERS, "mlflow", ("json", lambda spec, run: tracker))
    run = imgcls.train(BASE, {"tracking": "mlflow"}, runs_dir=tmp_path, observer=observer)
    assert run.status.state == "completed"
    assert tracker.calls == after + 1
    (lost,) = [finding for finding in observer.findings if finding.code == "tracking_lost"]
    assert lost.message.startswith("tracking: mlflow: quota used up; ")


def test_a_tracker_that_fails_as_it_is_closed_hides_no_signal(tmp_path, monkeypatch):
    monkeypatch.setitem(TRACKERS, "mlflow", ("json", lambda spec, run: Refuses(0)))
    spec, found = load_spec(BASE, {"tracking": "mlflow"}).spec, []
    with pytest.raises(KeyboardInterrupt), open_tracker(spec, imgcls.Run(tmp_path), found.append):
        raise KeyboardInterrupt
    assert [finding.code for finding in found] == ["tracking_lost"]


def test_a_tracker_that_is_not_installed_is_told_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr("imgcls.tracking.opening.find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"pip install 'imgcls\[mlflow\]'"):
        require_tracker("mlflow")
    with pytest.raises(RunError, match="tracking: tensorboard is not installed"):
        imgcls.train(BASE, {"tracking": "tensorboard"}, runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
