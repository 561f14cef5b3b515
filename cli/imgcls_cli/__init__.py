"""The command line of imgcls: one module a command; nothing heavy is imported before a command runs."""
