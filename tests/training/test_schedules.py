import numpy as np
import pytest

from imgcls.spec.optimization import SCHEDULES
from imgcls.training.schedules import CURVES, epoch_rates


def curve(name, epochs=10, steps=5, **settings):
    rate = SCHEDULES[name](schedule=name, initial=0.1, **settings)
    each = [epoch_rates(rate, epoch=epoch, epochs=epochs, steps_per_epoch=steps) for epoch in range(1, epochs + 1)]
    return np.concatenate(each)


def test_every_schedule_of_the_spec_has_a_curve():
    assert CURVES.keys() == SCHEDULES.keys()


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_curve_has_a_rate_a_step_above_zero(name):
    rates = curve(name)
    assert rates.shape == (50,)
    assert (rates > 0).all()
    assert rates.max() == pytest.approx(0.1, rel=0.05)


def test_warm_up_rises_to_the_initial_rate():
    rates = curve("constant", warmup_epochs=2)
    assert (np.diff(rates[:11]) > 0).all()
    np.testing.assert_allclose(rates[10:], 0.1, rtol=1e-6)


def test_the_curves_are_those_of_keras():
    import keras

    steps = np.arange(50)
    schedules = keras.optimizers.schedules
    pairs = [
        (curve("cosine"), schedules.CosineDecay(0.1, 50)),
        (curve("exponential", factor=0.5), schedules.ExponentialDecay(0.1, 5, 0.5)),
        (curve("step", factor=0.5, every=2), schedules.ExponentialDecay(0.1, 10, 0.5, staircase=True)),
        (curve("inverse_time", decay=0.01), schedules.InverseTimeDecay(0.1, 1, 0.01)),
        (curve("linear", final=0.1), schedules.PolynomialDecay(0.1, 50, 0.01)),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, [float(theirs(step)) for step in steps], rtol=1e-5)


def test_one_cycle_rises_to_its_peak_and_falls_to_its_end():
    rates = curve("one_cycle", rise=0.2, start=0.1, final=0.0)
    assert rates[0] == pytest.approx(0.01)
    assert rates.argmax() == 10
    assert (np.diff(rates[10:]) < 0).all()


def test_the_table_gives_each_step_of_an_epoch_its_rate():
    from imgcls.training.optimizers import RateTable

    table = RateTable(3)
    table.load(np.array([0.1, 0.2, 0.3], np.float32))
    assert [round(float(table(step)), 3) for step in (0, 1, 2, 3, 7)] == [0.1, 0.2, 0.3, 0.1, 0.2]
    assert table.last == pytest.approx(0.3)


def test_the_next_epoch_has_its_own_rates_where_float16_skipped_a_step():
    import keras

    from imgcls.training.optimizers import RateTable

    table = RateTable(3)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(table))
    weight = keras.Variable(np.zeros(1, np.float32))
    optimizer.build([weight])
    used = []
    for rates, gradients in (([1.0, 2.0, 3.0], [np.inf, 1.0, 1.0]), ([4.0, 5.0, 6.0], [1.0, 1.0, 1.0])):
        table.load(np.array(rates, np.float32), int(optimizer.iterations))
        for gradient in gradients:
            used.append(float(optimizer.learning_rate))
            optimizer.apply([keras.ops.convert_to_tensor([np.float32(gradient)])])
    assert used == [1, 1, 2, 4, 5, 6]
    assert table.last == 6
