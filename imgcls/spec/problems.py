"""The problems of a spec, and how they are shown: all at once, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgcls.errors import SpecError
from imgcls.wording import counted

__all__ = ["Mark", "Problem", "spec_error"]


@dataclass(frozen=True)
class Mark:
    """A place in a file; line and column count from 1. ``file`` is empty for the spec's own."""

    line: int
    column: int
    file: str = ""

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}"
        return f"{self.file} {place}" if self.file else place


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the dotted key, what was got and what is accepted, and the place if it has one."""

    key: str
    message: str
    mark: Mark | None = None
    origin: str = ""  # what stands instead of a place, for instance ``-s``


def spec_error(source: str, problems: Sequence[Problem]) -> SpecError:
    """Return one error that lists all problems in the order of the file, then those of the files it extends."""
    ordered = sorted(problems, key=_order)
    places = [str(problem.mark) if problem.mark else problem.origin for problem in ordered]
    wide = max(map(len, places))
    keys = max(len(problem.key) for problem in ordered)
    lines = [
        f"  {place:<{wide}}  {problem.key:<{keys}}  {problem.message}".rstrip()
        for place, problem in zip(places, ordered, strict=True)
    ]
    return SpecError("\n".join([f"{source} has {counted(len(ordered), 'problem')}", *lines]), ordered)


def _order(problem: Problem) -> tuple[str, int, int]:
    mark = problem.mark or Mark(0, 0)
    return mark.file, mark.line, mark.column
