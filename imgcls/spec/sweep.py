"""A sweep: a base spec, what varies in it, how the points are chosen, and what a good one is."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from imgcls.randomness import generator
from imgcls.spec.fields import Count, Flag, Label, Natural, Record, accepts, fault, mapping, shorthand
from imgcls.spec.spec import Name

__all__ = ["COLUMNS", "FACTS", "OBJECTIVES", "PLACE", "WATCHED", "ParameterSpec", "PruneSpec", "SweepSpec", "many"]

Objective = Literal[
    "val_accuracy", "val_balanced_accuracy", "val_macro_f1", "val_weighted_f1", "val_cohen_kappa", "val_mcc",
    "val_top5_accuracy", "val_loss", "val_ece", "seconds", "total_params", "trainable_params",
]  # fmt: skip
_LESS_IS_BETTER = ("val_loss", "val_ece", "seconds", "total_params", "trainable_params")
OBJECTIVES: dict[str, Literal["maximize", "minimize"]] = {
    name: "minimize" if name in _LESS_IS_BETTER else "maximize" for name in get_args(Objective)
}
"""What a sweep can look for: figures of the validation part, and what a network costs."""

WATCHED = ("val_accuracy", "val_loss")
"""The objectives that are known after each epoch, by which a trial can be pruned."""

PLACE = ("trial", "folder", "state")
FACTS = ("seed", "epochs_run", "best_epoch", "seconds", "total_params", "message")
COLUMNS = (*PLACE, "sd", *FACTS)
"""What the table of trials has beside parameters and objectives: which one it is, and what is known of it."""

_OWN = ("seed", "name", "notes", "tracking", "repeats", "folds", "reported", "evaluate_on", "data.merge_validation")
_MOST_POINTS = 100_000
_MOST_PARAMETERS = 500
_MOST_SHOWN = 10**15

Number = Annotated[int | float, accepts("a number")]


class ParameterSpec(Record):
    """What varies: a list of values, or a range."""

    keys: Annotated[tuple[Label, ...], Field(strict=False, min_length=1)] | None = None
    """Dotted keys of the base spec that all take the value; by default the parameter's name is the key."""
    values: Annotated[tuple[Any, ...], Field(strict=False, min_length=1)] | None = None
    """The values; a value may be a list or mapping."""
    low: Number | None = None
    """The range's lower end, instead of values; whole numbers where low, high and step are."""
    high: Number | None = None
    """Its upper end."""
    log: Flag = False
    """Whether equal ratios count as equal steps, as for learning rates."""
    step: Number | None = None
    """The distance between values of the range, counted from low; of a grid over whole numbers by default 1."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.values is not None:
            if extra := [key for key in ("low", "high", "log", "step") if key in self.model_fields_set]:
                raise fault("values are all there is: low, high, log and step are of a range", *extra)
            if _has_twins(self.values):
                raise fault("values has a value twice", "values")
            return self
        if self.low is None or self.high is None:
            raise fault("values, or low and high are needed")
        if not self.low < self.high:
            raise fault("low lies below high", "low", "high")
        if self.log and self.low <= 0:
            raise fault("a logarithmic range begins above 0", "low")
        if self.log and self.step is not None:
            raise fault("a logarithmic range has no step", "step", "log")
        if self.step is not None and self.step <= 0:
            raise fault("step is a number above 0", "step")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether the range has whole numbers only."""
        return all(isinstance(each, int) for each in (self.low, self.high, self.step or 1))

    @property
    def choices(self) -> tuple[Any, ...] | None:
        """All values there are, in their order; None where there are too many to list."""
        if self.values is not None:
            return self.values
        assert self.low is not None
        assert self.high is not None
        step = self._grid_step
        if self.count is None or step is None:
            return None
        return tuple(round(self.low + number * step, 12) for number in range(self.count))

    @property
    def count(self) -> int | None:
        """How many values there are; None where they are too many to list."""
        if self.values is not None:
            return len(self.values)
        assert self.low is not None
        assert self.high is not None
        if self._grid_step is None:
            return None
        steps = (self.high - self.low) / self._grid_step  # may be infinite
        return math.floor(steps + 1e-9) + 1 if steps < _MOST_POINTS else None

    @property
    def _grid_step(self) -> float | None:
        return self.step or (1 if self.is_whole else None)

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values that stand for all: each of a list, the two ends of a range."""
        return self.values if self.values is not None else (self.low, self.high)


def _has_twins(values: tuple[Any, ...]) -> bool:
    """Tell whether two values would be written alike; 1, 1.0 and true are not."""
    return len({json.dumps(value, sort_keys=True, default=repr) for value in values}) < len(values)


def many(count: int) -> str:
    """Return ``"144"`` or ``"10,000"``; of a number too long to read, that it is."""
    return f"{count:,}" if count <= _MOST_SHOWN else "more than 10^15"


def _expand_parameter(value: Any) -> Any:
    return {"values": value} if isinstance(value, list | tuple) else value


class PruneSpec(Record):
    """When a trial that falls behind the others is given up."""

    method: Literal["median", "hyperband"]
    """`median`: worse than the median of the others at that epoch; `hyperband`: successive halving, in brackets."""
    warmup_epochs: Natural = 1
    """Epochs that every trial has."""
    startup_trials: Natural = 4
    """Finished trials before the first is given up; of `median`."""


def _expand_prune(value: Any) -> Any:
    if value in (None, "none"):
        return None
    return {"method": value} if isinstance(value, str) else value


def _expand_objective(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class SweepSpec(Record):
    """Many trainings of one spec."""

    base: Annotated[str | dict[str, Any], accepts("the path of a spec file, or a spec")]
    """The experiment: a spec file, relative to this one, or the spec itself."""
    parameters: Annotated[
        dict[
            Annotated[str, Field(min_length=1)],
            Annotated[
                ParameterSpec, shorthand(_expand_parameter, list[Any] | ParameterSpec, "a list of values, or a mapping")
            ],
        ],
        mapping("a mapping of keys to their values"),
        Field(min_length=1, max_length=_MOST_PARAMETERS),
    ]
    """What varies: a dotted key of the base, or a name with `keys` → a list of values, or a range."""
    method: Literal["grid", "random", "qmc", "tpe", "nsga2"] = "grid"
    """How points are chosen: all of them, by chance, evenly (Sobol), or by what the trials so far have shown."""
    trials: Count | None = None
    """How many points; by default all of a grid, otherwise 20."""
    repeats: Count = 1
    """Train each point so often, with seeds that follow on the base's; what counts is the mean."""
    objective: Annotated[
        tuple[Objective, ...],
        Field(strict=False, min_length=1),
        BeforeValidator(_expand_objective, json_schema_input_type=Objective | list[Objective]),
    ] = ("val_accuracy",)
    """What is looked for, on validation images; several give the trade-offs between them (Pareto front)."""
    prune: Annotated[
        PruneSpec | None,
        shorthand(
            _expand_prune,
            Literal["none", "median", "hyperband"] | PruneSpec | None,
            "none, median, hyperband or a mapping",
            optional=True,
        ),
    ] = None
    """Whether trials that fall behind are given up before their last epoch."""
    jobs: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Trials at a time, each in a process of its own that keeps to its share of the cores; auto finds a good number."""
    executor: Literal["local", "ray"] = "local"
    """Where trials are trained: on this machine, or on the nodes of a Ray cluster (`pip install 'imgcls[ray]'`)."""
    address: str = "auto"
    """Of the Ray cluster: `HOST:PORT`, or auto for the one that this machine is a node of."""
    cpus: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Cores that a trial takes; auto shares out all of this machine's, and takes one of a cluster's."""
    gpus: Annotated[float, Field(ge=0, strict=False)] | Literal["auto"] = "auto"
    """GPUs that a trial takes, or the part of one; auto takes one where there are any."""
    seed: Natural = 0
    """What the choice of the points derives from; the trainings' is the base's."""
    final: Flag = False
    """Train the best point on train and validation images together in the end, and measure it once on the test part."""
    storage: str | None = None
    """A database URL for sweeps over several machines; by default a file in the sweep's folder."""
    name: Name | None = None
    """What the sweep is called; by default the file's name."""
    notes: str = ""
    """Free text, kept with the sweep."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.method == "grid" and (endless := [n for n, p in self.parameters.items() if p.count is None]):
            message = f"a grid needs values, or a step; {endless[0]} has a range"
            raise fault(message, f"parameters.{endless[0]}", "method")
        if self.method == "grid" and self.size is not None and self.size > _MOST_POINTS:
            raise fault(f"a grid of {many(self.size)} points; at most {_MOST_POINTS:,} are tried", "parameters")
        if self.method == "random" and self.size is not None and self.trial_count > _MOST_POINTS:
            raise fault(f"at most {_MOST_POINTS:,} points are tried", "trials")
        self._check_names()
        if len(set(self.objective)) < len(self.objective):
            raise fault("objective has a figure twice", "objective")
        if self.prune and (len(self.objective) > 1 or self.objective[0] not in WATCHED):
            raise fault(f"pruning goes by {' or '.join(WATCHED)} after each epoch, as the only objective", "prune")
        if self.method == "nsga2" and len(self.objective) == 1:
            raise fault("nsga2 is for several objectives", "method")
        if self.final and len(self.objective) > 1:
            raise fault("of several objectives none says which point is the best", "final")
        if self.final and self.storage:
            raise fault("final is for a sweep on one machine: several would each measure on the test part", "final")
        return self

    def _check_names(self) -> None:
        """Raise where parameters get in each other's way, or in that of the sweep."""
        seen: set[str] = set()
        for name, parameter in self.parameters.items():
            place = f"parameters.{name}"
            for key in parameter.keys or (name,):
                if key in _OWN:
                    raise fault(f"{key} is set by the sweep itself", place)
                if key in seen:
                    raise fault(f"{key} is set by two parameters", place)
                seen.add(key)
            if name in COLUMNS or name in OBJECTIVES:
                raise fault(
                    f"{name} is a column of the sweep's table; another name with keys: [...] is accepted", place
                )

    @property
    def size(self) -> int | None:
        """How many points there are; None where they cannot be counted."""
        counts = [each.count for each in self.parameters.values()]
        return None if None in counts else math.prod(filter(None, counts))

    @property
    def trial_count(self) -> int:
        """How many points are tried."""
        default = self.size if self.method == "grid" else 20
        wanted = self.trials or default or 20
        return min(wanted, self.size) if self.size is not None and self.method in ("grid", "random") else wanted

    def points(self) -> Iterator[dict[str, Any]]:
        """Give all points of a finite space, the last parameter varying fastest."""
        choices = [each.choices or () for each in self.parameters.values()]
        for values in itertools.product(*choices):
            yield dict(zip(self.parameters, values, strict=True))

    def planned(self) -> Iterator[dict[str, Any]]:
        """Give the points that need no search: a grid in its order, or chance picks of a finite space, none twice."""
        if self.method == "grid":
            yield from itertools.islice(self.points(), self.trial_count)
        elif self.method == "random" and self.size is not None:
            yield from self._picked(self.size)

    def _picked(self, size: int) -> Iterator[dict[str, Any]]:
        rng = generator(self.seed, "points")
        if size <= _MOST_POINTS:
            points = list(self.points())
            yield from (points[place] for place in rng.permutation(size)[: self.trial_count])
            return
        choices = {name: each.choices or () for name, each in self.parameters.items()}
        seen: set[tuple[int, ...]] = set()
        while len(seen) < self.trial_count:  # of so many points two are hardly ever the same
            places = tuple(int(rng.integers(len(values))) for values in choices.values())
            if places not in seen:
                seen.add(places)
                yield {name: values[place] for (name, values), place in zip(choices.items(), places, strict=True)}

    def overrides(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a point sets in the base: dotted key → value."""
        return {key: value for name, value in point.items() for key in (self.parameters[name].keys or (name,))}
