"""How far a run came, and whether the process that last said so still lives."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

__all__ = ["STATES", "Status", "foreign_host", "is_abandoned", "status_record"]

STATES = ("running", "completed", "failed", "interrupted")


@dataclass(frozen=True)
class Status:
    """How far a run came: ``running``, ``completed``, ``failed`` or ``interrupted``; and why, in words."""

    state: str
    message: str = ""


def status_record(state: str, message: str) -> dict[str, Any]:
    """Return what ``status.json`` is to hold: the state, when it was, and whose process it is."""
    return {
        "state": state,
        "message": message,
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_start": _process_start(os.getpid()),
    }


def is_abandoned(record: Mapping[str, Any]) -> bool:
    """Whether it says that a process of this machine is at the run, and that one is gone.

    Raises:
        KeyError, TypeError, OverflowError: it is no such record.
    """
    return record["state"] == "running" and record["host"] == socket.gethostname() and not _is_alive(record)


def foreign_host(record: Mapping[str, Any]) -> str:
    """Return the machine that wrote the record, where it is another one than this; else an empty string."""
    host = str(record.get("host", ""))
    return "" if host == socket.gethostname() else host


def _is_alive(record: Mapping[str, Any]) -> bool:
    """Whether the process that wrote the record still runs; its start time tells it from a later one of its number."""
    try:
        os.kill(record["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _process_start(record["pid"]) == record.get("process_start")


def _process_start(pid: int) -> str:
    """Return the process's start time as the system tells it, or an empty string where it does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
