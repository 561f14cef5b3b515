"""A network made ready to be fitted: optimizer, loss, accuracy, and how many steps are done at once."""

from __future__ import annotations

import keras

from imgcls.backend import jit_compile, many_steps_at_once
from imgcls.spec import Spec
from imgcls.training.assembling import StageParts
from imgcls.training.losses import build_accuracy, build_loss
from imgcls.training.optimizers import RateTable, build_optimizer

__all__ = ["compile_stage", "compile_trainer", "steps_at_once"]

_FLOPS_AT_ONCE = 50_000_000_000  # a fraction of a second: so often is progress shown, and Ctrl-C heard
_MOST_AT_ONCE = 32


def compile_stage(spec: Spec, parts: StageParts) -> RateTable:
    """Make what a stage fits ready for it; return the table that its learning rates are put into."""
    many = many_steps_at_once() and parts.distribution.replicas == 1
    at_once = steps_at_once(parts.flops * spec.batch, parts.feed.steps) if many else 1
    with parts.distribution.scope():
        rates = RateTable(parts.feed.steps)
        compile_trainer(spec, parts.trainer, rates, at_once)
    return rates


def compile_trainer(spec: Spec, trainer: keras.Model, rates: RateTable, at_once: int = 1) -> None:
    """Make a network ready to be fitted as the spec says, with so many steps an execution."""
    trainer.compile(
        optimizer=build_optimizer(spec.optimizer, rates, spec.precision),
        loss=build_loss(spec),
        metrics=[build_accuracy(spec)],
        jit_compile=jit_compile(),
        steps_per_execution=at_once,
    )
    # TensorFlow traces a function twice whose first call makes variables: tracing takes half as long so.
    trainer.optimizer.build(trainer.trainable_variables)


def steps_at_once(flops: int, steps: int) -> int:
    """Return how many steps TensorFlow does by itself before Python hears of them; the result is the same to the bit.

    Going back and forth takes 1.5 ms a step: half of the time of a tiny network, nothing for a large one. (Measured on
    2 cores, medians of 3: 3.0 ms a step alone and 1.4 ms of 4 at once; 32 and 26 ms of 16; 800 and 750 ms of 4.)

    Args:
        flops: of one step.
        steps: in an epoch.
    """
    return max(1, min(_FLOPS_AT_ONCE // max(1, flops), _MOST_AT_ONCE, steps))
