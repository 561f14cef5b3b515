import numpy as np

from imgcls.evaluation.checks import DEGENERATE_CODES, check_result
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
    findings = check(labels, [0] * 30 + [0] * 8 + [1] * 2, 2)
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


def test_only_a_result_without_meaning_is_degenerate():
    assert {"not_better_than_majority", "one_class_predicted"} == DEGENERATE_CODES
