"""The paper venue by the rules of docs/paper.md: when, how much, how long, at what cost (prices: test_matching)."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.core.costs import Costs, PaperSettings, half_spread_slippage
from barbot.core.ledger import Ledger
from barbot.core.matching import HIDDEN_LIMIT, STOP_FIRST
from barbot.core.orders import OrderBook
from barbot.core.paper import NO_QUOTE, PaperVenue
from barbot.core.risk import Approved, Funds, RiskContext, RiskGate, RiskLimits
from barbot.errors import ConfigError
from barbot.model.instrument import Instrument
from barbot.model.market import Bar, BarUpdate, MarketEvent, Quality, Quote, Side, Trade
from barbot.model.order import (
    ExecutionReport,
    Fill,
    Liquidity,
    Order,
    OrderIntent,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from barbot.timing.interval import DAY, MINUTE, SECOND

D = Decimal
BTC: Final = Instrument(
    provider="kucoin",
    symbol="BTC-USDT",
    currency="USDT",
    base="BTC",
    price_increment=D("0.1"),
    quantity_increment=D("0.5"),
)
ETH: Final = Instrument.bare("kucoin:ETH-USDT")
FEED: Final = "kucoin:BTC-USDT@1m"
SOURCES: Final = {BTC.id: FEED, ETH.id: "kucoin:ETH-USDT@1m"}
BUY: Final = Side.BUY
SELL: Final = Side.SELL
IOC: Final = TimeInForce.IOC
FOK: Final = TimeInForce.FOK
GTC: Final = TimeInForce.GTC
FREE: Final = RiskLimits(allow_short=True, leverage=D(1_000_000))
T: Final = 10 * MINUTE
"""When orders are submitted, unless said otherwise: at a minute's turn."""


def order(
    side: Side,
    *,
    quantity: str = "1",
    limit: str | None = None,
    stop: str | None = None,
    tif: TimeInForce = GTC,
    name: str = "r-1",
    instrument: Instrument = BTC,
) -> OrderIntent:
    kinds = {(False, False): "MARKET", (True, False): "LIMIT", (False, True): "STOP", (True, True): "STOP_LIMIT"}
    return OrderIntent(
        client_order_id=name,
        instrument=instrument.id,
        side=side,
        quantity=D(quantity),
        type=OrderType(kinds[limit is not None, stop is not None]),
        limit_price=None if limit is None else D(limit),
        stop_price=None if stop is None else D(stop),
        time_in_force=tif,
    )


def approve(intent: OrderIntent) -> Approved:
    context = RiskContext(now=0, instrument=BTC, ledger=Ledger({"USDT": D(10**9)}), book=OrderBook(), mark=100.0)
    answer = RiskGate(FREE).check(intent, context)
    assert isinstance(answer, Approved)
    return answer


def bar(
    ts_open: int,
    o: float,
    h: float,
    low: float,
    c: float,
    v: float = 10.0,
    *,
    quality: Quality = Quality.OK,
    feed: str = FEED,
) -> Bar:
    return Bar(feed, ts_open, ts_open + MINUTE, o, h, low, c, v, quality=quality)


def update(ts_open: int, o: float, h: float, low: float, c: float, v: float = 10.0) -> BarUpdate:
    return BarUpdate(FEED, ts_open, o, h, low, c, v)


def trade(ts: int, price: float, size: float = 1.0) -> Trade:
    return Trade(BTC.id, price, size, ts)


class Floor:
    """A venue, and what it said, shortened: `(id, status)` or `(id, status, price, quantity, liquidity)`."""

    def __init__(
        self,
        config: PaperSettings | None = None,
        *,
        source: str = FEED,
        limits: RiskLimits = FREE,
        cash: int = 10**9,
        costs: Costs | None = None,
    ) -> None:
        self.ledger = Ledger({"USDT": D(cash)})
        instruments = {BTC.id: BTC, ETH.id: ETH}
        self.venue = PaperVenue(
            instruments,
            config or PaperSettings(),
            {**SOURCES, BTC.id: source},
            costs=costs,
            afford=Funds(limits, self.ledger, instruments),
        )
        self.notes: list[str] = []
        self.reports: list[ExecutionReport] = []

    def submit(self, *intents: OrderIntent, now: int = T) -> Floor:
        for intent in intents:
            assert self.venue.submit(approve(intent), now) == []
        return self

    def see(self, event: MarketEvent, now: int) -> list[tuple[str, ...]]:
        self.reports = self.venue.match(event, now)
        for report in self.reports:
            if report.fill is not None:
                self.ledger.apply(report.fill, BTC)
        self.notes = [report.assumption for report in self.reports if report.assumption]
        return [short(report) for report in self.reports]

    def see_bar(self, event: Bar) -> list[tuple[str, ...]]:
        return self.see(event, event.ts_close)


