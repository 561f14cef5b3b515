"""Worker processes on this machine: each starts TensorFlow once and keeps to its share of the cores.

Each holds a lock in the sweep's folder as long as it lives: who goes on with a sweep that was killed waits for its
workers, which notice the end of their orders within seconds, lest two train one trial.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Literal

from filelock import FileLock, Timeout

from imgcls.errors import DataError
from imgcls.runs.layout import LOG
from imgcls.spec.sweep import SweepSpec
from imgcls.subprocesses import start_module
from imgcls.sweep.pool import GRACE_S, Events

__all__ = ["Processes", "WorkerProcess", "job_count", "shares", "wait_for_workers"]

_LOCK = ".worker-"
_WORKER_BYTES = 2_000_000_000  # TensorFlow with a small network; images are shared, for they are mapped from the cache


class WorkerProcess:
    """A worker as a process of this machine.

    Args:
        cores: which it keeps to; empty for all.
        folder: has its lock.
        log: takes what it prints.
        events: takes what it says.
        asks_for_images: whether it is to ask for its images, as it cannot read them where they are.
    """

    def __init__(
        self,
        index: int,
        cores: Sequence[int],
        folder: Path,
        log: IO[bytes] | None,
        events: Events,
        *,
        asks_for_images: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.index = index
        self._process = start_module(
            "imgcls.sweep.worker",
            environment=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the sweep, which tells its workers
        )
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()
        self.send(cores=list(cores), lock=str(folder / f"{_LOCK}{index}"), asks_for_images=asks_for_images)

    def _listen(self, events: Events) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                events.put((self, json.loads(line)))
        self._process.wait()
        events.put((self, {"gone": "its process ended"}))

    def send(self, **message: Any) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it is gone, which its end in the queue tells
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def end(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # what it has not read goes with it
            self._process.stdin.close()

    def join(self) -> None:
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Processes:
    """Workers on this machine, which share its cores and GPUs."""

    def __init__(self, sweep: SweepSpec, device: str, *, jobs: int | None = None) -> None:
        self._sweep, self._device = sweep, device
        self.jobs = jobs or job_count(sweep, device)

    def start(self, index: int, folder: Path, events: Events) -> WorkerProcess:
        cores = shares(self.jobs, self._sweep.cpus)[index]
        with (folder / LOG).open("ab") as log:
            return WorkerProcess(index, cores, folder, log, events, environment=_gpus_of(index, self._sweep.gpus))

    def alone(self) -> Processes:
        return Processes(self._sweep, self._device, jobs=1)

    def close(self) -> None:
        pass


def wait_for_workers(folder: Path) -> None:
    """Wait until no worker of an earlier process is at the sweep of a folder.

    Raises:
        DataError: one still is, after longer than it takes to notice that it should not be.
    """
    for path in folder.glob(f"{_LOCK}*"):
        try:
            with FileLock(path, timeout=3 * GRACE_S):
                pass
        except Timeout as error:
            raise DataError(f"{folder} is still being trained by another process") from error


def job_count(sweep: SweepSpec, device: str) -> int:
    """Return how many trials are trained at a time.

    Small networks use one core better than several: as many trials as there are cores finish sooner than one after the
    other on all of them (docs/sweeps.md has the figures). Memory bounds it, and there is one trial to a GPU.
    """
    if sweep.jobs != "auto":
        return min(sweep.jobs, sweep.trial_count)
    from imgcls.backend import free_memory
    from imgcls.backend.device import core_count

    cores = core_count() // (1 if sweep.cpus == "auto" else sweep.cpus)
    gpus = 1 if sweep.gpus == "auto" else sweep.gpus
    if device != "cpu" and gpus and _gpus():
        return max(1, min(int(len(_gpus()) / gpus), sweep.trial_count))
    free = free_memory()
    room = cores if free is None else int(free) // _WORKER_BYTES
    return max(1, min(cores, room, sweep.trial_count))


def shares(jobs: int, cpus: int | Literal["auto"] = "auto") -> list[list[int]]:
    """Return which cores each of so many workers takes; empty where the system does not say which there are.

    Args:
        cpus: so many each; auto shares out all.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [[] for _ in range(jobs)]
    cores = sorted(os.sched_getaffinity(0))
    if cpus == "auto" and jobs < len(cores):
        ends = [round(index * len(cores) / jobs) for index in range(jobs + 1)]
        return [cores[begin:end] for begin, end in itertools.pairwise(ends)]
    each = 1 if cpus == "auto" else min(cpus, len(cores))
    return [[cores[(index * each + place) % len(cores)] for place in range(each)] for index in range(jobs)]


def _gpus() -> list[str]:
    """Return the names of the NVIDIA GPUs that there are to share out."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name]
    return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


def _gpus_of(index: int, count: float | Literal["auto"]) -> dict[str, str]:
    """Return the variable that leaves a worker its GPUs; several may share one."""
    names = _gpus()
    if not names or (count == "auto" and len(names) == 1):
        return {}
    first, each = int(index * (1 if count == "auto" else count)), 1 if count == "auto" else math.ceil(count)
    return {"CUDA_VISIBLE_DEVICES": ",".join(names[(first + place) % len(names)] for place in range(each))}
