"""What the history of a training tells, and what it must not."""

import numpy as np
import pytest

from imgcls.evaluation.learning import check_history
from imgcls.spec import load_spec
from imgcls.training.state import EpochRow, StageResult, TrainingState

COUNTS = np.array([400, 300, 300])


def codes(accuracy, val_loss=None, val_accuracy=None, *, stopped=False, counts=COUNTS, before=(), **settings):
    spec = load_spec({"data": "digits", **settings}).spec.completed()
    epochs = len(accuracy)
    val_loss, val_accuracy = val_loss or [None] * epochs, val_accuracy or [None] * epochs
    rows = [
        EpochRow(len(before) + index + 1, 1 - right, right, val_loss[index], val_accuracy[index], 1e-3, 1.0)
        for index, right in enumerate(accuracy)
    ]
    first = StageResult(1, 1, len(before), 1, False, 1e-3, "adam", 1, 1)
    last = StageResult(2, len(before) + 1, epochs, len(before) + 1, stopped, 1e-3, "adam", 1, 1)
    stages = (first, last) if before else (last,)
    found = check_history(spec, TrainingState((*before, *rows), stages=stages), counts)
    return {finding.code: finding.message for finding in found}


RISING = [0.5, 0.7, 0.8, 0.85, 0.9, 0.95]
FALLING = [0.9, 0.7, 0.6, 0.55, 0.5, 0.48]


@pytest.mark.parametrize(
    "history",
    [
        {"accuracy": RISING, "val_loss": FALLING, "val_accuracy": [0.5, 0.6, 0.7, 0.75, 0.8, 0.82]},
        {"accuracy": RISING},
        {"accuracy": [0.4, 0.41], "val_loss": [1.1, 1.1], "val_accuracy": [0.4, 0.4]},  # two epochs are few
    ],
)
def test_a_sound_training_is_not_remarked(history):
    assert codes(**history) == {}


def test_a_training_accuracy_of_guessing_is_found():
    found = codes([0.39, 0.41, 0.4, 0.405])
    assert list(found) == ["nothing_learnt"]
    assert "came to 0.410 in 4 epochs, and guessing has 0.400" in found["nothing_learnt"]
    assert codes([0.39, 0.45, 0.48]) == {}


def test_guessing_depends_on_the_balance():
    assert codes([0.36, 0.37, 0.39], imbalance="oversample") == {}
    assert "nothing_learnt" in codes([0.33, 0.34, 0.33], imbalance="oversample")
    assert codes([0.36, 0.37, 0.37], imbalance="class_weights") == {}
    assert codes([0.36, 0.37, 0.37], augmentation={"mixup": 0.2}) == {}


OVERFITTED = {
    "accuracy": [0.5, 0.7, 0.85, 0.93, 0.97, 0.99],
    "val_loss": [0.9, 0.7, 0.6, 0.65, 0.75, 0.9],
    "val_accuracy": [0.5, 0.6, 0.7, 0.72, 0.71, 0.7],
}


def test_overfitting_is_told_in_numbers():
    message = codes(**OVERFITTED)["overfitting"]
    assert "from epoch 3 on the validation loss rose from 0.600 to 0.900" in message
    assert "training accuracy is 0.990, that of validation 0.700" in message


def test_where_the_best_epoch_is_kept_overfitting_does_no_harm():
    assert "overfitting" not in codes(**OVERFITTED, early_stopping={"patience": 3}, stopped=True)
    assert "overfitting" in codes(**OVERFITTED, early_stopping={"patience": 3, "restore_best": False}, stopped=True)


@pytest.mark.parametrize(
    "change",
    [
        {"val_accuracy": [0.5, 0.7, 0.8, 0.86, 0.9, 0.93]},  # both go together
        {"val_loss": [0.9, 0.7, 0.6, 0.61, 0.62, 0.64]},  # it hardly rises
        {"val_loss": [0.9, 0.8, 0.7, 0.65, 0.6, 0.9]},  # the best was one epoch ago
    ],
)
def test_what_is_no_overfitting_is_not_called_so(change):
    assert codes(**(OVERFITTED | change)) == {}


def test_an_early_stopping_that_had_nothing_to_stop_is_told():
    history = {"accuracy": RISING, "val_loss": FALLING, "val_accuracy": RISING}
    assert list(codes(**history, early_stopping=5)) == ["still_improving"]
    assert codes(**history) == {}
    assert codes(**history, early_stopping=5, lr={"schedule": "cosine"}) == {}  # meant to be best at the end
    turned = history | {"val_loss": [0.9, 0.7, 0.6, 0.55, 0.5, 0.51]}
    assert codes(**turned, early_stopping=5) == {}


def test_an_early_stopping_at_the_best_epoch_is_told():
    history = {"accuracy": RISING, "val_loss": FALLING, "val_accuracy": [0.5, 0.6, 0.7, 0.702, 0.704, 0.706]}
    rule = {"monitor": "val_accuracy", "min_delta": 0.01, "patience": 3}
    found = codes(**history, early_stopping=rule, stopped=True)
    assert list(found) == ["stopped_while_improving"]
    assert "at epoch 6, the best by val_accuracy: its steps were smaller than min_delta 0.01" in found.popitem()[1]
    flat = history | {"val_accuracy": [0.5, 0.6, 0.7, 0.7, 0.69, 0.69]}
    assert codes(**flat, early_stopping=rule, stopped=True) == {}


def test_the_last_stage_is_looked_at():
    before = tuple(EpochRow(epoch, 1.1, 0.3, None, None, 1e-3, 1.0) for epoch in (1, 2, 3))
    stages = [{"epochs": 3}, {"epochs": 3}]
    assert codes([0.5, 0.6, 0.7], before=before, stages=stages) == {}
    assert "nothing_learnt" in codes([0.4, 0.4, 0.4], before=before, stages=stages)


@pytest.mark.parametrize(("first", "told"), [(0.974, True), (0.96, False), (None, False)])
def test_a_last_stage_that_ended_worse_than_an_earlier_one_is_told(first, told):
    before = tuple(EpochRow(epoch, 1.1, 0.3, 1.0, first, 1e-3, 1.0) for epoch in (1, 2, 3))
    found = codes([0.5, 0.6, 0.7], [1.0, 0.9, 0.8], [0.9628] * 3, before=before, stages=[{"epochs": 3}, {"epochs": 3}])
    text = "stage 2 ended at 0.9628 on validation, stage 1 at 0.9740: the network delivered is stage 2's"
    assert found == ({"worse_last_stage": text} if told else {})
