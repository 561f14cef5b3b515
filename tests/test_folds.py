"""Cross-validation: what the folds are, what they come to together, and what the test part sees of it: nothing."""

import csv
import shutil

import numpy as np
import pytest
from photos import make_color_photos
from scipy import stats

import imgcls
from imgcls import DataError, Run, SpecError
from imgcls.comparison.repeats import mean_interval
from imgcls.comparison.significance import of_folds
from imgcls.data.splits import assign_folds, ranks
from imgcls.files import read_csv, write_json
from imgcls.runs import layout
from imgcls.spec import load_spec

SETTINGS = {
    "resolution": [12, 16],
    "architecture": [{"conv": 2}, "global_average_pool"],
    "lr": 0.01,
    "batch": 8,
    "epochs": 1,
    "folds": 3,
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return make_color_photos(tmp_path_factory.mktemp("folds") / "photos")


@pytest.fixture(scope="module")
def group(photos):
    folder = photos.parent
    return imgcls.train(SETTINGS | {"data": str(photos)}, runs_dir=folder / "runs", cache_dir=folder / "cache")


def images(run, split):
    return {row["path"] for row in run.manifest if row["split"] == split}


def test_each_image_outside_the_test_part_is_measured_once(group):
    folds = [images(run, "fold") for run in group.members]
    assert [run.name for run in group.members] == ["fold-1", "fold-2", "fold-3"]
    assert sum(map(len, folds)) == len(set.union(*folds)) == 60 - 9
    assert len({frozenset(images(run, "test")) for run in group.members}) == 1
    for run in group.members:
        parts = [images(run, part) for part in ("train", "validation", "fold", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 60
        assert run.metrics["split"] == "fold"
        assert run.settings["folds"] is None


def test_the_pooled_figures_are_those_of_all_folds_images(group):
    pooled = group.repeats["pooled"]
    hits = sum(round(run.metrics["accuracy"] * run.metrics["n"]) for run in group.members)
    assert (pooled["n"], pooled["accuracy"]) == (51, pytest.approx(hits / 51))
    matrices = [np.array(run.metrics["confusion_matrix"]) for run in group.members]
    assert pooled["confusion_matrix"] == sum(matrices).tolist()
    assert group.path(layout.CONFUSION_PNG).is_file()
    assert [row["state"] for row in group.repeats["runs"]] == ["completed"] * 3


def test_a_fold_can_be_trained_alone_with_the_same_result(group, photos, tmp_path):
    alone = load_spec({**SETTINGS, "data": {"source": "folder", "path": str(photos), "fold": {"index": 2, "of": 3}}},
                      {"folds": None})  # fmt: skip
    run = imgcls.train(alone.value, runs_dir=tmp_path, cache_dir=photos.parent / "cache")
    assert run.metrics["loss"] == Run(group.path("fold-2")).metrics["loss"]
    again = imgcls.evaluate(Run(group.path("fold-2")), cache_dir=photos.parent / "cache")
    assert again.metrics["accuracy"] == run.metrics["accuracy"]


def test_folds_keep_shares_groups_and_equal_pictures():
    labels = np.array([0] * 90 + [1] * 30, np.int32)
    hashes = np.random.default_rng(0).integers(0, 256, (120, 32), np.uint8)
    hashes[1::2] = hashes[::2]  # each picture twice
    groups = [f"patient {row // 6}" for row in range(120)]
    rank = ranks(0, hashes, [str(row) for row in range(120)])
    plain = assign_folds(labels, hashes, None, rank, 5, ["a", "b"])
    assert all(plain[row] == plain[row + 1] for row in range(0, 120, 2))
    assert [np.bincount(labels[plain == fold]).tolist() for fold in range(1, 6)] == [[18, 6]] * 5
    grouped = assign_folds(labels, hashes, groups, rank, 5, ["a", "b"])
    assert all(len(set(grouped[start : start + 6])) == 1 for start in range(0, 120, 6))
    assert min(np.bincount(grouped)[1:]) >= 18


def test_rows_of_one_group_never_fall_into_two_folds(photos, tmp_path):
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "patient"))
        for path in sorted(photos.rglob("*.png")):
            number = int("".join(filter(str.isdigit, path.stem)) or 0)
            writer.writerow((path, path.parent.name, f"{path.parent.name}-{number // 2}"))
    data = {"source": "csv", "path": str(table), "group": "patient"}
    run = imgcls.train({**SETTINGS, "data": data}, {"folds": 2}, runs_dir=tmp_path / "runs")
    patients = {row["path"]: row["patient"] for row in read_csv(table)}
    first, second = ({patients[path] for path in images(member, "fold")} for member in run.members)
    assert not first & second
    assert [member.metrics["groups"] for member in run.members] == [len(first), len(second)]
    assert run.repeats["pooled"]["groups"] == len(first | second)
    for member in run.members:  # a number for each patient, and no name
        numbers = {(patients[row["path"]], row["group"]) for row in member.manifest}
        assert len(numbers) == len({number for _, number in numbers}) == len(set(patients.values()))


def test_too_few_images_for_the_folds_are_told_before_there_is_a_folder(photos, tmp_path):
    with pytest.raises(DataError):
        imgcls.train(SETTINGS | {"data": str(photos), "folds": 30}, runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "wrong", [{"repeats": 2}, {"evaluate_on": "validation"}, {"data.merge_validation": True}, {"folds": 1}]
)
def test_what_does_not_go_with_folds_is_refused(wrong):
    with pytest.raises(SpecError):
        load_spec({"data": "digits", "folds": 3}, wrong)


def test_the_interval_allows_for_the_images_that_folds_share():
    plain, corrected = mean_interval(0.8, 0.02, 5), mean_interval(0.8, 0.02, 5, overlap=0.25)
    assert (corrected[1] - 0.8) / (plain[1] - 0.8) == pytest.approx(np.sqrt((1 / 5 + 1 / 4) / (1 / 5)))


def test_without_overlap_the_corrected_test_is_the_paired_one():
    rng = np.random.default_rng(0)
    first = rng.normal(0.8, 0.01, 10)
    second = first + rng.normal(0.01, 0.01, 10)
    paired = stats.ttest_rel(second, first)
    found = of_folds(first, second, 0.0)
    assert found.p == pytest.approx(paired.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(paired.confidence_interval()))
    assert of_folds(first, second, 1 / 9).p > found.p
    assert of_folds([0.5, 0.5], [0.6, 0.6], 1.0) is None


def test_two_cross_validations_are_compared_fold_by_fold(group):
    other = Run(shutil.copytree(group.folder, group.folder.with_name("2026-01-01_00-00-00_other")))
    other.path(layout.CHECKSUMS).unlink()
    record = group.repeats
    rows = [row | {"accuracy": 0.2 + 0.01 * number} for number, row in enumerate(record["runs"])]
    write_json(other.path(layout.REPEATS_JSON), record | {"runs": rows})
    (pair,) = imgcls.compare([group, other]).verdict.pairs
    assert pair.difference.test == "corrected resampled t-test"
    gains = [ours["accuracy"] - theirs["accuracy"] for ours, theirs in zip(rows, record["runs"], strict=True)]
    assert pair.difference.value == pytest.approx(np.mean(gains))
