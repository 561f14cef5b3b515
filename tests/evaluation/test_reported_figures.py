"""Published figures held against measured ones, and figures that no result can have."""

import json
import math
import random
import re
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest

from imgcls.evaluation import class_reports, matrices, plausibility, rounding, spreads
from imgcls.evaluation import reported as reported_module
from imgcls.evaluation.metrics import compute_metrics
from imgcls.evaluation.plausibility import impossible, reported_remarks
from imgcls.evaluation.reported import hold_against, measured_figures, reported_notes, reported_rows
from imgcls.spec.reported import ReportedSpec

FIVE_RUNS = {  # report 002, table 1: mean, sd, min, max of the accuracy, mean number of epochs
    "1": (0.799, 0.003, 0.795, 0.804, 25.8),
    "1 + aug 1": (0.729, 0.015, 0.715, 0.751, 32.6),
    "1 + aug 2": (0.708, 0.018, 0.690, 0.733, 30.2),
    "2": (0.843, 0.007, 0.835, 0.852, 33.6),
    "2 + aug 1": (0.798, 0.019, 0.764, 0.813, 43.8),
    "2 + aug 2": (0.781, 0.020, 0.765, 0.812, 52.0),
    "3": (0.679, 0.007, 0.666, 0.686, 24.2),
    "3 + aug 1": (0.653, 0.010, 0.634, 0.686, 45.2),
    "3 + aug 2": (0.629, 0.014, 0.616, 0.645, 43.4),
}
SUPPORTS = (133, 275, 406, 1896, 39)  # report 000: matrices and reports of precision, recall and F1, two decimals
REPORT_000 = {
    "64 pixels": {
        "matrix": [[0, 26, 32, 75, 0], [2, 45, 64, 164, 0], [0, 69, 95, 242, 0], [3, 287, 459, 1147, 0],
                   [0, 5, 14, 20, 0]],
        "rows": [(0.00, 0.00, 0.00), (0.10, 0.16, 0.13), (0.14, 0.23, 0.18), (0.70, 0.60, 0.65), (0.00, 0.00, 0.00)],
        "macro": (0.19, 0.20, 0.19), "weighted_f1": 0.48540001398030364, "accuracy": 0.4681702437249909,
    },
    "96 pixels": {
        "matrix": [[2, 14, 29, 88, 0], [7, 36, 63, 169, 0], [9, 63, 89, 245, 0], [39, 300, 463, 1094, 0],
                   [2, 3, 8, 26, 0]],
        "rows": [(0.03, 0.02, 0.02), (0.09, 0.13, 0.10), (0.14, 0.22, 0.17), (0.67, 0.58, 0.62), (0.00, 0.00, 0.00)],
        "macro": (0.19, 0.19, 0.18), "weighted_f1": 0.46523738204074877, "accuracy": 0.4441615132775555,
    },
    "augmented": {
        "matrix": [[11, 18, 30, 74, 0], [26, 46, 52, 151, 0], [27, 55, 78, 246, 0], [229, 273, 360, 1034, 0],
                   [2, 5, 10, 22, 0]],
        "rows": [(0.04, 0.08, 0.05), (0.12, 0.17, 0.14), (0.15, 0.19, 0.17), (0.68, 0.55, 0.60), (0.00, 0.00, 0.00)],
        "macro": (0.20, 0.20, 0.19), "weighted_f1": 0.4574817410087774, "accuracy": 0.4252455438341215,
    },
    "sgd": {
        "matrix": [[0, 0, 0, 133, 0], [0, 0, 3, 272, 0], [0, 0, 2, 404, 0], [0, 0, 7, 1889, 0], [0, 0, 0, 39, 0]],
        "rows": [(0.00, 0.00, 0.00), (0.00, 0.00, 0.00), (0.17, 0.00, 0.01), (0.69, 1.00, 0.82), (0.00, 0.00, 0.00)],
        "macro": (0.17, 0.20, 0.17), "weighted_f1": 0.5638365273231428, "accuracy": 0.6878865041833394,
    },
    "model 1, no matrix": {
        "rows": [(0.07, 0.10, 0.08), (0.08, 0.13, 0.10), (0.15, 0.22, 0.18), (0.69, 0.52, 0.59), (0.00, 0.00, 0.00)],
        "macro": (0.20, 0.19, 0.19), "weighted_f1": 0.45, "accuracy": 0.41,
    },
    "model 2, no matrix": {
        "rows": [(0.00, 0.00, 0.00), (0.12, 0.16, 0.14), (0.14, 0.13, 0.13), (0.69, 0.75, 0.72), (0.00, 0.00, 0.00)],
        "macro": (0.19, 0.21, 0.20), "weighted_f1": 0.53, "accuracy": 0.55,
    },
}  # fmt: skip


