"""What mattered: the figures against those of scipy, and what must not be called an effect."""

import itertools

import numpy as np
import pytest
from scipy import stats

from imgcls.sweep.effects import find_effects, find_interactions, find_thinned


def grid(**values):
    return [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]


def test_of_one_parameter_it_is_the_analysis_of_variance():
    rng = np.random.default_rng(0)
    groups = {name: rng.normal(mean, 0.02, 6) for name, mean in (("adam", 0.6), ("sgd", 0.55), ("rmsprop", 0.59))}
    points = [{"optimizer": name} for name, group in groups.items() for _ in group]
    (effect,) = find_effects(points, np.concatenate(list(groups.values())), maximize=True)
    assert effect.p == pytest.approx(stats.f_oneway(*groups.values()).pvalue)
    assert [level.mean for level in effect.levels] == pytest.approx([group.mean() for group in groups.values()])


def test_of_two_values_the_interval_is_that_of_the_t_test():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.6, 0.02, 8), rng.normal(0.57, 0.02, 5)
    points = [{"dropout": 0.2}] * 8 + [{"dropout": 0.5}] * 5
    (effect,) = find_effects(points, [*first, *second], maximize=True)
    interval = stats.ttest_ind(first, second).confidence_interval()
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))
    assert effect.levels[effect.best].label == "0.2"


def test_over_a_full_grid_the_means_are_plain_ones_and_the_shares_add_up():
    points = grid(a=[1, 2, 3], b=["x", "y"], c=[0.1, 0.2])
    values = [0.1 * point["a"] + 0.05 * (point["b"] == "y") for point in points]
    effects = {effect.parameter: effect for effect in find_effects(points, values, maximize=True)}
    assert [level.mean for level in effects["a"].levels] == pytest.approx([0.125, 0.225, 0.325])
    assert effects["c"].difference == pytest.approx(0, abs=1e-12)
    assert sum(effect.share for effect in effects.values()) == pytest.approx(1)


def test_a_search_that_tried_one_region_more_often_is_allowed_for():
    points = [*grid(a=[1, 2], b=[0, 1])] * 3 + [{"a": 2, "b": 1}] * 20
    noise = np.random.default_rng(2).normal(0, 0.001, len(points))
    values = [0.1 * point["a"] + 0.3 * point["b"] + each for point, each in zip(points, noise, strict=True)]
    effects = {effect.parameter: effect for effect in find_effects(points, values, maximize=True)}
    assert effects["a"].difference == pytest.approx(0.1, abs=0.005)  # plain means would say .23
    assert effects["b"].difference == pytest.approx(0.3, abs=0.005)


def test_noise_is_called_an_effect_about_as_often_as_it_should():
    rng = np.random.default_rng(3)
    points = grid(a=[1, 2, 3], b=["x", "y"], c=[1, 2, 3])
    told = sum(
        effect.is_told_apart
        for _ in range(200)
        for effect in find_effects(points, rng.normal(0, 1, len(points)), maximize=True)
    )
    assert told / 600 < 0.08


def test_of_many_parameters_that_do_nothing_hardly_ever_one_is_called_an_effect():
    rng = np.random.default_rng(6)
    told = 0
    for _ in range(200):
        points = [{f"p{number}": int(rng.integers(2)) for number in range(10)} for _ in range(40)]
        told += any(effect.is_told_apart for effect in find_effects(points, rng.normal(0, 1, 40), maximize=True))
    assert told / 200 < 0.1


def test_values_whose_trials_were_given_up_more_than_others_are_named_the_worst_first():
    points = grid(optimizer=["adam", "sgd"], lr=[1, 2, 3], seed=[1, 2])
    has_result = [point["optimizer"] == "adam" and point["lr"] < 3 for point in points]
    found = [(each.parameter, each.label, each.given_up, each.trials) for each in find_thinned(points, has_result)]
    assert found == [("optimizer", "sgd", 6, 6), ("lr", "3", 4, 4)]
    assert find_thinned(points, [True] * len(points)) == []
    assert find_thinned([], []) == []


def test_where_less_is_better_the_best_level_is_the_lowest():
    points = grid(lr=[1, 2], b=[1, 2, 3])
    (first, *_) = find_effects(points, [point["lr"] + 0.01 * point["b"] for point in points], maximize=False)
    assert first.levels[first.best].label == "1"


def test_many_values_are_put_into_bins_and_too_few_trials_claim_nothing():
    points = [{"lr": float(rate)} for rate in np.geomspace(1e-4, 1e-2, 20)]
    (effect,) = find_effects(points, [np.log(point["lr"]) for point in points], maximize=True)
    assert [len(level.values) for level in effect.levels] == [5, 5, 5, 5]
    assert effect.is_told_apart
    (single,) = find_effects([{"a": 1}, {"a": 2}], [0.1, 0.9], maximize=True)
    assert not single.is_told_apart
    assert find_effects([{"a": 1}, {"a": 1}], [0.1, 0.9], maximize=True) == []


def test_what_depends_on_what_is_found_and_noise_is_not():
    rng = np.random.default_rng(4)
    points = grid(optimizer=["adam", "sgd"], pool=[2, 4], units=[1, 2, 3]) * 2
    flipped = [
        (1 if point["optimizer"] == "adam" else -1) * (1 if point["pool"] == 2 else -1) * 0.05 + rng.normal(0, 0.01)
        for point in points
    ]
    (found,) = find_interactions(points, flipped)
    assert found.parameters == ("optimizer", "pool")
    assert found.share > 0.8
    effects = find_effects(points, flipped, maximize=True)
    assert not any(effect.is_told_apart for effect in effects), "on average neither does anything"
    noise = [find_interactions(points, rng.normal(0, 1, len(points))) for _ in range(100)]
    assert sum(map(bool, noise)) < 15
    assert find_interactions(points[:3], [0.1, 0.2, 0.3]) == []


def test_rounding_is_no_effect():
    points = grid(filters=[8, 16], optimizer=["adam", "sgd"], lr=[1, 2, 3])
    effects = find_effects(points, [1000.1 * point["filters"] for point in points], maximize=False)
    told = {effect.parameter: effect.is_told_apart for effect in effects}
    assert told == {"filters": True, "optimizer": False, "lr": False}
    assert {effect.p for effect in effects if effect.parameter != "filters"} == {1.0}
    assert find_interactions(points, [1000.1 * point["filters"] for point in points]) == []
