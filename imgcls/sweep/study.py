"""What has been tried and what comes next: Optuna's search over its storage (Akiba et al., 2019).

The only module that knows Optuna. One process asks and tells; the trials run elsewhere. What is asked for depends on
the seed, the number of the trial and what has been told before, on nothing that lives in memory: a sweep that was
killed goes on as if it had not been.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from imgcls.errors import RunError, SpecError
from imgcls.randomness import derive_seed
from imgcls.spec.sweep import OBJECTIVES, ParameterSpec, SweepSpec
from imgcls.wording import first_line

__all__ = ["Study", "Trial"]

_PLAN = "plan"  # the key of what the study says of its points
_STATES = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "unfinished",
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Trial:
    """A point that was tried, or is to be.

    Attributes:
        number: counts from 0.
        point: parameter → value.
        state: waiting, unfinished, completed, pruned or failed.
        values: the objectives, of a completed one.
        reached: epoch → the objective after it, as far as that was watched.
        facts: what else was noted of it: its folder, seed, message.
    """

    number: int
    point: dict[str, Any]
    state: str
    values: tuple[float, ...] = ()
    reached: Mapping[int, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Study:
    """The trials of a sweep, in a database.

    Args:
        url: of the database, as SQLAlchemy writes it.
        name: of the study in it.
        epochs: at most of a trial, which pruning goes by.
        jobs: trials at a time.

    Raises:
        RunError: the database cannot be opened.
        SpecError: it has a study of that name with other parameters or objectives.
    """

    def __init__(self, url: str, name: str, sweep: SweepSpec, *, epochs: int, jobs: int = 1) -> None:
        self.sweep, self._jobs = sweep, jobs
        self._spaces = {key: _distribution(each) for key, each in sweep.parameters.items()}
        with _database(url):
            self._study = optuna.create_study(
                storage=url,
                study_name=name,
                directions=[OBJECTIVES[each] for each in sweep.objective],
                pruner=_pruner(sweep, epochs),
                load_if_exists=True,
            )
            self._plan(name)

    def _plan(self, name: str) -> None:
        """Queue the points of a finite space, unless another process has; refuse a study of something else."""
        description = json.dumps(
            {"objective": self.sweep.objective, "parameters": {key: repr(each) for key, each in self._spaces.items()}}
        )
        known = self._study.user_attrs.get(_PLAN)
        if known not in (None, description):
            raise SpecError(f"the database has a study {name} of other parameters or objectives; give another name")
        points = list(self.sweep.planned())
        there = len(self._study.get_trials(deepcopy=False))
        for point in points[there:] if known is None else ():
            self._study.enqueue_trial({key: _stored(self.sweep.parameters[key], value) for key, value in point.items()})
        self._study.set_user_attr(_PLAN, description)

    def ask(self) -> Trial | None:
        """Return the next point; None where there is none left."""
        trials = self._study.get_trials(deepcopy=False)
        asked = sum(trial.state != TrialState.WAITING for trial in trials)
        if asked >= self.sweep.trial_count:
            return None
        self._study.sampler = _sampler(self.sweep, derive_seed(self.sweep.seed, f"trial/{asked}", bits=32), self._jobs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            trial = self._study.ask(self._spaces)
        return self._trial(trial.number)

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Note the objective after an epoch; return whether the trial has fallen behind and is to be given up."""
        trial = optuna.trial.Trial(self._study, self._frozen(number)._trial_id)  # noqa: SLF001 - Optuna has no other way
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a trial begun anew reports its epochs again
            trial.report(value, epoch)
        assert self.sweep.prune is not None
        return epoch > self.sweep.prune.warmup_epochs and bool(trial.should_prune())  # NumPy's, of some

    def note(self, number: int, **facts: Any) -> None:
        """Note facts of a trial, which must be JSON."""
        trial_id = self._frozen(number)._trial_id  # noqa: SLF001
        for key, value in facts.items():
            self._study._storage.set_trial_user_attr(trial_id, key, value)  # noqa: SLF001

    def complete(self, number: int, values: Sequence[float]) -> None:
        """Note the objectives of a trial that is done."""
        self._study.tell(number, list(values))

    def give_up(self, number: int, state: str) -> None:
        """Note that a trial was ``pruned`` or has ``failed``."""
        self._study.tell(number, state={"pruned": TrialState.PRUNED, "failed": TrialState.FAIL}[state])

    @property
    def trials(self) -> list[Trial]:
        """All trials, in the order of their numbers."""
        return [self._converted(trial) for trial in self._study.get_trials(deepcopy=False)]

    @property
    def best(self) -> list[Trial]:
        """The completed trials that none is better than: one, or of several objectives the Pareto front."""
        if not any(trial.state == "completed" for trial in self.trials):
            return []
        found = self._study.best_trials if len(self.sweep.objective) > 1 else [self._study.best_trial]
        return [self._converted(trial) for trial in found]

    def close(self) -> None:
        """Let go of the database."""
        self._study._storage.remove_session()  # noqa: SLF001

    def _trial(self, number: int) -> Trial:
        return self._converted(self._frozen(number))

    def _frozen(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]

    def _converted(self, trial: FrozenTrial) -> Trial:
        params = trial.params or trial.system_attrs.get("fixed_params", {})
        point = {key: _restored(each, params[key]) for key, each in self.sweep.parameters.items() if key in params}
        reached = dict(sorted(trial.intermediate_values.items()))
        values = tuple(trial.values or ()) if trial.state == TrialState.COMPLETE else ()
        return Trial(trial.number, point, _STATES[trial.state], values, reached, dict(trial.user_attrs))


