import csv
import io
import json

import pytest
from run_folders import make_repeats, make_run, make_unfinished

from imgcls.comparison import compare, figure_interval, markdown_cell, mean_interval, to_csv, to_json, to_markdown
from imgcls.files import read_csv, write_csv, write_json
from imgcls.runs import Run, layout


def row(rows, key):
    return next(row for row in rows if row.key == key)


def settings_of(comparison):
    return {row.key: row.values for row in comparison.settings}


def test_the_best_is_the_highest_but_for_losses_and_seconds(tmp_path):
    comparison = compare([make_run(tmp_path, "a", right=20), make_run(tmp_path, "b", right=25, wrong=5, seconds=20.0)])
    assert row(comparison.metrics, "accuracy").best == (1,)
    assert row(comparison.metrics, "ece").best == (1,)
    assert row(comparison.timings, "total_seconds").best == (0,)
    assert comparison.notes == ()


def test_equal_values_have_no_best(tmp_path):
    comparison = compare([make_run(tmp_path, "a"), make_run(tmp_path, "b")])
    assert all(row.best == () for row in (*comparison.metrics, *comparison.timings))
    assert comparison.settings == ()


def test_two_of_three_can_share_the_best(tmp_path):
    comparison = compare(
        [
            make_run(tmp_path, name, right=right, wrong=30 - right)
            for name, right in zip("abc", (20, 25, 25), strict=True)
        ]
    )
    assert row(comparison.metrics, "accuracy").best == (1, 2)


def test_only_the_settings_that_differ_are_there(tmp_path):
    first = make_run(tmp_path, "a", overrides={"batch": 16, "name": "a", "tags": ["x"]})
    second = make_run(tmp_path, "b", overrides={"optimizer": {"name": "adam", "epsilon": 1e-5}, "name": "b"})
    assert settings_of(compare([first, second])) == {"batch": (16, 64), "optimizer.epsilon": (1e-07, 1e-05)}


def test_a_setting_that_only_one_run_has_is_there(tmp_path):
    sgd = {"optimizer": {"name": "sgd", "momentum": 0.9}}
    found = settings_of(compare([make_run(tmp_path, "a"), make_run(tmp_path, "b", overrides=sgd)]))
    assert found["optimizer.name"] == ("adam", "sgd")
    assert found["optimizer.momentum"] == (None, 0.9)


def test_layers_of_the_same_kinds_are_compared_setting_by_setting(tmp_path):
    given = [
        {"architecture": [{"conv": filters}, "flatten", {"residual": [{"dense": units}]}]}
        for filters, units in ((8, 3), (16, 4))
    ]
    found = settings_of(compare([make_run(tmp_path, overrides=each) for each in given]))
    assert found == {
        "architecture.layers.0.conv.filters": (8, 16),
        "architecture.layers.2.residual.layers.0.dense.units": (3, 4),
    }


def test_stages_that_are_as_many_are_compared_setting_by_setting(tmp_path):
    given = [{"stages": [{"epochs": 2}, {"epochs": 3, "lr": rate}]} for rate in (0.1, 0.2)]
    found = settings_of(compare([make_run(tmp_path, overrides=each) for each in given]))
    assert found == {"stages.1.lr.initial": (0.1, 0.2)}


def test_stages_that_are_not_as_many_are_a_line_each(tmp_path):
    backbone = {"architecture": {"backbone": "mobilenet", "trainable": "none"}, "resolution": 32, "color": "rgb"}
    given = [{"stages": [{"epochs": 2}]}, {"stages": [{"epochs": 2}, {"epochs": 3, "optimizer": "sgd"}]}, {}]
    found = settings_of(compare([make_run(tmp_path, overrides=backbone | each) for each in given]))
    first = "2 epochs, adam at 0.001 constant, trainable none"
    assert found == {
        "stages.0": (first, first, None),
        "stages.1": (None, "3 epochs, sgd at 0.01 constant, trainable none", None),
        "epochs": (2, 2, 10),  # at the top stands what the first stage does
    }


def test_layers_of_other_kinds_are_compared_as_a_whole(tmp_path):
    given = [
        {"architecture": ["flatten"]},
        {"architecture": [{"conv": 8}, {"max_pool": 2}, "flatten", {"dropout": 0.2}]},
    ]
    found = settings_of(compare([make_run(tmp_path, overrides=each) for each in given]))
    assert found == {"architecture.layers": ("flatten", "conv 8, max_pool [2, 2], flatten, dropout 0.2")}


def test_other_test_images_are_not_compared(tmp_path):
    comparison = compare([make_run(tmp_path, "a"), make_run(tmp_path, "b", right=25, images="other")])
    assert "different test images (they share 0 of 35)" in comparison.notes[0]
    assert row(comparison.metrics, "accuracy").best == ()
    assert not row(comparison.metrics, "accuracy").comparable
    assert row(comparison.metrics, "accuracy").values[0] == pytest.approx(20 / 30)


