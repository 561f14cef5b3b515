"""Many trainings of one spec: what is tried, by whom, and what it comes to."""

from imgcls.sweep.estimating import estimate_seconds
from imgcls.sweep.running import resume_sweep, sweep

__all__ = ["estimate_seconds", "resume_sweep", "sweep"]