def short(report: ExecutionReport) -> tuple[str, ...]:
    base = (report.client_order_id, report.status.value)
    if report.fill is None:
        return base
    fill = report.fill
    return (*base, str(fill.price), str(fill.quantity), fill.liquidity.value)


TAKEN: Final = "TAKER"
RESTED: Final = "MAKER"


def test_a_fill_is_told_whole() -> None:
    floor = Floor(PaperSettings(taker_bps=D(10))).submit(order(BUY, quantity="2"))
    floor.see_bar(bar(T, 100.5, 105, 95, 102))
    fill = Fill(
        client_order_id="r-1",
        fill_id="paper-1",
        instrument=BTC.id,
        side=BUY,
        price=D("100.5"),
        quantity=D(2),
        fee=D("0.201"),
        fee_currency="USDT",
        liquidity=Liquidity.TAKER,
        ts_event=T,
        ts_recv=T + MINUTE,
    )
    expected = ExecutionReport(
        client_order_id="r-1", status=OrderStatus.FILLED, ts_event=T, ts_recv=T + MINUTE, fill=fill
    )
    assert floor.reports == [expected]


def test_what_is_reached_inside_a_bar_is_stamped_with_its_end() -> None:
    floor = Floor(PaperSettings(maker_bps=D(-1))).submit(order(BUY, limit="96"))
    floor.see_bar(bar(T, 100, 105, 95, 102))
    fill = floor.reports[0].fill
    assert fill is not None
    assert (fill.ts_event, fill.fee) == (T + MINUTE, D("-0.0096"))


def test_a_bar_that_ended_when_the_order_was_sent_does_not_fill_it() -> None:
    floor = Floor().submit(order(BUY))
    assert floor.see(bar(T - MINUTE, 100, 105, 95, 102), T) == [("r-1", "NEW")]
    assert floor.see_bar(bar(T, 101, 105, 95, 102)) == [("r-1", "FILLED", "101", "1", TAKEN)]


def test_a_bar_that_opened_before_the_order_fills_at_its_close_alone() -> None:
    floor = Floor().submit(order(BUY), order(BUY, limit="96", name="r-2"), now=T + SECOND)
    assert floor.see_bar(bar(T, 100, 105, 95, 102)) == [("r-1", "FILLED", "102", "1", TAKEN), ("r-2", "NEW")]


def test_bars_of_other_feeds_and_trades_and_quotes_do_not_fill() -> None:
    floor = Floor().submit(order(BUY), order(BUY, limit="96", name="r-2"))
    hour = Bar("kucoin:BTC-USDT@1h", T, T + 60 * MINUTE, 100, 105, 95, 102, 10)
    assert floor.see(hour, T) == []
    assert floor.see(trade(T + 5, 100), T + 5) == [("r-2", "NEW")]  # whatever comes acknowledges what rests
    assert floor.see(Quote(BTC.id, 99, 100), T + 6) == []


@pytest.mark.parametrize(
    "silent",
    [
        bar(T, 100, 100, 100, 100, 0.0),
        bar(T, 100, 100, 100, 100, 5.0, quality=Quality.QUIET),
        bar(T, float("nan"), 105, 95, 100),
        bar(T, 100, 90, 95, 100),
    ],
    ids=["no volume", "quiet", "not a number", "high below low"],
)
def test_a_bar_without_a_sound_trade_fills_nothing(silent: Bar) -> None:
    floor = Floor().submit(order(BUY), order(BUY, limit="100", tif=IOC, name="r-2"))
    assert floor.see_bar(silent) == [("r-1", "NEW"), ("r-2", "NEW")]
    assert floor.see_bar(bar(T + MINUTE, 100, 100, 99, 99, 0.0)) == [
        ("r-1", "FILLED", "100", "1", TAKEN),
        ("r-2", "FILLED", "100", "1", TAKEN),
    ]


