"""Training in phases: one run, one history, the best weights of each phase handed on."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import imgcls
from imgcls import SpecError
from imgcls.spec import load_spec
from imgcls_cli.app import app

LAYERS = [{"conv": 4}, {"max_pool": 2}, "flatten"]


@pytest.fixture
def spec(color_photos):
    return {
        "data": str(color_photos),
        "resolution": [12, 16],
        "architecture": LAYERS,
        "optimizer": {"name": "sgd", "momentum": 0.9},
        "lr": 0.01,
        "batch": 8,
        "epochs": 2,
    }


def test_a_stage_takes_what_it_leaves_out_from_the_one_before():
    stages = [
        {"epochs": 3},
        {"lr": 1e-4, "trainable": 2, "early_stopping": 4},
        {"optimizer": "sgd", "epochs": 1},
        {"early_stopping": "none"},
    ]
    spec = load_spec(
        {"data": "digits", "lr": 2e-3, "early_stopping": 7, "architecture": "mobilenet", "stages": stages}
    ).spec.completed()
    phases = spec.phases
    assert [phase.epochs for phase in phases] == [3, 3, 1, 1]
    assert [phase.lr.initial for phase in phases] == [2e-3, 1e-4, 1e-4, 1e-4]
    assert [phase.optimizer.name for phase in phases] == ["adam", "adam", "sgd", "sgd"]
    assert [phase.architecture.trainable for phase in phases] == ["none", 2, 2, 2]
    assert [phase.early_stopping and phase.early_stopping.patience for phase in phases] == [7, 4, 4, None]


def test_the_resolved_stages_leave_nothing_out_and_read_back_the_same():
    spec = load_spec({"data": "digits", "stages": [{"epochs": 1}, {"early_stopping": 3}]}).spec.completed()
    again = load_spec({"data": "digits", "stages": [stage.model_dump(by_alias=True) for stage in spec.stages]}).spec
    assert again.completed().phases[1].early_stopping == spec.phases[1].early_stopping
    assert spec.stages[1].epochs == 1
    assert spec.stages[0].early_stopping == "none"


@pytest.mark.parametrize(
    ("top", "stages", "rates"),
    [
        ({}, [{"optimizer": "sgd"}], [0.01]),
        ({}, [{}, {"optimizer": "sgd"}, {}, {"optimizer": "lion"}], [0.001, 0.01, 0.01, 0.001]),
        ({"optimizer": "sgd"}, [{}, {"optimizer": "adam", "lr": {"schedule": "cosine"}}], [0.01, 0.001]),
        ({"lr": 0.5}, [{"optimizer": "sgd"}, {"lr": {"schedule": "cosine"}}], [0.5, 0.5]),
        ({}, [{}, {"lr": 0.5}, {"optimizer": "sgd"}], [0.001, 0.5, 0.5]),
    ],
)
def test_a_stage_starts_at_its_optimizers_own_rate_where_none_is_written_before(top, stages, rates):
    spec = load_spec({"data": "digits", "stages": stages} | top).spec
    assert [phase.lr.initial for phase in spec.phases] == rates
    complete = spec.completed()
    assert [phase.lr.initial for phase in complete.phases] == [stage.lr.initial for stage in complete.stages] == rates
    assert complete.completed() == complete


def test_a_completed_spec_has_at_the_top_what_its_first_stage_has():
    stages = [{"epochs": 3, "optimizer": "sgd", "trainable": 2, "early_stopping": 4, "lr": 0.5}, {"epochs": 1}]
    spec = load_spec({"data": "digits", "epochs": 9, "architecture": "mobilenet", "stages": stages}).spec.completed()
    assert (spec.epochs, spec.optimizer.name, spec.lr.initial, spec.architecture.trainable) == (3, "sgd", 0.5, 2)
    assert spec.early_stopping.patience == 4


def test_a_rule_that_no_stage_follows_needs_no_validation_part():
    spec = {"data": {"source": "digits", "validation": "none"}, "early_stopping": 3, "lr": {"schedule": "plateau"}}
    stages = [{"early_stopping": "none", "lr": 0.1}, {"epochs": 1}]
    assert not load_spec(spec | {"stages": stages}).spec.watches_validation
    with pytest.raises(SpecError, match="early_stopping  early stopping and plateau watch"):
        load_spec(spec | {"stages": [{"lr": 0.1}]})


STAGED = """
data: digits
architecture: {backbone: mobilenet, weights: none, trainable: none}
lr: 0.5
epochs: 1
stages:
- {epochs: 10}
- {lr: {initial: 1e-4, schedule: cosine}, trainable: {from: conv1}, epochs: 1}
- {optimizer: sgd, lr: {schedule: linear}}
"""


@pytest.fixture
def validate(tmp_path):
    def run(text, *options):
        path = tmp_path / "spec.yaml"
        path.write_text(text)
        result = CliRunner().invoke(app, ["validate", str(path), *options])
        assert result.exit_code == 0, result.stderr
        return result.stdout.replace(str(path), "spec.yaml")

    return run


def test_validate_describes_each_stage(validate):
    lines = validate(STAGED).splitlines()
    assert lines[0] == "spec.yaml is valid: digits, 8x8 grayscale, mobilenet, batch 64, 12 epochs in 3 stages"
    assert lines[1:] == [
        "  stage 1: 10 epochs, adam at 0.5, trainable none",
        "  stage 2: 1 epoch, adam at 0.0001, trainable from conv1",
        "  stage 3: 1 epoch, sgd at 0.0001, trainable from conv1",
    ]
    assert validate("data: digits\nepochs: 1").endswith("adam at 0.001, batch 64, 1 epoch\n")


def test_validate_says_where_a_stage_has_each_value_from(validate):
    origins = {key: each["origin"] for key, each in json.loads(validate(STAGED, "--json"))["resolved"].items()}
    assert origins["stages.1.lr.initial"] == "spec.yaml 8:9"
    assert origins["stages.2.optimizer.name"] == "spec.yaml 9:4"
    assert (origins["stages.0.lr.initial"], origins["stages.2.lr.initial"]) == ("as above", "as in stages.1")
    assert (origins["stages.2.epochs"], origins["stages.2.trainable.from"]) == ("as in stages.1", "as in stages.1")
    assert (origins["stages.1.lr.warmup_epochs"], origins["stages.2.optimizer.momentum"]) == ("default", "default")
    assert (origins["epochs"], origins["lr.initial"]) == ("as in stages.0", "spec.yaml 4:1")
    assert origins["architecture.trainable"] == "spec.yaml 3:52"


def test_validate_names_the_rate_of_a_stages_own_optimizer_a_default(validate):
    text = "data: digits\nstages: [{optimizer: sgd}, {lr: 1e-4}]"
    values = json.loads(validate(text, "--json"))["resolved"]
    assert values["stages.0.lr.initial"] == {"value": 0.01, "origin": "default"}
    assert values["lr.initial"] == {"value": 0.01, "origin": "as in stages.0"}
    assert values["stages.1.lr.initial"] == {"value": 0.0001, "origin": "spec.yaml 2:29"}
    assert "stages.0.trainable" not in values, "there is no backbone"


def test_trainable_needs_a_backbone():
    with pytest.raises(SpecError, match="there is none"):
        load_spec({"data": "digits", "stages": [{"trainable": "all"}]})


def test_a_stage_that_watches_validation_needs_one():
    with pytest.raises(SpecError, match="validation part: none is given"):
        load_spec(
            {"data": {"source": "digits", "validation": "none"}, "stages": [{"epochs": 1}, {"early_stopping": 3}]}
        )


def test_stages_make_one_history_with_a_rate_and_an_optimizer_each(spec, tmp_path):
    stages = [{"epochs": 2}, {"epochs": 3, "lr": {"initial": 0.005, "schedule": "linear"}, "optimizer": "adam"}]
    run = imgcls.train(spec, {"stages": stages}, runs_dir=tmp_path)
    assert list(run.history.epoch) == [1, 2, 3, 4, 5]
    assert list(run.history.stage) == [1, 1, 2, 2, 2]
    assert list(run.history.lr[:2]) == [0.01, 0.01]
    assert run.history.lr[2] < 0.005, "a schedule runs over the epochs of its stage"
    first, second = run.metrics["stages"]
    assert (first["first_epoch"], first["epochs_run"], second["first_epoch"], second["epochs_run"]) == (1, 2, 3, 3)
    assert (first["optimizer"], second["optimizer"], second["lr"]) == ("sgd", "adam", 0.005)
    assert run.metrics["epochs_run"] == run.metrics["best_epoch"] == 5
    assert len(run.settings["stages"]) == 2


@pytest.mark.parametrize("settings", [
    {},
    {"architecture": {"backbone": "mobilenet", "weights": "none", "cut": "conv_dw_1_relu", "trainable": "all",
                      "batch_norm": "frozen"}, "resolution": 32},
], ids=["layers", "frozen batch norm"])  # fmt: skip
def test_a_stage_begins_with_the_best_weights_of_the_one_before_and_a_rule_that_has_seen_nothing(
    spec, tmp_path, monkeypatch, settings
):
    from imgcls.evaluation import prediction

    found = iter([0.1, 0.9, 0.2, 0.3, 0.25, 0.2])  # validation accuracies; each stage has its own best
    weights = []

    def watched(spec, network, *part):
        if (accuracy := next(found, None)) is None:
            return real(spec, network, *part)
        weights.append(network.get_weights())
        labels = np.arange(2)
        return type("Seen", (), {"loss": 1.0, "accuracy": accuracy, "labels": labels, "predicted": labels})

    real = prediction.predict_images
    monkeypatch.setattr(prediction, "predict_images", watched)
    rule = {"monitor": "val_accuracy", "patience": 2}
    stages = [{"epochs": 3, "early_stopping": rule}, {"epochs": 9, "lr": 1e-12}]
    run = imgcls.train(spec, settings | {"stages": stages}, runs_dir=tmp_path)
    first, second = run.metrics["stages"]
    assert (first["best_epoch"], first["stopped_early"]) == (2, False)
    assert (second["best_epoch"], second["epochs_run"], second["stopped_early"]) == (4, 3, True)
    for best, start in zip(weights[1], weights[3], strict=True):
        np.testing.assert_allclose(best, start, atol=1e-6)
    assert run.metrics["best_epoch"] == 4
    for best, kept in zip(weights[3], run.model().get_weights(), strict=True):
        np.testing.assert_array_equal(best, kept)


@pytest.mark.long
def test_unfreezing_trains_what_was_frozen_and_only_then(spec, tmp_path):
    backbone = {"backbone": "mobilenet", "weights": "none", "cut": "conv_dw_1_relu"}
    seen = []

    class Looking(imgcls.Observer):
        def stage(self, stage):
            seen.append(stage)

    stages = [{"epochs": 1}, {"epochs": 1, "trainable": "all"}]
    settings = {"architecture": backbone, "resolution": 32, "epochs": 1}
    frozen = imgcls.train(spec, settings, runs_dir=tmp_path).model()
    both = imgcls.train(spec, settings | {"stages": stages}, runs_dir=tmp_path, observer=Looking())
    start = imgcls.train(spec, settings | {"lr": 1e-12}, runs_dir=tmp_path).model()

    assert seen[0].trainable_params < seen[1].trainable_params < seen[1].total_params
    assert [stage["trainable_params"] for stage in both.metrics["stages"]] == [each.trainable_params for each in seen]
    kernels = [each.get_layer("conv1").get_weights()[0] for each in (start, frozen, both.model())]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[2] - kernels[1]).max() > 0


def test_the_same_stages_and_seed_give_the_same_numbers(spec, tmp_path):
    stages = [{"epochs": 1}, {"epochs": 1, "optimizer": "adam", "lr": 1e-3}]
    first, second = (imgcls.train(spec, {"stages": stages}, runs_dir=tmp_path) for _ in range(2))
    for ours, theirs in zip(first.model().get_weights(), second.model().get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert first.metrics == second.metrics


def test_the_network_is_described_with_what_learns_in_each_stage():
    from imgcls.experiment import describe_network

    backbone = {"backbone": "mobilenet", "weights": "none", "cut": "conv_pw_1_relu"}
    stages = [{"epochs": 1}, {"trainable": 3}, {"trainable": {"from": "conv1"}}]
    spec = load_spec({"data": "digits", "resolution": 32, "color": "rgb", "architecture": backbone, "stages": stages})
    summary = describe_network(spec, classes=10)
    head, block, whole = summary.stage_trainable_params
    assert head == summary.trainable_params == 64 * 10 + 10
    assert block == head + 32 * 64 + 2 * 64, "a 1x1 convolution and its batch norm, whose statistics do not learn"
    assert whole == summary.total_params - 2 * (32 + 32 + 64)
