import errno
import json
import math

import pytest

from imgcls.errors import RunError
from imgcls.files import (
    read_csv,
    remove_leftovers,
    strict_json,
    whole_file,
    whole_folder,
    write_csv,
    write_text,
)


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "result.txt"
    write_text(path, "first")

    with pytest.raises(KeyboardInterrupt), whole_file(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt

    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "export"
    for text in ("first", "second"):
        with whole_folder(path) as temporary:
            (temporary / "deep").mkdir()
            write_text(temporary / "deep" / "a.txt", text)

    with pytest.raises(KeyboardInterrupt), whole_folder(path) as temporary:
        write_text(temporary / "a.txt", "half")
        raise KeyboardInterrupt

    assert (path / "deep" / "a.txt").read_text() == "second"
    assert [each.name for each in path.iterdir()] == ["deep"]
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == (tmp_path / "export" / "deep").stat().st_mode & 0o777


def test_a_folder_that_cannot_take_its_place_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "export"
    write_text_in(path, "old")
    monkeypatch.setattr("imgcls.files._sync", lambda path: raise_full())
    with pytest.raises(RunError, match=r"cannot write .*export: No space left"), whole_folder(path) as temporary:
        (temporary / "a.txt").write_text("new")
    assert (path / "a.txt").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def write_text_in(folder, text):
    folder.mkdir()
    (folder / "a.txt").write_text(text)


def raise_full():
    raise OSError(errno.ENOSPC, "No space left on device")


def test_only_what_a_killed_process_left_half_written_is_removed(tmp_path):
    with whole_file(tmp_path / "metrics.json") as temporary:
        pass
    temporary.write_text("half")  # as a kill leaves it
    others = {"metrics.json", ".resume", ".hidden.json", ".vscode.settings", ".a.json.abcdefgh.json"}
    for name in others:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == others
    remove_leftovers(tmp_path / "absent")


def test_a_file_that_cannot_be_written_is_named_with_the_reason(tmp_path):
    with pytest.raises(RunError, match=r"cannot write .*absent.*No such file"):
        write_text(tmp_path / "absent" / "x.txt", "")


def test_json_is_strict_where_numbers_are_not_finite():
    assert json.loads(strict_json({"a": math.nan, "b": [math.inf, 1.5]})) == {"a": None, "b": [None, 1.5]}


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "NA", "001", "'quoted", "a,b", 'say "x"', "two\nlines", "one\rline", ""]
)
def test_text_survives_a_csv_and_is_no_formula_in_it(text, tmp_path):
    path = tmp_path / "table.csv"
    write_csv(path, ["label"], [[text]])

    assert read_csv(path) == [{"label": text}]
    assert path.read_text().splitlines()[1][:1] not in ("=", "+", "-", "@")


def test_negative_numbers_stay_numbers(tmp_path):
    write_csv(tmp_path / "t.csv", ["x"], [[-0.5]])
    assert read_csv(tmp_path / "t.csv") == [{"x": "-0.5"}]


def test_json_has_a_row_of_a_matrix_in_a_line_and_is_what_any_parser_reads():
    value = {"a": [[1, 2], [3, math.nan]], "b": {}, "c": [], "d": [{"e": (1.5, None)}], 4: "é\udce9\n", "f": [[], {}]}
    text = strict_json(value)
    assert "    [1, 2],\n    [3, null]\n" in text
    text.encode()
    assert json.loads(text) == {
        "a": [[1, 2], [3, None]], "b": {}, "c": [], "d": [{"e": [1.5, None]}], "4": "é\udce9\n", "f": [[], {}]
    }  # fmt: skip
