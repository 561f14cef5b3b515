"""Runs logged elsewhere too: to TensorBoard or MLflow, beside the run folder, which has everything."""

from imgcls.tracking.opening import TRACKERS, open_tracker, require_tracker
from imgcls.tracking.tracker import Result, Tracker

__all__ = ["TRACKERS", "Result", "Tracker", "open_tracker", "require_tracker"]
