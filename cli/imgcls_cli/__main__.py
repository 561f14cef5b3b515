"""``python -m imgcls_cli``."""

from imgcls_cli.app import command

command()