def reported(**figures):
    return ReportedSpec.model_validate(json.loads(json.dumps(figures)), strict=False)


def runs_of(mean, sd, low, high, **more):
    return {"mean": mean, "sd": sd, "min": low, "max": high} | more


def five_runs(network):
    *accuracy, epochs = FIVE_RUNS[network]
    return reported(repeats=5, n=10000, accuracy=runs_of(*accuracy), epochs_run=epochs)


def report_000(experiment, **changed):
    found = REPORT_000[experiment]
    keys = ("precision", "recall", "f1")
    rows = {
        str(index): dict(zip(keys, row, strict=True)) | {"support": support}
        for index, (row, support) in enumerate(zip(found["rows"], SUPPORTS, strict=True))
    }
    macro = dict(zip(("macro_precision", "macro_recall", "macro_f1"), found["macro"], strict=True))
    figures = {key: found[key] for key in ("weighted_f1", "accuracy")}
    figures |= {"n": 2749, "per_class": rows, "confusion_matrix": found.get("matrix", [])}
    return reported(**(macro | figures | changed))


def messages(**figures):
    found = impossible(reported(**figures))
    assert {finding.code for finding in found} <= {"reported_impossible"}
    return [finding.message for finding in found]


def recall_only(share, support):
    return messages(per_class={"0": {"recall": share, "support": support}})


def test_a_figure_agrees_within_its_tolerance():
    spec = reported(accuracy=0.84, macro_f1=0.8, loss=1.0, total_params=10, seconds=60, mcc=0.5)
    measured = {"accuracy": 0.86, "macro_f1": 0.759, "loss": 1.11, "total_params": 10, "seconds": 70, "mcc": math.nan}
    agrees = {row["figure"]: row["agrees"] for row in hold_against(spec, measured)}
    assert agrees == {
        "accuracy": True, "loss": False, "macro_f1": False, "mcc": None, "seconds": None, "total_params": True,
    }  # fmt: skip


def test_rows_keep_the_spread_and_are_ready_for_json():
    (row,) = hold_against(reported(accuracy=runs_of(0.843, 0.007, 0.835, 0.852)), {"accuracy": 0.85})
    assert json.loads(json.dumps(row, allow_nan=False)) == {
        "figure": "accuracy", "published": 0.843, "measured": 0.85, "difference": pytest.approx(0.007),
        "tolerance": 0.02, "agrees": True, "mean": 0.843, "sd": 0.007, "min": 0.835, "max": 0.852,
    }  # fmt: skip


def test_several_measured_runs_have_their_spread_in_the_same_form():
    spec = reported(accuracy=runs_of(0.17, 0.05, 0.1, 0.3), epochs_run=3, seconds=9)
    spreads = {
        "accuracy": runs_of(0.2, 0.03, 0.15, 0.25), "epochs_run": {"sd": None, "min": 3.0, "max": 4.0},
        "seconds": runs_of(99, 1, 98, 100),  # of something else: not the mean that was measured
    }  # fmt: skip
    rows = hold_against(spec, {"accuracy": 0.2, "epochs_run": 3.5, "seconds": 7}, spreads)
    assert [rows[0][f"measured_{key}"] for key in ("sd", "min", "max")] == [0.03, 0.15, 0.25]
    assert [measured for _, _, measured, _ in reported_rows(rows)] == [
        ".2000 (sd .0300, .1500 to .2500)", "3.5 (3.0 to 4.0)", "7",
    ]  # fmt: skip


