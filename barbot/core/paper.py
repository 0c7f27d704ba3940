"""The paper venue: answers approved orders from market events with execution reports. Floor 2.

It stands where a live venue would: `submit` and `cancel` say nothing themselves, every answer comes out of a
later `match(event, now)`, so no order is filled by the event that caused it. Of each instrument one price
source counts (the finest feed, `trades` or `quotes`); a coarser bar would fill at prices from before the order.
The rules, one by one, are in `docs/paper.md`; `matching.py` holds those of prices, this file those of time,
volume, money and the order's life. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Final, TypeAlias

from barbot.core.costs import Costs, against, no_latency, no_slippage
from barbot.core.costs import PaperSettings as PaperSettings
from barbot.core.ledger import EXACT, ZERO
from barbot.core.matching import (
    INSIDE_LIMIT,
    INSIDE_STOP,
    STOP_FIRST,
    Hit,
    Look,
    Path,
    Seen,
    WorkingOrder,
    look_at_bar,
    look_at_quote,
    look_at_trade,
    look_at_update,
    reach,
    shows_all_of,
    standing,
)
from barbot.core.risk import Approved
from barbot.errors import ConfigError
from barbot.model.instrument import Instrument, to_decimal
from barbot.model.market import Bar, BarUpdate, MarketEvent, Quote, Trade
from barbot.model.order import ExecutionReport, Fill, Liquidity, OrderStatus, OrderType, TimeInForce
from barbot.timing.sessions import day_end as session_day_end

NEVER: Final = 1 << 62
"""Later than every time."""

TRADES: Final = "trades"
QUOTES: Final = "quotes"

NO_QUOTE: Final = "no quote yet: filled without the half spread"

_ONE: Final = Decimal(1)
_BARS: Final = (Bar, BarUpdate)
_TICKS: Final = (Trade, Quote)
_TAKER: Final = Liquidity.TAKER
_DAY: Final = TimeInForce.DAY
_MARKET: Final = OrderType.MARKET
_FOK: Final = TimeInForce.FOK
_NEW: Final = OrderStatus.NEW
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_FILLED: Final = OrderStatus.FILLED
_CANCELED: Final = OrderStatus.CANCELED
_REJECTED: Final = OrderStatus.REJECTED
_EXPIRED: Final = OrderStatus.EXPIRED
_multiply: Final = EXACT.multiply

Afford: TypeAlias = Callable[[Fill, Sequence[Fill]], str]
"""(fill, earlier fills of the same match, not booked yet) -> why the account cannot pay it, "" if it can."""

DayEnd: TypeAlias = Callable[[str, int], int]
"""(calendar, time) -> end of the trading day."""


class _Desk:
    """One instrument: its working orders, oldest first, and what was last seen of its price source."""

    __slots__ = ("instrument", "newest", "orders", "quote", "seen", "shown_by", "source", "told_no_quote")

    def __init__(self, instrument: Instrument, source: str) -> None:
        self.instrument = instrument
        self.source = source
        self.shown_by = source if "@" in source else instrument.id
        self.orders: list[WorkingOrder] = []
        self.newest = -1
        self.seen = Seen()
        self.quote: Quote | None = None
        self.told_no_quote = False


class PaperVenue:
    """Holds working orders and answers them from market events.

    `idle` is True while `match` need not be called: nothing works, nothing is to be answered, and the price
    sources are whole bars or trades. Quotes must be shown to it always. It is False until the first price
    comes, and stays False once a source is a forming bar (`BarUpdate`): there, what is new can be told only
    by what was there before.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        settings: PaperSettings,
        sources: Mapping[str, str],
        *,
        costs: Costs | None = None,
        afford: Afford | None = None,
        day_end: DayEnd = session_day_end,
    ) -> None:
        """Trade `instruments` at the prices of `sources` (instrument id -> feed id, `trades` or `quotes`).

        `costs` replaces what the settings say of fees, slippage and latency. `afford` is asked before each
        fill (see `risk.Funds`); without it, everything can be paid.

        Raises:
            ConfigError: a source is neither a feed id nor `trades` nor `quotes`.
        """
        self._volume_limit = settings.volume_limit
        costs = costs or settings.costs()
        self._fees, self._slippage, self._latency = costs.fees, costs.slippage, costs.latency
        self._slips, self._lags = costs.slippage is not no_slippage, costs.latency is not no_latency
        self._afford = afford
        self._day_end = day_end
        self._through = settings.limit_fill == "through"
        for name, source in sources.items():
            if "@" not in source and source not in (TRADES, QUOTES):
                raise ConfigError(
                    f"{source!r} is no price source", where=name, remedy="Name a feed id, trades or quotes"
                )
        self._desks = {name: _Desk(instruments[name], source) for name, source in sources.items()}
        self._by_feed = {desk.source: desk for desk in self._desks.values() if "@" in desk.source}
        self._is_by_feed = len(self._by_feed) == len(self._desks)
        self._working: set[str] = set()
        """Of the desks that hold orders: the feed whose bars show them prices, the instrument where ticks do."""
        self._orders: dict[str, tuple[_Desk, WorkingOrder]] = {}
        self._pending: list[ExecutionReport] = []
        self._unbooked: list[Fill] = []
        self._sweep_at = NEVER
        self._fill_number = 0
        self._is_watching: bool | None = None
        self.idle = False

    def submit(self, approved: Approved, now: int) -> list[ExecutionReport]:
        """Take an order, standing from `now` plus latency on; answers come out of the next `match`."""
        intent = approved.intent
        desk = self._desks.get(intent.instrument)
        self.idle = False
        if desk is None:
            why = f"{intent.instrument} has no price source here; add a feed of it to the strategy"
            self._pending.append(_report(intent.client_order_id, _REJECTED, now, now, why))
            return []
        live_at = self._latency(now) if self._lags else now
        order = standing(intent, live_at, NEVER)
        if intent.time_in_force is _DAY:
            order.expires_at = self._day_end(desk.instrument.calendar, live_at)
            self._sweep_at = min(self._sweep_at, order.expires_at + 1)
        desk.orders.append(order)
        self._working.add(desk.shown_by)
        if live_at > desk.newest:  # not max(): it costs three times as much
            desk.newest = live_at
        self._orders[intent.client_order_id] = (desk, order)
        if intent.type is not _MARKET and live_at < self._sweep_at:
            self._sweep_at = live_at + 1
        return []

    def cancel(self, client_order_id: str, now: int) -> list[ExecutionReport]:
        """Take a cancel, done at `now` plus latency unless a fill comes first; the answer comes with `match`."""
        self.idle = False
        found = self._orders.get(client_order_id)
        if found is None:
            why = "no working order has this id"
            self._pending.append(_report(client_order_id, _REJECTED, now, now, why))
            return []
        order = found[1]
        order.cancel_at = min(order.cancel_at, self._latency(now))
        self._sweep_at = min(self._sweep_at, order.cancel_at)
        return []

    def match(self, event: MarketEvent, now: int) -> list[ExecutionReport]:
        """Return what `event` means to the orders: fills, ends, and the answers still owed.

        Call it before the engine steps over the same event, and apply the reports before that step.
        """
        if event.__class__ is BarUpdate and self._is_watching and not self._pending and now < self._sweep_at:
            desk = self._by_feed.get(event.feed)
            if desk is None or not desk.orders:  # by far the commonest in live: nothing but to be remembered
                if desk is not None:
                    desk.seen.watch(event, now)
                return []
        reports, self._pending = self._pending, []
        desk = self._by_feed.get(event.feed) if type(event) is Bar else self._desk_of(event)
        if desk is not None:
            if not self._is_watching:
                self._is_watching = type(event) is BarUpdate
            if desk.orders:
                if not self._filled_at_open(desk, event, now, reports):
                    self._work(desk, _look(desk, event, now), now, reports)
                if not self._orders:
                    self._sweep_at = NEVER
            elif self._is_watching and isinstance(event, _BARS):
                desk.seen.watch(event, now)
        if now >= self._sweep_at:
            self._sweep(desk, now, reports)
        if self._unbooked:
            self._unbooked.clear()
        self.idle = not self._orders and self._is_watching is False
        return reports

    @property
    def wakes_at(self) -> int:
        """When any event must be shown, because time alone decides something."""
        return self._sweep_at

    @property
    def watched(self) -> Collection[str] | None:
        """The feeds whose whole bars must be shown before `wakes_at`; None: everything must be shown."""
        if self.idle:
            return ()
        if self._is_watching is not False or self._pending:
            return None
        return self._working if self._is_by_feed or self._working <= self._by_feed.keys() else None

    # What an event shows

    def _desk_of(self, event: MarketEvent) -> _Desk | None:
        """Return the desk whose price source the event is; keep a quote for the desk it concerns."""
        if isinstance(event, _BARS):
            return self._by_feed.get(event.feed)
        if not isinstance(event, _TICKS):
            return None
        desk = self._desks.get(event.instrument)
        if desk is None:
            return None
        if isinstance(event, Trade):
            return desk if desk.source == TRADES else None
        desk.quote = event
        return desk if desk.source == QUOTES else None

    # What it means to the orders of its desk

    def _filled_at_open(self, desk: _Desk, event: MarketEvent, now: int, reports: list[ExecutionReport]) -> bool:
        """Fill a market order that stands alone at the open of a whole new bar; return whether it was so.

        This is what `_work` comes to then, in a third of the steps; nearly all orders of a replay are of this kind.
        """
        if len(desk.orders) > 1 or type(event) is not Bar or self._volume_limit is not None:
            return False
        order = desk.orders[0]
        if order.limit is not None or order.stop is not None:
            return False
        begin = event.ts_open
        if not order.live_at <= begin < order.expires_at or order.cancel_at <= now:
            return False
        if not shows_all_of(event, desk.seen):
            return False
        desk.seen.take(event, now)
        desk.orders = []
        self._working.discard(desk.shown_by)
        self._execute(desk, order, to_decimal(event.open), _TAKER, order.leaves, begin, now, reports)
        return True

    def _work(self, desk: _Desk, look: Look | None, now: int, reports: list[ExecutionReport]) -> None:
        begin = now if look is None else look.begin
        hits: list[tuple[int, WorkingOrder, Hit, Path, bool]] = []
        for order in desk.orders:
            if (order.cancel_at <= now or order.expires_at <= begin) and self._ended(order, begin, now, reports):
                continue
            if look is not None:
                self._meet(order, look, now, reports, hits)
        if len(hits) == 1:
            _, order, hit, path, _ = hits[0]
            self._fill(desk, order, hit, path, ZERO, now, reports)
        elif hits:
            self._trade(desk, hits, now, reports)
        self._close_books(desk, now, reports)

    def _ended(self, order: WorkingOrder, begin: int, now: int, reports: list[ExecutionReport]) -> bool:
        """End the order if it was cancelled by `now` or its day was over when the event began."""
        if order.cancel_at <= now:
            self._end(order, _CANCELED, order.cancel_at, now, reports)
        elif order.expires_at <= begin:
            self._end(order, _EXPIRED, order.expires_at, now, reports)
        else:
            return False
        return True

    def _meet(
        self,
        order: WorkingOrder,
        look: Look,
        now: int,
        reports: list[ExecutionReport],
        hits: list[tuple[int, WorkingOrder, Hit, Path, bool]],
    ) -> None:
        """Note where the order trades; an IOC or FOK that cannot trade at once is over."""
        path = look.path(order)
        if path is None or (self._volume_limit is not None and not path.volume):
            return
        was_stop = order.stop is not None
        hit = reach(order, path, through=self._through)
        order.is_fresh = False
        if order.is_immediate and order.stop is None and (hit is None or hit.liquidity is not _TAKER):
            self._end(order, _CANCELED, path.ts_last, now, reports, "could not be filled at once")
        elif hit is not None:
            hits.append((hit.phase, order, hit, path, was_stop))

    def _trade(
        self,
        desk: _Desk,
        hits: list[tuple[int, WorkingOrder, Hit, Path, bool]],
        now: int,
        reports: list[ExecutionReport],
    ) -> None:
        """Fill in the order of the path: its start, then stops, then limits; by age within each.

        A stop and a limit of one side in one bar are most often the two exits of one position. The stop is
        taken to be first, and the limit waits for the next event, so that the strategy can cancel it.
        """
        hits.sort(key=itemgetter(0))
        stopped: list[bool] = []
        used = ZERO
        for phase, order, hit, path, was_stop in hits:
            if phase == INSIDE_LIMIT and not was_stop and order.is_buy in stopped:
                continue
            if was_stop:
                stopped.append(order.is_buy)
                if any(p == INSIDE_LIMIT and o.is_buy == order.is_buy and not s for p, o, _, _, s in hits):
                    order.note = STOP_FIRST
            used = EXACT.add(used, self._fill(desk, order, hit, path, used, now, reports))

    def _fill(
        self,
        desk: _Desk,
        order: WorkingOrder,
        hit: Hit,
        path: Path,
        used: Decimal,
        now: int,
        reports: list[ExecutionReport],
    ) -> Decimal:
        """Fill what the volume allows and the account can pay; return the quantity."""
        quantity = order.leaves
        if self._volume_limit is not None:
            quantity = min(quantity, self._available(desk, path, used))
            if quantity < order.leaves and order.intent.time_in_force is _FOK:
                quantity = ZERO
            if quantity <= 0:
                if order.is_immediate:
                    self._end(order, _CANCELED, path.ts_last, now, reports, "not enough volume")
                return ZERO
        price = _own_price(order, hit) if hit.price is None else to_decimal(hit.price)
        ts = path.ts_last if hit.phase else path.ts_first
        is_filled = self._execute(desk, order, price, hit.liquidity, quantity, ts, now, reports)
        return quantity if is_filled else ZERO

    def _available(self, desk: _Desk, path: Path, used: Decimal) -> Decimal:
        limit = self._volume_limit or _ONE
        share = _multiply(limit, to_decimal(path.volume or 0.0))
        return EXACT.subtract(desk.instrument.round_quantity(share), used)

    def _execute(
        self,
        desk: _Desk,
        order: WorkingOrder,
        price: Decimal,
        liquidity: Liquidity,
        quantity: Decimal,
        ts: int,
        now: int,
        reports: list[ExecutionReport],
    ) -> bool:
        """Fill `quantity` at `price`, slippage and fee added, if the account can pay; else end the order."""
        instrument, intent = desk.instrument, order.intent
        order_id = intent.client_order_id
        if self._slips and liquidity is _TAKER:
            price = self._slipped(desk, order, price)
        notional = _multiply(price, quantity)
        if instrument.multiplier != _ONE:
            notional = _multiply(notional, instrument.multiplier)
        fee = self._fees(instrument, notional, liquidity)
        self._fill_number += 1
        fill_id = f"paper-{self._fill_number}"
        name, side, currency = intent.instrument, intent.side, instrument.currency
        fill = Fill(order_id, fill_id, name, side, price, quantity, fee, currency, liquidity, ts, now)
        refusal = self._afford(fill, self._unbooked) if self._afford is not None else ""
        if refusal:
            is_untouched = order.leaves == intent.quantity
            self._end(order, _REJECTED if is_untouched else _CANCELED, ts, now, reports, refusal)
            return False
        self._unbooked.append(fill)
        order.is_acknowledged = True
        if quantity == order.leaves:
            order.leaves = ZERO
            order.is_done = True
            del self._orders[order_id]
            reports.append(ExecutionReport(order_id, _FILLED, ts, now, fill, "", order.note))
            return True
        order.leaves = EXACT.subtract(order.leaves, quantity)
        reports.append(ExecutionReport(order_id, _PARTIALLY_FILLED, ts, now, fill, "", order.note))
        order.note = ""
        if order.is_immediate:
            self._end(order, _CANCELED, ts, now, reports, "the rest could not be filled at once")
        return True

    def _slipped(self, desk: _Desk, order: WorkingOrder, price: Decimal) -> Decimal:
        """Return the worse price, on the tick that is worse still, but never beyond the order's limit."""
        side = order.intent.side
        slipped = self._slippage(price, side, desk.quote)
        if slipped is None:
            if not desk.told_no_quote:
                desk.told_no_quote = True
                order.note = NO_QUOTE
            return price
        if slipped == price:
            return price
        slipped = against(slipped, side, desk.instrument)
        limit = order.intent.limit_price
        if limit is None:
            return slipped
        return min(slipped, limit) if order.is_buy else max(slipped, limit)

    def _close_books(self, desk: _Desk, now: int, reports: list[ExecutionReport]) -> None:
        """Acknowledge what stands by now, end the day of what was for the day, and forget what is done."""
        kept = []
        for order in desk.orders:
            if order.is_done:
                continue
            if order.expires_at <= now:
                self._end(order, _EXPIRED, order.expires_at, now, reports)
                continue
            kept.append(order)
            if not order.is_acknowledged and order.live_at <= now:
                self._acknowledge(order, now, reports)
        self._keep(desk, kept)

    def _keep(self, desk: _Desk, orders: list[WorkingOrder]) -> None:
        desk.orders = orders
        if not orders:
            self._working.discard(desk.shown_by)

    # Other desks, and what is due by time alone

    def _sweep(self, matched: _Desk | None, now: int, reports: list[ExecutionReport]) -> None:
        """Settle what time alone decides at the desks that the event was not for; find the next such time.

        A bar that ends at `now` may still be to come for those desks, so a day ends, and a resting order is
        acknowledged, only once its time has passed. A market order waits for its own instrument's next word.
        """
        for desk in self._desks.values():
            if not desk.orders or desk is matched:
                continue
            for order in desk.orders:
                if self._ended(order, now - 1, now, reports) or order.is_acknowledged:
                    continue
                if order.live_at < now and order.rests:
                    self._acknowledge(order, now, reports)
            self._keep(desk, [order for order in desk.orders if not order.is_done])
        self._sweep_at = min((_next_due(order) for _, order in self._orders.values()), default=NEVER)

    def _acknowledge(self, order: WorkingOrder, now: int, reports: list[ExecutionReport]) -> None:
        order.is_acknowledged = True
        reports.append(_report(order.intent.client_order_id, _NEW, order.live_at, now, ""))

    def _end(
        self,
        order: WorkingOrder,
        status: OrderStatus,
        ts: int,
        now: int,
        reports: list[ExecutionReport],
        reason: str = "",
    ) -> None:
        order.is_done = True
        del self._orders[order.intent.client_order_id]
        reports.append(_report(order.intent.client_order_id, status, ts, now, reason, order.note))


