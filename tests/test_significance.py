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
    assert (found.p, found.value, found.needed) == (1.0, 0.0, None)


def test_the_interval_is_that_of_the_published_example_and_agrees_with_the_test():
    # Tango's for table 1 of Fagerland, Lydersen and Laake (2013); McNemar's exact test leaves 0 open
    found = of_images(*answers(1, 7, 13))
    assert found.low == pytest.approx(-0.517, abs=5e-4)
    assert found.high > 0


@pytest.mark.parametrize("count", [1, 4, 25])
def test_the_interval_holds_zero_just_where_the_test_finds_nothing(count):
    for gains, losses in itertools.product(range(count + 1), repeat=2):
        if gains + losses <= count:
            found = of_images(*answers(gains, losses, count - gains - losses))
            assert -1 <= found.low <= found.value <= found.high <= 1
            assert (found.low <= 0 <= found.high) == (found.p >= LEVEL)
            assert found.low_seeds <= found.low <= found.high <= found.high_seeds
            assert (found.low_seeds <= 0 <= found.high_seeds) == (found.p_seeds >= LEVEL)


def test_no_image_apart_leaves_open_what_others_would_show():
    # with no gain and no loss Tango's interval reaches z^2 / (n + z^2)
    found = of_images(*answers(0, 0, 50))
    assert (found.low, found.high) == pytest.approx((-3.8415 / 53.8415, 3.8415 / 53.8415), abs=1e-4)


def test_the_interval_holds_the_truth_nineteen_times_of_twenty():
    rng = np.random.default_rng(1)
    found = [of_images(*simulated(rng, 300, 0.03)) for _ in range(400)]
    assert 0.93 < np.mean([each.low <= 0.03 <= each.high for each in found]) < 0.985


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


def repeats(rng, easy, count, spread=0.0, gain=0.0):
    """Which images each of ``count`` trainings has right: each by its own chance, and all together by the seed."""
    return rng.random((count, len(easy))) < easy + gain + rng.normal(0, spread, (count, 1))


def test_of_repeats_that_err_on_images_of_their_own_it_is_welchs_test():
    from scipy.stats import ttest_ind

    # each run is right on other images; on average over the repeats all images are alike
    first = np.array([np.arange(40) < right for right in (20, 22, 19, 23, 18, 18)])
    first = np.array([np.roll(row, 7 * place) for place, row in enumerate(first)])
    second = np.array([np.roll(np.arange(40) < right, 13 * place) for place, right in enumerate((26, 27, 26))])
    found = of_repeats(first, second)
    welch = ttest_ind(second.mean(axis=1), first.mean(axis=1), equal_var=False)
    assert found.value == pytest.approx(second.mean() - first.mean())
    assert found.p == pytest.approx(welch.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(welch.confidence_interval(0.95)))


@pytest.mark.parametrize("count", [2, 5, 20])
@pytest.mark.parametrize("spread", [0.0, 0.01])
def test_equal_experiments_on_the_same_images_are_told_apart_in_one_case_of_twenty(count, spread):
    rng = np.random.default_rng(6)
    called = []
    for _ in range(400):
        # of the images of the world each experiment finds others easy; on average they are equally good
        first, second = np.clip(rng.beta(4, 1, 500) + rng.normal(0, 0.15, (2, 500)), 0, 1)
        found = of_repeats(repeats(rng, first, count, spread), repeats(rng, second, count, spread))
        called.append(found is not None and found.p < LEVEL)
    assert np.mean(called) < 0.08


def test_repeats_find_three_points_on_two_thousand_images():
    rng = np.random.default_rng(7)
    easy = [np.clip(rng.beta(4, 1, 2000), 0, 0.95) for _ in range(100)]
    found = [of_repeats(repeats(rng, each, 5, 0.005), repeats(rng, each, 5, 0.005, gain=0.03)) for each in easy]
    assert np.mean([each.p < LEVEL for each in found]) > 0.9


@pytest.mark.parametrize(("first", "second"), [((10,), (12, 14)), ((10, 10), (12, 12))])
def test_repeats_that_tell_nothing_of_chance_are_not_tested(first, second):
    assert of_repeats(*(np.array([np.arange(20) < right for right in side]) for side in (first, second))) is None


def test_a_single_run_is_held_against_the_spread_of_repeats():
    rng = np.random.default_rng(5)
    called = []
    for _ in range(1000):
        easy = rng.beta(4, 1, 300)
        single, *others = repeats(rng, easy, 6, 0.02)
        called.append(of_run_and_repeats(single, np.array(others)).p < LEVEL)
    assert np.mean(called) < 0.075
    easy = np.full(300, 0.8)
    assert of_run_and_repeats(repeats(rng, easy - 0.1, 1)[0], repeats(rng, easy, 5, 0.005)).p < LEVEL
    assert of_run_and_repeats(repeats(rng, easy, 1)[0], repeats(rng, easy, 1)) is None


def grouped(rng, patients, each, count=1):
    """Which images two equal networks have right, ``each`` of a patient, who is easy or hard as a whole."""
    easy = np.clip(rng.beta(4, 1, (1, patients)) + rng.normal(0, 0.3, (2, patients)), 0, 1).repeat(each, axis=1)
    return [repeats(rng, side, count) for side in easy], np.arange(patients).repeat(each)


def test_images_of_one_patient_are_no_more_than_the_patient():
    rng = np.random.default_rng(8)
    known, ignored = [], []
    for _ in range(300):
        (first, second), patients = grouped(rng, 40, 25)
        known.append(of_images(first[0], second[0], patients).p < LEVEL)
        ignored.append(of_images(first[0], second[0]).p < LEVEL)
    assert np.mean(known) < 0.08
    assert np.mean(ignored) > 0.3  # which is why the groups are needed


def test_repeats_on_images_of_few_patients_are_no_more_than_the_patients():
    rng = np.random.default_rng(9)
    known = []
    for _ in range(300):
        (first, second), patients = grouped(rng, 40, 25, 5)
        known.append(of_repeats(first, second, patients).p < LEVEL)
    assert np.mean(known) < 0.08


def test_one_group_alone_tells_nothing():
    found = of_images(*answers(20, 0, 30), np.zeros(50, int))
    assert (found.low, found.high, found.p) == (-1.0, 1.0, 1.0)


def test_holms_correction():
    # Holm (1979): the least of m p-values is multiplied by m, the next by m - 1, and they stay in order
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_ranks_have_the_range_that_the_tests_leave_open():
    assert rank_ranges(3, {(0, 1), (0, 2)}) == [(1, 1), (2, 3), (2, 3)]
    assert rank_ranges(3, set()) == [(1, 3)] * 3
    assert rank_ranges(4, set(itertools.combinations(range(4), 2))) == [(1, 1), (2, 2), (3, 3), (4, 4)]