def test_the_images_and_the_figures_of_the_classes_are_held_against_the_measured_ones():
    metrics = {"n": 30, "per_class": {"cat": {"precision": 0.5, "recall": 0.9, "f1": 0.64, "support": 10}}}
    spec = reported(n=40, per_class={"cat": {"recall": 0.8, "f1": 0.63, "support": 10}, "cow": {"recall": 0.7}})
    rows = hold_against(spec, measured_figures(metrics, {}, None))
    assert reported_rows(rows) == [
        ("n", "40", "30", "lower by 10 (tolerance 0)"),
        ("recall of cat", ".8", ".9000", "higher by .1 (tolerance .02)"),
        ("f1 of cat", ".63", ".6400", "agrees"),
        ("support of cat", "10", "10", "agrees"),
    ]
    assert rows[-1] | {"figure": "per_class.cow.recall", "class": "cow", "known": False, "measured": None} == rows[-1]
    assert reported_notes(rows) == ["the data has no class cow"]


def test_of_many_classes_the_ten_that_differ_most_are_shown_and_all_are_kept():
    classes = {f"class {number}": {"recall": number / 100} for number in range(1, 31)}
    measured = measured_figures({"per_class": {name: {"recall": 0.0} for name in classes}}, {}, None)
    rows = hold_against(reported(per_class=classes), measured)
    assert len(rows) == 30
    assert [name for name, *_ in reported_rows(rows)] == [f"recall of class {number}" for number in range(30, 20, -1)]
    assert reported_notes(rows) == ["of 30 figures of classes the 10 that differ most are shown"]


def test_people_read_the_difference_in_words():
    spec = reported(
        accuracy=runs_of(0.843, 0.01, 0.83, 0.86), macro_f1=0.8, loss=1.291, epochs_run=33.6, seconds=593,
        total_params=551082, top5_accuracy=0.99,
    )  # fmt: skip
    measured = {"accuracy": 0.85, "macro_f1": 0.759, "loss": 1.5, "epochs_run": 30, "total_params": 551092}
    assert reported_rows(hold_against(spec, measured)) == [
        ("accuracy", ".843 (sd .010, .830 to .860)", ".8500", "agrees"),
        ("loss", "1.291", "1.5000", "higher by .209 (tolerance .1291)"),
        ("macro_f1", ".8", ".7590", "lower by .041 (tolerance .02)"),
        ("top5_accuracy", ".99", "-", "not measured"),
        ("epochs_run", "33.6", "30", "not judged"),
        ("seconds", "593", "-", "not measured"),
        ("total_params", "551,082", "551,092", "higher by 10 (tolerance 0)"),
    ]


def test_a_difference_just_above_the_tolerance_does_not_look_equal_to_it():
    rows = hold_against(reported(accuracy=0.8), {"accuracy": 0.82002})
    assert reported_rows(rows)[0][-1] == "higher by .02002 (tolerance .02)"


def test_a_run_is_measured_by_its_metrics_its_best_epoch_and_its_clock():
    metrics = {"accuracy": 0.9, "loss": 0.3, "top5_accuracy": None, "epochs_run": 3, "split": "test", "classes": ["a"]}
    row = {"epoch": 2, "accuracy": 0.95, "loss": 0.2, "val_accuracy": np.float64(0.91), "val_loss": math.nan}
    assert measured_figures(metrics, row, 12.5) == {
        "accuracy": 0.9, "loss": 0.3, "train_accuracy": 0.95, "train_loss": 0.2, "val_accuracy": 0.91,
        "epochs_run": 3.0, "seconds": 12.5,
    }  # fmt: skip
    assert "val_loss" not in measured_figures(metrics, {"accuracy": 1.0}, None)


