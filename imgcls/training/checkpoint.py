"""All that a training needs to go on, to the bit, from where it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from imgcls.checkpoints import Stored
from imgcls.errors import DataError
from imgcls.training.state import TrainingState

__all__ = ["NETWORK", "Checkpoint", "Spent", "Underway", "from_stored", "put_back", "taken"]

NETWORK = "network"  # the group of its variables

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Underway:
    """An epoch that is not at its end.

    Attributes:
        step: how many of its steps are done.
        seconds: that they took.
        logs: its loss and accuracy, where all steps are done and the validation is left.
        first: the optimizer's count of steps when it began; None where an earlier version did not note it.
    """

    step: int
    seconds: float
    logs: dict[str, float] | None = None
    first: int | None = None


@dataclass(frozen=True)
class Spent:
    """Seconds of a training that are in no epoch; attributes as those of ``TrainingResult``."""

    compile_seconds: float = 0.0
    features_seconds: float = 0.0
    input_seconds: float = 0.0


@dataclass(frozen=True)
class Checkpoint:
    """Where a training is.

    Attributes:
        state: after the last whole epoch.
        arrays: what a step changes, and the weights that may be gone back to; by group and place in it.
        underway: what is done of the next epoch.
        phases: seconds of each phase of the run so far.
        on_features: as ``StageParts``; None where an earlier version did not note it.
    """

    state: TrainingState
    arrays: Arrays
    underway: Underway | None = None
    spent: Spent = Spent()
    phases: Mapping[str, float] = field(default_factory=dict)
    on_features: bool | None = None

    @property
    def stored(self) -> Stored:
        """The checkpoint as it goes to the disk."""
        underway = None if self.underway is None else asdict(self.underway)
        record = {"state": asdict(self.state), "underway": underway, "spent": asdict(self.spent)}
        return Stored(record | {"phases": dict(self.phases), "on_features": self.on_features}, self.arrays)

    def group(self, name: str) -> list[NDArray[Any]] | None:
        """Return the arrays of a group in their order; None where it has none."""
        found = [array for key, array in self.arrays.items() if key.rpartition("/")[0] == name]
        return found or None


@dataclass(frozen=True)
class _Record:
    state: TrainingState
    underway: Underway | None
    spent: Spent
    phases: dict[str, float]
    on_features: bool | None = None


def from_stored(stored: Stored) -> Checkpoint:
    """Return the checkpoint that was stored.

    Raises:
        DataError: it is none, or one of another version.
    """
    try:
        record = TypeAdapter(_Record).validate_python(stored.record)
    except ValidationError as error:
        raise DataError("the checkpoint is none that this version of imgcls can read") from error
    return Checkpoint(record.state, stored.arrays, record.underway, record.spent, record.phases, record.on_features)


def taken(groups: Mapping[str, Iterable[Any]]) -> dict[str, NDArray[Any]]:
    """Return the values of variables or arrays, named by group and place."""
    return {
        f"{name}/{place}": np.asarray(keras.ops.convert_to_numpy(each))
        for name, group in groups.items()
        for place, each in enumerate(group)
    }


def put_back(checkpoint: Checkpoint, name: str, variables: Sequence[keras.Variable]) -> None:
    """Give variables the values that they had.

    Raises:
        DataError: they are others.
    """
    values = checkpoint.group(name) or []
    if [tuple(each.shape) for each in variables] != [value.shape for value in values]:
        raise DataError(f"the checkpoint is not of this network: its {name} variables are others")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
