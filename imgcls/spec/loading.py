"""From a YAML file and ``-s`` overrides to a checked spec; all problems at once."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from imgcls.errors import SpecError, nearest
from imgcls.spec.document import Document, KeyPath, parse_value, read_document, read_text
from imgcls.spec.problems import Mark, Problem, spec_error
from imgcls.spec.spec import SHORTHANDS, Spec, not_yet

__all__ = ["LoadedSpec", "load_spec", "parse_overrides", "spec_yaml"]


@dataclass(frozen=True)
class LoadedSpec:
    """A checked spec and where it came from.

    Attributes:
        spec: every value in force; defaults that depend on the data are still None.
        text: the YAML as given.
        base: the folder that paths in the spec are relative to.
        origins: dotted key → ``line:column`` or ``-s``; what is not there is a default.
    """

    spec: Spec
    text: str
    base: Path
    source: str
    origins: Mapping[str, str]

    @property
    def name(self) -> str:
        """What a run of this spec is called."""
        return self.spec.name or (Path(self.source).stem if self.source != "spec" else "run")


def load_spec(source: Path | str | Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> LoadedSpec:
    """Load and check a spec.

    Args:
        source: a YAML file, or the spec as a mapping (as in a notebook).
        overrides: dotted key → value, applied on top.

    Raises:
        SpecError: with all problems, each with its place.
    """
    if isinstance(source, Mapping):
        text, base = yaml.safe_dump(_plain(source), sort_keys=False), Path.cwd()
        document = read_text(text)
        document = Document("spec", document.value)  # no places: the text is not the user's
    else:
        path = Path(source)
        document, base = read_document(path), path.resolve().parent
        text = path.read_text(encoding="utf-8-sig")
    return _check(document, text, base, overrides or {})


def parse_overrides(settings: Iterable[str]) -> dict[str, Any]:
    """Turn ``["lr=1e-3", "data.limit.train=100"]`` into values typed as YAML.

    Raises:
        SpecError: no ``=``, or the value is not YAML.
    """
    result: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise SpecError(f"-s {setting}: expected KEY=VALUE, for instance -s lr=1e-4")
        result[key.strip()] = parse_value(value)
    return result


def spec_yaml(spec: BaseModel) -> str:
    """Return a record as YAML that reads back as the same record."""
    dumped = spec.model_dump(mode="json", by_alias=True)
    return yaml.dump(
        {key: value for key, value in dumped.items() if value is not None}, Dumper=_Dumper, sort_keys=False
    )


class _Dumper(yaml.SafeDumper):
    """Quotes strings that YAML 1.1 or 1.2 would read as something else, and writes short lists in one line."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _write_float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(value))


_Dumper.add_representer(float, _write_float)


def _check(document: Document, text: str, base: Path, overrides: Mapping[str, Any]) -> LoadedSpec:
    if not isinstance(document.value, dict):
        found = "is empty" if document.value is None else f"is a {_kind(document.value)}"
        raise SpecError(f"{document.source} {found}; a spec is a mapping of keys such as data, resolution, epochs")
    value, problems = _override(document.value, overrides)
    if problems:
        raise spec_error(document.source, problems)
    place = _Places(document, overrides)
    try:
        spec = Spec.model_validate(value)
    except ValidationError as error:
        raise spec_error(document.source, [_problem(item, place) for item in error.errors()]) from error
    missing = [place.problem(tuple(key.split(".")), message) for key, message in not_yet(spec).items()]
    if missing:
        raise spec_error(document.source, missing)
    return LoadedSpec(spec, text, base, document.source, place.origins())


class _Places:
    """Where each key stands: in the file, or in an override."""

    def __init__(self, document: Document, overrides: Mapping[str, Any]) -> None:
        self.document = document
        self.overrides = {_path(key): f"-s {key}" for key in overrides}

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False) -> Problem:
        key = ".".join(map(str, path))
        if any(path[: len(given)] == given or given[: len(path)] == path != () for given in self.overrides):
            return Problem(key, message, origin="-s")
        return Problem(key, message, self._mark(path, at_key=at_key))

    def _mark(self, path: KeyPath, *, at_key: bool) -> Mark | None:
        for length in range(len(path), -1, -1):
            places = self.document.keys if at_key and length == len(path) else self.document.values
            if path[:length] in places:
                return places[path[:length]]
        return None

    def written(self, location: Sequence[str | int]) -> KeyPath:
        """Return the path as the user wrote it: without the names of forms that pydantic adds."""
        path: KeyPath = ()
        for index, part in enumerate(location):
            is_form = isinstance(part, str) and part.startswith("<")
            if is_form or self._is_added((*path, part), location[index + 1 :]):
                continue
            path = (*path, part)
        return path

    def _is_added(self, path: KeyPath, rest: Sequence[str | int]) -> bool:
        """Tell a union's tag from a key: a tag is never in the file, though what follows it is."""
        part = path[-1]
        if path in self.document.keys or any(path == given[: len(path)] for given in self.overrides):
            return False
        parent = path[:-1]
        if part == "layers":
            return bool(rest) and (*parent, rest[0]) in self.document.values
        return parent in (("optimizer",), ("lr",)) and bool(rest)

    def origins(self) -> dict[str, str]:
        kept = {
            path: mark
            for path, mark in self.document.keys.items()
            if not any(path[: len(given)] == given for given in self.overrides)
        }
        origins = {".".join(map(str, path)): str(mark) for path, mark in kept.items()}
        return origins | {".".join(map(str, path)): "-s" for path in self.overrides}


