import json

import pytest

SHUFFLED = """Epoch 1/1
50/50 - 3s 2s/step - accuracy: 0.4798 - loss: 1.3196 - val_accuracy: 0.6537 - val_loss: 1.0586

[[ 0  26  32  75  0]
 [ 2  45  64 164  0]
 [ 0  69  95 242  0]
 [ 3 287 459 1147  0]
 [ 0   5  14  20  0]]
"""
SOUND = "[[30 2]\n [4 28]]\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text(SHUFFLED)
    return path


def test_what_is_found_and_what_is_wrong_is_told_with_its_place_and_advice(imgcls, file):
    result = imgcls("audit", file)
    assert result.code == 0
    assert "5 classes, 2,749 images" in result.out
    assert "lines 4-8: confusion_matrix: at chance" in result.out
    assert "predict in the order of the labels" in result.out


def test_of_sound_results_nothing_is_told(imgcls, tmp_path):
    (tmp_path / "matrix.txt").write_text(SOUND)
    assert "nothing is wrong with it" in imgcls("audit", tmp_path / "matrix.txt").out


def test_json_has_code_message_advice_and_place(imgcls, file):
    (answer,) = json.loads(imgcls("audit", file, "--json").out)
    codes = {warning["code"]: warning for warning in answer["warnings"]}
    assert codes["accuracies_disagree"]["place"] == "lines 4-8"
    assert codes["accuracies_disagree"]["advice"]
    assert [each["kind"] for each in answer["found"]] == ["training log", "confusion matrix"]


def test_strict_ends_with_exit_4_where_a_result_means_nothing(imgcls, file, tmp_path):
    assert imgcls("audit", file, "--strict").code == 4
    (tmp_path / "matrix.txt").write_text(SOUND)
    assert imgcls("audit", tmp_path / "matrix.txt", "--strict").code == 0


def test_text_comes_from_stdin_and_from_windows(imgcls, monkeypatch, tmp_path):
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SHUFFLED.encode())))
    assert "at chance" in imgcls("audit", "-").out
    twice = imgcls("audit", "-", "-")
    assert (twice.code, twice.err) == (2, "error: - is stdin, which can be read once\n")
    (tmp_path / "windows.txt").write_bytes(SHUFFLED.replace("\n", "\r\n").encode("utf-16"))
    assert "at chance" in imgcls("audit", tmp_path / "windows.txt").out


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, 2, "there is no file"),
        (b"Dear all,\nnothing here.\n", 3, "no training log"),
        (b"\0\1\2", 3, "is no text"),
    ],
)
def test_what_cannot_be_audited_is_said(imgcls, tmp_path, content, code, words):
    path = tmp_path / "odd.txt"
    if content is not None:
        path.write_bytes(content)
    result = imgcls("audit", path)
    assert result.code == code
    assert words in result.err


def test_names_from_a_text_are_never_markup_or_terminal_codes(imgcls, tmp_path):
    (tmp_path / "hostile.txt").write_text("[bold]x\x07 - Accuracy: 1.2\n[[1 2]\n [3 4]]\n")
    out = imgcls("audit", tmp_path / "hostile.txt").out
    assert "\x07" not in out
