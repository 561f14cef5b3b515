"""A sweep's file: what is accepted, what is refused and where, and which points it comes to."""

import pytest

from imgcls import SpecError
from imgcls.spec.sweeping import is_sweep, load_sweep

BASE = {"data": "digits", "architecture": [{"conv": 4}, "flatten", {"dense": 8}], "epochs": 1}


def load(**keys):
    return load_sweep({"base": BASE, "parameters": {"optimizer": ["adam", "sgd"]}, **keys})


def write(tmp_path, text):
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return path


def test_a_grid_has_every_combination_the_last_parameter_varying_fastest():
    sweep = load(parameters={"optimizer": ["adam", "sgd"], "batch": {"low": 16, "high": 48, "step": 16}}).sweep
    assert (sweep.size, sweep.trial_count) == (6, 6)
    assert [tuple(point.values()) for point in sweep.planned()][:4] == [
        ("adam", 16), ("adam", 32), ("adam", 48), ("sgd", 16),
    ]  # fmt: skip


def test_chance_picks_of_a_finite_space_are_never_the_same_twice():
    parameters = {"batch": {"low": 1, "high": 50}, "optimizer": ["adam", "sgd"]}
    points = [
        tuple(point.values()) for point in load(parameters=parameters, method="random", trials=40).sweep.planned()
    ]
    assert len(set(points)) == 40
    again = [tuple(point.values()) for point in load(parameters=parameters, method="random", trials=40).sweep.planned()]
    assert points == again


def test_chance_picks_of_a_space_too_large_to_list_are_never_the_same_twice():
    parameters = {f"architecture.{place}.conv": {"low": 1, "high": 99_999} for place in (0, 1, 2)}
    base = {"data": "digits", "architecture": [{"conv": 4}] * 3 + ["flatten"]}
    sweep = load(base=base, parameters=parameters, method="random", trials=30).sweep
    points = [tuple(point.values()) for point in sweep.planned()]
    assert sweep.size == 99_999**3
    assert len(set(points)) == 30
    assert points == [tuple(point.values()) for point in sweep.planned()]


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"parameters": {"lr": {"low": 0, "high": 1e308, "step": 1e-10}}}, "a grid needs values, or a step"),
        ({"parameters": {f"p{n}": {"low": 1, "high": 9999} for n in range(400)}}, r"a grid of more than 10\^15 points"),
        ({"method": "random", "trials": 10**50, "parameters": {"batch": {"low": 1, "high": 9}}}, None),
        (
            {"method": "random", "trials": 10**50, "parameters": {f"p{n}": {"low": 1, "high": 999} for n in range(3)}},
            "at most 100,000 points are tried",
        ),
        ({"parameters": {f"p{n}": [1, 2] for n in range(600)}}, "at most 500 items"),
        ({"base": "x" * 300}, "there is no file"),
        ({"base": "~nobody/x.yaml"}, "there is no file"),
        ({"base": "a\0b"}, "there is no file"),
        ({"parameters": {"batch": [1, 1.0, 1]}}, "has a value twice"),
        ({"parameters": {"resolution": [[8, 9], [9, 8], [8, 9]]}}, "has a value twice"),
    ],
)
def test_what_is_beyond_measure_is_refused_and_no_crash(sweep, message):
    if message is None:
        assert load(**sweep).sweep.trial_count == 9
        return
    with pytest.raises(SpecError, match=message):
        load(**sweep)


def test_one_parameter_can_set_several_keys():
    parameters = {"width": {"keys": ["architecture.0.conv.filters", "architecture.2.dense.units"], "values": [4, 8]}}
    loaded = load(parameters=parameters)
    changed = loaded.base.changed(loaded.sweep.overrides({"width": 8})).spec
    assert next(changed.architecture.layers[place] for place in (0, 2)).filters == 8
    assert changed.architecture.layers[2].units == 8


def test_a_base_may_be_a_file_and_paths_in_it_keep_their_meaning(tmp_path):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "base.yaml").write_text("data: photos\nepochs: 1\n")
    path = write(tmp_path, "base: specs/base.yaml\nparameters: {lr: [1e-3, 1e-2]}\n")
    loaded = load_sweep(path)
    assert loaded.base.base == (tmp_path / "specs").resolve()
    (tmp_path / "runs").mkdir()
    pinned = tmp_path / "runs" / "pinned.yaml"
    pinned.write_text(loaded.pinned(tmp_path / "runs"))
    assert load_sweep(pinned).base.value["data"] == "../specs/photos"


