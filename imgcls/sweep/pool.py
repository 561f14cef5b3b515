"""Worker processes: each starts TensorFlow once, keeps to its share of the cores, and may die without harm.

Each holds a lock in the sweep's folder as long as it lives: who goes on with a sweep that was killed waits for its
workers, which notice the end of their orders within seconds, lest two train one trial.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import IO, Any, Self

from filelock import FileLock, Timeout

from imgcls.errors import DataError
from imgcls.runs import LOG

__all__ = ["GONE", "Pool", "gpu_count", "shares", "wait_for_workers"]

_GRACE_S = 10.0
_LOCK = ".worker-"
GONE = "its process ended"


class _Worker:
    """One process; what it says is put into ``events`` as (worker's index, message), and None when it is gone."""

    def __init__(
        self, index: int, cores: Sequence[int], folder: Path, log: IO[bytes], events: queue.Queue[Any]
    ) -> None:
        self.index, self.cores = index, cores
        environment = os.environ | _one_gpu(index)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "imgcls.sweep.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,  # Ctrl-C is for the sweep, which tells its workers
        )
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()
        self.send(cores=list(cores), lock=str(folder / f"{_LOCK}{index}"))

    def _listen(self, events: queue.Queue[Any]) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                events.put((self, json.loads(line)))
        self.process.wait()
        events.put((self, None))

    def send(self, **message: Any) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):  # it is gone, which its end in the queue tells
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def end(self) -> None:
        """Ask it to end in order: the end of its orders is the sweep's, too."""
        assert self.process.stdin is not None
        with suppress(OSError):  # what it has not read goes with it
            self.process.stdin.close()


class Pool(AbstractContextManager["Pool"]):
    """So many workers, by index.

    Args:
        cores: of each worker.
        folder: has their locks, and the log that takes what they print.
    """

    def __init__(self, cores: Sequence[Sequence[int]], folder: Path) -> None:
        self._cores, self._folder, self._log = cores, folder, (folder / LOG).open("ab")
        self._events: queue.Queue[tuple[_Worker, Mapping[str, Any] | None]] = queue.Queue()
        self._workers: dict[int, _Worker] = {}

    def send(self, index: int, **message: Any) -> None:
        """Tell a worker something; it is started where it does not run yet, or no more."""
        if index not in self._workers:
            self._workers[index] = _Worker(index, self._cores[index], self._folder, self._log, self._events)
        self._workers[index].send(**message)

    def wait(self) -> Mapping[str, Any]:
        """Wait for the end of what the only worker that has something to do was told to train."""
        message: Mapping[str, Any] = {}
        while "end" not in message:
            _, message = self.next()
        return message

    def next(self) -> tuple[int, Mapping[str, Any]]:
        """Wait for what a worker says; of one that is gone, killed or crashed, that its training has failed."""
        while True:
            # with a time: on Windows a signal is heard between two waits only
            with suppress(queue.Empty):
                worker, message = self._events.get(timeout=1.0)
                if message is None:
                    if self._workers.get(worker.index) is not worker:
                        continue
                    del self._workers[worker.index]
                    worker.end()
                    message = {"end": "failed", "message": GONE}
                return worker.index, message

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        workers = list(self._workers.values())
        for worker in workers:
            worker.end()
        for worker in workers:
            try:
                worker.process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._log.close()


def wait_for_workers(folder: Path) -> None:
    """Wait until no worker of an earlier process is at the sweep of a folder.

    Raises:
        DataError: one still is, after longer than it takes to notice that it should not be.
    """
    for path in folder.glob(f"{_LOCK}*"):
        try:
            with FileLock(path, timeout=3 * _GRACE_S):
                pass
        except Timeout as error:
            raise DataError(f"{folder} is still being trained by another process") from error


def shares(jobs: int) -> list[list[int]]:
    """Return which cores each of so many workers takes; empty where the system does not say which there are."""
    if not hasattr(os, "sched_getaffinity"):
        return [[] for _ in range(jobs)]
    cores = sorted(os.sched_getaffinity(0))
    if jobs >= len(cores):
        return [[cores[index % len(cores)]] for index in range(jobs)]
    ends = [round(index * len(cores) / jobs) for index in range(jobs + 1)]
    return [cores[begin:end] for begin, end in itertools.pairwise(ends)]


def gpu_count() -> int:
    """Return how many NVIDIA GPUs there are to share out."""
    return len(_gpus())


def _gpus() -> list[str]:
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name]
    return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


def _one_gpu(index: int) -> dict[str, str]:
    """Return the variable that leaves a worker one of several GPUs."""
    names = _gpus()
    return {"CUDA_VISIBLE_DEVICES": names[index % len(names)]} if len(names) > 1 else {}
