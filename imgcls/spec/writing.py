"""Values as YAML that this reader, YAML 1.1 and YAML 1.2 all read back as the same values."""

from __future__ import annotations

import re
from typing import Any

import yaml
from pydantic import BaseModel

from imgcls.spec.document import SCALARS

__all__ = ["spec_yaml", "write_yaml"]


def spec_yaml(spec: BaseModel) -> str:
    """Return a record as YAML that reads back as the same record: every value, null where none is in force."""
    return write_yaml(spec.model_dump(mode="json", by_alias=True))


def write_yaml(value: Any) -> str:
    """Return dicts, lists and scalars as YAML, keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Quotes strings that YAML 1.1 or 1.2 would read as something else, and writes lists of scalars in one line."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _write_list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    is_short = not any(isinstance(item, dict | list) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=is_short)


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Escape the line breaks that only YAML 1.1 knows; unquoted, a reader makes newlines of them."""
    is_odd = not {"\r", "\x85", "\u2028", "\u2029"}.isdisjoint(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if is_odd else None)


for _name, (_pattern, _first) in SCALARS.items():
    _Dumper.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"), [*_first.replace("\0", "")]
    )
_Dumper.add_representer(list, _write_list)
_Dumper.add_representer(str, _write_text)
