"""Several replicas and several workers train what one process does, and one run folder comes of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from rich.console import Console

import imgcls
from imgcls.backend import Cluster, Distribution, find_cluster, meeting
from imgcls.backend.device import Device
from imgcls.errors import RunError, SpecError
from imgcls.runs import Run, scratch_run
from imgcls.spec import load_spec
from imgcls.training.distributed import SlicedFeed, parts_of_batch
from imgcls.training.feed import TrainingFeed

SPEC = {
    "data": {"source": "digits", "limit": {"train": 99}},  # of the last batch's two parts, one is smaller than before
    "resolution": 8,
    "augmentation": {"rotation": 10},
    # no relu behind the batch norm: at its edge, rounding decides
    "architecture": [
        {"conv": {"filters": 4, "bias": False, "activation": "none"}}, "batch_norm", "elu", "flatten",
        {"dense": {"units": 8, "l2": 1e-2, "activation": "elu"}},
    ],
    "optimizer": {"name": "sgd", "momentum": 0.9, "clipnorm": 1.0, "ema_momentum": 0.9},
    "lr": 0.1,
    "batch": 20,
    "epochs": 3,
    "precision": "float32",
    "device": "cpu",
    "early_stopping": 5,
}  # fmt: skip

# Trains a spec over three logical processors, after another one, as in a notebook; where so told it is ended after an
# epoch and gone on with.
MIRRORED = """
import json, sys
from pathlib import Path
import tensorflow as tf
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 3)
import imgcls
spec = json.loads(sys.argv[1]) | {"distribute": "mirrored"}
imgcls.train(spec | {"architecture": ["flatten"], "epochs": 1, "stages": []}, runs_dir=sys.argv[2])
class Stops(imgcls.Observer):
    def epoch(self, row):
        if str(row.epoch) == sys.argv[3]:
            raise KeyboardInterrupt
try:
    run = imgcls.train(spec, runs_dir=sys.argv[2], observer=Stops())
except KeyboardInterrupt:
    run = imgcls.resume(imgcls.list_runs(Path(sys.argv[2]))[-1])
print(run.folder)
"""


def assert_same_training(run, other):
    """Hold the histories and the saved weights of two runs against each other."""
    np.testing.assert_allclose(
        run.history.drop(columns="seconds").to_numpy(float), other.history.drop(columns="seconds").to_numpy(float),
        atol=1e-5,
    )  # fmt: skip
    for ours, theirs in zip(run.model().get_weights(), other.model().get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    probabilities = [each.predictions.iloc[:, 4:].to_numpy() for each in (run, other)]
    np.testing.assert_allclose(*probabilities, atol=1e-4)


def over_three_devices(spec, tmp_path, ended_after="never"):
    """The run of a spec over three logical processors, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, json.dumps(spec), str(tmp_path / "runs"), ended_after],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Run(done.stdout.splitlines()[-1])


@pytest.mark.long
@pytest.mark.parametrize(
    "images", [pytest.param(99, marks=pytest.mark.slow), 101]
)  # parts of 6, 7 and 7; at last of 6, 6 and 7, or of a single image
def test_mirrored_over_three_devices_trains_as_one_does(tmp_path, images):
    spec = SPEC | {"data": {"source": "digits", "limit": {"train": images}}}
    mirrored = over_three_devices(spec, tmp_path)
    assert (mirrored.environment["replicas"], mirrored.environment["workers"]) == (3, 1)
    assert_same_training(mirrored, imgcls.train(spec, runs_dir=tmp_path / "runs"))


