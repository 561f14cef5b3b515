"""Every value in force, with where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgcls.settings import flatten
from imgcls.spec.layers import LAYERS
from imgcls.spec.loading import LoadedSpec
from imgcls.spec.spec import Spec
from imgcls.spec.stages import StageSpec

__all__ = ["resolved_values"]

_SHORT = {  # what a single value sets where a mapping could stand: `optimizer: adam` sets its name
    "architecture": ("preset", "backbone"),
    "data": ("source", "path"),
    "early_stopping": ("patience",),
    "loss": ("name",),
    "lr": ("initial",),
    "normalize": ("method",),
    "optimizer": ("name",),
}
_FROM_DATA = ("color", "data.classes", "data.test", "data.train", "data.validation", "resolution")


def resolved_values(loaded: LoadedSpec) -> dict[str, dict[str, Any]]:
    """Return dotted key → its ``value`` and ``origin``.

    An origin is ``file line:column`` (the file may be one that the spec extends), ``-s``, ``default``, ``from the
    data`` or ``file name``. With stages also ``as above``, for what the first stage takes from the top of the spec, and
    ``as in stages.0``, for what a stage takes from the one before, and at the top for what the first has of its own.
    """
    origins = _given(loaded)
    flat = flatten(loaded.spec.completed().model_dump(mode="json", by_alias=True), open_lists=True)
    values = {
        key: {"value": value, "origin": _taken_from(key, loaded.spec) or _origin(key, value, origins)}
        for key, value in flat.items()
        if value is not None or not (key.startswith("stages.") and key.endswith(".trainable"))  # there is no backbone
    }
    if loaded.spec.name is None:
        values["name"] = {"value": loaded.name, "origin": "file name" if loaded.has_file else "default"}
    return values


def _taken_from(key: str, spec: Spec) -> str | None:
    """Return where a value stands that a stage and the part before it share; None where it is the key's own."""
    match key.split("."):
        case ["stages", index, *setting] if spec.stages and setting:
            if not _has_own(spec, int(index), setting):
                return f"as in stages.{int(index) - 1}" if int(index) else "as above"
        case ["architecture", "trainable", *rest] if spec.stages:
            return "as in stages.0" if _has_own(spec, 0, ["trainable", *rest]) else None
        case [name, *rest] if spec.stages and name in StageSpec.model_fields:
            return "as in stages.0" if _has_own(spec, 0, [name, *rest]) else None
    return None


def _has_own(spec: Spec, index: int, setting: Sequence[str]) -> bool:
    """Tell whether a stage sets something itself: a rate also by its optimizer, where none is written so far."""
    stage = spec.stages[index]
    if list(setting) == ["lr", "initial"]:
        before = (spec.lr, *(each.lr for each in spec.stages[:index]))
        is_written = any(rate is not None and rate.initial is not None for rate in before)
        is_new = stage.lr is not None or stage.optimizer is not None
        return (is_new and not is_written) or (stage.lr is not None and stage.lr.initial is not None)
    return getattr(stage, setting[0]) is not None


def _given(loaded: LoadedSpec) -> dict[tuple[str, ...], str]:
    """Return the place of every key that is given; ``LoadedSpec.origins`` has none of what ``-s`` replaced."""
    origins = {
        _as_given(key): place if " " in place else f"{loaded.source} {place}"  # a file that it extends is named
        for key, place in loaded.origins.items()
    }
    set_keys = (*loaded.overrides, *flatten(loaded.overrides, open_lists=True))
    return origins | {_as_given(key): "-s" for key in set_keys}


def _origin(key: str, value: Any, origins: Mapping[tuple[str, ...], str]) -> str:
    parts = _as_given(key)
    given = next((parts[:length] for length in range(len(parts), 0, -1) if parts[:length] in origins), None)
    if given is not None and value is not None:
        rest = parts[len(given) :]
        is_mapping = any(each[: len(given)] == given and len(each) > len(given) for each in origins)
        is_item = all(part.isdecimal() for part in rest)  # of a list; also where nothing is left
        if is_item or (not is_mapping and len(rest) == 1 and rest[0] in _set_by_short(given)):
            return origins[given]
    return "from the data" if value is None and key in _FROM_DATA else "default"


def _as_given(key: str) -> tuple[str, ...]:
    """Return a key's parts without ``layers``, which people leave out: ``architecture.0.conv``."""
    return tuple(part for part in key.split(".") if part != "layers")


def _set_by_short(start: tuple[str, ...]) -> tuple[str, ...]:
    if start[0] == "architecture" and start[-1] in LAYERS:
        return (LAYERS[start[-1]].main or "",)
    return _SHORT.get(".".join(start[2:] if start[0] == "stages" else start), ())
