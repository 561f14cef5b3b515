"""What a sweep has come to: the table of its trials, the best ones, what mattered, and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcls.comparison.significance import LEVEL, holm, of_images
from imgcls.comparison.uses import expected_lead
from imgcls.errors import DataError
from imgcls.evaluation.metrics import accuracy_interval
from imgcls.evaluation.pictures import save_figure
from imgcls.evaluation.plots import overlaid_figure
from imgcls.files import write_csv, write_json
from imgcls.runs import Run, layout
from imgcls.runs.layout import trial_name
from imgcls.settings import plain_text
from imgcls.spec.sweep import FACTS, OBJECTIVES, PLACE, WATCHED, SweepSpec
from imgcls.spec.sweeping import LoadedSweep
from imgcls.sweep.effects import Effect, Interaction, Thinned, find_effects, find_interactions, find_thinned, percent
from imgcls.wording import counted, some

if TYPE_CHECKING:
    from imgcls.sweep.study import Trial

__all__ = ["draw_results", "facts_of", "final_settings", "objectives_of", "write_results"]

_SHOWN = 10  # best trials
_JOINT = 3  # pairs of parameters that are named
_ENDED = ("completed", "pruned", "failed")  # states of a trial that was tried


def objectives_of(run: Run, sweep: SweepSpec) -> list[float]:
    """Return what a trial came to; of repeats the means.

    Raises:
        DataError: a figure is not known of its images.
    """
    return [fmean(_figure(member, name) for member in run.members or (run,)) for name in sweep.objective]


def facts_of(run: Run, sweep: SweepSpec) -> dict[str, Any]:
    """Return what else the table has of a completed trial; of repeats means, the seconds of all, and the deviation."""
    members = run.members or (run,)
    first = members[0].metrics
    return {
        "epochs_run": _mean([member.metrics["epochs_run"] for member in members]),
        "best_epoch": _mean([member.metrics["best_epoch"] for member in members]),
        "seconds": sum(member.timings["total"] for member in members),
        "total_params": first["total_params"],
        "n": sum(member.metrics["n"] for member in members) if _are_folds(members) else first["n"],
        **({"sd": stdev(_figure(each, sweep.objective[0]) for each in members)} if len(members) > 1 else {}),
    }


def _are_folds(members: Sequence[Run]) -> bool:
    return members[0].metrics["split"] == "fold"


def _mean(values: Sequence[int]) -> float | int:
    return values[0] if len(values) == 1 else fmean(values)


def _figure(run: Run, name: str) -> float:
    if name == "seconds":  # a worker starts and reads the images once
        phases = run.timings["phases"]
        return float(run.timings["total"] - phases.get("data", 0.0) - phases.get("start_up", 0.0))
    value = run.metrics.get(name.removeprefix("val_"))
    if value is None:
        raise DataError(f"{run.folder} has no {name}: it is not known of these images")
    return float(value)


def write_results(
    folder: Run, loaded: LoadedSweep, trials: Sequence[Trial], best: Sequence[Trial], n: int, *, is_last: bool
) -> None:
    """Write ``sweep.csv``, a row a trial, and ``sweep.json``, what it comes to.

    Args:
        best: none is better than these; one, or of several objectives the trade-offs.
        n: validation images.
        is_last: whether all trials are done; before, what takes long is left out.
    """
    sweep = loaded.sweep
    deviation = ("sd",) if sweep.repeats > 1 else ()
    facts = [name for name in (*deviation, *FACTS) if name not in sweep.objective]
    columns = (*PLACE, *sweep.parameters, *sweep.objective, *facts)
    write_csv(folder.path(layout.SWEEP_CSV), columns, [_row(trial, sweep, facts) for trial in trials])
    done, tried = _completed(trials), [trial for trial in trials if trial.state in _ENDED]
    ranked = _ranked(done, best, sweep)
    found, joint = _effects(done, sweep), _interactions(done, sweep) if is_last else {}
    n, final = done[0].facts.get("n", n) if done else n, _final(folder)
    record = {
        "schema_version": 1,
        "name": loaded.name,
        "method": sweep.method,
        "objective": list(sweep.objective),
        "goal": [OBJECTIVES[name] for name in sweep.objective],
        "repeats": sweep.repeats,
        "planned": sweep.trial_count,
        "states": dict(Counter(trial.state for trial in trials)),
        "split": "validation",
        "n": n,
        "best": [_record(trial, sweep, n) for trial in ranked[:_SHOWN]],
        "effects": {name: [asdict(effect) for effect in each] for name, each in found.items()},
        "interactions": {name: [asdict(pair) for pair in each] for name, each in joint.items()},
        "final": final,
        "verdict": [*_verdict(folder, sweep, ranked, tried, found, joint, n), *_final_text(final, ranked)]
        if is_last
        else [],
    }
    write_json(folder.path(layout.SWEEP_JSON), record)


def _completed(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.state == "completed"]


def draw_results(folder: Run, loaded: LoadedSweep, trials: Sequence[Trial]) -> None:
    """Draw what each parameter does, and all trials; nothing where fewer than two have a result."""
    from imgcls.sweep.pictures import draw_effects, draw_parallel_coordinates, draw_scatter_matrix

    sweep, name = loaded.sweep, loaded.sweep.objective[0]
    done = _completed(trials)
    if len(done) < 2:
        return
    if effects := _effects(done, sweep)[name]:
        draw_effects(folder.path(layout.EFFECTS_PNG), effects, name)
    points, values = [trial.point for trial in done], [trial.values[0] for trial in done]
    maximize = OBJECTIVES[name] == "maximize"
    draw_parallel_coordinates(folder.path(layout.PARALLEL_PNG), points, values, name, maximize=maximize)
    if len(points[0]) > 1:
        draw_scatter_matrix(folder.path(layout.SCATTER_PNG), points, values, name, maximize=maximize)
    watched = name if name in WATCHED else WATCHED[0]
    if curves := [curve for trial in _ranked(done, done, sweep) if (curve := _curve(folder, trial, sweep, watched))]:
        save_figure(overlaid_figure(curves, watched), folder.path(layout.CURVES_PNG))


def _curve(folder: Run, trial: Trial, sweep: SweepSpec, name: str) -> tuple[str, list[float]] | None:
    """Return a trial's point and its figure after each epoch, of repeats and folds the first's; None where not here."""
    run = Run(folder.path(_folder(trial, sweep)))
    first = run.members[0] if run.members else run
    if not first.path(layout.HISTORY).is_file():
        return None
    point = ", ".join(plain_text(value) for value in trial.point.values())
    only = f"{next(iter(trial.point))} " if len(trial.point) == 1 else ""
    return f"{trial.number + 1}: {only}{point}", list(first.history[name])


def final_settings(loaded: LoadedSweep, best: Trial) -> dict[str, Any]:
    """Return what the final training of a trial's point has of its own.

    There are no validation images left to stop by: it lasts as long as the trial did, to its best epoch where that was
    restored.
    """
    settings = {"data.merge_validation": True, "evaluate_on": "auto"}
    rule = loaded.base.changed(loaded.sweep.overrides(best.point)).spec.phases[0].early_stopping
    if rule is not None:
        epochs = best.facts["best_epoch" if rule.restore_best else "epochs_run"]
        settings |= {"early_stopping": None, "epochs": max(1, round(epochs))}
    return settings


def _final(folder: Run) -> dict[str, Any] | None:
    """Return what the final training came to; None where there is none."""
    run = Run(folder.path(layout.FINAL))
    members = [member for member in run.members or (run,) if member.path(layout.METRICS).is_file()]
    if not members:
        return None
    metrics = [member.metrics for member in members]
    known = {key: fmean(each[key] for each in metrics) for key in ("accuracy", "balanced_accuracy", "macro_f1")}
    return known | {"n": metrics[0]["n"], "split": metrics[0]["split"], "repeats": len(members)}


def _final_text(final: Mapping[str, Any] | None, ranked: Sequence[Trial]) -> list[str]:
    if final is None:
        return []
    n, split = final["n"], final["split"]
    low, high = accuracy_interval(round(final["accuracy"] * n), n)
    text = (
        f"final: trial {ranked[0].number + 1}, chosen among {len(ranked)}, trained on validation images too: accuracy "
        f"{final['accuracy']:.4f} on {n:,} {split} images (95 % {low:.4f} to {high:.4f})"
    )
    return [text]


def _row(trial: Trial, sweep: SweepSpec, facts: Sequence[str]) -> list[Any]:
    return [
        trial.number + 1,
        _folder(trial, sweep),
        trial.state,
        *(plain_text(trial.point[name]) if name in trial.point else None for name in sweep.parameters),
        *(trial.values or [None] * len(sweep.objective)),
        *(trial.facts.get(name) for name in facts),
    ]


def _folder(trial: Trial, sweep: SweepSpec) -> str:
    return trial_name(trial.number + 1, sweep.trial_count)


def _ranked(done: Sequence[Trial], best: Sequence[Trial], sweep: SweepSpec) -> list[Trial]:
    """Return the best trials first; of several objectives only those that none is better than."""
    sign = -1 if OBJECTIVES[sweep.objective[0]] == "maximize" else 1
    return sorted(done if len(sweep.objective) == 1 else best, key=lambda trial: (sign * trial.values[0], trial.number))


def _record(trial: Trial, sweep: SweepSpec, n: int) -> dict[str, Any]:
    values: dict[str, Any] = dict(zip(sweep.objective, trial.values, strict=True))
    record: dict[str, Any] = {"trial": trial.number + 1, "folder": _folder(trial, sweep), "point": trial.point}
    record |= values
    if "val_accuracy" in values and sweep.repeats == 1:
        own = trial.facts.get("n", n)
        record["accuracy_ci95"] = accuracy_interval(round(values["val_accuracy"] * own), own)
    known = {key: trial.facts[key] for key in ("sd", "seconds", "epochs_run") if key in trial.facts}
    return known | record


def _effects(done: Sequence[Trial], sweep: SweepSpec) -> dict[str, list[Effect]]:
    points = [trial.point for trial in done]
    return {
        name: find_effects(points, [trial.values[place] for trial in done], maximize=OBJECTIVES[name] == "maximize")
        for place, name in enumerate(sweep.objective)
    }


def _interactions(done: Sequence[Trial], sweep: SweepSpec) -> dict[str, list[Interaction]]:
    points = [trial.point for trial in done]
    return {
        name: find_interactions(points, [trial.values[place] for trial in done])
        for place, name in enumerate(sweep.objective)
    }


def _verdict(
    folder: Run,
    sweep: SweepSpec,
    ranked: Sequence[Trial],
    tried: Sequence[Trial],
    found: Mapping[str, Sequence[Effect]],
    joint: Mapping[str, Sequence[Interaction]],
    n: int,
) -> list[str]:
    """Say in sentences what was found, and what not."""
    if not ranked:
        return []
    thinned = find_thinned([trial.point for trial in tried], [trial.state == "completed" for trial in tried])
    said = [_effects_text(name, effects, thinned) for name, effects in found.items()]
    said += [_joint_text(name, pairs) for name, pairs in joint.items() if pairs]
    said += _without_result_text(tried, thinned)
    if len(sweep.objective) > 1:
        front = f"{counted(len(ranked), 'trial')} of the sweep have no other that is better in every objective"
        return [front, *said]
    return [*said, *_best_text(folder, sweep, ranked, len(tried), n)]


def _effects_text(objective: str, effects: Sequence[Effect], thinned: Sequence[Thinned]) -> str:
    if effects and all(effect.p is None for effect in effects):
        return (
            f"{objective}: {effects[0].parameter}: {_difference(objective, effects[0])}, from too few trials to tell "
            "how much of it is chance: repeats would"
        )
    told = [effect for effect in effects if effect.is_told_apart]
    unknown = {each.parameter for each in thinned}  # what its worst values do is not among these figures
    silent = [effect.parameter for effect in effects if not effect.is_told_apart and effect.parameter not in unknown]
    if not told and not unknown:
        return f"{objective}: no parameter has an effect that these trials could tell from chance"
    said = [_told_text(objective, told)] if told else []
    said += [f"no effect shown of {', '.join(silent)}"] if silent else []
    return f"{objective}: {'; '.join(said) or 'the trials with a result show no effect'}"


def _told_text(objective: str, told: Sequence[Effect]) -> str:
    first, *others = told
    text = f"{first.parameter} matters most ({percent(first.share)} of the variance): {_difference(objective, first)}"
    return text + "".join(
        f"; {each.parameter}: {_difference(objective, each)} ({percent(each.share)})" for each in others
    )


def _without_result_text(tried: Sequence[Trial], thinned: Sequence[Thinned]) -> list[str]:
    """Say which values' effects are not known, as their trials were given up or failed."""
    if not thinned:
        return []
    states = Counter(trial.state for trial in tried if trial.state != "completed")
    counts = " and ".join(f"{count:,} {state}" for state, count in states.items())
    values = some([f"{_count_text(each)} with {each.parameter} {each.label}" for each in thinned], _SHOWN)
    return [f"left out of these effects: {counts} of {len(tried):,} trials, among them {values}"]


