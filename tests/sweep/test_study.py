"""What is asked next depends on what has been told, on nothing that a kill could lose."""

import pytest

from imgcls import RunError, SpecError
from imgcls.spec.sweep import ParameterSpec
from imgcls.spec.sweeping import load_sweep
from imgcls.sweep.study import Study, _restored, _stored

BASE = {"data": "digits", "epochs": 5}
RATE = {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "optimizer": ["adam", "sgd"]}


def make(folder, jobs=1, **keys):
    sweep = load_sweep({"base": BASE, "parameters": RATE, "method": "tpe", "trials": 14, **keys}).sweep
    return Study(f"sqlite:///{folder / 'study.db'}", "sweep", sweep, epochs=5, jobs=jobs)


def value(trial):
    return trial.point["lr"] * (2 if trial.point["optimizer"] == "adam" else 1)


def run_out(study):
    while (trial := study.ask()) is not None:
        study.complete(trial.number, [value(trial)])
    return [trial.point for trial in study.trials]


@pytest.mark.parametrize("method", ["random", "qmc", "tpe"])
def test_a_search_that_is_taken_up_again_goes_on_as_if_it_had_not_stopped(tmp_path, method):
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = run_out(make(tmp_path / "whole", method=method))
    broken = make(tmp_path / "broken", method=method)
    for _ in range(11):
        trial = broken.ask()
        broken.complete(trial.number, [value(trial)])
    broken.close()
    assert run_out(make(tmp_path / "broken", method=method)) == whole
    assert len(whole) == 14


def test_a_grid_is_planned_once_and_its_values_come_back_as_they_were(tmp_path):
    parameters = {"augmentation": ["none", {"rotation": 5}], "data.classes": [["1", "2"], ["3", "4"]]}
    for _ in range(2):
        study = make(tmp_path, parameters=parameters, method="grid", trials=None)
        assert [trial.state for trial in study.trials] == ["waiting"] * 4
    assert study.ask().point == {"augmentation": "none", "data.classes": ["1", "2"]}
    assert [trial.point for trial in study.trials][-1] == {"augmentation": {"rotation": 5}, "data.classes": ["3", "4"]}


def test_the_search_finds_the_good_region(tmp_path):
    points = run_out(make(tmp_path, trials=40))
    late = [point["lr"] for point in points[25:]]
    assert sum(rate > 0.01 for rate in late) > 10
    assert make(tmp_path, trials=40).best[0].values[0] > 0.1


def test_a_trial_that_falls_behind_is_given_up_but_not_in_its_first_epochs(tmp_path):
    study = make(tmp_path, prune={"method": "median", "startup_trials": 2, "warmup_epochs": 2})
    for _ in range(3):
        trial = study.ask()
        assert not any(study.report(trial.number, epoch, 0.5) for epoch in range(1, 6))
        study.complete(trial.number, [0.5])
    behind = study.ask()
    assert [study.report(behind.number, epoch, 0.1) for epoch in (1, 2, 3)] == [False, False, True]
    study.give_up(behind.number, "pruned")
    assert study.trials[-1].state == "pruned"


def test_of_several_objectives_the_best_are_those_that_none_is_better_than(tmp_path):
    study = make(tmp_path, objective=["val_accuracy", "seconds"], method="random", trials=3)
    for values in ((0.9, 10.0), (0.8, 5.0), (0.7, 20.0)):
        study.complete(study.ask().number, values)
    assert [trial.number for trial in study.best] == [0, 1]


def test_a_database_of_another_sweep_is_refused(tmp_path):
    make(tmp_path)
    with pytest.raises(SpecError, match="other parameters or objectives"):
        make(tmp_path, objective="val_loss")


def test_a_database_that_cannot_be_opened_is_named(tmp_path):
    sweep = load_sweep({"base": BASE, "parameters": RATE, "method": "random"}).sweep
    with pytest.raises(RunError, match="cannot open the database"):
        Study(f"sqlite:///{tmp_path / 'no' / 'study.db'}", "sweep", sweep, epochs=5)


def test_values_that_are_equal_to_python_stay_apart():
    values = [False, 0, 1, True, "[unk]", "[1]", [1], None, 1.0]
    odd = ParameterSpec(values=tuple(values))
    back = [_restored(odd, _stored(odd, value)) for value in values]
    assert [(type(value), value) for value in back] == [(type(value), value) for value in values]


def test_a_pruned_trial_has_no_result(tmp_path):
    study = make(tmp_path, prune="median")
    trial = study.ask()
    study.report(trial.number, 1, 0.9)
    study.give_up(trial.number, "pruned")
    assert study.trials[0].values == ()
