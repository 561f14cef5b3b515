"""A spec that lies over another one: ``extends: base.yaml``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imgcls.errors import SpecError
from imgcls.spec.architecture import FORMS, WEIGHTS_WORDS, weights_word
from imgcls.spec.data import BUILT_IN
from imgcls.spec.document import Document, KeyPath, read_document
from imgcls.spec.fields import shown
from imgcls.spec.problems import Mark, Problem, spec_error

__all__ = ["EXTENDS", "Extended", "allow_extends", "extend", "moved"]

EXTENDS = "extends"

_KINDS = {"data": "source", "loss": "name", "lr": "schedule", "normalize": "method", "optimizer": "name"}
_ALIASES = {"focal": "categorical_focal_crossentropy"}
_OF_EVERY_SCHEDULE = ("initial", "warmup_epochs")
_MERGED = ("architecture", "data", "loss", "lr", "normalize", "optimizer")  # mappings that need some of their keys


@dataclass(frozen=True)
class Extended:
    """A spec with what it extends.

    Attributes:
        document: all values, without ``extends``; a place in another file than the spec's own says so.
        bases: the other files, each lying under the one before.
    """

    document: Document
    bases: tuple[str, ...] = ()


def extend(document: Document, folder: Path, above: tuple[Path, ...] = ()) -> Extended:
    """Lay a spec over the one that it extends, and that one over the next.

    Mappings are merged key by key; anything else replaces what is below. So does a mapping that names another kind
    (another optimizer, loss, schedule, data source, normalization, preset or backbone) than the one below, of which
    only stays what fits every kind: a schedule's ``initial`` and ``warmup_epochs``, and of a backbone all but ``cut``,
    a weights file and a ``trainable`` that names a layer. A path in a base is relative to the base's own file, and is
    rewritten to mean the same in the spec's.

    Args:
        document: the spec as it is written.
        folder: what its paths are relative to; absolute, without links.
        above: the spec's file and those that lie over it.

    Raises:
        SpecError: a base cannot be read, is no spec, or extends itself; each problem with its place.
    """
    if not isinstance(document.value, dict) or EXTENDS not in document.value:
        return Extended(document)
    given = document.value[EXTENDS]
    if not isinstance(given, str) or not given.isprintable() or not given:
        raise _refusal(document, f"got {shown(given)}; the path of a spec file is accepted")
    name = os.path.normpath(Path(document.source).parent / given)
    path = Path(os.path.realpath(folder / given))
    if path in above:
        raise _refusal(document, f"{name} extends itself, directly or by way of others")
    try:
        base = extend(read_document(path, name), path.parent, (*above, path))
    except SpecError as error:
        if not error.problems:
            raise _refusal(document, str(error)) from error
        found = [_in_base(problem, name) for problem in error.problems if isinstance(problem, Problem)]
        raise spec_error(document.source, found) from error
    if not isinstance(base.document.value, dict):
        raise _refusal(document, f"{name} is no mapping of keys such as data, resolution, epochs")
    below = replace(base.document, value=moved(base.document.value, path.parent, folder))
    return Extended(_laid_over(document, below), (name, *base.bases))


def allow_extends(schema: dict[str, Any]) -> None:
    """Add ``extends`` to the JSON Schema of a spec: with it, what is missing may stand in the base."""
    properties = schema["properties"]
    whole = {key: properties[key] for key in _MERGED}
    for key, value in whole.items():
        told = {name: value[name] for name in ("description", "default") if name in value}
        properties[key] = {**told, "anyOf": [value, {"type": "object"}]}
    properties[EXTENDS] = {
        "type": "string",
        "description": "A spec file, relative to this one, that this one lies over: mappings are merged key by key, "
        "those of another kind replaced.",
    }
    schema["if"] = {"not": {"required": [EXTENDS]}}
    schema["then"] = {"required": schema.pop("required"), "properties": whole}


def _refusal(document: Document, message: str) -> SpecError:
    return spec_error(document.source, [Problem(EXTENDS, message, document.values.get((EXTENDS,)))])


def _in_base(problem: Problem, name: str) -> Problem:
    """Say that a problem is in the file ``name``, unless it is in one further down."""
    if problem.mark is None:
        return replace(problem, origin=problem.origin or name)
    return problem if problem.mark.file else replace(problem, mark=replace(problem.mark, file=name))


def _laid_over(top: Document, base: Document) -> Document:
    own = {key: value for key, value in top.value.items() if key != EXTENDS}
    left = set(_of_another_kind(own, base.value))
    below = {
        key: {each: item for each, item in value.items() if (key, each) not in left}
        if isinstance(value, dict)
        else value
        for key, value in base.value.items()
    }
    replaced = {*_replaced(own, below), *left}

    def marks(above: Mapping[KeyPath, Mark], below: Mapping[KeyPath, Mark]) -> dict[KeyPath, Mark]:
        kept = {
            path: mark if mark.file else replace(mark, file=base.source)
            for path, mark in below.items()
            if not any(path[:length] in replaced for length in range(1, len(path) + 1))
        }
        return kept | {path: mark for path, mark in above.items() if path[:1] != (EXTENDS,)}

    return Document(top.source, _merged(own, below), marks(top.keys, base.keys), marks(top.values, base.values))


def _merged(own: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: _merged(own[key], below[key]) for key in own if _are_mappings(own[key], below.get(key))}
    return {**below, **own, **both}


def _replaced(own: Mapping[str, Any], below: Mapping[str, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    """Give the paths at which nothing of ``below`` is left."""
    for key in own.keys() & below.keys():
        if _are_mappings(own[key], below[key]):
            yield from _replaced(own[key], below[key], (*above, key))
        else:
            yield (*above, key)


def _are_mappings(own: Any, below: Any) -> bool:
    return isinstance(own, dict) and isinstance(below, dict)


def _of_another_kind(own: Mapping[str, Any], below: Mapping[str, Any]) -> Iterator[KeyPath]:
    """Give the paths in ``below`` that only go with its own kind, where ``own`` names another one."""
    for key in own.keys() & below.keys() & {*_KINDS, "architecture"}:
        if _are_mappings(own[key], below[key]):
            kinds = [_kind(key, each[key]) for each in (own, below)]
            if None not in kinds and kinds[0] != kinds[1]:
                yield from ((key, each) for each in below[key] if not _fits_all(key, each, below[key], kinds))


def _kind(key: str, value: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return what a mapping says it is, such as ``("backbone", "mobilenet")``; None where it leaves that open."""
    if key != "architecture":
        named = value.get(_KINDS[key])
        return None if named is None else (_KINDS[key], _ALIASES.get(named, named) if isinstance(named, str) else named)
    form = next((form for form in FORMS if form in value), None)
    return None if form is None else (form, None if form == "layers" else value[form])


