"""The order book moves by the table alone; what does not fit is an anomaly and changes nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from barbot.core.orders import OrderAnomaly, OrderBook
from barbot.model.market import Side
from barbot.model.order import (
    TRANSITIONS,
    ExecutionReport,
    Fill,
    Liquidity,
    Order,
    OrderIntent,
    OrderStatus,
    OrderType,
    TimeInForce,
)

D = Decimal
BTC: Final = "kucoin:BTC-USDT"
S = OrderStatus


def intent(number: int, *, side: Side = Side.BUY, quantity: str = "3", limit: str | None = None) -> OrderIntent:
    return OrderIntent(
        client_order_id=f"r-{number}",
        instrument=BTC,
        side=side,
        quantity=D(quantity),
        type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_price=None if limit is None else D(limit),
        ts_created=1,
        tag="x",
    )


def fill(number: int, fill_id: str, quantity: str, price: str = "100", side: Side = Side.BUY) -> Fill:
    return Fill(
        client_order_id=f"r-{number}",
        fill_id=fill_id,
        instrument=BTC,
        side=side,
        price=D(price),
        quantity=D(quantity),
        fee=D(0),
        fee_currency="USDT",
        liquidity=Liquidity.TAKER,
        ts_event=2,
        ts_recv=3,
    )


def report(number: int, status: OrderStatus, one: Fill | None = None, reason: str = "") -> ExecutionReport:
    return ExecutionReport(client_order_id=f"r-{number}", status=status, ts_event=2, ts_recv=3, fill=one, reason=reason)


def picture(status: OrderStatus, filled: str, average: str | None, *, ts: int = 3, reason: str = "") -> Order:
    return Order(
        client_order_id="r-1",
        instrument=BTC,
        side=Side.BUY,
        quantity=D(3),
        type=OrderType.MARKET,
        limit_price=None,
        stop_price=None,
        time_in_force=TimeInForce.GTC,
        status=status,
        filled_quantity=D(filled),
        average_price=None if average is None else D(average),
        ts_created=1,
        ts_updated=ts,
        reason=reason,
        tag="x",
    )


def test_an_order_lives_from_pending_to_filled() -> None:
    book = OrderBook()
    assert book.open(intent(1), 1) == picture(S.PENDING_NEW, "0", None, ts=1)
    assert book.apply(report(1, S.NEW)) == picture(S.NEW, "0", None)
    partly = book.apply(report(1, S.PARTIALLY_FILLED, fill(1, "a", "1", "100")))
    assert partly == picture(S.PARTIALLY_FILLED, "1", "100")
    assert (partly.leaves_quantity, book.open_orders(BTC), book.interested()) == (D(2), (partly,), [BTC])
    done = book.apply(report(1, S.FILLED, fill(1, "b", "2", "103")))
    assert done == picture(S.FILLED, "3", "102")
    assert (book.get("r-1"), book.open_orders(), book.interested()) == (done, (), [])
    assert book.counts() == {S.FILLED: 1}


def test_a_refused_order_is_finished_at_once_and_says_why() -> None:
    book = OrderBook()
    assert book.refuse(intent(1), "no cash", 5) == picture(S.REFUSED, "0", None, ts=5, reason="no cash")
    assert book.counts() == {S.REFUSED: 1}


def test_a_cancel_is_pending_until_it_is_answered() -> None:
    book = OrderBook()
    book.open(intent(1), 1)
    assert book.request_cancel("r-1", 4) == picture(S.PENDING_CANCEL, "0", None, ts=4)
    assert book.request_cancel("r-1", 5) is None
    assert book.apply(report(1, S.CANCELED, reason="asked for")) == picture(S.CANCELED, "0", None, reason="asked for")
    assert book.request_cancel("r-1", 6) is None
    assert book.request_cancel("nobody", 6) is None


ANOMALIES: Final = [
    (report(9, S.NEW), "unknown order", "r-9: no such order, or finished long ago"),
    (report(1, S.NEW), "illegal transition", "r-1: from PARTIALLY_FILLED to NEW"),
    (report(1, S.REJECTED), "illegal transition", "r-1: from PARTIALLY_FILLED to REJECTED"),
    (report(2, S.FILLED), "illegal transition", "r-2: from CANCELED to FILLED"),
    (report(1, S.PARTIALLY_FILLED, fill(1, "a", "1")), "duplicate fill", "r-1: fill a was applied before"),
    (report(1, S.FILLED, fill(1, "b", "2.5")), "overfill", "r-1: fill of 2.5 is 0.5 more than is left"),
    (report(1, S.FILLED, fill(1, "b", "1")), "bad fill", "r-1: FILLED with 1 left"),
    (report(1, S.PARTIALLY_FILLED, fill(1, "b", "2")), "bad fill", "r-1: PARTIALLY_FILLED with 0 left"),
    (report(1, S.FILLED), "bad fill", "r-1: FILLED without a fill"),
    (report(1, S.CANCELED, fill(1, "b", "1")), "bad fill", "r-1: CANCELED with a fill"),
    (
        report(1, S.FILLED, fill(1, "b", "2", side=Side.SELL)),
        "bad fill",
        "r-1: SELL 2 kucoin:BTC-USDT for an order of BUY kucoin:BTC-USDT",
    ),
]


@pytest.mark.parametrize(("wrong", "kind", "reason"), ANOMALIES)
def test_what_does_not_fit_is_an_anomaly_and_changes_nothing(wrong: ExecutionReport, kind: str, reason: str) -> None:
    book = OrderBook()
    book.open(intent(1), 1)
    book.apply(report(1, S.PARTIALLY_FILLED, fill(1, "a", "1")))
    book.open(intent(2), 1)
    book.apply(report(2, S.CANCELED))
    before = (book.open_orders(), book.counts(), book.interest(BTC).buy_quantity)
    found = book.apply(wrong)
    assert isinstance(found, OrderAnomaly)
    assert (found.kind, found.reason, found.report) == (kind, reason, wrong)
    assert (book.open_orders(), book.counts(), book.interest(BTC).buy_quantity) == before


@pytest.mark.parametrize("source", [s for s in S if s.is_open and s is not S.PARTIALLY_FILLED])
@pytest.mark.parametrize("target", [s for s in S if s not in (S.FILLED, S.PARTIALLY_FILLED)])
def test_every_transition_is_judged_by_the_table(source: OrderStatus, target: OrderStatus) -> None:
    book = OrderBook()
    book.open(intent(1), 1)
    if source is not S.PENDING_NEW:
        assert isinstance(book.apply(report(1, source)), Order)
    assert isinstance(book.apply(report(1, target)), Order) == (target in TRANSITIONS[source])


def test_an_id_is_used_once() -> None:
    book = OrderBook()
    book.open(intent(1), 1)
    with pytest.raises(ValueError, match="client order id 'r-1' is taken"):
        book.open(intent(1), 1)


def test_only_the_newest_finished_orders_are_kept_and_all_are_counted() -> None:
    book = OrderBook(keep_finished=2)
    for number in range(5):
        book.refuse(intent(number), "no", 1)
    assert [book.get(f"r-{n}") is not None for n in range(5)] == [False, False, False, True, True]
    assert book.counts() == {S.REFUSED: 5}


def test_open_interest_tells_priced_buys_from_market_buys() -> None:
    book = OrderBook()
    book.open(intent(1, quantity="2", limit="50"), 1)
    book.open(intent(2, quantity="5"), 1)
    book.open(intent(3, quantity="7", side=Side.SELL), 1)
    book.apply(report(1, S.PARTIALLY_FILLED, fill(1, "a", "0.5")))
    interest = book.interest(BTC)
    assert (interest.buy_quantity, interest.sell_quantity) == (D("6.5"), D(7))
    assert (interest.priced_buy_value, interest.market_buy_quantity) == (D("75"), D(5))


class Orders(RuleBasedStateMachine):
    """Reports in any order: the book never overfills, and its sums are those of its open orders."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.book = OrderBook(keep_finished=5)
        self.number = 0
        self.opened = 0
        self.refused = 0
        self.fill_number = 0

    @rule(target=ids, side=st.sampled_from(list(Side)), quantity=st.integers(1, 5), limit=st.none() | st.just("9"))
    def open(self, side: Side, quantity: int, limit: str | None) -> tuple[int, Side]:
        self.number += 1
        self.opened += 1
        self.book.open(intent(self.number, side=side, quantity=str(quantity), limit=limit), self.number)
        return self.number, side

    @rule()
    def refuse(self) -> None:
        self.number += 1
        self.refused += 1
        self.book.refuse(intent(self.number), "no", self.number)

    @rule(order=ids, status=st.sampled_from(list(S)))
    def report(self, order: tuple[int, Side], status: OrderStatus) -> None:
        before = self.book.get(f"r-{order[0]}")
        after = self.book.apply(report(order[0], status))
        if isinstance(after, Order):
            assert before is not None
            assert status in TRANSITIONS[before.status]
            assert after.filled_quantity == before.filled_quantity
        else:
            assert self.book.get(f"r-{order[0]}") == before

    @rule(order=ids, quantity=st.integers(1, 5), is_last=st.booleans(), again=st.booleans())
    def fill(self, order: tuple[int, Side], quantity: int, is_last: bool, again: bool) -> None:
        self.fill_number += not again
        status = S.FILLED if is_last else S.PARTIALLY_FILLED
        one = fill(order[0], f"f-{self.fill_number}", str(quantity), side=order[1])
        before = self.book.get(f"r-{order[0]}")
        after = self.book.apply(report(order[0], status, one))
        if isinstance(after, Order):
            assert before is not None
            assert after.filled_quantity == before.filled_quantity + quantity
            assert after.filled_quantity <= after.quantity
            assert (after.filled_quantity == after.quantity) == (after.status is S.FILLED)
            assert self.book.apply(report(order[0], status, one)) != after  # the same fill never counts twice
            assert self.book.get(f"r-{order[0]}") == after

    @rule(order=ids)
    def cancel(self, order: tuple[int, Side]) -> None:
        self.book.request_cancel(f"r-{order[0]}", 9)

    @invariant()
    def sums_are_those_of_the_open_orders(self) -> None:
        orders = self.book.open_orders()
        interest = self.book.interest(BTC)
        buys = [o for o in orders if o.side is Side.BUY]
        assert interest.buy_quantity == sum((o.leaves_quantity for o in buys), D(0))
        assert interest.sell_quantity == sum((o.leaves_quantity for o in orders if o.side is Side.SELL), D(0))
        priced = [o.leaves_quantity * o.limit_price for o in buys if o.limit_price is not None]
        assert interest.priced_buy_value == sum(priced, D(0))
        assert self.book.interested() == ([BTC] if orders else [])
        counts = self.book.counts()
        assert sum(counts.values()) == self.opened + self.refused
        assert sum(n for status, n in counts.items() if status.is_open) == len(tuple(orders))


TestOrders = Orders.TestCase
TestOrders.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