def _override(value: dict[str, Any], overrides: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Set dotted keys, opening a shorthand (``optimizer: adam``) where one stands in the way."""
    result = copy.deepcopy(value)
    problems = []
    for key, new in overrides.items():
        *parents, last = _path(key)
        target: Any = result
        for depth, part in enumerate(parents):
            target = _open(target, part, _shorthand(depth, part))
            if target is None:
                break
        if isinstance(target, dict):
            target[str(last)] = new
        elif isinstance(target, list) and isinstance(last, int) and last < len(target):
            target[last] = new
        else:
            problems.append(Problem(key, "there is nothing of that name to set", origin="-s"))
    return result, problems


def _open(target: Any, part: str | int, expand: Any) -> Any:
    """Return the mapping or list under ``part``, made from a shorthand or new where need be; None if there is none."""
    if isinstance(target, list):
        return target[part] if isinstance(part, int) and part < len(target) else None
    if not isinstance(target, dict):
        return None
    inner = target.get(part)
    if not isinstance(inner, dict | list):
        try:
            inner = {} if inner is None else expand(inner)
        except PydanticCustomError:
            return None
        target[part] = inner
    return inner


def _shorthand(depth: int, part: str | int) -> Any:
    return SHORTHANDS.get(str(part), lambda _: None) if depth == 0 else lambda _: None


def _path(key: str) -> KeyPath:
    return tuple(int(part) if part.isdecimal() else part for part in key.split("."))


def _problem(item: ErrorDetails, place: _Places) -> Problem:
    path = place.written(item["loc"])
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known_keys(item["loc"])
        name = str(path[-1])
        return place.problem(
            path, f"unknown key{nearest(name, known) or '; known are ' + ', '.join(known)}", at_key=True
        )
    if kind == "missing":
        return place.problem(path, "is required")
    got = f"got {_shown(item['input'])}"
    if "accepted" in context:
        return place.problem(path, f"{got}; {context['accepted']} is accepted")
    if kind == "literal_error":
        names = [name.strip("'") for name in context["expected"].replace(" or ", ", ").split(", ")]
        hint = nearest(str(item["input"]), names) if isinstance(item["input"], str) else ""
        return place.problem(path, f"{got}{hint or '; accepted are ' + ', '.join(names)}")
    if isinstance(item["input"], dict) or kind in ("unknown_layer", "unknown_name", "unknown_architecture"):
        return place.problem(path, item["msg"])
    return place.problem(path, f"{got}; {_ACCEPTED.get(kind, item['msg'])}")


_ACCEPTED = {
    "string_type": "text is accepted (quote it)",
    "float_type": "a number is accepted",
    "finite_number": "a finite number is accepted",
    "int_type": "a whole number is accepted",
    "bool_type": "true or false is accepted",
    "tuple_type": "a list is accepted",
    "dict_type": "a mapping is accepted",
    "model_type": "a mapping is accepted",
}


def _known_keys(location: Sequence[str | int]) -> list[str]:
    """Return the keys accepted beside the unknown one at ``location``, by walking the records."""
    candidates: list[Any] = [Spec]
    for part in location[:-1]:
        if isinstance(part, int) or part.startswith("<"):
            continue
        found = [child for model in candidates for child in _children(model, part)]
        candidates = found or candidates
    named = [model for model in candidates if _tag(model) in location] or candidates
    return sorted({field.alias or name for model in named for name, field in model.model_fields.items()} - {"kind"})


def _children(model: Any, part: str) -> list[Any]:
    field = model.model_fields.get(part)
    return [] if field is None else _records_in(field.annotation)


def _records_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [record for argument in get_args(annotation) for record in _records_in(argument)]


def _tag(model: Any) -> Any:
    for key in ("kind", "preset", "name", "schedule"):
        if key in model.model_fields:
            (value, *_) = get_args(model.model_fields[key].annotation) or ("",)
            return f"<{value}>" if key == "preset" else value
    keys = ("backbone", "layers")
    return next((f"<{key}>" for key in keys if key in model.model_fields), None)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _kind(value: Any) -> str:
    return "list" if isinstance(value, list) else "text" if isinstance(value, str) else "single value"


def _plain(value: Any) -> Any:
    """Return mappings, lists and scalars only, so that YAML can hold them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