def test_through_fills_a_resting_limit_only_when_the_price_trades_beyond_it() -> None:
    floor = Floor(PaperSettings(limit_fill="through")).submit(order(BUY, limit="95"))
    assert floor.see_bar(bar(T, 100, 105, 95, 102)) == [("r-1", "NEW")]
    assert floor.see_bar(bar(T + MINUTE, 95, 105, 95, 102)) == []
    assert floor.see_bar(bar(T + 2 * MINUTE, 100, 105, 94.9, 102)) == [("r-1", "FILLED", "95", "1", RESTED)]


def test_a_resting_limit_that_a_bar_opens_through_fills_at_the_open() -> None:
    floor = Floor().submit(order(BUY, limit="95"))
    assert floor.see_bar(bar(T, 100, 105, 96, 102)) == [("r-1", "NEW")]
    assert floor.see_bar(bar(T + MINUTE, 93, 105, 92, 102)) == [("r-1", "FILLED", "93", "1", RESTED)]


def test_of_a_stop_and_a_limit_of_one_side_in_one_bar_the_stop_fills_and_the_limit_waits() -> None:
    floor = Floor().submit(order(SELL, limit="104", name="take"), order(SELL, stop="96", name="stop"))
    assert floor.see_bar(bar(T, 100, 105, 95, 102)) == [("stop", "FILLED", "96", "1", TAKEN), ("take", "NEW")]
    assert floor.notes == [STOP_FIRST]
    assert floor.see_bar(bar(T + MINUTE, 103, 105, 95, 102)) == [("take", "FILLED", "104", "1", RESTED)]


def test_what_a_bar_certainly_reached_on_both_sides_fills_on_both() -> None:
    floor = Floor().submit(order(SELL, limit="104", name="ask"), order(BUY, limit="96", name="bid"))
    assert floor.see_bar(bar(T, 100, 105, 95, 102)) == [
        ("ask", "FILLED", "104", "1", RESTED),
        ("bid", "FILLED", "96", "1", RESTED),
    ]


def test_a_hidden_order_of_trigger_and_limit_is_told_with_the_next_report() -> None:
    floor = Floor().submit(order(BUY, stop="104", limit="101"))
    assert floor.see_bar(bar(T, 100, 105, 95, 102)) == [("r-1", "NEW")]
    assert floor.see_bar(bar(T + MINUTE, 102, 103, 100, 102)) == [("r-1", "FILLED", "101", "1", RESTED)]
    assert floor.notes == [HIDDEN_LIMIT]


# Forming bars: only what is new since the order stood.


def test_a_forming_bar_fills_at_its_last_price() -> None:
    floor = Floor()
    assert floor.see(update(T, 100, 103, 99, 101, 5), T + 5) == []
    floor.submit(order(BUY), now=T + 5)
    assert floor.see(update(T, 100, 103, 99, 101, 5), T + 6) == [("r-1", "NEW")]
    assert floor.see(update(T, 100, 103, 99, 102, 6), T + 7) == [("r-1", "FILLED", "102", "1", TAKEN)]


def test_old_extremes_of_a_forming_bar_fill_nothing_and_new_ones_do() -> None:
    floor = Floor()
    floor.see(update(T, 100, 103, 97, 101, 5), T + 5)
    floor.submit(order(BUY, limit="98", name="low"), order(BUY, stop="104", name="high"), now=T + 5)
    assert floor.see(update(T, 100, 103, 97, 100, 6), T + 6) == [("low", "NEW"), ("high", "NEW")]
    assert floor.see(update(T, 100, 105, 97, 100, 7), T + 7) == [("high", "FILLED", "104", "1", TAKEN)]
    assert floor.see(update(T, 100, 105, 96, 100, 8), T + 8) == [("low", "FILLED", "98", "1", RESTED)]


