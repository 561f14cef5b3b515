"""Sweeps on a Ray cluster: two nodes on this machine, and a node that sees nothing of it."""

import json
import os
import signal
from importlib.metadata import version
from pathlib import Path

import pytest

import imgcls
from imgcls import RunError
from imgcls.data import Cache
from imgcls.experiment.preparing import load_images_of
from imgcls.files import read_csv
from imgcls.observer import Observer
from imgcls.runs import Run, layout
from imgcls.spec import load_spec
from imgcls.sweep import sweep
from imgcls.sweep.cluster import Agent, unpack
from imgcls.sweep.images import spec_of_request

BASE = {
    "data": "digits",
    "architecture": [{"conv": 4}, {"max_pool": 2}, "flatten"],
    "batch": 64,
    "epochs": 2,
    "precision": "float32",
}


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100_000_000})
    cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
    yield cluster
    cluster.shutdown()


class _KillsAWorker(Observer):
    """Kills the process that trains the second trial, once."""

    def __init__(self):
        self.jobs, self.lost = 0, []

    def sweeping(self, folder, sweep, jobs, finished):
        self.folder, self.jobs = folder, jobs

    def trial_epoch(self, trial, epoch, accuracy):
        if trial.number == 1 and not self.lost:
            (status,) = self.folder.folder.glob("trial-2/status.json")
            os.kill(json.loads(status.read_text())["pid"], signal.SIGKILL)

    def trial_lost(self, trial, why):
        self.lost.append(trial.number)


@pytest.mark.slow
def test_a_sweep_on_two_nodes_loses_nothing_when_a_worker_is_killed(cluster, tmp_path):
    observer = _KillsAWorker()
    given = {"base": BASE, "parameters": {"lr": [0.003, 0.01, 0.03]}, "executor": "ray", "address": cluster.address}
    run = sweep(given, runs_dir=tmp_path / "runs", observer=observer)
    rows = read_csv(run.path(layout.SWEEP_CSV))
    assert [row["state"] for row in rows] == ["completed"] * 3
    assert (observer.jobs, observer.lost) == (2, [1])
    assert sorted(path.name for path in run.folder.glob("trial-*")) == ["trial-1", "trial-2", "trial-3"]
    here = imgcls.train(BASE, {"lr": 0.01, "evaluate_on": "validation", "device": "cpu"}, runs_dir=tmp_path / "here")
    assert float(rows[1]["val_accuracy"]) == pytest.approx(here.metrics["accuracy"], abs=0.01)
    with pytest.raises(RunError, match="no node of the Ray cluster has 5 CPU, which a trial takes"):
        sweep({**given, "cpus": 5}, runs_dir=tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("address", "why"), [("127.0.0.1:1", "refused"), ("ray://head:1", "HOST:PORT or auto")])
def test_without_a_cluster_no_folder_is_made(tmp_path, address, why):
    pytest.importorskip("ray")
    given = {"base": BASE, "parameters": {"lr": [0.01]}, "executor": "ray", "address": address}
    with pytest.raises(RunError, match=rf"no Ray cluster at {address}: .*{why}.*ray start --head"):
        sweep(given, runs_dir=tmp_path / "runs")
    assert not list((tmp_path / "runs").glob("*"))


@pytest.mark.long
def test_a_node_that_sees_neither_folder_nor_images_is_sent_the_ones_and_sends_the_other(color_photos, tmp_path):
    loaded = load_spec({**BASE, "data": str(color_photos), "resolution": 8, "evaluate_on": "validation"})
    elsewhere = tmp_path / "elsewhere"
    agent = Agent(0, 1, elsewhere, "name: colours\n", tmp_path / "no-photos", version("imgcls"))
    order = {"spec": loaded.value, "base": "/nowhere", "folder": str(elsewhere / "trial-1"), "cache_dir": "/nowhere"}
    agent.send({**order, "point": {}, "asks": False})
    asked = 0
    for message in agent.listen():
        if "images" in message:
            spec = spec_of_request(message["images"], loaded.spec)
            agent.take_images(load_images_of(spec, loaded.base, Cache(None), Observer()))
            asked += 1
        if "end" in message:
            break
    assert (message["end"], asked) == ("completed", 1)
    unpack(message["files"], tmp_path)
    agent.end()
    agent.join()
    assert Run(tmp_path / "trial-1").status.state == "completed"
    assert Run(tmp_path / "trial-1").metrics["split"] == "validation"
    assert not agent.scratch.exists()
    assert not elsewhere.exists()


def test_images_that_cannot_be_sent_fail_the_trial(tmp_path):
    agent = Agent(0, 1, Path("/elsewhere"), "", None, version("imgcls"))
    agent.send({"spec": BASE, "base": "/", "folder": "/elsewhere/trial-1", "point": {}, "asks": False})
    for message in agent.listen():
        if "images" in message:
            agent.send({"refused": "the photos are gone"})
        if "end" in message:
            break
    assert (message["end"], message["message"]) == ("failed", "the photos are gone")
    agent.end()
    agent.join()


def test_a_node_with_another_version_is_refused():
    with pytest.raises(RunError, match=r"a node has imgcls .*, the sweep was started with 0\.0\.0"):
        Agent(0, 1, Path("/elsewhere"), "", None, "0.0.0")
