"""Locks that the operating system takes back from a process that is killed."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from imgcls.errors import DataError, RunError

__all__ = ["alone", "locked"]

log = logging.getLogger("imgcls")

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # as network drives say it


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock file, whose folder exists.

    Raises:
        Timeout: not waiting, and another process holds it.
        OSError: it cannot be written, or its file system has no locks.
    """
    # Without locks filelock would take a file's being there for one, which no system takes back from a killed process.
    lock = FileLock(path, timeout=-1 if wait else 0, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise OSError(error.errno, "its file system has no locks") from error
        raise
    try:
        yield
    finally:
        lock.release()


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Be the only process that is at a run's folder, by a lock in it; without locks on its disk, that is not certain.

    Raises:
        DataError: another one is.
        RunError: the folder cannot be written.
    """
    folder = lock.parent
    with ExitStack() as held:
        try:
            held.enter_context(locked(lock, wait=False))
        except Timeout as error:
            raise DataError(f"{folder} is running: another process is at it") from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise RunError(f"cannot write in {folder}: {error.strerror or error}") from error
            log.warning("%s has no locks: nothing keeps two processes from being at it at once", folder)
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no file that is open
                lock.unlink()