def _distribution(parameter: ParameterSpec) -> BaseDistribution:
    if parameter.values is not None:
        return CategoricalDistribution(_choices(parameter))
    low, high = parameter.low, parameter.high
    assert low is not None
    assert high is not None
    if parameter.is_whole:
        return IntDistribution(int(low), int(high), log=parameter.log, step=int(parameter.step or 1))
    step = None if parameter.step is None else float(parameter.step)
    return FloatDistribution(float(low), float(high), log=parameter.log, step=step)


def _choices(parameter: ParameterSpec) -> list[Any]:
    """Return the values as Optuna stores them, which tells them apart by ``==``: as JSON, where that would not do."""
    values = list(parameter.values or ())
    are_scalars = all(value is None or isinstance(value, bool | int | float | str) for value in values)
    return values if are_scalars and len(set(values)) == len(values) else [json.dumps(value) for value in values]


def _stored(parameter: ParameterSpec, value: Any) -> Any:
    if parameter.values is None:
        return value
    same = (place for place, each in enumerate(parameter.values) if type(each) is type(value) and each == value)
    return _choices(parameter)[next(same)]


def _restored(parameter: ParameterSpec, value: Any) -> Any:
    """Return a value as the sweep's file has it; one from a range without steps to six digits."""
    if parameter.values is not None:
        return parameter.values[_choices(parameter).index(value)]
    return value if parameter.is_whole or parameter.step is not None else float(f"{value:.6g}")


def _sampler(sweep: SweepSpec, seed: int, jobs: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if sweep.method == "tpe":
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=jobs > 1)
        if sweep.method == "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed)
        if sweep.method == "qmc":
            return optuna.samplers.QMCSampler(seed=sweep.seed, scramble=True)  # one sequence, whose place is stored
        return optuna.samplers.RandomSampler(seed=seed)


def _pruner(sweep: SweepSpec, epochs: int) -> optuna.pruners.BasePruner:
    if sweep.prune is None:
        return optuna.pruners.NopPruner()
    if sweep.prune.method == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)
    return optuna.pruners.MedianPruner(
        n_startup_trials=sweep.prune.startup_trials, n_warmup_steps=sweep.prune.warmup_epochs
    )


@contextmanager
def _database(url: str) -> Iterator[None]:
    import sqlalchemy.exc

    try:
        yield
    except ImportError as error:
        raise RunError(f"the database {url} needs a driver that is not installed: {first_line(error)}") from error
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise RunError(f"cannot open the database {url}: {first_line(error)}") from error
