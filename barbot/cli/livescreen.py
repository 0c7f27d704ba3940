"""What a live run shows on a terminal while it goes on: feeds, position, equity, counters. Floor 5.

Drawn below the log lines, on standard error, four times a second at most. Anywhere but on a terminal nothing is
drawn: there the log lines tell.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, TextIO, cast

from barbot.cli.progress import LinesAbove
from barbot.cli.terminal import moment
from barbot.timing.clock import stopwatch
from barbot.timing.interval import SECOND

if TYPE_CHECKING:
    from rich.console import Console, ConsoleRenderable
    from rich.live import Live
    from rich.table import Table

    from barbot.run.live import FeedStatus, LiveStatus

_EVERY_S: Final = 0.25
_OTHER_LINES: Final = 9
"""Lines of the screen that are not feeds, and one that stays free for what the terminal echoes."""
_LATE_NS: Final = 30 * SECOND
"""A connection that is silent for longer is shown in yellow: every venue answers pings more often."""


class Screen:
    """Draws the latest of something; what is written to `stream` meanwhile goes above it."""

    def __init__(self, console: Console, *, every_s: float = _EVERY_S) -> None:
        """Draw on `console` if it is a terminal, not before the first call."""
        self._console = console
        self._every_s = every_s
        self._live: Live | None = None
        self._due = 0.0

    @property
    def is_shown(self) -> bool:
        """Whether anything is drawn at all."""
        return self._console.is_terminal

    @property
    def stream(self) -> TextIO:
        """Where log lines go."""
        if self.is_shown:
            return cast("TextIO", LinesAbove(self._console))
        return cast("TextIO", self._console.file)

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def draw(self, make: Callable[[], ConsoleRenderable]) -> None:
        """Draw what `make` returns, if it is time."""
        if not self.is_shown or (now := stopwatch()) < self._due:
            return
        self._due = now + self._every_s
        if self._live is None:
            from rich.live import Live

            self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
        self._live.update(make(), refresh=True)


def status_table(status: LiveStatus, title: str, seconds: float, *, height: int, width: int) -> ConsoleRenderable:
    """Return the status of a run for a terminal of that size: no line is wrapped, no line too many."""
    from rich.console import Group
    from rich.text import Text

    room = max(1, height - _OTHER_LINES)
    parts: list[ConsoleRenderable] = [
        _head(status, title, seconds),
        _feeds(status.feeds[:room], status.now, width),
    ]
    if len(status.feeds) > room:
        parts.append(Text(f"... and {len(status.feeds) - room:,} more feeds", "dim"))
    parts += [_money(status), _counters(status)]
    return Group(*parts)


def _head(status: LiveStatus, title: str, seconds: float) -> ConsoleRenderable:
    from rich.text import Text

    text = f"  {moment(status.now)} UTC  running {duration(seconds)}"
    return Text.assemble((title, "bold"), text, no_wrap=True, overflow="ellipsis")


def duration(seconds: float) -> str:
    """Print how long something took: 0:01:30."""
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02d}:{int(seconds) % 60:02d}"


def _feeds(feeds: list[FeedStatus], now: int, width: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, width=min(width, 100), header_style="dim")
    table.add_column("feed", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("bar", no_wrap=True)
    table.add_column("close", justify="right", no_wrap=True)
    table.add_column("heard", justify="right", no_wrap=True)
    table.add_column("connection", no_wrap=True)
    for feed in feeds:
        late = feed.silent_ns is None or feed.silent_ns > _LATE_NS
        table.add_row(
            feed.feed,
            f"{moment(feed.ts_open)[5:16]}{' ...' if feed.is_forming else ''}" if feed.ts_open else "-",
            f"{feed.close:.10g}" if feed.ts_open else "-",
            Text("-" if feed.silent_ns is None else f"{_ago(feed.silent_ns)} ago", "yellow" if late else ""),
            Text(feed.connection or "down", "" if feed.connection else "red"),
        )
    return table


def _ago(silent_ns: int) -> str:
    seconds = max(silent_ns, 0) / SECOND
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _money(status: LiveStatus) -> ConsoleRenderable:
    from rich.text import Text

    held = "  ".join(f"{name} {quantity}" for name, quantity in status.positions.items()) or "none"
    equity = f"{float(status.equity):,.2f} {status.currency}"
    line = Text.assemble(("equity ", "dim"), equity, ("   position ", "dim"), held)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _counters(status: LiveStatus) -> ConsoleRenderable:
    from rich.text import Text

    counts = {
        "bars": status.bars,
        "corrections": status.corrections,
        "orders": status.orders,
        "frames": status.frames,
        "reconnects": status.reconnects,
    }
    line = Text(no_wrap=True, overflow="ellipsis")
    for name, count in counts.items():
        line.append(f"{name} ", "dim").append(f"{count:,}   ")
    return line
