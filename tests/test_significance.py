"""The tests give what their papers say, and chance alone is called a difference no more often than it should be."""

import itertools

import numpy as np
import pytest

from imgcls.comparison.significance import (
    LEVEL,
    SEED_SPREAD,
    holm,
    images_needed,
    of_images,
    of_repeats,
    of_run_and_repeats,
    rank_ranges,
)


def answers(gains, losses, same):
    first = np.array([False] * gains + [True] * losses + [True] * same)
    second = np.array([True] * gains + [False] * losses + [True] * same)
    return first, second


def test_mcnemars_exact_test_is_that_of_the_published_example():
    # Fagerland, Lydersen and Laake (2013), table 1: 7 and 1 of 21 children changed; two-sided exact p-value 0.0703
    found = of_images(*answers(1, 7, 13))
    assert found.p == pytest.approx(0.0703, abs=5e-5)
    assert found.value == pytest.approx(-6 / 21)


def test_no_image_apart_is_no_difference():
    found = of_images(*answers(0, 0, 50))
    assert (found.p, found.value, found.low, found.high, found.needed) == (1.0, 0.0, 0.0, 0.0, None)


def test_the_interval_is_a_paired_bootstrap_of_the_images():
    first, second = answers(60, 30, 410)
    found = of_images(first, second)
    rng = np.random.default_rng(1)
    change = second.astype(float) - first
    means = [change[rng.integers(0, 500, 500)].mean() for _ in range(4000)]
    assert (found.low, found.high) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.004)
    assert found == of_images(first, second)


def simulated(rng, images, gain):
    """Whether two networks have each image right: each for itself, the harder the less often; the second one better."""
    easy = np.clip(rng.beta(4, 1, images), 0, 1 - gain)
    return rng.random(images) < easy, rng.random(images) < easy + gain


def test_chance_is_called_a_difference_in_one_case_of_twenty():
    rng = np.random.default_rng(2)
    called = [of_images(*simulated(rng, 1000, 0)).p < LEVEL for _ in range(600)]
    assert 0.015 < np.mean(called) < 0.065


def test_as_many_images_as_are_needed_show_the_difference_four_times_of_five():
    rng = np.random.default_rng(3)
    first, second = simulated(rng, 200_000, 0.04)
    count = images_needed(0.04, np.mean(first != second))
    found = [of_images(*simulated(rng, count, 0.04)).p < LEVEL for _ in range(400)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def seeded(rng, images, gain):
    """The same of trainings whose seed moves all images together."""
    first, second = rng.normal([0, gain], SEED_SPREAD).tolist()
    easy = np.clip(rng.beta(4, 1, images), 0.02, 0.92)
    return rng.random(images) < easy + first, rng.random(images) < easy + second


def test_three_points_on_ten_thousand_images_are_nearly_always_found():
    rng = np.random.default_rng(4)
    found = [of_images(*seeded(rng, 10_000, 0.03)) for _ in range(200)]
    assert np.mean([each.p_seeds < LEVEL for each in found]) > 0.9


@pytest.mark.parametrize("images", [300, 10_000])
def test_seeds_are_called_a_difference_of_settings_in_one_case_of_twenty(images):
    rng = np.random.default_rng(5)
    found = [of_images(*seeded(rng, images, 0.0)) for _ in range(400)]
    assert 0.01 < np.mean([each.p_seeds < LEVEL for each in found]) < 0.075
    assert all(each.p_seeds >= each.p for each in found)
    if images == 10_000:
        assert np.mean([each.p < LEVEL for each in found]) > 0.15  # which the images alone do not know


def test_welchs_test_is_his_formula():
    from scipy.special import stdtr, stdtrit

    first, second = [0.50, 0.52, 0.49, 0.55, 0.47], [0.56, 0.57, 0.565]
    errors = [np.var(each, ddof=1) / len(each) for each in (first, second)]
    freedom = sum(errors) ** 2 / sum(e**2 / (len(each) - 1) for e, each in zip(errors, (first, second), strict=True))
    value, error = np.mean(second) - np.mean(first), np.sqrt(sum(errors))
    found = of_repeats(first, second)
    assert found.value == pytest.approx(value)
    assert found.p == pytest.approx(2 * stdtr(freedom, -value / error))
    reach = stdtrit(freedom, 0.975) * error
    assert (found.low, found.high) == pytest.approx((value - reach, value + reach))


@pytest.mark.parametrize(("first", "second"), [([0.5], [0.6, 0.7]), ([0.5, 0.5], [0.6, 0.6])])
def test_repeats_that_tell_nothing_of_chance_are_not_tested(first, second):
    assert of_repeats(first, second) is None


def test_a_single_run_is_held_against_the_spread_of_repeats():
    rng = np.random.default_rng(5)
    draws = rng.normal(0.8, 0.01, (2000, 6))
    called = [of_run_and_repeats(single, repeats).p < LEVEL for single, *repeats in draws]
    assert np.mean(called) == pytest.approx(LEVEL, abs=0.015)
    assert of_run_and_repeats(0.7, [0.8, 0.81, 0.82]).p < LEVEL
    assert of_run_and_repeats(0.7, [0.8]) is None


def test_holms_correction():
    # Holm (1979): the least of m p-values is multiplied by m, the next by m - 1, and they stay in order
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_ranks_have_the_range_that_the_tests_leave_open():
    assert rank_ranges(3, {(0, 1), (0, 2)}) == [(1, 1), (2, 3), (2, 3)]
    assert rank_ranges(3, set()) == [(1, 3)] * 3
    assert rank_ranges(4, set(itertools.combinations(range(4), 2))) == [(1, 1), (2, 2), (3, 3), (4, 4)]
