"""Every evaluation of a network has a row: in its run's folder, and in the folder of all runs, where none is lost.

Who looks at the test images again and again, and keeps what does best, reports a figure that is too good. So it is
counted.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from imgcls.catalog import full_name, runs_dir_of
from imgcls.files import csv_text
from imgcls.findings import Finding
from imgcls.runs import Run
from imgcls.runs.layout import EVALUATIONS

__all__ = ["COLUMNS", "evaluations_in", "images_digest", "record_evaluation"]

COLUMNS = ("time", "run", "split", "images_sha256", "n", "accuracy")
"""What is known of an evaluation; ``run`` is as ``full_name`` gives it."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # nothing is added to a file elsewhere that a stranger's folder leads to
_DIGEST_LETTERS = 16  # are enough to tell sets of images apart


def images_digest(images: Iterable[tuple[bytes, str]]) -> str:
    """Return what tells a set of images from others: of their SHA-256 and labels, in any order."""
    lines = sorted(digest + label.encode() for digest, label in images)
    return hashlib.sha256(b"\n".join(lines)).hexdigest()[:_DIGEST_LETTERS]


def record_evaluation(run: Run, metrics: Mapping[str, Any]) -> list[Finding]:
    """Add a row for an evaluation to the files of its run, and of the folder of all runs.

    Either may be somebody else's, or on a disk that must not be written to: no result is lost for that.

    Args:
        run: whose network was measured.
        metrics: what came of it.

    Returns:
        A finding for each file that cannot be written.
    """
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    row = (now, full_name(run), *(metrics.get(column) for column in COLUMNS[2:]))
    failed = [_append(folder / EVALUATIONS, row) for folder in (run.folder, runs_dir_of(run))]
    return [Finding("evaluation_not_counted", text) for text in failed if text]


def evaluations_in(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a run's folder, or of a folder of runs; what is no whole row is left out."""
    try:
        text = (folder / EVALUATIONS).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    rows = csv.reader(io.StringIO(text.replace("\0", "")))
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows if len(row) == len(COLUMNS) and row[0] != COLUMNS[0]]


def _append(path: Path, row: Iterable[Any]) -> str:
    """Write a row in one piece behind those of other processes; return why it cannot be, or an empty string."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _NO_LINK, 0o666)
        try:
            data = _fitting(handle, csv_text(COLUMNS, [tuple(row)]).encode())
            if os.write(handle, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)
    except OSError as error:
        return f"cannot write {path}: {error.strerror}"
    return ""


def _fitting(handle: int, table: bytes) -> bytes:
    """Return what of a header and a row goes behind what a file has; a row that a full disk cut short stays alone."""
    if not os.fstat(handle).st_size:
        return table
    os.lseek(handle, -1, os.SEEK_END)
    row = table.partition(b"\n")[2]
    return row if os.read(handle, 1) == b"\n" else b"\n" + row
