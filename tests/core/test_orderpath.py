"""The short way of a lone market order ends where the long one does, whatever the caller's decimal context."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from barbot.core.costs import PaperSettings
from barbot.core.ledger import Ledger
from barbot.core.orders import OrderBook
from barbot.core.paper import PaperVenue
from barbot.core.risk import Approved, Funds, RiskContext, RiskGate, RiskLimits
from barbot.model.instrument import Instrument
from barbot.model.market import Bar, BarUpdate, Quality, Side
from barbot.model.order import ExecutionReport, Order, OrderIntent, OrderStatus, OrderType, TimeInForce
from barbot.timing.interval import DAY, MINUTE, SECOND

D = Decimal
FEED: Final = "kucoin:BTC-USDT@1m"
START: Final = DAY - 3 * MINUTE
"""Orders are sent a minute later, and the day ends two minutes after that."""
FREE: Final = RiskLimits(allow_short=True, leverage=D(1_000_000))
SPOT: Final = RiskLimits()

prices = st.floats(90.0, 110.0, allow_subnormal=False)
volumes = st.sampled_from([7.5, 1.0, 0.0])
states = st.tuples(
    st.sampled_from([True, True, False]),  # a whole bar, or an update of a forming one
    st.integers(0, 4),  # its minute
    prices,
    prices,
    st.sampled_from([0.0, 3.0]),  # how far the extremes lie beyond open and close
    volumes,
    st.sampled_from([Quality.OK, Quality.REFILLED, Quality.QUIET]),
    st.sampled_from([False, False, False, True]),  # whether its high is below its low: unsound
)
papers = st.builds(
    PaperSettings,
    taker_bps=st.sampled_from([D(0), D(10), D("-0.5")]),
    slippage=st.sampled_from(["none", "bps", "half_spread"]),
    slippage_bps=st.sampled_from([D(0), D(3)]),
    latency_ns=st.sampled_from([0, SECOND, 90 * SECOND]),
    volume_limit=st.sampled_from([None, D("0.1")]),
)
instruments = st.builds(
    Instrument,
    provider=st.just("kucoin"),
    symbol=st.just("BTC-USDT"),
    currency=st.just("USDT"),
    base=st.just("BTC"),
    price_increment=st.sampled_from([None, D("0.1")]),
    multiplier=st.sampled_from([D(1), D("0.01")]),
)


def event(state: tuple[bool, int, float, float, float, float, Quality, bool]) -> tuple[Bar | BarUpdate, int]:
    """Return the event and when it comes."""
    is_bar, minute, first, last, beyond, volume, quality, is_unsound = state
    ts = START + minute * MINUTE
    high, low = max(first, last) + beyond, min(first, last) - beyond
    if is_unsound:
        high, low = low - 1.0, high
    if is_bar:
        return Bar(FEED, ts, ts + MINUTE, first, high, low, last, volume, quality=quality), ts + MINUTE
    return BarUpdate(FEED, ts, first, high, low, last, volume), ts + 30 * SECOND


def intent(name: str, side: Side, quantity: str, limit: str | None = None, tif: str = "GTC") -> OrderIntent:
    return OrderIntent(
        client_order_id=name,
        instrument="kucoin:BTC-USDT",
        side=side,
        quantity=D(quantity),
        type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_price=None if limit is None else D(limit),
        time_in_force=TimeInForce(tif),
    )


def answers(
    instrument: Instrument,
    paper: PaperSettings,
    orders: list[OrderIntent],
    events: list[tuple[Bar | BarUpdate, int]],
    *,
    cash: int,
    cancel_before: int,
) -> list[ExecutionReport]:
    """Return what is said of the first order of a desk."""
    known = {instrument.id: instrument}
    venue = PaperVenue(known, paper, {instrument.id: FEED}, afford=Funds(SPOT, Ledger({"USDT": D(cash)}), known))
    gate, book, rich = RiskGate(FREE), OrderBook(), Ledger({"USDT": D(10**12)})
    for order in orders:
        approved = gate.check(order, RiskContext(now=0, instrument=instrument, ledger=rich, book=book, mark=100.0))
        assert isinstance(approved, Approved)
        venue.submit(approved, START + MINUTE)
    told: list[ExecutionReport] = []
    for number, (state, now) in enumerate(events):
        if number == cancel_before:
            venue.cancel(orders[0].client_order_id, now)
        told += venue.match(state, now)
    return [report for report in told if report.client_order_id == orders[0].client_order_id]


@settings(max_examples=300, deadline=None)
@given(
    instrument=instruments,
    paper=papers,
    side=st.sampled_from(list(Side)),
    tif=st.sampled_from(["GTC", "DAY", "IOC", "FOK"]),
    states=st.lists(states, min_size=1, max_size=5),
    cash=st.sampled_from([50, 10**6]),
    cancel_before=st.integers(0, 4),
)
@example(
    instrument=Instrument.bare("kucoin:BTC-USDT"),
    paper=PaperSettings(),
    side=Side.BUY,
    tif="GTC",
    states=[
        (False, 1, 100.0, 100.0, 0.0, 0.0, Quality.OK, False),
        (True, 1, 100.0, 101.0, 0.0, 1.0, Quality.OK, False),
    ],
    cash=10**6,
    cancel_before=9,
)
def test_a_market_order_alone_is_answered_as_one_beside_others(
    instrument: Instrument,
    paper: PaperSettings,
    side: Side,
    tif: str,
    states: list[tuple[bool, int, float, float, float, float, Quality, bool]],
    cash: int,
    cancel_before: int,
) -> None:
    events = sorted(map(event, states), key=lambda pair: pair[1])
    order, beside = intent("r-1", side, "1", tif=tif), intent("r-2", Side.BUY, "1", limit="1")
    alone = answers(instrument, paper, [order], events, cash=cash, cancel_before=cancel_before)
    among = answers(instrument, paper, [order, beside], events, cash=cash, cancel_before=cancel_before)
    assert among == alone


def partly_filled(quantity: str, filled: str) -> Order:
    return Order(
        client_order_id="r-1",
        instrument="kucoin:BTC-USDT",
        side=Side.BUY,
        quantity=D(quantity),
        type=OrderType.MARKET,
        limit_price=None,
        stop_price=None,
        time_in_force=TimeInForce.GTC,
        status=OrderStatus.PARTIALLY_FILLED,
        filled_quantity=D(filled),
        average_price=None,
        ts_created=1,
        ts_updated=1,
    )


def test_rounding_and_what_is_left_do_not_go_by_the_callers_decimal_context() -> None:
    instrument = Instrument(provider="kucoin", symbol="BTC-USDT", currency="USDT", price_increment=D("0.01"))
    order = partly_filled("123456.789", "0.001")
    with localcontext(prec=3):
        found = (
            instrument.round_price(D("30123.456")),
            instrument.round_quantity("123456.123456789"),
            order.leaves_quantity,
        )
    assert found == (D("30123.46"), D("123456.12345678"), D("123456.788"))
