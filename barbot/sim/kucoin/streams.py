"""What one subscribed topic pushes, in order of time: candles, trades, tickers. Floor 4.

A stream reads the market forward and makes each push when it is due, not before. It knows nothing of connections:
the pushes of a topic are the same for everyone who listens from the same time on.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from barbot.sim.chaos import Chaos
from barbot.sim.kucoin.encode import Encoder
from barbot.sim.kucoin.settings import FUTURES_TYPES, SPOT_TYPES, Json, KuCoinSettings
from barbot.sim.market import LOOK_AHEAD, Candle, Cell, Listing, Market, Tick, decimal_text, seconds
from barbot.sim.seeded import draw, key_of
from barbot.timing.interval import SECOND, Interval

_MILLISECOND: Final = 1_000_000
_BURST: Final = 700_000
"""Between pushes of one burst, ns."""
_SPREAD: Final = 800_000
"""The fraction of a second of a topic's pushes keeps this close to itself, ns."""


class Venue(NamedTuple):
    """What a stream needs of its simulator."""

    market: Market
    settings: KuCoinSettings
    chaos: Chaos
    encoder: Encoder


class Push(NamedTuple):
    """A message and when it goes out."""

    ts: int
    text: str


class Stream(Protocol):
    """The pushes of one topic."""

    due: int
    """When to ask again; there may be nothing then."""

    def push(self) -> list[Push]:
        """Return what is due at `due`, some of it perhaps later, and set the next `due`."""
        ...


def make_streams(venue: Venue, family: str, item: str, now: int) -> list[Stream]:
    """Return what a subscription at `now` sets going: nothing for a symbol or a type that does not exist."""
    market = venue.market
    if family in ("/market/candles", "/contractMarket/limitCandle"):
        symbol, _, kind = item.rpartition("_")
        is_future = family == "/contractMarket/limitCandle"
        interval = (FUTURES_TYPES if is_future else SPOT_TYPES).get(kind)
        if interval is None or not _is_listed(market, symbol, is_future=is_future):
            return []
        return [CandleStream(venue, f"{family}:{item}", symbol, interval, now)]
    if family == "/market/ticker" and item == "all":
        names = [name for name, listing in market.listings.items() if listing.multiplier is None]
        return [TickerStream(venue, "/market/ticker:all", name, name, now) for name in names]
    if not _is_listed(market, item, is_future=family.startswith("/contract")):
        return []
    topic = f"{family}:{item}"
    if family in ("/market/match", "/contractMarket/execution"):
        return [TradeStream(venue, topic, item, now)]
    if family == "/market/ticker":
        return [TickerStream(venue, topic, item, "trade.ticker", now)]
    if family == "/contractMarket/tickerV2":
        return [TickerStream(venue, topic, item, "tickerV2", now)]
    return []


def _is_listed(market: Market, symbol: str, *, is_future: bool) -> bool:
    listing = market.listings.get(symbol)
    return listing is not None and (listing.multiplier is not None) == is_future


