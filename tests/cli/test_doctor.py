"""``imgcls doctor`` names what would make a training fail, and runs in whatever state the installation is."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from imgcls.backend.device import Device, no_gpu
from imgcls.diagnosis import CHECKS, Line, diagnosing, installed, machine, places

NOWHERE = Path("runs"), None


def kinds(lines):
    return {line.topic: line.kind for line in lines}


def started(program):
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", program], stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Make packages fail when a further process imports them."""

    def make(*names):
        for name in names:
            (tmp_path / "broken" / name).mkdir(parents=True)
            (tmp_path / "broken" / name / "__init__.py").write_text(f"raise ImportError('{name} is broken here')")
        return f"{tmp_path / 'broken'}:{':'.join(filter(None, sys.path))}"

    return make


def test_it_looks_at_everything_and_finds_this_machine_fit(imgcls_process):
    done = imgcls_process("doctor", "--json")
    assert done.code == 0, done.out + done.err
    assert done.err == ""
    answer = json.loads(done.out)
    assert answer["can_train"]
    assert {line["topic"] for line in answer["lines"]} >= CHECKS.keys() - {"settings"}


def test_a_tensorflow_that_does_not_start_is_a_problem_with_its_reason(imgcls_process, broken):
    done = imgcls_process("doctor", PYTHONPATH=broken("tensorflow"), COLUMNS="200")
    assert done.code == 1
    assert "TensorFlow does not start: ImportError: tensorflow is broken here" in done.out
    assert "1 problem: a training would fail" in done.out


def test_it_runs_where_hardly_anything_can_be_imported(imgcls_process, broken):
    names = ("numpy", "keras", "tensorflow", "pydantic", "yaml", "filelock", "platformdirs", "PIL", "packaging", "h5py")
    done = imgcls_process("doctor", "--json", PYTHONPATH=broken(*names))
    assert done.code == 1, done.err
    lines = {line["topic"]: line for line in json.loads(done.out)["lines"]}
    assert lines["cache"]["text"].startswith("could not be looked at: ImportError")
    assert lines["processor"]["kind"] == "ok"


@pytest.mark.parametrize("topic", CHECKS)
def test_a_check_that_fails_is_told_and_stops_no_other(monkeypatch, topic):
    def fail(*_):
        raise RuntimeError("no way\nin detail")

    monkeypatch.setattr(machine, "probing", lambda: machine.suppress())
    monkeypatch.setitem(diagnosing.CHECKS, "device", lambda *_: iter(()))
    monkeypatch.setitem(diagnosing.CHECKS, topic, fail)
    lines = diagnosing.diagnose(*NOWHERE)
    assert Line("note", topic, "could not be looked at: RuntimeError: no way") in lines
    assert len(lines) >= len(CHECKS) - 2


def test_a_gpu_that_cannot_be_used_is_told_with_what_to_install(monkeypatch):
    found = {"name": "x", "note": "the GPU cannot be used; no CUDA", "advice": "pip install 'imgcls[gpu]' brings it"}
    program = f"print({json.dumps(json.dumps({**found, 'gpus': [], 'is_right': True}))})"
    monkeypatch.setattr(machine, "_probe", [started(program)])
    (line,) = machine.device(*NOWHERE)
    assert (line.kind, line.advice) == ("note", "pip install 'imgcls[gpu]' brings it")
    assert line.text == "runs use the processor: the GPU cannot be used; no CUDA"


def test_a_run_is_told_why_it_has_no_gpu_and_what_helps():
    device = Device("cpu", "a processor", 2, "no CUDA", "install it")
    assert (device.remark, Device("cpu", "a processor", 2).remark) == ("no CUDA; install it", "")
    assert str(no_gpu("no CUDA", "install it")) == "device: gpu was asked for, but no CUDA; install it"
    assert str(no_gpu("")) == "device: gpu was asked for, but this machine has no GPU"


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "ended by SIGILL"),
        ("raise SystemExit('no such library')", "no such library"),
        ('print(\'{"name": "x", "is_right": false}\')', "computes a convolution wrongly"),
    ],
)
def test_whatever_ends_tensorflow_is_a_problem(monkeypatch, program, text):
    monkeypatch.setattr(machine, "_probe", [started(program)])
    (line,) = machine.device(*NOWHERE)
    assert line.kind == "problem"
    assert text in line.text


def test_a_missing_or_old_package_is_a_problem(monkeypatch):
    needs = ["nothing-of-this-name>=1", "numpy>=99", "pillow>=1", "absent; extra == 'gpu'"]
    monkeypatch.setattr(installed, "distribution", lambda _: SimpleNamespace(requires=needs))
    (line,) = [line for line in installed.requirements(*NOWHERE) if "missing" in line.text]
    assert line.kind == "problem"
    assert line.text.startswith("nothing-of-this-name is missing; numpy is ")
    assert "absent" not in line.text


def test_packages_that_bring_one_module_twice_are_a_problem(monkeypatch):
    monkeypatch.setattr(installed, "installed_version", lambda name: "1.0" if "tensorflow" in name else None)
    monkeypatch.setattr(installed, "distribution", lambda _: SimpleNamespace(requires=[]))
    texts = [line.text for line in installed.requirements(*NOWHERE) if line.kind == "problem"]
    assert "tensorflow and tensorflow-cpu are both installed, as one module" in texts


def test_settings_that_do_not_count_are_notes(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text('{"image_data_format": "channels_first", "floatx": "float32"}')
    lines = list(installed.settings(*NOWHERE))
    assert [line.kind for line in lines] == ["note"] * 3
    assert "image_data_format: channels_first" in lines[2].text


def test_folders_that_cannot_be_written_are_problems_and_little_room_is_a_note(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    assert kinds(places.runs(tmp_path / "file" / "runs", None)) == {"runs": "problem"}
    assert kinds(places.cache(tmp_path, tmp_path / "file" / "cache")) == {"cache": "problem"}
    assert kinds(places.runs(tmp_path / "new" / "runs", None)) == {"runs": "ok"}
    assert not (tmp_path / "new").exists(), "looking makes nothing"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    assert kinds(places.runs(tmp_path / "new" / "runs", None)) == {"runs": "note"}


def test_weights_that_keras_has_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mobilenet_1_0_224_tf_no_top.h5").write_bytes(b"x" * 3000)
    (line,) = places.weights(*NOWHERE)
    assert "mobilenet_1_0_224_tf_no_top.h5 (3.0 kB)" in line.text


@pytest.mark.long
def test_a_terminal_that_cannot_show_all_names_is_a_note(imgcls_process):
    done = imgcls_process("doctor", PYTHONIOENCODING="ascii", PYTHONUTF8="0", COLUMNS="50")
    assert "note     terminal" in done.out
    assert "50 columns" in done.out
    assert max(map(len, done.out.splitlines())) <= 50
