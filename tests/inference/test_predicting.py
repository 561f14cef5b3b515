"""What a finished run says of images, from Python: the same as it said of them when it was measured."""

import numpy as np
import pytest
from PIL import Image
from run_folders import make_repeats, make_run, make_unfinished

import imgcls
from imgcls import DataError, SpecError
from imgcls.inference.classifier import ranked
from imgcls.inference.pictures import PictureFolder, annotated, explained
from imgcls.inference.reading import batches
from imgcls.inference.sources import find_sources
from imgcls.observer import Observer


def test_probabilities_are_those_that_the_run_wrote_for_the_same_files(color_run, photos):
    stored = color_run.predictions
    table = imgcls.predict(color_run, [photos / path for path in stored.path]).table

    assert list(table.columns) == [name for name in stored.columns if name != "true"]
    assert list(table.predicted) == list(stored.predicted)
    numbers = ["confidence", "blue", "green", "red"]
    np.testing.assert_allclose(table[numbers], stored[numbers], atol=1e-6)


def test_a_folder_is_read_in_order_and_in_small_batches_too(color_run, photos):
    from imgcls.inference import open_classifier

    geometry = open_classifier(color_run).geometry
    sources = find_sources([photos]).images
    whole, *rest = batches(sources, geometry, 1000)
    parts = list(batches(sources, geometry, 7))

    assert not rest
    assert [len(part.sources) for part in parts] == [7] * 8 + [4]
    np.testing.assert_array_equal(np.concatenate([part.pixels for part in parts]), whole.pixels)
    assert whole.pixels.shape == (60, 12, 16, 3)


def test_what_is_no_image_is_told_and_stops_nothing(color_run, photos, tmp_path):
    class Listener(Observer):
        told, steps = [], []

        def unreadable(self, name, reason):
            self.told.append((name, reason))

        def predicting(self, done, total):
            self.steps.append((done, total))

    (tmp_path / "empty.png").touch()
    whole = (photos / "red/00.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    answers = imgcls.predict(color_run, [tmp_path, photos / "red/00.png", tmp_path / "nothing"], observer=Listener())

    assert answers.paths == (str(photos / "red/00.png"),)
    assert [failure.name for failure in answers.failures] == [
        str(tmp_path / name) for name in ("cut.png", "empty.png", "nothing")
    ]
    assert Listener.told == [(failure.name, failure.reason) for failure in answers.failures]
    assert Listener.told[1][1] == "the file is empty"
    assert Listener.steps == [(4, 4)]


def test_without_a_single_image_there_are_no_answers(color_run, tmp_path):
    answers = imgcls.predict(color_run, tmp_path)
    assert answers.paths == answers.predicted == ()
    assert answers.probabilities.shape == (0, 3)
    assert answers.table.empty
    assert [failure.reason for failure in answers.failures] == ["the folder has no images"]


def test_classes_are_ranked_and_equal_ones_keep_their_order():
    probabilities = np.array([0.2, 0.3, 0.3, 0.2], np.float32)
    assert ranked(("a", "b", "c", "d"), probabilities, 3) == [("b", 0.3), ("c", 0.3), ("a", 0.2)]


def test_groups_and_unfinished_runs_are_refused_with_what_to_name(tmp_path):
    with pytest.raises(DataError, match=r"name one: .*repeat-1"):
        imgcls.predict(make_repeats(tmp_path), tmp_path)
    with pytest.raises(DataError, match="the run is failed"):
        imgcls.predict(make_unfinished(tmp_path), tmp_path)
    with pytest.raises(DataError, match=r"has no model\.keras"):
        imgcls.predict(make_run(tmp_path), tmp_path)


def test_annotated_copies_keep_the_picture_and_never_replace_a_file(color_run, tmp_path):
    first, second = tmp_path / "a" / "red.png", tmp_path / "b" / "red.png"
    for path in (first, second):
        path.parent.mkdir()
        Image.new("RGB", (300, 200), (200, 30, 30)).save(path)
    before = first.read_bytes()
    imgcls.predict(color_run, [first, second], annotate=first.parent)

    assert first.read_bytes() == before
    assert {path.name for path in first.parent.iterdir()} == {"red.png", "red-2.png", "red-3.png"}
    with Image.open(first.parent / "red-2.png") as picture:
        copy = np.asarray(picture)
    assert copy.shape[0] > 200
    assert (copy[-200:] == (200, 30, 30)).all()
    assert copy[:-200].min() < 100  # there is something written


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (3, 500), (700, 40)])
def test_any_image_can_be_annotated(mode, size, tmp_path):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    Image.new(mode, size).save(tmp_path / "image", kind)
    picture = annotated((tmp_path / "image").read_bytes(), "a class with a long name, [/bold] \x1b[31m 名", 0.5)
    assert picture.mode == "RGB"
    assert max(picture.size) >= 240


@pytest.mark.parametrize(
    "name", ["../../x.png", "x" * 300 + ".jpg", "漢" * 83 + ".png", ".png", "a\0b", "~", "COM1.gif", "image"]
)
def test_a_picture_stays_in_its_folder_whatever_it_is_called(name, tmp_path):
    folder = PictureFolder(tmp_path / "out")
    written = [folder.write(name, Image.new("RGB", (2, 2))) for _ in "12"]
    assert {path.parent for path in written} == {tmp_path / "out"}
    assert all(path.is_file() for path in written)
    assert len(set(written)) == 2


def test_explanations_are_pictures_of_what_the_network_saw(color_run, photos, tmp_path):
    imgcls.predict(color_run, [photos / "red/00.png", photos / "green/00.png"], explain=tmp_path / "why")

    assert {path.name for path in (tmp_path / "why").iterdir()} == {"00-2.png", "00.png"}
    with Image.open(tmp_path / "why" / "00.png") as picture:
        left = np.asarray(picture)[-180:, :240]
    with Image.open(photos / "red/00.png") as photo:
        np.testing.assert_array_equal(left, np.asarray(photo.resize((240, 180), Image.Resampling.NEAREST)))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_explanation_has_the_image_and_the_scale_from_dark_to_yellow(channels):
    pixels = np.full((50, 30, channels), 128, np.uint8)
    picture = np.asarray(explained(pixels, np.zeros((50, 30), np.float32), "cat", 0.5)).astype(int)
    assert picture[-1, -1].tolist() == [68, 1, 84]  # where viridis begins
    assert picture[-250, -1].tolist() == [253, 231, 36]
    assert (picture[-250:, :150] == 128).all()


def test_layers_that_are_not_there_are_named_before_or_when_the_network_is_opened(color_run, photos, tmp_path):
    with pytest.raises(SpecError, match="explain, a folder"):
        imgcls.predict(color_run, photos, explain_layer="conv")
    with pytest.raises(SpecError, match="those with places are"):
        imgcls.predict(color_run, photos, explain=tmp_path / "why", explain_layer="nothing")


def test_explanations_of_a_run_on_another_backend_are_refused(tmp_path):
    run = make_run(tmp_path, overrides={"resolution": 8, "color": "rgb", "backend": "jax"})
    run.path("model.keras").write_bytes(b"PK")
    with pytest.raises(SpecError, match="the run has jax"):
        imgcls.predict(run, tmp_path, explain=tmp_path / "why")
