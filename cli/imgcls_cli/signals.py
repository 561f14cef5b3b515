"""Signals that ask a run to end: Ctrl-C, and those of a cluster's preemption, which then work alike."""

from __future__ import annotations

import signal
from typing import Any

__all__ = ["Ended", "end_on_signals", "forget_received", "raise_received", "signal_name"]

_received: list[int] = []


class Ended(SystemExit):
    """A signal that asks the process to end; the exit code is 128 + its number."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal_name = signal.Signals(number).name

    def __str__(self) -> str:
        return f"by {self.signal_name}"


def end_on_signals() -> None:
    """Make SIGTERM and SIGUSR1 end a command in order, as Ctrl-C does; none of the three is lost."""

    def end(number: int, _: Any) -> None:
        _received.append(number)
        raise_received()

    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)


def raise_received() -> None:
    """Raise what a signal asked for, if one came.

    Python drops an exception that a handler raises while a finalizer or a callback from C runs, as TensorFlow's do:
    asked again at every step, the signal is not lost.
    """
    if _received:
        raise KeyboardInterrupt if _received[0] == signal.SIGINT else Ended(_received[0])


def forget_received() -> None:
    """Forget the signals that came: they have ended what they were to end."""
    _received.clear()


def signal_name(error: BaseException | None) -> str:
    """Return the signal that an exception stands for, or an empty string."""
    if isinstance(error, KeyboardInterrupt):
        return "SIGINT"
    return error.signal_name if isinstance(error, Ended) else ""
