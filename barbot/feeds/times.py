"""Cells to moments: epoch numbers, ISO 8601 and time types, all into ns since the epoch, UTC. Floor 3.

A time without a zone is never guessed: without a stated zone it is refused, and with one a local time that
the zone's clock shows twice or never (the change from and to summer time) is refused too. Epoch numbers tell
their unit by their size, which between 1990 and 2100 leaves no doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import repeat
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from barbot.errors import ConfigError, FeedError
from barbot.feeds.cells import INTEGERS, as_json, texts
from barbot.feeds.options import Unit
from barbot.feeds.table import Array, Cells, Place
from barbot.timing.interval import DAY, MINUTE, SECOND

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the arithmetic of local clocks, before a zone is put on
_UNITS: Final = {"s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
_EARLIEST: Final = 631_152_000
"""1990-01-01 in seconds: an epoch number below it (in every unit) is none."""
_LATEST: Final = 4_102_444_800
"""2100-01-01 in seconds."""
_FIRST_SECOND: Final = -2_208_988_800
"""1900-01-01, and below 2200-01-01: what a date may be. Beyond 2262 a time in ns wraps around unseen."""
_LAST_SECOND: Final = 7_258_118_400
_OFFSET: Final = re.compile(r"[T ].*?(Z|z|[+-]\d\d(?::?\d\d)?)$")
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_QUARTER: Final = 15 * MINUTE
_UTC_NAMES: Final = ("Z", "z", "+00:00", "+0000", "+00")


def zone_of(name: str | None) -> ZoneInfo | None:
    """Return the IANA zone called `name`, None for None.

    Raises:
        ConfigError: there is none of that name.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"no time zone is called {name!r}",
            where="--zone",
            remedy="Use an IANA name such as Asia/Hong_Kong or UTC (on Windows: pip install tzdata)",
        ) from None


def is_number(text: str) -> bool:
    """Return whether the text is a decimal number, as an epoch time may be."""
    return bool(_NUMBER.fullmatch(text.strip()))


def instants(cells: Cells, place: Place, *, aware: bool, zone: ZoneInfo | None, unit: Unit) -> NDArray[np.int64]:
    """Return each cell as ns since the epoch, UTC; `aware` says that a time type is UTC by declaration.

    Raises:
        FeedError: a cell is no time, or names no zone and none is stated, or is no single moment there.
    """
    if len(cells) == 0:
        return np.empty(0, np.int64)
    if isinstance(cells, list):
        return _from_texts(list(map(str.strip, cells)), place, zone, unit)
    if np.ma.is_masked(cells):
        index = int(np.flatnonzero(np.ma.getmaskarray(cells))[0])
        raise _no_time(place, index, "nothing")
    kind = cells.dtype.kind
    if kind == "M":
        return _from_moments(cells, place, zone, aware=aware)
    if kind in "iu":
        return _from_epoch(np.asarray(cells, np.int64), place, unit)
    if kind == "f":
        return _from_fractions([repr(value) for value in cells.tolist()], place, unit)
    return _from_texts(texts(cells), place, zone, unit)


