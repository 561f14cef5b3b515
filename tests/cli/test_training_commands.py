"""``train``, ``evaluate`` and ``model`` as the shell runs them."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from run_folders import make_run

from imgcls.runs import Run

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
TINY = ["-s", "epochs=1", "-s", "data.limit.train=200", "-s", "architecture=[flatten]"]
NOISE = ("oneDNN", "cuda", "CUDA", "absl", "cpu_feature_guard", "E0000", "I0000", "W0000", "UserWarning")


def test_the_quickstart_reaches_its_accuracy_and_ends_with_the_folder(imgcls_process, tmp_path):
    done = imgcls_process("train", QUICKSTART, "--runs-dir", tmp_path / "runs")

    assert done.code == 0, done.err
    run = Run(done.out.splitlines()[-1])
    assert run.folder.parent == tmp_path / "runs"
    assert run.metrics["accuracy"] > 0.95
    assert not [word for word in NOISE if word in done.err]
    epochs = [line for line in done.err.splitlines() if "/20 " in line]
    assert len(epochs) == 20
    assert "accuracy" in done.out


@pytest.mark.long
def test_two_processes_get_the_same_weights_and_figures(imgcls_process, tmp_path):
    augmented = [*TINY, "-s", "augmentation.rotation=10", "-s", "seed=7"]
    folders = [
        imgcls_process("train", QUICKSTART, *augmented, "--runs-dir", tmp_path).out.splitlines()[-1] for _ in "12"
    ]
    first, second = (Run(folder) for folder in folders)

    assert first.metrics == second.metrics
    assert first.path("predictions.csv").read_bytes() == second.path("predictions.csv").read_bytes()
    assert first.history.drop(columns="seconds").equals(second.history.drop(columns="seconds"))
    pairs = zip(first.model().get_weights(), second.model().get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_options_of_train_are_values_of_the_spec(imgcls, tmp_path):
    done = imgcls(
        "train", QUICKSTART, *TINY, "--runs-dir", tmp_path, "--name", "mine", "--seed", "3", "--device", "cpu"
    )
    run = Run(done.out.splitlines()[-1])
    assert run.name.endswith("_mine")
    assert (run.settings["seed"], run.settings["device"]) == (3, "cpu")


def test_repeats_end_with_their_table_also_where_one_fails(imgcls, tmp_path):
    done = imgcls("train", QUICKSTART, *TINY, "--repeats", "2", "--runs-dir", tmp_path)
    group = Run(done.out.splitlines()[-1])
    assert [run.settings["seed"] for run in group.members] == [0, 1]
    assert " sd " in done.out

    failing = ["-s", "optimizer.name=sgd", "-s", "lr=1e38", "-s", "optimizer.weight_decay=1.0"]
    failed = imgcls("train", QUICKSTART, *TINY, *failing, "--repeats", "2", "--runs-dir", tmp_path)
    assert failed.code == 1
    assert "2 of 2 repeats failed" in failed.err
    assert "failed" in failed.out


def test_evaluate_prints_the_stored_figures_and_writes_them_where_told(imgcls, tmp_path):
    folder = imgcls("train", QUICKSTART, *TINY, "--runs-dir", tmp_path).out.splitlines()[-1]
    printed = json.loads(imgcls("evaluate", folder, "--json", "--out", tmp_path / "again").out)

    stored = Run(folder).metrics
    assert printed == {key: stored[key] for key in printed}
    assert (tmp_path / "again" / "predictions.csv").read_bytes() == (Path(folder) / "predictions.csv").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--split", "tset"], "did you mean test?"), (["--split", "test", "--data", "x"], "one of the two at a time")],
)
def test_evaluate_refuses_a_part_that_cannot_be_before_it_looks_for_the_run(imgcls, options, message):
    done = imgcls("evaluate", "nowhere", *options)
    assert done.code == 2
    assert message in done.err


def test_a_result_that_means_nothing_is_exit_4_under_strict_with_the_folder_on_stdout(imgcls, tmp_path):
    done = imgcls("train", QUICKSTART, *TINY, "-s", "lr=1e-12", "--runs-dir", tmp_path, "--strict")
    assert done.code == 4
    assert Run(done.out.splitlines()[-1]).status.state == "completed"


def test_model_shows_the_network_without_looking_at_the_data(imgcls, tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "data: nowhere\nresolution: 96\n"
        "architecture: [conv: 32, max_pool: 2, conv: 64, max_pool: 2, flatten, dense: 128, dropout: 0.5]\n"
    )
    shown = imgcls("model", spec, "--classes", 5)
    assert "3,985,093 parameters, 3,985,093 trainable" in shown.out
    assert json.loads(imgcls("model", spec, "--classes", 5, "--json").out)["total_params"] == 3_985_093
    assert imgcls("model", spec).code == 3


def test_model_needs_no_gpu_where_the_training_does(imgcls):
    assert imgcls("model", QUICKSTART, "-s", "device=gpu", "--classes", 5).code == 0


def test_a_network_too_deep_for_the_images_is_a_message_and_exit_2(imgcls):
    done = imgcls(
        "model", QUICKSTART, "-s", "architecture=[max_pool: 2, max_pool: 2, max_pool: 2, max_pool: 2, flatten]"
    )
    assert done.code == 2
    assert "architecture.3 (max_pool)" in done.err


@contextmanager
def endless_run(folder):
    """Give a training that has finished its first epoch and would go on for long."""
    command = [sys.executable, "-m", "imgcls_cli", "train", QUICKSTART, "-s", "epochs=5000", "--runs-dir", folder]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(folder.glob("*/history.csv")) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield process


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGUSR1, 138, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.long),
    ],
)
def test_a_signal_ends_the_run_in_order(number, code, tmp_path):
    with endless_run(tmp_path / "runs") as process:
        process.send_signal(number)
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()

    (folder,) = (tmp_path / "runs").iterdir()
    assert process.returncode == code
    assert Run(folder).status.state == "interrupted"
    assert "Traceback" not in errors
    epochs = len(Run(folder).history)
    assert epochs >= 1
    name = signal.Signals(number).name
    assert errors.splitlines()[-1].startswith(f"interrupted ({name}): {folder} keeps {epochs} finished epoch")


def test_sigterm_ends_an_evaluation_in_order(imgcls, monkeypatch, tmp_path):
    make_run(tmp_path / "runs")
    monkeypatch.setattr("imgcls.experiment.evaluate", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    done = imgcls("evaluate", "latest")
    assert (done.code, done.out, done.err) == (143, "", "interrupted (SIGTERM): no result\n")


@pytest.mark.parametrize("columns", [40, 60])
def test_the_table_of_a_network_is_never_cut(imgcls_process, columns):
    done = imgcls_process("model", QUICKSTART, COLUMNS=str(columns))
    table = done.out.partition("parameters, ")[0].splitlines()[:-1]
    assert max(map(len, table)) <= columns
    assert "…" not in done.out
    assert any(line.split()[1:3] == ["4x4x64", "18,432"] for line in table)


@pytest.mark.parametrize("command", ["train", "evaluate", "model"])
def test_help_names_arguments_alike_everywhere(imgcls, command):
    usage = imgcls(command, "--help").out
    assert ("RUN" if command == "evaluate" else "SPEC") in usage.partition("[OPTIONS]")[2].splitlines()[0]


@pytest.mark.long
def test_a_killed_run_is_readable_and_marked_unfinished(imgcls, tmp_path):
    with endless_run(tmp_path / "runs") as process:
        process.kill()

    (folder,) = (tmp_path / "runs").iterdir()
    assert Run(folder).status.state == "interrupted"
    assert "interrupted" in imgcls("show", folder).out
    assert imgcls("evaluate", folder).code == 3


def test_tensorflows_start_up_noise_never_reaches_the_user(imgcls_process):
    done = imgcls_process("model", QUICKSTART)
    assert done.code == 0
    assert not [word for word in NOISE if word in done.err]