class CandleStream:
    """Candles of one symbol and type: at most a push a second, and only if there was a trade."""

    def __init__(self, venue: Venue, topic: str, symbol: str, interval: Interval, now: int) -> None:
        """Begin with the first push after `now`."""
        self._venue = venue
        self._topic = topic
        self._symbol = symbol
        self._interval = interval
        self._listing = venue.market.listings[symbol]
        self._period = round(venue.settings.candle_period_s * SECOND)
        self._delay = round(venue.settings.candle_delay_s * SECOND)
        self._key = key_of(venue.settings.seed, topic)
        self._phase = draw(self._key, 0) % self._period
        self._start = now - (now - self._phase) % self._period - self._delay + 1
        self._cursor = venue.market.cursor(symbol, self._start)
        self._cell: Cell | None = None
        self._knows_past = False
        self._withheld: list[Candle] = []
        self._has_trade = False
        self.due = 0
        self._schedule(now)

    def push(self) -> list[Push]:
        """Return the pushes of this second; see `Stream`."""
        tick_ts = self.due
        if not self._has_trade:
            self._schedule(tick_ts)
            return []
        ticks = self._cursor.take(tick_ts - self._delay + 1)
        self._recall(ticks[0].ts)
        pushes: list[Push] = []
        said = self._advance(ticks, tick_ts)
        for is_new, candle in said:
            self._say(pushes, is_new, candle, tick_ts)
        if self._withheld and said:
            self._say_late(pushes, said[-1][1].ts_open, tick_ts)
        self._schedule(tick_ts)
        return pushes

    def _say_late(self, pushes: list[Push], newest: int, tick_ts: int) -> None:
        """Say what was kept back of candles before the newest."""
        after = tick_ts + round(self._venue.settings.late_update_s * SECOND)
        for candle in self._withheld:
            if candle.ts_open < newest:
                self._say(pushes, False, candle, after)
        self._withheld = [candle for candle in self._withheld if candle.ts_open >= newest]

    def _recall(self, first: int) -> None:
        """Take over the candle that was forming before the subscription, if there is one."""
        if self._knows_past:
            return
        self._knows_past = True
        market = self._venue.market
        before = market.latest(self._symbol, self._start)
        if before:
            ts_open = market.floor(self._interval, before[0].ts)
            self._cell = market.cell(self._symbol, self._interval, ts_open, min(self._start, first))

    def _advance(self, ticks: list[Tick], tick_ts: int) -> list[tuple[bool, Candle]]:
        """Count the trades; return what there is to say: (is it new, candle), oldest first."""
        said: list[tuple[bool, Candle]] = []
        cell, interval = self._cell, self._interval
        end = interval.next(cell.ts_open) if cell is not None else 0
        is_new, is_changed = False, False
        for tick in ticks:
            if cell is None or tick.ts >= end:
                if cell is not None and is_changed:
                    self._conclude(said, is_new, cell, tick_ts)
                ts_open = self._venue.market.floor(interval, tick.ts)
                if cell is not None and self._venue.settings.fills_empty_periods:
                    said += self._empty(end, ts_open, cell.close)
                cell = Cell(ts_open, tick)
                end = interval.next(ts_open)
                is_new = True
            cell.add(tick)
            is_changed = True
        assert cell is not None
        self._cell = cell
        if self._is_complete(cell, end):
            self._conclude(said, is_new, cell, tick_ts)
        else:
            said.append((is_new, cell.candle(self._listing)))
        return said

    def _empty(self, ts: int, until: int, price: int) -> list[tuple[bool, Candle]]:
        text = decimal_text(price, self._listing.price_decimals)
        flat = []
        while ts < until:
            flat.append((True, Candle(ts, text, text, text, text, "0", "0")))
            ts = self._interval.next(ts)
        return flat

    def _is_complete(self, cell: Cell, end: int) -> bool:
        """Whether no more trades come in this period; only worth a look if its last word may be late."""
        return self._venue.chaos.may_strike("late_update") and self._cursor.peek(end) is None

    def _conclude(self, said: list[tuple[bool, Candle]], is_new: bool, cell: Cell, tick_ts: int) -> None:
        """Say the last word on a candle, or keep it back until the next candle was begun."""
        candle = cell.candle(self._listing)
        if self._venue.chaos.strikes("late_update", draw(self._key, cell.ts_open), tick_ts):
            self._withheld.append(candle)
        else:
            said.append((is_new, candle))

    def _say(self, pushes: list[Push], is_new: bool, candle: Candle, ts: int) -> None:
        number = len(pushes)
        moment = ts + draw(self._key, ts) % _SPREAD + number * _BURST
        row: list[Json] = [
            str(seconds(candle.ts_open)),
            candle.open,
            candle.close,
            candle.high,
            candle.low,
            candle.volume,
            candle.turnover,
        ]
        if self._listing.multiplier is None:
            subject, time = "trade.candles.add" if is_new else "trade.candles.update", moment
        else:
            row[5], row[6] = candle.turnover, candle.volume
            subject, time = "candle.stick", moment // _MILLISECOND
        data: Json = {"symbol": self._symbol, "candles": row, "time": time}
        message: dict[str, Json] = {"topic": self._topic, "type": "message", "subject": subject, "data": data}
        pushes.append(Push(moment, self._venue.encoder.text(message)))

    def _schedule(self, now: int) -> None:
        """Set when the next push is due; without a trade in sight, when to look again."""
        limit = max(now, self._start) + LOOK_AHEAD
        tick = self._cursor.peek(limit)
        self._has_trade = tick is not None
        told = (tick.ts if tick is not None else limit - 1) + self._delay
        self.due = told + (self._phase - told) % self._period


