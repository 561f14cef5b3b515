"""Results as people paste them: what is read out of a text, and what is said of it."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import classification_report, f1_score

from imgcls.pasted import ClassReport, Log, Matrix, Repeats, audit_text

REPORTS = Path(__file__).parents[3] / "shared" / "reports"
NAMES = ("daisy", "red rose", "sun flower", "tulip")
ONE_CLASS = [[0, 0, 0, 133, 0], [0, 0, 3, 272, 0], [0, 0, 2, 404, 0], [0, 0, 7, 1889, 0], [0, 0, 0, 39, 0]]
SHUFFLED = [[0, 26, 32, 75, 0], [2, 45, 64, 164, 0], [0, 69, 95, 242, 0], [3, 287, 459, 1147, 0], [0, 5, 14, 20, 0]]


def codes(text, **more):
    return [remark.finding.code for remark in audit_text(text, **more).remarks]


def answers(matrix):
    """Return the true and the predicted class of each image of a confusion matrix."""
    counts = np.asarray(matrix)
    true, predicted = np.nonzero(counts)
    times = counts[true, predicted]
    return np.repeat(true, times), np.repeat(predicted, times)


def results(matrix, names=None, digits=2):
    """Return what a notebook prints of a result: scikit-learn's report, numpy's matrix, the accuracy."""
    true, predicted = answers(matrix)
    report = classification_report(true, predicted, target_names=names, digits=digits, zero_division=0)
    accuracy = float(np.mean(true == predicted))
    return f"{report}\n{np.asarray(matrix)}\nAccuracy: {accuracy}\n"


def log(rows, epochs=None):
    """Return what Keras prints of a training; a row is loss, accuracy, val_loss, val_accuracy."""
    lines = []
    for number, (loss, accuracy, val_loss, val_accuracy) in enumerate(rows, 1):
        lines.append(f"Epoch {number}/{epochs or len(rows)}")
        lines.append(
            f"50/50 ━━━━━━━━ 3s 61ms/step - accuracy: {accuracy:.4f} - loss: {loss:.4f} - val_accuracy: "
            f"{val_accuracy:.4f} - val_loss: {val_loss:.4f}"
        )
    return "\n".join(lines) + "\n"


def random_matrix(draw, classes):
    images = [draw.randint(20, 90) for _ in range(classes)]
    skill = draw.uniform(0.5, 0.95)
    rows = []
    for index, count in enumerate(images):
        weights = [skill if other == index else draw.random() * (1 - skill) / classes for other in range(classes)]
        row = [0] * classes
        for other in draw.choices(range(classes), weights, k=count):
            row[other] += 1
        rows.append(row)
    return rows


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_said_of_results_that_fit_together(seed):
    draw = random.Random(seed)
    matrix = random_matrix(draw, classes := draw.randint(2, 12))
    text = results(matrix, [f"kind {index}" for index in range(classes)], digits=draw.randint(2, 4))
    accuracy = np.trace(matrix) / np.sum(matrix)
    text = log([(1.2, accuracy / 2, 1.1, accuracy * 0.8), (0.9, accuracy, 0.8, accuracy)]) + text
    audit = audit_text(text)
    assert [type(piece) for piece in audit.pieces[:3]] == [Log, ClassReport, Matrix]
    assert audit.remarks == ()


@pytest.mark.parametrize("nothing", [0, 1])
def test_whatever_is_written_for_nothing_of_nothing_a_true_report_can_be(nothing):
    for matrix in ([[106, 24, 139], [10, 107, 11], [0, 0, 0]], [[30, 0, 4], [9, 0, 11], [5, 0, 40]], [[5, 3], [0, 0]]):
        true, predicted = answers(matrix)
        report = classification_report(true, predicted, labels=range(len(matrix)), zero_division=nothing, digits=3)
        assert "reported_impossible" not in codes(f"{report}\n{np.asarray(matrix)}")


@pytest.mark.parametrize("seed", range(20))
def test_a_report_of_another_matrix_cannot_be(seed):
    draw = random.Random(seed)
    matrix = random_matrix(draw, 5)
    true, predicted = answers(matrix)
    wrong = [row[:] for row in matrix]
    wrong[0] = [wrong[0][1] + 40, wrong[0][0], *wrong[0][2:]]  # forty images more, and two cells exchanged
    report = classification_report(true, predicted, zero_division=0)
    assert "reported_impossible" in codes(f"{report}\n{np.asarray(wrong)}")


def test_shuffled_predictions_are_at_chance_and_not_those_of_the_log():
    text = log([(1.5, 0.34, 1.14, 0.6577), (1.3, 0.48, 1.06, 0.6537)]) + results(SHUFFLED)
    remarks = {remark.finding.code: remark for remark in audit_text(text).remarks}
    assert "Cohen's kappa 0.01" in remarks["reported_predictions_at_chance"].finding.message
    assert "p = 0.4" in remarks["reported_predictions_at_chance"].finding.message
    assert "val_accuracy from .6537 to .6577" in remarks["accuracies_disagree"].finding.message
    assert remarks["accuracies_disagree"].is_grave


def test_one_class_predicted_for_all_is_told_by_log_and_matrix():
    text = log([(1.5, 0.29, 1.2, 1896 / 2749), (1.4, 0.3, 1.1, 1896 / 2749)]) + results(ONE_CLASS)
    found = codes(text)
    assert {"reported_nearly_one_class_predicted", "reported_not_better_than_majority", "majority_logged"} <= set(found)
    assert "accuracies_disagree" not in found


def test_a_report_alone_is_held_against_the_most_frequent_class():
    report = results(SHUFFLED).split("[[")[0]
    assert codes(report) == ["reported_not_better_than_majority"]


def test_a_report_alone_tells_a_network_that_predicts_one_class():
    (one, majority) = audit_text(results([[0, 33, 0], [0, 90, 0], [0, 27, 0]]).split("[[")[0]).remarks
    assert (one.finding.code, one.is_grave) == ("reported_one_class_predicted", True)
    assert "all 150 images were predicted as 1" in one.finding.message
    assert "is not better than always predicting" in majority.finding.message


def test_a_report_alone_of_a_useful_network_is_held_against_gains_and_losses():
    assert codes(results([[947, 3], [35, 15]]).split("[[")[0]) == []
    (remark,) = audit_text(results([[497, 0], [0, 3]]).split("[[")[0]).remarks
    assert "cannot be told from that of always predicting" in remark.finding.message
    assert not remark.is_grave


def test_averages_alone_are_a_report_without_classes():
    text = "precision recall f1-score support\naccuracy 0.40 100\nmacro avg 0.40 0.40 0.40 100\n"
    (report,) = audit_text(text).pieces
    assert (report.classes, report.n) == ({}, 100)


def test_names_of_several_words_are_read_whole():
    (report, matrix, _) = audit_text(results([[9, 1, 0, 0], [2, 8, 0, 1], [0, 0, 7, 1], [0, 2, 0, 9]], NAMES)).pieces
    assert tuple(report.classes) == NAMES
    assert (report.n, matrix.n) == (40, 40)


@pytest.mark.parametrize("between", ["\t", " | ", ","])
def test_tables_of_pages_and_csv_are_read(between):
    text = results([[30, 4], [6, 50]]).split("[[")[0].replace(" avg", "_avg")
    rows = (between.join(line.split()).replace("_", " ") for line in text.splitlines() if line.strip())
    (report,) = audit_text("\n".join(rows)).pieces
    assert list(report.classes) == ["0", "1"]
    assert report.figures.keys() >= {"accuracy", "macro_f1", "weighted_f1"}


def test_reports_side_by_side_are_two():
    texts = [results(matrix).split("[[")[0].splitlines() for matrix in ([[30, 4], [6, 50]], [[20, 14], [9, 47]])]
    text = "\n".join("    ".join(pair) for pair in zip(*texts, strict=True))
    one, two = audit_text(text).pieces
    assert (one.figures["accuracy"], two.figures["accuracy"]) == (0.89, 0.74)


@pytest.mark.parametrize("write", [str, repr, lambda counts: str(counts.tolist())])
def test_matrices_of_numpy_and_python_are_read(write):
    counts = np.array([[120, 3, 0], [14, 95, 1], [0, 7, 88]])
    (matrix,) = audit_text(f"Confusion Matrix:\n{write(counts)}").pieces
    assert matrix.counts == tuple(map(tuple, counts.tolist()))


def test_a_matrix_that_numpy_cut_is_told():
    with np.printoptions(threshold=10):
        text = str(np.eye(30, dtype=int))
    assert codes(f"Confusion matrix:\n{text}") == ["matrix_cut"]
    assert codes(f"x_train =\n{text}") == []  # images and labels are cut too


def test_a_table_of_counts_is_a_matrix_under_its_names_only():
    table = "true,cat,dog\ncat,30,2\ndog,4,28\n"
    assert isinstance(audit_text(table).pieces[0], Matrix)
    assert audit_text("layers and shapes\n3 4\n5 6\nend").pieces == ()


def test_a_table_may_have_numbers_for_names():
    (found,) = audit_text("Confusion matrix\n    0   1   2\n0  30   2   1\n1   4  28   0\n2   1   1  40\n").pieces
    assert found.counts == ((30, 2, 1), (4, 28, 0), (1, 1, 40))


def test_of_several_accuracies_the_nearest_is_that_of_the_report():
    result = results([[300, 20], [30, 350]]).split("Accuracy")[0]
    assert codes(f"Small network\nAccuracy: 0.7143\nLarge network\nAccuracy: {650 / 700}\n{result}") == []


def test_real_logs_of_keras_are_read(capsys):
    import keras

    keras.utils.set_random_seed(0)
    images, labels = np.random.default_rng(0).random((64, 8), np.float32), np.arange(64) % 2
    network = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
    network.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = network.fit(images, labels, epochs=3, validation_split=0.25, verbose=1)
    network.fit(images, labels, epochs=2, validation_split=0.25, verbose=2)
    keras.utils.enable_interactive_logging()
    first, second = audit_text(capsys.readouterr().out).pieces
    assert (len(first.epochs), len(second.epochs)) == (3, 2)
    assert first.values("val_loss") == [pytest.approx(value, abs=1e-4) for value in history.history["val_loss"]]


def test_a_lost_heading_does_not_join_two_trainings():
    both = log([(1.5, 0.3, 1.4, 0.35)] * 2) + log([(1.3, 0.4, 1.2, 0.45)] * 2)
    lines = both.splitlines()
    del lines[4]
    _, second = audit_text("\n".join(lines)).pieces
    assert [epoch.number for epoch in second.epochs] == [1, 2]


def test_progress_bars_count_with_what_they_wrote_last():
    written = "1/50 - loss: 9.0 - accuracy: 0.1\r50/50 - loss: 1.0 - accuracy: 0.6 - val_loss: 1.1 - val_accuracy: 0.5"
    (found,) = audit_text(f"Epoch 1/1\n{written}\n").pieces
    assert found.values("loss") == [1.0]


def test_a_loss_too_low_for_its_errors_is_no_cross_entropy_over_the_classes():
    assert codes(log([(0.1810, 0.6177, 0.1450, 0.6959)])) == ["loss_below_bound"]
    assert codes(log([(0.9, 0.6177, 0.8, 0.6959)])) == []


@pytest.mark.parametrize("seed", range(20))
def test_cross_entropy_is_never_called_too_low(seed):
    random_state = np.random.default_rng(seed)
    odds = random_state.exponential(size=(200, 5)) ** random_state.uniform(1, 8)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    labels = np.where(random_state.random(200) < 0.7, probabilities.argmax(axis=1), random_state.integers(0, 5, 200))
    loss = -np.log(probabilities[np.arange(200), labels]).mean()
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    assert "loss_below_bound" not in codes(log([(loss, accuracy, loss, accuracy)]))


def test_what_a_log_tells_by_itself():
    falling = [(1 / epoch, 0.5 + epoch / 25, 1.0 if epoch < 3 else 1 + epoch / 10, 0.55) for epoch in range(1, 11)]
    assert "overfitting" in codes(log(falling))
    assert codes(log([(1.5, 0.3, 1.2 - step / 10, 0.69) for step in range(4)])) == [
        "accuracy_stuck",
        "validation_far_above_train",
    ]
    assert codes("Epoch 1/2\n9/9 - loss: nan - accuracy: 0.1 - val_loss: nan - val_accuracy: 0.1\n") == ["not_finite"]


def test_logs_of_loops_written_by_hand_are_read():
    text = (
        "Epoch [1/2], Train Loss: 0.9, Train Acc: 61.2%, Val Loss: 1.0, Val Acc: 58.0%\n"
        "Epoch [2/2], Train Loss: 0.8, Train Acc: 65.1%, Val Loss: 0.9, Val Acc: 61.0%\n"
    )
    (found,) = audit_text(text).pieces
    assert found.values("accuracy") == [pytest.approx(0.612), pytest.approx(0.651)]
    assert found.values("val_accuracy") == [0.58, 0.61]


def test_tables_of_latex_are_read():
    text = (
        "Class & Precision & Recall & F1-Score & Support \\\\\n\\midrule\n"
        "red rose & 0.79 & 0.73 & 0.76 & 701 \\\\\ntulip & 0.75 & 0.67 & 0.71 & 422 \\\\\n\\midrule\n"
        "accuracy & & & 0.71 & 1123 \\\\\n"
    )
    (report,) = audit_text(text).pieces
    assert (list(report.classes), report.n) == (["red rose", "tulip"], 1123)


def test_a_csv_log_is_read():
    text = "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.5,1.2,0.4,1.3\n1,0.6,1.0,0.5,1.1\n"
    (found,) = audit_text(text).pieces
    assert found.values("val_accuracy") == [0.4, 0.5]


def test_an_evaluation_beside_a_report_of_other_predictions_is_told():
    result = results([[300, 700], [650, 350]])
    assert "accuracies_disagree" in codes(f"Validation Accuracy: 0.8151\n{result}")
    assert "accuracies_disagree" not in codes(f"Validation Accuracy: 0.3250\n{result}")
    assert "accuracies_disagree" not in codes(f"Training accuracy: 0.8151\n{result}")


def test_a_figure_that_names_another_model_is_not_held_against_this_one():
    result = "Classification Report: Model 1\n" + results([[300, 20], [30, 350]]).split("Accuracy")[0]
    assert codes(f"{result}\nModel 2 - Accuracy: 0.41, F1 Score: 0.45") == []
    assert codes(f"{result}\nModel 1 - Accuracy: 0.41, F1 Score: 0.45") != []


def test_an_f1_score_may_be_any_average():
    matrix = [[500, 20], [60, 40]]
    text = results(matrix)
    true, predicted = answers(matrix)
    for average in ("weighted", "macro", "micro"):
        assert codes(f"{text}F1 Score: {f1_score(true, predicted, average=average)}") == []
    assert set(codes(f"{text}F1 Score: 0.9712")) == {"reported_impossible"}


def report_of(matrix, names=None):
    return results(matrix, names).split("[[")[0]


SOUND = [[80, 20], [9, 91]]  # 200 images, accuracy .855
WORSE = [[70, 30], [36, 64]]  # .67


def test_accuracies_in_percent_are_shares():
    assert codes(f"Test accuracy: 85.5\n{report_of(SOUND)}") == []
    assert codes(f"{report_of(SOUND)}\nAccuracy: 85.5") == []
    lines = [
        f"Epoch {epoch}/4, Train Loss: 0.5, Train Acc: {70 + epoch}.10, Val Loss: 0.8, Val Acc: {81 + epoch}.5"
        for epoch in range(1, 5)
    ]
    audit = audit_text("\n".join([*lines, report_of(SOUND)]))
    assert audit.remarks == ()
    assert audit.pieces[0].values("accuracy")[0] == pytest.approx(0.711)


def test_an_epoch_that_a_callback_makes_keras_print_twice_is_one():
    lines = []
    for epoch in range(1, 6):
        figures = f"loss: {1 / epoch:.4f} - accuracy: 0.{50 + epoch}00"
        lines += [
            f"Epoch {epoch}/5", f"391/391 [====] - ETA: 0s - {figures}", f"Epoch {epoch}: val_loss improved to 0.5",
            f"391/391 [====] - 9s 23ms/step - {figures} - val_loss: {1 / epoch:.4f} - val_accuracy: 0.{50 + epoch}00",
        ]  # fmt: skip
    (log,) = audit_text("\n".join(lines)).pieces
    assert (len(log.epochs), len(log.values("val_loss"))) == (5, 5)


def test_lines_of_train_and_val_are_one_epoch_and_may_count_from_0():
    lines = [
        line
        for epoch in range(5)
        for line in (f"Epoch {epoch}/4", "-" * 10, f"train Loss: 0.{9 - epoch} Acc: 0.6{epoch}",
                     f"val Loss: 0.{8 - epoch} Acc: 0.7{epoch}")
    ]  # fmt: skip
    (log,) = audit_text("\n".join(lines)).pieces
    assert [epoch.number for epoch in log.epochs] == [0, 1, 2, 3, 4]
    assert log.values("val_accuracy") == [0.7, 0.71, 0.72, 0.73, 0.74]


@pytest.mark.parametrize("name", ["cat, grey", "R & B", "a|b", "x; y"])
def test_names_may_have_what_parts_the_cells_of_other_tables(name):
    (report,) = audit_text(report_of(SOUND, [name, "dog"])).pieces
    assert (list(report.classes), report.n) == ([name, "dog"], 200)


@pytest.mark.parametrize("name", ["Macro Average", "macro_avg", "**Average**", "Overall", "Total", "mean"])
def test_averages_of_any_name_are_no_classes(name):
    figures = {"cat": "0.90 | 0.80 | 0.85 | 100", "dog": "0.82 | 0.91 | 0.86 | 100", name: "0.86 | 0.86 | 0.86 | 200"}
    rows = ["| Class | Precision | Recall | F1 | Support |", "|--|--|--|--|--|"]
    audit = audit_text("\n".join([*rows, *(f"| {row} | {text} |" for row, text in figures.items())]))
    assert (list(audit.pieces[0].classes), audit.remarks) == (["cat", "dog"], ())


@pytest.mark.parametrize(
    "text",
    [
        "| Model | Precision | Recall | F1 |\n| ResNet | 0.90 | 0.80 | 0.82 |\n",
        "threshold  precision  recall\n0.5  0.9  0.3\n0.6  0.95  0.2\n",
        "kernel = [[1, 1], [1, 1]]\nlayers = [[64, 64], [128, 128]]\n",
        "[[1. 0. 0.]\n [0. 1. 0.]\n [0. 0. 1.]]\n",
        "feature  count  mean  std  min  max\nheight  768  350.2  10.1  100  900\n",
        "Model | mean ms | std\nsmall | 12.1 | 0.5\n",
        "# model.fit(x, validation_data=(x_test, y_test))\nf(validation_data=test_size)\n",
    ],
)
def test_what_is_no_result_is_left_alone(text):
    assert codes(text) == []


def test_an_accuracy_above_each_report_is_that_of_the_report_below():
    first, second = report_of(SOUND), report_of(WORSE)
    assert codes(f"Accuracy: 0.855\nReport:\n{first}\nAccuracy: 0.67\nReport:\n{second}") == []


def test_a_matrix_of_another_part_is_not_held_against_the_report():
    train = [[800, 200], [90, 910]]
    assert codes(f"Train report\n{report_of(train)}\nTest confusion matrix\n{np.asarray(SOUND)}") == []
    other = [[70, 30], [50, 100]]
    assert codes(f"{report_of(SOUND)}\n{np.asarray(other)}\n{report_of(other)}") == []


def test_of_images_with_several_labels_no_accuracy_follows():
    report = report_of(SOUND).replace("    accuracy                           0.85       200", "")
    lines = [line for line in report.splitlines() if "accuracy" not in line]
    lines += [
        "   micro avg       0.86      0.86      0.86       200",
        " samples avg       0.80      0.80      0.78       200",
    ]
    assert codes("\n".join(lines) + "\nAccuracy: 0.35\nF1: 0.78\n") == []


def test_one_evaluation_that_fits_is_enough():
    text = "313/313 - 1s - accuracy: 0.8500 - loss: 0.5\n1875/1875 - 5s - accuracy: 0.9990 - loss: 0.1\n"
    assert codes(text + report_of(SOUND)) == []


@pytest.mark.parametrize("value", ["0.88", "0.9444"])
def test_a_network_that_has_converged_is_not_stuck(value):
    lines = [f"Epoch {epoch}/5\n9/9 - loss: 0.1 - accuracy: 0.97 - val_loss: 0.3{epoch} - val_accuracy: {value}"
             for epoch in range(1, 6)]  # fmt: skip
    assert "accuracy_stuck" not in codes("\n".join(lines))


def test_the_sums_of_a_table_are_no_class():
    rows = ["| | cat | dog | total |", "| cat | 80 | 20 | 100 |", "| dog | 9 | 91 | 100 |"]
    (found,) = audit_text("\n".join(["Confusion matrix", *rows, "| total | 89 | 111 | 200 |"])).pieces
    assert found.counts == ((80, 20), (9, 91))


@pytest.mark.parametrize(
    "text",
    [
        "Epoch" + " " * 4000 + "x", "1 " * 80_000, "{[1]: 2}", "{{1}, 2}", "Epoch " + "9" * 5000 + "/5\n",
        "epoch,loss,accuracy\nnan,1,0.5\ninf,1,0.5\n", "![x](data:image/png;base64," + "A" * 200_000 + ",1)",
        "precision recall f1-score support\na 0.5 0.5 0.5 nan\nb 0.5 0.5 0.5 inf\n",
        '{"a": {"precision": 0.5, "recall": 0.5, "support": NaN}, "n": Infinity}', "[[1e300 5]\n [3 4]]",
        "Confusion matrix\n[[9999999999999999999999 5]\n [3 4]]", "mean acc  sd  max\na  0.5  0.1  0.6\nn = 0\n",
        "Accuracy: " + "9" * 4999, '{"loss": [0.0, 0.0], "val_acc": [true, 1e400]}',
    ],
    ids=str,
)  # fmt: skip
def test_figures_beyond_all_bounds_are_no_figures(text):
    audit_text(text)


TABLE = """The models were run 5 times.

