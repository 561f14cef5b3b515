"""``imgcls serve``: a run's network as a web service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcls_cli.options import RunName, RunsDir

__all__ = ["serve"]


def serve(
    run: RunName,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; 0.0.0.0: for all that can reach this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 8000,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Answer over HTTP what the images are that a program, or a page in the browser, sends.

    POST /predict takes files (multipart, field files), GET /health tells that it answers, /openapi.json describes both,
    and / is a page to drop images on. It needs pip install 'imgcls[serve]'.

    Example: imgcls serve latest --port 8000
    """
    from imgcls_cli.console import err
    from imgcls_cli.live import TerminalObserver
    from imgcls_cli.signals import end_on_signals

    end_on_signals()
    with TerminalObserver(err, nothing_yet="no longer serving") as observer:
        from imgcls import backend
        from imgcls.catalog import find_run
        from imgcls.inference import open_classifier
        from imgcls.serving import require_packages
        from imgcls.serving import serve as serve_run

        require_packages()
        classifier = open_classifier(find_run(run, runs_dir))
        if overruled := backend.choose(classifier.spec.backend):
            observer.remarked([overruled])
        observer.say(f"loading   {classifier.run.name}")
        serve_run(
            classifier, host=host, port=port, ready=lambda address: observer.say(f"serving   {address}  (Ctrl-C ends)")
        )
