"""Checkpoints on disk: each whole or not there, the last two kept, a damaged one never taken for a good one.

One is a ``.npz`` file that NumPy opens: the arrays, and ``record.json`` beside them. All of it is covered by the CRC-32
of its parts. It is read without pickle, and no part of it takes more memory than the file has bytes.
"""

from __future__ import annotations

import json
import logging
import re
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.errors import DataError
from imgcls.files import sync_folder, whole_file
from imgcls.wording import first_line

__all__ = ["Checkpoints", "Stored"]

log = logging.getLogger("imgcls")

_KEPT = 2
_RECORD = "record.json"
_ERRORS = (
    OSError, ValueError, TypeError, LookupError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
_NAME = re.compile(r"([0-9]{6,})\.npz")
_HALF = re.compile(r"\.[0-9]{6,}\.npz\..+\.npz")  # as files.whole_file calls what is not whole yet


class _DamagedError(DataError):
    """A checkpoint is not what was written."""


@dataclass(frozen=True)
class Stored:
    """What a checkpoint holds: a record that JSON can say, and arrays by name."""

    record: Any
    arrays: Mapping[str, NDArray[Any]]


class Checkpoints:
    """The checkpoints in a folder, which comes into being with the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, stored: Stored) -> Path:
        """Write one more, and remove those before the last two; return where it lies.

        Raises:
            RunError: it cannot be written; names path and reason. Those before stay.
        """
        numbers = self._numbers()
        path = self.folder / f"{(numbers[-1] if numbers else 0) + 1:06d}.npz"
        with suppress(OSError):  # then writing says why
            self.folder.mkdir(exist_ok=True)
        with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as file:
            file.writestr(zipfile.ZipInfo(_RECORD), json.dumps({"arrays": [*stored.arrays], "record": stored.record}))
            for name, array in stored.arrays.items():
                with file.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as part:
                    np.lib.format.write_array(part, np.asanyarray(array, order="C"), allow_pickle=False)
        sync_folder(self.folder)  # before those go that it takes the place of
        for number in numbers[: 1 - _KEPT]:
            self._path(number).unlink(missing_ok=True)
        return path

    def newest(self) -> Stored | None:
        """Return the newest that is not damaged, None where there is none; the log tells of those passed over."""
        for number in reversed(self._numbers()):
            try:
                return _read(self._path(number))
            except _DamagedError as error:
                log.warning("%s", error)
        return None

    def clear(self) -> None:
        """Remove all of them, and what killed processes left half written; nothing else that may lie there."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if _NAME.fullmatch(path.name) or _HALF.fullmatch(path.name):
                    path.unlink()
            self.folder.rmdir()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"

    def _numbers(self) -> list[int]:
        if not self.folder.is_dir():
            return []
        return sorted(int(found[1]) for path in self.folder.iterdir() if (found := _NAME.fullmatch(path.name)))


def _read(path: Path) -> Stored:
    """Return what a file holds.

    Raises:
        _DamagedError: it is not whole; names it.
    """
    try:
        with zipfile.ZipFile(path) as file:
            size = path.stat().st_size
            content = json.loads(file.read(_checked(file, _RECORD, size)))
            arrays = {name: _array(file, _checked(file, f"{name}.npy", size)) for name in content["arrays"]}
            return Stored(content["record"], arrays)
    except _ERRORS as error:
        raise _DamagedError(f"the checkpoint {path} is damaged: {first_line(error)}") from error


def _checked(file: zipfile.ZipFile, name: str, size: int) -> zipfile.ZipInfo:
    """Return a part's entry; one that is compressed, or larger than the file, takes more memory than it has bytes."""
    info = file.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > size:
        raise ValueError(f"{name} is not as it was written")
    return info


def _array(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """Return a part, whose checksum is compared when its last byte is read."""
    with file.open(info) as part:
        major, _ = np.lib.format.read_magic(part)
        read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read_header(part)
        count = int(np.prod(shape, dtype=object))
        rest = part.read()
        if dtype.hasobject or is_fortran or count * dtype.itemsize != len(rest):
            raise ValueError(f"{info.filename} is not as it was written")
        return np.frombuffer(rest, dtype).reshape(shape)
