"""Workers on the nodes of a Ray cluster (Moritz et al., 2018): an actor a worker, which starts a process beside it.

A node that sees the sweep's folder trains into it, and reads the images where they are. One that does not has both
through Ray's object store: the images as they were prepared, the run folders when they are done.
"""

from __future__ import annotations

import io
import os
import queue
import shutil
import signal
import socket
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from imgcls.data import Dataset, data_path
from imgcls.errors import ImgclsError, RunError
from imgcls.runs.layout import SWEEP_RESOLVED, TENSORBOARD
from imgcls.spec.sweep import SweepSpec
from imgcls.spec.sweeping import LoadedSweep
from imgcls.sweep.pool import GRACE_S, Events
from imgcls.sweep.processes import WorkerProcess
from imgcls.wording import first_line

if TYPE_CHECKING:
    import ray

__all__ = ["Agent", "Cluster", "LoadFor", "unpack"]

LoadFor = Callable[[Mapping[str, Any]], Dataset]
"""What gives the images that a worker asks for."""

_IMAGES, _FILES = "images", "files"  # what travels through the object store, by its key in a message
_NOTICE_S = 10.0  # that Ray takes to notice that a node is gone; before, it would start the next worker there


class Cluster:
    """The nodes of a Ray cluster, as far as they have room for workers.

    Args:
        load_for: gives the images of nodes that do not see them.

    Raises:
        RunError: Ray is not installed, there is no such cluster, or no node has what a trial takes.
    """

    def __init__(self, loaded: LoadedSweep, load_for: LoadFor) -> None:
        if not find_spec("ray"):
            raise RunError("executor: ray is not installed; pip install 'imgcls[ray]' brings it")

        _connect(loaded.sweep.address)
        self._loaded, self._load_for, self._lock = loaded, load_for, threading.Lock()
        self._sent: dict[str, ray.ObjectRef[Dataset]] = {}
        self._takes = _resources(loaded.sweep, loaded.base.spec.device)
        try:
            self.jobs = _job_count(loaded.sweep, self._takes)
        except RunError:
            self.close()
            raise

    def start(self, index: int, folder: Path, events: Events) -> _Remote:
        import ray

        actor = ray.remote(concurrency_groups={"listening": 1}, **self._takes)(Agent)
        path = data_path(self._loaded.base.spec.data, self._loaded.base.base)
        text = (folder / SWEEP_RESOLVED).read_text(encoding="utf-8")
        agent = actor.remote(index, self._takes["num_cpus"], folder, text, path, version("imgcls"))
        return _Remote(index, agent, folder, self._images, events)

    def alone(self) -> Cluster:
        return self

    def close(self) -> None:
        import ray

        ray.shutdown()

    def _images(self, wanted: Mapping[str, Any]) -> ray.ObjectRef[Dataset]:
        """Return the images that a worker asks for, put into the object store once."""
        import ray

        with self._lock:
            dataset = self._load_for(wanted)
            key = f"{dataset.key} {wanted}"
            if key not in self._sent:
                self._sent[key] = ray.put(dataset)
            return self._sent[key]


class _Remote:
    """A worker on a node, spoken to through its agent."""

    def __init__(self, index: int, agent: Any, folder: Path, images: Callable[..., Any], events: Events) -> None:
        self.index, self._agent, self._folder, self._images = index, agent, folder, images
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def _listen(self, events: Events) -> None:
        import ray

        gone: dict[str, Any] = {}
        try:
            said = self._agent.listen.options(num_returns="streaming", concurrency_group="listening")
            for reference in said.remote():
                message = ray.get(reference)
                if _IMAGES in message:
                    self._send_images(message[_IMAGES])
                    continue
                if _FILES in message:
                    unpack(message.pop(_FILES), self._folder)
                if "gone" in message:
                    gone = message
                else:
                    events.put((self, message))
        except (ray.exceptions.RayError, OSError) as error:
            time.sleep(_NOTICE_S)
            gone = {"gone": _reason(error), "is_elsewhere": True}
        events.put((self, gone))

    def _send_images(self, wanted: Mapping[str, Any]) -> None:
        try:
            self._agent.take_images.remote(self._images(wanted))
        except ImgclsError as error:
            self._agent.send.remote({"refused": str(error)})

    def send(self, **message: Any) -> None:
        self._agent.send.remote(message)

    def end(self) -> None:
        self._agent.end.remote()

    def join(self) -> None:
        import ray

        with suppress(ray.exceptions.RayError):  # it is gone
            ray.get(self._agent.join.remote(), timeout=2 * GRACE_S)
        ray.kill(self._agent)


