"""All checks, each on its own: one that fails is told and stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from imgcls.diagnosis import installed, machine, places
from imgcls.diagnosis.line import Line
from imgcls.wording import first_line

__all__ = ["CHECKS", "Line", "diagnose"]

CHECKS: dict[str, Callable[[Path, Path | None], Iterator[Line]]] = {
    "versions": installed.versions,
    "requirements": installed.requirements,
    "extras": installed.extras,
    "settings": installed.settings,
    "processor": machine.processor,
    "memory": machine.memory,
    "gpu": machine.gpus,
    "device": machine.device,
    "cache": places.cache,
    "runs": places.runs,
    "weights": places.weights,
    "terminal": places.terminal,
}


def diagnose(runs_dir: Path, cache_dir: Path | None = None) -> list[Line]:
    """Run every check.

    Args:
        runs_dir: where runs are to be written.
        cache_dir: where prepared data is to be kept; by default the user's cache.
    """
    with machine.probing():  # TensorFlow starts in a process of its own while the other checks run
        return [line for topic, check in CHECKS.items() for line in _lines(topic, check, runs_dir, cache_dir)]


def _lines(
    topic: str, check: Callable[[Path, Path | None], Iterator[Line]], runs_dir: Path, cache_dir: Path | None
) -> Iterator[Line]:
    try:
        yield from check(runs_dir, cache_dir)
    except Exception as error:  # noqa: BLE001 - whatever is broken here is what the user wants to know
        yield Line("note", topic, f"could not be looked at: {type(error).__name__}: {first_line(error)}")
