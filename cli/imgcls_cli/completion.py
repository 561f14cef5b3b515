"""What the shell offers when Tab is pressed; nothing is imported here that takes time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import typer

__all__ = ["complete_runs", "complete_settings", "complete_templates"]


def complete_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what can stand for a run: ``latest`` and names, the newest first; folders' names and paths once begun."""
    from imgcls.catalog import list_runs
    from imgcls.runs.layout import TIME

    above, slash, _ = incomplete.rpartition("/")
    if slash:
        return [name for run in list_runs(Path(above or "/")) if (name := f"{above}/{run.name}").startswith(incomplete)]
    runs_dir = Path(ctx.params.get("runs_dir") or os.environ.get("IMGCLS_RUNS_DIR") or "runs")
    folders = [run.name for run in reversed(list_runs(runs_dir))]
    if not folders:
        return []
    names = ["latest", *(TIME.sub("", name) for name in folders), *(folders if incomplete else ())]
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def complete_templates(incomplete: str) -> Iterator[tuple[str, str]]:
    """Return the names of templates with what they are for."""
    from imgcls.starter.templates import TEMPLATES

    return ((name, each.summary) for name, each in sorted(TEMPLATES.items()) if name.startswith(incomplete))


def complete_settings(incomplete: str) -> list[str]:
    """Return ``key=`` and, of a key with others below it, ``key.``; behind ``=`` the words that the key accepts."""
    from imgcls_cli.keys import KEYS

    key, equals, _ = incomplete.partition("=")
    if equals:
        return sorted(each for word in KEYS.get(key, "").split() if (each := f"{key}={word}").startswith(incomplete))
    level = incomplete.count(".")
    offered = {f"{name}=" for name in KEYS if name.count(".") == level}
    offered |= {f"{name.rpartition('.')[0]}." for name in KEYS if name.count(".") == level + 1}
    return sorted(each for each in offered if each.startswith(incomplete))
