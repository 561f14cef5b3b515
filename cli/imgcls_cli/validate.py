"""``imgcls validate``: checks a spec without training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_cli.options import Json, Set, SpecFile

if TYPE_CHECKING:
    from imgcls.spec import LoadedSpec

__all__ = ["validate"]

SHORT = {
    "architecture": ("preset", "backbone"),
    "data": ("source", "path"),
    "early_stopping": ("patience",),
    "lr": ("initial",),
    "optimizer": ("name",),
}
FROM_DATA = ("color", "data.classes", "data.test", "data.train", "data.validation", "resolution")


def validate(
    spec: SpecFile,
    settings: Set = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print every value with its origin.")] = False,
    json: Json = False,
) -> None:
    """Check a spec without training; all problems are shown at once, each with its place.

    Example: imgcls validate experiment.yaml --resolved
    """
    from imgcls.files import strict_json
    from imgcls.spec import load_spec, parse_overrides
    from imgcls_cli.console import emit, out, plain

    overrides = parse_overrides(settings or [])
    loaded = load_spec(spec, overrides)
    values = resolved_values(loaded, overrides)
    if json:
        emit(strict_json({"spec": str(spec), "valid": True, "description": describe(loaded), "resolved": values}))
        return
    if resolved:
        _print_values(values)
    out.print(plain(f"{spec} is valid: {describe(loaded)}"), soft_wrap=True)


def describe(loaded: LoadedSpec) -> str:
    """Return the experiment in one line: ``digits, 8x8 grayscale, cnn, adam at 0.001, batch 64, 10 epochs``."""
    spec = loaded.spec.completed()
    size = "x".join(map(str, spec.resolution)) if spec.resolution else "the data's own resolution"
    architecture: Any = spec.architecture
    layers = getattr(architecture, "layers", ())
    network = (
        getattr(architecture, "preset", None) or getattr(architecture, "backbone", None) or f"{len(layers)} layers"
    )
    source = spec.data.path or spec.data.source
    return (
        f"{source}, {size}{f' {spec.color}' if spec.color else ''}, {network}, "
        f"{spec.optimizer.name} at {spec.lr.initial:g}, batch {spec.batch}, {spec.epochs} epochs"
    )


def resolved_values(loaded: LoadedSpec, overrides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return dotted key → its value and where that comes from.

    Args:
        loaded: the spec.
        overrides: what ``-s`` set: dotted key → value.
    """
    from imgcls.settings import flatten

    origins = _origins(loaded, overrides)
    flat = flatten(loaded.spec.completed().model_dump(mode="json", by_alias=True), open_lists=True)
    return {key: {"value": value, "origin": _origin(key, value, origins)} for key, value in flat.items()}


def _origins(loaded: LoadedSpec, overrides: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    """Return the place of every key that is given; what ``-s`` replaced has no place in the file any more."""
    from imgcls.settings import flatten

    replaced = [_as_given(key) for key in overrides]
    origins = {
        path: f"{loaded.source} {place}"
        for path, place in ((_as_given(key), place) for key, place in loaded.origins.items())
        if not any(path[: len(start)] == start for start in replaced)
    }
    return origins | {_as_given(key): "-s" for key in (*overrides, *flatten(overrides, open_lists=True))}


def _origin(key: str, value: Any, origins: Mapping[tuple[str, ...], str]) -> str:
    """Return ``file line:column``, ``-s``, ``default`` or ``from the data``."""
    parts = _as_given(key)
    given = next((parts[:length] for length in range(len(parts), 0, -1) if parts[:length] in origins), None)
    if given is not None and value is not None:
        rest = parts[len(given) :]
        is_mapping = any(each[: len(given)] == given and len(each) > len(given) for each in origins)
        is_item = all(part.isdecimal() for part in rest)  # of a list; also where nothing is left
        if is_item or (not is_mapping and len(rest) == 1 and rest[0] in _set_by_short(given)):
            return origins[given]
    return "from the data" if value is None and key in FROM_DATA else "default"


def _as_given(key: str) -> tuple[str, ...]:
    """Return a key's parts without ``layers``, which people leave out: ``architecture.0.conv``."""
    return tuple(part for part in key.split(".") if part != "layers")


def _set_by_short(start: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a single value sets where a mapping could stand: ``optimizer: adam`` sets its name."""
    from imgcls.spec.layers import LAYERS

    if start[0] == "architecture" and start[-1] in LAYERS:
        return (LAYERS[start[-1]].main or "",)
    return SHORT.get(".".join(start), ())


def _print_values(values: dict[str, dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table

    from imgcls_cli.console import out, plain

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("key", "value", "origin"):
        table.add_column(name, overflow="fold")
    for key, entry in values.items():
        is_default = entry["origin"] == "default"
        table.add_row(
            *(plain(text, "dim" if is_default else "") for text in (key, _text(entry["value"]), entry["origin"]))
        )
    out.print(table)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)
