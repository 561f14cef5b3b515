"""``imgcls init``: a spec to start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_cli.completion import complete_templates

if TYPE_CHECKING:
    from imgcls.starter.finding import Found
    from imgcls.starter.writing import Starter

__all__ = ["init"]


def init(
    template: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEMPLATE]",
            help="folder, csv, transfer, sweep or quickstart; without it the data is looked at and a spec proposed.",
            show_default=False,
            autocompletion=complete_templates,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The images: a folder, a CSV or an npz.", show_default="the current folder"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write.", show_default="named after data or template")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a spec to start from, and the schema by which editors complete and check it.

    Without a TEMPLATE it looks at the data: classes, counts, parts, sizes of pictures. The spec's comments say why.

    Example: imgcls init --data path/to/photos
    """
    from imgcls.errors import SpecError, nearest
    from imgcls.starter.templates import TEMPLATES
    from imgcls_cli.console import out as console
    from imgcls_cli.console import plain

    if template is not None and template not in TEMPLATES:
        known = "\n".join(f"  {name:<11} {each.summary}" for name, each in TEMPLATES.items())
        raise SpecError(f"there is no template {template}{nearest(template, TEMPLATES)}; there are\n{known}")
    from imgcls.starter.finding import find_data
    from imgcls.starter.writing import from_data, from_template, refuse_existing, write_starter

    found = find_data(data or Path()) if template is None or data is not None else None
    path = out or Path(f"{template if found is None else _stem(found)}.yaml")
    if not force:
        refuse_existing(path)
    if template is not None:
        starter = from_template(TEMPLATES[template], path, found)
    else:
        from imgcls.starter.looking import look

        assert found
        seen = look(found)
        starter = from_data(seen, path)
        for line in seen.lines():
            console.print(plain(line), soft_wrap=True)
    schema = write_starter(starter, path)
    console.print(plain(f"wrote {path}, and {schema} for your editor"), soft_wrap=True)
    _print_next(starter, path, has_data=found is not None or template in ("quickstart", "sweep"))


def _stem(found: Found) -> str:
    """Return what a spec of some data is called; a run gets this name, so it keeps to letters, digits and ``.+-_``."""
    import re

    path = found.path.resolve()
    return re.sub(r"[^\w.+-]+", "-", path.stem if found.path.is_file() else path.name).strip("-") or "experiment"


def _print_next(starter: Starter, path: Path, *, has_data: bool) -> None:
    import shlex

    from imgcls_cli.console import out, plain

    name = shlex.quote(str(path))
    steps = {} if has_data else {"": f"write the place of your images into {path}: data"}
    if starter.command == "sweep":
        steps |= {f"imgcls sweep {name} --dry-run": "lists the trials"}
    else:
        steps |= {f"imgcls validate {name} --resolved": "shows every value", f"imgcls data {name}": "audits the images"}
    steps |= {f"imgcls {starter.command} {name}": "runs it"}
    out.print("next:")
    lines = [
        f"  {command:<{max(map(len, steps))}}  # {what}" if command else f"  {what}" for command, what in steps.items()
    ]
    if max(map(len, lines)) > out.width:  # then the commands alone
        lines = [f"  {command or what}" for command, what in steps.items()]
    for line in lines:
        out.print(plain(line), soft_wrap=True)
