"""What the counts of images tell, and what they must not."""

import numpy as np
import pytest

from imgcls.data.balance import check_balance, count_classes


def codes(**parts):
    classes = [f"class {index}" for index in range(len(parts["train"]))]
    counts = {part: np.array(images) for part, images in parts.items()}
    return {finding.code: finding.message for finding in check_balance(classes, counts)}


def test_each_class_of_each_part_is_counted():
    labels = np.array([0, 1, 1, 2, 0, 1])
    counts = count_classes(labels, {"train": np.array([0, 1, 2]), "test": np.array([3, 4, 5])}, 4)
    assert {part: images.tolist() for part, images in counts.items()} == {"train": [1, 2, 0, 0], "test": [1, 1, 1, 0]}


@pytest.mark.parametrize(
    "parts",
    [
        {"train": [100, 100], "test": [20, 20]},
        {"train": [100, 30, 11], "validation": [20, 6, 2], "test": [20, 6, 2]},
        {"train": [99, 10]},
        {"train": [70, 70, 70], "test": [12, 15, 18]},  # the shares of few images
    ],
)
def test_sound_counts_are_not_remarked(parts):
    assert codes(**parts) == {}


def test_classes_of_few_images_are_named():
    found = codes(train=[50, 9, 3])
    assert found["few_images"].startswith(
        "2 classes of 3 with fewer than 10 training images: class 1 9, class 2 3; what they score"
    )


def test_the_shares_of_report_000_are_imbalanced_and_shift():
    found = codes(train=[2000, 1800, 1900, 2500, 100], test=[133, 275, 406, 1896, 39])
    assert found["imbalanced"].startswith("class 3 has 2,500 training images, class 4 100")
    assert "always predicting class 3 scores 0.30 on train and 0.69 on test" in found["prior_shift"]


def test_a_shift_that_is_sure_and_small_is_not_told():
    assert codes(train=[50_000, 50_000], test=[5200, 4800]) == {}
    assert "prior_shift" in codes(train=[50_000, 50_000], test=[6200, 3800])