@pytest.mark.parametrize("network", [name for name in FIVE_RUNS if name != "3 + aug 1"])
def test_eight_rows_of_the_table_are_possible(network):
    assert impossible(five_runs(network)) == []


def test_one_maximum_of_the_table_cannot_be():
    (finding,) = impossible(five_runs("3 + aug 1"))
    assert finding.message == (
        "accuracy: a maximum of .686 cannot be: 5 values with mean .653 and sd .010 reach at most .671 "
        "(.673 if the sd is divided by n)"
    )


@pytest.mark.parametrize(
    ("accuracy", "message"),
    [
        (runs_of(0.703, 0.011, 0.712, 0.722), "a minimum of .712 cannot be: the mean is .703"),
        (runs_of(0.703, 0.011, 0.601, 0.714), "a minimum of .601 cannot be"),
        (runs_of(0.703, 0.026, 0.653, 0.751), "a sd of .026 cannot be: 5 values between .653 and .751"),
        (runs_of(0.703, 0.081, 0.653, 0.751), "have at most .0559"),
    ],
)
def test_mean_sd_and_extremes_must_go_together(accuracy, message):
    (found,) = messages(accuracy=accuracy, repeats=5)
    assert message in found


def test_a_mean_of_whole_numbers_is_a_multiple_of_their_share():
    assert messages(epochs_run=33.7, repeats=5) == ["epochs_run: 33.7 is no mean of 5 whole numbers"]
    assert messages(epochs_run=33.33, repeats=3) == []
    assert messages(epochs_run=33.7) == []  # of how many runs, nobody says


@pytest.mark.parametrize("experiment", REPORT_000)
def test_the_printed_reports_and_matrices_are_possible(experiment):
    assert impossible(report_000(experiment)) == []


def test_an_accuracy_from_elsewhere_does_not_fit_the_matrix_or_the_recalls():
    (finding,) = impossible(report_000("64 pixels", accuracy=0.6537, confusion_matrix=[]))
    assert finding.message.startswith("accuracy: .6537 is not the mean of the recalls, weighted with the images")
    found = [finding.message for finding in impossible(report_000("64 pixels", accuracy=0.6537))]
    assert "accuracy: .6537 cannot be: the confusion matrix gives .4682" in found


def test_exchanged_rows_and_columns_are_seen():
    matrix = [[8, 1], [2, 9]]
    classes = {"cat": {"support": 10}, "dog": {"support": 10}}
    assert messages(per_class=classes, confusion_matrix=matrix)[0] == (
        "class cat: 10 images, its row of the confusion matrix has 9; its columns fit: are rows and columns exchanged?"
    )


def test_a_recall_is_a_fraction_of_the_class():
    assert recall_only(0.76, 39) == ["class 0: a recall of .76 is no fraction of 39 images"]
    assert recall_only(0.77, 39) == []  # 30 of 39
    assert recall_only(0.7701, 133) == ["class 0: a recall of .7701 is no fraction of 133 images"]


