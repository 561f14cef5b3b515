"""Folders that a run writes to and reads from, and the terminal it writes to."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from imgcls.diagnosis.line import Line
from imgcls.wording import counted, display, size

__all__ = ["cache", "runs", "terminal", "weights"]

LEAST_DISK = 2_000_000_000  # bytes: a run of a large network with its checkpoints
NARROW = 60  # columns, below which tables lose columns


def cache(_runs_dir: Path, cache_dir: Path | None) -> Iterator[Line]:
    """Tell where prepared images lie, how much they take, and whether there is room."""
    from imgcls.data.cache import Cache

    store = Cache(cache_dir)
    used = sum(entry.size_bytes for entry in store.entries())
    yield from _folder("cache", store.root, f"{size(used)} used", "IMGCLS_CACHE=FOLDER or --cache-dir names another")


def runs(runs_dir: Path, _cache_dir: Path | None) -> Iterator[Line]:
    """Tell whether runs can be written."""
    from imgcls.catalog import list_runs

    there = counted(len(list_runs(runs_dir)), "run")
    yield from _folder("runs", runs_dir.absolute(), there, "--runs-dir or IMGCLS_RUNS_DIR names another")


def weights(_runs_dir: Path, _cache_dir: Path | None) -> Iterator[Line]:
    """Tell which pretrained weights Keras has at hand."""
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    files = sorted(folder.glob("*.h5")) if folder.is_dir() else []
    if files:
        shown = ", ".join(f"{display(file.name)} ({size(file.stat().st_size)})" for file in files)
        yield Line("ok", "weights", f"{shown} in {display(folder)}")
    else:
        text = f"none in {display(folder)}: Keras fetches them when a backbone is first used"
        yield Line("ok", "weights", text, "without a network: architecture.weights=FILE, fetched elsewhere")


def terminal(_runs_dir: Path, _cache_dir: Path | None) -> Iterator[Line]:
    """Tell what would make output hard to read."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    columns = shutil.get_terminal_size().columns
    if encoding != "utf8":
        text = f"stdout is {sys.stdout.encoding}: names with other characters are shown as \\u codes"
        yield Line("note", "terminal", text, "export LANG=C.UTF-8, or PYTHONUTF8=1")
    if sys.getfilesystemencoding().lower() not in ("utf-8", "utf8"):
        text = f"file names are {sys.getfilesystemencoding()}: files with other names cannot be opened"
        yield Line("note", "terminal", text, "export LANG=C.UTF-8, or PYTHONUTF8=1")
    if columns < NARROW:
        yield Line("note", "terminal", f"{columns} columns: tables leave some out", "a wider window, or --json")
    if encoding == "utf8" and columns >= NARROW:
        yield Line("ok", "terminal", f"{sys.stdout.encoding}, {columns} columns")


def _folder(topic: str, folder: Path, contents: str, advice: str) -> Iterator[Line]:
    """Tell whether a folder, or the one that it would come into being in, can be written and has room."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), Path(folder.anchor))
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        yield Line("problem", topic, f"{display(folder)} cannot be written: {error.strerror}", advice)
        return
    free = shutil.disk_usage(there).free
    text = f"{display(folder)}, {contents}, {size(free)} of disk free"
    yield Line("ok", topic, text) if free >= LEAST_DISK else Line("note", topic, text, f"make room; {advice}")
