"""Which grid a market has, and when its trading day ends. Floor 1.

Calendars are `24/7`, `24/5` (foreign exchange, Sunday 17:00 to Friday 17:00 New York) and the exchange codes
of exchange_calendars (`XHKG`, `XNYS`, `XSHG`, ...; extra `calendars`). With sessions, intraday bars are
anchored at the open of each segment and cut at its close, so that lunch and the night are in none; a daily
bar is a trading day, a weekly one its week from first open to last close, a monthly one likewise.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from typing import Literal, TypeAlias

from barbot.timing.calendars import AUCTIONS, ROUND_THE_CLOCK, Auctions, trading_days
from barbot.timing.grid import Grid, MonthGrid, Segments, SessionGrid, StepGrid, first_end_after
from barbot.timing.interval import DAY, MONDAY, WEEK, Interval

__all__ = ["AuctionBar", "Grid", "day_end", "grid_for"]

AuctionBar: TypeAlias = Literal["own", "merge"]
"""Where an opening auction goes: into an `own` bar before the first, or into the first (`merge`)."""

_NO_AUCTIONS = Auctions()


def grid_for(calendar: str, interval: Interval, *, auction: AuctionBar = "merge", week_anchor: int = MONDAY) -> Grid:
    """Return the grid of `interval` in the market `calendar`; the same object each time.

    `auction` decides for intraday bars of markets with a declared opening auction; longer bars take it in.
    `week_anchor` is any moment (ns) at which a week begins.

    Raises:
        ConfigError: the extra `calendars` is missing, or there is no such calendar.
    """
    anchor = week_anchor % WEEK if interval.unit == "w" else 0
    return _grid(calendar, interval, auction == "own" and interval.is_intraday, anchor)


def day_end(calendar: str, ts: int) -> int:
    """Return the end of the trading day that `ts` belongs to, or of the next one if it lies outside.

    For orders that stand for the day. A declared closing auction is part of the day; the day of `24/7` ends
    at midnight UTC. The end is always later than `ts`.

    Raises:
        ConfigError: no such calendar, or `ts` lies outside the years it knows.
    """
    if calendar == ROUND_THE_CLOCK:
        return ts - ts % DAY + DAY
    return first_end_after(_periods(calendar, _ONE_DAY, 0), ts)


_ONE_DAY = Interval(1, "d")


@lru_cache(maxsize=512)
def _grid(calendar: str, interval: Interval, has_auction_bar: bool, week_anchor: int) -> Grid:
    if calendar == ROUND_THE_CLOCK:
        return StepGrid(interval, week_anchor) if interval.is_fixed else MonthGrid(interval)
    if interval.is_intraday:
        return SessionGrid(interval, _sessions(calendar, has_auction_bar))
    return SessionGrid(interval, _periods(calendar, interval, week_anchor))


@lru_cache(maxsize=64)
def _sessions(calendar: str, has_auction_bar: bool) -> Segments:
    """Return the stretches of trading between breaks, as a table that all intraday grids share."""
    days = trading_days(calendar)
    hours = AUCTIONS.get(days.market, _NO_AUCTIONS)
    table = Segments(days.market)
    lead = 0 if has_auction_bar else hours.opening
    for ts_open, ts_close, pause, resume in zip(
        days.opens, days.closes, days.break_starts, days.break_ends, strict=True
    ):
        if has_auction_bar and hours.opening:
            table.add(ts_open - hours.opening, ts_open, is_single=True)
        if ts_open < pause < ts_close:
            table.add(ts_open, pause, lead=lead)
            table.add(resume, ts_close, tail=hours.closing)
        else:
            table.add(ts_open, ts_close, lead=lead, tail=hours.closing)
    return table


@lru_cache(maxsize=64)
def _periods(calendar: str, interval: Interval, week_anchor: int) -> Segments:
    """Return the days, weeks or months, each one bar; a period that is known in part is left out."""
    days = trading_days(calendar)
    hours = AUCTIONS.get(days.market, _NO_AUCTIONS)
    table = Segments(days.market)
    begins = (interval.floor(date, week_anchor=week_anchor) for date in days.dates)
    for begin, members in groupby(zip(begins, days.opens, days.closes, strict=True), key=_first):
        if begin < days.known_from or interval.next(begin) > days.known_to:
            continue
        period = list(members)
        table.add(period[0][1], period[-1][2], lead=hours.opening, tail=hours.closing, is_single=True)
    return table


def _first(row: tuple[int, int, int]) -> int:
    return row[0]
