"""The gate lets through what the limits allow and the account can pay; a refusal says rule, figures and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import pytest

from barbot.core.ledger import Ledger
from barbot.core.orders import OrderBook
from barbot.core.risk import Approved, Funds, Refusal, RiskContext, RiskGate, RiskLimits
from barbot.errors import ConfigError
from barbot.model.instrument import Instrument
from barbot.model.market import Quality, Side
from barbot.model.order import Fill, Liquidity, OrderIntent, OrderType
from barbot.timing.interval import DAY, MINUTE, SECOND

D = Decimal
BTC: Final = Instrument.bare("kucoin:BTC-USDT")
ETH: Final = Instrument.bare("kucoin:ETH-USDT")
BUY: Final = Side.BUY
SELL: Final = Side.SELL


def intent(
    side: Side,
    quantity: str,
    *,
    limit: str | None = None,
    stop: str | None = None,
    kind: OrderType | None = None,
    instrument: Instrument = BTC,
    number: int = 1,
) -> OrderIntent:
    kinds = {(False, False): "MARKET", (True, False): "LIMIT", (False, True): "STOP", (True, True): "STOP_LIMIT"}
    return OrderIntent(
        client_order_id=f"r-{number}",
        instrument=instrument.id,
        side=side,
        quantity=D(quantity),
        type=kind or OrderType(kinds[limit is not None, stop is not None]),
        limit_price=None if limit is None else D(limit),
        stop_price=None if stop is None else D(stop),
    )


def fill(side: Side, quantity: str, price: str, *, instrument: Instrument = BTC, fee: str = "0") -> Fill:
    return Fill(
        client_order_id="r-1",
        fill_id="f-1",
        instrument=instrument.id,
        side=side,
        price=D(price),
        quantity=D(quantity),
        fee=D(fee),
        fee_currency="USDT",
        liquidity=Liquidity.TAKER,
        ts_event=0,
        ts_recv=0,
    )


class Desk:
    """A gate with an account of 1000 USDT, and the price 100."""

    def __init__(self, limits: RiskLimits | None = None, *, held: str = "0", cash: str = "1000") -> None:
        self.gate = RiskGate(limits or RiskLimits())
        self.book = OrderBook()
        self.ledger = Ledger({"USDT": D(cash) + D(held) * 100})
        if D(held):
            self.ledger.apply(fill(BUY if D(held) > 0 else SELL, held.lstrip("-"), "100"), BTC)

    def ask(
        self,
        order: OrderIntent,
        *,
        now: int = 0,
        mark: float | None = 100.0,
        quality: Quality | None = None,
        fee_rate: str = "0",
        instrument: Instrument = BTC,
    ) -> str:
        """Return "" if approved (the order is then open), else rule and reason."""
        context = RiskContext(
            now=now,
            instrument=instrument,
            ledger=self.ledger,
            book=self.book,
            mark=mark,
            quality=quality,
            fee_rate=D(fee_rate),
        )
        answer = self.gate.check(order, context)
        if isinstance(answer, Refusal):
            assert answer.intent is order
            return f"{answer.rule}: {answer.reason}"
        assert answer.intent is order
        self.book.open(answer.intent, now)
        return ""


def test_nobody_but_the_gate_makes_an_approved_order() -> None:
    with pytest.raises(TypeError, match=r"only RiskGate\.check approves orders"):
        Approved(intent(BUY, "1"), object())


def test_an_approved_order_cannot_be_exchanged() -> None:
    desk = Desk()
    context = RiskContext(now=0, instrument=BTC, ledger=desk.ledger, book=desk.book, mark=100.0)
    approved = desk.gate.check(intent(BUY, "1"), context)
    assert isinstance(approved, Approved)
    with pytest.raises(AttributeError):
        approved.intent = intent(BUY, "100")  # type: ignore[misc]  # the point of the test


BOUNDED: Final = Instrument(
    provider="kucoin",
    symbol="BTC-USDT",
    currency="USDT",
    base="BTC",
    min_quantity=D("0.1"),
    max_quantity=D(5),
    min_notional=D(50),
)
FORM: Final = [
    (
        intent(BUY, "0"),
        "quantity: quantity 0 of kucoin:BTC-USDT is not above zero after rounding to lots of eight decimals; "
        "ask for at least one lot",
    ),
    (
        intent(SELL, "-1"),
        "quantity: quantity -1 of kucoin:BTC-USDT is not above zero after rounding to lots of eight decimals; "
        "ask for at least one lot",
    ),
    (intent(BUY, "1", limit="0"), "price: limit price 0 is not above zero; give a price of the market"),
    (intent(BUY, "1", stop="-3"), "price: stop price -3 is not above zero; give a price of the market"),
    (intent(BUY, "1", kind=OrderType.LIMIT), "price: a LIMIT order needs a limit price; give one"),
    (
        intent(BUY, "1", limit="9", kind=OrderType.MARKET),
        "price: a MARKET order needs no limit price; leave it out",
    ),
    (intent(BUY, "0.05"), "min_quantity: quantity 0.05 is below kucoin:BTC-USDT's 0.1; ask for more"),
    (intent(BUY, "6"), "max_quantity: quantity 6 is above kucoin:BTC-USDT's 5; split it"),
    (intent(BUY, "0.4"), "min_notional: 40 USDT are below kucoin:BTC-USDT's 50; ask for more"),
    (intent(SELL, "0.4"), "min_notional: 40 USDT are below kucoin:BTC-USDT's 50; ask for more"),
]


@pytest.mark.parametrize(("order", "expected"), FORM)
def test_form_is_checked_of_every_order(order: OrderIntent, expected: str) -> None:
    assert Desk(held="3").ask(order, instrument=BOUNDED) == expected


def test_a_market_order_needs_a_known_price() -> None:
    expected = "price: no price of kucoin:BTC-USDT is known yet; wait for its first bar"
    assert Desk().ask(intent(BUY, "1"), mark=None) == expected


SIZES: Final = [
    (
        RiskLimits(max_order_quantity=D(2)),
        "max_order_quantity: order quantity 3 is above 2; lower the quantity or raise max_order_quantity",
    ),
    (
        RiskLimits(max_order_notional=D(299)),
        "max_order_notional: order notional 300 USDT is above 299 USDT; lower the quantity or raise max_order_notional",
    ),
    (
        RiskLimits(max_position_quantity=D("7.5")),
        "max_position_quantity: position quantity 8 is above 7.5; lower the quantity or raise max_position_quantity",
    ),
    (
        RiskLimits(max_position_notional=D(799)),
        "max_position_notional: position notional 800 USDT is above 799 USDT; "
        "lower the quantity or raise max_position_notional",
    ),
]


@pytest.mark.parametrize(("limits", "expected"), SIZES)
def test_sizes_are_limited_and_the_way_out_is_not(limits: RiskLimits, expected: str) -> None:
    desk = Desk(limits, held="5")
    assert desk.ask(intent(BUY, "3")) == expected
    assert desk.ask(intent(SELL, "5")) == ""


def test_orders_a_minute_are_counted_in_a_sliding_window_and_exits_pass() -> None:
    desk = Desk(RiskLimits(max_orders_per_minute=2), held="1")
    assert desk.ask(intent(BUY, "1", number=1), now=0) == ""
    assert desk.ask(intent(BUY, "1", number=2), now=30 * SECOND) == ""
    expected = (
        "max_orders_per_minute: 2 orders were approved within 60 s and 2 are allowed; "
        "send fewer or raise max_orders_per_minute"
    )
    assert desk.ask(intent(BUY, "1", number=3), now=MINUTE - 1) == expected
    assert desk.ask(intent(BUY, "1", number=4), now=MINUTE) == ""
    assert desk.ask(intent(SELL, "1", number=5), now=MINUTE) == ""


@pytest.mark.parametrize(
    ("quality", "is_allowed"),
    [(None, True), (Quality.OK, True), (Quality.QUIET, True), (Quality.REFILLED, False), (Quality.GAP, False)],
)
def test_orders_open_positions_on_bars_of_allowed_quality_alone(quality: Quality | None, is_allowed: bool) -> None:
    found = Desk(held="1").ask(intent(BUY, "1"), quality=quality)
    assert (found == "") is is_allowed
    assert Desk(held="1").ask(intent(SELL, "1"), quality=quality) == ""


def test_a_refusal_for_quality_says_which() -> None:
    assert Desk().ask(intent(BUY, "1"), quality=Quality.REFILLED) == (
        "quality: the bar in hand is REFILLED and orders are allowed on OK, QUIET; "
        "wait for a sound bar or add REFILLED to allowed_quality"
    )


def test_the_daily_loss_stops_entries_until_the_next_utc_day() -> None:
    desk = Desk(RiskLimits(max_daily_loss=D(50)), held="4")
    desk.gate.start_day(5, desk.ledger, {BTC.id: 100.0})
    assert desk.gate.ts_next_day == DAY
    assert desk.ask(intent(BUY, "1", number=1), now=6, mark=88.0) == ""
    assert desk.ask(intent(BUY, "1", number=2), now=7, mark=87.0) == (
        "max_daily_loss: 52 USDT are lost since midnight UTC and 50 USDT are allowed; only orders that reduce "
        "a position pass until the next UTC day, or raise max_daily_loss"
    )
    assert desk.ask(intent(SELL, "4", number=3), now=8, mark=80.0) == ""
    assert desk.ask(intent(BUY, "1", number=4), now=DAY, mark=80.0) == ""


def test_without_a_loss_limit_no_day_wants_to_be_started() -> None:
    assert Desk().gate.ts_next_day > 9_000 * DAY


def test_spot_buys_are_limited_by_free_cash_with_the_fee_and_less_what_open_buys_reserve() -> None:
    desk = Desk()
    assert desk.ask(intent(BUY, "10"), fee_rate="0.001") == (
        "cash: buy 10 kucoin:BTC-USDT costs 1001 USDT with the fee and 1000 USDT are free; "
        "lower the quantity, start with more cash, or set leverage"
    )
    assert desk.ask(intent(BUY, "4", limit="50", number=2), fee_rate="0.001") == ""
    assert desk.ask(intent(BUY, "2", number=3), fee_rate="0.001") == ""
    assert desk.ask(intent(BUY, "6", number=4), fee_rate="0.001") == (
        "cash: buy 6 kucoin:BTC-USDT costs 600.6 USDT with the fee and 599.6 USDT are free; "
        "lower the quantity, start with more cash, or set leverage"
    )
    found = desk.ask(intent(BUY, "6", limit="100", number=5, instrument=ETH), instrument=ETH, fee_rate="0.001")
    assert found.startswith("cash: buy 6 kucoin:ETH-USDT costs 600.6 USDT with the fee and 599.6 USDT are free")


def test_spot_sells_are_limited_by_the_position_less_open_sells() -> None:
    desk = Desk(held="3")
    assert desk.ask(intent(SELL, "2", limit="120", number=1)) == ""
    assert desk.ask(intent(SELL, "2", number=2)) == (
        "position: sell 2 kucoin:BTC-USDT exceeds the position 3 less 2 in open sells; "
        "lower the quantity, cancel an open sell, or set allow_short"
    )
    assert desk.ask(intent(SELL, "1", number=3)) == ""


def test_a_margin_account_may_short_up_to_its_equity_times_leverage() -> None:
    desk = Desk(RiskLimits(allow_short=True, leverage=D(2)))
    assert desk.ask(intent(SELL, "21")) == (
        "margin: 1050 USDT of margin are needed and equity is 1000 USDT; "
        "lower the quantity, start with more cash, or raise leverage"
    )
    assert desk.ask(intent(SELL, "15", number=2)) == ""
    assert desk.ask(intent(BUY, "20", number=3)) == ""
    found = desk.ask(intent(BUY, "6", number=4, instrument=ETH), instrument=ETH)
    assert found.startswith("margin: 1300 USDT of margin are needed and equity is 1000 USDT")


def test_leverage_alone_does_not_allow_shorts() -> None:
    assert Desk(RiskLimits(leverage=D(3)), held="1").ask(intent(SELL, "2")) == (
        "position: sell 2 kucoin:BTC-USDT could end short at -1; "
        "lower the quantity, cancel an open sell, or set allow_short"
    )


def test_a_short_position_is_covered_whatever_the_account_says() -> None:
    limits = RiskLimits(allow_short=True, max_position_quantity=D(1), max_order_quantity=D(1))
    desk = Desk(limits, held="-5", cash="1000")
    assert desk.ask(intent(BUY, "5"), mark=1000.0, quality=Quality.GAP) == ""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_order_quantity": D(0)}, "max_order_quantity: 0 is no limit. Give more than 0, or leave it out"),
        ({"max_daily_loss": D(-5)}, "max_daily_loss: -5 is no limit. Give more than 0, or leave it out"),
        ({"leverage": D("0.5")}, "leverage: 0.5 is too low. Give 1 or more"),
    ],
)
def test_limits_that_cannot_be_meant_are_refused(values: dict[str, Decimal], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RiskLimits(**values)  # type: ignore[arg-type]  # each is a Decimal field
    assert str(caught.value) == message


FUNDS: Final[list[tuple[RiskLimits, str, Sequence[Fill], Fill, str]]] = [
    (RiskLimits(), "0", (), fill(BUY, "10", "100"), ""),
    (
        RiskLimits(),
        "0",
        (),
        fill(BUY, "10", "100", fee="1"),
        "buy 10 at 100 costs 1001 USDT with the fee and 1000 USDT are there",
    ),
    (
        RiskLimits(),
        "0",
        (fill(BUY, "1", "100", fee="1"),),
        fill(BUY, "9", "100", fee="0"),
        "buy 9 at 100 costs 900 USDT with the fee and 899 USDT are there",
    ),
    (RiskLimits(), "0", (fill(BUY, "1", "100"),), fill(SELL, "1", "100"), ""),
    (RiskLimits(), "1", (), fill(SELL, "2", "100"), "sell 2 at 100 exceeds the position 1"),
    (RiskLimits(allow_short=True), "1", (), fill(SELL, "2", "100"), ""),
    (
        RiskLimits(allow_short=True),
        "0",
        (),
        fill(SELL, "11", "100"),
        "sell 11 at 100 needs 1100 USDT of margin and equity is 1000 USDT",
    ),
    (RiskLimits(leverage=D(2)), "0", (), fill(BUY, "20", "100"), ""),
    (
        RiskLimits(leverage=D(2)),
        "0",
        (fill(BUY, "1", "100", instrument=ETH, fee="2"),),
        fill(BUY, "20", "100"),
        "buy 20 at 100 needs 1050 USDT of margin and equity is 998 USDT",
    ),
    (RiskLimits(leverage=D(2)), "1", (), fill(SELL, "2", "100"), "sell 2 at 100 would end short at -1"),
    (RiskLimits(allow_short=True), "-5", (), fill(BUY, "5", "900"), ""),
]


@pytest.mark.parametrize(("limits", "held", "unbooked", "one", "expected"), FUNDS)
def test_funds_say_what_a_fill_lacks(
    limits: RiskLimits, held: str, unbooked: Sequence[Fill], one: Fill, expected: str
) -> None:
    desk = Desk(limits, held=held)
    funds = Funds(limits, desk.ledger, {BTC.id: BTC, ETH.id: ETH}, {BTC.id: 100.0})
    assert funds(one, unbooked) == expected
