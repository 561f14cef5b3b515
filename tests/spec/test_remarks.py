"""What runs as told but would embarrass later is told, and nothing else."""

import importlib
import json

import numpy as np
import pytest

from imgcls.errors import SpecError
from imgcls.spec import load_spec, spec_yaml
from imgcls.spec.architecture import BACKBONES
from imgcls.spec.document import read_text
from imgcls.spec.preprocessing import BACKBONE_MODES
from imgcls.spec.remarks import spec_remarks

SPEAKING = {
    "a binary loss": ({"loss": "binary_crossentropy"}, "binary_crossentropy_over_softmax", "loss: auto"),
    "0..1 for what scales itself": (
        {"architecture": "efficientnetb0", "normalize": "unit"},
        "backbone_input_scale",
        "normalize unit scales pixels to 0..1, but efficientnetb0 was trained on pixels in 0..255",
    ),
    "0..1 for -1..1": ({"architecture": "mobilenet", "normalize": "minmax"}, "backbone_input_scale", "in -1..1"),
    "raw pixels for -1..1": ({"architecture": "mobilenet", "normalize": "none"}, "backbone_input_scale", "0..255"),
    "0..1 for blue first": ({"architecture": "vgg16", "normalize": "unit"}, "backbone_input_scale", "blue first"),
    "whitening": ({"architecture": "resnet50", "normalize": "zca"}, "backbone_input_scale", "whitens"),
    "a local file": (
        {"architecture": {"backbone": "mobilenet", "weights": "a.weights.h5"}, "normalize": "unit"},
        "backbone_input_scale",
        "unless the weights file was trained so",
    ),
    "random weights that never learn": (
        {"architecture": {"backbone": "mobilenet", "weights": "none"}, "stages": [{"epochs": 1}, {"lr": 1e-4}]},
        "backbone_never_learns",
        "set trainable: all",
    ),
    "a rate 100 times too high": ({"lr": 0.1}, "unusual_rate", "lr 0.1 with adam: above 0.05 it hardly ever learns"),
    "a rate of a stage": (
        {"stages": [{"epochs": 1, "optimizer": "sgd", "lr": 0.1}, {"lr": 30.0}]},
        "unusual_rate",
        "lr 30 with sgd",
    ),
    "a rate of nothing": ({"lr": 1e-9}, "unusual_rate", "below 1e-08 it hardly moves"),
    "small classes without a change": (
        {"augmentation": {"classes_below": 9}},
        "augmentation_changes_nothing",
        "no change is asked for",
    ),
}
SILENT = {
    "the defaults": {},
    "cross-entropy": {"loss": "categorical_crossentropy"},
    "a binary loss of two classes": {"loss": "binary_crossentropy", "data": {"source": "digits", "classes": [0, 1]}},
    "a backbone as it is": {"architecture": "mobilenet"},
    "a backbone's own scale": {"architecture": "mobilenet", "normalize": "backbone"},
    "a backbone without weights": {
        "architecture": {"backbone": "mobilenet", "weights": "none", "trainable": "all"},
        "normalize": "unit",
    },
    "random weights that learn later": {
        "architecture": {"backbone": "mobilenet", "weights": "none"},
        "stages": [{"epochs": 1}, {"trainable": 9}],
    },
    "raw pixels for what scales itself": {"architecture": "efficientnetb0", "normalize": "none"},
    "standardized for standardized": {"architecture": "densenet121", "normalize": "standardize"},
    "no backbone": {"architecture": "resnet", "normalize": "unit"},
    "small classes with a change": {"augmentation": {"classes_below": 9, "rotation": 3}},
}


@pytest.mark.parametrize("case", SPEAKING)
def test_a_mistake_is_remarked_upon(case):
    settings, code, words = SPEAKING[case]
    spec = load_spec({"data": "digits"} | settings).spec
    (finding,) = spec_remarks(spec)
    assert finding.code == code
    assert words in finding.text
    assert spec_remarks(spec.completed()) == [finding]


@pytest.mark.parametrize("case", SILENT)
def test_what_is_right_is_not_remarked_upon(case):
    spec = load_spec({"data": "digits"} | SILENT[case]).spec
    assert spec_remarks(spec) == spec_remarks(spec.completed()) == []


UNUSED = {
    "epochs": ({"epochs": 1, "stages": [{"epochs": 2}, {"epochs": 3}]},
               "epochs 1 is not used: each stage has its own; set stages.0.epochs"),
    "a rate": ({"lr": 0.05, "stages": [{"lr": 0.01}, {"epochs": 3}]},
               "lr 0.05 is not used: the first stage has its own; set stages.0.lr"),
    "an optimizer": ({"optimizer": "sgd", "stages": [{"optimizer": "lion"}]}, "optimizer sgd is not used: each"),
    "a rule": ({"early_stopping": 3, "stages": [{"early_stopping": "none"}]}, "early_stopping with patience 3 is not"),
    "a part that learns": (
        {"architecture": {"backbone": "vgg16", "trainable": {"from": "x"}}, "stages": [{"trainable": "all"}]},
        "architecture.trainable from x is not used: each stage has its own; set stages.0.trainable",
    ),
}  # fmt: skip
USED = {
    "defaults": {"stages": [{"epochs": 2, "lr": 0.1, "optimizer": "sgd", "early_stopping": 3}]},
    "what the first stage leaves out": {"epochs": 1, "lr": 0.05, "stages": [{"optimizer": "sgd"}, {"epochs": 2}]},
    "the same": {"epochs": 2, "stages": [{"epochs": 2}]},
    "a rate under another schedule": {"lr": 0.05, "stages": [{"lr": {"schedule": "cosine"}}]},
}


