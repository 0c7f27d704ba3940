"""The strategy's side of trading: orders out, reports in, account and marks. Floor 2.

What a hook asks for goes through the risk gate at once, so that the next question in the same hook already
counts it, and leaves as commands when the step ends. What comes back is applied to order book and ledger, and
shown to `on_order` and `on_fill` after the market's own hooks of that step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, Protocol, TypeAlias

import msgspec

from barbot.core.audit import Anomaly, Assumed, AuditRecord, Equity, Logged, OrderRefused
from barbot.core.history import History
from barbot.core.hooks import BoundHooks
from barbot.core.indicators import Indicator
from barbot.core.lane import Lane
from barbot.core.ledger import EXACT, ZERO, Ledger, RoundTrip
from barbot.core.orders import OrderAnomaly, OrderBook
from barbot.core.risk import Approved, Refusal, RiskContext, RiskGate
from barbot.errors import ConfigError
from barbot.model.instrument import Instrument, to_decimal
from barbot.model.market import Side
from barbot.model.order import ExecutionReport, Fill, Order, OrderIntent, OrderType, TimeInForce

_BUY: Final = Side.BUY
_SELL: Final = Side.SELL
_MARKET: Final = OrderType.MARKET
_GTC: Final = TimeInForce.GTC
_add: Final = EXACT.add
_subtract: Final = EXACT.subtract
_CACHED_QUANTITIES: Final = 4096
_TOO_MANY: Final = Decimal(10) ** 40
"""A quantity from here on is taken for a mistake, as NaN is: it becomes 0, which the risk gate refuses."""
_NO_MARKS: Final[dict[str, float]] = {}


class Submit(msgspec.Struct, frozen=True, gc=False):
    """Send this order to its venue."""

    approved: Approved


class CancelOrder(msgspec.Struct, frozen=True):
    """Ask the venue of `instrument` to cancel."""

    client_order_id: str
    instrument: str


Command: TypeAlias = Submit | CancelOrder


class House(Protocol):
    """What the desk needs of its engine: the time, the bar in hand, hooks and windows."""

    now: int
    lane: Lane | None
    hooks: BoundHooks
    lanes: dict[str, Lane]

    def window(self, feed: str) -> History: ...
    def attach(self, indicator: Indicator, feed: str | None) -> None: ...
    def stir(self, *, busy: bool) -> None: ...


class _Market:
    """One instrument that can be traded: its lanes, shortest interval first, and quantities rounded for it."""

    __slots__ = ("_rounded", "id", "instrument", "lanes")

    def __init__(self, instrument: Instrument, lanes: list[Lane]) -> None:
        self.id = instrument.id
        self.instrument = instrument
        self.lanes = lanes
        self._rounded: dict[object, Decimal] = {}

    def mark(self) -> float | None:
        """Return the newest price that the bars know, None before the first bar."""
        for lane in self.lanes:
            store = lane.store
            store.refresh()
            if store.bars:
                return store.bars[-1].close
        return None

    def rounded(self, quantity: Decimal | float | int | str) -> Decimal:
        """Return the quantity on the lot grid; NaN and infinities become 0, which the risk gate refuses.

        It is remembered: strategies ask for the same size again and again (a rounding costs 1.5 us).
        """
        rounded = self._rounded.get(quantity)
        if rounded is None:
            if len(self._rounded) >= _CACHED_QUANTITIES:
                self._rounded.clear()
            exact = to_decimal(quantity)
            is_sane = exact.is_finite() and abs(exact) < _TOO_MANY
            rounded = self.instrument.round_quantity(exact) if is_sane else ZERO
            self._rounded[quantity] = rounded
        return rounded


class TradingDesk:
    """Orders, account and marks of one run; the `Desk` and `Account` of its strategy."""

    def __init__(
        self, instruments: Mapping[str, Instrument], ledger: Ledger, gate: RiskGate, *, prefix: str, fee_rate: Decimal
    ) -> None:
        """Trade `instruments`; client order ids are `prefix` and a counter, `fee_rate` is what risk expects."""
        self.audit: list[AuditRecord] = []
        self.curve: list[Equity] = []
        """Points of the equity curve; the driver drains it, as it does `trips`."""
        self.trips: list[RoundTrip] = []
        self.instruments = instruments
        self.ledger = ledger
        self.gate = gate
        self.book = OrderBook()
        self.busy = False
        """Whether `depart` has something to do."""
        self._prefix = prefix
        self._fee_rate = fee_rate
        self._is_margin = gate.needs_marks
        self._count = 0
        self._commands: list[Command] = []
        self._notices: list[Order | Fill] = []
        self._markets: dict[str, _Market] = {}
        self._flat_amounts: tuple[tuple[str, Decimal], ...] | None = None

    def bind(self, engine: House) -> None:
        """Learn which lanes there are: marks and positions are theirs."""
        self._engine = engine
        lanes_of: dict[str, list[Lane]] = {}
        for lane in engine.lanes.values():
            lanes_of.setdefault(lane.instrument, []).append(lane)
        for name, lanes in lanes_of.items():
            lanes.sort(key=lambda lane: (lane.spec.feed.interval.ns, lane.order))
            self._markets[name] = _Market(self.instruments[name], lanes)

    def finest_lane(self, instrument: str) -> Lane:
        """Return the lane of the instrument's shortest interval."""
        return self._markets[instrument].lanes[0]

    # -- out ----------------------------------------------------------------------------------------------

    def depart(self) -> Sequence[Command]:
        """Run the order hooks that are due (they may ask for more) and return what leaves the house."""
        if self._notices:
            self._notify()
        commands, self._commands = self._commands, []
        self.busy = False
        self._engine.stir(busy=False)
        return commands

    def _notify(self) -> None:
        """Run the order hooks, also those that they themselves make due."""
        engine, notices = self._engine, self._notices
        hooks = engine.hooks
        position = 0
        while position < len(notices):
            notice = notices[position]
            position += 1
            engine.lane = self.finest_lane(notice.instrument)
            if type(notice) is Order:
                if hooks.order is not None:
                    hooks.order(notice)
            elif type(notice) is Fill and hooks.fill is not None:
                hooks.fill(notice)
        notices.clear()

    def discard(self) -> None:
        """Drop what was asked for and has not left (the run is over)."""
        self._commands.clear()
        self._notices.clear()
        self.busy = False
        self._engine.stir(busy=False)

    def _stir(self) -> None:
        self.busy = True
        self._engine.stir(busy=True)

    def order(
        self,
        side: Side,
        quantity: Decimal | float | int | str,
        instrument: str | None,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        tif: TimeInForce,
        tag: str,
    ) -> Order:
        """Ask for an order; return it as it left, or REFUSED with the reason."""
        market = self._market(instrument)
        return self._place(market, side, market.rounded(quantity), limit, stop, tif, tag)

    def _place(
        self,
        market: _Market,
        side: Side,
        quantity: Decimal,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        tif: TimeInForce,
        tag: str,
    ) -> Order:
        """Put an order of a rounded quantity before the risk gate; let it leave, or keep it as REFUSED."""
        engine = self._engine
        now, lane = engine.now, engine.lane
        kind = _MARKET
        limit_price = stop_price = None
        if limit is not None or stop is not None:
            kind = _TYPES[limit is not None, stop is not None]
            limit_price = market.instrument.round_price(limit) if limit is not None else None
            stop_price = market.instrument.round_price(stop) if stop is not None else None
        self._count += 1
        name = f"{self._prefix}-{self._count}"
        intent = OrderIntent(name, market.id, side, quantity, kind, limit_price, stop_price, tif, now, tag)
        bars = lane.store.bars if lane is not None else None
        quality = bars[-1].quality if bars else None
        marks = self.marks() if self._is_margin else _NO_MARKS
        context = RiskContext(
            now, market.instrument, self.ledger, self.book, market.mark(), quality, self._fee_rate, marks
        )
        answer = self.gate.check(intent, context)
        if not self.busy:
            self.busy = True
            engine.stir(busy=True)
        if isinstance(answer, Refusal):
            order = self.book.refuse(intent, answer.reason, now)
            self.audit.append(OrderRefused(name, answer.rule, answer.reason, now))
        else:
            order = self.book.open(intent, now)
            self._commands.append(Submit(answer))
        self.audit.append(order)
        if engine.hooks.order is not None:
            self._notices.append(order)
        return order

    def _market(self, instrument: str | None) -> _Market:
        """Return the market of `instrument`, by default that of the bar in hand.

        Raises:
            ConfigError: it is not of this run, or no bar is in hand and there are several.
        """
        name = instrument
        if name is None:
            lane = self._engine.lane
            name = lane.instrument if lane is not None else self.in_hand
        found = self._markets.get(name)
        if found is None:
            known = ", ".join(self._markets)
            raise ConfigError(
                f"{name!r} cannot be traded here", remedy=f"Subscribe one of its feeds; there are: {known}"
            )
        return found

    def target(self, quantity: Decimal | float | int, instrument: str | None, tag: str) -> Order | None:
        """Ask for what is missing to hold `quantity`; open market orders count as filled."""
        market = self._market(instrument)
        held = self.ledger.quantity(market.id)
        if market.id in self.book.active:
            for order in self.book.open_orders(market.id):
                if order.type is _MARKET:
                    change = _add if order.side is _BUY else _subtract
                    held = change(held, order.leaves_quantity)
        missing = _subtract(market.rounded(quantity), held)
        if not missing:
            return None
        side = _SELL if missing.is_signed() else _BUY
        return self._place(market, side, market.rounded(missing.copy_abs()), None, None, _GTC, tag)

    def target_percent(self, fraction: float, instrument: str | None, tag: str) -> Order | None:
        """Ask for a position worth `fraction` of the equity at the last price."""
        market = self._market(instrument)
        traded, mark = market.instrument, market.mark()
        if mark is None or not mark > 0.0:
            raise ConfigError(f"{market.id} has no price yet", remedy="Ask after its first bar")
        worth = EXACT.multiply(self.equity(traded.currency), to_decimal(fraction))
        price = EXACT.multiply(to_decimal(mark), traded.multiplier)
        return self.target(EXACT.divide(worth, price), market.id, tag)

    def cancel(self, order: Order | str) -> None:
        """Ask to cancel an open order; an order that is final already stays as it is."""
        name = order if isinstance(order, str) else order.client_order_id
        pending = self.book.request_cancel(name, self._engine.now)
        if pending is None:
            return
        self.audit.append(pending)
        self._commands.append(CancelOrder(name, pending.instrument))
        if self._engine.hooks.order is not None:
            self._notices.append(pending)
        self._stir()

    # -- in -----------------------------------------------------------------------------------------------

    def report(self, report: ExecutionReport) -> None:
        """Apply a venue's word on an order."""
        result = self.book.apply(report)
        if isinstance(result, OrderAnomaly):
            self.audit.append(Anomaly(result.client_order_id, f"{result.kind}: {result.reason}", self._engine.now))
            return
        self.audit.append(result)
        if report.assumption:
            self.audit.append(Assumed(result.client_order_id, report.assumption, self._engine.now))
        hooks = self._engine.hooks
        if hooks.order is not None:
            self._notices.append(result)
            self._stir()
        if report.fill is not None:
            self._book(report.fill)

    def _book(self, fill: Fill) -> None:
        self._flat_amounts = None
        market = self._markets[fill.instrument]
        trip = self.ledger.apply(fill, market.instrument)
        self.audit.append(fill)
        if trip is not None:
            self.trips.append(trip)
        quantity = self.ledger.quantity(fill.instrument)
        for lane in market.lanes:
            lane.position = quantity
        if self._engine.hooks.fill is not None:
            self._notices.append(fill)
            self._stir()

    # -- the account --------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The time of the step, ns since the epoch UTC."""
        return self._engine.now

    @property
    def account(self) -> TradingDesk:
        """The desk knows the account."""
        return self

    @property
    def in_hand(self) -> str:
        """The instrument of the bar in hand; outside bar hooks the only one there is.

        Raises:
            ConfigError: no bar is in hand and there are several instruments.
        """
        lane = self._engine.lane
        if lane is not None:
            return lane.instrument
        if len(self._markets) == 1:
            return next(iter(self._markets))
        raise ConfigError("no bar is in hand here", remedy='Name the instrument: instrument="provider:SYMBOL"')

    def position(self) -> Decimal:
        """Signed quantity held of the instrument in hand."""
        lane = self._engine.lane
        return lane.position if lane is not None else self.ledger.quantity(self.in_hand)

    def position_of(self, instrument: str) -> Decimal:
        """Signed quantity held of `instrument`."""
        return self.ledger.quantity(instrument)

    def mark(self, instrument: str) -> float | None:
        """Return the newest price that the bars of the instrument know, None before the first bar."""
        market = self._markets.get(instrument)
        return market.mark() if market is not None else None

    def marks(self) -> dict[str, float]:
        """Return the newest price of every instrument in which there is a position."""
        found = (
            (name, self.mark(name)) for currency in self.ledger.currencies() for name in self.ledger.held(currency)
        )
        return {name: mark for name, mark in found if mark is not None}

    @property
    def cash(self) -> dict[str, Decimal]:
        """Cash by currency."""
        return self.ledger.balances()

    @property
    def positions(self) -> dict[str, Decimal]:
        """Open positions: signed quantity by instrument id."""
        return {p.instrument: p.quantity for p in self.ledger.positions() if p.quantity}

    def equity(self, currency: str = "") -> Decimal:
        """Cash and the value of positions in `currency` (default: the first currency of the account)."""
        return self.ledger.equity(self.marks(), currency or self.ledger.currencies()[0])

    def average_price(self, instrument: str) -> Decimal | None:
        """Average entry price of the open position, None without one."""
        return self.ledger.position(self.instruments[instrument]).average_price

    def unrealised(self, instrument: str) -> Decimal:
        """Profit of the open position at the last price, 0 without one."""
        return self.ledger.unrealised(instrument, self.mark(instrument))

    def sample_equity(self, now: int) -> None:
        """Add the point of the equity curve at `now`; while flat that is the cash, worked out once."""
        amounts = self._flat_amounts
        if amounts is None:
            marks = self.marks()
            amounts = tuple((currency, self.ledger.equity(marks, currency)) for currency in self.ledger.currencies())
            if not marks:
                self._flat_amounts = amounts
        self.curve.append(Equity(now, amounts))

    def turn_day(self, now: int) -> None:
        """Let the risk gate remember the equity of the day's start, if a new UTC day has begun."""
        if now >= self.gate.ts_next_day:
            self.gate.start_day(now, self.ledger, self.marks())

    # -- the rest of what a strategy may ask --------------------------------------------------------------

    def window(self, feed: str) -> History:
        """Return the window of one of the strategy's feeds."""
        return self._engine.window(feed)

    def attach(self, indicator: Indicator, feed: str | None) -> None:
        """Feed `indicator` from `feed`, by default the strategy's first."""
        self._engine.attach(indicator, feed)

    def open_orders(self, instrument: str | None) -> list[Order]:
        """Return the open orders, oldest first."""
        return list(self.book.open_orders(instrument))

    def log(self, level: str, text: str, fields: Mapping[str, object]) -> None:
        """Put a strategy's line into the audit; what JSON cannot say is put as text."""
        plain = {k: v if isinstance(v, str | int | float | bool) or v is None else str(v) for k, v in fields.items()}
        self.audit.append(Logged(level, text, plain, self._engine.now))


_TYPES: Final = {
    (False, False): OrderType.MARKET,
    (True, False): OrderType.LIMIT,
    (False, True): OrderType.STOP,
    (True, True): OrderType.STOP_LIMIT,
}
