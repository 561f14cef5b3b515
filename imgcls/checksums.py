"""The SHA-256 of files in one text file beside them, as ``sha256sum -c`` reads it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from imgcls.files import write_text

__all__ = ["read_checksums", "sha256_of", "write_checksums"]

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def write_checksums(path: Path, files: Iterable[Path]) -> None:
    """Write the checksums of files that lie in the same folder.

    Raises:
        RunError: it cannot be written; names path and reason.
    """
    write_text(path, "".join(f"{sha256_of(file)}  {file.name}\n" for file in files))


def read_checksums(path: Path) -> dict[str, str] | None:
    """Return file name → SHA-256 in hexadecimal; None where there are none.

    Raises:
        OSError, ValueError: it cannot be read, or is not as it was written.
    """
    try:
        *lines, rest = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return None
    found = [_LINE.fullmatch(line) for line in lines]
    if rest or not all(found):
        raise ValueError("a line is no checksum and name")
    return {match[2]: match[1] for match in found if match}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
