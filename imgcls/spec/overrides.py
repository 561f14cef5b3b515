"""Values set from the command line, ``-s key=value``, on top of a spec as it is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from imgcls.errors import SpecError
from imgcls.spec.architecture import FORMS
from imgcls.spec.document import KeyPath, parse_value
from imgcls.spec.extending import EXTENDS
from imgcls.spec.fields import Record, shown
from imgcls.spec.layers import LAYERS
from imgcls.spec.problems import Problem
from imgcls.spec.spec import SHORTHANDS, Spec
from imgcls.wording import counted

__all__ = ["apply_overrides", "key_path", "parse_overrides"]

_KINDS = ("preset", "name")  # what says which record a default is


def parse_overrides(settings: Iterable[str]) -> dict[str, Any]:
    """Turn ``["lr=1e-3", "data.limit.train=100"]`` into values typed as YAML.

    Raises:
        SpecError: no ``=``, or the value is not YAML.
    """
    result: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise SpecError(f"-s {shown(setting)[1:-1]}: expected KEY=VALUE, for instance -s lr=1e-4")
        result[key.strip()] = parse_value(value)
    return result


def key_path(key: str) -> KeyPath:
    """Return the parts of a dotted key; those that are numbers count from 0 in a list."""
    return tuple(int(part) if re.fullmatch(r"[0-9]{1,6}", part) else part for part in key.split("."))


def apply_overrides(value: dict[str, Any], overrides: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Set dotted keys, opening what is written in short (``optimizer: adam``) or not at all where it is in the way.

    Returns:
        The new mapping (``value`` stays as it is), and a problem for each key that cannot be reached.
    """
    problems = []
    for key, new in overrides.items():
        if key_path(key)[0] == EXTENDS:
            problems.append(Problem(shown(key)[1:-1], "stands in a spec file only", origin="-s"))
            continue
        try:
            value = _with(value, key_path(key), new, ())
        except LookupError as error:
            message = str(error) or "there is nothing of that name to set"
            problems.append(Problem(shown(key)[1:-1], message, origin="-s"))
    return value, problems


def _with(value: Any, parts: KeyPath, new: Any, above: KeyPath) -> Any:
    """Return a copy of ``value``, which lies under the keys ``above``, with ``new`` under ``parts``."""
    if not parts:
        return new
    part, *rest = parts
    value = _opened(value, above, part)
    if isinstance(value, list):
        if part == "layers" and rest:  # `architecture.layers.0`, as resolved values call it
            return _with(value, tuple(rest), new, above)
        if not isinstance(part, int):
            raise LookupError  # noqa: TRY004 - the key is wrong, not a type
        if part >= len(value):
            raise LookupError(_there_are(len(value), "stage" if above == ("stages",) else "item"))
        return [*value[:part], _with(value[part], tuple(rest), new, (*above, part)), *value[part + 1 :]]
    if not isinstance(value, dict):
        raise LookupError  # noqa: TRY004 - the key is wrong, not a type
    if isinstance(part, int) and isinstance(value.get("layers"), list):
        return {**value, "layers": _with(value["layers"], parts, new, above)}
    if above == ("architecture",) and part in FORMS and not rest:  # it leaves the other forms behind
        return {part: new} if part not in value else {**value, part: new}
    return {**value, str(part): _with(value.get(str(part)), tuple(rest), new, (*above, part))}


def _there_are(count: int, what: str) -> str:
    """Return ``there are 3 stages, 0 to 2``."""
    if count < 2:
        return f"there is one {what}, 0" if count else f"there are no {what}s"
    return f"there are {counted(count, what)}, 0 to {count - 1}"


def _opened(value: Any, above: KeyPath, part: str | int) -> Any:
    """Return the mapping or list that ``value`` stands for in short, so that ``part`` of it can be set."""
    if len(above) >= 2 and isinstance(above[-2], int) and above[-1] in LAYERS:
        return _opened_layer(value, LAYERS[str(above[-1])].main, part)
    if isinstance(value, dict | list):
        return value
    if above and isinstance(above[-1], int) and value == part and part in LAYERS:
        return {part: None}  # `- batch_norm`
    if value is None:
        return _missing(above, part)
    if len(above) == 1 and above[0] in SHORTHANDS:
        return _expanded(value, str(above[0]))
    return value


def _missing(above: KeyPath, part: str | int) -> dict[str, Any] | list[Any]:
    """Return what stands for a value that is not written, so that ``part`` of it can be set."""
    if above == ("stages",):
        return []
    return {} if isinstance(part, int) or part in ("backbone", "layers") else _default(above)


def _opened_layer(settings: Any, main: str | None, part: str | int) -> Any:
    if settings is None:
        return {}
    if main is None or isinstance(settings, dict) or (isinstance(settings, list) and isinstance(part, int)):
        return settings
    return {main: settings}


def _default(above: Sequence[str | int]) -> dict[str, Any]:
    """Return what has to be written to get the default of a key: which record it is, all else follows from that."""
    field = Spec.model_fields.get(str(above[0])) if len(above) == 1 else None
    default = field.default if field else None
    if not isinstance(default, Record):
        return {}
    kind = {key: getattr(default, key) for key in _KINDS if hasattr(default, key)}
    return kind | default.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _expanded(value: Any, key: str) -> Any:
    try:
        expanded = SHORTHANDS[key](value)
    except PydanticCustomError as error:
        raise LookupError from error
    return {} if expanded is None else expanded
