"""Phases of a training, for instance: train the head, then unfreeze and train on at a lower rate."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from imgcls.spec.architecture import Trainable
from imgcls.spec.fields import Count, Natural, Record
from imgcls.spec.optimization import AnyOptimizer, AnyRate, EarlyStoppingSpec, expand_early_stopping

__all__ = ["StageSpec", "expand_stages"]


def expand_stages(value: Any) -> Any:
    """Turn ``none`` into no stages."""
    return () if value == "none" else value


def _expand_stopping(value: Any) -> Any:
    return value if value == "none" else expand_early_stopping(value)


class StageSpec(Record):
    """A phase of the training; what it leaves out is as in the phase before, in the first as at the top of the spec.

    A phase starts from the weights that the one before ended with (the best, where `restore_best`), with a fresh
    optimizer, its own schedule over its own epochs, and an early stopping that has seen nothing yet.
    """

    epochs: Count | None = None
    """Passes over the training images, at most."""
    lr: AnyRate | None = None
    """The learning rate: a number, or a schedule over this phase; where none is written so far, the optimizer's."""
    optimizer: AnyOptimizer | None = None
    """The optimizer."""
    trainable: Trainable | None = None
    """Which part of the backbone learns."""
    early_stopping: Annotated[
        Literal["none"] | EarlyStoppingSpec | None,
        BeforeValidator(_expand_stopping, json_schema_input_type=Natural | Literal["none"] | EarlyStoppingSpec | None),
    ] = None
    """When to end the phase before its last epoch; `none` switches an earlier rule off."""
