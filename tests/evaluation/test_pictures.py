import sys

import numpy as np
import pytest
from PIL import Image

from imgcls.evaluation.pictures import confusion_figure, save_figure
from imgcls.evaluation.plots import curves_figure


def history(epochs, **columns):
    return [
        {"epoch": epoch, "loss": 1 / epoch, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.4, **columns}
        for epoch in range(1, epochs + 1)
    ]


def size(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return picture.size


@pytest.mark.parametrize("classes", [2, 30, 1100])
def test_a_confusion_matrix_of_any_size_is_a_picture_of_bounded_size(tmp_path, classes):
    names = [f"a rather long name of class {index}" for index in range(classes)]
    save_figure(confusion_figure(np.eye(classes, dtype=int), names), tmp_path / "matrix.png")
    width, height = size(tmp_path / "matrix.png")
    assert 800 <= width <= 3200
    assert 600 <= height <= 3200


def test_names_are_drawn_as_they_are(tmp_path):
    names = ["$x$", "[/cat]", "日本", "a\nb\x1b", ""]
    save_figure(confusion_figure(np.zeros((5, 5), int), names), tmp_path / "matrix.png")
    assert size(tmp_path / "matrix.png")


@pytest.mark.parametrize("epochs", [0, 1, 60])
def test_curves_are_drawn_for_any_number_of_epochs(tmp_path, epochs):
    save_figure(curves_figure(history(epochs), best_epoch=epochs or None), tmp_path / "curves.png")
    assert size(tmp_path / "curves.png") == (1800, 760)


def test_curves_do_without_a_validation_part_and_with_gaps(tmp_path):
    save_figure(curves_figure(history(3, val_loss=None, val_accuracy=None)), tmp_path / "none.png")
    save_figure(curves_figure(history(3, loss=float("nan"))), tmp_path / "nan.png")
    assert {path.name for path in tmp_path.glob("*.png")} == {"none.png", "nan.png"}


def test_a_notebooks_own_plots_are_left_alone(tmp_path):
    before = "matplotlib.pyplot" in sys.modules
    save_figure(curves_figure(history(2)), tmp_path / "curves.png")
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_a_line_is_drawn_where_a_stage_begins(tmp_path):
    rows = history(6)
    save_figure(curves_figure([row | {"stage": 1} for row in rows]), tmp_path / "plain.png")
    save_figure(curves_figure([row | {"stage": 1 + (row["epoch"] > 3)} for row in rows]), tmp_path / "staged.png")
    plain, staged = (np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")) for name in ("plain", "staged"))
    assert (plain != staged).any(axis=2).sum() > 300
