"""Images of one group tell less than as many of different ones, and the interval of an accuracy knows it."""

import numpy as np
import pytest

from imgcls.evaluation.clusters import clustered_interval, variance_of_mean
from imgcls.evaluation.metrics import accuracy_interval, compute_metrics


def patients(rng, count, each):
    """Which images are right, the share of them another for each patient, and whose each is."""
    return rng.random((count, each)) < rng.beta(3, 1, (count, 1)), np.arange(count).repeat(each)


def test_the_interval_holds_the_truth_nineteen_times_of_twenty():
    rng = np.random.default_rng(0)
    known, ignored = [], []
    for _ in range(600):
        right, groups = patients(rng, 40, 25)
        low, high = clustered_interval(right.ravel(), groups)
        known.append(low <= 0.75 <= high)
        low, high = accuracy_interval(int(right.sum()), right.size)
        ignored.append(low <= 0.75 <= high)
    assert 0.93 < np.mean(known) < 0.98
    assert np.mean(ignored) < 0.75  # which is why the groups are needed


def test_groups_of_one_image_are_as_none_but_for_their_number():
    right = np.arange(400) < 300
    assert clustered_interval(right, np.arange(400)) == pytest.approx(accuracy_interval(300, 400), abs=1e-3)
    assert variance_of_mean(right * 1.0, np.arange(400)) == pytest.approx(variance_of_mean(right * 1.0, None))


def test_where_all_are_right_each_group_counts_as_one_image():
    low, high = clustered_interval(np.ones(1000, bool), np.arange(1000) // 50)
    assert high == 1.0
    assert low == pytest.approx(accuracy_interval(20, 20)[0], abs=0.03)


def test_one_group_tells_nothing():
    assert clustered_interval(np.arange(50) < 40, np.zeros(50, int)) == (0.0, 1.0)


def test_a_result_says_how_many_groups_there_are():
    labels = np.arange(60) % 2
    probabilities = np.eye(2, dtype=np.float32)[np.where(np.arange(60) < 45, labels, 1 - labels)]
    plain = compute_metrics(labels, probabilities, ["a", "b"], loss=0.5, split="test")
    found = compute_metrics(labels, probabilities, ["a", "b"], loss=0.5, split="test", groups=7 * (np.arange(60) // 15))
    assert found["groups"] == 4
    assert "groups" not in plain
    assert found["accuracy_ci95"][0] < plain["accuracy_ci95"][0]
    assert {key: found[key] for key in plain if key != "accuracy_ci95"} == {
        key: plain[key] for key in plain if key != "accuracy_ci95"
    }
