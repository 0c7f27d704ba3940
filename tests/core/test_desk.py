"""The strategy's side of trading: what it asks for, under which ids, and what it is told of its account."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from barbot.core.audit import Anomaly, Logged, OrderRefused
from barbot.core.history import History
from barbot.core.spec import FeedSpec, Source
from barbot.core.strategy import Strategy
from barbot.errors import ConfigError
from barbot.model.instrument import FeedId
from barbot.model.market import Bar, Side
from barbot.model.order import ExecutionReport, Order, OrderStatus, OrderType, TimeInForce
from barbot.timing.interval import MINUTE
from barbot.timing.sessions import grid_for

if TYPE_CHECKING:
    from tests.core.conftest import House

T0: Final = 1_767_571_200_000_000_000
A1, B1, A5 = "sim:A@1m", "sim:B@1m", "sim:A@5m"


def spec(feed: str, source: Source = Source.CANDLES, base: str = "") -> FeedSpec:
    known = FeedId.parse(feed)
    return FeedSpec(feed=known, grid=grid_for("24/7", known.interval), source=source, base=base)


def bar(minute: int, price: float, feed: str = A1) -> Bar:
    ts_open = T0 + minute * MINUTE
    return Bar(feed, ts_open, ts_open + MINUTE, price, price, price, price, 1.0)


class Idle(Strategy):
    """Asks for nothing by itself; the test asks through it."""

    feeds = [A1]

    def __init__(self) -> None:
        self.orders_told: list[tuple[str, str]] = []

    def on_bar_close(self, bar: Bar, history: History) -> None:
        pass

    def on_order(self, order: Order) -> None:
        self.orders_told.append((order.client_order_id, order.status.name))


class Pair(Idle):
    feeds = [A1, B1]


def opened(house_of: type[House], strategy: type[Idle] = Idle, *more: FeedSpec) -> House:
    """Return a house after its first bar, at a price of 10."""
    house = house_of(strategy, spec(A1), *more)
    house.engine.start(T0)
    house.step(T0 + MINUTE, bar(0, 10.0))
    return house


def flush(house: House, minute: int, price: float) -> None:
    """Let orders leave, and the next bar answer them."""
    house.step(house.engine.now)
    house.step(T0 + (minute + 1) * MINUTE, bar(minute, price))


def test_orders_are_numbered_and_say_what_was_asked(house_of: type[House]) -> None:
    strategy = opened(house_of).strategy
    orders = [
        strategy.buy(1, tag="first"),
        strategy.sell("2.5", limit=11.5),
        strategy.buy(Decimal(1), stop=12, tif=TimeInForce.DAY),
        strategy.sell(np.float64(0.1), limit=np.float64(9.5), stop=np.float32(9.75)),  # type: ignore[arg-type]  # said at run time all the same
        strategy.buy(np.int64(2), limit=9),  # type: ignore[arg-type]  # likewise
    ]
    said = [(o.client_order_id, o.side, o.type, o.quantity, o.limit_price, o.stop_price, o.status) for o in orders]
    new = OrderStatus.PENDING_NEW
    assert said == [
        ("t-1", Side.BUY, OrderType.MARKET, Decimal(1), None, None, new),
        ("t-2", Side.SELL, OrderType.LIMIT, Decimal("2.5"), Decimal("11.5"), None, new),
        ("t-3", Side.BUY, OrderType.STOP, Decimal(1), None, Decimal(12), new),
        ("t-4", Side.SELL, OrderType.STOP_LIMIT, Decimal("0.1"), Decimal("9.5"), Decimal("9.75"), new),
        ("t-5", Side.BUY, OrderType.LIMIT, Decimal(2), Decimal(9), None, new),
    ]
    assert (orders[0].tag, orders[2].time_in_force) == ("first", TimeInForce.DAY)
    assert strategy.orders == orders


def test_a_refused_order_is_a_value_and_told_like_any_other(house_of: type[House]) -> None:
    house = opened(house_of)
    order = house.strategy.buy(0)
    house.step(house.engine.now)
    assert (order.status, order.filled_quantity) == (OrderStatus.REFUSED, Decimal(0))
    assert isinstance(house.strategy, Idle)
    assert house.strategy.orders_told == [("t-1", "REFUSED")]
    assert [r for r in house.audit if isinstance(r, OrderRefused)] == [
        OrderRefused("t-1", "quantity", order.reason, T0 + MINUTE)
    ]
    assert house.left == []


@pytest.mark.parametrize("quantity", [float("nan"), float("inf"), -1, "-0.5", "1e400"])
def test_an_impossible_quantity_is_refused(house_of: type[House], quantity: float | str) -> None:
    assert opened(house_of).strategy.buy(quantity).status is OrderStatus.REFUSED


def test_a_target_counts_the_open_market_orders_in(house_of: type[House]) -> None:
    house = opened(house_of)
    strategy = house.strategy
    first, second, third = strategy.order_target(3), strategy.order_target(3), strategy.order_target(-1)
    assert first is not None
    assert third is not None
    assert (first.side, first.quantity, second) == (Side.BUY, Decimal(3), None)
    assert (third.side, third.quantity) == (Side.SELL, Decimal(4))
    flush(house, 1, 10.0)
    assert house.desk.position_of("sim:A") == -1


def test_a_share_of_the_equity_is_worked_out_at_the_last_price(house_of: type[House]) -> None:
    house = opened(house_of)
    order = house.strategy.order_target_percent(0.5)
    assert order is not None
    assert order.quantity == 500
    flush(house, 1, 10.0)
    assert house.strategy.order_target_percent(0.5) is None


def test_a_share_needs_a_price(house_of: type[House]) -> None:
    house = house_of(Idle, spec(A1))
    house.engine.start(T0)
    with pytest.raises(ConfigError) as raised:
        house.strategy.order_target_percent(0.5)
    assert str(raised.value) == "sim:A has no price yet. Ask after its first bar"


def test_closing_asks_for_what_is_held_and_for_nothing_when_flat(house_of: type[House]) -> None:
    house = opened(house_of)
    assert house.strategy.close() is None
    house.strategy.buy(2)
    flush(house, 1, 11.0)
    order = house.strategy.close()
    assert order is not None
    assert (order.side, order.quantity) == (Side.SELL, Decimal(2))


def test_a_cancel_leaves_once_and_only_for_open_orders(house_of: type[House]) -> None:
    house = opened(house_of)
    order = house.strategy.buy(1, limit=5)
    for _ in range(2):
        house.strategy.cancel(order)
    house.strategy.cancel("nobody's")
    house.step(house.engine.now)
    assert house.left == [(T0 + MINUTE, "submit", "t-1"), (T0 + MINUTE, "cancel", "t-1")]
    house.step(T0 + 2 * MINUTE, bar(1, 10.0))
    house.strategy.cancel(order)
    assert isinstance(house.strategy, Idle)
    assert house.strategy.orders_told == [("t-1", "PENDING_NEW"), ("t-1", "PENDING_CANCEL"), ("t-1", "CANCELED")]
    assert house.strategy.orders == []


def test_the_account_is_worth_what_the_last_price_says(house_of: type[House]) -> None:
    house = opened(house_of)
    account = house.strategy.account
    assert (account.cash, account.positions, account.equity()) == ({"USD": Decimal(10_000)}, {}, Decimal(10_000))
    house.strategy.buy(2)
    flush(house, 1, 11.0)
    assert (account.cash, account.positions) == ({"USD": Decimal(9_978)}, {"sim:A": Decimal(2)})
    house.step(T0 + 3 * MINUTE, bar(2, 15.0))
    assert (account.average_price("sim:A"), account.unrealised("sim:A")) == (Decimal(11), Decimal(8))
    assert account.equity("USD") == Decimal(10_008)


def test_outside_bar_hooks_the_only_instrument_is_in_hand(house_of: type[House]) -> None:
    one, two = house_of(Idle, spec(A1)), house_of(Pair, spec(A1), spec(B1))
    assert (one.desk.in_hand, one.strategy.position) == ("sim:A", Decimal(0))
    with pytest.raises(ConfigError) as raised:
        two.strategy.buy(1)
    assert str(raised.value) == 'no bar is in hand here. Name the instrument: instrument="provider:SYMBOL"'


def test_in_a_bar_hook_its_instrument_is_in_hand(house_of: type[House]) -> None:
    class InHand(Pair):
        def on_bar_close(self, bar: Bar, history: History) -> None:
            self.order_target(1 if bar.feed == A1 else -1)
            assert self.buy(0).instrument == bar.instrument

    house = house_of(InHand, spec(A1), spec(B1))
    house.engine.start(T0)
    for minute in range(2):
        house.step(T0 + (minute + 1) * MINUTE, bar(minute, 10.0))
        house.step(T0 + (minute + 1) * MINUTE, bar(minute, 20.0, B1))
    assert house.desk.positions == {"sim:A": Decimal(1), "sim:B": Decimal(-1)}


def test_what_is_not_subscribed_cannot_be_traded(house_of: type[House]) -> None:
    with pytest.raises(ConfigError) as raised:
        opened(house_of).strategy.buy(1, instrument="sim:Z")
    assert str(raised.value) == "'sim:Z' cannot be traded here. Subscribe one of its feeds; there are: sim:A"


def test_the_price_of_an_instrument_is_that_of_its_shortest_bars(house_of: type[House]) -> None:
    class Both(Idle):
        feeds = [A5, A1]

    house = house_of(Both, spec(A1), spec(A5, Source.DERIVED, A1))
    house.engine.start(T0)
    assert house.desk.mark("sim:A") is None
    for minute in range(6):
        house.step(T0 + (minute + 1) * MINUTE, bar(minute, 10.0 + minute))
    assert house.desk.mark("sim:A") == 15.0


def test_what_a_venue_cannot_mean_is_audited_and_not_applied(house_of: type[House]) -> None:
    house = opened(house_of)
    house.engine.step(
        T0 + MINUTE,
        [ExecutionReport(client_order_id="x", status=OrderStatus.NEW, ts_event=T0, ts_recv=T0)],
    )
    assert house.audit[-1] == Anomaly("x", "unknown order: x: no such order, or finished long ago", T0 + MINUTE)


def test_what_json_cannot_say_is_logged_as_text(house_of: type[House]) -> None:
    house = opened(house_of)
    house.strategy.log.info("said", count=3, price=1.5, yes=True, nothing=None, money=Decimal("1.50"))
    house.strategy.log.warning("loud")
    house.strategy.log.debug("low")
    assert house.audit[-3:] == [
        Logged("info", "said", {"count": 3, "price": 1.5, "yes": True, "nothing": None, "money": "1.50"}, T0 + MINUTE),
        Logged("warning", "loud", {}, T0 + MINUTE),
        Logged("debug", "low", {}, T0 + MINUTE),
    ]


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1.0, 0.0, 1e300])
def test_an_impossible_price_is_refused(house_of: type[House], price: float) -> None:
    strategy = opened(house_of).strategy
    assert strategy.buy(1, limit=price).status is OrderStatus.REFUSED
    assert strategy.buy(1, stop=price).status is OrderStatus.REFUSED
