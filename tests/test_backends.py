"""Keras on TensorFlow, JAX and PyTorch: the same training, up to rounding, and the same run folder."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from imgcls import backend
from imgcls.backend.choosing import INSTALLED_BY
from imgcls.backend.starting import STARTERS
from imgcls.environment import describe_environment
from imgcls.errors import RunError, SpecError
from imgcls.experiment import describing, evaluating, preparing
from imgcls.recording import Clock
from imgcls.runs import Run
from imgcls.spec import Spec, load_spec

FOLDER = Path(__file__).parent
OTHERS = ["jax", "torch"]
SPEC = {
    "data": "digits",
    "resolution": 8,
    "augmentation": {"rotation": 10},
    "architecture": [{"conv": 4}, "batch_norm", "flatten", {"dropout": 0.2}],
    "optimizer": {"name": "adam", "ema_momentum": 0.9},
    "batch": 256,
    "epochs": 2,
    "precision": "float32",
    "device": "cpu",
}

# Trains from given weights, a whole run twice, and one that is interrupted within an epoch and gone on with; what it
# prints is read as JSON.
PROGRAM = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_backends import SPEC, final_weights
import numpy as np
import imgcls
from imgcls.experiment.evaluating import evaluate

class Stops(imgcls.Observer):
    def batch(self, epoch, step, steps, loss, accuracy):
        if epoch == 2:
            raise KeyboardInterrupt

name, folder = sys.argv[1:3]
spec = SPEC | {"backend": name}
runs = [imgcls.train(spec, runs_dir=folder) for _ in range(2)]
try:
    imgcls.train(spec, runs_dir=f"{folder}/stopped", observer=Stops())
except KeyboardInterrupt:
    (stopped,) = imgcls.list_runs(Path(folder, "stopped"))
resumed = imgcls.resume(stopped)
again = evaluate(runs[0])
np.savez(f"{folder}/weights.npz", *final_weights(name))
print(json.dumps({
    "runs": [str(run.folder) for run in runs],
    "resumed": str(resumed.folder),
    "evaluated": again.metrics["accuracy"],
    "tensorflow": "tensorflow" in sys.modules,
}))
"""


def final_weights(name):
    """Return what three epochs make of a network whose first weights do not come from the backend."""
    backend.start("cpu", name)
    import keras

    from imgcls.augmentation.applying import augmenting_model
    from imgcls.models import build_network
    from imgcls.training.assembling import StageParts
    from imgcls.training.feed import TrainingFeed
    from imgcls.training.loop import train_network

    class Nobody:
        def batch(self, *told):
            pass

        epoch = stage = batch

        def stepping(self):
            return nullcontext()

    layers = [{"conv": 4}, "max_pool", "flatten", {"dense": 16}]
    optimizer = {"name": "sgd", "ema_momentum": 0.8}
    changed = {"architecture": layers, "backend": name, "optimizer": optimizer, "batch": 32, "epochs": 3}
    rates = {"initial": 0.1, "schedule": "cosine"}  # other ones in every epoch
    spec = load_spec(SPEC | changed | {"lr": rates}).spec.completed()
    draw = np.random.default_rng(0)
    images, labels = draw.integers(0, 256, (100, 8, 8, 1), dtype=np.uint8), draw.integers(0, 10, 100, dtype=np.int32)
    network = build_network(spec, (8, 8, 1), 10, None)
    network.set_weights([draw.normal(0, 0.2, weight.shape) for weight in network.get_weights()])
    feed = TrainingFeed(spec, lambda _: images, np.arange(100), labels, 10)
    trainer = augmenting_model(spec.augmentation, network, (8, 8, 1))
    train_network(spec, network, lambda *_: StageParts(trainer, feed, None, flops=1), Nobody())
    assert keras.backend.backend() == name
    return network.get_weights()


