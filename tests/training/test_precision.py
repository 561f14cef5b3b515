"""What ``precision: auto`` comes to: measured on the very network, remembered, without a trace in the training."""

import json
import math
import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import imgcls
from imgcls import backend
from imgcls.spec import load_spec

DEVICE = replace(backend.start("cpu"), bfloat16=True)  # without instructions for it, it is computed all the same

from imgcls.models import build_network  # noqa: E402 - not before Keras has started
from imgcls.training import precision  # noqa: E402

SHAPE, CLASSES, IMAGES = (12, 16, 3), 3, 60
NETWORK = {
    "architecture": [{"conv": 4}, "batch_norm", "flatten", {"dropout": 0.2}],
    "augmentation": {"rotation": 5, "horizontal_flip": True},
    "batch": 8,
}

NOTE = {"flops": 1e6, "dense": 1.0, "step": {"float32": 2.6, "bfloat16": 2.0}}
BROKEN = [
    "", "[]", "{}", json.dumps(NOTE)[:-1],
    *(json.dumps(NOTE | wrong) for wrong in (
        {"dense": 1.5}, {"flops": None}, {"step": {"float32": 1.0}},
        {"step": {"float32": 1.0, "bfloat16": 0.0}}, {"step": {"float32": 1.0, "bfloat16": math.nan}},
    )),
]  # fmt: skip


def choose(folder, device=DEVICE, **settings):
    spec = load_spec({"data": "digits", **NETWORK, **settings}).spec.completed()
    return precision.choose_precision(spec, device, SHAPE, CLASSES, IMAGES, folder)


@pytest.fixture
def quickly(monkeypatch):
    """No training is too short, and little is measured."""
    for name in ("_FEW_STEPS", "_LEAST_STEPS", "_LEAST_SECONDS", "_ENOUGH_SECONDS"):
        monkeypatch.setattr(precision, name, 0)
    monkeypatch.setattr(precision, "_ENOUGH_STEPS", 3)


@pytest.fixture
def measured(quickly, monkeypatch):
    """Seconds of the steps that are said to have been measured, by precision."""
    times = {"float32": [3.0, 3.0], "bfloat16": [2.0, 2.0]}
    monkeypatch.setattr(precision, "_steps", lambda *arguments, of_frozen: {})
    monkeypatch.setattr(precision, "_measure", lambda steps: times)
    monkeypatch.setattr(precision, "gc", SimpleNamespace(collect=int))  # takes longer than all the rest
    return times


@pytest.fixture
def built(monkeypatch):
    """The networks that are built, as weak references."""
    networks = []

    def build(*arguments):
        network = build_network(*arguments)
        networks.append(weakref.ref(network))
        return network

    monkeypatch.setattr(precision, "build_network", build)
    return networks


def test_without_instructions_for_bfloat16_it_is_float32_and_nothing_is_built(quickly, built, tmp_path):
    choice = choose(tmp_path, replace(DEVICE, bfloat16=False))
    assert (choice.precision, choice.step_seconds, built) == ("float32", {}, [])
    assert "no instructions for bfloat16" in choice.reason


def test_for_a_training_of_few_steps_nothing_is_built(built, tmp_path):
    choice = choose(tmp_path, epochs=1)
    assert (choice.precision, choice.step_seconds, built) == ("float32", {}, [])
    assert "too short" in choice.reason


def test_for_a_training_of_little_work_nothing_is_measured(built, tmp_path):
    choice = choose(tmp_path, epochs=100)
    assert (choice.precision, choice.step_seconds, len(built)) == ("float32", {}, 1)
    assert "too short" in choice.reason


