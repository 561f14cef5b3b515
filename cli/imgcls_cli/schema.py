"""``imgcls schema``: the JSON Schema of a spec, for editors."""

from __future__ import annotations

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of a spec: editors complete and check by it.

    Example: imgcls schema > imgcls.schema.json
    """
    from imgcls.files import strict_json
    from imgcls.spec.schema import json_schema
    from imgcls_cli.console import emit

    emit(strict_json(json_schema()))