def test_a_stop_that_the_price_had_passed_when_it_arrived_fills_at_the_next_price() -> None:
    floor = Floor()
    floor.see(update(T, 100, 103, 97, 101, 5), T + 5)
    floor.submit(order(BUY, stop="99"), now=T + 5)
    assert floor.see(update(T, 100, 103, 97, 102, 6), T + 6) == [("r-1", "FILLED", "102", "1", TAKEN)]


def test_an_extreme_from_a_time_when_the_order_may_not_have_stood_yet_does_not_count() -> None:
    floor = Floor()
    floor.see(update(T, 100, 103, 97, 101, 5), T + 5)
    floor.submit(order(BUY, limit="96"), now=T + 6)
    assert floor.see(update(T, 100, 103, 95, 101, 6), T + 7) == [("r-1", "NEW")]
    assert floor.see(update(T, 100, 103, 94, 101, 7), T + 8) == [("r-1", "FILLED", "96", "1", RESTED)]


def test_a_closed_bar_adds_what_its_updates_had_not_told() -> None:
    floor = Floor()
    floor.see(update(T, 100, 103, 97, 101, 5), T + 5)
    floor.submit(order(BUY, limit="98", name="old"), order(SELL, limit="104", name="new"), now=T + 5)
    assert floor.see_bar(bar(T, 100, 105, 97, 101, 7)) == [("new", "FILLED", "104", "1", RESTED), ("old", "NEW")]


def test_a_closed_bar_that_adds_nothing_fills_nothing() -> None:
    floor = Floor()
    floor.see(update(T, 100, 103, 97, 101, 5), T + 5)
    floor.submit(order(BUY), now=T + 5)
    assert floor.see_bar(bar(T, 100, 103, 97, 101, 5)) == [("r-1", "NEW")]


def test_corrections_of_older_bars_fill_nothing() -> None:
    floor = Floor()
    floor.see(update(T, 100, 103, 97, 101, 5), T + 5)
    floor.submit(order(BUY, limit="91"), now=T + 5)
    assert floor.see(update(T - MINUTE, 100, 103, 90, 90, 5), T + 6) == [("r-1", "NEW")]


def test_a_forming_bar_first_seen_after_the_order_shows_its_whole_path() -> None:
    floor = Floor().submit(order(BUY, limit="98"), order(BUY, name="r-2"))
    assert floor.see(update(T, 100, 103, 97, 101, 5), T + 5) == [
        ("r-2", "FILLED", "101", "1", TAKEN),
        ("r-1", "FILLED", "98", "1", RESTED),
    ]


# Trades and quotes.


def test_trades_fill_what_stood_before_them() -> None:
    floor = Floor(source="trades").submit(order(BUY), order(BUY, limit="98", name="r-2"))
    assert floor.see(trade(T, 100), T + 1) == [("r-1", "NEW"), ("r-2", "NEW")]
    assert floor.see(trade(T + 1, 101), T + 2) == [("r-1", "FILLED", "101", "1", TAKEN)]
    assert floor.see(trade(T - 5, 97), T + 3) == []
    assert floor.see(trade(T + 3, 97), T + 3) == [("r-2", "FILLED", "98", "1", RESTED)]


def test_a_stop_fills_at_the_trade_that_triggers_it() -> None:
    floor = Floor(source="trades").submit(order(SELL, stop="96"))
    assert floor.see(trade(T + 1, 97), T + 1) == [("r-1", "NEW")]
    assert floor.see(trade(T + 2, 94), T + 2) == [("r-1", "FILLED", "94", "1", TAKEN)]


def test_quotes_fill_buys_at_the_ask_and_sells_at_the_bid() -> None:
    floor = Floor(source="quotes").submit(order(BUY), order(SELL, name="r-2"), order(BUY, limit="98", name="r-3"))
    assert floor.see(Quote(BTC.id, 99, 101), T + 1) == [
        ("r-1", "FILLED", "101", "1", TAKEN),
        ("r-2", "FILLED", "99", "1", TAKEN),
        ("r-3", "NEW"),
    ]
    assert floor.see(Quote(BTC.id, 98, 98.5), T + 2) == []
    assert floor.see(Quote(BTC.id, 96, 97), T + 3) == [("r-3", "FILLED", "98", "1", RESTED)]


# Time in force.


