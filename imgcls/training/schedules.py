"""Learning rates as curves: a pure function from the step to the rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.spec.optimization import Rate

__all__ = ["CURVES", "epoch_rates"]

Steps = NDArray[np.float64]


def epoch_rates(rate: Rate, *, epoch: int, epochs: int, steps_per_epoch: int) -> NDArray[np.float32]:
    """Return the learning rate of every step of an epoch.

    Args:
        rate: with its initial rate known.
        epoch: counts from 1.
        epochs: the most that will be trained.

    Returns:
        float32 (steps_per_epoch,).
    """
    assert rate.initial is not None
    total = epochs * steps_per_epoch
    step = np.arange((epoch - 1) * steps_per_epoch, epoch * steps_per_epoch, dtype=np.float64)
    warmup = min(round(rate.warmup_epochs * steps_per_epoch), total)
    after = CURVES[rate.schedule](rate, np.maximum(step - warmup, 0), total - warmup, steps_per_epoch)
    share = np.where(step < warmup, (step + 1) / (warmup + 1), after)
    return (rate.initial * share).astype(np.float32)


def _constant(_: Any, step: Steps, __: int, ___: int) -> Steps:
    return np.ones_like(step)


def _cosine(rate: Any, step: Steps, total: int, _: int) -> Steps:
    return rate.final + (1 - rate.final) * (1 + np.cos(np.pi * _progress(step, total))) / 2


def _linear(rate: Any, step: Steps, total: int, _: int) -> Steps:
    return 1 - (1 - rate.final) * _progress(step, total)


def _exponential(rate: Any, step: Steps, _: int, steps_per_epoch: int) -> Steps:
    return np.power(rate.factor, step / steps_per_epoch)


def _step(rate: Any, step: Steps, _: int, steps_per_epoch: int) -> Steps:
    return np.power(rate.factor, step // (rate.every * steps_per_epoch))


def _inverse_time(rate: Any, step: Steps, _: int, __: int) -> Steps:
    return 1 / (1 + rate.decay * step)


def _one_cycle(rate: Any, step: Steps, total: int, _: int) -> Steps:
    return np.interp(_progress(step, total), [0, rate.rise, 1], [rate.start, 1, rate.final])


def _progress(step: Steps, total: int) -> Steps:
    """Return 0 at the first step and 1 just after the last."""
    return step / max(total, 1)


CURVES: dict[str, Callable[[Any, Steps, int, int], Steps]] = {
    "constant": _constant,
    "cosine": _cosine,
    "exponential": _exponential,
    "inverse_time": _inverse_time,
    "linear": _linear,
    "one_cycle": _one_cycle,
    "plateau": _constant,  # and lowered between epochs, see loop
    "step": _step,
}
