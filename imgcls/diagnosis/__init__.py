"""Whether this machine and installation can train: what is there, what is missing, and what to do about it."""

from imgcls.diagnosis.diagnosing import CHECKS, Line, diagnose

__all__ = ["CHECKS", "Line", "diagnose"]
