"""Every format, from several networks: it is there, its own runtime opens it, and it answers as the network does."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from photos import make_color_photos
from PIL import Image
from run_folders import make_run

import imgcls
from imgcls import Run, RunError, SpecError
from imgcls.deployment import formats
from imgcls.deployment.formats import EXPORT_JSON, FORMATS, LABELS
from imgcls.deployment.source import INPUT, OUTPUT, in_float32
from imgcls.evaluations import evaluations_in
from imgcls.runs import layout

SPEC = {"resolution": [12, 16], "batch": 8, "epochs": 2, "lr": 0.01, "precision": "float32"}
NETWORKS = {
    "layers, grey": {
        "color": "grayscale",
        "normalize": "standardize",
        "architecture": [
            {"conv": 4},
            "batch_norm",
            "leaky_relu",
            "max_pool",
            {"dropout": 0.3},
            "flatten",
            {"dense": 8},
        ],
    },
    "airbench, bfloat16": {
        "architecture": "airbench",
        "normalize": {"method": "patch_whitening", "size": 2},
        "test_time_augmentation": "horizontal_flip_and_shift",
        "precision": "bfloat16",
        "epochs": 1,
    },
    "resnet, zca": {
        "architecture": {"preset": "resnet", "filters": [4, 8], "blocks": 1},
        "normalize": {"method": "zca", "epsilon": 0.1},
    },
    "backbone": {
        "resolution": 32,
        "architecture": {"backbone": "mobilenet", "weights": "none", "cut": "conv_pw_2_relu", "trainable": "all"},
    },
}
TOLERANCES = {"tflite-float16": 0.02, "tflite-int8": 0.2}
EXACT = 1e-4
DOCUMENT = Path(__file__).parents[2] / "docs" / "export.md"
ALL = {"formats": formats.NAMES, "quantize": formats.QUANTIZED}


MARKS = {"airbench, bfloat16": "slow", "resnet, zca": "slow", "backbone": "long"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=getattr(pytest.mark, MARKS[name])) if name in MARKS else name for name in NETWORKS
    ],
)
def exported(request, tmp_path_factory):
    """A run of each network and its export in all formats."""
    folder = tmp_path_factory.mktemp("exported")
    spec = SPEC | {"data": str(make_color_photos(folder / "photos"))} | NETWORKS[request.param]
    run = imgcls.train(spec, runs_dir=folder / "runs", cache_dir=folder / "cache")
    return run, imgcls.export(run, **ALL, cache_dir=folder / "cache")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of next to nothing, trained once."""
    folder = tmp_path_factory.mktemp("trained")
    spec = SPEC | {"data": str(make_color_photos(folder / "photos")), "architecture": ["flatten"], "epochs": 1}
    return imgcls.train(spec, runs_dir=folder / "runs", cache_dir=folder / "cache")


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it."""
    return Run(shutil.copytree(trained.folder, tmp_path / "runs" / trained.name))


def images_for(run, count=3):
    height, width = run.settings["resolution"]
    channels = 1 if run.settings["color"] == "grayscale" else 3
    return np.random.default_rng(1).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_answers_as_the_network_does(exported, kind):
    run, export = exported
    opened = FORMATS[kind].open(export.folder / FORMATS[kind].file, 1)
    images = images_for(run)
    expected = in_float32(run.model()).predict(images, verbose=0)
    np.testing.assert_allclose(opened.predict(images), expected, atol=TOLERANCES.get(kind, EXACT))
    np.testing.assert_allclose(opened.predict(images[:1]), expected[:1], atol=TOLERANCES.get(kind, EXACT))


def test_the_record_says_what_is_there_and_how_to_feed_it(exported):
    run, export = exported
    record = json.loads((export.folder / EXPORT_JSON).read_text())
    assert record.keys() == export.record.keys()
    assert {path.name for path in export.folder.iterdir()} == {
        EXPORT_JSON, LABELS, *(each.file for each in FORMATS.values())
    }  # fmt: skip
    assert (export.folder / LABELS).read_text().splitlines() == record["classes"] == run.metrics["classes"]
    assert record["network"]["n"] == run.metrics["n"]
    shape = list(images_for(run).shape[1:])
    assert [record["images"][side] for side in ("height", "width", "channels")] == shape
    for kind, found in record["formats"].items():
        is_tflite = kind.startswith("tflite")
        assert found["input"]["shape"] == [1 if is_tflite else None, *shape]
        assert found["input"]["dtype"] == ("uint8" if kind == "tflite-int8" else "float32")
        assert found["size_bytes"] > 0 < found["latency_ms"]
        assert ("loss" in found) == (kind in TOLERANCES)
        if kind not in TOLERANCES:
            assert found["same_class"] == 1
            assert found["accuracy"] == record["network"]["accuracy"]
    assert (
        record["formats"]["tflite-int8"]["input"] | {"scale": 1.0, "zero_point": 0}
        == (record["formats"]["tflite-int8"]["input"])
    )


def test_what_was_trained_in_fewer_digits_is_exported_in_float32(exported):
    run, export = exported
    layers = in_float32(export_model(export))._flatten_layers()
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    told = [note for note in export.record["notes"] if "trained and measured in bfloat16" in note]
    assert len(told) == (run.settings["precision"] == "bfloat16")


def export_model(export):
    import keras

    return keras.models.load_model(export.folder / "model.keras")


def test_tensorflow_serving_finds_a_version_a_signature_and_the_classes(exported):
    import tensorflow as tf

    run, export = exported
    version = export.folder / "savedmodel" / "1"
    loaded = tf.saved_model.load(str(version))
    serve = loaded.signatures["serving_default"]
    images = images_for(run, 2).astype(np.float32)
    assert serve(**{INPUT: tf.constant(images)})[OUTPUT].shape == (2, 3)
    assert (version / "assets" / LABELS).read_text().splitlines() == ["blue", "green", "red"]


def test_onnx_has_the_classes_names_and_a_free_batch(exported):
    import onnxruntime

    _, export = exported
    session = onnxruntime.InferenceSession(export.folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["blue", "green", "red"]
    assert (session.get_inputs()[0].name, session.get_inputs()[0].shape[0]) == (INPUT, "batch")
    assert (session.get_outputs()[0].name, session.get_outputs()[0].shape) == (OUTPUT, ["batch", 3])


@pytest.mark.filterwarnings("ignore:[\\s\\S]*tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.long
@pytest.mark.parametrize("exported", ["resnet, zca"], indirect=True)
def test_what_the_documentation_shows_runs_as_it_stands(exported, monkeypatch):
    run, export = exported
    expected = run.model().predict(photo := images_for(run, 1), verbose=0)[0]
    monkeypatch.chdir(export.folder)
    Image.fromarray(photo[0]).save("tulip.jpg", "PNG")
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    for block in blocks:
        exec(block, names)
        if "probabilities" in names:
            is_int8 = "int8" in block
            np.testing.assert_allclose(names["probabilities"], expected, atol=0.2 if is_int8 else EXACT)
    assert len(blocks) == 6
    assert names["classes"] == run.metrics["classes"]
    (export.folder / "tulip.jpg").unlink()


def test_an_export_is_counted_as_an_evaluation_and_lies_in_the_run(run):
    before = len(evaluations_in(run.folder))
    export = imgcls.export(run, "keras")
    assert export.folder == run.folder / "export"
    assert len(evaluations_in(run.folder)) == before + 1


def test_what_was_trained_on_a_gpu_is_measured_and_exported_without_one_too(run):
    resolved = run.path(layout.RESOLVED)
    resolved.write_text(resolved.read_text().replace("device: auto", "device: gpu"))
    run.complete()
    assert run.settings["device"] == "gpu"
    assert imgcls.evaluate(run).metrics["accuracy"] == run.metrics["accuracy"]
    imgcls.export(run, "keras")


def test_an_earlier_export_is_replaced_whole(run, tmp_path):
    out = tmp_path / "there"
    imgcls.export(run, ["keras"], out=out)
    imgcls.export(run, ["savedmodel"], out=out)
    assert {path.name for path in out.iterdir()} == {EXPORT_JSON, LABELS, "savedmodel"}


def test_what_is_not_an_export_is_never_replaced(run, tmp_path):
    out = tmp_path / "there"
    out.mkdir()
    (out / "thesis.tex").write_text("all of it")
    with pytest.raises(RunError, match="has other things in it than an export"):
        imgcls.export(run, "keras", out=out)
    with pytest.raises(RunError, match="has other things"):
        imgcls.export(run, "keras", out=run.folder)
    (out / "thesis.tex").rename(tmp_path / "thesis.tex")
    imgcls.export(run, "keras", out=out)
    (tmp_path / "thesis.tex").rename(out / "thesis.tex")
    with pytest.raises(RunError, match=r"has thesis\.tex beside an export"):
        imgcls.export(run, "keras", out=out)
    assert (out / "thesis.tex").read_text() == "all of it"


def test_a_format_with_other_answers_is_an_error_and_leaves_what_was_there(run, monkeypatch):
    def write_wrongly(source, path):
        weights = source.network.get_weights()
        source.network.set_weights([-weight for weight in weights])
        source.network.save(path)
        source.network.set_weights(weights)

    imgcls.export(run, "keras")
    before = (run.folder / "export" / "model.keras").read_bytes()
    monkeypatch.setitem(FORMATS, "keras", replace(FORMATS["keras"], write=write_wrongly))
    with pytest.raises(RunError, match=r"keras: it gives \d of 9 images another class .* nothing was exported"):
        imgcls.export(run, "keras")
    assert (run.folder / "export" / "model.keras").read_bytes() == before
    assert not [path for path in run.folder.iterdir() if path.name.startswith(".")]


def test_what_a_converter_raises_is_told_with_the_format(run, monkeypatch):
    def fail(source, path):
        raise ValueError("no such operation\nand a long trace")

    monkeypatch.setitem(FORMATS, "onnx", replace(FORMATS["onnx"], write=fail))
    with pytest.raises(RunError, match=r"onnx: the network cannot be converted: no such operation$"):
        imgcls.export(run, "onnx")
    assert not (run.folder / "export").exists()


def test_a_missing_package_is_named_with_what_brings_it_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "is_installed", lambda name: name != "tf2onnx")
    with pytest.raises(RunError, match=r"onnx needs tf2onnx: pip install 'imgcls\[onnx\]'"):
        imgcls.export(make_run(tmp_path), ["keras", "onnx"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": []}, "name one or several of keras, savedmodel, tflite, onnx"),
        ({"formats": ["onxx"]}, "did you mean onnx"),
        ({"formats": "keras", "quantize": "int8"}, "add --format tflite"),
        ({"formats": "tflite", "quantize": "int4"}, "float16, int8 are accepted"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, options, message):
    with pytest.raises(SpecError, match=message):
        imgcls.export(make_run(tmp_path), **options)