def local_clock(ts: NDArray[np.int64], zone: ZoneInfo | None) -> NDArray[np.int64]:
    """Return what a clock in `zone` (None: UTC) shows at `ts`, as ns since 1970-01-01T00:00 on that clock."""
    if zone is None:
        return ts
    days, where = np.unique(ts // _QUARTER, return_inverse=True)
    moments = (datetime.fromtimestamp(day * (_QUARTER // SECOND), zone) for day in days.tolist())
    offsets = np.array([_seconds(moment.utcoffset()) * SECOND for moment in moments], np.int64)
    shown: NDArray[np.int64] = ts + offsets[where]
    return shown


def _from_moments(cells: Array, place: Place, zone: ZoneInfo | None, *, aware: bool) -> NDArray[np.int64]:
    seconds = cells.astype("datetime64[s]").astype(np.int64)  # not-a-time is the least int64
    bad = np.flatnonzero((seconds < _FIRST_SECOND) | (seconds >= _LAST_SECOND))
    if bad.size:
        raise _no_time(place, int(bad[0]), str(cells[bad[0]]))
    ts = cells.astype("datetime64[ns]").astype(np.int64)
    return ts if aware else _localise(ts, place, zone, lambda index: str(cells[index]))


def _from_texts(cells: list[str], place: Place, zone: ZoneInfo | None, unit: Unit) -> NDArray[np.int64]:
    if not _NUMBER.fullmatch(cells[0]):
        return _from_iso(cells, place, zone)
    values = as_json(cells, INTEGERS)
    if values is None:
        return _from_fractions(cells, place, unit)
    return _from_epoch(np.array(values, np.int64), place, unit)


def _from_epoch(values: NDArray[np.int64], place: Place, unit: Unit) -> NDArray[np.int64]:
    factor = _UNITS[unit if unit != "auto" else _unit_of(abs(int(values[0])))]
    low, high = _EARLIEST * (SECOND // factor), _LATEST * (SECOND // factor)
    if unit != "auto":  # the stated unit settles what the size cannot: any year that 64 bits hold
        low, high = -(2**63 // factor) + 1, 2**63 // factor
    bad = np.flatnonzero((values < low) | (values >= high))
    if bad.size:
        raise _no_time(place, int(bad[0]), str(values[bad[0]]))
    return values * factor


def _unit_of(value: int) -> Unit:
    """Return the unit in which `value` lies between 1990 and 2100; `s` if none does, to be refused then."""
    names: tuple[Unit, ...] = ("s", "ms", "us", "ns")
    for name in names:
        if _EARLIEST * (SECOND // _UNITS[name]) <= value < _LATEST * (SECOND // _UNITS[name]):
            return name
    return "s"


def _from_fractions(cells: Sequence[str], place: Place, unit: Unit) -> NDArray[np.int64]:
    """Read `1626992742.289569`: exact in decimals, where a float would lose what follows the microsecond."""
    known = None if unit == "auto" else _UNITS[unit]
    moments: list[int] = []
    for index, cell in enumerate(cells):
        try:
            value = Decimal(cell)
            known = known or _UNITS[_unit_of(abs(int(value)))]
            ts = int((value * known).to_integral_value())
        except (InvalidOperation, ValueError, OverflowError):
            raise _no_time(place, index, cell) from None
        if not (unit != "auto" or _EARLIEST * SECOND <= ts < _LATEST * SECOND) or abs(ts) >= 2**63:
            raise _no_time(place, index, cell)
        moments.append(ts)
    return np.array(moments, np.int64)


def _from_iso(cells: list[str], place: Place, zone: ZoneInfo | None) -> NDArray[np.int64]:
    match = _OFFSET.search(cells[0])
    offset = match[1] if match else ""
    if offset and not all(map(str.endswith, cells, repeat(offset))):
        return _mixed_offsets(cells, place, zone)
    bodies = [cell[: -len(offset)] for cell in cells] if offset else cells
    naive = _naive(bodies, cells, place)
    if not offset:
        return _localise(naive, place, zone, cells.__getitem__)
    return naive - _offset_ns(offset)


def _mixed_offsets(cells: list[str], place: Place, zone: ZoneInfo | None) -> NDArray[np.int64]:
    """Read times of which some name other offsets than others (a local clock through the year)."""
    offsets = [match[1] if (match := _OFFSET.search(cell)) else "" for cell in cells]
    bodies = [cell[: len(cell) - len(offset)] for cell, offset in zip(cells, offsets, strict=True)]
    naive = _naive(bodies, cells, place)
    bare = [index for index, offset in enumerate(offsets) if not offset]
    if bare:
        rows = np.asarray(place.rows)[bare]
        naive[bare] = _localise(naive[bare], place._replace(rows=rows), zone, lambda i: cells[bare[i]])
    return naive - np.array([_offset_ns(offset) if offset else 0 for offset in offsets], np.int64)


def _naive(bodies: list[str], cells: list[str], place: Place) -> NDArray[np.int64]:
    """Return dates and times without a zone as ns on their own clock."""
    if min(map(len, bodies)) >= len("2026-01-31") and "1900" <= min(bodies) <= max(bodies) < "2200":
        with suppress(ValueError):
            return np.array(bodies, "datetime64[ns]").astype(np.int64)
    index = next(index for index, body in enumerate(bodies) if not _is_iso(body))
    raise _no_time(place, index, cells[index])


def _is_iso(text: str) -> bool:
    if len(text) < len("2026-01-31") or not "1900" <= text < "2200":
        return False
    try:
        np.datetime64(text, "ns")
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)
def _offset_ns(offset: str) -> int:
    if offset in _UTC_NAMES:
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return (minutes if offset[0] == "+" else -minutes) * MINUTE


def _localise(
    naive: NDArray[np.int64], place: Place, zone: ZoneInfo | None, shown: Callable[[int], str]
) -> NDArray[np.int64]:
    """Put `zone` on times of a local clock; measured 20 ns a row for minute bars.

    Offsets change at most at quarters of an hour, and seldom: one look-up a day where the day has one offset.
    """
    if zone is None:
        raise FeedError(
            f"the time {shown(0)!r} names no zone",
            where=place.at(0),
            remedy="State the zone of the file's clock, for example --zone Asia/Hong_Kong, or --zone UTC",
        )
    days, of_day = np.unique(naive // DAY, return_inverse=True)
    offsets = np.array([_offset_of_day(int(day), zone) for day in days], np.float64)[of_day]
    for index in np.flatnonzero(np.isnan(offsets)).tolist():
        offsets[index] = _offset_at(int(naive[index]) // _QUARTER * _QUARTER, zone, place, index, shown)
    return naive - offsets.astype(np.int64) * SECOND


def _offset_of_day(day: int, zone: ZoneInfo) -> float:
    """Return the offset of a local day in seconds, NaN where it changes within the day or close to it."""
    midnight = _EPOCH + timedelta(days=day)
    looks = {_look(midnight + timedelta(hours=hours), zone) for hours in (-3, 0, 3, 6, 12, 24, 27)}
    return looks.pop()[0] if len(looks) == 1 else float("nan")


def _look(local: datetime, zone: ZoneInfo) -> tuple[int, int]:
    first, second = local.replace(tzinfo=zone), local.replace(tzinfo=zone, fold=1)
    return _seconds(first.utcoffset()), _seconds(second.utcoffset())


def _offset_at(naive: int, zone: ZoneInfo, place: Place, index: int, shown: Callable[[int], str]) -> int:
    first, second = _look(_EPOCH + timedelta(seconds=naive // SECOND), zone)
    if first != second:
        times = "never" if first < second else "twice"
        raise FeedError(
            f"the clock in {zone.key} shows {shown(index)!r} {times}",
            where=place.at(index),
            remedy="Write times with an offset, or in UTC",
        )
    return first


def _seconds(offset: timedelta | None) -> int:
    return int((offset or timedelta()).total_seconds())


def _no_time(place: Place, index: int, text: str) -> FeedError:
    return FeedError(
        f"{text!r} is not a time",
        where=place.at(index),
        remedy="Write epoch s, ms, us or ns between 1990 and 2100, or ISO 8601 such as 2026-01-31T09:30:00Z",
    )
