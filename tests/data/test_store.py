from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgcls.data import Cache, default_cache_root, load_dataset
from imgcls.data import preparation as preparation_module
from imgcls.data.store import open_prepared
from imgcls.errors import DataError, RunError
from imgcls.spec.data import DataSpec

Make = Callable[..., Any]

# Prepares data/ with decoding slowed down, and tells how many images it decoded itself.
SLOW = """
import sys, time
from pathlib import Path
import imgcls.data.preparation as preparation
from imgcls.data import Cache, load_dataset
from imgcls.spec.data import DataSpec
decode, decoded = preparation.decode, []
def slow(data, geometry):
    decoded.append(1)
    print("decoding", flush=True)
    time.sleep(float(sys.argv[2]))
    return decode(data, geometry)
preparation.decode = slow
root = Path(sys.argv[1])
data = load_dataset(DataSpec(source="folder", path="data"), base=root, resolution=(8, 8), color=None,
                    resize="stretch", cache=Cache(root / "cache"))
print("done", len(decoded), int(data.images.sum()), flush=True)
"""


def slow_process(root: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SLOW, str(root), str(seconds)], stdout=subprocess.PIPE, text=True)


def names(cache: Cache) -> list[str]:
    return sorted(path.name for path in cache.prepared.iterdir() if path.suffix != ".lock")


def test_the_second_time_nothing_is_decoded(folder: Make, load: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(cat=5, dog=5)
    first = load(source="folder", path="data")
    monkeypatch.setattr(preparation_module, "decode", None)
    assert (load(source="folder", path="data").images == first.images).all()


def test_other_splits_use_the_same_store_and_other_pixels_another(folder: Make, load: Make) -> None:
    folder(cat=9, dog=9)
    keys = [
        load(source="folder", path="data", **keys).key
        for keys in (
            {}, {"split_seed": 3}, {"validation": 0.4}, {"resolution": (8, 9)}, {"color": "grayscale"},
            {"resize": "crop"}, {"classes": ["dog", "cat"]},
        )
    ]  # fmt: skip
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys)) == 5


def test_a_changed_file_of_the_same_size_and_time_is_noticed(folder: Make, load: Make) -> None:
    root = folder(cat=5, dog=5)
    target = root / "cat" / "0.bmp"  # uncompressed, so that other pixels take as many bytes
    Image.new("L", (9, 9), 3).save(target)
    first = load(source="folder", path="data")
    before = target.stat()
    Image.new("L", (9, 9), 240).save(target)
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert target.stat().st_size == before.st_size
    assert target.stat().st_mtime_ns == before.st_mtime_ns
    second = load(source="folder", path="data")
    assert second.key != first.key
    assert first.images[0].max() == 3
    assert second.images[0].min() == 240
    assert (second.images[1:] == first.images[1:]).all()


def test_a_file_that_changes_between_listing_and_reading_stops_the_run(
    folder: Make, load: Make, monkeypatch: pytest.MonkeyPatch, picture: Make
) -> None:
    root = folder(cat=5, dog=5)
    real = preparation_module.fingerprint

    def then_change(*arguments: Any) -> Any:
        result = real(*arguments)
        picture(root / "cat" / "2.png", 999)
        return result

    monkeypatch.setattr(preparation_module, "fingerprint", then_change)
    with pytest.raises(DataError, match=r"cat/2\.png .*changed while it was read"):
        load(source="folder", path="data")


def test_two_processes_at_once_share_the_work(folder: Make, tmp_path: Path) -> None:
    folder(cat=10, dog=10)
    both = [slow_process(tmp_path, 0.05) for _ in range(2)]
    results = [process.communicate(timeout=60)[0].splitlines()[-1].split() for process in both]
    assert sorted(int(decoded) for _, decoded, _ in results) == [0, 20]
    assert results[0][2] == results[1][2]


