"""Pages of HTML that stand alone, and what they are made of: templates, plots, tables."""

from imgcls.pages.data import write_data_page

__all__ = ["write_data_page"]
