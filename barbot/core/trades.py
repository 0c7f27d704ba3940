"""Bars from single trades: buckets, duplicates, order, exact sums. Floor 2.

Whatever the order of arrival, a bar (after corrections) equals the bar of its trades sorted by (`ts_event`,
`sequence`): extremes do not care, open and close go by the smallest and largest key, and the sums are exact
(`math.fsum` over an error-free expansion), so that they round once and alike. A trade in order costs a few
comparisons and an append; the bar is folded from what was appended only when somebody looks at it, and what tells
its trades from others is noted only when one comes out of order (most bars never see one), or when there are many.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from math import fsum, inf
from typing import Protocol, TypeAlias

from barbot.core.bars import BarTracker
from barbot.core.transitions import Data, is_same
from barbot.model.market import Bar, BarUpdate, MarketEvent, Quality, Trade

Key: TypeAlias = tuple[int, int, str]
"""(`ts_event`, `sequence`, `trade_id`): the order of trades, and what tells one from another."""

Stamped: TypeAlias = Iterator[tuple[int, MarketEvent]]

_ABSURD = 1e100
"""Prices and sizes from here on are taken for garbage: their products and sums could overflow."""

_NOTE_AT = 256
"""Pending trades are noted and let go of when there are so many, so that memory does not grow with a busy bar."""


_MOST_PARTS = 64
"""A sum of more parts than this is made short before more is added: each look at it adds them all up."""


class ExactSum:
    """A sum of floats without rounding: a list of floats that together are the exact value, made short when long."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        """Start at zero."""
        self.parts: list[float] = []

    def add(self, values: list[float]) -> None:
        """Add all `values` exactly."""
        if len(self.parts) > _MOST_PARTS:
            self.shorten()
        self.parts += values

    def shorten(self) -> None:
        """Put the few floats in place of the parts that together are the same exact value."""
        rest = self.parts
        parts: list[float] = []
        while (part := fsum(rest)) != 0.0:
            parts.append(part)
            rest.append(-part)
        self.parts = parts

    @property
    def value(self) -> float:
        """The sum, rounded once."""
        return fsum(self.parts)


class TradeSum:
    """All trades of one bar, folded: enough to put a late trade where it belongs. The first is added, not appended."""

    __slots__ = (
        "arrivals", "close", "first", "folded", "high", "ids", "last", "low", "open", "pending", "seen", "sequences",
        "times", "ts_close", "ts_open", "turnover", "volume",
    )  # fmt: skip

    def __init__(self, ts_open: int, ts_close: int) -> None:
        """Hold no trade yet."""
        self.ts_open = ts_open
        self.ts_close = ts_close
        self.first: Key = (2**63, 0, "")
        self.last: Key = (-1, -1, "")
        self.open = self.close = 0.0
        self.high, self.low = -inf, inf
        self.volume = ExactSum()
        self.turnover = ExactSum()
        self.pending: list[Trade] = []
        """Trades that came in order and are not noted yet; the first `folded` of them are in the sums."""
        self.folded = 0
        self.times: array[int] = array("q")
        self.sequences: array[int] = array("q")
        self.seen: set[tuple[int, int]] | None = None
        self.ids: set[str] = set()
        self.arrivals = 0

    def is_duplicate(self, trade: Trade) -> bool:
        """Whether this very trade is in the bar already: equal in time, sequence and id, as far as it has them.

        Sequence alone is not enough: exchanges give the fills of one order one sequence. A trade with neither
        sequence nor id is never taken for a duplicate.
        """
        if trade.sequence < 0 and not trade.trade_id:
            return False
        self._note()
        if trade.sequence < 0:
            return trade.trade_id in self.ids
        if self.seen is None:
            self.seen = set(zip(self.times, self.sequences, strict=True))
        is_known = (trade.ts_event, trade.sequence) in self.seen
        return is_known and (not trade.trade_id or trade.trade_id in self.ids)

    def add(self, trade: Trade) -> None:
        """Put a trade that is no duplicate in its place, whatever came before it."""
        self.fold()
        if trade.trade_id:
            self.ids.add(trade.trade_id)
        if trade.sequence >= 0:
            self.times.append(trade.ts_event)
            self.sequences.append(trade.sequence)
            if self.seen is not None:
                self.seen.add((trade.ts_event, trade.sequence))
            key = (trade.ts_event, trade.sequence, trade.trade_id)
        else:
            key = (trade.ts_event, self.arrivals, "")
            self.arrivals += 1
        if key < self.first:
            self.first, self.open = key, trade.price
        if key > self.last:
            self.last, self.close = key, trade.price
        self.high = max(self.high, trade.price)
        self.low = min(self.low, trade.price)
        self.volume.add([trade.size])
        self.turnover.add([trade.price * trade.size])

    def fold(self) -> None:
        """Fold the pending trades, which came in order and are no duplicates, into the sums.

        One plain loop: comprehensions, `max` and `min` over the same trades take half as long again.
        """
        pending = self.pending
        if len(pending) == self.folded:
            return
        fresh = pending[self.folded :] if self.folded else pending
        self.folded = len(pending)
        self.last, self.close = _key_of(fresh[-1]), fresh[-1].price
        high, low = self.high, self.low
        sizes: list[float] = []
        values: list[float] = []
        for trade in fresh:
            price, size = trade.price, trade.size
            sizes.append(size)
            values.append(price * size)
            if price > high:
                high = price
            elif price < low:  # a trade was added before, so `low` is never above `high`
                low = price
        self.high, self.low = high, low
        self.volume.add(sizes)
        self.turnover.add(values)
        if self.folded >= _NOTE_AT:
            self._note()

    def _note(self) -> None:
        """Note what tells the pending trades from others, and let go of them."""
        self.fold()
        pending = self.pending
        if not pending:
            return
        times = [trade.ts_event for trade in pending]
        sequences = [trade.sequence for trade in pending]
        self.times.extend(times)
        self.sequences.extend(sequences)
        if self.seen is not None:
            self.seen.update(zip(times, sequences, strict=True))
        if any(ids := [trade.trade_id for trade in pending]):
            self.ids.update(ids)
        pending.clear()
        self.folded = 0

    def state(self, feed: str, now: int) -> BarUpdate:
        """Return the bar so far as a candle."""
        self.fold()
        return BarUpdate(
            feed, self.ts_open, self.open, self.high, self.low, self.close, self.volume.value,
            abs(self.turnover.value), ts_recv=now,
        )  # fmt: skip


def _key_of(trade: Trade) -> Key:
    return (trade.ts_event, trade.sequence, trade.trade_id)


class Clocked(Protocol):
    """Who owns the time while trades are taken in line."""

    @property
    def wakes_at(self) -> int:
        """The time after which something is due before the next event."""

    def passed(self, now: int, tracker: BarTracker) -> None:
        """Note that data for `tracker` was taken, the newest at `now`."""


class TradeBuilder:
    """Build the bars of one feed from trades and hand their states to its tracker."""

    def __init__(self, tracker: BarTracker) -> None:
        """Feed `tracker`; its store is brought up to date when somebody looks."""
        self.tracker = tracker
        self._feed = tracker.feed
        self._instrument = tracker.spec.feed.instrument
        self._grid = tracker.spec.grid
        self._sum: TradeSum | None = None
        self._ts_open = self._ts_close = 0
        self._last_ts = self._last_sequence = -1
        self._pending: list[Trade] = []
        self._stale = False
        self._now = 0
        self._closed: dict[int, TradeSum] = {}
        tracker.store.refresh = self.refresh
        tracker.intake = self.intake  # type: ignore[method-assign]  # the tracker's declared place for a builder

    def trade(self, trade: Trade, now: int) -> None:
        """Take one trade."""
        ts, sequence = trade.ts_event, trade.sequence
        if (
            self._ts_open <= ts < self._ts_close
            and ts >= self._last_ts
            and sequence > self._last_sequence
            and -1e100 < trade.price < 1e100  # _ABSURD, written out: constants cost nothing, names 10 ns each
            and 0.0 <= trade.size < 1e100
            and now < self._ts_close
            and self.tracker.forming is not None
            and self.tracker.held is None
        ):
            self._last_ts, self._last_sequence = ts, sequence
            self._pending.append(trade)
            self._stale = True
            self._now = now
            if self.tracker.sink.tells_update or len(self._pending) >= _NOTE_AT:
                self.refresh()
            return
        self._trade_out_of_line(trade, now)

    def out_of_line(self, stamped: Stamped, host: Clocked) -> Stamped:
        """Yield what of `stamped` is not simply the next trade of the forming bar; take that here, many at a time.

        `host` must be done with what was yielded before it asks for more. What nobody looks at between two trades
        need not be told to anybody: this is a third of the cost of a call a trade.
        """
        pair = next(stamped, None)
        while pair is not None:
            yield pair
            pair = self._take_line(stamped, host)

    def _take_line(self, stamped: Stamped, host: Clocked) -> tuple[int, MarketEvent] | None:
        """Take trades for as long as each is the next in line, as `trade` does; return the first that is not."""
        tracker = self.tracker
        if tracker.forming is None or tracker.held is not None or tracker.sink.tells_update:
            return next(stamped, None)
        end, until = self._ts_close, min(self._ts_close - 1, host.wakes_at)
        last_ts, last_sequence = max(self._last_ts, self._ts_open), self._last_sequence
        instrument, append, taken_at = self._instrument, self._pending.append, -1
        pair = None
        for now, event in stamped:
            if (
                event.__class__ is Trade
                and event.instrument == instrument
                and last_ts <= (ts := event.ts_event) < end
                and (sequence := event.sequence) > last_sequence
                and now <= until
                and -1e100 < event.price < 1e100
                and 0.0 <= event.size < 1e100
            ):
                last_ts, last_sequence, taken_at = ts, sequence, now
                append(event)
            else:
                pair = (now, event)
                break
        if taken_at >= 0:
            self._last_ts, self._last_sequence = last_ts, last_sequence
            self._stale, self._now = True, taken_at
            host.passed(taken_at, tracker)
            if len(self._pending) >= _NOTE_AT:
                self.refresh()
        return pair

    def _trade_out_of_line(self, trade: Trade, now: int) -> None:
        """Take a trade that opens a bar, is late, out of order, a duplicate, wrong, or comes during a repair."""
        tracker = self.tracker
        ts_open = tracker.bar_of(trade.ts_event)
        problem = self._problem(trade, ts_open, now)
        if problem or ts_open is None:
            tracker.sink.refused(problem, trade)
        elif tracker.held is not None and not tracker.goes_on(ts_open):
            tracker.hold(trade)
        elif tracker.forming is not None and ts_open == tracker.forming.ts_open:
            self._within(trade, now)
        elif ts_open >= tracker.floor:
            if tracker.make_way(ts_open, now):
                self._begin(trade, ts_open, now)
            else:
                tracker.hold(trade)
        else:
            self._late(trade, ts_open, now)

    def _problem(self, trade: Trade, ts_open: int | None, now: int) -> str:
        if not (-_ABSURD < trade.price < _ABSURD and -_ABSURD < trade.size < _ABSURD):
            return "not_finite"
        if trade.size < 0.0:
            return "negative_volume"
        if ts_open is None:
            return "outside_session"
        if min(ts_open, trade.ts_event) > now + self.tracker.spec.skew_ns:  # a pre-market trade precedes its bar
            return "from_the_future"
        return ""

    def _begin(self, trade: Trade, ts_open: int, now: int) -> None:
        """Open the bar of the trade. The sum of the bar before is kept for late trades."""
        if self._sum is not None:
            self._retire(self._sum)
        total = TradeSum(ts_open, self._grid.close_of(ts_open))
        self._sum = total
        self._pending = total.pending
        self._ts_open, self._ts_close = ts_open, total.ts_close
        total.add(trade)
        self._last_ts, self._last_sequence = trade.ts_event, trade.sequence
        is_whole = self.tracker.connection is None and trade.ts_event <= ts_open  # a file that begins with the bar
        self.tracker.open(total.state(self._feed, now), now, Quality.OK if is_whole else None)

    def _retire(self, total: TradeSum) -> None:
        total.fold()
        total.seen = None
        self._closed[total.ts_open] = total
        window = self.tracker.spec.window
        if len(self._closed) > window + 64:  # quiet bars that got a late trade stand in it out of order
            for ts_open in sorted(self._closed)[:-window]:
                del self._closed[ts_open]

    def _within(self, trade: Trade, now: int) -> None:
        """Take a trade of the forming bar that is out of order, carries no sequence, or is a duplicate."""
        total = self._sum
        assert total is not None, "a forming bar has a sum"
        if total.is_duplicate(trade):
            self.tracker.sink.counted("duplicate")
            return
        total.add(trade)
        self._last_ts = max(self._last_ts, trade.ts_event)
        self._last_sequence = max(self._last_sequence, trade.sequence)
        self._stale = True
        self._now = now
        self.tracker.late_by(now - total.ts_close)
        if self.tracker.sink.tells_update:
            self.refresh()

    def _late(self, trade: Trade, ts_open: int, now: int) -> None:
        """Amend the closed bar that the trade belongs to."""
        tracker = self.tracker
        index = tracker.find_correctable(ts_open)
        if index is None:
            tracker.sink.counted("too_late")
            return
        previous = tracker.store.bars[index]
        total = self._total_of(previous, now)
        if total is None:
            tracker.sink.counted("late_but_from_history")  # history had it already, and knows better
        elif total.is_duplicate(trade):
            tracker.sink.counted("duplicate")
        else:
            total.add(trade)
            tracker.late_by(now - previous.ts_close)
            state = total.state(self._feed, now)
            if is_same(state, previous) and previous.quality is not Quality.QUIET:
                tracker.sink.counted("late_but_changes_nothing")
            else:
                tracker.amend(index, state)

    def _total_of(self, bar: Bar, now: int) -> TradeSum | None:
        """Return the sum that made a closed bar, an empty one for a quiet bar, None if history made the bar."""
        total = self._closed.get(bar.ts_open)
        if self._sum is not None and self._sum.ts_open == bar.ts_open:
            total = self._sum
        if total is None and bar.quality is Quality.QUIET:
            total = self._closed[bar.ts_open] = TradeSum(bar.ts_open, bar.ts_close)
        elif total is not None and not is_same(total.state(self._feed, now), bar):
            return None
        return total

    def refresh(self) -> None:
        """Bring the forming bar up to date with the trades that came since somebody last looked."""
        if not self._stale:
            return
        self._stale = False
        forming, total = self.tracker.forming, self._sum
        if forming is not None and total is not None:
            state = total.state(self._feed, self._now)
            if not is_same(state, forming):
                self.tracker.replace(state, forming, self._now)

    def intake(self, data: Data, now: int) -> None:
        """Take a trade again that was held back during a repair."""
        if isinstance(data, Trade):
            self.trade(data, now)
        else:
            assert isinstance(data, BarUpdate), "only trades and candles are held"
            self.tracker.update(data, now)