@pytest.mark.parametrize("tif", [IOC, FOK])
def test_what_cannot_be_filled_at_once_is_cancelled(tif: TimeInForce) -> None:
    floor = Floor().submit(order(BUY, limit="98", tif=tif))
    assert floor.see_bar(bar(T, 100, 105, 95, 102)) == [("r-1", "CANCELED")]
    assert floor.reports[0].reason == "could not be filled at once"
    assert floor.venue.idle


HALF: Final = PaperSettings(volume_limit=D("0.5"))


def test_volume_limits_fills_and_the_rest_stands() -> None:
    floor = Floor(HALF).submit(order(BUY, quantity="4"), order(BUY, quantity="3", name="r-2"))
    assert floor.see_bar(bar(T, 100, 105, 95, 102, 11.9)) == [
        ("r-1", "FILLED", "100", "4", TAKEN),
        ("r-2", "PARTIALLY_FILLED", "100", "1.5", TAKEN),
    ]
    assert floor.see_bar(bar(T + MINUTE, 101, 105, 95, 102, 0.9)) == []
    assert floor.see_bar(bar(T + 2 * MINUTE, 102, 105, 95, 102, 9)) == [("r-2", "FILLED", "102", "1.5", TAKEN)]


def test_ioc_takes_what_there_is_and_cancels_the_rest() -> None:
    floor = Floor(HALF).submit(order(BUY, quantity="4", tif=IOC))
    assert floor.see_bar(bar(T, 100, 105, 95, 102, 3)) == [
        ("r-1", "PARTIALLY_FILLED", "100", "1.5", TAKEN),
        ("r-1", "CANCELED"),
    ]
    assert floor.reports[1].reason == "the rest could not be filled at once"


def test_fok_takes_all_or_nothing() -> None:
    floor = Floor(HALF).submit(order(BUY, quantity="4", tif=FOK), order(BUY, quantity="1", tif=FOK, name="r-2"))
    assert floor.see_bar(bar(T, 100, 105, 95, 102, 3)) == [
        ("r-1", "CANCELED"),
        ("r-2", "FILLED", "100", "1", TAKEN),
    ]
    assert floor.reports[0].reason == "not enough volume"


def test_a_forming_bar_gives_the_volume_it_grew_by() -> None:
    floor = Floor(HALF)
    floor.see(update(T, 100, 103, 97, 101, 5), T + 5)
    floor.submit(order(BUY, quantity="4"), now=T + 5)
    assert floor.see(update(T, 100, 103, 97, 102, 7), T + 6) == [("r-1", "PARTIALLY_FILLED", "102", "1.0", TAKEN)]


def test_a_day_order_ends_with_the_trading_day_after_the_day_s_last_bar() -> None:
    last = DAY - MINUTE
    floor = Floor().submit(order(BUY, limit="96", tif=TimeInForce.DAY), now=last)
    floor.submit(order(BUY, limit="90", tif=TimeInForce.DAY, name="r-2"), now=last)
    assert floor.see_bar(bar(last, 100, 105, 95, 102)) == [
        ("r-1", "FILLED", "96", "1", RESTED),
        ("r-2", "EXPIRED"),
    ]


def test_a_day_order_ends_by_time_when_its_market_is_silent() -> None:
    floor = Floor().submit(order(BUY, limit="96", tif=TimeInForce.DAY), now=DAY - MINUTE)
    other = bar(DAY - MINUTE, 1, 1, 1, 1, feed="kucoin:ETH-USDT@1m")
    assert floor.see(other, DAY) == [("r-1", "NEW")]
    assert floor.see(msgspec.structs.replace(other, ts_open=DAY), DAY + MINUTE) == [("r-1", "EXPIRED")]
    assert floor.reports[0].ts_event == DAY


# The venue's side of an order's life.


def test_a_cancel_is_answered_by_the_next_event_and_comes_before_its_fill() -> None:
    floor = Floor().submit(order(BUY, limit="96"))
    assert floor.see_bar(bar(T, 100, 105, 97, 102)) == [("r-1", "NEW")]
    assert floor.venue.cancel("r-1", T + MINUTE) == []
    assert floor.see_bar(bar(T + MINUTE, 100, 105, 95, 102)) == [("r-1", "CANCELED")]
    assert floor.venue.idle


