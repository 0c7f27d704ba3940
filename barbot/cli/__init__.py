"""The command line: one module a command, tied together by `app.py`. Floor 5.

Modules of commands import what a run needs inside their functions: `barbot --help` loads typer and nothing of
ours that loads numpy, pydantic or zstandard.
"""
