import numpy as np
import pytest

from imgcls.evaluation.confidence import check_confidence, most_confident_errors


def answers(confidence, accuracy, n=1000, seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, n)
    right = draw.random(n) < accuracy
    top = np.where(right, labels, (labels + 1) % 3)
    probabilities = np.full((n, 3), (1 - confidence) / 2, np.float32)
    probabilities[np.arange(n), top] = confidence
    return labels.astype(np.int32), probabilities


@pytest.mark.parametrize(
    ("confidence", "accuracy", "codes"),
    [
        (0.95, 0.75, ["overconfident"]),
        (0.6, 0.9, []),  # as a short training makes it
        (0.9, 0.85, []),
    ],
)
def test_confidence_far_from_accuracy_is_told(confidence, accuracy, codes):
    assert [finding.code for finding in check_confidence(*answers(confidence, accuracy))] == codes


def test_few_images_tell_nothing():
    assert check_confidence(*answers(0.95, 0.8, n=20)) == []


def test_the_surest_errors_come_first():
    labels = np.array([0, 1, 1, 0], np.int32)
    probabilities = np.array([[0.3, 0.7], [0.9, 0.1], [0.2, 0.8], [0.05, 0.95]], np.float32)
    found = most_confident_errors(labels, probabilities, ["a", "b", "c", "d"], ["cat", "dog"])
    assert [(each["path"], each["true"], each["predicted"]) for each in found] == [
        ("d", "cat", "dog"),
        ("b", "dog", "cat"),
        ("a", "cat", "dog"),
    ]
    assert found[0]["confidence"] == pytest.approx(0.95)


def test_ten_errors_are_enough():
    assert len(most_confident_errors(*answers(0.9, 0.5), ["x"] * 1000, ["a", "b", "c"])) == 10
