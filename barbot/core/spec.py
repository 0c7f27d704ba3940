"""What the core must know of a feed before its first bar. Floor 2.

Providers declare, `run/` turns the declaration into a `FeedSpec`, the tracker keeps to it. Nothing here says
whether a run is live, paper or replay, because nothing in the core may ask.
"""

from __future__ import annotations

import enum
from typing import Final, Literal

import msgspec

from barbot.model.instrument import FeedId
from barbot.timing.interval import SECOND
from barbot.timing.sessions import Grid

NEVER: Final = 2**63 - 1
"""A deadline that does not come."""


class Source(enum.Enum):
    """What a feed's bars are made of."""

    CANDLES = "CANDLES"
    """The venue's own candles: each message is the full state of one."""
    TRADES = "TRADES"
    """Single trades; barbot builds the bars."""
    DERIVED = "DERIVED"
    """Closed and forming bars of a shorter feed of the same instrument."""


class Grace(msgspec.Struct, frozen=True):
    """How long after a bar's end its last data may come: bounds and start, in ns of the feed's lateness."""

    minimum: int = SECOND // 2
    initial: int = 2 * SECOND
    maximum: int = 10 * SECOND


class FeedSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One feed as the core sees it.

    A hidden feed is there for what is derived from it: no hook sees it. `skew_ns` is how far ahead of our clock
    a bar may open before it is refused as coming from the future. `missing` says how a hole reads where no
    connection can prove anything (bar files): as a gap, or as a quiet market because the source is known to
    leave out bars without trades. `has_history` says that the venue can be asked for what is missing; answers
    come as `HistoryBars` within `repair_timeout_ns`, or count as none; `history_omits_quiet` that its rows leave
    out bars without trades. `window` closed bars can be corrected.
    """

    feed: FeedId
    grid: Grid
    is_hidden: bool = False
    source: Source = Source.CANDLES
    base: str = ""
    grace: Grace = Grace()
    settle_ns: int = 0
    skew_ns: int = 5 * SECOND
    missing: Literal["gap", "quiet"] = "gap"
    has_history: bool = False
    history_omits_quiet: bool = False
    warmup_bars: int = 0
    repair_timeout_ns: int = 30 * SECOND
    max_held: int = 100_000
    window: int = 200

    @property
    def id(self) -> str:
        """The feed's id, `kucoin:BTC-USDT@1m`."""
        return str(self.feed)
