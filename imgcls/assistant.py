"""A second process, for what needs other packages than Keras: it imports them while this one imports Keras.

Python's lock lets one thread import at a time; scikit-learn, SciPy and Matplotlib take half as long as TensorFlow, and
drawing takes longer than an epoch of a small network. A process of imgcls' own has all that done beside it. Where there
is no such process, where it was killed, or where something fails in it, the work is done here, and fails here.
"""

from __future__ import annotations

import logging
import os
import pickle
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from importlib import import_module
from queue import SimpleQueue
from typing import Any, TypeVar

from imgcls.importing import is_claimed
from imgcls.subprocesses import start_module

__all__ = ["ask", "employ", "hand_over", "import_all", "is_employed"]

T = TypeVar("T")

log = logging.getLogger("imgcls")

_employed: list[_Assistant] = []  # one at most, as long as this process lives


def employ(modules: Sequence[str]) -> None:
    """Start the second process, where this one is imgcls' own, and have it import modules; once."""
    if is_claimed() and not _employed:
        with suppress(OSError, RuntimeError):  # the system refuses another process, or thread
            _employed.append(_Assistant())
            hand_over(import_all, modules)


def is_employed() -> bool:
    """Whether a second process was started."""
    return bool(_employed)


def hand_over(call: Callable[..., T], *arguments: Any) -> Callable[[], T]:
    """Have a function of a module called by the second process, after all that was handed over before.

    Args:
        arguments: what can be pickled, as must what comes of it. Nothing should be written by the call: what fails
            there is done again here.

    Returns:
        what waits for the result and returns it; where there is no second process, it is the call.
    """
    return _employed[0].hand_over(call, arguments) if _employed else partial(call, *arguments)


def ask(call: Callable[..., T], *arguments: Any) -> T:
    """Return what a function of a module gives, called by the second process as ``hand_over``."""
    return hand_over(call, *arguments)()


def import_all(modules: Sequence[str]) -> None:
    """Import modules; of one that cannot be, whoever needs it is told."""
    for name in modules:
        with suppress(ImportError, OSError, MemoryError):
            import_module(name)


class _Assistant:
    """The second process. It ends where the pipe to it does, so with this one, however that ends.

    A thread speaks with it; nobody waits for either at the end of this process.

    Raises:
        OSError, RuntimeError: the system refuses another process, or thread.
    """

    def __init__(self) -> None:
        self._greeting = secrets.token_hex().encode() + b"\n"
        self._process = start_module(
            "imgcls.assistant",
            self._greeting.decode().strip(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process
        )
        self._orders: SimpleQueue[tuple[bytes, Future[tuple[bool, Any]]]] = SimpleQueue()
        try:
            threading.Thread(target=self._pass_on, daemon=True).start()
        except RuntimeError:
            self.end()
            raise

    def hand_over(self, call: Callable[..., T], arguments: Sequence[Any]) -> Callable[[], T]:
        answer: Future[tuple[bool, Any]] = Future()
        self._orders.put((pickle.dumps((call, arguments)), answer))

        def collect() -> T:
            is_done, result = answer.result()
            return result if is_done else call(*arguments)

        return collect

    def _pass_on(self) -> None:
        """Pass on one order after the other; once there is no answer, there is none any more."""
        try:
            self._await_greeting()
        except OSError:
            self.end()
        while True:
            order, answer = self._orders.get()
            answer.set_result((False, None) if self._process.returncode is not None else self._answer_to(order))
            del order, answer  # large, and the next may be far off

    def _await_greeting(self) -> None:
        """Pass over what others printed when the process began.

        Raises:
            OSError: it ended before.
        """
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line == self._greeting:
                return
        raise BrokenPipeError

    def _answer_to(self, order: bytes) -> tuple[bool, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(order)
            self._process.stdin.flush()
            is_done, result = pickle.load(self._process.stdout)  # noqa: S301 - it is ours
        except Exception as error:  # noqa: BLE001 - it was killed, or what came is no answer: no more is asked of it
            log.info("the second process is gone (%s): what it did is done here", type(error).__name__)
            self.end()
            return False, None
        return is_done, result

    def end(self) -> None:
        """Make an end of it; what is handed over from now on is done here."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # what it did not read goes with it
                pipe.close()
        self._process.wait()


def main() -> None:
    """Do what is read from stdin, until it ends, and write what comes of it to stdout, after the greeting asked for."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    with suppress(EOFError, BrokenPipeError):
        answers.write(f"\n{sys.argv[1]}\n".encode())
        answers.flush()
        while True:
            call, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
            try:
                answer = pickle.dumps((True, call(*arguments)))
            except Exception:  # noqa: BLE001 - it is done again, and raised, where it is asked for
                answer = pickle.dumps((False, None))
            answers.write(answer)
            answers.flush()
            del call, arguments, answer  # large, and the next may be far off


if __name__ == "__main__":
    main()
