"""The wire: KuCoin's JSON to typed records, and pushes to market events. Floor 3.

A frame is read in two steps: the envelope says by its `type` what it is (an `id` says nothing: data pushes can
carry one), then the data of a push is read by its topic. Numbers come as strings or numbers, whichever the day,
so both are taken everywhere. Keys come in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

import msgspec

from barbot.model.market import BarUpdate, MarketEvent, Quote, Side, Trade
from barbot.providers.kucoin.venue import Kind, Venue
from barbot.timing.interval import SECOND, Interval

_Second: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=(2**63 - 1) // SECOND)]
_Moment: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

_NO_DATA: Final = msgspec.Raw(b"")
_SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
_LEAST_NS: Final = 10**17
"""From here on a time is in ns: 1973 in ns, and as microseconds the year 5138."""


class Envelope(msgspec.Struct, gc=False):
    """As much of a message as a push needs."""

    type: str = ""
    topic: str = ""
    subject: str = ""
    data: msgspec.Raw = _NO_DATA


class Control(msgspec.Struct, gc=False):
    """A message that is no push: welcome, ack, pong, error and what else there may be."""

    type: str = ""
    id: str | int | float | None = None
    code: str | int | float | None = None
    data: object = None


class _Candle(msgspec.Struct, gc=False, array_like=True):
    """The order of the wire: CLOSE stands before high and low."""

    start: _Second
    open: float
    close: float
    high: float
    low: float
    volume: float
    turnover: float


class _Candles(msgspec.Struct, gc=False):
    candles: _Candle
    time: _Moment = 0


class _Match(msgspec.Struct, gc=False):
    price: float
    size: float
    time: _Moment = 0
    ts: _Moment = 0
    side: str = ""
    sequence: _Int64 = -1
    tradeId: str = ""  # noqa: N815 - the wire's name
    symbol: str = ""


class _Ticker(msgspec.Struct, gc=False, rename="camel"):
    best_bid: float | None = None
    best_ask: float | None = None
    best_bid_price: float | None = None
    best_ask_price: float | None = None
    best_bid_size: float | None = None
    best_ask_size: float | None = None
    time: _Moment = 0
    ts: _Moment = 0


read_envelope: Final = msgspec.json.Decoder(Envelope).decode
read_control: Final = msgspec.json.Decoder(Control).decode
_read_candles: Final = msgspec.json.Decoder(_Candles, strict=False).decode
_read_match: Final = msgspec.json.Decoder(_Match, strict=False).decode
_read_ticker: Final = msgspec.json.Decoder(_Ticker, strict=False).decode


class Route:
    """One topic: what it carries, for which feed or instrument, and when it was last heard of."""

    __slots__ = ("decode", "heard", "is_told", "kind", "silence_ns", "target", "topic")

    def __init__(self, topic: str, kind: Kind, target: str, decode: Decode, silence_ns: int) -> None:
        """Begin unheard of; `silence_ns` is how long it may stay silent before somebody is told."""
        self.topic = topic
        self.kind = kind
        self.target = target
        self.decode = decode
        self.silence_ns = silence_ns
        self.heard = 0
        self.is_told = False
        """Whether it was told that it is silent while others are not."""


Decode: TypeAlias = Callable[[Route, Envelope, int], MarketEvent | None]
"""Turns a push into its event, None if it holds none."""


def route_of(venue: Venue, topic: str, *, silent_bars: int = 0, least_ns: int = 0, most_ns: int = 0) -> Route:
    """Return what is to be made of the pushes of `topic`; those of a topic that is not ours come to nothing.

    It may stay silent for `silent_bars` bars (minutes, where it has none), at least and at most as given.
    """
    family, _, item = topic.partition(":")
    kind = venue.families.get(family, Kind.OTHER)
    length = 60 * SECOND
    target, decode = f"{venue.name}:{item}", _DECODERS[kind, venue.is_futures]
    if kind is Kind.CANDLES:
        symbol, _, name = item.rpartition("_")
        interval = next((ours for ours, theirs in venue.intervals.items() if theirs == name), "")
        if not interval or not symbol:
            kind, decode = Kind.OTHER, _skip
        else:
            target = f"{venue.name}:{symbol}@{interval}"
            length = Interval.parse(interval).ns
    return Route(topic, kind, target, decode, min(max(silent_bars * length, least_ns), most_ns))


def to_ns(time: int) -> int:
    """Return ns, whether `time` is in s, ms, us or ns: documentation and wire disagree, magnitudes do not."""
    if time >= _LEAST_NS:
        return time
    return time * (1_000 if time >= 10**14 else 1_000_000 if time >= 10**11 else SECOND)


def _candle(route: Route, push: Envelope, now: int) -> BarUpdate:
    data = _read_candles(push.data)
    row, time = data.candles, data.time
    return BarUpdate(
        route.target, row.start * SECOND, row.open, row.high, row.low, row.close, row.volume, row.turnover,
        False, time if time >= _LEAST_NS else to_ns(time), now,
    )  # fmt: skip


def _futures_candle(route: Route, push: Envelope, now: int) -> BarUpdate:
    """Lots stand last; before them turnover today, lots again until 2024."""
    data = _read_candles(push.data)
    row = data.candles
    turnover, lots = row.volume, row.turnover
    return BarUpdate(
        route.target, row.start * SECOND, row.open, row.high, row.low, row.close, lots,
        turnover if turnover != lots else 0.0, False, to_ns(data.time), now,
    )  # fmt: skip


def _trade(route: Route, push: Envelope, now: int) -> Trade:
    data = _read_match(push.data)
    instrument = route.target
    if "," in instrument:  # should a push ever carry the list that was subscribed
        instrument = f"{instrument.partition(':')[0]}:{data.symbol}"
    return Trade(
        instrument, data.price, data.size, to_ns(data.time or data.ts), data.sequence, data.tradeId,
        _SIDES.get(data.side), now,
    )  # fmt: skip


def _quote(route: Route, push: Envelope, now: int) -> Quote | None:
    data = _read_ticker(push.data)
    bid = data.best_bid if data.best_bid is not None else data.best_bid_price
    ask = data.best_ask if data.best_ask is not None else data.best_ask_price
    if bid is None or ask is None:
        return None  # one side of the book is empty
    instrument = route.target
    if instrument.endswith(":all"):
        instrument = f"{instrument.partition(':')[0]}:{push.subject}"
    return Quote(
        instrument, bid, ask, data.best_bid_size or 0.0, data.best_ask_size or 0.0, to_ns(data.time or data.ts), now
    )


def _skip(route: Route, push: Envelope, now: int) -> None:
    return None


_DECODERS: Final[dict[tuple[Kind, bool], Decode]] = {
    (Kind.CANDLES, False): _candle,
    (Kind.CANDLES, True): _futures_candle,
    (Kind.TRADES, False): _trade,
    (Kind.TRADES, True): _trade,
    (Kind.QUOTES, False): _quote,
    (Kind.QUOTES, True): _quote,
    (Kind.OTHER, False): _skip,
    (Kind.OTHER, True): _skip,
}
