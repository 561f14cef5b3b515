"""Where the traceback of a bug is kept."""

from __future__ import annotations

import os
import traceback
from datetime import datetime
from pathlib import Path

from imgcls.runs.layout import LOG

__all__ = ["keep_traceback"]


def keep_traceback(error: Exception) -> str:
    """Return where the traceback is: in the log of the run that failed, which has it already, or else in a new file."""
    folder = getattr(error, "run_folder", None)
    if folder is not None:
        return f"traceback in {Path(folder) / LOG}"
    import platformdirs

    text = "".join(traceback.format_exception(error))
    try:
        logs = Path(platformdirs.user_log_dir("imgcls", appauthor=False))
        logs.mkdir(parents=True, exist_ok=True)
        log = logs / f"crash-{datetime.now():%Y-%m-%d_%H-%M-%S}-{os.getpid()}.log"
        log.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return "--debug shows the traceback"
    return f"traceback in {log}"