model\tmean acc\tstd dev acc\tmin acc\tmax acc\tmean n of epochs
model 3\t0.679\t0.007\t0.666\t0.686\t24.2
model 3 aug 1\t0.653\t0.010\t0.634\t0.686\t45.2
"""


def test_a_mean_that_cannot_have_its_maximum_is_impossible():
    audit = audit_text(TABLE)
    assert [piece.runs for piece in audit.pieces if isinstance(piece, Repeats)] == [5, 5]
    (remark,) = audit.remarks
    assert (remark.finding.code, remark.first_line) == ("reported_impossible", 5)
    assert "model 3 aug 1: accuracy: a maximum of .686 cannot be" in remark.finding.message


def test_a_table_with_the_means_of_two_figures_has_both():
    header = "network | mean accuracy | sd | min | max | mean loss | sd loss | mean epochs | sd epochs\n"
    audit = audit_text(f"Five runs each\n{header}cnn | 0.799 | 0.003 | 0.795 | 0.804 | 0.611 | 0.012 | 24.2 | 3.13\n")
    accuracy, loss = (piece for piece in audit.pieces if isinstance(piece, Repeats))
    assert (accuracy.figure, accuracy.spread.mean, accuracy.spread.max, accuracy.label) == (
        "accuracy",
        0.799,
        0.804,
        "cnn",
    )
    assert (loss.figure, loss.spread.mean, loss.spread.sd, loss.spread.max) == ("loss", 0.611, 0.012, None)
    assert audit.remarks == ()
    impossible = "Five runs each\nmodel | mean acc | sd | max | mean loss | sd\na | 0.653 | 0.010 | 0.686 | 0.7 | 0.1\n"
    assert codes(impossible) == ["reported_impossible"]


@pytest.mark.parametrize("names", ["mean acc | sd | mean time | sd time", "mean | sd | mean | sd of the accuracy"])
def test_a_table_whose_means_are_of_something_unknown_is_left(names):
    assert audit_text(f"Five runs each\nmodel | {names}\ncnn | 0.8 | 0.003 | 61.1 | 1.2\n").pieces == ()


def test_of_how_many_runs_means_are_can_be_given():
    text = TABLE.replace("The models were run 5 times.", "")
    assert codes(text) == []
    assert codes(text, repeats=5) == ["reported_impossible"]


def test_percentages_are_shares():
    text = "model\tmean acc\tsd\tmin\tmax\na\t65.3%\t1.0%\t63.4%\t68.6%\n"
    assert codes(text, repeats=5) == ["reported_impossible"]
    assert codes(text.replace("%", ""), repeats=5) == ["reported_impossible"]


def test_test_images_given_as_validation_data_are_told():
    assert codes("model.fit(x_train, y_train,\n  validation_data = (x_test, y_test))") == ["test_part_watched"]
    assert codes("model.fit(x_train, y_train, validation_data=(x_val, y_val))") == []


def test_json_of_sklearn_keras_and_python_is_read():
    true, predicted = answers([[30, 4], [6, 50]])
    report = classification_report(true, predicted, output_dict=True)
    for text in (json.dumps(report), str(report)):
        (found,) = audit_text(text).pieces
        assert (list(found.classes), found.n) == (["0", "1"], 90)
    (history,) = audit_text(json.dumps({"loss": [1.0, 0.9], "val_accuracy": [0.3, 0.4]})).pieces
    assert history.values("val_accuracy") == [0.3, 0.4]


def test_remarks_on_a_notebook_name_the_cell():
    cells = [
        {"cell_type": "markdown", "source": ["# A study\n", "of shapes"]},
        {"cell_type": "code", "source": "print(report)", "outputs": [{"text": results(SHUFFLED).splitlines(True)}]},
    ]
    audit = audit_text(json.dumps({"cells": cells, "nbformat": 4}))
    assert {audit.place(remark) for remark in audit.remarks} == {"cell 2"}
    assert "reported_predictions_at_chance" in [remark.finding.code for remark in audit.remarks]


@pytest.mark.parametrize("seed", range(30))
def test_mangled_text_is_read_or_left(seed):
    draw = random.Random(seed)
    text = list(log([(1.5, 0.3, 1.4, 0.35)] * 3) + results(SHUFFLED) + TABLE)
    for _ in range(draw.randint(1, 200)):
        text[draw.randrange(len(text))] = draw.choice("[]{}0123456789.,|\t\n-%einfa\x1b\r\x08\x00é")
    audit_text("".join(text))


@pytest.mark.parametrize("part", ["", "[", "{", "[[", "1,234,", "accuracy ", "9", "a_", "loss: 1 acc: ", "[1 2]\n"])
def test_odd_text_ends_soon(part):
    audit_text(part * 50_000)


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the texts of the published reports are not here")
def test_what_is_wrong_with_the_published_reports_is_found():
    found = {path.name[:3]: audit_text(path.read_text()) for path in REPORTS.glob("*.txt")}
    said = {name: [remark.finding.code for remark in audit.remarks] for name, audit in found.items()}
    assert said["000"].count("reported_predictions_at_chance") == 4
    assert said["000"].count("accuracies_disagree") >= 4
    assert {"majority_logged", "reported_nearly_one_class_predicted"} <= set(said["000"])
    assert said["001"] == ["test_part_watched"]
    assert sorted(said["002"]) == ["loss_below_bound", "reported_impossible"]
    at_first, _ = (piece for piece in found["003"].pieces if isinstance(piece, Matrix))
    assert all(remark.first_line > at_first.last_line for remark in found["003"].remarks)
    assert {"reported_predictions_at_chance", "accuracies_disagree"} <= set(said["003"])
    assert said["004"] == ["overfitting"]
    assert re.search(r"Cohen's kappa -?0\.0", str(found["003"].remarks))
