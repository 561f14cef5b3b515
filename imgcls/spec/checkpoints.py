"""When a training is kept so that it can go on."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from imgcls.spec.fields import Record, accepts

__all__ = ["CheckpointSpec", "expand_checkpoint"]


class CheckpointSpec(Record):
    """Checkpoints are made after epochs, and within one that lasts; they take at most 2 % of the time."""

    minutes: Annotated[float, Field(gt=0, le=1e6), accepts("a number above 0")] = 5.0
    """Within an epoch one is made so often."""


def expand_checkpoint(value: Any) -> Any:
    """Turn ``none`` into nothing."""
    return None if value == "none" else value
