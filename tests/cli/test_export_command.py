"""``export`` as the shell runs it."""

import json

import pytest
from test_training_commands import NOISE

import imgcls as package

CONVERTERS = ("XNNPACK", "TFLite", "fully_quantize", "tf2onnx", "WARNING", "INFO", "Saved artifact")
ALL = ["--format", "keras", "--format", "savedmodel", "--format", "tflite", "--quantize", "int8", "--format", "onnx"]


@pytest.fixture
def run(tmp_path):
    data = {"source": "digits", "limit": {"train": 200}}
    spec = {"data": data, "architecture": ["flatten"], "epochs": 1, "precision": "float32"}
    return package.train(spec, runs_dir=tmp_path / "runs")


def test_the_table_has_a_row_a_format_the_last_line_is_the_folder_and_no_converter_is_heard(imgcls_process, run):
    done = imgcls_process("export", run.folder, *ALL)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == str(run.folder / "export")
    rows = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    for kind in ("keras", "savedmodel", "tflite", "onnx"):
        assert "100.0 %" in rows[kind]
        assert f"{run.metrics['accuracy']:.4f}" in rows[kind]
    assert "tflite-int8" in rows
    assert not [word for word in (*NOISE, *CONVERTERS) if word in done.out + done.err]
    assert "exporting onnx" in done.err


def test_json_is_what_the_folder_has(imgcls, run, tmp_path):
    done = imgcls("export", run.folder, "--format", "keras", "--out", tmp_path / "out", "--json")
    printed = json.loads(done.out)
    assert printed.pop("folder") == str(tmp_path / "out")
    assert printed == json.loads((tmp_path / "out" / "export.json").read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--format: name one or several of keras, savedmodel, tflite, onnx"),
        (["--format", "tensorflow-lite"], "keras, savedmodel, tflite, onnx are accepted"),
        (["--format", "onnx", "--quantize", "int8"], "add --format tflite"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_the_run_is_looked_for(imgcls, options, message):
    done = imgcls("export", "nowhere", *options)
    assert done.code == 2
    assert message in done.err
    assert not done.out
