"""What a price does to an order: pure fill rules, without fees, accounts or time in force. Floor 2.

A `Path` is what a price did as far as an order may know of it; `reach` says where on it an order trades.
`docs/paper.md` lists the rules in the same words, and `tests/core/test_paper.py` has one row for each.
"""

from __future__ import annotations

from decimal import Decimal
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


class WorkingOrder(msgspec.Struct, gc=False):
    """An order as the paper venue holds it. Comparing is done in float, as the market's prices come.

    `limit` and `stop` are times `sign`, the side's, so that lower is better for both sides.
    """

    intent: OrderIntent
    live_at: int
    expires_at: int
    cancel_at: int
    is_buy: bool
    leaves: Decimal
    sign: float = 1.0
    limit: float | None = None
    stop: float | None = None
    is_acknowledged: bool = False
    is_done: bool = False
    is_fresh: bool = True
    note: str = ""

    @property
    def rests(self) -> bool:
        """Whether it waits for a price rather than for the next one."""
        return self.limit is not None or self.stop is not None

    @property
    def is_immediate(self) -> bool:
        """Whether what cannot be filled at once is to be cancelled."""
        return self.intent.time_in_force is _IOC or self.intent.time_in_force is _FOK


def standing(intent: OrderIntent, live_at: int, never: int) -> WorkingOrder:
    """Return the order, standing from `live_at` on; `never` is later than every time."""
    is_buy = intent.side is _BUY
    order = WorkingOrder(intent, live_at, never, never, is_buy, intent.quantity)
    if intent.limit_price is not None or intent.stop_price is not None:
        order.sign = sign = 1.0 if is_buy else -1.0
        order.limit = None if intent.limit_price is None else float(intent.limit_price) * sign
        order.stop = None if intent.stop_price is None else float(intent.stop_price) * sign
    return order


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
    """The newest state of a desk's bar, and when it came, to tell what a later one of the same bar adds to it."""

    __slots__ = ("state", "ts")

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.state: Bar | BarUpdate = _NOTHING
        self.ts = -1

    def take(self, state: Bar | BarUpdate, now: int) -> None:
        """Remember `state`."""
        self.state, self.ts = state, now

    def watch(self, state: Bar | BarUpdate, now: int) -> None:
        """Remember `state` if it is of the market as it is: sound, and no correction of an older bar."""
        if not self.outdates(state) and is_sound(state):
            self.take(state, now)

    def outdates(self, state: Bar | BarUpdate) -> bool:
        """Whether `state` is of an older bar, or of this one after its close: a correction, not the market."""
        seen = self.state
        return state.ts_open < seen.ts_open or (state.ts_open == seen.ts_open and seen.is_closed)

    def equals(self, state: Bar | BarUpdate) -> bool:
        """Whether `state` adds nothing: same bar, same prices, same volume."""
        seen = self.state
        return (
            state.ts_open == seen.ts_open
            and state.close == seen.close
            and state.volume == seen.volume
            and state.high == seen.high
            and state.low == seen.low
        )

    def continued_by(self, state: Bar | BarUpdate, ts: int) -> Path:
        """Return what `state` adds to this state of the same bar: new extremes and its last price."""
        seen, last = self.state, state.close
        high = state.high if state.high > seen.high else last
        low = state.low if state.low < seen.low else last
        volume = max(state.volume - seen.volume, 0.0)
        return Path(seen.close, last, last, max(high, last), min(low, last), last, False, volume, ts, ts)


_NOTHING: Final = BarUpdate("", -1, 0.0, 0.0, 0.0, 0.0, 0.0)


def is_sound(state: Bar | BarUpdate) -> bool:
    """Whether the prices are finite and in order and the volume is not negative."""
    low, high = state.low, state.high
    return -inf < low <= state.open <= high < inf and low <= state.close <= high and 0.0 <= state.volume < inf


def has_traded(state: Bar | BarUpdate) -> bool:
    """Whether the bar holds a trade."""
    return state.volume != 0.0 or state.high != state.low


def shows_all_of(bar: Bar, seen: Seen) -> bool:
    """Whether `bar` is a new one, sound and traded: then all of it shows to what stood when it opened."""
    return bar.ts_open > seen.state.ts_open and bar.quality is not _QUIET and has_traded(bar) and is_sound(bar)


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


class Look(msgspec.Struct, gc=False):
    """What one event shows: to each order the part of it that came after the order stood.

    `whole` counts for orders that stood by `whole_until`, `since` (new since the last state) for those that
    stood by `since_until`, `last` (the newest price alone) for those that stood by `last_until`. `begin` is when
    the event's prices begin.
    """

    begin: int
    whole: Path | None = None
    whole_until: int = -1
    since: Path | None = None
    since_until: int = -1
    last: Path | None = None
    last_sell: Path | None = None
    last_until: int = -1

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
    ts_open = bar.ts_open
    is_next = ts_open > seen.state.ts_open
    if not is_next and (seen.outdates(bar) or seen.equals(bar)):
        return None
    look: Look | None = None
    if bar.quality is not _QUIET and has_traded(bar):
        if is_next:
            look = Look(ts_open, whole_bar(bar), ts_open)
        else:
            look = Look(ts_open, None, -1, seen.continued_by(bar, bar.ts_close), seen.ts)
        if newest > ts_open:
            look.point(bar.close, None, bar.ts_close, bar.ts_close - 1)
    seen.take(bar, now)
    return look


def look_at_update(seen: Seen, update: BarUpdate, now: int) -> Look | None:
    """Return what a forming bar shows beyond what was seen of it; None where that is no trade."""
    if not is_sound(update) or seen.outdates(update):
        return None
    look: Look | None = None
    if has_traded(update) and not seen.equals(update):
        ts = update.ts_event or now
        look = Look(now)
        look.point(update.close, None, ts, now)
        if update.ts_open == seen.state.ts_open:
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