@pytest.mark.parametrize("case", UNUSED)
def test_a_setting_that_no_stage_uses_is_remarked_upon_but_not_in_what_was_in_force(case):
    settings, words = UNUSED[case]
    spec = load_spec({"data": "digits"}, settings).spec
    (finding,) = spec_remarks(spec)
    assert finding.code == "unused_setting"
    assert words in finding.text
    again = load_spec(read_text(spec_yaml(spec.completed())).value).spec
    assert spec_remarks(again) == spec_remarks(spec.completed()) == []
    assert again.completed() == spec.completed()


@pytest.mark.parametrize("case", USED)
def test_a_setting_that_a_stage_uses_or_nobody_wrote_is_not_remarked_upon(case):
    assert spec_remarks(load_spec({"data": "digits"} | USED[case]).spec) == []


def test_the_modes_of_all_backbones_are_those_of_keras():
    import keras

    pixels = np.full((1, 1, 1, 3), 255.0, np.float32)
    expected = {"inside": 255.0, "tf": 1.0, "caffe": 255 - 103.939, "torch": (1 - 0.485) / 0.229}
    networks = {name.lower(): each for name, each in vars(keras.applications).items() if callable(each)}
    assert BACKBONE_MODES.keys() == set(BACKBONES)
    for name, mode in BACKBONE_MODES.items():
        module = importlib.import_module(networks[name].__module__)
        given = np.asarray(module.preprocess_input(pixels.copy()))
        assert given[0, 0, 0, 0] == pytest.approx(expected[mode]), name


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        ("{source: folder, path: x, validation: test, test: test}", "1:57", "test and validation are both 'test'"),
        ("{source: folder, path: x, validation: a, test: a}", "1:54", "the test set stays shut"),
        ("{source: folder, path: x, train: a, test: a}", "1:49", "test and train are both 'a'"),
        ("{source: folder, path: x, train: a, validation: a}", "1:55", "measured on its own images"),
    ],
)
def test_the_test_set_stays_shut(data, place, message, tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(f"data: {data}\nearly_stopping: 3\n")
    with pytest.raises(SpecError) as raised:
        load_spec(path)
    assert raised.value.exit_code == 2
    assert f"{place} " in str(raised.value)
    assert message in str(raised.value)


@pytest.mark.parametrize("test", ["test", 0.15, "none"])
def test_parts_of_their_own_are_accepted(test):
    data = {"source": "folder", "path": "x", "validation": 0.15 if test != "none" else "none", "test": test}
    assert load_spec({"data": data}).spec.data.test == test


def test_validate_prints_remarks_as_warnings(tmp_path):
    from typer.testing import CliRunner

    from imgcls_cli.app import app

    path = tmp_path / "spec.yaml"
    path.write_text("data: digits\nloss: binary_crossentropy\n")
    (warning,) = json.loads(CliRunner().invoke(app, ["validate", str(path), "--json"]).stdout)["warnings"]
    assert warning["code"] == "binary_crossentropy_over_softmax"
    result = CliRunner().invoke(app, ["validate", str(path)])
    assert (result.exit_code, result.stderr) == (0, f"warning: {warning['message']}; {warning['advice']}\n")


@pytest.mark.parametrize(
    ("given", "alpha", "gamma"),
    [
        ("focal", 0.25, 2.0),
        ("categorical_focal_crossentropy", 0.25, 2.0),
        ({"name": "focal", "gamma": 0.0}, 0.25, 0.0),
        ({"name": "categorical_focal_crossentropy", "alpha": 1.0, "gamma": 1.0}, 1.0, 1.0),
    ],
)
def test_the_focal_loss_takes_its_settings(given, alpha, gamma):
    from imgcls.training.losses import build_loss

    loss = build_loss(load_spec({"data": "digits", "loss": given, "label_smoothing": 0.1}).spec.completed())
    assert type(loss).__name__ == "CategoricalFocalCrossentropy"
    assert (loss.alpha, loss.gamma, loss.label_smoothing) == (alpha, gamma, 0.1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gamma": 1.0}, "loss.name  is required"),
        ({"name": "focal", "gama": 1.0}, "loss.gama  unknown key; did you mean gamma?"),
        ({"name": "focal", "alpha": 0.0}, "loss.alpha  got 0.0; a number above 0 is accepted"),
        (3, "loss  got 3; the name of a loss, or a mapping"),
    ],
)
def test_a_wrong_loss_is_one_problem(given, message):
    with pytest.raises(SpecError, match="has 1 problem\n") as raised:
        load_spec({"data": "digits", "loss": given})
    assert message in str(raised.value)


def test_an_override_reaches_into_the_focal_loss():
    spec = load_spec({"data": "digits", "loss": "focal"}, {"loss.gamma": 3.0}).spec
    assert (spec.loss.name, spec.loss.gamma) == ("categorical_focal_crossentropy", 3.0)
    with pytest.raises(SpecError, match=r"loss  unknown loss 'focl'; did you mean focal\?"):
        load_spec({"data": "digits", "loss": "focl"})
