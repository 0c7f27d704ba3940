"""When markets trade: trading days with their hours, and declared auctions. Floor 1.

Two kinds of calendar: `24/5` (foreign exchange, worked out here from New York's clock) and every code of
exchange_calendars (extra `calendars`), which is imported when the first such calendar is asked for. Nothing
of pandas gets past this module: a calendar comes out as columns of int nanoseconds, loaded once for all the
years the library knows between 1970 and 2049: one year costs it 0.1 s, and all of them together the same.
"""

from __future__ import annotations

import difflib
import warnings
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from barbot.errors import ConfigError
from barbot.timing.interval import DAY, MINUTE, SECOND

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROUND_THE_CLOCK: Final = "24/7"
FOREX: Final = "24/5"

_FIRST: Final = date(1970, 1, 1)
_LAST: Final = date(2049, 12, 31)
_EPOCH: Final = date(1970, 1, 1)


class Auctions(msgspec.Struct, frozen=True):
    """How long the auctions last that a day's bars take in: before its first open, after its last close."""

    opening: int = 0
    closing: int = 0


AUCTIONS: Final = {"XHKG": Auctions(opening=30 * MINUTE, closing=10 * MINUTE)}
"""Auctions by exchange code; an exchange that is not listed has none that bars take in.

Source:
    XHKG: HKEX, "Trading Hours" of the securities market: pre-opening session 09:00-09:30, closing auction
    from 16:00 (half days 12:00) to a random moment between 8 and 10 minutes later. Futu's minute bars carry
    the opening auction alone under the end label 09:30, and the closing auction in the bar labelled 16:00.
"""


class TradingDays(msgspec.Struct, frozen=True):
    """The trading days of a market, oldest first; columns of equal length, times in ns UTC.

    `dates` are the UTC midnights of the days' names: a session that opens on Sunday evening may be Monday's.
    A day without a lunch break has its break outside `opens` and `closes`. Every trading day named from
    `known_from` up to, not including, `known_to` is in the table.
    """

    market: str
    known_from: int
    known_to: int
    dates: list[int]
    opens: list[int]
    closes: list[int]
    break_starts: list[int]
    break_ends: list[int]


class _Schedule(Protocol):
    """What is read of an `exchange_calendars.ExchangeCalendar`."""

    sessions_nanos: NDArray[np.int64]
    opens_nanos: NDArray[np.int64]
    closes_nanos: NDArray[np.int64]
    break_starts_nanos: NDArray[np.int64]
    break_ends_nanos: NDArray[np.int64]

    def bound_min(self) -> datetime | None: ...

    def bound_max(self) -> datetime | None: ...


@lru_cache(maxsize=64)
def trading_days(calendar: str) -> TradingDays:
    """Return the trading days of `24/5` or of an exchange.

    Raises:
        ConfigError: the extra `calendars` is missing, or there is no such calendar.
    """
    return _forex_days() if calendar == FOREX else _exchange_days(calendar)


def _forex_days() -> TradingDays:
    """Monday to Friday, each from 17:00 New York time of the day before to 17:00, holidays included.

    Source:
        The roll of the interbank day at 17:00 New York. Brokers shorten holidays, each in its own way.
    """
    try:
        new_york = ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:
        raise ConfigError(
            "this machine has no time zone data", where="calendar 24/5", remedy="Run: pip install tzdata"
        ) from None
    days = TradingDays(FOREX, _midnight(_FIRST), _midnight(_LAST) + DAY, [], [], [], [], [])
    roll = _roll(_FIRST - timedelta(days=1), new_york)
    for number in range((_LAST - _FIRST).days + 1):
        day = _FIRST + timedelta(days=number)
        before, roll = roll, _roll(day, new_york)
        if day.isoweekday() <= 5:
            days.dates.append(_midnight(day))
            days.opens.append(before)
            days.closes.append(roll)
    days.break_starts.extend([0] * len(days.dates))
    days.break_ends.extend([0] * len(days.dates))
    return days


def _roll(day: date, new_york: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, 17, tzinfo=new_york).timestamp()) * SECOND


def _midnight(day: date) -> int:
    return (day - _EPOCH).days * DAY


def _exchange_days(calendar: str) -> TradingDays:
    code = _resolve(calendar)
    schedule, first, last = _load(code)
    return TradingDays(
        market=code,
        known_from=_midnight(first),
        known_to=_midnight(last) + DAY,
        dates=schedule.sessions_nanos.tolist(),
        opens=schedule.opens_nanos.tolist(),
        closes=schedule.closes_nanos.tolist(),
        break_starts=schedule.break_starts_nanos.tolist(),  # the library's "no break" is a time before 1970
        break_ends=schedule.break_ends_nanos.tolist(),
    )


def _resolve(calendar: str) -> str:
    """Return the exchange's own code for `calendar`, which may be another name of it (`HKEX` is `XHKG`)."""
    try:
        import exchange_calendars
    except ImportError as missing:
        raise ConfigError(
            f"the sessions of {calendar!r} need the package exchange_calendars ({missing})",
            where="calendar",
            remedy='Run: pip install "barbot[calendars]"',
        ) from missing
    names: list[str] = exchange_calendars.get_calendar_names(include_aliases=True)
    if calendar not in names:
        near = difflib.get_close_matches(calendar.upper(), sorted({ROUND_THE_CLOCK, FOREX, *names}), n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "Use 24/7, 24/5 or an exchange's MIC, as XHKG"
        raise ConfigError(f"no market is called {calendar!r}", where="calendar", remedy=hint)
    code: str = exchange_calendars.resolve_alias(calendar)
    return code


def _load(code: str) -> tuple[_Schedule, date, date]:
    """Return the library's calendar over as many years as it knows, and the first and last day asked for."""
    import exchange_calendars

    failures = (ValueError, NotImplementedError, exchange_calendars.errors.CalendarError)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own quarrels with newer versions of pandas
        try:
            try:
                return exchange_calendars.get_calendar(code, start=_FIRST, end=_LAST), _FIRST, _LAST
            except ValueError:  # fewer years than asked for: only an instance tells which, so make its default
                first, last = _bounds(exchange_calendars.get_calendar(code))
                return exchange_calendars.get_calendar(code, start=first, end=last), first, last
        except failures as failure:
            raise ConfigError(
                f"exchange_calendars cannot make {code} ({str(failure)[:100]})",
                where="calendar",
                remedy="Run: pip install --upgrade exchange_calendars",
            ) from failure


def _bounds(schedule: _Schedule) -> tuple[date, date]:
    low, high = schedule.bound_min(), schedule.bound_max()
    return max(_FIRST, low.date()) if low else _FIRST, min(_LAST, high.date()) if high else _LAST
