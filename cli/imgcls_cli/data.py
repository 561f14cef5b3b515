"""``imgcls data``: what the data of a spec holds, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_cli.options import CacheDir, Json, Set, SpecFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table
    from rich.text import Text

    from imgcls.data import Dataset
    from imgcls.experiment import Audit

__all__ = ["data"]


def data(
    spec: SpecFile,
    settings: Set = None,
    cache_dir: CacheDir = None,
    classes: Annotated[int, typer.Option("--classes", min=1, help="How many classes the table shows.")] = 30,
    page: Annotated[
        Path | None, typer.Option("--page", help="Write a page of HTML too, with thumbnails of what was found.")
    ] = None,
    preview: Annotated[
        Path | None, typer.Option("--preview", help="Draw images as prepared, and as the first epochs show them (PNG).")
    ] = None,
    json: Json = False,
) -> None:
    """Audit the data: images of each class and part, imbalance, shifts, duplicates and near duplicates across parts.

    Every remark has a code; -s 'data.allow=[CODE]', or data: {allow: [CODE]} in the spec, silences one knowingly.

    Example: imgcls data experiment.yaml --page data.html
    """
    from imgcls_cli.console import emit, err, out, plain
    from imgcls_cli.live import TerminalObserver
    from imgcls_cli.signals import end_on_signals

    class Progress(TerminalObserver):
        """Tells how far it is, and leaves what is found to the table."""

        def prepared(self, dataset: Dataset) -> None:  # noqa: ARG002 - as it is called
            self._clear()

    end_on_signals()
    with Progress(err, nothing_yet="nothing told") as observer:
        from imgcls.experiment import audit_data
        from imgcls.files import strict_json
        from imgcls.spec import load_spec, parse_overrides

        loaded = load_spec(spec, parse_overrides(settings or []))
        audit = audit_data(loaded, cache_dir, observer)
        if page is not None:
            from imgcls.pages import write_data_page

            write_data_page(page, audit.dataset, audit.source)
        if preview is not None:
            from imgcls.experiment import write_preview

            write_preview(preview, loaded.spec.completed(), audit.dataset)
    if json:
        emit(strict_json(audit.record()))
        return
    height, width = audit.dataset.images.shape[1:3]
    out.print(plain(f"{audit.source}: {audit.images:,} images, {height}x{width} {audit.color}"), soft_wrap=True)
    out.print(_table(audit, classes))
    for finding in audit.dataset.findings:
        out.print(plain(f"{finding.code}: {finding.text}", "yellow"), soft_wrap=True)
    if not audit.dataset.findings:
        out.print("nothing is wrong with it, as far as this can tell")


def _table(audit: Audit, shown: int) -> Table:
    """Return images and shares of each class in each part; of many classes the largest and the smallest in train."""
    from imgcls_cli.console import new_table, plain

    table = new_table()
    table.add_column("class", overflow="fold")
    counts = audit.counts
    for part in counts:
        table.add_column(part, justify="right")
        table.add_column("share", justify="right")
    totals = {part: sum(images) for part, images in counts.items()}
    order = sorted(range(len(audit.dataset.classes)), key=lambda index: -counts["train"][index])
    top, bottom = (
        (order, []) if len(order) <= shown else (order[: shown - shown // 2], order[len(order) - shown // 2 :])
    )
    for index in top:
        table.add_row(*_cells(audit.dataset.classes[index], counts, totals, index))
    if left_out := len(order) - len(top) - len(bottom):
        table.add_row(plain(f"... {left_out:,} more", "dim"))
    for index in bottom:
        table.add_row(*_cells(audit.dataset.classes[index], counts, totals, index))
    table.add_section()
    table.add_row(*map(plain, ("all", *(text for total in totals.values() for text in (f"{total:,}", "")))))
    return table


def _cells(name: str, counts: Mapping[str, Sequence[int]], totals: Mapping[str, int], index: int) -> list[Text]:
    """Return the name of a class, and its images and share in each part."""
    from imgcls_cli.console import plain

    cells = [name]
    for part, images in counts.items():
        cells += [f"{images[index]:,}", f"{images[index] / totals[part]:.1%}" if totals[part] else "-"]
    return [plain(text) for text in cells]