def test_a_cancel_of_what_is_not_there_is_rejected() -> None:
    floor = Floor()
    floor.venue.cancel("r-9", T)
    assert floor.see_bar(bar(T, 100, 105, 95, 102)) == [("r-9", "REJECTED")]


def test_an_instrument_without_a_price_source_is_rejected() -> None:
    floor = Floor().submit(order(BUY, instrument=Instrument.bare("kucoin:XRP-USDT")))
    assert floor.see_bar(bar(T, 100, 105, 95, 102)) == [("r-1", "REJECTED")]
    assert floor.reports[0].reason == ("kucoin:XRP-USDT has no price source here; add a feed of it to the strategy")


def test_latency_delays_orders_and_cancels() -> None:
    floor = Floor(PaperSettings(latency_ns=5), source="trades").submit(order(BUY), order(BUY, limit="90", name="r-2"))
    assert floor.see(trade(T + 4, 100), T + 4) == []
    assert floor.see(trade(T + 5, 100), T + 5) == [("r-1", "NEW"), ("r-2", "NEW")]
    assert floor.see(trade(T + 6, 101), T + 6) == [("r-1", "FILLED", "101", "1", TAKEN)]
    floor.venue.cancel("r-2", T + 6)
    assert floor.see(trade(T + 10, 91), T + 10) == []
    assert floor.see(trade(T + 11, 89), T + 11) == [("r-2", "CANCELED")]


def test_a_spot_account_never_pays_more_than_it_has() -> None:
    floor = Floor(limits=RiskLimits(), cash=201).submit(order(BUY), order(BUY, name="r-2"), order(BUY, name="r-3"))
    assert floor.see_bar(bar(T, 100.5, 105, 95, 102)) == [
        ("r-1", "FILLED", "100.5", "1", TAKEN),
        ("r-2", "FILLED", "100.5", "1", TAKEN),
        ("r-3", "REJECTED"),
    ]
    assert floor.reports[2].reason == "buy 1 at 100.5 costs 100.5 USDT with the fee and 0 USDT are there"
    assert floor.ledger.balances() == {"USDT": D(0)}


# Costs.


@pytest.mark.parametrize(("side", "price"), [(BUY, "100.2"), (SELL, "99.8")])
def test_slippage_is_rounded_to_the_tick_against_the_account(side: Side, price: str) -> None:
    floor = Floor(PaperSettings(slippage="bps", slippage_bps=D(11))).submit(order(side))
    assert floor.see_bar(bar(T, 100, 105, 95, 102)) == [("r-1", "FILLED", price, "1", TAKEN)]


def test_slippage_spares_resting_limits_and_never_passes_a_limit() -> None:
    floor = Floor(PaperSettings(slippage="bps", slippage_bps=D(100)))
    floor.submit(order(BUY, limit="100.5"), order(BUY, limit="96", name="r-2"), order(BUY, stop="104", name="r-3"))
    assert floor.see_bar(bar(T, 100, 105, 97, 102)) == [
        ("r-1", "FILLED", "100.5", "1", TAKEN),
        ("r-3", "FILLED", "105.1", "1", TAKEN),
        ("r-2", "NEW"),
    ]
    assert floor.see_bar(bar(T + MINUTE, 100, 105, 95, 102)) == [("r-2", "FILLED", "96", "1", RESTED)]


def test_half_the_spread_is_paid_and_where_no_quote_is_known_that_is_said_once() -> None:
    floor = Floor(PaperSettings(slippage="half_spread")).submit(order(BUY))
    assert floor.see_bar(bar(T, 100, 105, 95, 102)) == [("r-1", "FILLED", "100", "1", TAKEN)]
    assert floor.notes == [NO_QUOTE]
    floor.submit(order(BUY, name="r-2"), now=T + MINUTE)
    floor.see_bar(bar(T + MINUTE, 100, 105, 95, 102))
    assert floor.notes == []
    assert floor.see(Quote(BTC.id, 99.0, 101.4), T + 2 * MINUTE) == []
    floor.submit(order(BUY, name="r-3"), now=T + 2 * MINUTE)
    assert floor.see_bar(bar(T + 2 * MINUTE, 100, 105, 95, 102)) == [("r-3", "FILLED", "101.2", "1", TAKEN)]


