"""Run folders: what lies in them, and reading, writing and making them."""

from imgcls.runs.creation import check_writable, create_run, scratch_run
from imgcls.runs.records import DamagedError
from imgcls.runs.run import Run
from imgcls.runs.status import Status

__all__ = ["DamagedError", "Run", "Status", "check_writable", "create_run", "scratch_run"]
