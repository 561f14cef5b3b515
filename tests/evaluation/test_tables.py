import numpy as np
import pytest

from imgcls.evaluation.metrics import compute_metrics
from imgcls.evaluation.tables import probability_columns, write_confusion_matrix, write_predictions, write_report
from imgcls.files import read_csv
from imgcls.runs import Run, layout


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_predictions_read_back_to_the_same_floats(run):
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], 50).astype(np.float32)
    write_predictions(run, [f"{n}.png" for n in range(50)], np.zeros(50, int), probabilities, ["a", "b", "c"])
    table = run.predictions
    assert list(table.columns) == ["path", "true", "predicted", "confidence", "a", "b", "c"]
    read = table[["a", "b", "c"]].to_numpy(np.float32)
    assert (read == probabilities).all()
    assert (table["confidence"].to_numpy(np.float32) == probabilities.max(axis=1)).all()
    assert table["predicted"].tolist() == ["abc"[index] for index in probabilities.argmax(axis=1)]


def test_names_that_programs_misread_stay_as_they_are(run):
    classes = ["NA", "001", "1", "=1+1", "'quoted", 'a,"b"\n']
    write_predictions(run, list("uvwxyz"), np.arange(6), np.eye(6, dtype=np.float32), classes)
    assert run.predictions["true"].tolist() == classes
    assert "\n'=1+1" not in run.path(layout.PREDICTIONS).read_text().splitlines()[0]
    assert ",'=1+1," in run.path(layout.PREDICTIONS).read_text()


def test_a_class_named_like_a_column_gets_one_of_its_own():
    assert probability_columns(["path", "cat"]) == ["path (class)", "cat"]
    assert probability_columns(["path", "path (class)"]) == ["path (class) (class)", "path (class)"]


def test_the_confusion_matrix_has_a_row_a_true_class(run):
    labels, predicted = np.array([0, 0, 1]), np.array([0, 1, 1])
    metrics = compute_metrics(labels, np.eye(2)[predicted], ["cat", "dog"], loss=0, split="test")
    write_confusion_matrix(run, metrics)
    assert run.path(layout.CONFUSION_CSV).read_text() == "true,cat,dog\ncat,1,1\ndog,0,1\n"


def test_the_report_ends_with_the_averages(run):
    labels, predicted = np.array([0, 0, 1]), np.array([0, 1, 1])
    metrics = compute_metrics(labels, np.eye(2)[predicted], ["cat", "dog"], loss=0, split="test")
    write_report(run, metrics)
    rows = read_csv(run.path(layout.REPORT_CSV))
    assert [row["class"] for row in rows] == ["cat", "dog", "accuracy", "macro avg", "weighted avg"]
    assert float(rows[2]["f1"]) == metrics["accuracy"]
    assert float(rows[3]["precision"]) == metrics["macro_precision"]
    assert float(rows[4]["precision"]) == pytest.approx((1 * 2 + 0.5) / 3)
    assert float(rows[4]["recall"]) == pytest.approx(metrics["accuracy"])
