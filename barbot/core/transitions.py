"""What a tracker is given and whom it tells: the words of the bar contract as types. Floor 2."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from barbot.model.market import Bar, BarUpdate, Gap, Trade

Data: TypeAlias = BarUpdate | Trade | Bar


class Awaiting(Protocol):
    """A tracker whose bar is over by the clock, waiting for proof that the feed is alive."""

    def fire(self, now: int) -> None: ...


class BarSink(Protocol):
    """Who is told of a feed's transitions."""

    tells_open: bool
    """Whether `opened` is wanted."""
    tells_update: bool
    """Whether `updated` is wanted."""
    stepwise: bool
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
    """Whether the message is older than the bar's state: by the venue's time, else by the volume so far."""
    if data.ts_event and event_ts and data.ts_event != event_ts:
        return data.ts_event < event_ts
    return data.volume < bar.volume


def flat(feed: str, ts_open: int, price: float) -> BarUpdate:
    """Make the state of a bar without trades at `price`."""
    return BarUpdate(feed, ts_open, price, price, price, price, 0.0)
