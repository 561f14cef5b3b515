"""``imgcls schema``: the JSON Schema of a spec, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["schema"]


def schema(
    sweep: Annotated[bool, typer.Option("--sweep", help="The schema of a sweep.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to a file instead.", show_default=False)] = None,
) -> None:
    """Print the JSON Schema of a spec: editors complete and check by it.

    A YAML file names it in its first line, by a path relative to itself; imgcls init writes both.

    Example: imgcls schema --out .imgcls-schema.json
    """
    from imgcls.spec.editors import SCHEMA_FILES, modeline, schema_text, write_schema
    from imgcls_cli.console import emit, out as console, plain  # isort: skip

    if out is None:
        emit(schema_text(sweep=sweep))
        return
    write_schema(out, sweep=sweep)
    kind = "sweep" if sweep else "train"
    line = modeline(kind).replace(SCHEMA_FILES[kind], out.name)
    console.print(plain(f"wrote {out}; a YAML file beside it names it in its first line:"), soft_wrap=True)
    console.print(plain(line), soft_wrap=True)
