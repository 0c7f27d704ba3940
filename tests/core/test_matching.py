"""Each price rule of docs/paper.md has one row here: the order, the bar that opens when it stands, the answer."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pytest

from barbot.core.matching import (
    AT_START,
    HIDDEN_LIMIT,
    INSIDE_LIMIT,
    INSIDE_STOP,
    WorkingOrder,
    reach,
    standing,
    whole_bar,
)
from barbot.model.market import Bar, Side
from barbot.model.order import OrderIntent, OrderType
from barbot.timing.interval import MINUTE

D = Decimal
BUY: Final = Side.BUY
SELL: Final = Side.SELL


def order(side: Side, *, limit: str | None = None, stop: str | None = None) -> OrderIntent:
    kinds = {(False, False): "MARKET", (True, False): "LIMIT", (False, True): "STOP", (True, True): "STOP_LIMIT"}
    return OrderIntent(
        client_order_id="r-1",
        instrument="kucoin:BTC-USDT",
        side=side,
        quantity=D(1),
        type=OrderType(kinds[limit is not None, stop is not None]),
        limit_price=None if limit is None else D(limit),
        stop_price=None if stop is None else D(stop),
    )


TAKEN: Final = "TAKER"
RESTED: Final = "MAKER"
BAR_RULES: Final[list[tuple[str, OrderIntent, tuple[float, float, float, float], tuple[str, str] | None]]] = [
    ("a market buy fills at the open", order(BUY), (100, 105, 95, 102), ("100", TAKEN)),
    ("a market sell fills at the open", order(SELL), (100, 105, 95, 102), ("100", TAKEN)),
    ("a limit buy reached inside fills at its limit", order(BUY, limit="97"), (100, 105, 95, 102), ("97", RESTED)),
    ("a limit buy touched fills", order(BUY, limit="95"), (100, 105, 95, 102), ("95", RESTED)),
    ("a limit buy not reached stands", order(BUY, limit="94.9"), (100, 105, 95, 102), None),
    ("a limit buy above the open fills at the open", order(BUY, limit="103"), (100, 105, 95, 102), ("100", TAKEN)),
    ("a limit sell reached inside fills at its limit", order(SELL, limit="104"), (100, 105, 95, 102), ("104", RESTED)),
    ("a limit sell below the open fills at the open", order(SELL, limit="98"), (100, 105, 95, 102), ("100", TAKEN)),
    ("a limit sell not reached stands", order(SELL, limit="105.1"), (100, 105, 95, 102), None),
    ("a stop buy reached inside fills at its stop", order(BUY, stop="104"), (100, 105, 95, 102), ("104", TAKEN)),
    ("a stop buy gapped through fills at the open", order(BUY, stop="99"), (100, 105, 95, 102), ("100", TAKEN)),
    ("a stop buy not reached stands", order(BUY, stop="106"), (100, 105, 95, 102), None),
    ("a stop sell reached inside fills at its stop", order(SELL, stop="96"), (100, 105, 95, 102), ("96", TAKEN)),
    ("a stop sell gapped through fills at the open", order(SELL, stop="101"), (100, 105, 95, 102), ("100", TAKEN)),
    (
        "a stop-limit buy whose limit lies beyond its stop fills at the stop",
        order(BUY, stop="104", limit="104.5"),
        (100, 105, 95, 102),
        ("104", TAKEN),
    ),
    (
        "a stop-limit buy gapped beyond its limit fills at the limit once the price comes back",
        order(BUY, stop="98", limit="99"),
        (100, 105, 95, 102),
        ("99", RESTED),
    ),
    (
        "a stop-limit buy whose limit lies before its stop fills if the bar ends within the limit",
        order(BUY, stop="104", limit="103"),
        (100, 105, 95, 102),
        ("103", RESTED),
    ),
    (
        "a stop-limit buy triggers and stands if the bar does not tell that the limit came after the stop",
        order(BUY, stop="104", limit="101"),
        (100, 105, 95, 102),
        None,
    ),
    (
        "a stop-limit sell whose limit lies beyond its stop fills at the stop",
        order(SELL, stop="96", limit="95.5"),
        (100, 105, 95, 102),
        ("96", TAKEN),
    ),
]


@pytest.mark.parametrize(("rule", "intent", "prices", "expected"), BAR_RULES, ids=[row[0] for row in BAR_RULES])
def test_a_whole_bar(
    rule: str, intent: OrderIntent, prices: tuple[float, float, float, float], expected: tuple[str, str] | None
) -> None:
    found = answer(standing(intent, 0, 1 << 62), prices)
    assert found == (None if expected is None else (D(expected[0]), expected[1])), rule


def answer(working: WorkingOrder, prices: tuple[float, float, float, float]) -> tuple[Decimal, str] | None:
    o, h, low, c = prices
    bar = Bar("kucoin:BTC-USDT@1m", 0, MINUTE, o, h, low, c, 10.0)
    hit = reach(working, whole_bar(bar), through=False)
    if hit is None:
        return None
    own = {AT_START: None, INSIDE_STOP: working.intent.stop_price, INSIDE_LIMIT: working.intent.limit_price}
    price = own[hit.phase] if hit.price is None else D(repr(hit.price))
    assert price is not None
    return price, hit.liquidity.value


def test_a_triggered_stop_limit_stands_as_a_limit_and_knows_why_it_was_not_filled() -> None:
    working = standing(order(BUY, stop="104", limit="101"), 0, 1 << 62)
    assert answer(working, (100, 105, 95, 102)) is None
    assert (working.stop, working.note) == (None, HIDDEN_LIMIT)
    working.is_fresh = False
    assert answer(working, (102, 103, 100, 102)) == (D(101), "MAKER")


def test_a_resting_limit_that_a_bar_opens_through_fills_at_the_open_as_maker() -> None:
    working = standing(order(SELL, limit="104"), 0, 1 << 62)
    working.is_fresh = False
    assert answer(working, (107, 108, 103, 105)) == (D(107), "MAKER")
