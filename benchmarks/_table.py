"""What the scripts of this folder share: their two flags, tables 100 columns wide, one JSON object."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

WIDTH: Final = 100
DATA: Final = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
"""Recorded market data beside the repository; what needs it says so where it is not there."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of `--json` and `--quick`; the script's docstring is its help."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object and nothing else")
    made.add_argument("--quick", action="store_true", help="less data and fewer repetitions: under 20 s")
    return made


def machine() -> dict[str, str | int]:
    """Return what the figures were measured on."""
    import os

    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 0,
    }


def machine_line() -> str:
    """Return the machine in one line."""
    here = machine()
    return f"{here['python']}, {here['system']} {here['machine']}, {here['cores']} cores"


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, left: int = 1) -> None:
    """Print a table; the first `left` columns, and the last if it is called "why", are aligned left."""
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        is_text = number < left or column in ("why", "target", "verdict")
        table.add_column(
            column, justify="left" if is_text else "right", overflow="fold", no_wrap=column in ("verdict",)
        )
    for row in rows:
        table.add_row(
            *(cell if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row)
        )
    console().print(table)


def say(text: str) -> None:
    """Print a paragraph."""
    console().print(text, highlight=False, markup=False)


def console() -> Console:
    """Return the console that tables go to: 100 columns wide, whatever the terminal."""
    return Console(width=WIDTH, file=sys.stdout, legacy_windows=False)


def print_json(result: Mapping[str, object]) -> None:
    """Print one object."""
    print(msgspec.json.encode(result).decode())