@pytest.mark.parametrize(("seconds", "layers", "expected"), [
    (0.5, [{"conv": 8}, "flatten"], "bfloat16"),
    (0.9, [{"conv": 8}, "flatten"], "float32"),
    (0.5, [{"depthwise_conv": {"kernel": 5}}, "flatten"], "float32"),
])  # fmt: skip
def test_a_short_training_goes_by_its_layers(seconds, layers, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(precision, "_LARGE_STEP", 1)
    monkeypatch.setattr(precision, "_measure", lambda steps: {"float32": [1.0], "bfloat16": [seconds]})
    choice = choose(tmp_path, architecture=layers, epochs=20)
    assert (choice.precision, choice.step_seconds) == (expected, {})
    monkeypatch.setattr(precision, "_measure", None)  # what was found of the machine is remembered
    assert choose(tmp_path, architecture=layers, epochs=20) == choice


def test_a_convolution_can_be_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(precision, "_ENOUGH_SECONDS", 0)
    assert precision._convolution_gain(tmp_path / "machine.json", DEVICE) > 0


def test_the_faster_one_is_chosen_and_remembered_and_the_networks_are_gone(quickly, built, tmp_path):
    folder = tmp_path / "new" / "precision"
    choice = choose(folder)
    gain = choice.step_seconds["float32"] / choice.step_seconds["bfloat16"]
    assert choice.precision == ("bfloat16" if gain >= 1.15 else "float32")
    assert f"{gain:.2f} times as fast" in choice.reason
    assert "in 3 measured steps of each" in choice.reason
    assert len(built) == 2
    assert [network() for network in built] == [None, None]

    again = choose(folder)
    assert (again.precision, again.step_seconds) == (choice.precision, choice.step_seconds)
    assert again.reason.endswith("measured before")


@pytest.mark.parametrize(("seconds", "chosen"), [(2.2, "float32"), (2.6, "bfloat16")])
def test_what_is_remembered_holds_and_nothing_is_built(measured, built, seconds, chosen, tmp_path):
    choose(tmp_path)
    (file,) = tmp_path.glob("*.json")
    step = {"float32": seconds, "bfloat16": 2.0}
    file.write_text(json.dumps(NOTE | {"step": step}))
    built.clear()
    choice = choose(tmp_path)
    assert built == []
    assert (choice.precision, choice.step_seconds) == (chosen, step)
    assert choice.reason.startswith(f"{chosen}: ")
    assert f"{seconds / 2:.2f} times as fast" in choice.reason
    assert choice.reason.endswith(", measured before")


def test_a_broken_note_is_measured_again_and_mended(measured, tmp_path):
    choose(tmp_path)
    (file,) = tmp_path.glob("*.json")
    for text in BROKEN:
        file.write_text(text)
        assert choose(tmp_path).reason == "bfloat16: 1.50 times as fast as float32, in 2 measured steps of each"
        assert json.loads(file.read_text())["step"] == {"float32": 3.0, "bfloat16": 2.0}


def test_a_short_training_is_in_float32_also_where_a_longer_one_was_measured(measured, monkeypatch, tmp_path):
    assert choose(tmp_path, epochs=100).precision == "bfloat16"
    (file,) = tmp_path.glob("*.json")
    work = json.loads(file.read_text())["flops"]
    monkeypatch.setattr(precision, "_FLOP_A_SECOND", {"cpu": work * IMAGES * 50})
    monkeypatch.setattr(precision, "_LEAST_SECONDS", 1.0)
    assert choose(tmp_path, epochs=49).precision == "float32"
    assert choose(tmp_path, epochs=50).precision == "bfloat16"


@pytest.mark.parametrize(("seconds", "expected"), [(0.86, "bfloat16"), (0.88, "float32"), (2.0, "float32")])
def test_a_small_gain_is_not_worth_fewer_digits(measured, seconds, expected, tmp_path):
    measured |= {"float32": [1.0], "bfloat16": [seconds]}
    assert choose(tmp_path).precision == expected


def test_another_step_is_measured_for_itself_and_another_seed_is_not(measured, tmp_path):
    others = [{}, {"batch": 16}, {"optimizer": "sgd"}, {"loss": "focal"}, {"augmentation": "none"},
              {"architecture": ["flatten"]}, {"normalize": "standardize"}]  # fmt: skip
    for count, other in enumerate(others, start=1):
        choose(tmp_path, **other)
        assert len(list(tmp_path.glob("*.json"))) == count
    choose(tmp_path, seed=1, epochs=30, lr=0.5)
    assert len(list(tmp_path.glob("*.json"))) == len(others)


def test_a_folder_that_cannot_be_written_is_no_error(measured, tmp_path):
    (tmp_path / "file").write_text("")
    assert choose(tmp_path / "file" / "precision").precision == "bfloat16"


@pytest.mark.parametrize("settings", [{"normalize": "zca", "augmentation": {"mixup": 0.2, "classes_below": 30}},
                                      {"batch": 500, "loss": "focal", "imbalance": "oversample"}])  # fmt: skip
def test_whatever_shapes_a_step_can_be_measured(quickly, settings, monkeypatch, tmp_path):
    monkeypatch.setattr(precision, "_ENOUGH_STEPS", 1)
    assert set(choose(tmp_path, **settings).step_seconds) == {"float32", "bfloat16"}


def test_measuring_leaves_no_trace_in_the_training_after_it(quickly, color_photos, tmp_path):
    spec = {"data": str(color_photos), "resolution": list(SHAPE[:2]), "precision": "float32", "epochs": 1, **NETWORK}

    def initial():
        return build_network(load_spec(spec).spec.completed(), SHAPE, CLASSES, None).get_weights()

    def trained(name):
        run = imgcls.train(spec, runs_dir=tmp_path / name)
        history = run.history.drop(columns="seconds").to_dict("records")
        return history, run.model().get_weights()

    weights, (history, ends) = initial(), trained("before")
    choose(tmp_path / "precision")
    after, (history_after, ends_after) = initial(), trained("after")
    assert history_after == history
    for before, now in zip([*weights, *ends], [*after, *ends_after], strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize(("epochs", "measured"), [((10, 10), 2), ((40, 1), 1), ((1, 1, 1), 3)])
def test_of_stages_the_one_with_most_of_the_work_is_measured(epochs, measured, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(precision, "_FEW_STEPS", 0)
    monkeypatch.setattr(precision, "_surveyed", lambda phase, *_, **__: seen.append(phase) or (note, ""))
    note = precision._Note(flops=1.0, dense=0.0)
    backbone = {"backbone": "mobilenet", "cut": "conv_pw_2_relu", "weights": "none", "head": ["global_average_pool"]}
    trainable = ["none", "all", "all"]
    stages = [
        {"epochs": count, "lr": 10.0**-number, "trainable": trainable[number]} for number, count in enumerate(epochs)
    ]
    augmentation = {"rotation": 9}  # frozen layers are passed in every epoch
    spec = load_spec({"data": "digits", "architecture": backbone, "stages": stages, "augmentation": augmentation}).spec
    precision.choose_precision(spec.completed(), DEVICE, (32, 32, 3), CLASSES, IMAGES, tmp_path)
    assert [phase.lr.initial for phase in seen] == [10.0 ** (1 - measured)]


@pytest.mark.parametrize(
    ("settings", "of_frozen"),
    [
        ({}, True),
        ({"augmentation": "none"}, False),
        ({"architecture": {"backbone": "mobilenet", "trainable": "all"}}, False),
    ],
)
def test_what_most_of_the_training_goes_into_is_measured(quickly, settings, of_frozen, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(precision, "_steps", lambda *arguments, of_frozen: seen.append(of_frozen) or {})
    monkeypatch.setattr(precision, "_measure", lambda steps: {"float32": [1.0], "bfloat16": [1.0]})
    backbone = {"backbone": "mobilenet", "weights": "none", "head": ["flatten", {"dense": 400}]}
    spec = load_spec(
        {"data": "digits", "architecture": backbone, "epochs": 100, "augmentation": {"rotation": 9}, **settings}
    )
    precision.choose_precision(spec.spec.completed(), DEVICE, (32, 32, 3), CLASSES, IMAGES, tmp_path)
    assert seen == [of_frozen]