def test_two_threads_at_once_share_the_work(folder: Make, load: Make, cache: Cache) -> None:
    folder(cat=10, dog=10)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(load(source="folder", path="data"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({result.key for result in results}) == 1
    assert len(results) == 4
    assert len(names(cache)) == 1


def test_what_a_killed_process_leaves_is_removed_by_the_next(
    folder: Make, load: Make, tmp_path: Path, cache: Cache
) -> None:
    folder(cat=10, dog=10)
    process = slow_process(tmp_path, 0.5)
    assert process.stdout is not None
    assert process.stdout.readline() == "decoding\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert [name.endswith(".building") for name in names(cache)] == [True]
    data = load(source="folder", path="data")
    assert len(data.images) == 20
    assert names(cache) == [data.key]


@pytest.mark.parametrize("name", ["images.npy", "index.npz", "meta.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "junk", "flip"])
def test_a_damaged_store_is_built_again(
    name: str, damage: str, folder: Make, load: Make, cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    folder(cat=5, dog=5)
    first = load(source="folder", path="data")
    expected = np.array(first.images)
    path = cache.folder(first.key) / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        junk = b"\x93" * len(content) if name != "images.npy" else b"\x93" * 128 + content[128:]
        flip = content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]
        path.write_bytes({"cut": content[:-7], "empty": b"", "junk": junk, "flip": flip}[damage])
    again = load(source="folder", path="data")
    assert (again.images == expected).all()
    assert again.paths == first.paths
    assert f"the prepared data in {cache.folder(first.key)} was damaged, and is made again" in caplog.text


@pytest.mark.parametrize("name", ["images.npy", "index.npz", "meta.json"])
def test_a_flipped_bit_is_noticed_wherever_it_is(
    name: str, folder: Make, load: Make, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(cat=5, dog=5)
    monkeypatch.setattr("imgcls.data.store._BLOCK_BYTES", 512)
    key = load(source="folder", path="data").key
    path = cache.folder(key) / name
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        assert open_prepared(cache, key) is None, place
    path.write_bytes(content)
    assert open_prepared(cache, key) is not None


def test_a_cache_that_cannot_be_written_stops_with_path_and_reason(folder: Make, tmp_path: Path) -> None:
    folder(cat=5, dog=5)
    (tmp_path / "file").touch()
    spec = DataSpec(source="folder", path="data")
    with pytest.raises(RunError, match=r"file/inside/prepared: Not a directory; IMGCLS_CACHE"):
        load_dataset(
            spec,
            base=tmp_path,
            resolution=(8, 8),
            color=None,
            resize="stretch",
            cache=Cache(tmp_path / "file" / "inside"),
        )


def test_a_full_disk_stops_with_path_and_reason_and_leaves_nothing(
    folder: Make, load: Make, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(cat=5, dog=5)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("imgcls.data.store.os.fsync", full)
        with pytest.raises(RunError, match="No space left on device"):
            load(source="folder", path="data")
    assert names(cache) == []
    assert len(load(source="folder", path="data").images) == 10


def test_a_disk_without_room_is_told_before_the_work(folder: Make, load: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(cat=5, dog=5)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("imgcls.data.store.shutil.disk_usage", lambda _: usage)
    with pytest.raises(RunError, match=r"1\.0 MB are needed and 1\.0 kB are free"):
        load(source="folder", path="data")


def test_progress_counts_up_to_all_images(folder: Make, load: Make) -> None:
    folder(cat=50, dog=50)
    calls: list[tuple[int, int]] = []
    load(source="folder", path="data", progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1] == (100, 100)


def test_chunks_join_without_a_seam(folder: Make, load: Make, monkeypatch: pytest.MonkeyPatch, cache: Cache) -> None:
    root = folder(cat=20, dog=20)
    (root / "cat" / "10x.png").touch()
    whole = np.array(load(source="folder", path="data", on_bad_image="skip").images)
    cache.clear()
    monkeypatch.setattr(preparation_module, "CHUNK_BYTES", 7 * 8 * 8 * 3)
    assert (load(source="folder", path="data", on_bad_image="skip").images == whole).all()


def test_an_error_while_decoding_leaves_nothing_behind(folder: Make, load: Make, cache: Cache) -> None:
    folder(cat=5, dog=5)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(source="folder", path="data", progress=interrupt)
    assert names(cache) == []


def test_the_cache_shows_and_clears_what_it_holds(folder: Make, load: Make, cache: Cache) -> None:
    folder(cat=5, dog=5)
    assert cache.entries() == []
    assert cache.clear() == 0
    assert not cache.root.exists()
    started = time.time()
    data, other = (
        load(source="folder", path="data"),
        load(source="folder", path="data", resolution=(4, 6), color="grayscale"),
    )
    entries = {entry.key: entry for entry in cache.entries()}
    entry = entries[other.key]
    assert (entry.images, entry.resolution, entry.color) == (10, (4, 6), "grayscale")
    assert entry.source.endswith("/data")
    assert entry.size_bytes > 240
    assert started - 1 <= entry.created <= entry.last_used + 1
    assert cache.clear([other.key]) == entry.size_bytes
    assert [left.key for left in cache.entries()] == [data.key]
    assert cache.clear() == entries[data.key].size_bytes
    assert names(cache) == []
    assert data.images[0].shape == (8, 8, 3)  # what is open stays readable


def test_another_pillow_makes_another_store(folder: Make, load: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(cat=5, dog=5)
    first = load(source="folder", path="data").key
    monkeypatch.setattr("PIL.__version__", "0.1")
    assert load(source="folder", path="data").key != first


def test_clearing_removes_locks_that_nobody_holds(folder: Make, load: Make, cache: Cache) -> None:
    folder(cat=5, dog=5)
    kept, gone = load(source="folder", path="data").key, load(source="folder", path="data", resolution=(4, 4)).key
    with cache.lock("held"):
        cache.clear([gone])
        assert sorted(path.stem for path in cache.prepared.glob("*.lock")) == sorted([kept, "held"])
    cache.clear()
    assert list(cache.prepared.iterdir()) == []


def test_a_lock_that_is_removed_while_another_waits_still_excludes(cache: Cache) -> None:
    inside: list[int] = []

    def work() -> None:
        with cache.lock("k"):
            inside.append(1)
            assert len(inside) == 1
            time.sleep(0.02)
            inside.pop()
            cache.prepared.joinpath("k.lock").unlink()

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work) for _ in range(8)]:
            future.result()


def test_what_cannot_be_read_is_shown_and_cleared_too(cache: Cache) -> None:
    (cache.prepared / "abc").mkdir(parents=True)
    (cache.prepared / "abc" / "meta.json").write_text("[]")
    assert [entry.source for entry in cache.entries()] == ["unreadable"]
    assert cache.clear() == 2


def test_the_store_holds_plain_arrays_without_pickles(folder: Make, load: Make, cache: Cache) -> None:
    folder(cat=5, dog=5)
    data = load(source="folder", path="data")
    home = cache.folder(data.key)
    with np.load(home / "index.npz", allow_pickle=False) as index:
        assert bytes(index["paths"]).decode().split("\0") == list(data.paths)
        assert index["sha256"].shape == (10, 32)
    assert json.loads((home / "meta.json").read_text())["shape"] == [8, 8, 3]


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "mine"))
    assert default_cache_root() == tmp_path / "mine" == Cache().root
    monkeypatch.delenv("IMGCLS_CACHE")
    assert default_cache_root().name == "imgcls"
