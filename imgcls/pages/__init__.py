"""Pages of HTML that stand alone: no network, one file; and the same tables for those who write."""

from imgcls.pages.data import write_data_page
from imgcls.pages.report import report_page, report_tables

__all__ = ["report_page", "report_tables", "write_data_page"]
