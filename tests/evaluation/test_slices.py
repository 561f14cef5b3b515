import numpy as np
import pytest
from scipy.stats import chi2_contingency

from imgcls.evaluation.slices import check_slices, mantel_haenszel

CLASSES = ("cat", "dog", "bird")


def answers(rates, *, inside=None, inside_rates=None, each=200, seed=0):
    """Return labels, predictions: of class c right with chance ``rates[c]``, inside a slice ``inside_rates[c]``."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(rates)), each)
    chance = np.asarray(rates)[labels]
    if inside is not None:
        chance = np.where(inside, np.asarray(inside_rates)[labels], chance)
    right = draw.random(len(labels)) < chance
    return labels.astype(np.int32), np.where(right, labels, (labels + 1) % len(rates))


def found(labels, predicted, *, folders=None, pixels=None):
    folders = folders if folders is not None else [""] * len(labels)
    pixels = pixels if pixels is not None else np.full(len(labels), 64)
    paths = [
        f"test/{CLASSES[label]}/{folder}/{row}.jpg"
        for row, (label, folder) in enumerate(zip(labels, folders, strict=True))
    ]
    sizes = np.stack([pixels, pixels], axis=1).astype(np.uint32)
    return {each.code: each.message for each in check_slices(labels, predicted, CLASSES, paths, sizes)}


def test_a_class_that_is_hardly_recognised_is_told():
    assert "bird 0.2" in found(*answers([0.9, 0.9, 0.25]))["weak_class"]
    assert found(*answers([0.9, 0.95, 0.6])) == {}


def test_a_folder_that_is_hardly_recognised_is_told():
    folders = np.array(["old", "new", "new", "new"] * 150)
    labels, predicted = answers([0.9] * 3, inside=folders == "old", inside_rates=[0.6] * 3)
    message = found(labels, predicted, folders=folders)["weak_slice"]
    assert "the images in test/old (150)" in message


def test_a_folder_with_more_of_a_difficult_class_is_not_blamed():
    folders = np.array(["a"] * 190 + ["b"] * 10 + ["a"] * 100 + ["b"] * 100 + ["a"] * 10 + ["b"] * 190)
    labels, predicted = answers([0.95, 0.8, 0.55])
    inside = folders == "b"
    assert (predicted == labels)[inside].mean() < (predicted == labels)[~inside].mean() - 0.1
    assert found(labels, predicted, folders=folders) == {}


def test_small_pictures_that_are_hardly_recognised_are_told():
    pixels = np.random.default_rng(0).integers(30, 300, 600)
    labels, predicted = answers([0.9] * 3, inside=pixels < 90, inside_rates=[0.6] * 3)
    assert "the pictures of at most" in found(labels, predicted, pixels=pixels)["weak_slice"]


def test_chance_is_hardly_ever_told():
    draw = np.random.default_rng(1)
    told = 0
    for seed in range(200):
        folders, pixels = draw.choice(list("abcdefgh"), 600), draw.integers(30, 300, 600)
        told += bool(found(*answers([0.9, 0.75, 0.6], seed=seed), folders=folders, pixels=pixels))
    assert told <= 1


@pytest.mark.parametrize("seed", range(5))
def test_with_one_stratum_it_is_pearsons_test(seed):
    draw = np.random.default_rng(seed)
    inside, right = draw.random(300) < 0.4, draw.random(300) < 0.7
    difference, p = mantel_haenszel(np.zeros(300, int), inside, right)
    table = [[np.sum(inside & right), np.sum(inside & ~right)], [np.sum(~inside & right), np.sum(~inside & ~right)]]
    statistic = chi2_contingency(table, correction=False).statistic
    from scipy.stats import chi2

    assert p == pytest.approx(chi2.sf(statistic * 299 / 300, 1))
    assert difference == pytest.approx(right[inside].mean() - right[~inside].mean())


def test_strata_are_added_up_as_in_the_example_of_agresti():
    """Table 6.9 of Agresti (2002), smoking and lung cancer in eight Chinese cities: the statistic is 280.1."""
    cities = [
        (126, 100, 35, 61), (908, 688, 497, 807), (913, 747, 336, 598), (235, 172, 58, 121),
        (402, 308, 121, 215), (182, 156, 72, 98), (60, 99, 11, 43), (104, 89, 21, 36),
    ]  # fmt: skip
    rows = [
        (city, smoker, ill)
        for city, counts in enumerate(cities)
        for (smoker, ill), count in zip(((1, 1), (1, 0), (0, 1), (0, 0)), counts, strict=True)
        for _ in range(count)
    ]
    strata, inside, right = np.array(rows).T
    _, p = mantel_haenszel(strata, inside.astype(bool), right.astype(bool))
    from scipy.stats import chi2

    assert chi2.isf(p, 1) == pytest.approx(280.1, abs=0.1)


def test_slices_within_one_class_cannot_be_told_apart():
    assert mantel_haenszel(np.array([0] * 9 + [1] * 9), np.array([True] * 9 + [False] * 9), np.ones(18, bool)) == (0, 1)
