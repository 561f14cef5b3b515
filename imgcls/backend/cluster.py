"""The processes that train one network together: who they are, and how they meet.

TensorFlow's own start waits for every worker, for an hour and deaf to signals, and what the workers are about to train
is not compared. So they meet before it, at the addresses that TensorFlow is to use: each listens at its own, finds
all others, and tells the first what it is about to train; that one gives the word.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from imgcls.errors import RunError

__all__ = ["Cluster", "Meeting", "find_cluster", "meeting"]

_VARIABLE = "TF_CONFIG"
_EXAMPLE = '{"cluster": {"worker": ["host-a:12345", "host-b:12345"]}, "task": {"type": "worker", "index": 0}}'

_PATIENCE_S = 60.0  # so long may pass until the last worker is started
_PAUSE_S = 0.2
_HELLO_S = 5.0  # a worker says at once who it is; who does not is a stranger
_GO = "go"
_LONGEST = 1 << 20  # bytes of a message: workers say less, strangers may say more


@dataclass(frozen=True)
class Cluster:
    """All workers of a training.

    Attributes:
        addresses: ``host:port`` of each.
        rank: which of them this process is; 0 is the chief, which writes the run folder.
    """

    addresses: tuple[str, ...] = ("",)
    rank: int = 0

    @property
    def others(self) -> tuple[int, ...]:
        """The ranks of all but this process."""
        return tuple(rank for rank in range(len(self.addresses)) if rank != self.rank)

    def name(self, rank: int) -> str:
        """Return a worker as people find it."""
        return f"worker {rank} ({self.addresses[rank]})"


def find_cluster(distribute: str) -> Cluster:
    """Return the workers that TF_CONFIG names; this process alone unless ``distribute`` is ``multi_worker``.

    Raises:
        RunError: TF_CONFIG is missing, or is not what TensorFlow wants.
    """
    if distribute != "multi_worker":
        return Cluster()
    text = os.environ.get(_VARIABLE)
    if not text:
        raise _wrong("is not set")
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _wrong(f"is no JSON ({error})") from error
    return _read(config)


def _read(config: Any) -> Cluster:
    jobs, task = (config.get(key) if isinstance(config, dict) else None for key in ("cluster", "task"))
    if not isinstance(jobs, dict) or not isinstance(task, dict):
        raise _wrong("has no cluster, or no task")
    if unknown := sorted(jobs.keys() - {"chief", "worker"}):
        raise _wrong(f"has the job {unknown[0]}: chief and worker are accepted")
    places = [(job, index) for job in ("chief", "worker") for index, _ in enumerate(_listed(jobs, job))]
    addresses = tuple(_address(jobs[job][index]) for job, index in places)
    if not addresses or len(set(addresses)) < len(addresses):
        raise _wrong("names no worker" if not addresses else "names one address twice")
    try:
        place = (task.get("type"), int(task.get("index", "")))
    except (TypeError, ValueError) as error:
        raise _wrong(f"has the task index {task.get('index')!r}: a whole number is accepted") from error
    if place not in places:
        known = ", ".join(f"{job} {index}" for job, index in places)
        raise _wrong(f"says that this is {place[0]} {place[1]}, and the cluster has {known}")
    return Cluster(addresses, places.index(place))


def _listed(jobs: Mapping[str, Any], job: str) -> list[Any]:
    listed = jobs.get(job, [])
    if not isinstance(listed, list):
        raise _wrong(f"has no list as its {job}")
    return listed


def _address(given: Any) -> str:
    host, _, port = str(given).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise _wrong(f"has the address {given!r}: host:port is accepted")
    return str(given)


def _wrong(what: str) -> RunError:
    return RunError(f"distribute: multi_worker: {_VARIABLE} {what}; for instance {_EXAMPLE}")


@contextmanager
def meeting(cluster: Cluster, patience_s: float = _PATIENCE_S) -> Iterator[Meeting]:
    """Find all workers; until this ends, the addresses are taken by it, and afterwards free for TensorFlow.

    Args:
        cluster: of one worker there is nobody to meet.
        patience_s: how long to look for each.

    Raises:
        RunError: the own address cannot be had, or another worker is not found; names host and port.
    """
    with ExitStack() as sockets:
        yield Meeting(cluster, sockets, patience_s).begun()


class Meeting:
    """The workers, found and not yet at work."""

    def __init__(self, cluster: Cluster, sockets: ExitStack, patience_s: float) -> None:
        self.cluster = cluster
        self.sockets = sockets
        self.patience_s = patience_s
        self.listener: socket.socket | None = None
        self.chief: _Link | None = None  # to it, of all others

    def begun(self) -> Self:
        """Listen at the own address, and find the others."""
        if self.cluster.others:
            self.listener = self.sockets.enter_context(self._listening())
        deadline = time.monotonic() + self.patience_s
        for rank in self.cluster.others:
            connection = self._connected(rank, deadline)
            if rank == 0:
                self.chief = self.sockets.enter_context(_Link(connection))
                self.chief.say(self.cluster.rank)
            else:
                connection.close()
        return self

    def agree(self, plan: Mapping[str, str]) -> None:
        """Wait until all are ready to train, and make sure that they mean the same.

        Args:
            plan: what is to be trained, as name → value; the names are for people.

        Raises:
            RunError: a worker has ended, or has another plan; raised in all of them.
        """
        if self.chief is not None:
            self.chief.say(dict(plan))
            answer = self.chief.hear()
            if answer != _GO:
                raise RunError(answer or f"{self.cluster.name(0)} has ended before the training began")
        elif self.cluster.others:
            self._give_the_word(plan)

    def _give_the_word(self, plan: Mapping[str, str]) -> None:
        there = self._arrived()
        plans = {rank: link.hear() for rank, link in sorted(there.items())}
        fault = next(filter(None, (self._fault(rank, theirs, plan) for rank, theirs in plans.items())), "")
        for link in there.values():
            link.say(fault or _GO)
            link.hear()  # until it is closed there: closed here first, the address would be taken for a while
        if fault:
            raise RunError(fault)

    def _fault(self, rank: int, theirs: Any, plan: Mapping[str, str]) -> str:
        """Say what is wrong with a worker's plan; an empty string where all is well."""
        if not isinstance(theirs, dict):
            return f"{self.cluster.name(rank)} has ended before the training began"
        for name in {**plan, **theirs}:
            own, other = plan.get(name, "not set"), theirs.get(name, "not set")
            if own != other:
                who, chief = self.cluster.name(rank), self.cluster.name(0)
                return f"{who} is to train something else than {chief}: its {name} is {other}, not {own}"
        return ""

    def _arrived(self) -> dict[int, _Link]:
        """Return the links to the others; each is found, so they come, unless they have ended since."""
        assert self.listener is not None
        there: dict[int, _Link] = {}
        deadline = time.monotonic() + self.patience_s
        while missing := [rank for rank in self.cluster.others if rank not in there]:
            self.listener.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                connection, _ = self.listener.accept()
            except TimeoutError as error:
                raise self._absent(missing[0]) from error
            connection.settimeout(_HELLO_S)
            link = self.sockets.enter_context(_Link(connection))
            rank = link.hear()
            if rank in missing:
                there[rank] = link
                connection.settimeout(None)
        return there

    def _listening(self) -> socket.socket:
        own, addresses = self.cluster.rank, self.cluster.addresses
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        place = ("", int(addresses[own].rpartition(":")[2]))
        try:
            return socket.create_server(place, family=family, backlog=2 * len(addresses), dualstack_ipv6=both)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise RunError(f"{self.cluster.name(own)}: cannot listen there: {reason}") from error

    def _connected(self, rank: int, deadline: float) -> socket.socket:
        host, _, port = self.cluster.addresses[rank].rpartition(":")
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                connection = socket.create_connection((host.strip("[]"), int(port)), timeout=left_s)
            except (OSError, UnicodeError):
                time.sleep(_PAUSE_S)
            else:
                connection.settimeout(None)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                return connection
        raise self._absent(rank)

    def _absent(self, rank: int) -> RunError:
        return RunError(f"{self.cluster.name(rank)} did not answer within {self.patience_s:.0f} s: is it started?")


class _Link(AbstractContextManager["_Link"]):
    """A connection that carries messages, a line each."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.lines = connection.makefile("rb")

    def __exit__(self, *_: object) -> None:
        self.lines.close()
        self.connection.close()

    def say(self, message: Any) -> None:
        """Send a message."""
        with suppress(OSError):  # the other has ended: hearing will tell
            self.connection.sendall(json.dumps(message).encode() + b"\n")

    def hear(self) -> Any:
        """Return the next message; None where there is none, or what no worker says."""
        try:
            return json.loads(self.lines.readline(_LONGEST))
        except (OSError, ValueError):
            return None
