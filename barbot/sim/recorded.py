"""A market from a recording: bars or trades of CSV, Parquet and journal files, as tapes. Floor 4.

Trades are taken as they are. A bar becomes four trades, open, extreme, extreme, close, whose candle is the bar:
same prices, same volume; its turnover is that of these trades. A flat bar without volume is a silence. Prices are
kept to as many decimals as the recording shows, at most ten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from barbot.errors import FeedError
from barbot.feeds.feed import open_columns
from barbot.feeds.options import ColumnOptions, SourceSpec
from barbot.model.instrument import FeedId, Instrument
from barbot.model.market import Bar, BarUpdate, HistoryBars, Side, Trade
from barbot.providers.decode import Undecodable, decode_journal
from barbot.sim.market import Listing, Tick
from barbot.timing.interval import MINUTE
from barbot.wire.journal_read import open_reader

_JOURNAL: Final = ".jsonl.zst"
_MOST_DECIMALS: Final = 10
_MOMENTS: Final = (1, 7, 13, 19)
"""When the four trades of a bar happen, in twentieths of it."""
_FIRST_SEQUENCE: Final = 10**16


class RecordedTape:
    """The recorded trades of one symbol, in memory."""

    def __init__(self, listing: Listing, ticks: Sequence[Tick]) -> None:
        """Keep `ticks`, which are in order of time.

        Raises:
            FeedError: there is none.
        """
        if not ticks:
            raise FeedError(f"nothing of {listing.symbol} was traded", where="--feed", remedy="Give another file")
        self.listing = listing
        self.ts_first = ticks[0].ts
        self.ts_last: int | None = ticks[-1].ts + 1
        self._minutes: dict[int, list[Tick]] = defaultdict(list)
        for tick in ticks:
            self._minutes[tick.ts // MINUTE].append(tick)

    def minute(self, index: int) -> Sequence[Tick]:
        """Return the trades of `[index, index + 1)` minutes since the epoch, in order."""
        return self._minutes.get(index, ())


def open_recording(paths: Sequence[str]) -> list[RecordedTape]:
    """Read recordings whole: one journal, or CSV and Parquet files, and return a tape for each instrument.

    Of an instrument that has trades the trades count, else its shortest bars.

    Raises:
        ConfigError: it cannot be told whose rows a file holds.
        FeedError: a file cannot be read, or holds nothing that was traded.
        JournalError: a journal is damaged.
    """
    collected = _Collected()
    for path in paths:
        events = _journal_events(path) if path.endswith(_JOURNAL) else _column_events(path)
        collected.take(events)
    return collected.tapes()


def tape_of_bars(listing: Listing, bars: Iterable[Bar]) -> RecordedTape:
    """Return a tape whose candles are these bars, which are in order of time."""
    return RecordedTape(listing, list(_bar_ticks(listing, bars)))


def tape_of_trades(listing: Listing, trades: Iterable[Trade]) -> RecordedTape:
    """Return a tape of these trades, put in order of time."""
    ordered = sorted(trades, key=_trade_order)
    prices, sizes = 10**listing.price_decimals, 10**listing.size_decimals
    ticks = [
        Tick(
            trade.ts_event,
            round(trade.price * prices),
            round(trade.size * sizes),
            trade.aggressor is not Side.SELL,
            _FIRST_SEQUENCE + number,
        )
        for number, trade in enumerate(ordered)
    ]
    return RecordedTape(listing, ticks)


def _trade_order(trade: Trade) -> tuple[int, int]:
    return trade.ts_event, trade.sequence


class _Collected:
    """What was read so far: trades by instrument, bars by feed."""

    def __init__(self) -> None:
        self._trades: dict[str, dict[tuple[int, int, str], Trade]] = defaultdict(dict)
        self._bars: dict[str, dict[int, Bar]] = defaultdict(dict)

    def take(self, events: Iterable[object]) -> None:
        for event in events:
            if isinstance(event, Trade):
                self._take_trade(event)
            elif isinstance(event, Bar):
                self._bars[event.feed][event.ts_open] = event
            elif isinstance(event, BarUpdate):
                self._bars[event.feed][event.ts_open] = _as_bar(event)
            elif isinstance(event, HistoryBars):
                for row in event.bars:
                    self._bars[event.feed].setdefault(row.ts_open, _as_bar(row))

    def _take_trade(self, trade: Trade) -> None:
        """Keep a trade, once; one that has neither sequence nor id is always another."""
        known = self._trades[trade.instrument]
        has_identity = trade.sequence >= 0 or trade.trade_id
        known[trade.ts_event, trade.sequence if has_identity else len(known), trade.trade_id] = trade

    def tapes(self) -> list[RecordedTape]:
        tapes = []
        for instrument, trades in self._trades.items():
            listing = _listing(instrument, [t.price for t in trades.values()], [t.size for t in trades.values()])
            tapes.append(tape_of_trades(listing, trades.values()))
        shortest: dict[str, FeedId] = {}
        for feed in map(FeedId.parse, self._bars):
            known = shortest.setdefault(feed.instrument, feed)
            if feed.interval.ns < known.interval.ns:
                shortest[feed.instrument] = feed
        for instrument, feed in shortest.items():
            if instrument not in self._trades:
                bars = [bar for _, bar in sorted(self._bars[str(feed)].items())]
                prices = [price for bar in bars for price in (bar.open, bar.high, bar.low, bar.close)]
                tapes.append(tape_of_bars(_listing(instrument, prices, [bar.volume for bar in bars]), bars))
        if not tapes:
            raise FeedError("holds neither bars nor trades", where="--feed", remedy="Give a file that does")
        return tapes


def _as_bar(update: BarUpdate) -> Bar:
    return Bar(
        update.feed,
        update.ts_open,
        FeedId.parse(update.feed).interval.next(update.ts_open),
        update.open,
        update.high,
        update.low,
        update.close,
        update.volume,
    )


def _listing(instrument_id: str, prices: Sequence[float], sizes: Sequence[float]) -> Listing:
    """Return what can be told of an instrument from its numbers."""
    instrument = Instrument.bare(instrument_id)
    return Listing(
        symbol=instrument.symbol,
        base=instrument.base or instrument.symbol,
        quote=instrument.currency,
        price_decimals=_decimals(prices),
        size_decimals=_decimals(sizes),
    )


def _decimals(numbers: Sequence[float]) -> int:
    """Return how many decimals write every number exactly, or the most there may be."""
    texts = {f"{number:.{_MOST_DECIMALS}f}".rstrip("0") for number in set(numbers)}
    return max((len(text.partition(".")[2]) for text in texts), default=0)


def _bar_ticks(listing: Listing, bars: Iterable[Bar]) -> Iterator[Tick]:
    prices, sizes = 10**listing.price_decimals, 10**listing.size_decimals
    sequence = _FIRST_SEQUENCE
    for bar in bars:
        first, high, low, last = (round(price * prices) for price in (bar.open, bar.high, bar.low, bar.close))
        volume = round(bar.volume * sizes)
        if volume == 0 and high == low:
            continue
        turns = (high, low) if high - first <= first - low else (low, high)
        quarter = volume // 4
        span = bar.ts_close - bar.ts_open
        path = zip((first, *turns, last), (volume - 3 * quarter, quarter, quarter, quarter), _MOMENTS, strict=True)
        before = first
        for price, size, moment in path:
            sequence += 1
            yield Tick(bar.ts_open + span * moment // 20, price, size, price >= before, sequence)
            before = price


def _column_events(path: str) -> Iterator[object]:
    for batch in open_columns([SourceSpec.parse(path)], [], ColumnOptions(zone="UTC"), {}).batches():
        yield from batch.events


def _journal_events(path: str) -> Iterator[object]:
    with open_reader(path) as reader:
        for step in decode_journal(reader):
            if not isinstance(step, Undecodable):
                yield from step[1]
