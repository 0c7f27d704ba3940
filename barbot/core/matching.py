"""What a price does to an order: pure fill rules, without fees, accounts or time in force. Floor 2.

A `Path` is what a price did as far as an order may know of it; `reach` says where on it an order trades.
`docs/paper.md` lists the rules in the same words, and `tests/core/test_paper.py` has one row for each.
"""

from __future__ import annotations

from math import inf
from typing import Final

import msgspec

from barbot.model.market import Bar, BarUpdate, Quality, Quote, Side, Trade
from barbot.model.order import Liquidity, OrderIntent, TimeInForce

AT_START: Final = 0
"""At the first price of the path: nothing came before it."""
INSIDE_STOP: Final = 1
INSIDE_LIMIT: Final = 2

HIDDEN_LIMIT: Final = "the limit was reached within the bar, taken as before the stop triggered: not filled"
STOP_FIRST: Final = "stop and limit of the same side were reached within one bar: the stop first, the limit waits"

_TAKER: Final = Liquidity.TAKER
_MAKER: Final = Liquidity.MAKER
_BUY: Final = Side.BUY
_QUIET: Final = Quality.QUIET
_IOC: Final = TimeInForce.IOC
_FOK: Final = TimeInForce.FOK


class WorkingOrder:
    """An order as the paper venue holds it. Comparing is done in float, as the market's prices come."""

    __slots__ = (
        "cancel_at",
        "expires_at",
        "intent",
        "is_acknowledged",
        "is_buy",
        "is_done",
        "is_fresh",
        "is_immediate",
        "leaves",
        "limit",
        "live_at",
        "note",
        "sign",
        "stop",
    )

    def __init__(self, intent: OrderIntent, live_at: int, never: int) -> None:
        """Stand from `live_at` on; `never` is later than every time."""
        self.intent = intent
        self.is_buy = intent.side is _BUY
        self.sign = 1.0 if self.is_buy else -1.0
        self.limit = None if intent.limit_price is None else float(intent.limit_price) * self.sign
        self.stop = None if intent.stop_price is None else float(intent.stop_price) * self.sign
        self.leaves = intent.quantity
        self.live_at = live_at
        self.expires_at = self.cancel_at = never
        self.is_acknowledged = self.is_done = False
        self.is_immediate = intent.time_in_force is _IOC or intent.time_in_force is _FOK
        self.is_fresh = True
        self.note = ""


class Path(msgspec.Struct, frozen=True, gc=False):
    """What a price did.

    `start` is the price it came from, `gap` the first one that could be traded at where `start` was already
    beyond an order's price, `market` what a market order gets, `last` the newest. `opens` is True where the
    path holds a bar's opening. `volume` is None where it is not known to be all of this path.
    """

    start: float
    gap: float
    market: float
    high: float
    low: float
    last: float
    opens: bool
    volume: float | None
    ts_first: int
    ts_last: int


class Hit(msgspec.Struct, frozen=True, gc=False):
    """Where an order trades; `price` None means at its own stop (INSIDE_STOP) or limit (INSIDE_LIMIT)."""

    phase: int
    price: float | None
    liquidity: Liquidity


def whole_bar(bar: Bar) -> Path:
    """Return the path of a closed bar that opened when the order already stood."""
    first = bar.open
    return Path(first, first, first, bar.high, bar.low, bar.close, True, bar.volume, bar.ts_open, bar.ts_close)


def whole_update(update: BarUpdate, ts: int) -> Path:
    """Return the path of a forming bar, first seen, that opened when the order already stood."""
    first, last = update.open, update.close
    return Path(first, first, last, update.high, update.low, last, True, update.volume, ts, ts)


def point(price: float, volume: float | None, ts: int) -> Path:
    """Return the path of a single price."""
    return Path(price, price, price, price, price, price, False, volume, ts, ts)


