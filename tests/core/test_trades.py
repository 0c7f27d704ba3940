"""Trades become bars: exact sums, duplicates, late and senseless ones."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.core.spec import FeedSpec, Grace, Source
from barbot.core.trades import ExactSum
from barbot.model.instrument import FeedId
from barbot.model.market import Bar, Connected, Heartbeat, Quality, Trade
from barbot.timing.clock import parse_time
from barbot.timing.interval import MINUTE, SECOND
from barbot.timing.sessions import grid_for

if TYPE_CHECKING:
    from tests.core.conftest import Rig

FEED = FeedId.parse("test:X-USD@1m")
START = parse_time("2026-01-30")
SPEC = FeedSpec(
    feed=FEED,
    grid=grid_for("24/7", FEED.interval),
    source=Source.TRADES,
    grace=Grace(minimum=2 * SECOND, initial=2 * SECOND, maximum=2 * SECOND),
)
NAN, INF = float("nan"), float("inf")


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def trade(second: float, price: float, sequence: int = -1, size: float = 1.0, trade_id: str = "") -> Trade:
    return Trade("test:X-USD", price, size, at(second), sequence, trade_id)


def begun(rig: type[Rig], *, tells: bool = True) -> Rig:
    desk = rig(SPEC, tells_open=tells, tells_update=tells)
    desk.step(at(0), Connected("c", at(0)))
    return desk


def content(bar: Bar) -> tuple[float, float, float, float, float]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume


def test_trades_of_one_moment_are_ordered_by_sequence(rig: type[Rig]) -> None:
    desk = begun(rig)
    for sequence in (5, 3, 9, 4):
        desk.step(at(10), trade(9, 100.0 + sequence, sequence))
    desk.step(at(63))
    assert [content(bar) for bar in desk.log.bars("close")] == [(103.0, 109.0, 103.0, 109.0, 4.0)]


def test_without_a_sequence_they_keep_their_order_of_arrival(rig: type[Rig]) -> None:
    desk = begun(rig)
    for price in (105.0, 103.0, 109.0, 104.0):
        desk.step(at(10), trade(9, price))
    desk.step(at(63))
    assert [content(bar) for bar in desk.log.bars("close")] == [(105.0, 109.0, 103.0, 104.0, 4.0)]


@pytest.mark.parametrize("second", [10.0, 70.0])
@pytest.mark.parametrize("first", [trade(9, 100.0, 7), trade(9, 100.0, trade_id="a")])
def test_a_duplicate_changes_nothing_early_or_late(rig: type[Rig], first: Trade, second: float) -> None:
    desk = begun(rig)
    desk.step(at(9), first)
    desk.step(at(second), first)
    desk.step(at(71))
    assert desk.log.counts == {"duplicate": 1}
    assert [kind for _, kind, _ in desk.log.told] == ["open", "update", "close"]
    assert content(desk.log.bars("close")[0]) == (100.0, 100.0, 100.0, 100.0, 1.0)


def test_a_trade_that_shows_nothing_new_raises_no_update(rig: type[Rig]) -> None:
    desk = begun(rig)
    desk.step(at(9), trade(9, 100.0, 1))
    desk.step(at(10), trade(10, 100.0, 2, size=0.0))
    assert [kind for _, kind, _ in desk.log.told] == ["open", "update"]


def test_a_trade_of_size_zero_moves_prices_and_not_volume(rig: type[Rig]) -> None:
    desk = begun(rig)
    desk.step(at(9), trade(9, 100.0, 1))
    desk.step(at(10), trade(10, 90.0, 2, size=0.0))
    desk.step(at(63))
    assert content(desk.log.bars("close")[0]) == (100.0, 100.0, 90.0, 90.0, 1.0)


def test_a_late_trade_that_changes_nothing_corrects_nothing(rig: type[Rig]) -> None:
    desk = begun(rig)
    desk.step(at(9), trade(9, 100.0, 1), trade(11, 100.0, 3))
    desk.step(at(70), trade(10, 100.0, 2, size=0.0))
    assert desk.log.counts == {"late_but_changes_nothing": 1}
    assert desk.log.bars("correct") == []


def test_a_late_trade_of_nothing_still_ends_a_quiet_bar(rig: type[Rig]) -> None:
    desk = begun(rig)
    desk.step(at(9), trade(9, 100.0, 1))
    desk.step(at(122), Heartbeat("c", at(122)))
    desk.step(at(123), trade(70, 100.0, 2, size=0.0))
    assert [(bar.quality, bar.corrected) for bar in desk.log.bars("correct")] == [(Quality.OK, 1)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (trade(10, NAN, 2), "not_finite"),
        (trade(10, INF, 2), "not_finite"),
        (trade(10, 1e100, 2), "not_finite"),
        (trade(10, 100.0, 2, size=NAN), "not_finite"),
        (trade(10, 100.0, 2, size=INF), "not_finite"),
        (trade(10, 100.0, 2, size=-1.0), "negative_volume"),
        (trade(75, 100.0, 2), "from_the_future"),
    ],
)
@pytest.mark.parametrize("tells", [True, False])
def test_senseless_trades_are_refused(rig: type[Rig], bad: Trade, reason: str, tells: bool) -> None:
    desk = begun(rig, tells=tells)
    desk.step(at(9), trade(9, 100.0, 1))
    desk.step(at(12), bad)
    desk.step(at(63))
    assert desk.log.refusals == [reason]
    assert content(desk.log.bars("close")[0]) == (100.0, 100.0, 100.0, 100.0, 1.0)


def test_trades_ahead_of_our_clock_are_taken_within_the_skew(rig: type[Rig]) -> None:
    desk = begun(rig)
    desk.step(at(57), trade(61, 100.0, 1))
    desk.step(at(58), trade(59, 99.0, 0))  # the bar before was never begun
    assert desk.log.refusals == []
    assert desk.log.counts == {"too_late": 1}
    assert desk.store.bars[-1].ts_open == at(60)


@pytest.mark.parametrize(("first", "quality"), [(20, Quality.PARTIAL), (0, Quality.OK)])
def test_a_file_of_trades_begins_with_a_partial_bar(rig: type[Rig], first: float, quality: Quality) -> None:
    """Unless its first trade is stamped as the bar opens."""
    desk = rig(SPEC, is_file=True)
    desk.step(at(first), trade(first, 100.0, 1))
    desk.step(at(70), trade(70, 100.0, 2))
    desk.step(at(150), trade(150, 100.0, 3))
    assert [(bar.quality, bar.closed_by.name) for bar in desk.log.bars("close") if bar.closed_by] == [
        (quality, "ELAPSED"),
        (Quality.OK, "ELAPSED"),
    ]


def test_opening_auction_trades_open_the_first_bar_before_its_time(rig: type[Rig]) -> None:
    pytest.importorskip("exchange_calendars")
    grid = grid_for("XHKG", FEED.interval)
    spec = FeedSpec(feed=FEED, grid=grid, source=Source.TRADES)
    opens = grid.first_from(START)
    desk = rig(spec)
    early = opens - 10 * MINUTE
    desk.step(early, Connected("c", early))
    desk.step(early, Trade("test:X-USD", 50.0, 1.0, early, 1))
    desk.step(opens + SECOND, Trade("test:X-USD", 51.0, 2.0, opens + SECOND, 2))
    assert [(bar.ts_open, bar.open, bar.close, bar.volume) for bar in desk.store.bars] == [(opens, 50.0, 51.0, 3.0)]


def test_late_trades_are_placed_however_many_quiet_bars_had_some(rig: type[Rig]) -> None:
    """The sums of closed bars are kept as long as a bar can be corrected, also where late trades made them."""
    desk = rig(FeedSpec(feed=FEED, grid=SPEC.grid, source=Source.TRADES, grace=SPEC.grace, window=100))
    desk.step(at(0), Connected("c", at(0)))
    sequence = 0
    for minute in range(0, 400, 2):
        sequence += 2
        now = at(60 * minute + 1)
        desk.step(now, trade(60 * minute + 1, 100.0, sequence))
        if minute > 60:
            desk.step(now + 1, trade(60 * (minute - 41), 90.0, sequence + 1))  # into a quiet minute
        if minute > 90:
            desk.step(now + 2, trade(60 * (minute - 90), 80.0, 10_000 + sequence))  # into a bar of trades
    assert desk.log.counts == {}


FLOATS = st.floats(-1e90, 1e90) | st.sampled_from([0.1, 0.2, 1e-300, 5e-324, 1e16, -1e16])


@settings(max_examples=200)
@given(parts=st.lists(st.lists(FLOATS, max_size=8), max_size=6))
def test_an_exact_sum_is_the_sum_rounded_once(parts: list[list[float]]) -> None:
    total = ExactSum()
    for part in parts:
        total.add(part)
    assert fsum(value for part in parts for value in part) == total.value