def test_a_mean_recall_is_a_fraction_of_all_that_the_runs_saw():
    row = {"per_class": {"0": {"recall": 0.76, "support": 3}}}
    assert messages(repeats=5, **row) == ["class 0: a recall of .76 is no fraction of 5 times 3 images"]
    assert messages(repeats=7, **row) == []  # 16 of 21


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"precision": 0.77, "recall": 0.65, "f1": 0.9}, "of precision .77 and recall .65: that is .705"),
        ({"precision": 0.55, "recall": 0.5, "support": 4}, "precision .55 and recall .5 come from no whole number of"),
        ({"precision": 0.5, "recall": 0.0, "support": 4}, "come from no whole number of predictions for 4 images"),
    ],
)
def test_the_figures_of_a_class_must_go_together(row, message):
    (found,) = messages(per_class={"0": row})
    assert message in found


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"accuracy": 84.3}, "accuracy: 84.3 cannot be: it is from 0 to 1"),
        ({"mcc": -1.2}, "mcc: -1.2 cannot be: it is from -1 to 1"),
        ({"seconds": -1}, "seconds: -1 cannot be: it is never below 0"),
        ({"accuracy": 0.66913, "n": 10000}, "accuracy: .66913 is no fraction of 10,000 images"),
        ({"accuracy": 0.9, "top5_accuracy": 0.81}, "top5_accuracy: .81 is below the accuracy, .9"),
        ({"total_params": 10.5}, "total_params: 10.5 is no whole number"),
        ({"total_params": 10, "trainable_params": 20}, "trainable_params: 20 is more than all 10"),
        ({"confusion_matrix": [[1, 2], [3, 4]], "n": 11}, "confusion_matrix: it holds 10 images, n is 11"),
        ({"per_class": {"a": {"support": 12}}, "n": 11}, "per_class: the classes have 12 images, more than all 11"),
        ({"cohen_kappa": 0.9, "confusion_matrix": [[5, 5], [5, 5]]}, "the confusion matrix gives .000"),
    ],
)
def test_what_cannot_be_is_named_with_its_bound(figures, message):
    (found,) = messages(**figures)
    assert message in found


def test_an_accuracy_printed_from_single_precision_is_possible():
    assert float(np.float32(2949 / 3927)) != 2949 / 3927
    assert messages(accuracy=float(np.float32(2949 / 3927)), n=3927) == []


def random_result(draw):
    """Return what a classifier of random quality measures on random data, some classes rare, some never predicted."""
    classes, n = draw.randint(2, 7), draw.randint(5, 400)
    labels = np.array(draw.choices(range(classes), [draw.random() ** 2 + 0.01 for _ in range(classes)], k=n))
    known = draw.sample(range(classes), draw.randint(1, classes))
    right = draw.random()
    predicted = np.array([each if draw.random() < right else draw.choice(known) for each in labels.tolist()])
    probabilities = np.eye(classes, dtype=np.float32)[predicted]
    return compute_metrics(labels, probabilities, [str(each) for each in range(classes)], loss=0.5, split="test")


def rounded(value, digits):
    if isinstance(value, dict):
        return {key: rounded(each, digits) for key, each in value.items()}
    return round(value, digits) if isinstance(value, float) else value


def published(metrics, digits):
    names = {*ReportedSpec.model_fields} & {*metrics}
    return rounded({name: metrics[name] for name in names if metrics[name] is not None}, digits)


def test_true_figures_are_never_called_impossible_whatever_is_left_out():
    draw = random.Random(0)
    for _ in range(100):
        figures = published(random_result(draw), draw.randint(2, 4))
        assert messages(**figures) == [], figures
        for name in draw.sample(sorted(figures), draw.randint(1, len(figures) - 1)):
            del figures[name]
        for row in figures.get("per_class", {}).values():
            row[draw.choice(["precision", "recall", "f1", "support"])] = None
        assert messages(**figures) == [], figures


def test_true_statistics_of_runs_are_never_called_impossible():
    draw = random.Random(1)
    for _ in range(1000):
        n, images, digits = draw.randint(2, 10), draw.randint(10, 10000), draw.randint(2, 4)
        center, width = draw.random(), 10 ** draw.uniform(-4, -0.3)
        values = [min(max(round(draw.gauss(center, width) * images), 0), images) / images for _ in range(n)]
        sd = draw.choice([statistics.stdev, statistics.pstdev])(values)
        accuracy = runs_of(statistics.fmean(values), sd, min(values), max(values))
        epochs = [draw.randint(1, 100) for _ in range(n)]
        figures = {
            "accuracy": rounded(accuracy, digits),
            "epochs_run": round(statistics.fmean(epochs), draw.randint(0, 3)),
            "repeats": n,
        }
        known = draw.choice([{"n": images}, {}])
        assert messages(**figures, **known) == [], (figures, known)


