"""From a sweep's YAML file to a checked sweep: the file itself, its base, and every value that is to be tried."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from imgcls.errors import SpecError
from imgcls.settings import plain_text
from imgcls.spec.document import Document, KeyPath, read_document
from imgcls.spec.explaining import Places, explain
from imgcls.spec.extending import moved
from imgcls.spec.loading import NO_FILE, LoadedSpec, legal_name, load_document, load_spec, moved_value, plain
from imgcls.spec.optimization import Plateau
from imgcls.spec.problems import Mark, Problem, spec_error
from imgcls.spec.spec import Spec
from imgcls.spec.sweep import SweepSpec, many
from imgcls.spec.writing import write_yaml
from imgcls.wording import counted

__all__ = ["LoadedSweep", "describe_sweep", "is_sweep", "load_sweep", "sweep_name"]

_CHECKED_POINTS = 500  # a spec is checked in milliseconds; of a larger grid each value is tried, not each combination
_CHECKED_VALUES = 100_000  # of all specs that are checked: a second
_MANY_PROBLEMS = 50


@dataclass(frozen=True)
class LoadedSweep:
    """A checked sweep.

    Attributes:
        sweep: every value in force.
        base: the spec that all trials share, with the overrides.
        text: the YAML as given.
        source: the file, or ``spec`` where there is none.
    """

    sweep: SweepSpec
    base: LoadedSpec
    text: str
    source: str

    @property
    def name(self) -> str:
        """What the sweep is called: its name, else the file's."""
        return self.sweep.name or (legal_name(Path(self.source).stem) if self.source != NO_FILE else "sweep")

    @property
    def held_out(self) -> dict[str, Any]:
        """The setting that leaves the test part shut; of a cross-validation the folds do."""
        return _held_out(self.base)

    def pinned(self, folder: Path) -> str:
        """Return the sweep as YAML that needs no other file and has every value, with paths relative to ``folder``."""
        value = self.sweep.model_dump(mode="json", exclude_none=True, exclude={"base", "name", "parameters"})
        parameters = {
            name: parameter.model_dump(mode="json", exclude_defaults=True)
            for name, parameter in self.sweep.parameters.items()
        }
        base = moved(self.base.value, self.base.base, folder)
        for name, parameter in self.sweep.parameters.items():
            for key in (parameter.keys or (name,)) if parameter.values is not None else ():
                parameters[name]["values"] = [
                    moved_value(key, each, self.base.base, folder) for each in parameters[name]["values"]
                ]
        return write_yaml({"name": self.name, "base": base, "parameters": parameters, **value})


def sweep_name(path: Path) -> str:
    """Return what the sweep of a YAML file is called, whether the rest of it is right or not.

    Raises:
        SpecError: it cannot be read.
    """
    value = read_document(path).value
    name = value.get("name") if isinstance(value, dict) else None
    return str(name or legal_name(path.stem))


def describe_sweep(loaded: LoadedSweep) -> str:
    """Return a sweep in one line: ``144 trials of 144 points (grid), up to 5 epochs each, by val_accuracy``."""
    sweep = loaded.sweep
    epochs = counted(sum(phase.epochs for phase in loaded.base.spec.phases), "epoch")
    points = f" of {many(sweep.size)} points" if sweep.size is not None else ""
    repeats = f", {counted(sweep.repeats, 'repeat')} each" if sweep.repeats > 1 else ""
    trials = counted(sweep.trial_count, "trial")
    return f"{trials}{points} ({sweep.method}), up to {epochs} each{repeats}, by {', '.join(sweep.objective)}"


def is_sweep(path: Path) -> bool:
    """Tell whether a YAML file is a sweep, not a spec; one that cannot be read is none."""
    try:
        value = read_document(path).value
    except SpecError:
        return False
    return isinstance(value, dict) and "parameters" in value and "base" in value


def load_sweep(
    source: Path | str | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    check_points: bool = True,
) -> LoadedSweep:
    """Load and check a sweep, its base, and the base with the values that are to be tried.

    Args:
        source: a YAML file, or the sweep as a mapping.
        overrides: dotted key → value, set in the base, as of ``load_spec``.
        options: key → value, set in the sweep itself: ``{"trials": 10}``.
        check_points: False of a sweep whose points have been checked.

    Raises:
        SpecError: with all problems, each with its place.
    """
    if isinstance(source, Mapping):
        document, folder, text = Document(NO_FILE, plain(source)), Path.cwd(), None
    else:
        document, folder = read_document(Path(source)), Path(source).resolve().parent
        text = Path(source).read_text(encoding="utf-8-sig")
    if not isinstance(document.value, dict):
        raise SpecError(f"{document.source} is no sweep: that is a mapping with base and parameters")
    value = {**document.value, **(options or {})}
    places = Places(document, value, options or {})
    base, problems = _load_base(value.get("base"), document, folder, overrides)
    try:
        sweep = SweepSpec.model_validate(value)
    except ValidationError as error:
        raise spec_error(document.source, [*explain(error, places, SweepSpec), *problems]) from error
    if base is not None and check_points:
        problems = _wrong_points(sweep, base, places)
    if base is None or problems:
        raise spec_error(document.source, problems)
    return LoadedSweep(sweep, base, write_yaml(value) if text is None else text, document.source)