class Seen:
    """The newest state of a desk's bar, to tell what a later one of the same bar adds to it."""

    __slots__ = ("close", "high", "is_closed", "low", "ts", "ts_open", "volume")

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.ts_open = self.ts = -1
        self.high = self.low = self.close = self.volume = 0.0
        self.is_closed = False

    def take(self, state: Bar | BarUpdate, now: int) -> None:
        """Remember `state`."""
        self.ts_open, self.ts = state.ts_open, now
        self.high, self.low, self.close = state.high, state.low, state.close
        self.volume, self.is_closed = state.volume, state.is_closed

    def watch(self, state: Bar | BarUpdate, now: int) -> None:
        """Remember `state` if it is of the market as it is: sound, and no correction of an older bar."""
        ts_open = state.ts_open  # `outdates`, `is_sound` and `take` written out: every live update comes here
        if ts_open < self.ts_open or (ts_open == self.ts_open and self.is_closed):
            return
        low, high, close, volume = state.low, state.high, state.close, state.volume
        if -inf < low <= state.open <= high < inf and low <= close <= high and 0.0 <= volume < inf:
            self.ts_open, self.ts = ts_open, now
            self.high, self.low, self.close = high, low, close
            self.volume, self.is_closed = volume, state.is_closed

    def outdates(self, state: Bar | BarUpdate) -> bool:
        """Whether `state` is of an older bar, or of this one after its close: a correction, not the market."""
        return state.ts_open < self.ts_open or (state.ts_open == self.ts_open and self.is_closed)

    def equals(self, state: Bar | BarUpdate) -> bool:
        """Whether `state` adds nothing: same bar, same prices, same volume."""
        return (
            state.ts_open == self.ts_open
            and state.close == self.close
            and state.volume == self.volume
            and state.high == self.high
            and state.low == self.low
        )

    def continued_by(self, state: Bar | BarUpdate, ts: int) -> Path:
        """Return what `state` adds to this state of the same bar: new extremes and its last price."""
        last = state.close
        high = state.high if state.high > self.high else last
        low = state.low if state.low < self.low else last
        volume = max(state.volume - self.volume, 0.0)
        return Path(self.close, last, last, max(high, last), min(low, last), last, False, volume, ts, ts)


def is_sound(state: Bar | BarUpdate) -> bool:
    """Whether the prices are finite and in order and the volume is not negative."""
    low, high = state.low, state.high
    return -inf < low <= state.open <= high < inf and low <= state.close <= high and 0.0 <= state.volume < inf


def reach(order: WorkingOrder, path: Path, *, through: bool) -> Hit | None:
    """Return where `order` trades on `path`, or None. A stop that triggers is marked so on the order."""
    if order.stop is not None:
        return _reach_stop(order, order.stop, path, through)
    if order.limit is None:
        return Hit(AT_START, path.market, _TAKER)
    return _reach_limit(order, order.limit, path, through, fresh=order.is_fresh)


def _reach_limit(order: WorkingOrder, limit: float, path: Path, through: bool, *, fresh: bool) -> Hit | None:
    """Fill at the first price if it is as good or better, else at the limit if the path gets there.

    `limit` and prices are taken times the side's sign, so that lower is better for both sides.
    """
    gap = path.gap * order.sign
    if (fresh and gap <= limit) or (path.opens and gap < limit):
        return Hit(AT_START, path.gap, _TAKER if fresh else _MAKER)
    best = path.low if order.is_buy else -path.high
    if _reached(best, limit, through):
        return Hit(INSIDE_LIMIT, None, _MAKER)
    return None


def _reach_stop(order: WorkingOrder, stop: float, path: Path, through: bool) -> Hit | None:
    """Trigger at the first price if it is beyond the stop, else at the stop if the path gets there."""
    limit = order.limit
    if path.start * order.sign >= stop:
        order.stop = None
        if limit is not None:
            return _reach_limit(order, limit, path, through, fresh=True)
        return Hit(AT_START, path.gap, _TAKER)
    if (path.high if order.is_buy else -path.low) < stop:
        return None
    order.stop = None
    if limit is None or stop <= limit:
        return Hit(INSIDE_STOP, None, _TAKER)
    if _reached(path.last * order.sign, limit, through):
        return Hit(INSIDE_LIMIT, None, _MAKER)
    if _reached(path.low if order.is_buy else -path.high, limit, through):
        order.note = HIDDEN_LIMIT
    return None


