"""What pydantic finds wrong, as problems that people can read: in their words, at the place where they wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from imgcls.errors import nearest
from imgcls.spec.document import Document, KeyPath
from imgcls.spec.extending import EXTENDS
from imgcls.spec.fields import shown
from imgcls.spec.overrides import key_path
from imgcls.spec.problems import Mark, Problem
from imgcls.spec.spec import Spec

__all__ = ["Places", "explain"]

_EXPLAINED = 200  # problems; the nearest name is looked for among some sixty, and nobody reads that of thousands


class Places:
    """Where each key stands: in the file, or in an override.

    Args:
        document: the spec as it is written.
        value: the same with the overrides.
        overrides: dotted key → value.
    """

    def __init__(self, document: Document, value: Any, overrides: Mapping[str, Any]) -> None:
        self.document = document
        self.value = value
        self.overrides = [key_path(key) for key in overrides]
        self.comparable = [_comparable(each) for each in self.overrides]

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False) -> Problem:
        """Return the problem of the key at ``path``, with its place."""
        key = ".".join(_part(part) for part in path)
        if self.is_overridden(path):
            return Problem(key, message, origin="-s")
        return Problem(key, message, self._mark(path, at_key=at_key))

    def is_overridden(self, path: KeyPath) -> bool:
        """Whether an override set this key, something in it, or what it is in."""
        own = _comparable(path)
        return bool(own) and any(own[: len(each)] == each or each[: len(own)] == own for each in self.comparable)

    def is_given(self, path: KeyPath) -> bool:
        """Whether the key was set at all."""
        node = self.value
        for part in path:
            if isinstance(node, list) and isinstance(part, int) and part < len(node):
                node = node[part]
                continue
            key = str(part)  # a class may be called 0
            if not isinstance(node, dict) or key not in node:
                return False
            node = node[key]
        return True

    def _mark(self, path: KeyPath, *, at_key: bool) -> Mark | None:
        for length in range(len(path), -1, -1):
            places = self.document.keys if at_key and length == len(path) else self.document.values
            if path[:length] in places:
                return places[path[:length]]
        return None

    def written(self, location: Sequence[str | int], *, is_missing: bool) -> KeyPath:
        """Return pydantic's location as the user wrote it: without the names of forms, and of settings left out."""
        path: KeyPath = ()
        node = self.value
        for part in location:
            is_item = isinstance(node, list) and isinstance(part, int) and part < len(node)
            if is_item or (isinstance(node, dict) and part in node):
                node = node[part]
            elif isinstance(node, str) and node == part:
                node = None  # a layer in one word
            else:
                continue
            path = (*path, part)
        return (*path, location[-1]) if is_missing else path

    def origins(self) -> dict[str, str]:
        """Return dotted key → ``line:column``, in another file with its name, or ``-s`` for every key that was set."""
        kept = {
            path: mark
            for path, mark in self.document.keys.items()
            if not any(_comparable(path)[: len(each)] == each for each in self.comparable)
        }
        origins = {".".join(map(str, path)): str(mark) for path, mark in kept.items()}
        return origins | {".".join(map(str, path)): "-s" for path in self.overrides}


def _comparable(path: KeyPath) -> tuple[str, ...]:
    """Return a path without ``layers``, which people may write or leave out."""
    return tuple(str(part) for part in path if part != "layers")


def _part(part: str | int) -> str:
    return shown(part)[1:-1] if isinstance(part, str) and len(part) > 60 else str(part)


def explain(error: ValidationError, places: Places, record: type[BaseModel] = Spec) -> list[Problem]:
    """Return a problem for each thing that pydantic found wrong with what should be such a record."""
    found = error.errors(include_url=False)
    first = [_problem(item, places, record) for item in found[:_EXPLAINED]]
    rest = [places.written(each["loc"], is_missing=False) for each in found[_EXPLAINED:]]
    return first + [places.problem(path, "is not accepted either") for path in rest]


def _problem(item: ErrorDetails, places: Places, record: type[BaseModel]) -> Problem:
    kind, context = item["type"], item.get("ctx", {})
    path = places.written(item["loc"], is_missing=kind == "missing")
    if kind == "extra_forbidden":
        known = _known_keys(item["loc"], record)
        if len(item["loc"]) == 1 and record is Spec:
            known = sorted([*known, EXTENDS])
        hint = _meant(str(path[-1]), known) or "; known are " + ", ".join(known)
        return places.problem(path, f"unknown key{hint}", at_key=True)
    if kind == "missing":
        return places.problem(path, "is required")
    if kind == "fault":
        return places.problem(_involved(path, context["keys"], places), context["message"])
    return places.problem(path, f"got {shown(item['input'])}{_advice(kind, context, item['input'])}")


def _meant(key: str, known: Sequence[str]) -> str:
    """Return what somebody who knows another tool may have meant by a key, or a key that looks like it."""
    meant = _SYNONYMS.get(key, "")
    return f"; did you mean {meant}?" if meant in known else nearest(key, known)


def _involved(path: KeyPath, keys: Sequence[str], places: Places) -> KeyPath:
    """Return which of the keys that do not go together a problem is shown at: an overridden one, else one that is set.

    Pydantic finds the problem at ``path``, the mapping that they are in.
    """
    paths = [(*path, *(int(part) if str(part).isdecimal() else part for part in key_path(key))) for key in keys]
    given = [each for each in paths if places.is_given(each)]
    overridden = [each for each in (*given, *paths) if places.is_overridden(each)]
    return next(iter([*overridden, *given]), path)


def _advice(kind: str, context: Mapping[str, Any], value: Any) -> str:
    if "accepted" in context:
        return f"; {context['accepted']} is accepted"
    if kind == "literal_error":
        names = [name.strip("'") for name in context["expected"].replace(" or ", ", ").split(", ")]
        hint = nearest(value, names) if isinstance(value, str) else ""
        return hint or f"; accepted are {', '.join(names)}"
    if kind == "too_short":
        return f"; a list of at least {context['min_length']} items is accepted"
    if kind == "too_long":
        return f"; at most {context['max_length']:,} items are accepted"
    return f"; {_ACCEPTED[kind]} is accepted" if kind in _ACCEPTED else "; that is not accepted"


_SYNONYMS = {  # words of Keras, PyTorch and other tools -> keys
    "augment": "augmentation", "batch_size": "batch", "dataset": "data", "height_shift_range": "height_shift",
    "image_shape": "resolution", "image_size": "resolution", "img_size": "resolution", "imgsz": "resolution",
    "input_shape": "resolution", "input_size": "resolution", "kernel_size": "kernel", "learning_rate": "lr",
    "loss_function": "loss", "model": "architecture", "net": "architecture", "network": "architecture",
    "num_epochs": "epochs", "preprocessing": "normalize", "random_seed": "seed", "random_state": "seed",
    "rescale": "normalize", "rotation_range": "rotation", "size": "resolution", "target_size": "resolution",
    "width_shift_range": "width_shift", "zoom_range": "zoom",
}  # fmt: skip

# What pydantic can say of the records' fields; a test holds that its own sentences reach nobody.
_ACCEPTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "model_type": "a mapping",
    "string_type": "text (quote it)",
    "string_unicode": "text of Unicode characters",
    "tuple_type": "a list",
}


def _known_keys(location: Sequence[str | int], record: type[BaseModel]) -> list[str]:
    """Return the keys accepted beside the unknown one at ``location``, by walking the records."""
    candidates: list[Any] = [record]
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
