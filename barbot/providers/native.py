"""barbot's own frames, for recordings that come from no venue: our samples, tests, converted data. Floor 3.

A text frame is a JSON array that starts with its kind, or a list of such arrays. Trailing fields may be left
out where they have a default; times are ns since the epoch, UTC; what is received is stamped by us:

    ["b", feed, ts_open, open, high, low, close, volume, turnover=0, is_closed=false, ts_event=0]
    ["t", instrument, price, size, ts_event, sequence=-1, trade_id="", aggressor=null]      1 buy, 2 sell
    ["q", instrument, bid, ask, bid_size=0, ask_size=0, ts_event=0, bids=[], asks=[]]       [price, size]
    ["h"]                                                                                   a heartbeat
    ["y", feed, ts_from, ts_to, rows, error=""]         row: a candle as in "b" without its kind and feed

HTTP bodies hold the same frames. Numbers are checked for being numbers; what they say is for the engine to
judge.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

import msgspec

from barbot.errors import DecodeError
from barbot.model.market import BarUpdate, Heartbeat, HistoryBars, MarketEvent, Quote, Side, Trade
from barbot.providers.base import Grace, LabelSide, Provider, Sends, Silence
from barbot.wire.journal import Fetched

NativeEvent: TypeAlias = BarUpdate | Trade | Quote | Heartbeat | HistoryBars
"""What has a frame of its own. The other events come from the connection, not from its frames."""

_Ts: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Row(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    ts_open: _Ts
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float = 0.0
    is_closed: bool = False
    ts_event: _Ts = 0


class _Candle(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True, tag="b"):
    feed: str
    ts_open: _Ts
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float = 0.0
    is_closed: bool = False
    ts_event: _Ts = 0


class _Trade(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True, tag="t"):
    instrument: str
    price: float
    size: float
    ts_event: _Ts
    sequence: _Int64 = -1
    trade_id: str = ""
    aggressor: Side | None = None


class _Quote(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="q"):
    instrument: str
    bid: float
    ask: float
    bid_size: float = 0.0
    ask_size: float = 0.0
    ts_event: _Ts = 0
    bids: tuple[tuple[float, float], ...] = ()
    asks: tuple[tuple[float, float], ...] = ()


class _Heartbeat(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True, tag="h"):
    pass


class _History(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="y"):
    feed: str
    ts_from: _Ts
    ts_to: _Ts
    rows: tuple[_Row, ...]
    error: str = ""


_Item: TypeAlias = _Candle | _Trade | _Quote | _Heartbeat | _History

_ONE: Final = msgspec.json.Decoder(_Item)
_MANY: Final = msgspec.json.Decoder(list[_Item])
_ENCODER: Final = msgspec.json.Encoder()
_STARTS_A_LIST: Final = re.compile(r"\s*\[\s*[\[\]]")


class NativeDecoder:
    """Decodes the native frames of one connection; keeps no state."""

    def __init__(self, connection: str, feeds: tuple[str, ...] = ()) -> None:
        """Name the connection that heartbeats are of; `feeds` are not needed, frames name theirs."""
        self._connection = connection

    def receive_frame(self, frame: str | bytes, now: int) -> list[MarketEvent]:
        """Decode a text frame.

        Raises:
            DecodeError: binary, not JSON, or not a native frame.
        """
        if isinstance(frame, bytes):
            raise DecodeError("native frames are text, this one is binary", frame=frame)
        try:
            if frame[:2] != '["' and _STARTS_A_LIST.match(frame):
                return [self._event(item, now) for item in _MANY.decode(frame)]
            return [self._event(_ONE.decode(frame), now)]
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            problem, _, where = str(error).partition(" - at ")
            raise DecodeError(f"not a native frame: {problem}", frame=frame, where=where) from None

    def receive_fetched(self, record: Fetched, now: int) -> list[MarketEvent]:
        """Decode a body of native frames.

        Raises:
            DecodeError: the status is not 200, or the body no native frame.
        """
        if record.status != 200:
            raise DecodeError(f"{record.method} {record.url} answered {record.status}", frame=record.body)
        return self.receive_frame(record.body, now)

    def _event(self, item: _Item, now: int) -> MarketEvent:
        if isinstance(item, _Candle):
            return BarUpdate(
                item.feed,
                item.ts_open,
                item.open,
                item.high,
                item.low,
                item.close,
                item.volume,
                item.turnover,
                item.is_closed,
                item.ts_event,
                now,
            )
        if isinstance(item, _Trade):
            return Trade(
                item.instrument,
                item.price,
                item.size,
                item.ts_event,
                item.sequence,
                item.trade_id,
                item.aggressor,
                now,
            )
        if isinstance(item, _Quote):
            sizes = (item.bid_size, item.ask_size)
            return Quote(item.instrument, item.bid, item.ask, *sizes, item.ts_event, now, item.bids, item.asks)
        if isinstance(item, _Heartbeat):
            return Heartbeat(self._connection, now)
        return HistoryBars(item.feed, item.ts_from, item.ts_to, _rows_in(item, now), item.error)


def encode_frame(events: Sequence[NativeEvent]) -> str:
    """Return the frame that decodes to `events`: one array for one event, else a list of arrays.

    What a receiver adds is left out: `ts_recv`, a heartbeat's connection; so is `extra`, for which there is
    no field. JSON has no NaN and no infinity: a frame with one is refused when it is decoded.
    """
    items = [_item(event) for event in events]
    return _ENCODER.encode(items[0] if len(items) == 1 else items).decode()


def _item(event: NativeEvent) -> _Item:
    if isinstance(event, BarUpdate):
        return _Candle(
            event.feed,
            event.ts_open,
            event.open,
            event.high,
            event.low,
            event.close,
            event.volume,
            event.turnover,
            event.is_closed,
            event.ts_event,
        )
    if isinstance(event, Trade):
        identity = (event.sequence, event.trade_id, event.aggressor)
        return _Trade(event.instrument, event.price, event.size, event.ts_event, *identity)
    if isinstance(event, Quote):
        top = (event.bid, event.ask, event.bid_size, event.ask_size)
        return _Quote(event.instrument, *top, event.ts_event, event.bids, event.asks)
    if isinstance(event, Heartbeat):
        return _Heartbeat()
    return _History(event.feed, event.ts_from, event.ts_to, _rows_out(event), event.error)


def _rows_in(history: _History, now: int) -> tuple[BarUpdate, ...]:
    return tuple(
        BarUpdate(
            history.feed,
            row.ts_open,
            row.open,
            row.high,
            row.low,
            row.close,
            row.volume,
            row.turnover,
            row.is_closed,
            row.ts_event,
            now,
        )
        for row in history.rows
    )


def _rows_out(history: HistoryBars) -> tuple[_Row, ...]:
    return tuple(
        _Row(
            bar.ts_open,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
            bar.turnover,
            bar.is_closed,
            bar.ts_event,
        )
        for bar in history.bars
    )


PROVIDER: Final = Provider(
    name="native",
    title="barbot's own frames",
    intervals=(),
    label=LabelSide.OPEN,
    declares_close=True,
    sends=Sends.BOTH,
    has_history=False,
    silence=Silence.NOTHING,
    heartbeat_s=0.0,
    max_subscriptions=None,
    zone="UTC",
    grace=Grace(),
    make_decoder=NativeDecoder,
)

HISTORY: Final = msgspec.structs.replace(
    PROVIDER, name="native-history", title="barbot's own frames, with history", declares_close=False, has_history=True
)
"""A venue that sends candles without a closed flag and can be asked for what was missed."""

TRADES: Final = msgspec.structs.replace(
    PROVIDER, name="native-trades", title="barbot's own frames, trades only", declares_close=False, sends=Sends.TRADES
)
"""A venue that sends trades and no candles, so that bars are built here."""