def _load_base(
    given: Any, document: Document, folder: Path, overrides: Mapping[str, Any] | None
) -> tuple[LoadedSpec | None, list[Problem]]:
    """Return the base; or what is wrong with it, where it stands in the sweep's file."""
    try:
        if isinstance(given, dict):
            return load_document(_part(document, "base"), folder, overrides), []
        if not isinstance(given, str):
            return None, []  # the sweep's own check tells
        path = folder / os.path.expanduser(given)  # noqa: PTH111 - Path's raises for an unknown user
        if os.path.isfile(path):  # noqa: PTH113 - Path's raises where a name is too long
            return load_spec(Path(os.path.relpath(path)), overrides), []
        return None, [Problem("base", f"there is no file {path}", document.values.get(("base",)))]
    except SpecError as error:
        if not isinstance(given, dict) or not error.problems:
            raise
        return None, [problem for problem in error.problems if isinstance(problem, Problem)]


def _held_out(base: LoadedSpec) -> dict[str, Any]:
    return {} if base.spec.folds else {"evaluate_on": "validation"}


def _can_be_final(spec: Spec) -> bool:
    """Tell whether a training can do without the validation part that it watches: its epochs are known then."""
    return not spec.folds and not (spec.watches_validation and (spec.stages or isinstance(spec.lr, Plateau)))


def _part(document: Document, key: str) -> Document:
    """Return what stands under a key as a document of its own, whose places are those of the whole."""

    def within(marks: Mapping[KeyPath, Mark]) -> dict[KeyPath, Mark]:
        return {path[1:]: mark for path, mark in marks.items() if path[:1] == (key,)}

    return Document(document.source, document.value[key], within(document.keys), within(document.values))


def _wrong_points(sweep: SweepSpec, base: LoadedSpec, places: Places) -> list[Problem]:
    """Return a problem for each thing that is wrong with the base when values are set in it."""
    found: dict[tuple[str, str], Problem] = {}
    own = {"repeats": sweep.repeats} | _held_out(base)
    weight = 20 + len(base.document.values) + 10 * len(sweep.parameters)
    for point in itertools.islice(_points_to_check(sweep), max(1, _CHECKED_VALUES // weight)):
        if len(found) > _MANY_PROBLEMS or (point is None and found):
            break  # a value that is wrong by itself is wrong in each combination
        if point is None:
            continue
        try:
            spec = base.changed(sweep.overrides(point) | own).spec
            if sweep.final and not _can_be_final(spec):
                message = "folds, or stages or a plateau that watch the validation part: there would be none to watch"
                found.setdefault(("", message), places.problem(("final",), message))
        except SpecError as error:
            for name, message in _blamed(sweep, point, error):
                path = ("parameters", name) if name else ("parameters",)
                found.setdefault((name, message), places.problem(path, message))
    return list(found.values())


def _points_to_check(sweep: SweepSpec) -> Iterator[dict[str, Any] | None]:
    """Give a small space's points; of a larger one each value by itself, then None, then combinations."""
    if sweep.size is not None and sweep.size <= _CHECKED_POINTS:
        yield from sweep.points()
        return
    first = {name: parameter.examples[0] for name, parameter in sweep.parameters.items()}
    for name, parameter in sweep.parameters.items():
        yield from ({**first, name: value} for value in parameter.examples)
    yield None
    yield from itertools.islice(_mixed(sweep), _CHECKED_POINTS)


def _mixed(sweep: SweepSpec) -> Iterator[dict[str, Any]]:
    examples = [parameter.examples for parameter in sweep.parameters.values()]
    return (dict(zip(sweep.parameters, values, strict=True)) for values in itertools.product(*examples))


def _blamed(sweep: SweepSpec, point: Mapping[str, Any], error: SpecError) -> Iterator[tuple[str, str]]:
    """Give for each problem the parameter that brought it, and what is wrong in a sentence."""
    keys = {key: name for name in point for key in sweep.parameters[name].keys or (name,)}
    for problem in error.problems:
        assert isinstance(problem, Problem)
        near = [key for key in keys if _is_within(problem.key, key) or _is_within(key, problem.key)]
        key = max(near, key=len, default="")
        name = keys.get(key, "")
        message = problem.message if key in (name, problem.key) and name else f"{problem.key} {problem.message}"
        shows_value = not name or message.startswith("got ")
        yield name, message if shows_value else f"{plain_text(point[name])}: {message}"


def _is_within(key: str, other: str) -> bool:
    return f"{key}.".startswith(f"{other}.")
