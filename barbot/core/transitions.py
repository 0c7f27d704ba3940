"""What a tracker is given and whom it tells: the words of the bar contract as types. Floor 2."""

from __future__ import annotations

from math import inf, isclose
from typing import Final, Protocol, TypeAlias

from barbot.core.spec import Grace
from barbot.model.market import Bar, BarUpdate, ClosedBy, Gap, Quality, Trade
from barbot.timing.sessions import Grid

Data: TypeAlias = BarUpdate | Trade | Bar

_ROUNDING: Final = 1e-9


class Awaiting(Protocol):
    """A tracker whose bar is over by the clock, waiting for proof that the feed is alive."""

    def fire(self, now: int) -> None: ...


class BarSink(Protocol):
    """Who is told of a feed's transitions."""

    @property
    def tells_open(self) -> bool:
        """Whether `opened` is wanted."""

    @property
    def tells_update(self) -> bool:
        """Whether `updated` is wanted."""

    @property
    def stepwise(self) -> bool:
        """Whether a bar that is told as a whole must still be opened and updated for a hook's sake."""

    def opened(self, bar: Bar) -> None: ...
    def updated(self, bar: Bar) -> None: ...
    def tallied(self, bar: Bar) -> None: ...
    def closed(self, bar: Bar) -> None: ...
    def corrected(self, bar: Bar, previous: Bar) -> None: ...
    def gapped(self, gap: Gap) -> None: ...
    def warmed(self, bar: Bar) -> None: ...
    def refused(self, reason: str, event: Data) -> None: ...
    def counted(self, what: str) -> None: ...
    def ask_history(self, ts_from: int, ts_to: int) -> None: ...
    def rearmed(self, deadline: int) -> None: ...


class Connection:
    """What is known of one connection: since when it is up, and when something last arrived on it."""

    __slots__ = ("last_arrival", "name", "up_since", "waiting")

    def __init__(self, name: str) -> None:
        """Know nothing yet."""
        self.name = name
        self.up_since: int | None = None
        self.last_arrival = 0
        self.waiting: list[Awaiting] = []


def implausible(data: BarUpdate) -> str:
    """Return why the numbers of a candle cannot be believed, or nothing."""
    high, low = data.high, data.low
    if not (low <= data.open <= high and low <= data.close <= high):
        if data.open != data.open or data.close != data.close or high != high or low != low:
            return "not_finite"
        return "high_too_low" if high < max(data.open, data.close, low) else "low_too_high"
    if not (-inf < low and high < inf and abs(data.volume) < inf and abs(data.turnover) < inf):
        return "not_finite"
    return "negative_volume" if data.volume < 0.0 or data.turnover < 0.0 else ""


def is_same(data: BarUpdate, bar: Bar) -> bool:
    """Whether the message says what the bar already holds."""
    return (
        data.close == bar.close
        and data.volume == bar.volume
        and data.high == bar.high
        and data.low == bar.low
        and data.open == bar.open
        and data.turnover == bar.turnover
        and data.extra == bar.extra
    )


def is_stale(data: BarUpdate, bar: Bar, event_ts: int) -> bool:
    """Whether the message is older than the bar's state.

    The venue's time decides where both have one; else what only grows while a candle forms: its volume, and at
    equal volume its range. A candle that the venue declares closed is its last word, whatever it holds, and what
    it does not declare comes before that.
    """
    if data.ts_event and event_ts and data.ts_event != event_ts:
        return data.ts_event < event_ts
    if data.is_closed:
        return False
    if bar.closed_by is ClosedBy.DECLARED:
        return True
    if data.volume > bar.volume:
        return False
    return data.volume < bar.volume or data.high < bar.high or data.low > bar.low


def agrees(row: BarUpdate, bar: Bar) -> bool:
    """Whether history says what the bar holds: the same prices, and sums that differ by rounding at most.

    A venue sums decimals and barbot floats; a turnover of 0.0 says nothing.
    """
    return (
        row.close == bar.close
        and row.high == bar.high
        and row.low == bar.low
        and row.open == bar.open
        and isclose(row.volume, bar.volume, rel_tol=_ROUNDING)
        and (not row.turnover or not bar.turnover or isclose(row.turnover, bar.turnover, rel_tol=_ROUNDING))
    )


def moved_to(quiet: Bar, price: float) -> Bar:
    """Return the quiet bar at the corrected close that it repeats."""
    return Bar(
        quiet.feed, quiet.ts_open, quiet.ts_close, price, price, price, price, 0.0, 0.0, True, quiet.closed_by,
        Quality.QUIET, quiet.corrected + 1, quiet.extra,
    )  # fmt: skip


def bars_before(grid: Grid, ts: int, bars: int) -> int:
    """Return a time with at least `bars` openings between it and `ts`, beyond nights and holidays."""
    span = bars * grid.interval.ns
    if grid.step is not None:
        return max(0, ts - span)
    while True:
        opens = []
        ts_open = grid.first_from(ts - span)
        while ts_open < ts:
            opens.append(ts_open)
            ts_open = grid.next_open(ts_open)
        if len(opens) >= bars:
            return opens[-bars]
        span *= 2


def flat(feed: str, ts_open: int, price: float) -> BarUpdate:
    """Make the state of a bar without trades at `price`."""
    return BarUpdate(feed, ts_open, price, price, price, price, 0.0)


class Lateness:
    """How late the data of a feed's bars comes, learned from stamps alone, and the grace that follows from it."""

    __slots__ = ("_bounds", "_latest", "_worst")

    def __init__(self, bounds: Grace) -> None:
        """Begin with the declared grace."""
        self._bounds = bounds
        self._worst = bounds.initial
        self._latest = 0

    @property
    def grace(self) -> int:
        """The worst lateness remembered, within the declared bounds, in ns."""
        return min(max(self._worst, self._bounds.minimum), self._bounds.maximum)

    def note(self, lateness: int) -> None:
        """Note data that came `lateness` ns after its bar's end; more than the upper bound teaches nothing."""
        self._latest = max(self._latest, min(lateness, self._bounds.maximum))

    def learn(self) -> None:
        """End a bar: forget a sixteenth of the worst, and remember the bar's own with a quarter on top."""
        worst = self._worst
        self._worst = max(self._latest + self._latest // 4, worst - worst // 16)
        self._latest = 0
