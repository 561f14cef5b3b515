import tracemalloc

import numpy as np
import pytest

from imgcls.evaluation.alignment import alignment
from imgcls.evaluation.checks import DEGENERATE_CODES, check_matrix, check_result
from imgcls.evaluation.metrics import compute_metrics


def check(labels, predicted, classes):
    probabilities = np.eye(classes, dtype=np.float32)[predicted]
    names = [f"class {index}" for index in range(classes)]
    return check_result(compute_metrics(np.array(labels), probabilities, names, loss=0.5, split="test"))


def test_a_good_result_has_no_findings():
    assert check([0, 1] * 20, [0, 1] * 20, 2) == []


def test_one_class_for_all_images_is_found():
    findings = check([0, 1, 2] * 20, [1] * 60, 3)
    assert [finding.code for finding in findings] == ["one_class_predicted", "not_better_than_majority"]
    assert "60 images" in findings[0].message
    assert "class 1" in findings[0].message


def test_an_accuracy_that_may_be_the_majority_is_found():
    labels = [0] * 30 + [1] * 10
    findings = check(labels, [0] * 30 + [0] * 7 + [1] * 3, 2)
    assert [finding.code for finding in findings] == ["not_better_than_majority"]


def test_classes_that_are_never_predicted_are_named():
    findings = check([0, 1, 2, 3] * 20, [0, 1, 0, 1] * 20, 4)
    assert findings[0].code == "classes_never_predicted"
    assert "2 of 4" in findings[0].message
    assert "class 2, class 3" in findings[0].message


def test_a_class_without_images_need_not_be_predicted():
    assert check([0, 1] * 20, [0, 1] * 20, 3) == []


def test_thousands_of_names_are_cut():
    message = check([*range(3000)], [0, 1] * 1500, 3000)[0].message
    assert len(message) < 300
    assert "and 2,988 more" in message


def drawn(rng, classes, images, right):
    """Return as many images of each class, a share of them right, the others taken for any class."""
    labels = np.repeat(np.arange(classes), images)
    table = np.zeros((classes, classes), int)
    predicted = np.where(rng.random(labels.size) < right, labels, rng.integers(0, classes, labels.size))
    np.add.at(table, (labels, predicted), 1)
    return table


def codes(matrix):
    return [finding.code for finding in check_matrix([f"class {index}" for index in range(len(matrix))], matrix)]


def test_predictions_in_another_order_than_the_labels_are_at_chance():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 800)
    predicted = np.where(rng.random(800) < 0.8, labels, rng.integers(0, 4, 800))
    assert check(labels, predicted, 4) == []
    findings = check(labels, rng.permutation(predicted), 4)
    assert [finding.code for finding in findings] == ["predictions_at_chance", "not_better_than_majority"]
    assert "(Cohen's kappa " in findings[0].message


def test_a_weak_result_of_few_rare_images_is_not_at_chance():
    assert codes([[90, 2, 0], [3, 4, 0], [1, 0, 1]]) == ["not_better_than_majority"]


def test_chance_is_found_at_chance_in_nineteen_cases_of_twenty():
    rng = np.random.default_rng(1)
    tables = [np.zeros((3, 3), int) for _ in range(200)]
    for table in tables:
        np.add.at(table, (rng.choice(3, 300, p=[0.7, 0.28, 0.02]), rng.choice(3, 300, p=[0.5, 0.45, 0.05])), 1)
    found = [alignment(table).p < 0.05 for table in tables]
    assert 0.01 < np.mean(found) < 0.1


def test_the_p_value_is_that_of_the_chi_square_test_where_that_holds():
    from scipy.stats import chi2_contingency

    table = [[40, 30, 1], [30, 42, 3], [30, 28, 4]]  # where chance puts 2 images into a cell, tables are drawn
    assert alignment(table).p == pytest.approx(chi2_contingency(table).pvalue, abs=0.02)
    many = np.random.default_rng(2).integers(1, 9, (150, 150))
    assert alignment(many).p == chi2_contingency(many, correction=False).pvalue