@pytest.mark.slow
def test_what_goes_on_between_epochs_over_three_devices_ends_as_what_was_not_interrupted(tmp_path):
    whole, resumed = over_three_devices(SPEC, tmp_path), over_three_devices(SPEC, tmp_path, ended_after="2")
    assert [each["epochs"] for each in resumed.environment["resumed"]] == [1]
    assert resumed.path("predictions.csv").read_text() == whole.path("predictions.csv").read_text()
    for ours, theirs in zip(resumed.model().get_weights(), whole.model().get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_stages_of_a_backbone_whose_frozen_layers_are_stored_train_so_too(tmp_path):
    backbone = {"backbone": "mobilenet", "weights": "none", "cut": "conv_dw_2_relu", "batch_norm": "frozen"}
    stages = [{"epochs": 2}, {"epochs": 1, "trainable": "all"}]
    spec = SPEC | {"architecture": backbone, "resolution": 32, "color": "rgb", "augmentation": "none", "stages": stages}
    mirrored, alone = over_three_devices(spec, tmp_path), imgcls.train(spec, runs_dir=tmp_path / "runs")
    assert [stage["epochs_run"] for stage in mirrored.metrics["stages"]] == [2, 1]
    assert_same_training(mirrored, alone)


def free_ports(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start_workers(tmp_path, spec):
    """Start two workers of ``imgcls train``, each in a working folder of its own."""
    (tmp_path / "spec.yaml").write_text(json.dumps(spec | {"distribute": "multi_worker"}))
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    workers = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        workers.append(subprocess.Popen(
            [sys.executable, "-m", "imgcls_cli", "train", "spec.yaml", "--runs-dir", "runs"],
            cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "TF_CONFIG": json.dumps(config), "TMPDIR": str(tmp_path)},
        ))  # fmt: skip
    return workers


@pytest.mark.long
def test_two_workers_train_as_one_process_does_and_write_one_run(tmp_path):
    workers = start_workers(tmp_path, SPEC)
    (told, progress), (told_by_other, progress_of_other) = (worker.communicate(timeout=300) for worker in workers)
    assert [worker.returncode for worker in workers] == [0, 0], (progress, progress_of_other)
    [folder] = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    assert told.splitlines()[-1] == f"runs/{folder.name}"
    assert "2 in 2 processes, 20 images a batch in all" in progress
    assert told_by_other == ""
    assert progress_of_other == "worker    1 of 2: worker 0 tells how it goes and writes the run\n"
    assert not list(tmp_path.glob("imgcls-worker-*"))
    run = Run(folder)
    assert (run.environment["replicas"], run.environment["workers"]) == (2, 2)
    assert_same_training(run, imgcls.train(SPEC, runs_dir=tmp_path / "alone"))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_whose_fellow_is_killed_says_so_and_ends(tmp_path, rank):
    workers = start_workers(tmp_path, SPEC | {"epochs": 5000, "early_stopping": "none"})
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("runs/*/history.csv")) and time.monotonic() < deadline:
            time.sleep(0.5)
        workers[rank].send_signal(signal.SIGKILL)
        _, said = workers[1 - rank].communicate(timeout=90)
        assert workers[1 - rank].returncode == 1
        assert "error: another worker has ended or cannot be reached" in said
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def config(cluster, **task):
    return json.dumps({"cluster": cluster, "task": task})


@pytest.mark.parametrize(("text", "told"), [
    (None, "TF_CONFIG is not set"),
    ("{", "is no JSON"),
    ("[]", "has no cluster, or no task"),
    (config({"worker": ["a:1"]}), "task index None"),
    (config({"worker": ["a:1", "b:1"]}, type="worker", index=2), "worker 2, and the cluster has worker 0, worker 1"),
    (config({"worker": ["a:1"]}, type="evaluator", index=0), "this is evaluator 0"),
    (config({"worker": ["a:1"], "ps": ["b:1"]}, type="worker", index=0), "has the job ps"),
    (config({"worker": ["a"]}, type="worker", index=0), "the address 'a': host:port is accepted"),
    (config({"worker": ["a:1", "a:1"]}, type="worker", index=0), "names one address twice"),
    (config({"worker": "a:1"}, type="worker", index=0), "has no list as its worker"),
    (config({}, type="worker", index=0), "names no worker"),
])  # fmt: skip
def test_a_fault_of_tf_config_is_told_before_anything_is_done(text, told, monkeypatch, tmp_path):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(RunError, match="distribute: multi_worker: TF_CONFIG") as error:
        imgcls.train(SPEC | {"distribute": "multi_worker"}, runs_dir=tmp_path / "runs")
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "runs").exists()


def test_a_chief_counts_as_the_first_worker_and_others_need_no_tf_config(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, type="worker", index="1"))
    assert find_cluster("multi_worker") == Cluster(("a:1", "b:1", "c:1"), 2)
    assert find_cluster("mirrored") == find_cluster("none") == Cluster()


def meet(addresses, rank, plan, patience_s=10.0):
    """Return what a worker says in the end; nothing where all is well."""
    try:
        with meeting(Cluster(addresses, rank), patience_s) as workers:
            workers.agree(plan)
    except RunError as error:
        return str(error)
    return ""


def meet_all(plans, host="localhost"):
    addresses = tuple(f"{host}:{port}" for port in free_ports(len(plans)))
    with ThreadPoolExecutor(len(plans)) as pool:
        return addresses, list(pool.map(lambda rank: meet(addresses, rank, plans[rank]), range(len(plans))))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_workers_of_one_plan_meet(host):
    if host == "[::1]" and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    assert meet_all([{"lr": "0.1"}] * 3, host)[1] == ["", "", ""]


def test_workers_of_two_plans_all_hear_where_these_differ():
    addresses, told = meet_all([{"lr": "0.1"}, {"lr": "0.1"}, {"lr": "0.2"}])
    expected = f"worker 2 ({addresses[2]}) is to train something else than worker 0 ({addresses[0]}): its lr is 0.2"
    assert [each.startswith(expected) for each in told] == [True] * 3


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_is_not_there_is_named_in_time(rank):
    addresses = tuple(f"localhost:{port}" for port in free_ports(2))
    begun = time.monotonic()
    told = meet(addresses, rank, {}, patience_s=0.5)
    assert told == f"worker {1 - rank} ({addresses[1 - rank]}) did not answer within 0 s: is it started?"
    assert time.monotonic() - begun < 5


