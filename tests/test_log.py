"""Log lines: what becomes one, at which level, and what is held back."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import pytest
import structlog

from barbot import log
from barbot.core import audit
from barbot.core.audit import AuditRecord
from barbot.errors import ConfigError
from barbot.model.market import Bar, ClosedBy, Connected, Disconnected, Gap, Quality, Side, Trade
from barbot.model.order import Fill, Liquidity, Order, OrderStatus, OrderType, TimeInForce
from barbot.providers.base import Effect, Problem
from barbot.timing.clock import VirtualClock

MINUTE: Final = 60_000_000_000
START: Final = 1_767_225_600_000_000_000
AT: Final = "2026-01-01T00:00:00Z"
FEED: Final = "kucoin:BTC-USDT@1m"
BAR: Final = Bar(FEED, START - MINUTE, START, 100.0, 110.0, 90.0, 105.0, 7.0)
CLOSED: Final = Bar(
    FEED, START - MINUTE, START, 100.0, 110.0, 90.0, 105.0, 7.0, is_closed=True, closed_by=ClosedBy.DECLARED
)
GAP_BAR: Final = Bar(
    FEED, START - MINUTE, START, 1.0, 1.0, 1.0, 1.0, 0.0, closed_by=ClosedBy.ELAPSED, quality=Quality.GAP
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def lines(*records: AuditRecord, level: str = "debug") -> list[dict[str, object]]:
    out = io.StringIO()
    log.configure(level, stream=out, clock=VirtualClock(START))
    log.AuditLog(log.logger()).take(records)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def order(status: OrderStatus, reason: str = "") -> Order:
    return Order(
        client_order_id="r-1",
        instrument="kucoin:BTC-USDT",
        side=Side.BUY,
        quantity=Decimal("0.010"),
        type=OrderType.MARKET,
        limit_price=None,
        stop_price=None,
        time_in_force=TimeInForce.GTC,
        status=status,
        filled_quantity=Decimal(0),
        average_price=None,
        ts_created=START,
        ts_updated=START,
        reason=reason,
    )


ORDER: Final = {
    "at": AT,
    "event": "order",
    "order": "r-1",
    "instrument": "kucoin:BTC-USDT",
    "side": "BUY",
    "quantity": "0.010",
    "type": "MARKET",
}
FILL: Final = Fill(
    client_order_id="r-1",
    fill_id="f-1",
    instrument="kucoin:BTC-USDT",
    side=Side.SELL,
    price=Decimal("60000.1"),
    quantity=Decimal("0.01"),
    fee=Decimal("0.6"),
    fee_currency="USDT",
    liquidity=Liquidity.TAKER,
    ts_event=START,
    ts_recv=START,
)


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (
            GAP_BAR,
            {"level": "warning", "event": "bar closed", "feed": FEED, "quality": "GAP", "closed_by": "ELAPSED"},
        ),
        (
            audit.Corrected(Bar(FEED, START - MINUTE, START, 100.0, 110.0, 80.0, 105.0, 8.0), BAR),
            {
                "level": "info",
                "event": "bar corrected",
                "feed": FEED,
                "ts_open": "2025-12-31T23:59:00Z",
                "low": "90.0 -> 80.0",
                "volume": "7.0 -> 8.0",
            },
        ),
        (
            audit.Gapped(Gap(FEED, START - MINUTE, START, "no history")),
            {
                "level": "warning",
                "event": "gap",
                "feed": FEED,
                "since": "2025-12-31T23:59:00Z",
                "reason": "no history",
            },
        ),
        (
            audit.Seen(Connected("c1", START, (FEED, "kucoin:ETH-USDT@1m"))),
            {"level": "info", "event": "connected", "connection": "c1", "feeds": f"{FEED}, kucoin:ETH-USDT@1m"},
        ),
        (
            audit.Seen(Disconnected("c1", START, "no pong")),
            {"level": "warning", "event": "disconnected", "connection": "c1", "reason": "no pong"},
        ),
        (order(OrderStatus.NEW), ORDER | {"level": "debug", "status": "NEW"}),
        (order(OrderStatus.FILLED), ORDER | {"level": "info", "status": "FILLED"}),
        (
            order(OrderStatus.REJECTED, "no cash"),
            ORDER | {"level": "warning", "status": "REJECTED", "reason": "no cash"},
        ),
        (
            FILL,
            {
                "level": "info",
                "event": "fill",
                "order": "r-1",
                "instrument": "kucoin:BTC-USDT",
                "side": "SELL",
                "quantity": "0.01",
                "price": "60000.1",
                "fee": "0.6 USDT",
            },
        ),
        (
            audit.DataRefused(FEED, "high below low", START, "h1 l2"),
            {
                "level": "warning",
                "event": "market data refused",
                "feed": FEED,
                "reason": "high below low",
                "data": "h1 l2",
            },
        ),
        (
            audit.HistoryAsked(FEED, START - MINUTE, START, START),
            {
                "level": "debug",
                "event": "history asked for",
                "feed": FEED,
                "since": "2025-12-31T23:59:00Z",
                "until": AT,
            },
        ),
        (
            audit.OrderRefused("r-1", "quality", "the bar is REFILLED", START),
            {
                "level": "warning",
                "event": "order refused",
                "order": "r-1",
                "rule": "quality",
                "reason": "the bar is REFILLED",
            },
        ),
        (
            audit.Assumed("r-1", "low before high", START),
            {"level": "debug", "event": "paper fill assumed", "order": "r-1", "assumption": "low before high"},
        ),
        (
            audit.Anomaly("r-1", "filled after cancel", START),
            {"level": "error", "event": "anomaly", "order": "r-1", "problem": "filled after cancel"},
        ),
        (
            audit.Logged("warning", "crossed", {"fast": 1.5, "level": "high"}, START),
            {"level": "warning", "event": "crossed", "fast": 1.5, "level_": "high"},
        ),
        (
            audit.HookFailed("on_bar_close", "ValueError: x", START),
            {"level": "error", "event": "hook failed", "hook": "on_bar_close", "problem": "ValueError: x"},
        ),
        (
            audit.HookSlow("on_bar_close", 0.0812, START),
            {"level": "warning", "event": "hook over its budget", "hook": "on_bar_close", "milliseconds": 81.2},
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, dict) else "",
)
def test_a_transition_is_a_line(record: AuditRecord, line: dict[str, object]) -> None:
    assert lines(record) == [{"at": AT} | line]


def test_what_is_no_transition_is_no_line() -> None:
    records = (
        BAR,
        audit.Opened(BAR),
        audit.Updated(BAR),
        audit.Seen(Trade("kucoin:BTC-USDT", 1.0, 1.0, START)),
        order(OrderStatus.REFUSED),
    )
    assert lines(*records) == []


def test_lines_below_the_level_are_left_out() -> None:
    records = [order(OrderStatus.NEW), order(OrderStatus.FILLED), order(OrderStatus.REJECTED)]
    found = {level: [line["status"] for line in lines(*records, level=level)] for level in log.LEVELS}
    assert found == {
        "debug": ["NEW", "FILLED", "REJECTED"],
        "info": ["FILLED", "REJECTED"],
        "warning": ["REJECTED"],
        "error": [],
    }


def test_a_line_that_repeats_is_written_once_a_minute_with_the_number_held_back() -> None:
    refused = [audit.DataRefused(FEED, "NaN", START + n * MINUTE // 3, "") for n in range(7)]
    other = audit.DataRefused(FEED, "off the grid", START + MINUTE // 2, "")
    found = [(line["at"], line["reason"], line.get("held_back")) for line in lines(*refused[:2], other, *refused[2:])]
    assert found == [
        ("2026-01-01T00:00:00Z", "NaN", None),
        ("2026-01-01T00:00:30Z", "off the grid", None),
        ("2026-01-01T00:01:00Z", "NaN", 2),
        ("2026-01-01T00:02:00Z", "NaN", 2),
    ]


def test_a_line_about_no_record_is_stamped_by_the_clock() -> None:
    out = io.StringIO()
    log.configure("info", stream=out, clock=VirtualClock(START))
    log.logger().info("started", cash=Decimal("1.50"))
    assert json.loads(out.getvalue()) == {"at": AT, "event": "started", "cash": "1.50", "level": "info"}


def test_a_terminal_gets_columns() -> None:
    out = Terminal()
    log.configure("info", stream=out, clock=VirtualClock(START))
    log.logger().warning("gap", feed=FEED, amount=Decimal("1.50"))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert plain == f"2026-01-01 00:00:00 [warning  ] gap          feed={FEED} amount=1.50\n"


def test_a_live_run_has_a_line_for_each_bar_that_closes() -> None:
    out = io.StringIO()
    log.configure("info", stream=out, clock=VirtualClock(START))
    log.AuditLog(log.logger(), with_bars=True).take([CLOSED])
    values = {"open": 100.0, "high": 110.0, "low": 90.0, "close": 105.0, "volume": 7.0}
    said = {"feed": FEED, **values, "quality": "OK", "closed_by": "DECLARED", "event": "bar closed", "level": "info"}
    assert json.loads(out.getvalue()) == {"at": AT, **said}


@pytest.mark.parametrize(
    ("effect", "level", "then"),
    [
        (Effect.NOTE, "warning", {}),
        (Effect.DROP, "warning", {"then": "a new connection"}),
        (Effect.STOP, "error", {}),
    ],
)
def test_what_a_venue_complains_of_is_a_line(effect: Effect, level: str, then: dict[str, str]) -> None:
    line = log.problem_line(Problem("kucoin-1#2", START, effect, "509", "service busy"))
    facts = {"connection": "kucoin-1#2", "code": "509", "text": "service busy"} | then
    assert line == log.Line(level, "venue", START, dict(facts), "kucoin-1 509 service busy")


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        log.configure("loud")
    assert str(caught.value) == "--log-level: 'loud' is no log level. Use one of: debug, info, warning, error"
