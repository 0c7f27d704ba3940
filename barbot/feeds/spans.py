"""From the time that a bar file gives each row to the bar's opening and close. Floor 3.

The market's grid decides (`timing/sessions.py`). A time that is on no grid is passed on as it stands, one bar
length long, and marked: the engine refuses and counts it. A file of daily bars of a market with sessions may
give the day alone (midnight, in the stated zone or UTC): that is the bar of that trading day.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from barbot.feeds.options import Label
from barbot.feeds.times import local_clock
from barbot.timing.calendars import ROUND_THE_CLOCK, TradingDays, trading_days
from barbot.timing.interval import DAY, HOUR, Interval
from barbot.timing.sessions import Grid, grid_for

Int64s = NDArray[np.int64]


class Span(NamedTuple):
    """Where bars open and close, and whether each lies on the grid; arrays of equal length."""

    opens: Int64s
    closes: Int64s
    fits: NDArray[np.bool_]


class Spans:
    """What the times of one file mean in one market."""

    def __init__(self, calendar: str, interval: Interval, label: Label, zone: ZoneInfo | None) -> None:
        """Lay the grid of `interval` in the market `calendar`; an opening auction is a bar of its own.

        Raises:
            ConfigError: the extra `calendars` is missing, or there is no such calendar.
        """
        self.grid: Grid = grid_for(calendar, interval, auction="own")
        self._interval = interval
        self._is_end = label == "close"
        self._zone = zone
        has_days = calendar != ROUND_THE_CLOCK and interval.unit == "d"
        self._days: TradingDays | None = trading_days(calendar) if has_days else None

    @property
    def slack(self) -> int:
        """How much earlier than its time in the file a row's bar may open, at most."""
        if not self._is_end and self._interval.is_intraday:
            return 0
        return max(self._interval.ns, HOUR) + (DAY if not self._interval.is_intraday else 0)

    def of(self, times: Int64s) -> Span:
        """Return the bars that `times` name."""
        step = self.grid.step
        if step is None:
            return self._by_row(times)
        fits = (times - self.grid.offset) % step == 0
        return Span(times - step, times, fits) if self._is_end else Span(times, times + step, fits)

    def _by_row(self, times: Int64s) -> Span:
        look = self._ending if self._is_end else self._opening
        found = list(map(look, times.tolist()))
        if self._days is not None:
            self._name_days(times, found, self._days)
        length = self._interval.ns
        back = length if self._is_end else 0
        closes = times + (length - back)
        opens = times - back
        fits = np.array([span is not None for span in found], np.bool_)
        if fits.any():
            known = np.array([span for span in found if span is not None], np.int64)
            opens[fits], closes[fits] = known[:, 0], known[:, 1]
        return Span(opens, closes, fits)

    def _opening(self, ts: int) -> tuple[int, int] | None:
        grid = self.grid
        return (ts, grid.close_of(ts)) if grid.floor(ts) == ts else None

    def _ending(self, ts: int) -> tuple[int, int] | None:
        ts_open = self.grid.open_of_end_label(ts)
        return None if ts_open is None else (ts_open, ts)

    def _name_days(self, times: Int64s, found: list[tuple[int, int] | None], days: TradingDays) -> None:
        local = local_clock(times, self._zone)
        for index in np.flatnonzero(local % DAY == 0).tolist():
            day = int(local[index])
            at = bisect_left(days.dates, day)
            if found[index] is None and at < len(days.dates) and days.dates[at] == day:
                found[index] = (days.opens[at], days.closes[at])
