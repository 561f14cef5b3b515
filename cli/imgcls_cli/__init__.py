"""The command line of imgcls: one module a command; nothing heavy is imported before a command runs."""

import signal
import sys
from pathlib import PurePath

__all__: list[str] = []

# As the command, Ctrl-C while modules load just ends the process; ``app`` sets it back when they are loaded.
if PurePath(sys.argv[0] if sys.argv else "").stem in ("imgcls", "-m") and (
    signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
