"""Bar lengths: parse, print, floor and step. Floor 1.

An `Interval` knows the calendar-free grid of round-the-clock markets, in UTC: seconds to days are multiples
since the epoch, weeks start on Monday, months on the first. A venue that anchors its weeks elsewhere says so
with `week_anchor`. Markets with sessions put their own grid over it (see `sessions.py`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from barbot.errors import ConfigError

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY

MONDAY: Final = 4 * DAY
"""Offset of the first Monday after the epoch (1970-01-01 was a Thursday)."""

_UNITS: Final = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
_ALLOWED: Final = {
    "s": (1, 5, 10, 15, 30),
    "m": (1, 2, 3, 5, 10, 15, 20, 30, 45),
    "h": (1, 2, 3, 4, 6, 8, 12),
    "d": (1,),
    "w": (1,),
    "M": (1,),
}
_PATTERN: Final = re.compile(r"([1-9][0-9]?)([smhdwM])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Interval(msgspec.Struct, frozen=True, order=False):
    """A bar length such as `1m`, `4h`, `1d`, `1w` or `1M` (month: capital M)."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read `"15m"`.

        Raises:
            ConfigError: the text is not a length that barbot knows.
        """
        return _parse(text)

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def is_fixed(self) -> bool:
        """Whether every bar lasts equally long (all but months)."""
        return self.unit != "M"

    @property
    def is_intraday(self) -> bool:
        """Whether a bar is shorter than a day, so that a session cuts it."""
        return self.unit in "smh"

    @property
    def ns(self) -> int:
        """Length in nanoseconds; for a month the nominal 30 days (for sorting, never for stepping)."""
        return self.count * _UNITS[self.unit] if self.unit != "M" else self.count * 30 * DAY

    def floor(self, ts: int, *, week_anchor: int = MONDAY) -> int:
        """Return the `ts_open` of the bar that holds `ts` on the round-the-clock UTC grid."""
        if self.unit == "M":
            moment = _EPOCH + timedelta(seconds=ts // SECOND)
            first = moment.replace(day=1, hour=0, minute=0, second=0)
            return int((first - _EPOCH).total_seconds()) * SECOND
        if self.unit == "w":
            return ts - (ts - week_anchor) % self.ns
        return ts - ts % self.ns

    def next(self, ts_open: int) -> int:
        """Return the `ts_open` of the bar after the one that opens at `ts_open`."""
        if self.unit == "M":
            return self.floor(ts_open + 32 * DAY)
        return ts_open + self.ns

    def divides(self, longer: Interval) -> bool:
        """Whether bars of `longer` can be built from whole bars of this length."""
        if self.unit == "w" or self.ns >= longer.ns:
            return False
        if not longer.is_fixed or longer.unit == "w":
            return self.is_intraday or self.unit == "d"
        return longer.ns % self.ns == 0


@lru_cache(maxsize=64)
def _parse(text: str) -> Interval:
    match = _PATTERN.fullmatch(text)
    if match and int(match[1]) in _ALLOWED[match[2]]:
        return Interval(int(match[1]), match[2])
    known = " ".join(f"{n}{unit}" for unit, counts in _ALLOWED.items() for n in counts)
    raise ConfigError(f"no bar length is called {text!r}", remedy=f"Use one of: {known} (M is a month)")
