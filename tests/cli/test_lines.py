"""A run says its first few warnings by itself, and any line on request."""

from __future__ import annotations

import io
import json
from decimal import Decimal

from barbot.cli.lines import SHOWN, RunLog
from barbot.core.audit import AuditRecord, DataRefused, Logged, OrderRefused
from barbot.model.market import Bar, Side
from barbot.model.order import Fill, Liquidity, Order, OrderStatus, OrderType, TimeInForce

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
FILL = Fill(
    client_order_id="a-1",
    fill_id="1",
    instrument="kucoin:BTC-USDT",
    side=Side.BUY,
    price=Decimal(1),
    quantity=Decimal(1),
    fee=Decimal(0),
    fee_currency="USDT",
    liquidity=Liquidity.TAKER,
    ts_event=0,
    ts_recv=0,
)


def order(status: OrderStatus) -> Order:
    return Order(
        client_order_id="a-1",
        instrument="kucoin:BTC-USDT",
        side=Side.BUY,
        quantity=Decimal(1),
        type=OrderType.MARKET,
        limit_price=None,
        stop_price=None,
        time_in_force=TimeInForce.GTC,
        status=status,
        filled_quantity=Decimal(0),
        average_price=None,
        ts_created=0,
        ts_updated=0,
    )


def said(level: str | None, *records: AuditRecord) -> tuple[list[str], str]:
    """Return the events of the lines that were written, and what was held back."""
    stream = io.StringIO()
    lines = RunLog(level, stream)
    lines.listener(list(records))
    return [json.loads(line)["event"] for line in stream.getvalue().splitlines()], lines.held_back()


def refusals(count: int) -> list[AuditRecord]:
    return [OrderRefused(f"a-{number}", "cash", "too much", number * MINUTE) for number in range(count)]


def test_the_first_few_of_a_kind_are_shown_and_the_others_counted() -> None:
    refused = DataRefused("kucoin:BTC-USDT@1m", "not_finite", 0, "nan")
    assert said(None, *refusals(SHOWN + 1000), refused) == (
        ["order refused"] * SHOWN + ["market data refused"],
        "1,000 x order refused",
    )


def test_a_level_shows_all_of_it() -> None:
    assert said("warning", *refusals(SHOWN + 2)) == (["order refused"] * (SHOWN + 2), "")


def test_lines_below_a_warning_are_for_those_who_ask() -> None:
    records: list[AuditRecord] = [
        Bar("kucoin:BTC-USDT@1m", 0, MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0),
        FILL,
        order(OrderStatus.FILLED),
        Logged("info", "hello", {}, 0),
    ]
    assert (said(None, *records), said("info", *records)) == (([], ""), (["fill", "order", "hello"], ""))


def test_an_order_that_a_venue_rejected_is_a_warning() -> None:
    assert said(None, order(OrderStatus.REJECTED)) == (["order"], "")


def test_refused_data_are_told_without_the_data() -> None:
    stream = io.StringIO()
    lines = RunLog(None, stream)
    lines.listener([DataRefused("kucoin:BTC-USDT@1m", "not_finite", 0, "Bar(...)")])
    assert json.loads(stream.getvalue()) == {
        "at": "1970-01-01T00:00:00Z",
        "feed": "kucoin:BTC-USDT@1m",
        "reason": "not_finite",
        "event": "market data refused",
        "level": "warning",
    }