def in_a_new_process(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True, text=True, check=False, timeout=300, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture(scope="module", params=OTHERS)
def trained(request, tmp_path_factory):
    """Return what the program says, and its folder."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    done = in_a_new_process("-c", PROGRAM, request.param, str(folder), str(FOLDER), IMGCLS_CACHE=str(folder / "cache"))
    assert done.returncode == 0, done.stderr
    return request.param, json.loads(done.stdout.splitlines()[-1]), folder


def test_a_run_on_another_backend_repeats_to_the_bit_without_tensorflow(trained):
    name, told, _ = trained
    first, second = (Run(Path(folder)) for folder in told["runs"])
    assert not told["tensorflow"]
    assert first.status.state == "completed"
    assert first.path("predictions.csv").read_text() == second.path("predictions.csv").read_text()
    assert told["evaluated"] == first.metrics["accuracy"]
    assert first.environment["backend"] == name
    assert first.environment["versions"][name]
    assert "tensorflow" not in first.environment["versions"]
    assert first.environment["deterministic"] is True


def test_what_goes_on_within_an_epoch_on_another_backend_ends_as_what_was_not_interrupted(trained):
    _, told, _ = trained
    whole, resumed = Run(Path(told["runs"][0])), Run(Path(told["resumed"]))
    assert [each["epochs"] for each in resumed.environment["resumed"]] == [1]
    assert resumed.path("predictions.csv").read_text() == whole.path("predictions.csv").read_text()
    assert resumed.metrics == whole.metrics
    histories = [run.history.drop(columns="seconds").to_dict() for run in (resumed, whole)]
    assert histories[0] == histories[1]


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="tensorflow is not installed")
def test_another_backend_trains_to_the_weights_of_tensorflow_and_its_model_is_read_there(trained):
    _, told, folder = trained
    with np.load(folder / "weights.npz") as weights:
        for ours, theirs in zip(final_weights("tensorflow"), weights.values(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
    run = as_tensorflow(Run(Path(told["runs"][0])))
    again = evaluating.evaluate(run, cache_dir=folder / "cache")
    written = run.predictions.iloc[:, 4:].to_numpy()
    np.testing.assert_allclose(again.predictions.probabilities, written, atol=1e-5)


def as_tensorflow(run):
    """Return a run as if it had been trained on TensorFlow."""
    run.path("SHA256SUMS").unlink()
    path = run.path("resolved.yaml")
    path.write_text(path.read_text().replace(f"backend: {run.environment['backend']}", "backend: tensorflow"))
    return run


def test_the_spec_names_the_backends_there_are():
    assert set(get_args(Spec.model_fields["backend"].annotation)) == set(STARTERS) == set(INSTALLED_BY)
    assert load_spec({"data": "digits"}).spec.backend == "tensorflow"
    with pytest.raises(SpecError, match="backend"):
        load_spec({"data": "digits", "backend": "theano"})
    with pytest.raises(SpecError, match="distribute"):
        load_spec({"data": "digits", "backend": "jax", "distribute": "mirrored"})


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="tensorflow is not installed")
def test_a_process_that_has_keras_on_one_backend_says_that_it_cannot_change(tmp_path):
    backend.start("cpu")
    loaded = load_spec({**SPEC, "backend": "jax"})
    with pytest.raises(RunError, match=r"backend: jax: this process has loaded Keras on tensorflow .*start a new one"):
        preparing.prepare(loaded, tmp_path, None, Clock())
    with pytest.raises(RunError, match="backend: jax"):
        describing.describe_network(loaded)


def test_evaluate_takes_the_backend_that_the_run_was_trained_with(monkeypatch):
    chosen = []

    def choose(name):
        chosen.append(name)
        raise RunError("as far as this test goes")

    monkeypatch.setattr(evaluating, "refuse_groups", lambda run: None)
    monkeypatch.setattr(evaluating, "resolved_spec", lambda run: load_spec({**SPEC, "backend": "torch"}).spec)
    monkeypatch.setattr(Run, "metrics", {})
    monkeypatch.setattr(backend, "choose", choose)
    with pytest.raises(RunError):
        evaluating.evaluate(Run(Path("nowhere")))
    assert chosen == ["torch"]


@pytest.mark.parametrize("name", OTHERS)
def test_a_backend_that_is_not_installed_is_told_with_what_installs_it(name, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setattr("imgcls.backend.choosing.find_spec", lambda name: None)
    with pytest.raises(RunError) as told:
        backend.choose(name)
    assert str(told.value) == f"backend: {name} needs {name}: pip install 'imgcls[{name}]'"


def test_the_spec_overrules_the_environment_and_says_so(monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setattr("imgcls.backend.choosing.is_installed", lambda name: True)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    finding = backend.choose("tensorflow")
    assert finding.code == "keras_backend_overruled"
    assert "KERAS_BACKEND=jax" in finding.message
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    assert backend.choose("tensorflow") is None


@pytest.mark.parametrize(("kind", "text"), [
    ("ResourceExhaustedError", "OOM when allocating tensor"),
    ("JaxRuntimeError", "RESOURCE_EXHAUSTED: Out of memory allocating 17 bytes"),
    ("OutOfMemoryError", "CUDA out of memory"),
    ("RuntimeError", "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 17 bytes"),
])  # fmt: skip
def test_running_out_of_memory_is_told_on_every_backend(kind, text):
    with pytest.raises(RunError, match="out of memory"), backend.memory_is_told():
        raise type(kind, (RuntimeError,), {})(text)


@pytest.mark.parametrize("kind", ["JaxRuntimeError", "RuntimeError"])
def test_another_failure_of_a_backend_stays_what_it_is(kind):
    failure = type(kind, (RuntimeError,), {})("INVALID_ARGUMENT")
    with pytest.raises(RuntimeError, match="INVALID_ARGUMENT"), backend.memory_is_told():
        raise failure


def test_the_environment_and_the_rounding_name_the_backend():
    device = backend.Device("gpu", "a card", 2, backend="torch", deterministic=False)
    told = describe_environment(device, precision="float32", precision_reason="", seed=0, base=FOLDER)
    assert (told["backend"], told["deterministic"]) == ("torch", False)
    assert {"torch"} == set(told["versions"]) & {"torch", "jax", "tensorflow"}
    assert device.rounding == "a card, 2 threads, torch"
    assert backend.Device("cpu", "a processor", 2).rounding == "a processor, 2 threads"
