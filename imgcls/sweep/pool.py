"""Workers that train one trial after the other, here or elsewhere; each may die without harm to the others."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Protocol, Self

__all__ = ["GRACE_S", "Events", "Executor", "Pool", "Worker"]

GRACE_S = 6.0

Events = queue.Queue[tuple["Worker", Mapping[str, Any]]]
"""What workers say. The last that is heard of one has ``gone``, why there will be no more, and perhaps
``is_elsewhere``: whether that was the fault of something else than what it did."""


class Worker(Protocol):
    """What trains, wherever it runs: a process that speaks as ``imgcls.sweep.worker`` does."""

    index: int

    def send(self, **message: Any) -> None:
        """Tell it something; what is told to one that is gone is lost."""

    def end(self) -> None:
        """Ask it to end in order."""

    def join(self) -> None:
        """Wait for its end, for so long as an orderly one takes, and make an end of it."""


class Executor(Protocol):
    """Where workers run.

    Attributes:
        jobs: how many at a time.
    """

    jobs: int

    def start(self, index: int, folder: Path, events: Events) -> Worker:
        """Start a worker for the sweep of a folder; ``index`` is less than ``jobs``."""

    def alone(self) -> Executor:
        """Return where one worker has what it can get."""

    def close(self) -> None:
        """Let go of what the workers needed."""


class Pool(AbstractContextManager["Pool"]):
    """The workers at the sweep of a folder, by index; each is started when it is first told something."""

    def __init__(self, executor: Executor, folder: Path) -> None:
        self.jobs, self._executor, self._folder = executor.jobs, executor, folder
        self._events: Events = queue.Queue()
        self._workers: dict[int, Worker] = {}

    def send(self, index: int, **message: Any) -> None:
        """Tell a worker something; it is started where it does not run yet, or no more."""
        if index not in self._workers:
            self._workers[index] = self._executor.start(index, self._folder, self._events)
        self._workers[index].send(**message)

    def wait(self) -> Mapping[str, Any]:
        """Wait for the end of what the only worker that has something to do was told to train."""
        message: Mapping[str, Any] = {}
        while "end" not in message:
            _, message = self.next()
        return message

    def next(self) -> tuple[int, Mapping[str, Any]]:
        """Wait for what a worker says; of one that is gone, killed or crashed, that its training is ``lost``."""
        while True:
            # with a time: on Windows a signal is heard between two waits only
            with suppress(queue.Empty):
                worker, message = self._events.get(timeout=1.0)
                if "gone" not in message:
                    return worker.index, message
                if self._workers.get(worker.index) is worker:
                    del self._workers[worker.index]
                    worker.end()
                    lost = {"end": "lost", "message": message["gone"]}
                    return worker.index, lost | {"is_elsewhere": message.get("is_elsewhere", False)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        workers = list(self._workers.values())
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.join()