class TradeStream:
    """Every trade of one symbol, a message each."""

    def __init__(self, venue: Venue, topic: str, symbol: str, now: int) -> None:
        """Begin with the first trade that is told after `now`."""
        self._venue = venue
        self._topic = topic
        self._listing = venue.market.listings[symbol]
        self._delay = round(venue.settings.trade_delay_s * SECOND)
        self._cursor = venue.market.cursor(symbol, now - self._delay + 1)
        self._limit = 0
        self.due = 0
        self._schedule(now)

    def push(self) -> list[Push]:
        """Return the trades that are due; see `Stream`."""
        due = self.due
        write = self._write if self._listing.multiplier is None else self._write_future
        pushes = [
            Push(tick.ts + self._delay, self._venue.encoder.text(write(tick)))
            for tick in self._cursor.take(due - self._delay + 1)
        ]
        self._schedule(due)
        return pushes

    def _write(self, tick: Tick) -> dict[str, Json]:
        listing = self._listing
        data: Json = {
            "symbol": listing.symbol,
            "sequence": str(tick.sequence),
            "type": "match",
            "side": "buy" if tick.is_buy else "sell",
            "price": decimal_text(tick.price, listing.price_decimals),
            "size": decimal_text(tick.size, listing.size_decimals),
            "tradeId": str(tick.sequence),
            "takerOrderId": f"{tick.sequence * 2:024x}",
            "makerOrderId": f"{tick.sequence * 2 - 1:024x}",
            "time": str(tick.ts),
        }
        return {"topic": self._topic, "type": "message", "subject": "trade.l3match", "data": data}

    def _write_future(self, tick: Tick) -> dict[str, Json]:
        data: Json = {
            "symbol": self._listing.symbol,
            "sequence": tick.sequence,
            "side": "buy" if tick.is_buy else "sell",
            "size": tick.size,
            "price": decimal_text(tick.price, self._listing.price_decimals),
            "takerOrderId": str(tick.sequence * 2),
            "makerOrderId": str(tick.sequence * 2 - 1),
            "tradeId": str(tick.sequence),
            "ts": tick.ts,
        }
        return {"topic": self._topic, "type": "message", "subject": "match", "sn": tick.sequence, "data": data}

    def _schedule(self, now: int) -> None:
        tick = self._cursor.peek(now + LOOK_AHEAD)
        self.due = (tick.ts if tick is not None else now + LOOK_AHEAD - 1) + self._delay


class TickerStream:
    """The last price and the top of the book of one symbol, at most ten times a second."""

    def __init__(self, venue: Venue, topic: str, symbol: str, subject: str, now: int) -> None:
        """Begin with the first trade that is told after `now`."""
        self._venue = venue
        self._topic = topic
        self._subject = subject
        self._listing = venue.market.listings[symbol]
        self._period = round(venue.settings.ticker_period_s * SECOND)
        self._delay = round(venue.settings.trade_delay_s * SECOND)
        self._cursor = venue.market.cursor(symbol, now - self._delay + 1)
        self.due = 0
        self._schedule(now)

    def push(self) -> list[Push]:
        """Return the ticker after the trades up to now; see `Stream`."""
        due = self.due
        ticks = self._cursor.take(due - self._delay + 1)
        self._schedule(due)
        if not ticks:
            return []
        data = ticker_data(self._listing, ticks[-1])
        if self._listing.multiplier is None:
            data["time"] = due // _MILLISECOND
        else:
            data = _futures_ticker(self._listing, ticks[-1], due)
        message: dict[str, Json] = {"topic": self._topic, "type": "message", "subject": self._subject, "data": data}
        return [Push(due, self._venue.encoder.text(message))]

    def _schedule(self, now: int) -> None:
        tick = self._cursor.peek(now + LOOK_AHEAD)
        told = (tick.ts if tick is not None else now + LOOK_AHEAD - 1) + self._delay
        self.due = told + (-told) % self._period


def book_of(listing: Listing, tick: Tick) -> tuple[str, str, str, str]:
    """Return bid, bid size, ask and ask size after a trade: it hit one side, the other is a step away."""
    step = listing.price_step
    bid = max(tick.price - step, step) if tick.is_buy else tick.price
    ask = tick.price if tick.is_buy else tick.price + step
    bits = draw(tick.sequence, 0)
    sizes = (1 + (bits & 0xFFFF) * (tick.size + 1) >> 12, 1 + (bits >> 16 & 0xFFFF) * (tick.size + 1) >> 12)
    return (
        decimal_text(bid, listing.price_decimals),
        decimal_text(sizes[0], listing.size_decimals),
        decimal_text(max(ask, bid + step), listing.price_decimals),
        decimal_text(sizes[1], listing.size_decimals),
    )


def ticker_data(listing: Listing, tick: Tick) -> dict[str, Json]:
    """Return the last trade and the top of the book, without a time."""
    bid, bid_size, ask, ask_size = book_of(listing, tick)
    return {
        "sequence": str(tick.sequence),
        "price": decimal_text(tick.price, listing.price_decimals),
        "size": decimal_text(tick.size, listing.size_decimals),
        "bestAsk": ask,
        "bestAskSize": ask_size,
        "bestBid": bid,
        "bestBidSize": bid_size,
    }


def _futures_ticker(listing: Listing, tick: Tick, now: int) -> dict[str, Json]:
    bid, bid_size, ask, ask_size = book_of(listing, tick)
    return {
        "symbol": listing.symbol,
        "sequence": tick.sequence,
        "bestBidSize": int(bid_size),
        "bestBidPrice": bid,
        "bestAskPrice": ask,
        "bestAskSize": int(ask_size),
        "ts": now,
    }
