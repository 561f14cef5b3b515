import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from imgcls.errors import DataError, RunError
from imgcls.evaluation.metrics import (
    compute_metrics,
    expected_calibration_error,
    most_frequent_confusions,
    predicted_classes,
    top_accuracy,
    worst_classes,
)
from imgcls.files import strict_json


def certain(predicted, classes, confidence=1.0):
    """Probabilities (n, classes) that give each prediction the same confidence."""
    rest = (1 - confidence) / (classes - 1)
    probabilities = np.full((len(predicted), classes), rest, np.float32)
    probabilities[np.arange(len(predicted)), predicted] = confidence
    return probabilities


def measure(labels, predicted, classes):
    names = [f"class {index}" for index in range(classes)]
    return compute_metrics(np.array(labels), certain(predicted, classes), names, loss=0.5, split="test")


def random_case(classes=7, n=200):
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, n)
    probabilities = random.dirichlet(np.ones(classes), n).astype(np.float32)
    probabilities[np.arange(n), labels] += 0.3
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True)


def test_figures_are_those_counted_by_hand():
    found = measure([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0], 3)
    assert found["confusion_matrix"] == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["per_class"]["class 1"] == pytest.approx({"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2})
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0.8 + 0) / 3)
    assert found["majority_baseline"] == 0.5
    assert (found["n"], found["loss"], found["split"], found["schema_version"]) == (6, 0.5, "test", 1)


def test_figures_are_those_of_scikit_learn():
    labels, probabilities = random_case()
    predicted = probabilities.argmax(axis=1)
    found = compute_metrics(labels, probabilities, [str(index) for index in range(7)], loss=1.0, split="test")
    assert found["accuracy"] == sk.accuracy_score(labels, predicted)
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, predicted))
    for average in ("macro", "weighted"):
        assert found[f"{average}_f1"] == pytest.approx(sk.f1_score(labels, predicted, average=average))
    assert found["macro_precision"] == pytest.approx(sk.precision_score(labels, predicted, average="macro"))
    assert found["macro_recall"] == pytest.approx(sk.recall_score(labels, predicted, average="macro"))
    assert found["cohen_kappa"] == pytest.approx(sk.cohen_kappa_score(labels, predicted))
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(labels, predicted))
    assert found["top5_accuracy"] == pytest.approx(sk.top_k_accuracy_score(labels, probabilities, k=5))


def test_the_interval_is_wilsons():
    low, high = measure([0] * 10, [0] * 8 + [1] * 2, 2)["accuracy_ci95"]
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Wilson (1927), 8 of 10


def test_a_class_missing_from_the_labels_shifts_nothing():
    without = measure([0, 0, 2, 2], [0, 0, 2, 0], 3)
    two = measure([0, 0, 1, 1], [0, 0, 1, 0], 2)
    for key in ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_precision", "macro_recall", "mcc"):
        assert without[key] == pytest.approx(two[key]), key
    assert without["confusion_matrix"] == [[2, 0, 0], [0, 0, 0], [1, 0, 1]]
    assert without["per_class"]["class 1"] == {"precision": None, "recall": None, "f1": None, "support": 0}
    assert without["per_class"]["class 2"]["recall"] == 0.5


def test_what_is_undefined_is_none_and_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_class = measure([0, 0], [0, 0], 2)
        all_same = measure([0, 1, 2], [1, 1, 1], 3)
    assert one_class["cohen_kappa"] is None
    assert one_class["mcc"] is None
    assert all_same["per_class"]["class 0"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert "NaN" not in strict_json([one_class, all_same])


def test_a_loss_that_is_not_finite_is_none():
    assert compute_metrics(np.array([0]), certain([0], 2), "ab", loss=float("nan"), split="test")["loss"] is None


@pytest.mark.parametrize("classes", [2, 5])
def test_top_5_of_five_classes_says_nothing(classes):
    assert measure([0, 1], [0, 1], classes)["top5_accuracy"] is None


def test_of_equal_probabilities_the_first_class_counts():
    flat = np.full((1, 8), 0.125, np.float32)
    assert predicted_classes(flat).tolist() == [0]
    assert top_accuracy(flat, np.array([4]), 5) == 1
    assert top_accuracy(flat, np.array([5]), 5) == 0


def test_top_1_is_the_accuracy_and_top_n_is_one():
    labels, probabilities = random_case()
    assert top_accuracy(probabilities, labels, 1) == (predicted_classes(probabilities) == labels).mean()
    assert top_accuracy(probabilities, labels, 7) == 1


def test_calibration_error_is_the_gap_counted_by_hand():
    # two bins are filled: four images at 0.9, of which three are right, and two at 0.6, of which one is
    probabilities = np.vstack([certain([0] * 4, 2, 0.9), certain([0] * 2, 2, 0.6)])
    labels = np.array([0, 0, 0, 1, 0, 1])
    expected = 4 / 6 * abs(0.75 - 0.9) + 2 / 6 * abs(0.5 - 0.6)
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected)


def test_a_certain_and_right_network_is_calibrated():
    assert expected_calibration_error(certain([0, 1, 1], 2), np.array([0, 1, 1])) == 0


def test_confusions_come_by_frequency():
    confusions = most_frequent_confusions(measure([0, 0, 0, 1, 1, 2], [1, 1, 0, 2, 1, 2], 3))
    assert [(each.true, each.predicted, each.count, each.support) for each in confusions] == [
        ("class 0", "class 1", 2, 3),
        ("class 1", "class 2", 1, 2),
    ]


def test_worst_classes_come_first_and_perfect_ones_not_at_all():
    worst = worst_classes(measure([0, 0, 0, 1, 1, 1, 2], [1, 1, 0, 1, 1, 1, 2], 4))
    assert [score.name for score in worst] == ["class 0", "class 1"]
    assert worst[0].f1 < worst[1].f1


@pytest.mark.parametrize(
    ("labels", "shape", "message"),
    [
        ([], (0, 2), "no images"),
        ([0], (1, 3), "shape"),
        ([2], (1, 2), "labels from 2"),
        ([-1], (1, 2), "labels from -1"),
    ],
)
def test_what_does_not_fit_is_refused(labels, shape, message):
    with pytest.raises(DataError, match=message):
        compute_metrics(np.array(labels, int), np.ones(shape, np.float32), ["a", "b"], loss=0, split="test")


def test_an_output_that_is_not_finite_gives_no_result():
    with pytest.raises(RunError, match="image 1"):
        compute_metrics(np.array([0, 0]), np.array([[1, 0], [np.nan, 0]]), ["a", "b"], loss=0, split="test")
