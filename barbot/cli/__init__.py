"""The command line: one module a command. Floor 5."""
