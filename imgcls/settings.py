"""Settings as flat keys, so that they can be listed and held against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgcls.wording import counted

__all__ = ["align", "choices", "flatten", "plain_text"]

KINDS = ("name", "preset", "schedule", "backbone", "source")  # keys that say what a mapping is: they come first
STAGES = "stages"  # the key of the one list whose parts have no kind: they are opened where all runs have as many
MAIN_SETTINGS = ("filters", "units", "rate", "size", "function", "shape")  # of a layer, in its short form


def align(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Flatten all settings; a list is opened only where all runs have one of the same make there.

    Stages are a list too; where not all runs have as many of them, each is a line: ``stages.0`` → ``2 epochs, ...``.
    """
    flat = [flatten(each) for each in settings]
    if not flat:
        return []
    while True:
        lists = [
            key
            for key in flat[0]
            if all(_is_openable(each.get(key)) for each in flat) and len({_make(key, each[key]) for each in flat}) == 1
        ]
        differing = [key for key in lists if any(each[key] != flat[0][key] for each in flat)]
        if not differing:
            return [_compact_all(each) for each in flat]
        flat = [_open(each, differing) for each in flat]


def flatten(value: Mapping[Any, Any], prefix: str = "", *, open_lists: bool = False) -> dict[str, Any]:
    """Return dotted key → value; lists of parts (layers) stay whole, or are opened too, by index."""
    flat: dict[str, Any] = {}
    for key in sorted(value, key=lambda key: key not in KINDS):  # stable: the rest stays in order
        item = value[key]
        if open_lists and _is_openable(item):
            item = dict(enumerate(item))
        if isinstance(item, Mapping) and item:
            flat |= flatten(item, f"{prefix}{key}.", open_lists=open_lists)
        else:
            flat[f"{prefix}{key}"] = item
    return flat


def choices(keys: Sequence[str]) -> list[str]:
    """Return the keys without those that follow from another: what an optimizer has, where the optimizer differs."""
    kinds = [key for key in keys if "." in key and key.rpartition(".")[2] in KINDS]
    owners = tuple(key.removesuffix(key.rpartition(".")[2]) for key in kinds)
    return [key for key in keys if key in kinds or not key.startswith(owners)]


def _open(flat: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in flat.items():
        if key in keys:
            result |= flatten(dict(enumerate(value)), f"{key}.")
        else:
            result[key] = value
    return result


def _is_openable(value: Any) -> bool:
    """Whether a value is a list of parts (layers), not one of numbers, which is read as a whole."""
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)


def _make(key: str, layers: Sequence[Any]) -> tuple[str, ...]:
    """Return the kinds of a list's parts: lists of the same make are compared part by part."""
    if key == STAGES:
        return ("stage",) * len(layers)
    return tuple(next(iter(item)) if isinstance(item, Mapping) and item else str(item) for item in layers)


def _compact_all(flat: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in flat.items():
        if key == STAGES:
            result |= {f"{key}.{index}": _stage(stage) for index, stage in enumerate(value or ())}
        else:
            result[key] = _compact(key, value)
    return result


def _stage(stage: Mapping[str, Any]) -> str:
    """Turn a stage into one line: ``2 epochs, adam at 0.001 constant, trainable none``."""
    optimizer, rate, stopping = (stage.get(key) or {} for key in ("optimizer", "lr", "early_stopping"))
    parts = [counted(stage["epochs"], "epoch")] if isinstance(stage.get("epochs"), int) else []
    learning = [_of(optimizer, "name"), "at" if rate else "", _of(rate, "initial"), _of(rate, "schedule")]
    parts.append(" ".join(filter(None, learning)))
    if stage.get("trainable") is not None:
        trainable = stage["trainable"]
        layer = f"from {_of(trainable, 'from')}" if isinstance(trainable, Mapping) else plain_text(trainable)
        parts.append(f"trainable {layer}")
    if isinstance(stopping, Mapping) and stopping.get("patience") is not None:
        parts.append(f"patience {stopping['patience']}")
    return ", ".join(filter(None, parts))


def _of(value: Any, key: str) -> str:
    """Return a setting of a mapping as text; empty where it has none, the value itself where it is no mapping."""
    if not isinstance(value, Mapping):
        return plain_text(value)
    return "" if value.get(key) is None else plain_text(value[key])


def _compact(key: str, value: Any) -> Any:
    """Turn a list of layers into one line: ``conv 32, max_pool, flatten, dense 10``."""
    is_layers = isinstance(value, list) and (_is_openable(value) or key.endswith(("layers", "head")))
    return ", ".join(_layer(item) for item in value) if is_layers else value


def _layer(item: Any) -> str:
    if not isinstance(item, Mapping) or len(item) != 1:
        return str(item)
    ((kind, given),) = item.items()
    if not isinstance(given, Mapping):
        return f"{kind} {plain_text(given)}"
    if isinstance(given.get("layers"), list):
        return f"{kind}({', '.join(_layer(each) for each in given['layers'])})"
    sizes = (plain_text(given[key]) for key in MAIN_SETTINGS if given.get(key) is not None)
    return " ".join([kind, *sizes])


def plain_text(value: Any) -> str:
    """Return a value as YAML shows it in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(plain_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {plain_text(item)}' for key, item in value.items())}}}"
    return "none" if value is None else str(value)
