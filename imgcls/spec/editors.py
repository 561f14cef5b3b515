"""What a YAML file says to editors: which schema it is checked and completed by.

An editor finds the schema by a path in the file's first line, relative to the file: the schema lies beside the specs.
So it works without a network, from a clone, which has it in ``configs/``, and with the installed package alone, whose
``imgcls init`` and ``imgcls schema --out`` write it; and it is the schema of the version that reads the spec.
"""

from __future__ import annotations

from pathlib import Path

from imgcls.files import strict_json, write_text
from imgcls.spec.schema import json_schema, sweep_schema

__all__ = ["SCHEMA_FILES", "modeline", "schema_text", "write_schema"]

SCHEMA_FILES = {"train": ".imgcls-schema.json", "sweep": ".imgcls-sweep-schema.json"}
"""The command that a YAML file is for → the file with its schema."""


def modeline(command: str, folder: str = "") -> str:
    """Return the comment that yaml-language-server looks for.

    Args:
        command: ``train`` or ``sweep``.
        folder: of the schema, as seen from the YAML file: ``../`` for instance.
    """
    return f"# yaml-language-server: $schema={folder}{SCHEMA_FILES[command]}"


def schema_text(*, sweep: bool = False) -> str:
    """Return the schema of a spec or a sweep as a file holds it."""
    return strict_json(sweep_schema() if sweep else json_schema()) + "\n"


def write_schema(path: Path, *, sweep: bool = False) -> None:
    """Write the schema to a file.

    Raises:
        RunError: it cannot be written.
    """
    write_text(path, schema_text(sweep=sweep))
