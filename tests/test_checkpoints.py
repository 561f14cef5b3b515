"""Checkpoints on disk: whole or passed over, the last two kept, never a larger memory than the file has bytes."""

import io
import json
import math
import os
import zipfile

import numpy as np
import pytest

from imgcls import RunError
from imgcls.checkpoints import Checkpoints, Stored

RECORD = {"epoch": 3, "best": math.nan, "loss": 0.1}
ARRAYS = {
    "network/0": np.arange(6, dtype=np.float32).reshape(2, 3),
    "network/1": np.float32(0.5),
    "optimizer/0": np.array(7, np.int64),
    "empty/0": np.zeros((0, 4), np.float32),
}


@pytest.fixture
def store(tmp_path):
    return Checkpoints(tmp_path / "checkpoint")


def numbered(number):
    return Stored({"number": number}, {"a/0": np.full(4, number, np.float32)})


def test_what_is_written_is_read_to_the_bit(store):
    store.write(Stored(RECORD, ARRAYS))
    found = store.newest()
    assert json.dumps(found.record) == json.dumps(RECORD)
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array, strict=True)


def test_a_file_opens_in_numpy_too(store):
    path = store.write(Stored(RECORD, ARRAYS))
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["network/0"], ARRAYS["network/0"])


def test_the_last_two_are_kept(store):
    for number in range(4):
        store.write(numbered(number))
    assert sorted(path.name for path in store.folder.iterdir()) == ["000003.npz", "000004.npz"]
    assert store.newest().record == {"number": 3}


def test_none_where_there_is_none(store):
    assert store.newest() is None
    store.clear()


def damaged(how):
    def cut(path):
        path.write_bytes(path.read_bytes()[:-30])

    def empty(path):
        path.write_bytes(b"")

    def flip(path):
        data = bytearray(path.read_bytes())
        data[data.index(b"\x93NUMPY") + 130] ^= 1
        path.write_bytes(data)

    return {"cut": cut, "empty": empty, "flip": flip}[how]


@pytest.mark.parametrize("how", ["cut", "empty", "flip"])
def test_a_damaged_one_falls_back_to_the_one_before(store, how, caplog):
    store.write(numbered(1))
    path = store.write(numbered(2))
    damaged(how)(path)
    assert store.newest().record == {"number": 1}
    assert f"{path} is damaged" in caplog.text
    assert store.write(numbered(3)).name == "000003.npz", "no name is used twice"


def test_a_flipped_bit_is_noticed_wherever_it_is_or_changes_nothing(store):
    path = store.write(Stored(RECORD, ARRAYS))
    whole, noticed = path.read_bytes(), 0
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        found = store.newest()
        if found is None:
            noticed += 1
            continue
        assert json.dumps(found.record) == json.dumps(RECORD), place
        assert found.arrays.keys() == ARRAYS.keys(), place
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(found.arrays[name], array, strict=True)
    assert noticed > len(whole) / 2


def test_what_a_killed_process_left_half_written_is_passed_over_and_removed(store):
    store.write(numbered(1))
    (store.folder / ".000002.npz.abc.npz").write_bytes(b"half")
    (store.folder / "mine.txt").write_text("not ours")
    assert store.newest().record == {"number": 1}
    store.clear()
    assert [path.name for path in store.folder.iterdir()] == ["mine.txt"]


def npy(shape, dtype="<f4"):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    return header.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "compression"),
    [
        ("a/0.npy", npy((10**12,)), zipfile.ZIP_STORED),  # says it holds 4 TB
        ("a/0.npy", npy((10**8,)) + bytes(4 * 10**8), zipfile.ZIP_DEFLATED),  # 400 MB in some 400 kB
        ("a/0.npy", npy((1,), "|O") + bytes(8), zipfile.ZIP_STORED),  # would be unpickled
        ("record.json", b"[" * 200_000, zipfile.ZIP_STORED),
    ],
    ids=["huge", "bomb", "objects", "deep"],
)
def test_a_foreign_one_is_refused_before_it_takes_memory_or_runs(store, name, content, compression):
    store.folder.mkdir()
    with zipfile.ZipFile(store.folder / "000001.npz", "w", compression) as file:
        if name != "record.json":
            file.writestr("record.json", '{"arrays": ["a/0"], "record": 1}', compress_type=zipfile.ZIP_STORED)
        file.writestr(name, content)
    assert store.newest() is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_one_that_cannot_be_written_names_path_and_reason_as_a_user(store):
    store.write(numbered(1))
    store.folder.chmod(0o500)
    with pytest.raises(RunError, match=r"cannot write .*000002\.npz: Permission denied"):
        store.write(numbered(2))


def test_one_that_cannot_be_written_names_path_and_reason(store):
    store.folder.write_text("a file where the folder should be")
    with pytest.raises(RunError, match=r"cannot write .*000001\.npz: Not a directory"):
        store.write(numbered(1))


def test_a_clock_that_steps_back_before_the_first_zip_archive_ends_no_training(tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 0.0)
    path = Checkpoints(tmp_path / "checkpoint").write(Stored({"epoch": 1}, {"w": np.zeros(2)}))
    assert path.is_file()