class Agent:
    """On a node: starts a worker process there, and passes on what is said.

    Args:
        index: of the worker.
        cpus: that it takes.
        folder: of the sweep, on the machine that it was started on.
        text: what that machine has in its ``sweep_resolved.yaml``, by which the folder is told to be the same.
        data: where that machine has the images; None for built-in ones.
        wanted: the version of imgcls on that machine.

    Raises:
        RunError: this node has another version.
    """

    def __init__(self, index: int, cpus: float, folder: Path, text: str, data: Path | None, wanted: str) -> None:
        if (found := version("imgcls")) != wanted:
            raise RunError(f"a node has imgcls {found}, the sweep was started with {wanted}")
        self._events: Events = queue.Queue()
        self.scratch = Path(tempfile.mkdtemp(prefix="imgcls-"))
        self._own: Path | None = None
        if not _reads(folder / SWEEP_RESOLVED, text):
            self._own = folder = self.scratch / "sweep"
            folder.mkdir()
            (folder / SWEEP_RESOLVED).write_text(text, encoding="utf-8")
        self._cores = _Cores(int(cpus))
        asks = self._own is not None or (data is not None and not data.exists())
        self._process = WorkerProcess(index, self._cores.taken, folder, None, self._events, asks_for_images=asks)

    def send(self, message: dict[str, Any]) -> None:
        if self._own is not None and "folder" in message:
            message |= {"folder": str(self._own / Path(message["folder"]).name), "cache_dir": None}
        self._process.send(**message)

    def take_images(self, dataset: Dataset) -> None:
        """Leave images for the worker, which maps them into its memory."""
        import joblib

        path = Path(tempfile.mkdtemp(dir=self.scratch)) / "images"
        joblib.dump(dataset, path)
        self._process.send(images=str(path))

    def listen(self) -> Iterator[dict[str, Any]]:
        """Give what the worker says; with the end of a trial also its folder, where the sweep does not see it."""
        message: dict[str, Any] = {}
        while "gone" not in message:
            message = dict(self._events.get()[1])
            if self._own is not None and "end" in message:
                message[_FILES] = _pack(self._own)
            yield message

    def end(self) -> None:
        self._process.end()

    def join(self) -> None:
        self._process.join()
        self._cores.leave()
        shutil.rmtree(self.scratch, ignore_errors=True)


class _Cores:
    """So many of this machine's cores, which no other agent on it takes; none where there are too few left."""

    def __init__(self, count: int) -> None:
        self.taken: list[int] = []
        self._locks: list[FileLock] = []
        for core in sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else ():
            if len(self.taken) == count:
                return
            lock = FileLock(Path(tempfile.gettempdir()) / f"imgcls-core-{os.getuid()}-{core}")
            with suppress(Timeout):
                lock.acquire(timeout=0)
                self.taken.append(core)
                self._locks.append(lock)
        if len(self.taken) < count:
            self.leave()

    def leave(self) -> None:
        """Leave them to others."""
        for lock in self._locks:
            lock.release()
        self.taken, self._locks = [], []


def _connect(address: str) -> None:
    import ray

    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # or `uv run` sends the folder one is in to all nodes
    try:
        _knock(address)
        with _own_signals():
            ray.init(address=address, log_to_driver=False, logging_level="CRITICAL", ignore_reinit_error=True)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError, SystemExit) as error:  # it may exit, if refused
        hint = "ray start --head begins one, ray start --address HOST:PORT adds a node"
        raise RunError(f"no Ray cluster at {address}: {first_line(error)}; {hint}") from error


def _knock(address: str) -> None:
    """Raise OSError or ValueError at once where nobody answers, which Ray takes half a minute for."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise ValueError("HOST:PORT or auto is accepted")
    socket.create_connection((host, int(port)), timeout=10).close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what happens on a signal: Ray sets its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _resources(sweep: SweepSpec, device: str) -> dict[str, float]:
    """Return what a trial takes of a node, as Ray names it."""
    import ray

    gpus = sweep.gpus
    if gpus == "auto":
        gpus = 1 if device != "cpu" and ray.cluster_resources().get("GPU") else 0
    return {"num_cpus": 1 if sweep.cpus == "auto" else sweep.cpus, "num_gpus": gpus}


def _job_count(sweep: SweepSpec, takes: Mapping[str, float]) -> int:
    """Return for how many workers the nodes have room, unless the sweep says."""
    import ray

    if sweep.jobs != "auto":
        return min(sweep.jobs, sweep.trial_count)
    wanted = {"CPU": takes["num_cpus"], "GPU": takes["num_gpus"]}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = sum(int(min(node.get(name, 0) / count for name, count in wanted.items() if count)) for node in nodes)
    if not room:
        asked = " and ".join(f"{count:g} {name}" for name, count in wanted.items() if count)
        raise RunError(f"no node of the Ray cluster has {asked}, which a trial takes")
    return min(room, sweep.trial_count)


def _reads(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except OSError:
        return False


def _pack(folder: Path) -> bytes:
    """Return the run folders in a folder as an archive, and remove them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for each in sorted(path for path in folder.iterdir() if path.is_dir()):
            archive.add(each, each.name)
            shutil.rmtree(each)
            if each.name == TENSORBOARD:
                each.mkdir()  # which tells the next trial that the sweep is described
    return buffer.getvalue()


def unpack(archive: bytes, folder: Path) -> None:
    """Put the run folders of an archive into the sweep's folder, each whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=".received-", dir=folder) as name:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(name, filter="data")
        for each in Path(name).iterdir():
            if each.name == TENSORBOARD and (folder / TENSORBOARD).exists():
                for events in each.iterdir():
                    events.replace(folder / TENSORBOARD / events.name)
            else:
                shutil.rmtree(folder / each.name, ignore_errors=True)  # of an attempt on a node that sees this folder
                each.replace(folder / each.name)


def _reason(error: Exception) -> str:
    """Return why an agent is no more: what stopped it from beginning, or what kind of end Ray says it was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "creation task" in lines[0]:
        return f"no worker can begin on its node: {lines[-1]}"
    return f"its node is gone ({type(error).__name__})" if not isinstance(error, OSError) else first_line(error)
