"""Market data: what venues say (events) and what strategies see (bars). Floor 1.

All records are frozen and carry two times where both exist: `ts_event` (the venue's) and `ts_recv` (ours),
integer nanoseconds since the epoch, UTC. Prices, volumes and turnovers are float64, as venues send them and
indicators want them. Records are array-like on the wire: the order of the fields is the format.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import msgspec


class ClosedBy(enum.IntEnum):
    """What closed a bar."""

    DECLARED = 1
    """The venue said so."""
    SUPERSEDED = 2
    """Data of a later bar arrived."""
    ELAPSED = 3
    """Its end plus the grace passed."""
    HISTORY = 4
    """It came from the venue's history."""


class Quality(enum.IntEnum):
    """How far a bar's content can be trusted."""

    OK = 0
    QUIET = 1
    """No trade, and the feed was provably alive."""
    PARTIAL = 2
    """First seen in the middle and not completed from history."""
    REFILLED = 3
    """The connection was down during it; the content is the venue's history."""
    GAP = 4
    """The connection was down during it, and history could not complete it."""


class Side(enum.IntEnum):
    """Buy or sell; of a trade, the aggressor's side."""

    BUY = 1
    SELL = 2

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class BarExtra(msgspec.Struct, frozen=True, gc=False):
    """What a provider knows of a bar beyond its prices; each provider subclasses it (`bar.extra`)."""


class Bar(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One bar `[ts_open, ts_close)` of one feed, forming or closed.

    `volume` is in units of the instrument, `turnover` in its currency (0.0 where the venue sends none).
    `closed_by` is None while the bar forms; `corrected` counts the amendments after the close.
    """

    feed: str
    ts_open: int
    ts_close: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float = 0.0
    is_closed: bool = True
    closed_by: ClosedBy | None = ClosedBy.DECLARED
    quality: Quality = Quality.OK
    corrected: int = 0
    extra: BarExtra | None = None

    @property
    def instrument(self) -> str:
        """The instrument id, the part of `feed` before the `@`."""
        return self.feed.rpartition("@")[0]


class BarUpdate(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A venue's word on one of its candles: the full state so far, not a difference.

    `is_closed` is True where the venue declares the candle closed, False where it says that it is not, or
    says nothing. `ts_event` is 0 where the venue sends no time with the message.
    """

    feed: str
    ts_open: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float = 0.0
    is_closed: bool = False
    ts_event: int = 0
    ts_recv: int = 0
    extra: BarExtra | None = None


class Trade(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One trade. `sequence` orders trades of equal `ts_event` and, with `trade_id`, tells duplicates.

    A `sequence` of -1 means that the venue sends none, then trades of equal time keep their order of arrival;
    an empty `trade_id` likewise. Size 0 moves prices and not volume.
    """

    instrument: str
    price: float
    size: float
    ts_event: int
    sequence: int = -1
    trade_id: str = ""
    aggressor: Side | None = None
    ts_recv: int = 0


class Quote(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The top of the book, and as many levels as the venue sends, best first, as (price, size)."""

    instrument: str
    bid: float
    ask: float
    bid_size: float = 0.0
    ask_size: float = 0.0
    ts_event: int = 0
    ts_recv: int = 0
    bids: tuple[tuple[float, float], ...] = ()
    asks: tuple[tuple[float, float], ...] = ()


class Connected(msgspec.Struct, frozen=True, array_like=True):
    """A connection is up and serves these feeds (and the trades they are built from) from now on."""

    connection: str
    ts_recv: int
    feeds: tuple[str, ...] = ()


class Disconnected(msgspec.Struct, frozen=True, array_like=True):
    """A connection ended; `reason` is for people."""

    connection: str
    ts_recv: int
    reason: str = ""


class Heartbeat(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Something arrived on a connection that is no market data: a pong, a reply. Proof of life."""

    connection: str
    ts_recv: int


class HistoryBars(msgspec.Struct, frozen=True, array_like=True):
    """Rows of the venue's history for one feed, oldest first, as far as they were asked for.

    They cover `[ts_from, ts_to)`: a bar of that span without a row is one that history does not have.
    The newest row may still be forming; the tracker tells by the time of the step. `error` says why the
    venue gave none.
    """

    feed: str
    ts_from: int
    ts_to: int
    bars: tuple[BarUpdate, ...]
    error: str = ""


class Gap(msgspec.Struct, frozen=True, array_like=True):
    """A hole `[ts_from, ts_to)` in a feed that nothing can fill, and why."""

    feed: str
    ts_from: int
    ts_to: int
    reason: str


MarketEvent: TypeAlias = Bar | BarUpdate | Trade | Quote | Connected | Disconnected | Heartbeat | HistoryBars
"""What a provider or a file feed hands to the engine.

A closed `Bar` is the whole of a bar at its end, and whoever hands one over has checked its numbers: finite, high
and low around open and close, no negative volume, `ts_close` as the grid has it. What is not checked is handed
over as a `BarUpdate`, which the tracker checks itself.
"""
