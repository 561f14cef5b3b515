"""Pages of HTML that stand alone: no network, no script, one file."""

from imgcls.pages.data import write_data_page

__all__ = ["write_data_page"]