def _report(
    client_order_id: str, status: OrderStatus, ts: int, now: int, reason: str, assumption: str = ""
) -> ExecutionReport:
    return ExecutionReport(
        client_order_id=client_order_id,
        status=status,
        ts_event=ts,
        ts_recv=now,
        reason=reason,
        assumption=assumption,
    )


def _next_due(order: WorkingOrder) -> int:
    acknowledge_at = NEVER if order.is_acknowledged or not order.rests else order.live_at + 1
    return min(acknowledge_at, order.cancel_at, order.expires_at + 1)


def _own_price(order: WorkingOrder, hit: Hit) -> Decimal:
    """Return the order's own price, at which it was hit inside the path."""
    own = order.intent.stop_price if hit.phase == INSIDE_STOP else order.intent.limit_price
    if own is None:
        raise ValueError(f"order {order.intent.client_order_id} was hit at a price it does not have")
    return own


def _look(desk: _Desk, event: MarketEvent, now: int) -> Look | None:
    """Return what the event shows to the desk's orders, None where it shows no trade of the market."""
    if isinstance(event, Bar):
        return look_at_bar(desk.seen, event, now, desk.newest)
    if isinstance(event, BarUpdate):
        return look_at_update(desk.seen, event, now)
    if isinstance(event, Trade):
        return look_at_trade(event, now)
    return look_at_quote(event, now) if isinstance(event, Quote) else None
