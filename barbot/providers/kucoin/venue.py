"""How KuCoin's spot and futures sides differ, as two records. Floor 3.

Everything else in this package is written against a `Venue`. Source of each field: README.md, evidence table.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from barbot.providers.limits import RateLimit
from barbot.timing.interval import MONDAY, SECOND, Interval
from barbot.timing.sessions import Grid, grid_for

MILLISECOND: Final = SECOND // 1_000

_TYPES: Final = {
    "1m": ("1min", 1),
    "3m": ("3min", 3),
    "5m": ("5min", 5),
    "15m": ("15min", 15),
    "30m": ("30min", 30),
    "1h": ("1hour", 60),
    "2h": ("2hour", 120),
    "4h": ("4hour", 240),
    "6h": ("6hour", 360),
    "8h": ("8hour", 480),
    "12h": ("12hour", 720),
    "1d": ("1day", 1_440),
    "1w": ("1week", 10_080),
    "1M": ("1month", 43_200),
}
"""Interval to its name on the wire and to the futures side's granularity in minutes."""


class Kind(enum.Enum):
    """What a topic carries."""

    CANDLES = "candles"
    TRADES = "trades"
    QUOTES = "quotes"
    OTHER = "other"


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """One side of KuCoin."""

    name: str
    """As in feed ids."""
    is_futures: bool
    endpoint: str
    """Where its HTTP interface is, without a slash at the end."""
    families: dict[str, Kind]
    """Topic before its colon, to what it carries."""
    intervals: dict[str, str]
    """Interval to its name in topics."""
    symbols_path: str
    candles_path: str
    length_key: str
    """The query parameter that says how long candles are."""
    lengths: dict[str, str]
    """Interval to the value of that parameter."""
    from_key: str
    to_key: str
    query_unit: int
    """In ns, of the two parameters above."""
    page_rows: int
    """How many periods one request may cover."""
    week_anchor: int

    def topic_family(self, kind: Kind) -> str:
        """Return the part of a topic before the colon."""
        return next(family for family, carried in self.families.items() if carried is kind)

    def grid(self, interval: Interval) -> Grid:
        """Return where bars of this length open."""
        return grid_for("24/7", interval, week_anchor=self.week_anchor)


MESSAGE_LIMIT: Final = RateLimit(90, 10.0)
"""How many messages we send on a connection; the venue's own limit is 100, and pings go out against ours."""

TIMESTAMP_PATH: Final = "/api/v1/timestamp"
TOKEN_PATH: Final = "/api/v1/bullet-public"

SPOT: Final = Venue(
    name="kucoin",
    is_futures=False,
    endpoint="https://api.kucoin.com",
    families={"/market/candles": Kind.CANDLES, "/market/match": Kind.TRADES, "/market/ticker": Kind.QUOTES},
    intervals={interval: name for interval, (name, _) in _TYPES.items()},
    symbols_path="/api/v2/symbols",
    candles_path="/api/v1/market/candles",
    length_key="type",
    lengths={interval: name for interval, (name, _) in _TYPES.items()},
    from_key="startAt",
    to_key="endAt",
    query_unit=SECOND,
    page_rows=1_500,
    week_anchor=0,  # the epoch fell on a Thursday: weeks are multiples of 604,800 s since then
)

FUTURES: Final = Venue(
    name="kucoin-futures",
    is_futures=True,
    endpoint="https://api-futures.kucoin.com",
    families={
        "/contractMarket/limitCandle": Kind.CANDLES,
        "/contractMarket/execution": Kind.TRADES,
        "/contractMarket/tickerV2": Kind.QUOTES,
    },
    intervals={interval: name for interval, (name, _) in _TYPES.items() if interval != "6h"},
    symbols_path="/api/v1/contracts/active",
    candles_path="/api/v1/kline/query",
    length_key="granularity",
    lengths={interval: str(minutes) for interval, (_, minutes) in _TYPES.items() if interval != "6h"},
    from_key="from",
    to_key="to",
    query_unit=MILLISECOND,
    page_rows=500,
    week_anchor=MONDAY,  # as its older candle topic had it
)