def test_a_wrong_figure_beside_its_matrix_is_always_found():
    draw = random.Random(2)
    for _ in range(60):
        figures = published(random_result(draw), 3)
        name = draw.choice(sorted({"accuracy", "macro_f1", "weighted_f1", "mcc", "cohen_kappa"} & {*figures}))
        wrong = [round(figures[name] + change, 3) for change in (0.003, 0.002, -0.002, -0.003)]
        figures[name] = next(each for each in wrong if each <= 1 and round(1000 * each) % 10)  # with all its decimals
        assert any(message.startswith(f"{name}: ") for message in messages(**figures)), (name, figures)


@pytest.mark.parametrize("module", [class_reports, matrices, plausibility, reported_module, rounding, spreads])
def test_it_needs_nothing_heavy(module):
    source = Path(module.__file__).read_text(encoding="utf-8")
    modules = set(re.findall(r"^\s*(?:from|import) (\w+)", source, re.MULTILINE))
    assert modules <= {*sys.stdlib_module_names, "imgcls"}


REPORT_003 = {
    "network 1": [
        [512, 31, 4, 21, 16, 21, 14, 42, 29, 11], [29, 284, 12, 10, 11, 1, 31, 18, 24, 2],
        [9, 15, 155, 3, 2, 3, 4, 16, 10, 3], [2, 0, 0, 257, 2, 1, 0, 0, 33, 1], [21, 3, 2, 26, 379, 3, 0, 8, 36, 8],
        [42, 1, 1, 12, 2, 132, 2, 3, 27, 4], [16, 33, 2, 4, 7, 2, 169, 36, 13, 7], [4, 8, 6, 2, 9, 5, 13, 207, 16, 7],
        [6, 1, 2, 29, 2, 4, 0, 0, 675, 1], [11, 2, 0, 14, 14, 8, 1, 9, 52, 179],
    ],
    "EfficientNet": [
        [14, 3, 2, 239, 16, 2, 2, 5, 685, 4], [9, 1, 2, 126, 8, 2, 0, 0, 375, 1], [4, 0, 0, 65, 4, 0, 0, 0, 213, 3],
        [7, 3, 0, 104, 16, 0, 0, 1, 291, 0], [15, 3, 1, 139, 9, 1, 2, 1, 447, 1], [8, 2, 0, 86, 4, 0, 0, 0, 233, 0],
        [11, 1, 0, 78, 5, 3, 0, 1, 273, 1], [7, 3, 0, 87, 1, 3, 0, 0, 263, 0], [27, 6, 2, 235, 15, 1, 1, 1, 675, 1],
        [14, 0, 0, 101, 4, 2, 0, 0, 251, 0],
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (REPORT_000["64 pixels"]["matrix"], ["reported_predictions_at_chance", "Cohen's kappa 0.01"]),
        (REPORT_000["96 pixels"]["matrix"], ["reported_predictions_at_chance", "Cohen's kappa -0.03"]),
        (REPORT_000["augmented"]["matrix"], ["reported_predictions_at_chance", "Cohen's kappa -0.01"]),
        (REPORT_000["sgd"]["matrix"], ["reported_nearly_one_class_predicted", "99.6 % of the images were predicted"]),
        (REPORT_003["EfficientNet"], ["reported_predictions_at_chance", "Cohen's kappa 0.00"]),
        (REPORT_003["network 1"], []),
    ],
)
def test_a_published_matrix_that_means_nothing_is_told(matrix, expected):
    found = [
        finding
        for finding in reported_remarks(ReportedSpec(confusion_matrix=matrix))
        if finding.code != "reported_classes_never_predicted"
    ]
    assert bool(found) == bool(expected)
    if expected:
        code, text = expected
        assert found[0].code == code
        assert text in found[0].message
        assert found[-1].code == "reported_not_better_than_majority"
