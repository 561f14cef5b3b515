"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcls_cli.completion import complete_runs, complete_settings

__all__ = ["CacheDir", "Csv", "Json", "Markdown", "RunName", "RunsDir", "Set", "SpecFile"]

RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A path, a name, a unique prefix of one, or latest.",
        show_default=False,
        autocompletion=complete_runs,
    ),
]
SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="The experiment, a YAML file.", show_default=False)]
RunsDir = Annotated[Path, typer.Option("--runs-dir", envvar="IMGCLS_RUNS_DIR", help="Where the run folders lie.")]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir", envvar="IMGCLS_CACHE", help="Where prepared data is kept.", show_default="the user's cache"
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "-s",
        "--set",
        metavar="KEY=VALUE",
        help="Set a value of the spec: -s lr=1e-4 -s data.limit.train=100.",
        autocompletion=complete_settings,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")]
