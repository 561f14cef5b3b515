"""The problems of a spec, and how they are shown: all at once, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgcls.errors import SpecError
from imgcls.wording import counted

__all__ = ["Mark", "Problem", "spec_error"]

_MAX_LISTED = 50  # problems; a file that is no spec at all must not fill the terminal
_MAX_KEY, _MAX_MESSAGE = 120, 2_000  # characters; of keys and file names that somebody wrote as long as they like


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
    """Return one error that lists all problems in the order of the file, then those of the files it extends.

    Of very many the message has the first; all are in ``SpecError.problems``.
    """
    ordered = sorted(problems, key=_order)
    listed = [
        (_cut(str(each.mark or each.origin), _MAX_KEY), _cut(each.key, _MAX_KEY), _cut(each.message, _MAX_MESSAGE))
        for each in ordered[:_MAX_LISTED]
    ]
    wide, keys = (max(len(row[column]) for row in listed) for column in (0, 1))
    lines = [f"  {place:<{wide}}  {key:<{keys}}  {message}".rstrip() for place, key, message in listed]
    more = [f"  and {len(ordered) - _MAX_LISTED:,} more"] if len(ordered) > _MAX_LISTED else []
    return SpecError("\n".join([f"{source} has {counted(len(ordered), 'problem')}", *lines, *more]), ordered)


def _cut(text: str, limit: int) -> str:
    """Return text as it can stand in a line, cut in its middle; also a space that is none is shown as what it is."""
    text = text if len(text) <= 2 * limit else text[:limit] + text[-limit:]
    text = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return text if len(text) <= limit else f"{text[: limit // 2 - 1]}..{text[-(limit // 2 - 1) :]}"


def _order(problem: Problem) -> tuple[str, int, int]:
    mark = problem.mark or Mark(0, 0)
    return mark.file, mark.line, mark.column