def test_the_same_images_at_another_place_are_the_same(tmp_path):
    first, second = make_run(tmp_path, "a"), make_run(tmp_path, "b")
    rows = read_csv(second.path(layout.MANIFEST))
    moved = [(f"moved/{each['path']}", each["label"], each["split"], each["sha256"]) for each in reversed(rows)]
    write_csv(second.path(layout.MANIFEST), tuple(rows[0]), moved)
    assert compare([first, second]).notes == ()


def test_more_training_images_are_a_hindrance_for_times_alone(tmp_path):
    first, second = make_run(tmp_path, "a"), make_run(tmp_path, "b")
    with second.path(layout.MANIFEST).open("a") as file:
        file.write("more.png,cat,train,99\n")
    (note,) = compare([first, second]).notes
    assert note == (
        f"times are not comparable: {first.name} has 30 test, 1 train images; {second.name} has 30 test, 2 train images"
    )


def test_images_that_cannot_be_checked_are_not_compared(tmp_path):
    first, second = make_run(tmp_path, "a"), make_run(tmp_path, "b")
    second.path(layout.MANIFEST).unlink()
    assert "has no manifest.csv" in compare([first, second]).notes[0]


def test_other_classes_are_named(tmp_path):
    comparison = compare([make_run(tmp_path, "a"), make_run(tmp_path, "b", classes=("cat", "dog", "cow"))])
    assert "other classes" in comparison.notes[0]
    assert "cow" in comparison.notes[0]


def test_another_split_is_named(tmp_path):
    comparison = compare([make_run(tmp_path, "a"), make_run(tmp_path, "b", split="validation")])
    assert "measured on the validation part" in comparison.notes[0]


@pytest.mark.parametrize(
    "other",
    [
        {"loss": "mean_squared_error"},
        {"label_smoothing": 0.1},
        {"architecture": [{"dense": {"units": 3, "l2": 1e-4}}]},
    ],
)
def test_losses_of_different_kinds_are_not_compared_but_the_rest_is(tmp_path, other):
    comparison = compare([make_run(tmp_path, "a"), make_run(tmp_path, "b", right=25, wrong=5, overrides=other)])
    assert [note.partition(":")[0] for note in comparison.notes] == ["losses are not comparable"]
    assert not row(comparison.metrics, "loss").comparable
    assert row(comparison.metrics, "accuracy").best == (1,)


def test_a_loss_with_settings_is_named_with_them(tmp_path):
    second = make_run(tmp_path, "b", overrides={"loss": {"name": "focal", "gamma": 1.5}})
    (note,) = compare([make_run(tmp_path, "a"), second]).notes
    assert note.endswith("b has categorical_focal_crossentropy (alpha 0.25, gamma 1.5)")


def test_cross_entropy_has_three_names(tmp_path):
    second = make_run(tmp_path, "b", overrides={"loss": "categorical_crossentropy"})
    assert compare([make_run(tmp_path, "a"), second]).notes == ()


def test_times_on_different_devices_are_not_compared(tmp_path):
    comparison = compare([make_run(tmp_path, "a"), make_run(tmp_path, "b", device="H200", seconds=1.0)])
    assert "H200" in comparison.notes[0]
    assert row(comparison.timings, "total_seconds").best == ()


def test_an_unfinished_run_takes_part_with_what_it_has(tmp_path):
    comparison = compare([make_run(tmp_path, "a"), make_unfinished(tmp_path)])
    assert [run.state for run in comparison.runs] == ["completed", "failed"]
    assert "is failed: out of memory; it has no result" in comparison.notes[0]
    assert row(comparison.metrics, "accuracy").values[1] is None
    assert row(comparison.metrics, "accuracy").best == ()
    assert settings_of(comparison) == {"epochs": (10, 99)}


def test_a_run_that_has_nothing_takes_part_too(tmp_path):
    empty = make_unfinished(tmp_path)
    empty.path(layout.RESOLVED).unlink()
    comparison = compare([make_run(tmp_path, "a"), empty, make_run(tmp_path, "c", overrides={"batch": 1})])
    assert settings_of(comparison) == {"batch": (64, None, 1)}


