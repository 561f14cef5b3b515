"""Several faults of one source as one error."""

from __future__ import annotations

from collections.abc import Sequence

from imgcls.errors import DataError
from imgcls.wording import shown

__all__ = ["raise_problems"]


def raise_problems(headline: str, problems: Sequence[str], limit: int = 20) -> None:
    """Raise one DataError that lists the problems, the first ``limit`` of them in full; nothing if there are none."""
    if not problems:
        return
    headline = shown(headline)
    if len(problems) == 1:
        raise DataError(f"{headline}: {shown(problems[0])}")
    more = [f"  and {len(problems) - limit:,} more"] if len(problems) > limit else []
    raise DataError("\n".join([f"{headline}:", *(f"  {shown(problem)}" for problem in problems[:limit]), *more]))
