"""Runs logged elsewhere too: to TensorBoard or MLflow, beside the run folder, which has everything."""

from imgcls.tracking.tracker import TRACKERS, Result, Tracker, open_tracker, require_tracker

__all__ = ["TRACKERS", "Result", "Tracker", "open_tracker", "require_tracker"]