@pytest.mark.parametrize(
    ("file", "state"),
    [
        (layout.METRICS, "damaged"),
        (layout.STATUS, "damaged"),
        (layout.RESOLVED, "completed"),
        (layout.TIMINGS, "completed"),
    ],
)
def test_a_damaged_run_is_a_column_with_a_note_that_names_the_file(tmp_path, file, state):
    good, bad = make_run(tmp_path, "a"), make_run(tmp_path, "b")
    bad.path(file).write_text('{"accuracy": 0.')
    comparison = compare([good, bad])
    assert [run.state for run in comparison.runs] == ["completed", state]
    (note,) = comparison.notes
    assert f"{bad.path(file)} is damaged" in note
    assert row(comparison.metrics, "accuracy").values[0] == 20 / 30


def test_a_manifest_that_is_cut_makes_results_and_times_not_comparable(tmp_path):
    first, second = make_run(tmp_path, "a"), make_run(tmp_path, "b", right=25, wrong=5)
    second.path(layout.MANIFEST).write_text("path,label\n1")
    comparison = compare([first, second])
    assert f"the manifest.csv of {second.name} is damaged" in comparison.notes[0]
    assert row(comparison.metrics, "accuracy").best == ()


def test_a_completed_run_whose_result_is_gone_is_called_so(tmp_path):
    run = make_run(tmp_path, "a")
    run.path(layout.METRICS).unlink()
    assert compare([run, make_run(tmp_path, "b")]).notes == (f"{run.name} is marked completed but has no metrics.json",)


def test_two_runs_of_one_name_in_other_folders_do_not_hide_each_other(tmp_path):
    first = make_run(tmp_path / "x", "a")
    second = make_run(tmp_path / "y", "b", overrides={"loss": "mean_squared_error"}, device="H200")
    second = Run(second.folder.rename(tmp_path / "y" / first.name))
    notes = compare([first, second]).notes
    assert [note.partition(":")[0] for note in notes] == ["losses are not comparable", "times are not comparable"]


def test_times_of_other_data_have_no_best(tmp_path):
    comparison = compare([make_run(tmp_path, "a"), make_run(tmp_path, "b", images="other", seconds=1.0)])
    assert comparison.notes[1].startswith("times are not comparable")
    assert row(comparison.timings, "total_seconds").best == ()


def test_times_at_another_resolution_have_no_best(tmp_path):
    overrides = {"resolution": 16}
    comparison = compare([make_run(tmp_path, "a"), make_run(tmp_path, "b", overrides=overrides, seconds=1.0)])
    (note,) = comparison.notes
    assert "has resolution [8, 8]" in note
    assert "has resolution [16, 16]" in note
    assert not row(comparison.timings, "total_seconds").comparable
    assert row(comparison.metrics, "accuracy").comparable


def test_json_is_strict_and_whole(tmp_path):
    first = make_run(tmp_path, "a")
    write_json(first.path(layout.TIMINGS), {"total": float("nan")})
    found = json.loads(to_json(compare([first, make_unfinished(tmp_path)])))
    assert set(found) == {"verdict", "runs", "metrics", "settings", "timings", "notes"}
    assert found["runs"][1]["state"] == "failed"


def test_csv_has_a_column_a_run_with_exact_values(tmp_path):
    comparison = compare([make_run(tmp_path, "a"), make_run(tmp_path, "b", overrides={"batch": 16})])
    header, *rows = csv.reader(io.StringIO(to_csv(comparison)))
    assert header == ["section", "key", *(run.name for run in comparison.runs)]
    found = {line[1]: line[2:] for line in rows}
    assert found["batch"] == ["64", "16"]
    assert float(found["accuracy"][0]) == 20 / 30


def test_markdown_marks_the_best_and_shows_text_as_it_is(tmp_path):
    text = to_markdown(compare([make_run(tmp_path, "a_b"), make_run(tmp_path, "c", right=25, wrong=5)]))
    assert "| accuracy | 0.6667 | **0.8333** |" in text
    assert "a_b" in text
    assert markdown_cell("macro_f1 _x_ a_") == r"macro_f1 \_x\_ a\_"
    assert markdown_cell("a|b\n<i>[x]") == r"a\|b \<i\>\[x\]"


def test_repeats_are_one_column_of_means_and_deviations(tmp_path):
    pair = [make_repeats(tmp_path, rights=(20, 22)), make_repeats(tmp_path, rights=(23, 25), overrides={"batch": 16})]
    comparison = compare(pair)
    accuracy = row(comparison.metrics, "accuracy")
    assert accuracy.values == pytest.approx((0.7, 0.8))
    assert accuracy.deviations == pytest.approx((2**0.5 / 30, 2**0.5 / 30))
    assert accuracy.best == (1,)
    assert row(comparison.timings, "total_seconds").values == (10.5, 10.5)
    assert settings_of(comparison) == {"batch": (64, 16)}
    assert [(column.repeats, column.finished) for column in comparison.runs] == [(2, 2), (2, 2)]
    assert comparison.notes == ()


