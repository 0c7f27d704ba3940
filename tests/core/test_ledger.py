"""The ledger books exactly: equity changes by prices and fees alone, in every currency, to the last digit."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.core.ledger import Ledger, Position, RoundTrip, TradeStatistics
from barbot.errors import ConfigError
from barbot.model.instrument import Instrument
from barbot.model.market import Side
from barbot.model.order import Fill, Liquidity

D = Decimal
BTC = Instrument.bare("kucoin:BTC-USDT")
FUTURE = Instrument(provider="x", symbol="ES", currency="USD", multiplier=D(50))


def fill(
    side: Side,
    quantity: str,
    price: str,
    fee: str = "0",
    *,
    ts: int = 0,
    instrument: Instrument = BTC,
    fee_currency: str = "",
) -> Fill:
    return Fill(
        client_order_id="r-1",
        fill_id="f-1",
        instrument=instrument.id,
        side=side,
        price=D(price),
        quantity=D(quantity),
        fee=D(fee),
        fee_currency=fee_currency or instrument.currency,
        liquidity=Liquidity.TAKER,
        ts_event=ts,
        ts_recv=ts,
    )


def test_a_round_trip_is_booked_and_handed_out() -> None:
    ledger = Ledger({"USDT": D(1000)})
    assert ledger.apply(fill(Side.BUY, "2", "100", "0.2", ts=5), BTC) is None
    assert ledger.position(BTC) == Position(
        instrument=BTC.id,
        currency="USDT",
        quantity=D(2),
        average_price=D(100),
        cost=D(200),
        realised=D(0),
        fees=D("0.2"),
        ts_entry=5,
    )
    assert ledger.unrealised(BTC.id, 110.0) == D(20)
    assert ledger.equity({BTC.id: 110.0}, "USDT") == D("1019.8")
    trip = ledger.apply(fill(Side.SELL, "2", "110", "0.22", ts=9), BTC)
    assert trip == RoundTrip(
        instrument=BTC.id,
        currency="USDT",
        side=Side.BUY,
        quantity=D(2),
        entry_price=D(100),
        exit_price=D(110),
        ts_entry=5,
        ts_exit=9,
        fees=D("0.42"),
        profit=D("19.58"),
    )
    assert trip.holding_ns == 4
    assert ledger.balances() == {"USDT": D("1019.58")}
    assert ledger.statistics("USDT") == TradeStatistics(trips=1, wins=1, gross_profit=D("19.58"), holding_ns=4)
    assert ledger.statistics("USDT").win_rate == 1.0


def test_one_fill_through_zero_closes_one_trip_and_opens_another_and_shares_the_fee() -> None:
    ledger = Ledger({"USDT": D(1000)})
    ledger.apply(fill(Side.BUY, "1", "100", "0.1", ts=1), BTC)
    trip = ledger.apply(fill(Side.SELL, "4", "90", "0.4", ts=2), BTC)
    assert trip == RoundTrip(
        instrument=BTC.id,
        currency="USDT",
        side=Side.BUY,
        quantity=D(1),
        entry_price=D(100),
        exit_price=D(90),
        ts_entry=1,
        ts_exit=2,
        fees=D("0.2"),
        profit=D("-10.2"),
    )
    assert ledger.position(BTC) == Position(
        instrument=BTC.id,
        currency="USDT",
        quantity=D(-3),
        average_price=D(90),
        cost=D(-270),
        realised=D(-10),
        fees=D("0.5"),
        ts_entry=2,
    )
    assert ledger.unrealised(BTC.id, D(80)) == D(30)
    assert ledger.equity({BTC.id: D(80)}, "USDT") == D("1019.5")


def test_scaling_in_and_out_averages_over_the_whole_trip() -> None:
    ledger = Ledger({"USD": D(0)})
    for side, quantity, price in ((Side.SELL, "1", "10"), (Side.SELL, "2", "13"), (Side.BUY, "1", "11")):
        assert ledger.apply(fill(side, quantity, price, instrument=FUTURE), FUTURE) is None
    trip = ledger.apply(fill(Side.BUY, "2", "8", ts=7, instrument=FUTURE), FUTURE)
    assert trip == RoundTrip(
        instrument="x:ES",
        currency="USD",
        side=Side.SELL,
        quantity=D(3),
        entry_price=D(12),
        exit_price=D(9),
        ts_entry=0,
        ts_exit=7,
        fees=D(0),
        profit=D(450),
    )


def test_a_fee_in_the_base_currency_is_taken_out_of_what_was_bought() -> None:
    ledger = Ledger({"USDT": D(1000)})
    ledger.apply(fill(Side.BUY, "1", "100", "0.001", fee_currency="BTC"), BTC)
    assert ledger.quantity(BTC.id) == D("0.999")
    assert ledger.cash("USDT") == D(900)
    assert ledger.fees("USDT") == D("0.1")
    assert ledger.equity({BTC.id: 100.0}, "USDT") == D("999.9")
    ledger.apply(fill(Side.SELL, "0.999", "100", "0.001", fee_currency="BTC"), BTC)
    assert ledger.quantity(BTC.id) == 0
    assert ledger.balances() == {"USDT": D("999.8")}


def test_a_fee_in_a_third_currency_is_paid_from_that_cash_and_currencies_are_not_mixed() -> None:
    ledger = Ledger({"USDT": D(1000), "KCS": D(5)})
    ledger.apply(fill(Side.BUY, "1", "100", "0.5", fee_currency="KCS"), BTC)
    assert ledger.balances() == {"USDT": D(900), "KCS": D("4.5")}
    assert ledger.equity({BTC.id: 100.0}, "USDT") == D(1000)
    assert ledger.equity({BTC.id: 100.0}, "KCS") == D("4.5")


def test_a_position_without_a_mark_counts_at_cost() -> None:
    ledger = Ledger({"USDT": D(1000)})
    ledger.apply(fill(Side.BUY, "3", "100"), BTC)
    assert ledger.equity({}, "USDT") == D(1000)
    assert ledger.unrealised(BTC.id, None) == 0


def test_the_callers_decimal_context_neither_matters_nor_changes() -> None:
    with decimal.localcontext(decimal.Context(prec=3)):
        ledger = Ledger({"USDT": D("123456.789")})
        ledger.apply(fill(Side.BUY, "1.234567", "1000.01"), BTC)
        assert ledger.cash("USDT") == D("122222.20965433")
        assert decimal.getcontext().prec == 3


@pytest.mark.parametrize("amount", ["-1", "NaN"])
def test_cash_to_start_with_is_an_amount(amount: str) -> None:
    with pytest.raises(ConfigError, match=f"cash: cannot start with {amount} USDT. Give an amount of zero or more"):
        Ledger({"USDT": D(amount)})


PRICES = st.decimals("0.01", "99999.99", places=2)
QUANTITIES = st.decimals("0.00000001", "1000", places=8)
FEES = st.decimals("-1", "5", places=6)
TAPE = st.lists(
    st.tuples(st.sampled_from([BTC, FUTURE]), st.sampled_from(list(Side)), QUANTITIES, PRICES, FEES, st.booleans()),
    max_size=40,
)


@given(TAPE, PRICES, PRICES)
@settings(max_examples=100, deadline=None)
def test_equity_changes_by_profit_and_fees_alone_exactly(
    tape: list[tuple[Instrument, Side, D, D, D, bool]], btc: D, future: D
) -> None:
    ledger = Ledger({"USDT": D(1000), "USD": D(500)})
    marks: dict[str, Decimal | float] = {BTC.id: btc, FUTURE.id: future}
    trips: list[RoundTrip] = []
    for instrument, side, quantity, price, fee, in_base in tape:
        currency = "BTC" if in_base and instrument is BTC and fee > 0 else instrument.currency
        one = fill(side, str(quantity), str(price), str(fee), instrument=instrument, fee_currency=currency)
        trip = ledger.apply(one, instrument)
        if trip is not None:
            trips.append(trip)
    for instrument in (BTC, FUTURE):
        currency = instrument.currency
        change = ledger.equity(marks, currency) - ledger.start_cash(currency)
        with decimal.localcontext(decimal.Context(prec=64)):
            profit = ledger.realised(currency) + ledger.unrealised(instrument.id, marks[instrument.id])
            assert ledger.equity(marks, currency) - ledger.start_cash(currency) == profit - ledger.fees(currency)
            position = ledger.position(instrument)
            if not position.quantity:
                assert sum((t.profit for t in trips if t.currency == currency), D(0)) == (
                    ledger.realised(currency) - ledger.fees(currency)
                )
                assert position.cost == 0
        assert change.is_finite()
        statistics = ledger.statistics(currency)
        assert statistics.trips == len([t for t in trips if t.currency == currency])
        assert statistics.wins == len([t for t in trips if t.currency == currency and t.profit > 0])


@given(TAPE)
@settings(max_examples=50, deadline=None)
def test_booking_at_a_price_changes_equity_at_that_price_by_the_fee_alone(
    tape: list[tuple[Instrument, Side, D, D, D, bool]],
) -> None:
    ledger = Ledger({"USDT": D(1000), "USD": D(500)})
    for instrument, side, quantity, price, fee, _ in tape:
        marks: dict[str, Decimal | float] = {instrument.id: price}
        with decimal.localcontext(decimal.Context(prec=64)):
            before = ledger.equity(marks, instrument.currency)
            ledger.apply(fill(side, str(quantity), str(price), str(fee), instrument=instrument), instrument)
            assert ledger.equity(marks, instrument.currency) == before - fee
