"""Files that did not change are not read again, and no change goes unseen."""

import errno
import os
import sqlite3
import time
from pathlib import Path

import pytest

from imgcls.data import known_files
from imgcls.data.known_files import KnownFiles, state_of
from imgcls.errors import DataError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no time that a program cannot set")


@pytest.fixture
def settled(monkeypatch):
    """Let what was just written count as old."""
    monkeypatch.setattr(known_files, "_RECENT_NS", -3_600_000_000_000)


@pytest.fixture
def opened(monkeypatch):
    """Return the names of the files that are read."""
    names, real = [], open

    def noting(file, *arguments, **options):
        names.append(Path(file).name)
        return real(file, *arguments, **options)

    monkeypatch.setattr("builtins.open", noting)
    return names


def read_again(opened, load, **keys):
    opened.clear()
    dataset = load(source="folder", path="data", **keys)
    return sorted(name for name in opened if name.endswith((".png", ".bmp"))), dataset


def test_what_did_not_change_is_not_read_again(folder, load, settled, opened, picture):
    root = folder(cat=3, dog=300)
    first_read, first = read_again(opened, load)
    assert len(first_read) == 303
    assert read_again(opened, load)[0] == []
    picture(root / "cat" / "1.png", 7)
    changed, second = read_again(opened, load)
    assert changed == ["1.png"]
    assert second.key != first.key
    assert (second.sha256 != first.sha256).any(axis=1).sum() == 1


def test_the_content_is_named_alike_whether_it_was_read_or_known(folder, load, cache, settled, opened):
    folder(cat=5, dog=5)
    first = load(source="folder", path="data")
    known = read_again(opened, load)
    cache.known_files.unlink()
    read = read_again(opened, load)
    assert known[0] == [] != read[0]
    assert first.key == known[1].key == read[1].key
    assert (known[1].sha256 == read[1].sha256).all()


def test_a_file_that_was_just_written_is_read_again(folder, load, opened):
    folder(cat=3, dog=3)
    assert len(read_again(opened, load)[0]) == len(read_again(opened, load)[0]) == 6


@pytest.mark.parametrize("change", ["moved over", "times set back", "a link to another"])
def test_no_change_goes_unseen(folder, load, settled, change, tmp_path):
    target = folder(cat=5, dog=5) / "cat" / "0.png"
    first = load(source="folder", path="data")
    before, other = target.stat(), (target.parent / "1.png").read_bytes()
    if change == "moved over":
        (tmp_path / "new.png").write_bytes(other)
        os.utime(tmp_path / "new.png", ns=(before.st_atime_ns, before.st_mtime_ns))
        (tmp_path / "new.png").replace(target)
    elif change == "times set back":
        target.write_bytes(other)
        os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        target.unlink()
        target.symlink_to("1.png")
    assert load(source="folder", path="data").key != first.key


def test_a_clock_that_tells_no_parts_of_a_second_is_not_trusted(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    status = path.stat()
    fields = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
    kind = type("Status", (), {})

    def state(**changes):
        record = kind()
        record.__dict__.update(fields | changes)
        return state_of(record)

    old = time.time_ns() - 10_000_000_000
    assert state(st_ctime_ns=old // 10**9 * 10**9 + 123, st_mtime_ns=old)
    assert not state(st_ctime_ns=old // 10**9 * 10**9, st_mtime_ns=old)
    assert not state(st_ctime_ns=time.time_ns(), st_mtime_ns=old)


@pytest.mark.parametrize("harm", ["a flipped bit", "no database", "a folder", "another table"])
def test_a_damaged_database_names_no_content_wrongly(folder, load, cache, settled, opened, harm):
    folder(cat=3, dog=3)
    first = load(source="folder", path="data")
    path = cache.known_files
    if harm == "a flipped bit":
        with sqlite3.connect(path) as database:
            database.execute("UPDATE files SET sha256 = zeroblob(32)")
        database.close()
    else:
        path.unlink()
        if harm == "no database":
            path.write_bytes(b"not a database " * 1000)
        elif harm == "a folder":
            path.mkdir()
        else:
            with sqlite3.connect(path) as database:
                database.execute("CREATE TABLE files (something)")
            database.close()
    read, second = read_again(opened, load)
    assert len(read) == 6
    assert second.key == first.key
    if harm in ("a flipped bit", "no database"):  # it is made anew, at the latest with the next files
        load(source="folder", path="data")
        assert read_again(opened, load)[0] == []


def test_a_cache_that_must_not_be_written_does_no_harm(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with KnownFiles(tmp_path / "file" / "files.sqlite") as known:
        known.remember([("a", "1 2 3 4", bytes(32))])
        assert known.digests({"a": "1 2 3 4"}) == {}


def test_names_that_are_no_text_are_known_too(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    for _ in range(2):
        with KnownFiles(tmp_path / "files.sqlite") as known:
            known.remember([(name, "1 2 3 4", b"x" * 32)])
    with KnownFiles(tmp_path / "files.sqlite") as known:
        assert known.digests({name: "1 2 3 4", "b": "1 2 3 4"}) == {name: b"x" * 32}
        assert known.digests({name: "1 2 3 5"}) == known.digests({name: ""}) == {}


def test_an_emptied_cache_knows_no_file(folder, load, cache, settled, opened):
    folder(cat=3, dog=3)
    load(source="folder", path="data")
    assert cache.clear() > 0
    assert not cache.known_files.exists()
    assert len(read_again(opened, load)[0]) >= 6


def test_a_file_that_changes_while_it_is_read_is_not_remembered(folder, load, cache, settled, monkeypatch):
    import hashlib

    target = folder(cat=3, dog=3) / "cat" / "0.png"
    real = hashlib.file_digest

    def changing(file, name):
        digest = real(file, name)
        if Path(file.name) == target:
            os.utime(target)
        return digest

    monkeypatch.setattr(hashlib, "file_digest", changing)
    load(source="folder", path="data")
    with KnownFiles(cache.known_files) as known:
        assert not known.digests({str(target.absolute()): state_of(target.stat())})
        other = target.with_name("1.png").absolute()
        assert known.digests({str(other): state_of(other.stat())})


def test_a_known_file_that_cannot_be_read_now_is_not_left_out_for_ever(folder, load, settled, monkeypatch):
    folder(cat=5, dog=5)
    load(source="folder", path="data")
    real = Path.read_bytes

    def failing(path):
        if path.name == "3.png":
            raise OSError(errno.EIO, "Input/output error")
        return real(path)

    again = {"source": "folder", "path": "data", "resolution": (9, 9), "on_bad_image": "skip"}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        with pytest.raises(DataError, match=r"3\.png of .* cannot be read now: Input/output error; start again"):
            load(**again)
    assert len(load(**again).images) == 10