def test_figures_of_one_runs_images_are_not_there_for_repeats(tmp_path):
    group = make_repeats(tmp_path, rights=(20,))
    interval = row(compare([group, make_run(tmp_path, "one")]).metrics, "accuracy_ci95").values
    assert interval[0] is None
    assert interval[1] is not None


def test_repeats_on_other_images_are_not_compared(tmp_path):
    comparison = compare([make_repeats(tmp_path, rights=(20, 22)), make_run(tmp_path, "b", images="other")])
    assert "different test images" in comparison.notes[0]


def test_repeats_of_which_some_failed_say_what_the_means_are_of(tmp_path):
    group = make_repeats(tmp_path, rights=(20, 22), broken=("failed",))
    comparison = compare([group, make_run(tmp_path, "one")])
    assert comparison.runs[0].state_text == "failed, 2 of 3 runs"
    assert comparison.notes[-1] == f"{group.name} is failed; its figures are of 2 of 3 runs"


def test_repeats_beside_a_single_run_are_called_a_mean_and_have_no_best_time(tmp_path):
    group, single = make_repeats(tmp_path, rights=(20, 22, 24)), make_run(tmp_path, "one", seconds=99.0)
    comparison = compare([group, single])
    assert all(row.best == () and not row.comparable for row in comparison.timings)
    assert row(comparison.metrics, "accuracy").comparable
    of_times, of_means = comparison.notes
    assert of_times == (
        f"times are not comparable: those of {group.name} leave out the data and start-up that repeats share; "
        f"those of {single.name} include them"
    )
    assert of_means == f"{group.name} is the mean of 3 runs; {single.name} is a single run"


def test_a_single_repeat_has_no_time_to_compare_with_a_run_of_its_own(tmp_path):
    repeat = make_repeats(tmp_path, rights=(20, 22)).members[0]
    (note,) = compare([repeat, make_run(tmp_path, "one", seconds=99.0)]).notes
    assert "/repeat-1 leave out the data and start-up" in note


def test_two_repeats_of_one_run_are_told_apart_and_differ_in_their_seed(tmp_path):
    group = make_repeats(tmp_path, rights=(20, 22))
    comparison = compare(group.members)
    assert [column.name for column in comparison.runs] == [f"{group.name}/repeat-1", f"{group.name}/repeat-2"]
    assert settings_of(comparison) == {"seed": (0, 1)}


def test_csv_of_means_has_rows_of_deviations(tmp_path):
    comparison = compare([make_repeats(tmp_path, rights=(20, 22)), make_run(tmp_path, "one")])
    found = {line[1]: line[2:] for line in csv.reader(io.StringIO(to_csv(comparison)))}
    assert found["repeats"] == ["2", ""]
    assert float(found["accuracy_sd"][0]) == pytest.approx(2**0.5 / 30)
    assert found["accuracy_sd"][1] == ""
    assert "0.7000 (0.0471)" in to_markdown(comparison)


def test_the_means_are_of_what_is_completed(tmp_path):
    group = make_repeats(tmp_path, rights=(20, 22, 24))
    write_json(group.path(layout.REPEATS_JSON), group.repeats | {"runs": _failed_last(group.repeats["runs"])})
    comparison = compare([Run(group.folder), make_run(tmp_path, "one")])
    assert comparison.runs[0].finished == 2
    finished = [run.metrics["mcc"] for run in group.members[:2]]
    assert row(comparison.metrics, "mcc").values[0] == pytest.approx(sum(finished) / 2)


def _failed_last(rows):
    """Leave the figures of the last one: it was measured, and failed when its files were written."""
    return [*rows[:-1], rows[-1] | {"state": "failed"}]


def test_noise_of_the_arithmetic_makes_no_best(tmp_path):
    first, second = make_run(tmp_path, "a"), make_run(tmp_path, "b")
    write_json(second.path(layout.METRICS), second.metrics | {"mcc": second.metrics["mcc"] * (1 + 1e-15)})
    assert row(compare([first, Run(second.folder)]).metrics, "mcc").best == ()


def test_the_interval_of_a_mean_is_students():
    assert mean_interval(10.0, 2.0, 5) == pytest.approx((10 - 2.776445 * 2 / 5**0.5, 10 + 2.776445 * 2 / 5**0.5))
    assert mean_interval(10.0, None, 1) is None


def test_the_interval_of_the_mean_of_a_share_stays_a_share():
    wide = {"mean": 0.143, "sd": 0.1025}
    record = {"runs": [{"state": "completed"}] * 2, "summary": {"accuracy": wide, "loss": wide}}
    assert figure_interval(record, "loss")[0] == pytest.approx(-0.778, abs=1e-3)
    assert figure_interval(record, "accuracy") == (0.0, 1.0)
