import json
import math

import pytest

from imgcls.errors import RunError
from imgcls.files import read_csv, strict_json, whole_file, write_csv, write_text


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "result.txt"
    write_text(path, "first")

    with pytest.raises(KeyboardInterrupt), whole_file(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt

    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named_with_the_reason(tmp_path):
    with pytest.raises(RunError, match=r"cannot write .*absent.*No such file"):
        write_text(tmp_path / "absent" / "x.txt", "")


def test_json_is_strict_where_numbers_are_not_finite():
    assert json.loads(strict_json({"a": math.nan, "b": [math.inf, 1.5]})) == {"a": None, "b": [None, 1.5]}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "NA", "001", "'quoted", "a,b", 'say "x"', "two\nlines", ""])
def test_text_survives_a_csv_and_is_no_formula_in_it(text, tmp_path):
    path = tmp_path / "table.csv"
    write_csv(path, ["label"], [[text]])

    assert read_csv(path) == [{"label": text}]
    assert path.read_text().splitlines()[1][:1] not in ("=", "+", "-", "@")


def test_negative_numbers_stay_numbers(tmp_path):
    write_csv(tmp_path / "t.csv", ["x"], [[-0.5]])
    assert read_csv(tmp_path / "t.csv") == [{"x": "-0.5"}]
