"""Files and folders that are whole or absent: write beside the target, sync, rename."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from imgcls.errors import RunError

__all__ = [
    "csv_text",
    "read_csv",
    "remove_leftovers",
    "strict_json",
    "sync_folder",
    "whole_file",
    "whole_folder",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_text",
]

# A spreadsheet runs a cell that starts with one of these as a formula (OWASP, "CSV injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

_PLAIN = {bool, float, int, str, type(None)}  # what stands in a line of JSON together
_HALF = "half-"  # is in the name of a file until it is whole
_LEFTOVER = re.compile(rf"\..+\.{_HALF}[a-z0-9_]{{8}}(\.\w+)?")


@contextmanager
def whole_file(path: Path, *, lasting: bool = True) -> Iterator[Path]:
    """Give a temporary path in the same folder; rename it to ``path`` when the block ends well.

    Args:
        path: where to.
        lasting: wait until the disk has it, which takes longer than the writing; not for what can be made anew.

    Raises:
        RunError: the file cannot be written; names path and reason.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.{_HALF}", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    temporary = Path(name)
    try:
        yield temporary
        if lasting:
            _sync(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``path``; it takes the place of that when the block ends well.

    Raises:
        RunError: the folder cannot be written; names path and reason. What was there stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    replaced = temporary.with_name(f"{temporary.name}.replaced")
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            path.rename(replaced)
        temporary.rename(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if replaced.exists() and not path.exists():
            replaced.rename(path)
        for folder in (temporary, replaced):
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the files that killed processes left half written; nothing may be writing there."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if _LEFTOVER.fullmatch(path.name):
            with suppress(OSError):  # they are in nobody's way
                path.unlink()


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's names: before, a power cut could take back a renaming."""
    if os.name != "posix":
        return  # Windows cannot open a folder
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network drives cannot
            os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with plain line ends."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as strict JSON: what is not finite becomes null."""
    write_text(path, strict_json(value) + "\n")


def strict_json(value: Any) -> str:
    """Return ``value`` as JSON that every parser reads; NaN and infinities become null.

    A list of plain values, such as a row of a matrix, is a line.
    """
    return _json(value, "").encode("utf-8", "backslashreplace").decode("utf-8")  # bytes of paths that are no UTF-8


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as CSV; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        _write_rows(file, header, rows)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as the CSV that ``write_csv`` writes."""
    buffer = io.StringIO()
    _write_rows(buffer, header, rows)
    return buffer.getvalue()


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file that ``write_csv`` wrote, every value as the text that went in."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    header = [_uncell(name) for name in rows[0]]
    return [dict(zip(header, map(_uncell, row), strict=True)) for row in rows[1:]]


def _json(value: Any, margin: str) -> str:
    inner = margin + "  "
    if isinstance(value, Mapping) and value:
        lines = [f"{inner}{_json(str(key), '')}: {_json(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    if isinstance(value, list | tuple):
        kinds = set(map(type, value))  # a matrix may have millions of values
        if not kinds <= _PLAIN:
            lines = [inner + _json(item, inner) for item in value]
            return "[\n" + ",\n".join(lines) + f"\n{margin}]"
        if float in kinds:
            value = [None if isinstance(item, float) and not math.isfinite(item) else item for item in value]
    elif isinstance(value, float) and not math.isfinite(value):
        value = None
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _write_rows(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(_PlainLines(file), lineterminator=_PlainLines.end)
    writer.writerow([_cell(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)


class _PlainLines:
    """Writes the lines of a CSV with plain ends; csv quotes what holds a character of the end that it knows of."""

    end = "\r\n"

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line.removesuffix(self.end) + "\n")


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith((*FORMULA_STARTS, "'")):
        return "'" + value
    return value


def _uncell(text: str) -> str:
    return text.removeprefix("'")


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
