"""Modules of imgcls as processes of their own, which import what this process would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["start_module"]


def start_module(
    name: str, *arguments: str, environment: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[Any]:
    """Start a module as ``python -m`` does, but that no file of the working folder, as ``random.py``, hides a module.

    Args:
        environment: variables on top of this process's.
        options: of ``subprocess.Popen``.

    Raises:
        OSError: the system refuses a process.
    """
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-m", name, *arguments]
    return subprocess.Popen(command, env={**os.environ, **paths, **(environment or {})}, **options)  # noqa: S603 - fixed words
