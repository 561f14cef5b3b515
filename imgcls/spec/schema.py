"""The JSON Schema of a spec, as people write it: for editors that complete and check YAML."""

from __future__ import annotations

from typing import Any

from imgcls.spec.layers import LAYERS
from imgcls.spec.spec import Spec

__all__ = ["SCHEMA_ID", "json_schema"]

SCHEMA_ID = "urn:imgcls:spec:1"


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12); it accepts what ``load_spec`` accepts, but for checks across keys."""
    schema = Spec.model_json_schema(by_alias=True, mode="validation")
    for definition in (schema, *schema["$defs"].values()):
        _without_titles(definition)
    for record in LAYERS.values():
        _without_kind(schema["$defs"][record.__name__])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "imgcls experiment",
        **schema,
    }


def _without_kind(definition: dict[str, Any]) -> None:
    """Drop the key that says which layer a record is: in a spec the word before the record says it."""
    definition["properties"].pop("kind", None)
    definition["required"] = [key for key in definition.get("required", ()) if key != "kind"]
    if not definition["required"]:
        del definition["required"]


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