def _reached(best: float, limit: float, through: bool) -> bool:
    return best < limit or (best == limit and not through)


class Look:
    """What one event shows: to each order the part of it that came after the order stood.

    `whole` counts for orders that stood by `whole_until`, `since` (new since the last state) for those that
    stood by `since_until`, `last` (the newest price alone) for those that stood by `last_until`.
    """

    __slots__ = ("begin", "last", "last_sell", "last_until", "since", "since_until", "whole", "whole_until")

    def __init__(self, begin: int) -> None:
        """Show nothing yet; `begin` is when the event's prices begin."""
        self.begin = begin
        self.whole: Path | None = None
        self.since: Path | None = None
        self.last: Path | None = None
        self.last_sell: Path | None = None
        self.whole_until = self.since_until = self.last_until = -1

    def point(self, price: float, volume: float | None, ts: int, until: int) -> None:
        """Show the newest price, to what stood by `until`."""
        self.last = self.last_sell = point(price, volume, ts)
        self.last_until = until

    def path(self, order: WorkingOrder) -> Path | None:
        """Return the part of the event that came after `order` stood; None if all of it came before."""
        live_at = order.live_at
        if live_at <= self.whole_until:
            return self.whole
        if live_at <= self.since_until:
            return self.since
        if live_at <= self.last_until:
            return self.last if order.is_buy else self.last_sell
        return None


def look_at_bar(seen: Seen, bar: Bar, now: int, newest: int) -> Look | None:
    """Return what a closed bar shows; None for a quiet, unsound or outdated one.

    `newest` is when the newest order came to stand: a bar that opened since then shows all of itself to all.
    """
    if not is_sound(bar):
        return None
    is_next = bar.ts_open > seen.ts_open
    if not is_next and (seen.outdates(bar) or seen.equals(bar)):
        return None
    look: Look | None = None
    if bar.quality is not _QUIET and (bar.volume != 0.0 or bar.high != bar.low):
        look = Look(bar.ts_open)
        if is_next:
            look.whole, look.whole_until = whole_bar(bar), bar.ts_open
        else:
            look.since, look.since_until = seen.continued_by(bar, bar.ts_close), seen.ts
        if newest > bar.ts_open:
            look.point(bar.close, None, bar.ts_close, bar.ts_close - 1)
    seen.take(bar, now)
    return look


def look_at_update(seen: Seen, update: BarUpdate, now: int) -> Look | None:
    """Return what a forming bar shows beyond what was seen of it; None where that is no trade."""
    if not is_sound(update) or seen.outdates(update):
        return None
    look: Look | None = None
    if (update.volume != 0.0 or update.high != update.low) and not seen.equals(update):
        ts = update.ts_event or now
        look = Look(now)
        look.point(update.close, None, ts, now)
        if update.ts_open == seen.ts_open:
            look.since, look.since_until = seen.continued_by(update, ts), seen.ts
        else:
            look.whole, look.whole_until = whole_update(update, ts), update.ts_open
    seen.take(update, now)
    return look


def look_at_trade(trade: Trade, now: int) -> Look | None:
    """Return what a trade shows to orders that stood before its time; one of the same time may be older."""
    if not -inf < trade.price < inf or not 0.0 <= trade.size < inf:
        return None
    look = Look(now)
    look.point(trade.price, trade.size, trade.ts_event, min(trade.ts_event, now) - 1)
    return look


def look_at_quote(quote: Quote, now: int) -> Look | None:
    """Return what a quote shows: the ask to buys, the bid to sells."""
    if not -inf < quote.bid <= quote.ask < inf:
        return None
    ts = quote.ts_event or now
    look = Look(now)
    look.point(quote.ask, quote.ask_size, ts, now)
    look.last_sell = point(quote.bid, quote.bid_size, ts)
    return look
