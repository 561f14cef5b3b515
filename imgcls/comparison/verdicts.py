"""Whether runs differ by more than chance, in figures and in words."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from imgcls.comparison.answers import Answers, read_answers
from imgcls.comparison.comparability import result_notes, time_notes
from imgcls.comparison.sides import Side, damage_of
from imgcls.comparison.significance import (
    LEVEL,
    Difference,
    holm,
    of_folds,
    of_images,
    of_repeats,
    of_run_and_repeats,
    rank_ranges,
)
from imgcls.runs.layout import TIME
from imgcls.wording import counted, some

__all__ = ["Pair", "Verdict", "damage_notes", "judge", "short_names"]

MAX_PAIRS = 6  # that people are told of one by one: those of four runs
MANY = 10  # times: a fraction of it is of no interest
SAME_TIME = 0.05  # times that differ by less are called the same


@dataclass(frozen=True)
class Pair:
    """Two sides held against each other by accuracy.

    Attributes:
        first: which of the sides, counted from 0.
        second: which other.
        difference: of the second to the first; its interval and its p-value are those of this pair alone.
        p_corrected: its p-value, corrected for there being several pairs.
        p_seeds_corrected: the same of other seeds too.
        is_told_apart: whether the difference is more than chance, other seeds included.
        time_ratio: how many times the first's training time the second took; None where times are not comparable.
        text: what it comes to.
    """

    first: int
    second: int
    difference: Difference
    p_corrected: float
    p_seeds_corrected: float
    is_told_apart: bool
    time_ratio: float | None
    text: str

    @property
    def better(self) -> int:
        """Which side is ahead."""
        return self.second if self.difference.value > 0 else self.first


@dataclass(frozen=True)
class Verdict:
    """What a comparison comes to.

    Attributes:
        text: in words; empty where nothing could be tested.
        pairs: each tested pair.
        ranks: of each side from which to which rank it may be, 1 the best; None where it could not be tested.
    """

    text: str = ""
    pairs: tuple[Pair, ...] = ()
    ranks: tuple[tuple[int, int] | None, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What people read: the text, and of few runs each pair."""
        told = tuple(pair.text for pair in self.pairs) if len(self.pairs) <= MAX_PAIRS else ()
        return tuple(dict.fromkeys(filter(None, (self.text, *told))))


def judge(sides: Sequence[Side]) -> Verdict:
    """Test all pairs of sides that can be compared: on the same test images, with what is needed to test them."""
    names = short_names([side.name for side in sides])
    read = functools.cache(lambda index: read_answers(sides[index].members))
    finished = [index for index, side in enumerate(sides) if "accuracy" in side.metrics]
    comparable, timed = (_alike(sides, finished, differ) for differ in (result_notes, time_notes))
    tested = [
        (first, second, difference)
        for first, second in combinations(finished, 2)
        if comparable[first] == comparable[second]
        and (difference := _difference(sides, read, first, second)) is not None
    ]
    corrected = holm([difference.p for *_, difference in tested])
    with_seeds = holm([difference.p_seeds for *_, difference in tested])
    pairs = []
    for (first, second, difference), p, p_seeds in zip(tested, corrected, with_seeds, strict=True):
        ratio = _time_ratio(sides[first], sides[second]) if timed[first] == timed[second] else None
        pair = Pair(first, second, difference, p, p_seeds, p_seeds < LEVEL, ratio, "")
        pairs.append(replace(pair, text=_told(pair, names, sides)))
    ranks = _ranks(len(sides), pairs)
    return Verdict(_summary(names, pairs, ranks), tuple(pairs), ranks)


def _alike(
    sides: Sequence[Side], indices: Sequence[int], differ: Callable[[Sequence[Side]], Sequence[str]]
) -> dict[int, int]:
    """Return index → the first of the sides that ``differ`` finds nothing to say about beside it."""
    found: dict[int, int] = {}
    for index in indices:
        firsts = dict.fromkeys(found.values())
        found[index] = next((first for first in firsts if not differ([sides[first], sides[index]])), index)
    return found


def _time_ratio(first: Side, second: Side) -> float | None:
    ours, theirs = (side.timings.get("train_seconds") for side in (first, second))
    return theirs / ours if ours and theirs else None


def _difference(
    sides: Sequence[Side], read: Callable[[int], Answers | None], first: int, second: int
) -> Difference | None:
    """Test the pair as what it is: two runs, two experiments of several, or one of each."""
    ours, theirs = sides[first], sides[second]
    if ours.overlap and theirs.overlap:
        shared = [name for name in ours.accuracies if name in theirs.accuracies]
        known_folds, other_folds = ([side.accuracies[name] for name in shared] for side in (ours, theirs))
        return of_folds(known_folds, other_folds, min(ours.overlap, theirs.overlap))
    known, others = read(first), read(second)
    if known is None or others is None or known.right.shape[1] != others.right.shape[1]:
        return None
    if ours.repeats is None and theirs.repeats is None:
        return of_images(known.right[0], others.right[0], known.groups)
    if ours.repeats is None:
        return of_run_and_repeats(known.right[0], others.right, known.groups)
    if theirs.repeats is None:
        found = of_run_and_repeats(others.right[0], known.right, known.groups)
        return found and found.turned
    return of_repeats(known.right, others.right, known.groups)


