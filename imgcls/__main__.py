"""``python -m imgcls``: the command, where the shell does not find it."""

from imgcls_cli.app import command

command()
