"""The order book of the house: which orders there are and where each stands. Floor 2; no I/O, no clock.

Every change is a transition of `barbot.model.order.TRANSITIONS`. A report that does not fit (unknown order,
illegal transition, a fill too many or twice) changes nothing and comes back as an `OrderAnomaly`: a value to
audit, whose fill must not reach the ledger. The cost of an order does not depend on how many there were:
finished orders are handed out and only the newest of them are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from typing import Final, Literal, TypeAlias

import msgspec

from barbot.core.ledger import EXACT, ZERO
from barbot.model.market import Side
from barbot.model.order import TRANSITIONS, ExecutionReport, Fill, Order, OrderIntent, OrderStatus

_BUY: Final = Side.BUY
_REFUSED: Final = OrderStatus.REFUSED
_PENDING_NEW: Final = OrderStatus.PENDING_NEW
_PENDING_CANCEL: Final = OrderStatus.PENDING_CANCEL
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_FILLED: Final = OrderStatus.FILLED
_NEXT: Final = {status._value_: frozenset(to._value_ for to in targets) for status, targets in TRANSITIONS.items()}
"""`TRANSITIONS` by value: hashing a member costs 85 ns on CPython 3.11, its value 20."""
_add: Final = EXACT.add
_subtract: Final = EXACT.subtract
_multiply: Final = EXACT.multiply

AnomalyKind: TypeAlias = Literal["unknown order", "illegal transition", "duplicate fill", "overfill", "bad fill"]


class OrderAnomaly(msgspec.Struct, frozen=True):
    """A report that was not applied, and why."""

    client_order_id: str
    kind: AnomalyKind
    reason: str
    report: ExecutionReport


class OpenInterest:
    """What the open orders of one instrument could still do; read it, never write it.

    `priced_buy_value` is price x quantity of the open buys with a limit or stop price (of which there are
    `priced_buy_quantity`), without the instrument's multiplier.
    """

    __slots__ = ("buy_quantity", "orders", "priced_buy_quantity", "priced_buy_value", "sell_quantity")

    def __init__(self) -> None:
        """Start without orders."""
        self.orders: dict[str, Order] = {}
        self.buy_quantity = self.sell_quantity = self.priced_buy_value = self.priced_buy_quantity = ZERO

    def _leave(self, order: Order) -> None:
        """Count an order no more; without orders all sums are zero again."""
        del self.orders[order.client_order_id]
        if self.orders:
            self._change(order, _subtract(order.filled_quantity, order.quantity))
        elif order.side is not _BUY:
            self.sell_quantity = ZERO
        else:
            self.buy_quantity = self.priced_buy_quantity = self.priced_buy_value = ZERO

    def _change(self, order: Order, quantity: Decimal) -> None:
        """Count `quantity` more (or, negative, less) of what `order` can still do."""
        if order.side is not _BUY:
            self.sell_quantity = _add(self.sell_quantity, quantity) if self.sell_quantity else quantity
            return
        self.buy_quantity = _add(self.buy_quantity, quantity) if self.buy_quantity else quantity
        price = order.limit_price if order.limit_price is not None else order.stop_price
        if price is not None:
            self.priced_buy_quantity = _add(self.priced_buy_quantity, quantity)
            self.priced_buy_value = _add(self.priced_buy_value, _multiply(price, quantity))

    @property
    def market_buy_quantity(self) -> Decimal:
        """What is bought at a price yet unknown."""
        return _subtract(self.buy_quantity, self.priced_buy_quantity)


NO_INTEREST: Final = OpenInterest()
"""That of an instrument without open orders."""


class OrderBook:
    """Holds the open orders, the newest finished ones, and counts of all."""

    def __init__(self, *, keep_finished: int = 1000) -> None:
        """Keep the newest `keep_finished` finished orders for `get`, and now and then up to twice as many."""
        self._keep_finished, self._most_finished = keep_finished, 2 * keep_finished
        self._open: dict[str, Order] = {}
        self._interest: dict[str, OpenInterest] = {}
        self.active: dict[str, OpenInterest] = {}
        """What the open orders could still do, of instruments that have some, the one longest in play first.

        Read it, never write it.
        """
        self._fills: dict[str, tuple[Decimal, tuple[str, ...]]] = {}
        self._finished: dict[str, Order] = {}
        self._forgotten: Counter[OrderStatus] = Counter()

    def open(self, intent: OrderIntent, now: int) -> Order:
        """Enter an approved intent as PENDING_NEW.

        Raises:
            ValueError: the client order id is taken; ids come from a counter, so this is a programming error.
        """
        order_id = intent.client_order_id
        if order_id in self._open or order_id in self._finished:
            raise ValueError(f"client order id {order_id!r} is taken")
        order = _order(intent, _PENDING_NEW, now, "")
        self._open[order_id] = order
        interest = self._interest.get(intent.instrument)
        if interest is None:
            interest = self._interest[intent.instrument] = OpenInterest()
        if not interest.orders:
            self.active[intent.instrument] = interest
        interest.orders[order_id] = order
        interest._change(order, order.quantity)
        return order

    def refuse(self, intent: OrderIntent, reason: str, now: int) -> Order:
        """Enter an intent that the risk gate refused; it is finished at once."""
        order = _order(intent, _REFUSED, now, reason)
        self._finished[order.client_order_id] = order
        if len(self._finished) > self._most_finished:
            self._forget()
        return order

    def request_cancel(self, client_order_id: str, now: int) -> Order | None:
        """Mark an open order PENDING_CANCEL; None when there is no such open order, or a cancel is under way."""
        order = self._open.get(client_order_id)
        if order is None or order.status is _PENDING_CANCEL:
            return None
        order = _moved(order, _PENDING_CANCEL, order.filled_quantity, order.average_price, now, "")
        self._open[client_order_id] = order
        self._interest[order.instrument].orders[client_order_id] = order
        return order

    def apply(self, report: ExecutionReport) -> Order | OrderAnomaly:
        """Move the order by `report` and return its new picture, or say why the report does not fit.

        Book `report.fill` in the ledger only when an `Order` comes back.
        """
        order = self._open.get(report.client_order_id)
        if order is None:
            return self._not_open(report)
        status = report.status
        if status._value_ not in _NEXT[order.status._value_]:
            return _anomaly(report, "illegal transition", f"from {order.status.value} to {status.value}")
        fill = report.fill
        if fill is None:
            if status is _FILLED or status is _PARTIALLY_FILLED:
                return _anomaly(report, "bad fill", f"{status.value} without a fill")
            filled, average = order.filled_quantity, order.average_price
        else:
            filled = _add(order.filled_quantity, fill.quantity) if order.filled_quantity else fill.quantity
            problem = self._check_fill(order, status, fill, filled, report)
            if problem is not None:
                return problem
            is_whole = not order.filled_quantity and status is _FILLED
            average = fill.price if is_whole else self._average(order, fill, filled)
        moved = _moved(order, status, filled, average, report.ts_recv, report.reason)
        self._settle(order, moved, fill)
        return moved

    def _not_open(self, report: ExecutionReport) -> OrderAnomaly:
        finished = self._finished.get(report.client_order_id)
        if finished is None:
            return _anomaly(report, "unknown order", "no such order, or finished long ago")
        what = f"from {finished.status.value} to {report.status.value}"
        return _anomaly(report, "illegal transition", what)

    def _check_fill(
        self, order: Order, status: OrderStatus, fill: Fill, filled: Decimal, report: ExecutionReport
    ) -> OrderAnomaly | None:
        if status is not _FILLED and status is not _PARTIALLY_FILLED:
            return _anomaly(report, "bad fill", f"{status.value} with a fill")
        if fill.instrument != order.instrument or fill.side is not order.side or fill.quantity <= ZERO:
            what = f"{fill.side.name} {fill.quantity} {fill.instrument}"
            return _anomaly(report, "bad fill", f"{what} for an order of {order.side.name} {order.instrument}")
        if order.filled_quantity and fill.fill_id in self._fills[order.client_order_id][1]:
            return _anomaly(report, "duplicate fill", f"fill {fill.fill_id} was applied before")
        if filled == order.quantity:
            is_right = status is _FILLED
        elif filled > order.quantity:
            more = _subtract(filled, order.quantity)
            return _anomaly(report, "overfill", f"fill of {fill.quantity} is {more} more than is left")
        else:
            is_right = status is _PARTIALLY_FILLED
        if not is_right:
            return _anomaly(report, "bad fill", f"{status.value} with {_subtract(order.quantity, filled)} left")
        return None

    def _average(self, order: Order, fill: Fill, filled: Decimal) -> Decimal:
        """Return the average price; what a partly filled order cost so far is kept beside it, exactly."""
        order_id = order.client_order_id
        value, ids = self._fills.get(order_id, (ZERO, ()))
        value = _add(value, _multiply(fill.price, fill.quantity))
        self._fills[order_id] = (value, (*ids, fill.fill_id))
        return EXACT.divide(value, filled)

    def _settle(self, order: Order, moved: Order, fill: Fill | None) -> None:
        order_id = order.client_order_id
        interest = self._interest[order.instrument]
        if _NEXT[moved.status._value_]:
            self._open[order_id] = interest.orders[order_id] = moved
            if fill is not None:
                interest._change(order, fill.quantity.copy_negate())
            return
        del self._open[order_id]
        interest._leave(order)
        if not interest.orders:
            del self.active[order.instrument]
        if order.filled_quantity:
            self._fills.pop(order_id, None)
        self._finished[order_id] = moved
        if len(self._finished) > self._most_finished:
            self._forget()

    def _forget(self) -> None:
        """Let the oldest finished orders go, many at a time; they are still counted."""
        number = len(self._finished) - self._keep_finished
        self._forgotten.update(order.status for order in islice(self._finished.values(), number))
        self._finished = dict(islice(self._finished.items(), number, None))

    def get(self, client_order_id: str) -> Order | None:
        """Return the order's newest picture, if it is open or among the newest finished ones."""
        return self._open.get(client_order_id) or self._finished.get(client_order_id)

    def open_orders(self, instrument: str | None = None) -> Iterable[Order]:
        """Return the open orders, of one instrument or of all, oldest first."""
        if instrument is None:
            return tuple(self._open.values())
        return tuple(self.interest(instrument).orders.values())

    def interest(self, instrument: str) -> OpenInterest:
        """Return what the open orders of `instrument` could still do."""
        return self._interest.get(instrument, NO_INTEREST)

    def interested(self) -> list[str]:
        """Return the instruments with open orders, the one longest in play first."""
        return list(self.active)

    def counts(self) -> dict[OrderStatus, int]:
        """Return how many orders stand at each status, finished ones since the beginning; no zeros."""
        counts = self._forgotten.copy()
        counts.update(order.status for order in self._finished.values())
        counts.update(order.status for order in self._open.values())
        return dict(counts)


def _anomaly(report: ExecutionReport, kind: AnomalyKind, detail: str) -> OrderAnomaly:
    return OrderAnomaly(report.client_order_id, kind, f"{report.client_order_id}: {detail}", report)


def _order(intent: OrderIntent, status: OrderStatus, now: int, reason: str) -> Order:
    return Order(
        intent.client_order_id,
        intent.instrument,
        intent.side,
        intent.quantity,
        intent.type,
        intent.limit_price,
        intent.stop_price,
        intent.time_in_force,
        status,
        ZERO,
        None,
        intent.ts_created or now,
        now,
        reason,
        intent.tag,
    )


def _moved(order: Order, status: OrderStatus, filled: Decimal, average: Decimal | None, now: int, reason: str) -> Order:
    """Return `order` changed; built directly, `msgspec.structs.replace` costs four times as much."""
    return Order(
        order.client_order_id,
        order.instrument,
        order.side,
        order.quantity,
        order.type,
        order.limit_price,
        order.stop_price,
        order.time_in_force,
        status,
        filled,
        average,
        order.ts_created,
        now,
        reason or order.reason,
        order.tag,
    )