def test_what_is_pinned_reads_back_as_the_same_sweep(tmp_path):
    loaded = load(
        parameters={"lr": {"low": 1e-4, "high": 1e-2, "log": True}, "augmentation": ["none", {"rotation": 5}]},
        method="tpe", prune={"method": "median", "warmup_epochs": 2}, objective="val_loss", trials=7,
    )  # fmt: skip
    path = tmp_path / "pinned.yaml"
    path.write_text(loaded.pinned(tmp_path))
    again = load_sweep(path)
    assert again.sweep.model_copy(update={"base": None, "name": None}) == loaded.sweep.model_copy(
        update={"base": None, "name": None}
    )
    assert again.base.spec == loaded.base.spec


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("base: {data: digits, epohs: 2}\nparameters: {lr: [1e-3]}", "1:22", "did you mean epochs?"),
        ("base: {data: digits}\nparameters: {optimizer: [adam, sgdd]}", "2:25", "did you mean sgd?"),
        ("base: {data: digits}\nparameters: {batch: {low: 0, high: 3}}", "2:21", "got 0; a whole number of at least 1"),
        ("base: {data: digits}\nparameters: {lr: [1e-3, 1e-3]}", "2:18", "has a value twice"),
        ("base: {data: digits}\nparameters: {lr: {low: 1e-3, high: 1e-2}}", "2:18", "a grid needs values, or a step"),
        ("base: {data: digits}\nparameters: {lr: {low: 1, high: .1}}\nmethod: tpe", "2:24", "low lies below high"),
        ("base: {data: digits}\nparameters: {lr: 5}", "2:18", "a list of values, or a mapping"),
        ("base: {data: digits}\nparameters: {lr: [1e-3]}\nobjective: test_accuracy", "3:12", "val_accuracy"),
        ("base: {data: digits}\nparameters: {lr: [1e-3]}\nobjective: val_macro_f1\nprune: median", "4:8", "pruning"),
        ("base: missing.yaml\nparameters: {lr: [1e-3]}", "1:7", "there is no file"),
        ("base: {data: digits}", "parameters", "is required"),
        ("base: {data: digits}\nparameters: {lr: [1e-3]}\nmetod: tpe", "3:1", "did you mean method?"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, place, message):
    with pytest.raises(SpecError) as caught:
        load_sweep(write(tmp_path, text))
    assert place in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"parameters": {"seed": [0, 1]}}, "set by the sweep itself"),
        ({"parameters": {"runs": {"keys": ["repeats"], "values": [1, 2]}}}, "repeats is set by the sweep itself"),
        (
            {"parameters": {"lr": [1e-3, 1e-2], "rate": {"keys": ["lr"], "values": [0.1]}}},
            "lr is set by two parameters",
        ),
        ({"parameters": {"state": {"keys": ["lr"], "values": [0.1]}}}, "a column of the sweep's table"),
        ({"base": BASE | {"folds": 3}, "repeats": 2}, "folds or repeats"),
        ({"base": BASE | {"folds": 3}, "final": True}, "there would be none to watch"),
        ({"parameters": {"lr": [1e-3, {"schedule": "plateau", "initial": 1e-3}]}, "final": True}, "none to watch"),
        ({"final": True, "storage": "sqlite:///a.db"}, "on one machine"),
    ],
)
def test_what_would_fail_or_mislead_later_is_refused_at_once(keys, message):
    with pytest.raises(SpecError, match=message):
        load(**keys)


def test_paths_among_the_values_keep_their_meaning_when_pinned(tmp_path):
    (tmp_path / "specs").mkdir()
    (tmp_path / "runs").mkdir()
    path = tmp_path / "specs" / "sweep.yaml"
    path.write_text("base: {data: {source: folder, path: a}}\nparameters: {data.path: [a, ../b]}\n")
    pinned = tmp_path / "runs" / "pinned.yaml"
    pinned.write_text(load_sweep(path).pinned(tmp_path / "runs"))
    assert load_sweep(pinned).sweep.parameters["data.path"].values == ("../specs/a", "../b")


def test_problems_of_the_base_and_of_the_sweep_are_told_together(tmp_path):
    with pytest.raises(SpecError) as caught:
        load_sweep(write(tmp_path, "base: {data: digits, epohs: 2}\nparameters: {lr: [1e-3]}\ntrials: 0"))
    assert len(caught.value.problems) == 2


def test_a_combination_that_cannot_be_is_found_before_anything_is_trained():
    with pytest.raises(SpecError, match="momentum"):
        load(parameters={"optimizer": ["sgd", "adam"], "optimizer.momentum": [0.0, 0.9]})


def test_sweeps_are_told_from_specs(tmp_path):
    assert is_sweep(write(tmp_path, "base: a.yaml\nparameters: {lr: [1]}"))
    assert not is_sweep(write(tmp_path, "data: digits"))
    assert not is_sweep(write(tmp_path, "a: [1"))
