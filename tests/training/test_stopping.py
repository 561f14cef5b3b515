import math

import pytest

from imgcls import backend
from imgcls.spec import load_spec
from imgcls.spec.optimization import EarlyStoppingSpec, Plateau
from imgcls.training.state import TrainingState
from imgcls.training.stopping import Watch, watch_plateau, watch_stopping

backend.start("cpu")

from imgcls.training.stage import _is_best  # noqa: E402 - not before Keras has started


def stopped_at(values, **settings):
    rule, seen = EarlyStoppingSpec(**settings), Watch()
    for epoch, value in enumerate(values, start=1):
        seen, stop = watch_stopping(rule, seen, epoch, value)
        if stop:
            return epoch, seen.best_epoch
    return None, seen.best_epoch


def test_no_epoch_is_the_best_before_the_first():
    spec = load_spec({"data": "digits", "early_stopping": 2}).spec
    assert not _is_best(spec, TrainingState())


@pytest.mark.parametrize(
    ("values", "settings", "expected"),
    [
        ([3, 2, 1, 1, 1, 1], {"patience": 2}, (5, 3)),
        ([3, 2, 1, 0.5], {"patience": 1}, (None, 4)),
        ([0.1, 0.2, 0.15, 0.19], {"patience": 2, "monitor": "val_accuracy"}, (4, 2)),
        ([0.5, 0.505, 0.509, 0.6], {"patience": 2, "monitor": "val_accuracy", "min_delta": 0.01}, (3, 1)),
        ([1.0, math.nan, math.nan], {"patience": 2}, (3, 1)),
        ([2.0, 3.0], {"patience": 0}, (2, 1)),
    ],
)
def test_stopping_waits_for_patience_epochs_in_vain(values, settings, expected):
    assert stopped_at(values, **settings) == expected


@pytest.mark.parametrize("patience", [1, 2, 3])
@pytest.mark.parametrize("min_delta", [0.0, 0.05])
def test_stopping_is_keras_own(patience, min_delta):
    import keras

    values = [1.0, 0.8, 0.79, 0.81, 0.7, 0.7, 0.69, 0.72, 0.7, 0.7, 0.7]
    theirs = keras.callbacks.EarlyStopping("val_loss", patience=patience, min_delta=min_delta)
    theirs.set_model(keras.Sequential())
    theirs.model.stop_training = False
    theirs.on_train_begin()
    for epoch, value in enumerate(values):
        theirs.on_epoch_end(epoch, {"val_loss": value})
        if theirs.model.stop_training:
            break
    expected = theirs.stopped_epoch + 1 if theirs.model.stop_training else None
    assert stopped_at(values, patience=patience, min_delta=min_delta)[0] == expected


def test_a_plateau_lowers_the_rate_and_waits_anew():
    rule, seen, lowered = Plateau(schedule="plateau", patience=2, min_delta=0.0), Watch(), []
    for epoch, value in enumerate([1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.6, 0.6], start=1):
        seen, lower = watch_plateau(rule, seen, epoch, value)
        lowered.append(lower)
    assert [epoch for epoch, lower in enumerate(lowered, start=1) if lower] == [3, 5, 8]
