"""Reports on runs, repeats, sweeps and comparisons: a page, or tables for those who write."""

from imgcls.reports.reporting import report_page, report_tables

__all__ = ["report_page", "report_tables"]
