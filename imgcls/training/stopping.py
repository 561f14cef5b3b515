"""When to stop and which epoch was best: pure functions over the figures of the epochs so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

from imgcls.spec.optimization import EarlyStoppingSpec, Plateau

__all__ = ["Watch", "improves", "watch_plateau", "watch_stopping"]


@dataclass(frozen=True)
class Watch:
    """What has been seen of one figure.

    Attributes:
        best: its best value; an epoch counts as better only by more than ``min_delta``.
        best_epoch: 0 before the first.
        waited: epochs since then.
    """

    best: float = math.nan
    best_epoch: int = 0
    waited: int = 0


def improves(monitor: str, value: float, best: float, min_delta: float) -> bool:
    """Whether ``value`` is better than ``best`` by more than ``min_delta``; accuracies rise, losses fall."""
    if math.isnan(best):
        return not math.isnan(value)
    return value > best + min_delta if monitor.endswith("accuracy") else value < best - min_delta


def watch_stopping(rule: EarlyStoppingSpec, seen: Watch, epoch: int, value: float) -> tuple[Watch, bool]:
    """Take an epoch's figure in, and tell whether to stop after it: as in Keras, after ``patience`` epochs in vain."""
    if improves(rule.monitor, value, seen.best, rule.min_delta):
        return Watch(value, epoch), False
    seen = Watch(seen.best, seen.best_epoch, seen.waited + 1)
    return seen, seen.waited >= max(rule.patience, 1)


def watch_plateau(rule: Plateau, seen: Watch, epoch: int, value: float) -> tuple[Watch, bool]:
    """Take an epoch's figure in, and tell whether to lower the rate; the waiting begins anew then."""
    if improves(rule.monitor, value, seen.best, rule.min_delta):
        return Watch(value, epoch), False
    waited = seen.waited + 1
    lower = waited >= rule.patience
    return Watch(seen.best, seen.best_epoch, 0 if lower else waited), lower
