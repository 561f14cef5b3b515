"""Everything that a user can cause, as exceptions.

    ImgclsError            exit code
    ├── SpecError          2   the spec or the command line
    ├── DataError          3   images, labels, saved models, run folders
    ├── RunError           1   the run itself: diverged, out of memory, disk full
    │   └── ConsistencyError   two computations of one number differ: no result is written
    └── DegenerateError    4   --strict, and the result means nothing

What is not among them is a bug and crashes.
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache

__all__ = [
    "ConsistencyError",
    "DataError",
    "DegenerateError",
    "ImgclsError",
    "RunError",
    "SpecError",
    "nearest",
    "refusal",
]


_OF_A_NAME = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)  # what a user can give


class ImgclsError(Exception):
    """A fault that its message explains; ``exit_code`` is what the command ends with."""

    exit_code = 1


class SpecError(ImgclsError):
    """The spec or the command line is wrong; ``problems`` has one record for each fault of a spec."""

    exit_code = 2

    def __init__(self, message: str, problems: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class DataError(ImgclsError):
    """Images, labels, a saved model or a run folder are not what they should be."""

    exit_code = 3


class RunError(ImgclsError):
    """The run failed: it diverged, memory or disk ran out."""

    exit_code = 1


class ConsistencyError(RunError):
    """Two ways to compute one number disagree; the result would not be true."""


class DegenerateError(ImgclsError):
    """Under ``--strict``: the result is degenerate, for instance one class predicted for all images."""

    exit_code = 4


def refusal(error: Exception) -> str:
    """Return what the system refuses the process, and what to do; an empty string for any other error."""
    text = str(error)
    if isinstance(error, FileNotFoundError) and "temporary directory" in text:
        return "no folder for temporary files can be written to; set TMPDIR to one that can"
    if isinstance(error, OSError) and error.filename and error.errno in _OF_A_NAME:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    limits = {
        errno.EMFILE: "ulimit -n",
        errno.ENFILE: "ulimit -n",
        errno.EAGAIN: "ulimit -u",
        errno.ENOMEM: "ulimit -v",
    }
    if isinstance(error, OSError) and error.errno in limits:
        return f"the system refuses: {text}; {limits[error.errno]} shows the limit"
    if isinstance(error, RuntimeError) and "can't start new thread" in text:
        return "the system refuses another thread; ulimit -u shows the limit"
    if isinstance(error, ImportError) and ("failed to map segment" in text or "cannot allocate memory" in text.lower()):
        return f"the system refuses the memory that a library needs ({text}); ulimit -v shows the limit"
    return ""


def nearest(name: str, accepted: Iterable[str]) -> str:
    """Return ``"; did you mean X?"`` for the accepted name most like ``name``, or an empty string."""
    close = _closest(name, tuple(accepted))
    return f"; did you mean {close}?" if close else ""


@lru_cache(maxsize=1024)  # one wrong name may stand in every point of a sweep
def _closest(name: str, accepted: tuple[str, ...]) -> str:
    return next(iter(difflib.get_close_matches(name, accepted, n=1, cutoff=0.6)), "")