def test_costs_are_functions_to_be_replaced() -> None:
    costs = Costs(fees=lambda _instrument, _notional, _liquidity: D(7), slippage=half_spread_slippage)
    floor = Floor(costs=costs).submit(order(BUY))
    floor.see_bar(bar(T, 100, 105, 95, 102))
    assert [report.fill.fee for report in floor.reports if report.fill is not None] == [D(7)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"slippage_bps": D(-1)}, "slippage_bps: -1 is out of range. Give 0 to 9999"),
        ({"latency_ns": -1}, "latency_ns: -1 is negative. Give 0 or more"),
        (
            {"volume_limit": D(2)},
            "volume_limit: 2 is not a fraction. Give more than 0 and at most 1, 0.1 for a tenth of the volume",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PaperSettings(**values)  # type: ignore[arg-type]  # the wrong values are the point
    assert str(caught.value) == message


def test_a_source_is_a_feed_trades_or_quotes() -> None:
    with pytest.raises(ConfigError, match=r"'candles' is no price source\. Name a feed id, trades or quotes"):
        PaperVenue({BTC.id: BTC}, PaperSettings(), {BTC.id: "candles"})


# Idle.


def test_whole_bars_need_not_be_shown_to_a_venue_without_orders() -> None:
    floor = Floor()
    found = [floor.venue.idle]
    floor.see_bar(bar(T - MINUTE, 100, 105, 95, 102))
    found.append(floor.venue.idle)
    floor.submit(order(BUY))
    found.append(floor.venue.idle)
    floor.see_bar(bar(T, 100, 105, 95, 102))
    assert [*found, floor.venue.idle] == [False, True, False, True]


def test_forming_bars_must_always_be_shown() -> None:
    floor = Floor()
    floor.see(update(T, 100, 103, 97, 101, 5), T + 5)
    assert not floor.venue.idle


# Any orders, any bars: book, venue and ledger agree, and no fill is better than the market was.

STEPS = st.lists(
    st.tuples(
        st.sampled_from(list(Side)),
        st.sampled_from(["", "limit", "stop", "both"]),
        st.integers(90, 110),
        st.integers(90, 110),
        st.sampled_from(list(TimeInForce)),
        st.lists(st.integers(90, 110), min_size=4, max_size=4),
        st.booleans(),
    ),
    max_size=25,
)


@given(STEPS, st.sampled_from([None, D("0.3")]), st.booleans())
@settings(max_examples=120, deadline=None)
def test_venue_book_and_ledger_agree(
    steps: list[tuple[Side, str, int, int, TimeInForce, list[int], bool]], volume: Decimal | None, spot: bool
) -> None:
    limits = RiskLimits() if spot else RiskLimits(allow_short=True, leverage=D(3))
    floor = Floor(PaperSettings(volume_limit=volume, taker_bps=D(10)), limits=limits, cash=1000)
    book, gate, numbers = OrderBook(), RiskGate(limits), count(1)
    for step, (side, kind, limit, stop, tif, prices, cancels) in enumerate(steps):
        now = T + step * MINUTE
        intent = order(
            side,
            limit=str(limit) if kind in ("limit", "both") else None,
            stop=str(stop) if kind in ("stop", "both") else None,
            tif=tif,
            name=f"r-{next(numbers)}",
        )
        context = RiskContext(now=now, instrument=BTC, ledger=floor.ledger, book=book, mark=100.0, fee_rate=D("0.001"))
        answer = gate.check(intent, context)
        if isinstance(answer, Approved):
            book.open(intent, now)
            floor.venue.submit(answer, now)
        for held in list(book.open_orders())[:1] if cancels else []:
            if book.request_cancel(held.client_order_id, now) is not None:
                floor.venue.cancel(held.client_order_id, now)
        o, c = prices[0], prices[1]
        one = bar(now, o, max(prices), min(prices), c, 6.0)
        floor.see_bar(one)
        for report in floor.reports:
            assert isinstance(book.apply(report), Order)
            if report.fill is not None:
                assert min(prices) <= report.fill.price <= max(prices)
        assert floor.venue.idle == (not book.open_orders())
        if spot:
            assert floor.ledger.cash("USDT") >= 0
            assert floor.ledger.quantity(BTC.id) >= 0
