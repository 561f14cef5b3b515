"""The JSON Schema of a spec, as people write it: for editors that complete and check YAML."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from imgcls.spec.layers import LAYERS
from imgcls.spec.optimization import OPTIMIZERS
from imgcls.spec.spec import Spec
from imgcls.spec.sweep import SweepSpec

__all__ = ["SCHEMA_ID", "SWEEP_SCHEMA_ID", "json_schema", "sweep_schema"]

SCHEMA_ID = "urn:imgcls:spec:1"
SWEEP_SCHEMA_ID = "urn:imgcls:sweep:1"

_OPTIMIZERS = {record.__name__ for record in OPTIMIZERS.values()}

# What an editor shows for keys whose record says nothing because their name says it to a reader of the code.
_KEYS = {
    "alpha": "Slope of the exponential part below zero.",
    "backbone": "Name of the network in keras.applications, in lower case.",
    "center": "Learn an offset.",
    "cropping": "Pixels to cut: one number, or [top and bottom, left and right].",
    "decay": "How fast the rate falls.",
    "depth_multiplier": "Output channels for each input channel.",
    "dilation": "Distance between the kernel's points: one number, or [height, width].",
    "dropout": "Share of the values that is zeroed before the output while training.",
    "epsilon": "Added to the variance, against division by zero.",
    "every": "Epochs between two steps.",
    "factor": "What the rate is multiplied by.",
    "filters": "Output channels; of a preset, a list with one number a stage.",
    "final": "Rate at the end, as a share of the initial one.",
    "from": "Name of the first layer that learns.",
    "function": "Name of the function.",
    "groups": "Groups of channels, each for itself.",
    "interpolation": "How new pixels come about.",
    "kernel": "Window in pixels: one number, or [height, width].",
    "layers": "The layers, one after the other.",
    "method": "Which one.",
    "min_delta": "Smaller changes are no improvement.",
    "min_lr": "The rate falls no lower.",
    "momentum": "Share of the running statistics that each step keeps.",
    "monitor": "The figure that is watched, after each epoch.",
    "name": "Which one.",
    "negative_slope": "Slope below zero.",
    "padding": "Border: same keeps the size, valid adds none; of zero_pad, its pixels.",
    "patience": "Epochs without improvement to wait.",
    "preset": "Name of the network.",
    "rate": "Share of the values that is zeroed while training.",
    "rise": "Share of the steps until the peak.",
    "scale": "Learn a factor.",
    "schedule": "The curve of the rate.",
    "shape": "The new shape, without the images' own axis.",
    "size": "Window or factor: one number, or [height, width].",
    "stddev": "Standard deviation of the noise.",
    "strides": "Step of the window: one number, or [height, width].",
    "units": "Number of outputs.",
}


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12); it accepts what ``load_spec`` accepts, but for checks across keys."""
    schema = _schema(Spec, SCHEMA_ID, "imgcls experiment")
    for record in LAYERS.values():
        _without_kind(schema["$defs"][record.__name__])
    return schema


def sweep_schema() -> dict[str, Any]:
    """Return the schema of a sweep; it leaves the base to ``json_schema``."""
    return _schema(SweepSpec, SWEEP_SCHEMA_ID, "imgcls sweep")


def _schema(record: type[BaseModel], identifier: str, title: str) -> dict[str, Any]:
    schema = record.model_json_schema(by_alias=True, mode="validation")
    for definition in (schema, *schema["$defs"].values()):
        _without_titles(definition)
    for name, definition in schema["$defs"].items():
        _describe(name, definition)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identifier, "title": title}
    return head | schema


def _without_kind(definition: dict[str, Any]) -> None:
    """Drop the key that says which layer a record is: in a spec the word before the record says it."""
    definition["properties"].pop("kind", None)
    definition["required"] = [key for key in definition.get("required", ()) if key != "kind"]
    if not definition["required"]:
        del definition["required"]


def _describe(name: str, definition: dict[str, Any]) -> None:
    """Give every key a description that has none; those of optimizers are Keras' own."""
    is_optimizer = name in _OPTIMIZERS
    if is_optimizer:
        definition.setdefault("description", f"keras.optimizers.{name}")
    for key, value in definition.get("properties", {}).items():
        if is_optimizer and key != "name":
            value.setdefault("description", f"{key} of keras.optimizers.{name}.")
        elif key in _KEYS:
            value.setdefault("description", _KEYS[key])


def _without_titles(value: Any) -> None:
    """Drop the titles that pydantic makes of Python names; a property may be called so and stays."""
    if isinstance(value, list):
        for item in value:
            _without_titles(item)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("title"), str):
        del value["title"]
    for key, item in value.items():
        for each in item.values() if key in ("properties", "$defs") else [item]:
            _without_titles(each)