def _told(pair: Pair, names: Sequence[str], sides: Sequence[Side]) -> str:
    """Say what a pair comes to, the better side first."""
    is_second = pair.better == pair.second
    ahead, behind = (pair.second, pair.first) if is_second else (pair.first, pair.second)
    lead = pair.difference if is_second else pair.difference.turned
    by = f"{_points(abs(lead.value))} points"
    if pair.is_told_apart:
        figures = f"95 % {_points(lead.low_seeds)} to {_points(lead.high_seeds)}, {_p(pair.p_seeds_corrected)}"
        cost = _cost(pair.time_ratio, inverse=not is_second)
        return f"{names[ahead]} is better than {names[behind]} by {by} ({figures}){cost}"
    figures = f"95 % {_points(lead.low)} to {_points(lead.high)}, {_p(pair.p_corrected)}"
    if pair.p_corrected < LEVEL:
        return (
            f"the network of {names[ahead]} is better than that of {names[behind]} by {by} ({figures}), but another "
            "seed may do as much: repeats would tell whether its settings are"
        )
    shown = _what_was_there(sides[pair.first], sides[pair.second])
    if not lead.value:
        return f"no difference between {names[pair.first]} and {names[pair.second]} that {shown} could show ({figures})"
    needed = ""
    if lead.needed is not None:
        needed = f"; it would take about {_rounded(lead.needed):,} to see one of this size"
    return f"no difference that {shown} could show ({names[ahead]} is {by} ahead of {names[behind]}, {figures}){needed}"


def _what_was_there(first: Side, second: Side) -> str:
    images = f"these {first.metrics['n']:,} images"
    if first.repeats is None and second.repeats is None:
        return images
    counts = [1 if side.repeats is None else side.finished or 0 for side in (first, second)]
    return f"these {counts[0]} and {counts[1]} runs" + ("" if first.overlap else f" on {images}")


def _cost(ratio: float | None, *, inverse: bool) -> str:
    if ratio is None:
        return ""
    ratio = 1 / ratio if inverse else ratio
    if abs(ratio - 1) < SAME_TIME:
        return ", in the same training time"
    times = f"{ratio:,.0f}" if ratio >= MANY else f"{ratio:.2g}"
    return f", at {times} times the training time"


def _points(share: float) -> str:
    return f"{100 * share:.1f}".replace("-0.0", "0.0")


def _p(value: float) -> str:
    return "p < .001" if value < 0.001 else f"p = {value:.3f}".replace("0.", ".", 1)


def _rounded(count: int) -> int:
    """Return a count to two digits, upwards: more than that an estimate does not have."""
    unit = 10 ** max(len(str(count)) - 2, 0)
    return -(-count // unit) * unit


def _ranks(count: int, pairs: Sequence[Pair]) -> tuple[tuple[int, int] | None, ...]:
    """Return the ranks of the tested sides; none where some were not tested against each other: there is no order."""
    seen = Counter(index for pair in pairs for index in (pair.first, pair.second))
    tested = [index for index in range(count) if seen[index]]
    if len(pairs) != len(tested) * (len(tested) - 1) // 2:
        return (None,) * count
    better = {
        (tested.index(pair.better), tested.index(pair.first + pair.second - pair.better))
        for pair in pairs
        if pair.is_told_apart
    }
    found: Mapping[int, tuple[int, int]] = dict(zip(tested, rank_ranges(len(tested), better), strict=True))
    return tuple(found.get(index) for index in range(count))


def _summary(names: Sequence[str], pairs: Sequence[Pair], ranks: Sequence[tuple[int, int] | None]) -> str:
    if len(pairs) < 2:
        return pairs[0].text if pairs else ""
    known = {index: rank for index, rank in enumerate(ranks) if rank is not None}
    if not known:
        return f"{sum(pair.is_told_apart for pair in pairs)} of {len(pairs)} pairs differ by more than chance"
    first = [index for index, (low, _) in known.items() if low == 1]
    if len(first) == 1:
        return f"{names[first[0]]} is the best of {len(known)}"
    if len(first) == len(known):
        return f"no difference among {counted(len(known), 'run')} that can be told from chance"
    behind = [names[index] for index in known if index not in first]
    are = "is" if len(behind) == 1 else "are"
    ahead = some([names[index] for index in first], 5)
    return f"{ahead} can each be the best of {len(known)}; behind them {are} {some(behind, 5)}"


def short_names(names: Sequence[str]) -> list[str]:
    """Return names of runs without their time, where they can do without."""
    short = [TIME.sub("", name) for name in names]
    return short if len(set(short)) == len(short) else list(names)


def damage_notes(sides: Sequence[Side]) -> list[str]:
    """Say which runs are not tested, as their answers image by image cannot be read."""
    return [
        f"{side.name} is not tested: {damage}"
        for side in sides
        if side.metrics and not side.overlap
        if (damage := next(filter(None, (damage_of(run, lambda run: run.answers) for run in side.members)), ""))
    ]
