"""A second process, for what needs other packages than Keras: it imports them while this one imports Keras.

Python's lock lets one thread import at a time; scikit-learn, SciPy and Matplotlib take half as long as TensorFlow, and
drawing takes longer than an epoch of a small network. A process of imgcls' own has all that done beside it. Where there
is no such process, where it was killed, or where something fails in it, the work is done here, and fails here.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, TypeVar, cast

from imgcls.importing import is_claimed
from imgcls.subprocesses import start_module

__all__ = ["ask", "employ", "hand_over", "import_all", "is_employed"]

T = TypeVar("T")

_employed: list[_Assistant] = []  # one at most, as long as this process lives


def employ(modules: Sequence[str]) -> None:
    """Start the second process, where this one is imgcls' own, and have it import modules; once."""
    if is_claimed() and not _employed:
        with suppress(OSError):  # the system refuses another process
            _employed.append(_Assistant(modules))


def is_employed() -> bool:
    """Whether there is a second process."""
    return bool(_employed)


def hand_over(call: Callable[..., T], *arguments: Any) -> Callable[[], T]:
    """Have a function of a module called by the second process, after all that was handed over before.

    Args:
        arguments: what can be pickled, as must what comes of it.

    Returns:
        what waits for the result and returns it; where there is no second process, it is the call.
    """
    return _employed[0].hand_over(call, arguments) if _employed else partial(call, *arguments)


def ask(call: Callable[..., T], *arguments: Any) -> T:
    """Return what a function of a module gives, called by the second process as ``hand_over``."""
    return hand_over(call, *arguments)()


def import_all(modules: Sequence[str]) -> None:
    """Import modules; of one that cannot be, whoever needs it is told."""
    with suppress(ImportError, OSError, MemoryError):
        for name in modules:
            import_module(name)


class _Assistant:
    """The second process; it ends where the pipe to it does, so with this one, however that ends."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._process = start_module(
            "imgcls.assistant",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process
        )
        self._clerk = ThreadPoolExecutor(1)
        self.hand_over(import_all, (modules,))

    def hand_over(self, call: Callable[..., T], arguments: Sequence[Any]) -> Callable[[], T]:
        return self._clerk.submit(self._have_done, call, arguments).result

    def _have_done(self, call: Callable[..., T], arguments: Sequence[Any]) -> T:
        orders, answers = self._process.stdin, self._process.stdout
        assert orders is not None
        assert answers is not None
        order = pickle.dumps((call, arguments))
        if not orders.closed:
            try:
                orders.write(order)
                orders.flush()
                is_done, result = pickle.load(answers)  # noqa: S301 - it is ours
                if is_done:
                    return cast("T", result)
            except (OSError, EOFError, pickle.PickleError):  # it was killed
                self.end()
        return call(*arguments)

    def end(self) -> None:
        """Let it end; what is handed over from now on is done here."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # what it did not read goes with it
                pipe.close()
        self._process.wait()


def main() -> None:
    """Do what is read from stdin, until it ends, and write what comes of it to stdout."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    with suppress(EOFError, BrokenPipeError):
        while True:
            call, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
            try:
                answer = pickle.dumps((True, call(*arguments)))
            except Exception:  # noqa: BLE001 - it is done again, and raised, where it is asked for
                answer = pickle.dumps((False, None))
            answers.write(answer)
            answers.flush()


if __name__ == "__main__":
    main()
