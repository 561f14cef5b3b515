"""Signals that ask a run to end: Ctrl-C, and those of a cluster's preemption, which then work alike."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Ended", "between_steps", "end_on_signals", "forget_received", "raise_received", "signal_name"]

_LONGEST_S = 8.0  # that a signal waits for the end of a training step: a cluster kills what has not ended soon

_received: list[int] = []
_waits = False  # for `raise_received`, which is called between two steps


class Ended(SystemExit):
    """A signal that asks the process to end; the exit code is 128 + its number."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal_name = signal.Signals(number).name

    def __str__(self) -> str:
        return f"by {self.signal_name}"


def end_on_signals() -> None:
    """Make SIGTERM and SIGUSR1 end a command in order, as Ctrl-C does; none of the three is lost.

    While training steps are made the first of them waits for the end of one; a second ends the command at once.
    """

    def end(number: int, _: Any) -> None:
        _received.append(number)
        if not _waits or _received[1:]:
            raise_received()
        elif hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, _LONGEST_S)

    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
    sys.unraisablehook = _hide_received
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, lambda *_: raise_received())


@contextmanager
def between_steps() -> Iterator[None]:
    """Let a signal that comes within the block wait until ``raise_received`` is called."""
    global _waits  # noqa: PLW0603 - a process has one set of signal handlers
    _waits = True
    try:
        yield
    finally:
        _waits = False
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


def raise_received() -> None:
    """Raise what a signal asked for, if one came.

    Python drops an exception that a handler raises while a finalizer or a callback from C runs, as TensorFlow's do:
    asked again at every step, the signal is not lost.
    """
    if _received:
        raise KeyboardInterrupt if _received[0] == signal.SIGINT else Ended(_received[0])


def _hide_received(unraisable: Any) -> None:
    """Say nothing of a signal whose exception Python drops: it is not lost, see ``raise_received``."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt | Ended):
        sys.__unraisablehook__(unraisable)


def forget_received() -> None:
    """Forget the signals that came: they have ended what they were to end."""
    _received.clear()


def signal_name(error: BaseException | None) -> str:
    """Return the signal that an exception stands for, or an empty string."""
    if isinstance(error, KeyboardInterrupt):
        return "SIGINT"
    return error.signal_name if isinstance(error, Ended) else ""
