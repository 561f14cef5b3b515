"""``imgcls cache``: the prepared data on disk."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_cli.options import CacheDir, Json

if TYPE_CHECKING:
    from imgcls.data.cache import Cache, CacheEntry

__all__ = ["cache"]


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all of it; runs prepare their data again.")] = False,
    json: Json = False,
    cache_dir: CacheDir = None,
) -> None:
    """Show the prepared data that runs share, or clear it.

    Example: imgcls cache --clear
    """
    from imgcls.data.cache import Cache

    store = Cache(cache_dir)
    if clear:
        _clear(store, json=json)
    else:
        _show(store, json=json)


def _clear(store: Cache, *, json: bool) -> None:
    from imgcls.files import strict_json
    from imgcls_cli.console import emit, out, plain

    freed = store.clear()
    if json:
        emit(strict_json({"folder": str(store.root), "freed_bytes": freed}))
    else:
        out.print(plain(f"freed {freed / 1e6:,.1f} MB in {store.root}"), soft_wrap=True)


def _show(store: Cache, *, json: bool) -> None:
    from dataclasses import asdict

    from imgcls.files import strict_json
    from imgcls_cli.console import emit, out, plain

    entries = store.entries()
    total = sum(entry.size_bytes for entry in entries)
    if json:
        emit(strict_json({"folder": str(store.root), "bytes": total, "entries": [asdict(each) for each in entries]}))
        return
    for entry in entries:
        out.print(plain(_line(entry)), soft_wrap=True)
    out.print(plain(f"{len(entries)} prepared, {total / 1e6:,.1f} MB in {store.root}"), soft_wrap=True)


def _line(entry: CacheEntry) -> str:
    used = datetime.fromtimestamp(entry.last_used).astimezone().strftime("%Y-%m-%d %H:%M")
    height, width = entry.resolution
    return (
        f"{entry.key[:12]}  {entry.images:,} images, {height}x{width} {entry.color}, {entry.size_bytes / 1e6:,.1f} MB, "
        f"last used {used}  {entry.source}"
    )
