"""Where the bars of one interval open and close in one market. Floor 1.

A `Grid` answers questions about time stamps and knows nothing of data. Three kinds: `StepGrid` is plain
arithmetic (round-the-clock markets), `MonthGrid` the calendar months of such markets, `SessionGrid` follows a
table of trading segments. Which market has which is decided in `sessions.py`, which also hands grids out.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NoReturn, Protocol

import msgspec

from barbot.errors import ConfigError
from barbot.timing.clock import iso
from barbot.timing.interval import Interval


class Grid(Protocol):
    """Where bars of one interval open and close in one market.

    `step` is the fixed length in ns where the grid is plain arithmetic in UTC, so that `ts` opens a bar if
    and only if `(ts - offset) % step == 0`; else None, and `offset` means nothing.
    """

    interval: Interval
    step: int | None
    offset: int

    def floor(self, ts: int) -> int | None:
        """Return the `ts_open` of the bar that holds `ts`, or None if `ts` lies outside every bar."""

    def close_of(self, ts_open: int) -> int:
        """Return the exclusive end of the bar that opens at `ts_open`.

        Raises:
            ValueError: no bar opens there.
        """

    def next_open(self, ts_open: int) -> int:
        """Return the `ts_open` of the bar after the one that opens at `ts_open`, beyond nights and holidays.

        Raises:
            ValueError: no bar opens there.
        """

    def first_from(self, ts: int) -> int:
        """Return the earliest `ts_open` at or after `ts`."""

    def open_of_end_label(self, label: int) -> int | None:
        """Return the `ts_open` of the bar that a vendor labels with its end `label`, or None if none does."""


class StepGrid:
    """Bars of one fixed length without a break: floor in UTC."""

    __slots__ = ("_length", "interval", "offset", "step")

    def __init__(self, interval: Interval, offset: int = 0) -> None:
        """Anchor the grid at `offset` ns since the epoch."""
        self.interval = interval
        self.step: int | None = interval.ns
        self.offset = offset
        self._length = interval.ns

    def floor(self, ts: int) -> int | None:
        """Return the `ts_open` of the bar that holds `ts`; there always is one."""
        return ts - (ts - self.offset) % self._length

    def close_of(self, ts_open: int) -> int:
        """Return the exclusive end of the bar that opens at `ts_open`.

        Raises:
            ValueError: no bar opens there.
        """
        if (ts_open - self.offset) % self._length:
            _refuse(ts_open, self.interval, "the round-the-clock grid")
        return ts_open + self._length

    def next_open(self, ts_open: int) -> int:
        """Return the `ts_open` of the following bar: where this one closes.

        Raises:
            ValueError: no bar opens there.
        """
        return self.close_of(ts_open)

    def first_from(self, ts: int) -> int:
        """Return the earliest `ts_open` at or after `ts`."""
        return ts + (self.offset - ts) % self._length

    def open_of_end_label(self, label: int) -> int | None:
        """Return the `ts_open` of the bar that ends at `label`, or None if none does."""
        return None if (label - self.offset) % self._length else label - self._length


class MonthGrid:
    """Calendar months in UTC."""

    __slots__ = ("_month", "interval", "offset", "step")

    def __init__(self, interval: Interval) -> None:
        """Make the grid of months."""
        self.interval = interval
        self.step: int | None = None
        self.offset = 0
        self._month = (0, interval.next(0))

    def floor(self, ts: int) -> int | None:
        """Return the first moment of the month that holds `ts`; there always is one."""
        return self._month_of(ts)[0]

    def close_of(self, ts_open: int) -> int:
        """Return the first moment of the month after the one that opens at `ts_open`.

        Raises:
            ValueError: no month begins there.
        """
        first, end = self._month_of(ts_open)
        if first != ts_open:
            _refuse(ts_open, self.interval, "the round-the-clock grid")
        return end

    def next_open(self, ts_open: int) -> int:
        """Return the `ts_open` of the following bar: where this one closes.

        Raises:
            ValueError: no month begins there.
        """
        return self.close_of(ts_open)

    def first_from(self, ts: int) -> int:
        """Return the earliest `ts_open` at or after `ts`."""
        first, end = self._month_of(ts)
        return first if first == ts else end

    def open_of_end_label(self, label: int) -> int | None:
        """Return the first moment of the month that ends at `label`, or None if none does."""
        first, end = self._month_of(label - 1)
        return first if end == label else None

    def _month_of(self, ts: int) -> tuple[int, int]:
        month = self._month
        if not month[0] <= ts < month[1]:
            first = self.interval.floor(ts)
            month = self._month = (first, self.interval.next(first))
        return month


class Segments(msgspec.Struct):
    """The trading segments of one market, oldest first, none overlapping; columns of equal length.

    Segment `i` trades in `[opens[i], closes[i])`. What is stamped in `[froms[i], tos[i])`, a little more
    where there are auctions, belongs to its bars. `single[i]` is 1 where the segment is one bar whatever its
    length. Filled once by `add`, read-only afterwards: grids share it.
    """

    market: str
    opens: list[int] = []
    closes: list[int] = []
    froms: list[int] = []
    tos: list[int] = []
    single: bytearray = msgspec.field(default_factory=bytearray)

    def add(self, ts_open: int, ts_close: int, *, lead: int = 0, tail: int = 0, is_single: bool = False) -> None:
        """Append a segment whose bars take in what is stamped up to `lead` before and `tail` after it."""
        self.opens.append(ts_open)
        self.closes.append(ts_close)
        self.froms.append(ts_open - lead)
        self.tos.append(ts_close + tail)
        self.single.append(is_single)

    def refuse(self, ts: int) -> NoReturn:
        """Raise the `ConfigError` for a `ts` that lies outside the years the table covers."""
        raise ConfigError(
            f"calendar {self.market} knows its sessions from {iso(self.froms[0])} to {iso(self.tos[-1])}, "
            f"not at {iso(ts)}",
            remedy="Use data of that span, or upgrade the calendars: pip install --upgrade exchange_calendars",
        )


class SessionGrid:
    """Bars anchored at each segment's open and cut at its close; the last bar of a segment may be a stub.

    Remembers the segment of the last question, because the next one is nearly always about the same: `floor`
    takes 0.2 us there and 0.8 us where the table has to be searched, `next_open` 0.4 us (CPython 3.11).
    """

    __slots__ = ("_here", "_segments", "interval", "offset", "step")

    def __init__(self, interval: Interval, segments: Segments) -> None:
        """Lay bars of `interval` over `segments`; for days and longer every segment must be `single`."""
        self.interval = interval
        self.step: int | None = None
        self.offset = 0
        self._segments = segments
        # (from, to, open, close, step, index): one tuple, so that a reader never sees half of a change
        self._here = self._enter(0)

    def floor(self, ts: int) -> int | None:
        """Return the `ts_open` of the bar that holds `ts`, or None if `ts` lies outside every bar.

        An auction's stamps before the open belong to the first bar and those after the close to the last.

        Raises:
            ConfigError: `ts` lies outside the years that the calendar knows.
        """
        begin, end, first, close, step, _ = self._here
        if not begin <= ts < end:
            index = self._find(ts)
            if index is None:
                return None
            _, _, first, close, step, _ = self._enter(index)
        if ts <= first:
            return first
        if ts >= close:
            ts = close - 1
        return ts - (ts - first) % step

    def close_of(self, ts_open: int) -> int:
        """Return the exclusive end of the bar that opens at `ts_open`.

        Raises:
            ValueError: no bar opens there.
            ConfigError: `ts_open` lies outside the years that the calendar knows.
        """
        _, _, _, close, step, _ = self._segment_of(ts_open)
        end = ts_open + step
        return end if end < close else close

    def next_open(self, ts_open: int) -> int:
        """Return the `ts_open` of the bar after the one that opens at `ts_open`.

        Raises:
            ValueError: no bar opens there.
            ConfigError: the next one lies outside the years that the calendar knows.
        """
        _, _, _, close, step, index = self._segment_of(ts_open)
        end = ts_open + step
        return end if end < close else self._open_of(index + 1, ts_open)

    def first_from(self, ts: int) -> int:
        """Return the earliest `ts_open` at or after `ts`.

        Raises:
            ConfigError: it lies outside the years that the calendar knows.
        """
        segments = self._segments
        if ts < segments.froms[0]:
            segments.refuse(ts)
        index = bisect_right(segments.opens, ts) - 1
        if index >= 0:
            _, _, first, close, step, _ = self._enter(index)
            ts_open = ts + (first - ts) % step
            if ts_open < close:
                return ts_open
        return self._open_of(index + 1, ts)

    def open_of_end_label(self, label: int) -> int | None:
        """Return the `ts_open` of the bar that ends at `label`, or None if none does.

        Raises:
            ConfigError: `label` lies outside the years that the calendar knows.
        """
        ts_open = self.floor(label - 1)
        return ts_open if ts_open is not None and self.close_of(ts_open) == label else None

    def _find(self, ts: int) -> int | None:
        """Return the number of the segment whose bars take in `ts`."""
        segments = self._segments
        index = bisect_right(segments.froms, ts) - 1
        if index < 0 or ts >= segments.tos[-1]:
            segments.refuse(ts)
        return index if ts < segments.tos[index] else None

    def _enter(self, index: int) -> tuple[int, int, int, int, int, int]:
        """Remember segment `index` and return it."""
        table = self._segments
        first, close = table.opens[index], table.closes[index]
        step = close - first if table.single[index] else self.interval.ns
        self._here = here = (table.froms[index], table.tos[index], first, close, step, index)
        return here

    def _segment_of(self, ts_open: int) -> tuple[int, int, int, int, int, int]:
        """Return the segment with the bar that opens at `ts_open`, which must be one."""
        here = self._here
        if not here[0] <= ts_open < here[1]:
            index = self._find(ts_open)
            if index is None:
                _refuse(ts_open, self.interval, self._segments.market)
            here = self._enter(index)
        first, close, step = here[2:5]
        if not first <= ts_open < close or (ts_open - first) % step:
            _refuse(ts_open, self.interval, self._segments.market)
        return here

    def _open_of(self, index: int, ts: int) -> int:
        opens = self._segments.opens
        if index == len(opens):
            self._segments.refuse(ts)
        return opens[index]


def first_end_after(segments: Segments, ts: int) -> int:
    """Return the end, auction included, of the segment that takes in `ts` or else of the next one.

    Raises:
        ConfigError: it lies outside the years that the calendar knows.
    """
    index = bisect_right(segments.tos, ts)
    if ts < segments.froms[0] or index == len(segments.tos):
        segments.refuse(ts)
    return segments.tos[index]


def _refuse(ts_open: int, interval: Interval, market: str) -> NoReturn:
    raise ValueError(f"no {interval} bar of {market} opens at {iso(ts_open)}")