def test_where_chance_fills_every_cell_no_tables_are_drawn():
    from scipy.stats import chi2_contingency

    table = [[40, 30, 30], [30, 42, 28], [30, 28, 42]]
    assert alignment(table).p == chi2_contingency(table, correction=False).pvalue


def test_random_tables_are_held_a_few_at_a_time_and_are_those_drawn_at_once():
    from scipy.stats import random_table

    table = drawn(np.random.default_rng(5), 60, 10, 0.02)
    tracemalloc.start()
    found = alignment(table).p
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # all of them take 170 MB, and a copy

    rows, columns = table.sum(axis=1), table.sum(axis=0)
    expected = np.outer(rows, columns) / table.sum()
    chance = random_table(rows, columns, seed=0).rvs(1999, method="patefield")
    least = ((table - expected) ** 2 / expected).sum() * (1 - 1e-9)
    assert found == (1 + sum(((each - expected) ** 2 / expected).sum() >= least for each in chance)) / 2000


def test_classes_in_another_order_are_found():
    findings = check([0, 1, 2] * 30, [1, 2, 0] * 30, 3)
    assert [finding.code for finding in findings] == ["classes_permuted", "not_better_than_majority"]
    assert "would be 1.000" in findings[0].message
    assert codes([[30, 25, 5], [20, 28, 12], [2, 3, 55]]) == []


@pytest.mark.parametrize(("classes", "images", "right"), [(50, 4, 0.1), (40, 10, 0.1)])
def test_of_many_classes_some_other_order_fits_by_chance_and_nothing_is_said(classes, images, right):
    rng = np.random.default_rng(3)
    assert all("classes_permuted" not in codes(drawn(rng, classes, images, right)) for _ in range(5))


@pytest.mark.parametrize(("classes", "images", "right"), [(50, 4, 0.5), (20, 10, 0.4), (3, 10, 0.8)])
def test_another_order_is_found_of_many_classes_and_of_weak_networks(classes, images, right):
    rng = np.random.default_rng(4)
    tables = [np.roll(drawn(rng, classes, images, right), 1, axis=1) for _ in range(5)]
    assert sum("classes_permuted" in codes(table) for table in tables) >= 4


def test_a_network_that_hardly_predicts_another_class_is_found():
    assert codes([[690, 0], [305, 5]])[0] == "nearly_one_class_predicted"
    assert codes([[970, 5], [10, 15]]) == []  # as rare as it is


def test_only_a_result_without_meaning_is_degenerate():
    assert {"one_class_predicted", "predictions_at_chance", "classes_permuted"} == DEGENERATE_CODES


@pytest.mark.parametrize("matrix", [[[97, 0], [0, 3]], [[497, 0], [0, 3]], [[3, 0], [0, 3]], [[29, 1], [7, 3]]])
def test_a_useful_network_on_few_rare_images_is_not_called_degenerate(matrix):
    (finding,) = check_matrix(["a", "b"], matrix)
    assert finding.code == "not_better_than_majority"
    assert "cannot be told from that of always predicting" in finding.message
    assert finding.code not in DEGENERATE_CODES


def test_an_accuracy_above_the_majority_is_told_by_the_images_that_were_gained_and_lost():
    assert codes([[947, 3], [35, 15]]) == []
    (finding,) = check_matrix(["a", "b"], [[947, 10], [35, 15]])
    assert "it gains 15 images and loses 10, exact p = 0.21" in finding.message


def test_an_accuracy_that_is_at_most_the_majority_is_not_better():
    for matrix in ([[30, 0], [10, 0]], [[20, 10], [0, 10]]):
        assert "is not better than always predicting" in check_matrix(["a", "b"], matrix)[-1].message


def test_predictions_that_depend_on_the_labels_and_do_not_meet_them_are_at_chance():
    assert codes([[3, 0, 0], [0, 0, 3], [3, 0, 0]])[1:] == ["predictions_at_chance", "not_better_than_majority"]
    assert "predictions_at_chance" not in codes([[600, 300], [10, 90]])  # though the majority has more right


def test_what_is_not_aligned_in_few_images_is_at_chance():
    assert codes([[2, 1], [2, 1]])[0] == "predictions_at_chance"
