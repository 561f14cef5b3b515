"""A starter spec as a file: its head, its lines with their reasons, and the schema that editors check it by."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from imgcls.errors import SpecError
from imgcls.files import write_text
from imgcls.spec.data import BUILT_IN
from imgcls.spec.editors import SCHEMA_FILES, modeline, write_schema
from imgcls.starter.finding import Found
from imgcls.starter.looking import Seen
from imgcls.starter.proposing import Line, propose, quoted
from imgcls.starter.templates import Template
from imgcls.wording import display

__all__ = ["Starter", "from_data", "from_template", "refuse_existing", "write_starter"]

COLUMN = 28  # where reasons begin, if the line is shorter
WIDTH = 120  # a reason that would reach beyond stands above its line


class Starter(NamedTuple):
    """A spec to write, and the command that runs it."""

    text: str
    command: str


def from_template(template: Template, path: Path, found: Found | None) -> Starter:
    """Return a template as a spec.

    Args:
        path: where it is to be written.
        found: data that it is to name; None for the template's own words.
    """
    data = template.data if found is None else _data_text(found, path)
    return _with_head(template.body.replace("@DATA@", data), template.command, path, [template.summary])


def from_data(seen: Seen, path: Path) -> Starter:
    """Return the spec that is proposed for some data; ``path`` is where it is to be written."""
    body = "".join(map(_written, propose(seen, _relative(seen.found.path, path))))
    return _with_head(body, "train", path, [f"Proposed for {text}" for text in seen.lines()[1:2]])


def refuse_existing(path: Path) -> None:
    """Raise where a spec would replace a file.

    Raises:
        SpecError: there is such a file.
    """
    if path.exists() or path.is_symlink():
        raise SpecError(f"{display(path)} exists already: --force replaces it, --out FILE writes another")


def write_starter(starter: Starter, path: Path) -> Path:
    """Write a spec, and the schema beside it; return the schema's path.

    Raises:
        SpecError: there is no such folder.
        RunError: it cannot be written.
    """
    if not path.parent.is_dir():
        raise SpecError(f"there is no folder {display(path.parent)}")
    schema = path.with_name(SCHEMA_FILES[starter.command])
    write_schema(schema, sweep=starter.command == "sweep")
    write_text(path, starter.text)
    return schema


def _with_head(body: str, command: str, path: Path, about: Iterable[str]) -> Starter:
    head = [modeline(command), *(f"# {line}" for line in about)]
    head.append(f"#   imgcls {command} {shlex.quote(display(path))}")
    return Starter("\n".join(head) + "\n" + body, command)


def _written(line: Line) -> str:
    if not line.why:
        return f"{line.text}\n"
    beside = f"{line.text:<{COLUMN}}  # {line.why}"
    return f"{beside}\n" if len(beside) <= WIDTH else f"# {line.why}\n{line.text}\n"


def _data_text(found: Found, path: Path) -> str:
    """Return data as the short form of a spec, which goes by the ending; a folder of CSV files has none."""
    name = quoted(_relative(found.path, path))
    is_plain = found.source == "folder" or found.path.suffix.lower() == f".{found.source}"
    return name if is_plain and name not in BUILT_IN else f"{{source: {found.source}, path: {name}}}"


def _relative(data: Path, spec: Path) -> str:
    """Return the data's path as seen from the spec's folder; absolute where it lies elsewhere altogether."""
    target, folder = Path(os.path.realpath(data)), Path(os.path.realpath(spec.parent))
    try:
        relative = os.path.relpath(target, folder).replace(os.sep, "/")
    except ValueError:  # another drive
        return str(target)
    return str(target) if relative.startswith("../../..") else relative
