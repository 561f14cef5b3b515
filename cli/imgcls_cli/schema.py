"""``imgcls schema``: the JSON Schema of a spec, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["schema"]


def schema(sweep: Annotated[bool, typer.Option("--sweep", help="The schema of a sweep.")] = False) -> None:
    """Print the JSON Schema of a spec: editors complete and check by it.

    Example: imgcls schema > imgcls.schema.json
    """
    from imgcls.files import strict_json
    from imgcls.spec.schema import json_schema, sweep_schema
    from imgcls_cli.console import emit

    emit(strict_json(sweep_schema() if sweep else json_schema()))