def _count_text(value: Thinned) -> str:
    if value.given_up < value.trials:
        return f"{value.given_up:,} of {value.trials:,}"
    return f"all {value.trials:,}" if value.trials > 1 else "the only one"


def _joint_text(objective: str, pairs: Sequence[Interaction]) -> str:
    shown = ", ".join(f"{' and '.join(pair.parameters)} ({percent(pair.share)})" for pair in pairs[:_JOINT])
    return f"{objective}: depend on each other: {shown}"


def _difference(objective: str, effect: Effect) -> str:
    """Return ``adam above sgd by 20.1 points (95 % 18.3 to 21.9)``."""
    best, worst = effect.levels[effect.best].label, effect.levels[effect.worst].label
    is_share = objective.startswith("val_") and objective != "val_loss"
    relation = "above" if OBJECTIVES[objective] == "maximize" else "below"

    def shown(value: float) -> str:
        return f"{100 * value:.1f}" if is_share else f"{value:.3g}"

    text = f"{best} {relation} {worst} by {shown(effect.difference)}{' points' if is_share else ''}"
    if effect.low is None or effect.high is None:
        return text
    return f"{text} (95 % {shown(effect.low)} to {shown(effect.high)})"


def _best_text(folder: Run, sweep: SweepSpec, ranked: Sequence[Trial], tried: int, n: int) -> list[str]:
    """Say how sure it is that the best trial is the best."""
    if sweep.objective[0] != "val_accuracy" or sweep.repeats > 1 or len(ranked) < 2:
        return []
    best = ranked[0]
    lead = 100 * expected_lead(best.values[0], n, tried)
    ties = _told_apart(folder, sweep, best, ranked[1:])
    text = f"trial {best.number + 1} is the best of {len(ranked)} with {best.values[0]:.4f}"
    if ties:
        which = "trial" if len(ties) == 1 else "trials"
        numbers = some([str(trial.number + 1) for trial in ties], _SHOWN)
        text += f"; not told apart from it by these {n:,} images: {which} {numbers}"
    optimism = (
        f"being the best of {tried} makes an accuracy on these {n:,} images look up to {lead:.1f} points better "
        "than it is: measure the chosen one once on the test part"
    )
    return [text, optimism]


def _told_apart(folder: Run, sweep: SweepSpec, best: Trial, others: Sequence[Trial]) -> list[Trial]:
    """Return which of the others McNemar's test does not tell from the best one, corrected for there being several.

    One that was measured on other images, or is not in this folder, is left out: it cannot be held against it.
    """
    paths, right = _answers(folder, best, sweep)
    tested, p_values = [], []
    for trial in others if len(right) else ():
        same, answers = _answers(folder, trial, sweep)
        if same == paths:
            tested.append(trial)
            p_values.append(of_images(answers, right).p_seeds)
    return [trial for trial, p in zip(tested, holm(p_values), strict=True) if p >= LEVEL]


def _answers(folder: Run, trial: Trial, sweep: SweepSpec) -> tuple[list[str], Any]:
    """Return the paths of the measured images, and which were right; of folds all of theirs; none where not known."""
    run = Run(folder.path(_folder(trial, sweep)))
    try:
        answers = sorted(answer for member in run.members or (run,) for answer in member.answers)
    except DataError:
        answers = []
    return [path for path, _ in answers], np.array([right for _, right in answers], np.bool_)