def _fits_all(key: str, setting: str, value: Mapping[str, Any], kinds: Sequence[tuple[str, Any] | None]) -> bool:
    """Tell whether a setting of a mapping means the same in one of another kind."""
    if key == "architecture" and {kind[0] for kind in kinds if kind} == {"backbone"}:
        if setting == "weights":
            return weights_word(value[setting]) in WEIGHTS_WORDS
        return setting != "cut" and not (setting == "trainable" and isinstance(value[setting], dict))
    return key == "lr" and setting in _OF_EVERY_SCHEDULE


def moved(value: Mapping[str, Any], old: Path, new: Path) -> dict[str, Any]:
    """Return a spec, or a part of one, whose paths, relative to the folder ``old``, are relative to ``new``."""
    data, architecture = value.get("data"), value.get("architecture")
    result = dict(value)
    if isinstance(data, str) and data not in BUILT_IN:
        path = _moved_path(data, old, new)
        result["data"] = f"./{path}" if path in BUILT_IN else path
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        result["data"] = {**data, "path": _moved_path(data["path"], old, new)}
    if isinstance(architecture, dict) and isinstance(weights := architecture.get("weights"), str):
        path = weights if weights_word(weights) in WEIGHTS_WORDS else _moved_path(weights, old, new)
        result["architecture"] = {**architecture, "weights": path}
    return result


def _moved_path(path: str, old: Path, new: Path) -> str:
    is_absolute = os.path.isabs(os.path.expanduser(path))  # noqa: PTH111, PTH117 - Path's raises for an unknown user
    return path if is_absolute or old == new else os.path.relpath(old / path, new)
