"""The truth behind a fake venue: trades in order of time, and the candles they make. Floor 4.

A market is a set of tapes, one a symbol, each a pure function of time: `minute(index)` returns the trades of that
minute, whenever and however often it is asked. So history, the running candle and a stream that reads minute by
minute agree by construction, a thousand symbols cost nothing until they are looked at, and a test may ask what
should have been seen. Prices and sizes are integers in units of the listing; texts are made of them exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

import msgspec

from barbot.errors import ConfigError
from barbot.timing.interval import MINUTE, SECOND, Interval

LOOK_AHEAD: Final = 5 * MINUTE
"""How far a cursor looks for the next trade before it says that there is none yet."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of a venue. A price is a whole number of `10**-price_decimals`, a multiple of `price_step`.

    A size is a whole number of `10**-size_decimals` (futures: lots of `multiplier` of the base currency).
    """

    symbol: str
    base: str
    quote: str
    price_decimals: int = 2
    price_step: int = 1
    size_decimals: int = 8
    multiplier: Decimal | None = None
    """Of a futures contract; None on the spot market."""

    @property
    def turnover_unit(self) -> tuple[int, int]:
        """What price units times size units is in quote currency: (factor, decimals)."""
        decimals = self.price_decimals + self.size_decimals
        if self.multiplier is None:
            return 1, decimals
        exponent = max(-int(self.multiplier.as_tuple().exponent), 0)
        return int(self.multiplier.scaleb(exponent)), decimals + exponent


class Tick(NamedTuple):
    """One trade, in units of its listing."""

    ts: int
    price: int
    size: int
    is_buy: bool
    sequence: int


class Candle(msgspec.Struct, frozen=True, gc=False):
    """One candle, its numbers as exact decimal texts without trailing zeros, as venues send them."""

    ts_open: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str

    @property
    def floats(self) -> tuple[float, float, float, float, float, float]:
        """Open, high, low, close, volume and turnover as a strategy sees them."""
        return (
            float(self.open),
            float(self.high),
            float(self.low),
            float(self.close),
            float(self.volume),
            float(self.turnover),
        )


class Tape(Protocol):
    """The trades of one symbol."""

    listing: Listing
    ts_first: int
    """Nothing was traded before this time."""
    ts_last: int | None
    """Nothing is traded at or after this time; None: it never ends."""

    def minute(self, index: int) -> Sequence[Tick]:
        """Return the trades of `[index, index + 1)` minutes since the epoch, in order."""
        ...


class Cell:
    """A candle in the making, in units of its listing."""

    __slots__ = ("close", "high", "low", "open", "ts_open", "turnover", "volume")

    def __init__(self, ts_open: int, first: Tick) -> None:
        """Begin with the first trade of the period; it is not counted yet."""
        self.ts_open = ts_open
        self.open = self.high = self.low = self.close = first.price
        self.volume = self.turnover = 0

    def add(self, tick: Tick) -> None:
        """Count a trade, the next one in order."""
        price = tick.price
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.volume += tick.size
        self.turnover += price * tick.size

    def candle(self, listing: Listing) -> Candle:
        """Return it as texts."""
        prices, (factor, decimals) = listing.price_decimals, listing.turnover_unit
        return Candle(
            self.ts_open,
            decimal_text(self.open, prices),
            decimal_text(self.high, prices),
            decimal_text(self.low, prices),
            decimal_text(self.close, prices),
            decimal_text(self.volume, listing.size_decimals),
            decimal_text(self.turnover * factor, decimals),
        )


class Cursor:
    """Reads a tape forward, each trade once."""

    __slots__ = ("_at", "_index", "_minute", "_tape")

    def __init__(self, tape: Tape, ts: int) -> None:
        """Stand before the first trade at or after `ts`."""
        self._tape = tape
        self._index = ts // MINUTE
        self._minute = tape.minute(self._index)
        self._at = sum(tick.ts < ts for tick in self._minute)

    def peek(self, limit: int) -> Tick | None:
        """Return the next trade before `limit` without passing it; None if there is none."""
        while self._at == len(self._minute):
            if (self._index + 1) * MINUTE >= limit:
                return None
            self._index += 1
            self._minute = self._tape.minute(self._index)
            self._at = 0
        tick = self._minute[self._at]
        return tick if tick.ts < limit else None

    def take(self, limit: int) -> list[Tick]:
        """Return the trades before `limit` that were not taken, and pass them."""
        ticks = []
        while (tick := self.peek(limit)) is not None:
            ticks.append(tick)
            self._at += 1
        return ticks


class Market:
    """All tapes of one venue."""

    def __init__(self, tapes: Iterable[Tape], *, week_anchor: int = 0) -> None:
        """Keep the tapes; `week_anchor` is where the venue's weeks begin (0: Thursdays, as KuCoin's).

        Raises:
            ConfigError: two tapes are of one symbol, or there is none.
        """
        self._tapes: dict[str, Tape] = {}
        self._week_anchor = week_anchor
        for tape in tapes:
            if self._tapes.setdefault(tape.listing.symbol, tape) is not tape:
                raise ConfigError(f"{tape.listing.symbol} is listed twice", remedy="Name each symbol once")
        if not self._tapes:
            raise ConfigError("a market needs a symbol", remedy="Name one, such as BTC-USDT")
        self.listings: dict[str, Listing] = {name: tape.listing for name, tape in self._tapes.items()}

    def starts(self, symbol: str, interval: Interval | None = None) -> int:
        """Return before when nothing was traded; with an interval, when the first candle can open."""
        first = self._tapes[symbol].ts_first
        return first if interval is None else self.floor(interval, first)

    def cursor(self, symbol: str, ts: int) -> Cursor:
        """Return a reader that stands before the first trade of `symbol` at or after `ts`."""
        return Cursor(self._tapes[symbol], ts)

    def trades(self, symbol: str, ts_from: int, ts_to: int) -> list[Tick]:
        """Return the trades of `[ts_from, ts_to)` in order."""
        tape = self._tapes[symbol]
        return Cursor(tape, max(ts_from, tape.ts_first)).take(self._end(tape, ts_to))

    def latest(self, symbol: str, before: int, count: int = 1) -> list[Tick]:
        """Return the last `count` trades before `before`, newest first, fewer if there were not more."""
        tape = self._tapes[symbol]
        found: list[Tick] = []
        start = self._end(tape, before)
        for index in range((start - 1) // MINUTE, tape.ts_first // MINUTE - 1, -1):
            found += [tick for tick in reversed(tape.minute(index)) if tick.ts < before]
            if len(found) >= count:
                break
        return found[:count]

    def floor(self, interval: Interval, ts: int) -> int:
        """Return when the candle that holds `ts` opens."""
        return interval.floor(ts, week_anchor=self._week_anchor)

    def cell(self, symbol: str, interval: Interval, ts_open: int, until: int) -> Cell | None:
        """Return the candle that opens at `ts_open` made of the trades before `until`; None without any."""
        tape = self._tapes[symbol]
        return next(self._cells(tape, interval, ts_open, min(interval.next(ts_open), until)), None)

    def candles(
        self, symbol: str, interval: str | Interval, ts_from: int, ts_to: int, *, until: int | None = None
    ) -> list[Candle]:
        """Return the candles that open in `[ts_from, ts_to)`, oldest first, made of the trades before `until`.

        A period without a trade has none. Without `until` each is complete, though its end be in the future.
        """
        length = Interval.parse(interval) if isinstance(interval, str) else interval
        tape = self._tapes[symbol]
        start = self.floor(length, ts_from)
        if start < ts_from:
            start = length.next(start)
        if start >= ts_to:
            return []
        stop = length.next(self.floor(length, ts_to - 1))
        cells = self._cells(tape, length, start, stop if until is None else min(stop, until))
        return [cell.candle(tape.listing) for cell in cells]

    def _cells(self, tape: Tape, interval: Interval, start: int, stop: int) -> Iterator[Cell]:
        """Yield the candles made of the trades of `[start, stop)`."""
        stop = self._end(tape, stop)
        cell: Cell | None = None
        end = 0
        for index in range(max(start, tape.ts_first) // MINUTE, -(-stop // MINUTE)):
            for tick in tape.minute(index):
                if not start <= tick.ts < stop:
                    continue
                if cell is None or tick.ts >= end:
                    if cell is not None:
                        yield cell
                    cell = Cell(self.floor(interval, tick.ts), tick)
                    end = interval.next(cell.ts_open)
                cell.add(tick)
        if cell is not None:
            yield cell

    def _end(self, tape: Tape, ts: int) -> int:
        return ts if tape.ts_last is None else min(ts, tape.ts_last)


def decimal_text(units: int, decimals: int) -> str:
    """Print `units * 10**-decimals` exactly, without exponent and trailing zeros.

    >>> decimal_text(1116, 10), decimal_text(500, 2), decimal_text(0, 8)
    ('0.0000001116', '5', '0')
    """
    if not decimals:
        return str(units)
    digits = str(units).zfill(decimals + 1)
    tail = digits[-decimals:].rstrip("0")
    return f"{digits[:-decimals]}.{tail}" if tail else digits[:-decimals]


def seconds(ns: int) -> int:
    """Return whole seconds since the epoch, as venues write the start of a candle."""
    return ns // SECOND
