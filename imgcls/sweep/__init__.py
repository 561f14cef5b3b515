"""Many trainings of one spec: what is tried, by whom, and what it comes to."""

from imgcls.sweep.running import resume_sweep, sweep

__all__ = ["resume_sweep", "sweep"]
