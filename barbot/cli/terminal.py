"""Where a command writes: standard output for results, standard error for the rest. Floor 5.

On a terminal lines are coloured and wrapped to its width; anywhere else they are plain and as long as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from barbot.timing.clock import iso

if TYPE_CHECKING:
    from rich.console import Console

Row: TypeAlias = tuple[str, str, str]
"""Label, value, and a style of the value ("" for none). A row without a label continues the one before."""


def output() -> Console:
    """Return a console on standard output."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, emoji=False)


def errors() -> Console:
    """Return a console on standard error."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, emoji=False)


def print_rows(console: Console, rows: Sequence[Row]) -> None:
    """Print labels in one column and values in another."""
    width = max((len(label) for label, _, _ in rows), default=0)
    if not console.is_terminal:
        for label, value, _ in rows:
            console.out(f"{label:<{width}}  {value}".rstrip(), highlight=False)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    for label, value, style in rows:
        table.add_row(label, Text(value, style))
    console.print(table)


def print_json(encoded: bytes) -> None:
    """Write JSON, and nothing else, to standard output."""
    sys.stdout.flush()
    sys.stdout.buffer.write(encoded)  # JSON is UTF-8 whatever the console's code page is
    sys.stdout.buffer.flush()


def moment(ts: int | str | None) -> str:
    """Print a time to the second, as people write it: `2026-01-31 09:30:00`."""
    if ts is None:
        return "-"
    return (iso(ts) if isinstance(ts, int) else ts)[:19].replace("T", " ")


def plural(count: int, noun: str) -> str:
    """Print a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