def test_a_worker_that_ends_while_the_others_wait_is_told():
    addresses = tuple(f"localhost:{port}" for port in free_ports(2))
    is_found = Event()

    def leave():
        with meeting(Cluster(addresses, 1)):
            is_found.wait(10)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(leave)
        with meeting(Cluster(addresses, 0)) as workers:
            is_found.set()
            with pytest.raises(RunError, match=rf"worker 1 \({addresses[1]}\) has ended before the training began"):
                workers.agree({})


def test_an_address_that_is_taken_is_told():
    with socket.create_server(("", 0)) as taken:
        address = f"localhost:{taken.getsockname()[1]}"
        told = meet((address, "localhost:1"), 0, {})
    assert told == f"worker 0 ({address}): cannot listen there: Address already in use"


@pytest.mark.parametrize(("count", "replicas", "sizes"), [
    (20, 3, [6, 7, 7]), (3, 3, [1, 1, 1]), (2, 3, [2, 2, 2]), (7, 1, [7]),
])  # fmt: skip
def test_a_batch_is_cut_evenly_and_no_part_is_empty(count, replicas, sizes):
    parts = parts_of_batch(100, 100 + count, replicas)
    assert [part.stop - part.start for part in parts] == sizes
    assert (parts[0].start, parts[-1].stop) == (100, 100 + count)


def sliced(rank, replicas=3, count=11, **settings):
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 2, 1))
    spec = load_spec({"data": "digits", "batch": 9, **settings}).spec.completed()
    feed = TrainingFeed(spec, lambda epoch: images, np.arange(count), np.arange(count, dtype=np.int32) % 4, 4)
    return SlicedFeed(feed, Distribution(replicas, replicas, rank))


@pytest.mark.parametrize("imbalance", ["none", "class_weights"])
def test_the_parts_of_all_workers_weigh_as_the_batch_does(imbalance):
    values = np.arange(11.0)  # stand for the losses of the images
    parts = zip(*(sliced(rank, imbalance=imbalance).parts(1) for rank in range(3)), strict=True)
    for step, batch in zip(parts, sliced(0, imbalance=imbalance).feed.batches(1), strict=True):
        images, _, weights = batch
        expected = np.mean(values[images[:, 0, 0, 0]] * weights)
        losses = [np.mean(values[images[:, 0, 0, 0]] * weights) / 3 for images, _, weights, _ in step]
        assert sum(losses) == pytest.approx(expected)
        assert {float(total) for *_, total in step} == {len(images)}


def test_mixed_images_have_the_labels_of_their_partners_in_the_same_part():
    for inputs, labels, _, _ in sliced(1, augmentation={"mixup": 1.0}).parts(1):
        own = np.eye(4)[inputs["image"][:, 0, 0, 0] % 4]
        share = inputs["blend"][:, None]
        np.testing.assert_allclose(labels, share * own + (1 - share) * np.roll(own, -1, axis=0), atol=1e-6)


def test_float16_is_refused_over_several_devices():
    with pytest.raises(SpecError, match="float16"):
        load_spec({"data": "digits", "precision": "float16", "distribute": "mirrored"})


def test_mirrored_on_a_single_device_simply_trains(tmp_path):
    run = imgcls.train(SPEC | {"distribute": "mirrored", "epochs": 1}, runs_dir=tmp_path / "runs")
    assert run.status.state == "completed"
    assert run.environment["replicas"] == 1


def test_only_the_first_worker_tells_how_it_goes():
    from imgcls_cli.live import TerminalObserver

    spec = load_spec(SPEC | {"distribute": "multi_worker"}).spec
    told = []
    for rank in range(2):
        console = Console(width=100)
        with console.capture() as shown, TerminalObserver(console) as observer:
            observer.joined(rank, 2)
            observer.started(spec, Run("runs/a"), Device("cpu", "a processor", 2, replicas=2, workers=2), 10)
            observer.batch(1, 1, 2, 0.5, 0.5)
            observer.warn("a warning")
        told.append(shown.get().splitlines())
    assert "replicas  2 in 2 processes, 20 images a batch in all" in told[0]
    assert told[1] == ["worker    1 of 2: worker 0 tells how it goes and writes the run", "warning: a warning"]


def test_the_run_of_a_worker_that_is_not_the_first_goes_with_the_process():
    program = "from imgcls.runs import scratch_run; run = scratch_run(); print(run.folder, run.folder.is_dir())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    folder, was_there = done.stdout.split()
    assert was_there == "True"
    assert not Path(folder).exists()
    assert not scratch_run().is_kept
