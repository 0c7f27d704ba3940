"""Drops and repairs, case by case: what becomes of bars while the connection is down, and of what history says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from barbot.core.spec import NEVER, FeedSpec, Grace, Source
from barbot.model.instrument import FeedId
from barbot.model.market import (
    BarUpdate,
    Connected,
    Disconnected,
    Gap,
    Heartbeat,
    HistoryBars,
    Trade,
)
from barbot.timing.clock import parse_time
from barbot.timing.interval import MINUTE, SECOND
from barbot.timing.sessions import grid_for

if TYPE_CHECKING:
    from tests.core.conftest import Rig

FEED = FeedId.parse("test:X-USD@1m")
CLOCK = grid_for("24/7", FEED.interval)
START = parse_time("2026-01-30")
GRACE = 2 * SECOND
FIXED = Grace(minimum=GRACE, initial=GRACE, maximum=GRACE)


def spec(
    source: Source = Source.CANDLES,
    *,
    has_history: bool = False,
    omits_quiet: bool = False,
    warmup_bars: int = 0,
    max_held: int = 1000,
) -> FeedSpec:
    return FeedSpec(
        feed=FEED, grid=CLOCK, source=source, grace=FIXED, has_history=has_history, history_omits_quiet=omits_quiet,
        warmup_bars=warmup_bars, max_held=max_held,
    )  # fmt: skip


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def candle(
    minute: int,
    close: float = 100.0,
    volume: float = 1.0,
    *,
    low: float | None = None,
    closed: bool = False,
    ts: int = 0,
) -> BarUpdate:
    """A candle that opened at 100."""
    low = min(100.0, close) if low is None else low
    return BarUpdate(str(FEED), START + minute * MINUTE, 100.0, max(100.0, close), low, close, volume, 0.0, closed, ts)


def trade(second: float, price: float = 100.0, sequence: int = -1, size: float = 1.0) -> Trade:
    return Trade("test:X-USD", price, size, at(second), sequence)


def up(second: float) -> Connected:
    return Connected("c", at(second))


def down(second: float) -> Disconnected:
    return Disconnected("c", at(second))


def ping(second: float) -> Heartbeat:
    return Heartbeat("c", at(second))


def rows(first: int, last: int, *bars: BarUpdate, error: str = "") -> HistoryBars:
    """History's answer for the minutes `[first, last)`, or up to the second `last` if that is a float."""
    return HistoryBars(str(FEED), START + first * MINUTE, START + last * MINUTE, bars, error)


def told(desk: Rig) -> list[tuple[object, ...]]:
    """Return what was told: (second, kind, minute[, closed by, quality, close, volume | minute of the end])."""
    short: list[tuple[object, ...]] = []
    for now, kind, what in desk.log.told:
        second = (now - START) / SECOND
        if isinstance(what, Gap):
            short.append((second, kind, (what.ts_from - START) / MINUTE, (what.ts_to - START) / MINUTE))
        elif what.closed_by is None:
            short.append((second, kind, (what.ts_open - START) // MINUTE))
        else:
            reason, quality = what.closed_by.name, what.quality.name
            short.append((second, kind, (what.ts_open - START) // MINUTE, reason, quality, what.close, what.volume))
    return short


def endings(desk: Rig) -> list[tuple[object, ...]]:
    return [line for line in told(desk) if line[1] not in ("open", "update")]


# -- drops without history --------------------------------------------------------------------------------


def test_a_bar_cut_by_a_drop_closes_even_if_it_never_comes_again(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(10), candle(0))
    desk.step(at(20), down(20))
    desk.step(at(500))
    assert endings(desk) == []
    desk.step(at(501), up(501))
    desk.step(at(530), candle(8))
    assert endings(desk) == [
        (501.0, "close", 0, "ELAPSED", "GAP", 100.0, 1.0),
        (501.0, "gap", 1.0, 8.0),
    ]


def test_a_candle_after_the_drop_makes_its_bar_whole(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(10), candle(0))
    desk.step(at(20), down(20))
    desk.step(at(30), up(30))
    desk.step(at(40), candle(0, 103.0, 9.0))
    desk.step(at(63))
    assert endings(desk) == [(62.0, "close", 0, "ELAPSED", "OK", 103.0, 9.0)]


def test_a_bar_of_trades_cut_by_a_drop_is_a_gap(rig: type[Rig]) -> None:
    desk = rig(spec(Source.TRADES))
    desk.step(at(0), up(0))
    desk.step(at(10), trade(10, 100.0, 1))
    desk.step(at(20), down(20))
    desk.step(at(30), up(30))
    desk.step(at(40), trade(40, 103.0, 3))
    desk.step(at(70), trade(70, 104.0, 4))
    desk.step(at(130))
    assert endings(desk) == [
        (62.0, "close", 0, "ELAPSED", "GAP", 103.0, 2.0),
        (122.0, "close", 1, "ELAPSED", "OK", 104.0, 1.0),
    ]


def test_a_drop_in_a_silence_is_one_gap_and_no_quiet_bar(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(10), candle(0))
    desk.step(at(70), down(70))
    desk.step(at(200), up(200))
    desk.step(at(301), ping(301))
    desk.step(at(350), candle(5))
    assert endings(desk) == [
        (62.0, "close", 0, "ELAPSED", "OK", 100.0, 1.0),
        (200.0, "gap", 1.0, 3.0),
        (301.0, "gap", 3.0, 4.0),
        (302.0, "close", 4, "ELAPSED", "QUIET", 100.0, 0.0),
    ]


# -- history ----------------------------------------------------------------------------------------------


def started(rig: type[Rig], of: FeedSpec, *, tells: bool = True) -> Rig:
    """A feed with history that is warm with minutes -2 and -1."""
    desk = rig(of, tells_open=tells, tells_update=tells)
    desk.step(at(0), up(0))
    desk.step(at(0.5), rows(-2, 0, candle(-2), candle(-1)))
    return desk


def test_warm_up_calls_no_hook_and_live_data_waits_for_it(rig: type[Rig]) -> None:
    desk = rig(spec(has_history=True, warmup_bars=3))
    desk.step(at(10), up(10))
    desk.step(at(11), candle(0, 101.0, 4.0))
    desk.step(at(12), HistoryBars(str(FEED), at(-290), at(10), (candle(-2), candle(-1), candle(0, 101.0, 3.0))))
    assert desk.log.asks == [(at(10), at(-290), at(10))]
    assert told(desk) == [
        (12.0, "warm", -2, "HISTORY", "OK", 100.0, 1.0),
        (12.0, "warm", -1, "HISTORY", "OK", 100.0, 1.0),
        (12.0, "open", 0),
        (12.0, "update", 0),
        (12.0, "update", 0),
    ]
    assert desk.store.bars[-1].volume == 4.0


def test_a_drop_before_the_warm_up_answer_asks_again_and_still_calls_no_hook(rig: type[Rig]) -> None:
    desk = rig(spec(has_history=True))
    desk.step(at(0), up(0))
    desk.step(at(10), down(10))
    desk.step(at(31))  # the answer did not come in time: the run starts without
    desk.step(at(100), up(100))
    desk.step(at(101), HistoryBars(str(FEED), at(-20), at(100), (candle(-1), candle(0))))
    assert [line[1:3] for line in told(desk)] == [("warm", -1), ("warm", 0)]


def test_a_hole_is_filled_in_order_before_live_goes_on(rig: type[Rig]) -> None:
    desk = started(rig, spec(has_history=True))
    desk.step(at(10), candle(0))
    desk.step(at(20), down(20))
    desk.step(at(200), up(200))
    desk.step(at(201), candle(3, 103.0))
    assert desk.log.asks[1:] == [(at(200), at(-120), at(200))]
    desk.step(at(202), rows(-2, 3, candle(-1), candle(0, volume=8.0), candle(2)), rows(3, 4))
    assert told(desk)[4:] == [
        (202.0, "update", 0),
        (202.0, "close", 0, "HISTORY", "REFILLED", 100.0, 8.0),
        (202.0, "gap", 1.0, 2.0),
        (202.0, "open", 2),
        (202.0, "update", 2),
        (202.0, "close", 2, "HISTORY", "REFILLED", 100.0, 1.0),
        (202.0, "open", 3),
        (202.0, "update", 3),
    ]


def test_rows_that_a_venue_leaves_out_are_quiet_where_it_says_so(rig: type[Rig]) -> None:
    desk = started(rig, spec(has_history=True, omits_quiet=True))
    desk.step(at(10), candle(0))
    desk.step(at(20), down(20))
    desk.step(at(240), up(240))
    desk.step(at(241), rows(-2, 4, candle(0, volume=8.0), candle(2, 104.0)))
    assert endings(desk)[2:] == [
        (241.0, "close", 0, "HISTORY", "REFILLED", 100.0, 8.0),
        (241.0, "close", 1, "HISTORY", "QUIET", 100.0, 0.0),
        (241.0, "close", 2, "HISTORY", "REFILLED", 104.0, 1.0),
        (241.0, "close", 3, "HISTORY", "QUIET", 104.0, 0.0),
    ]


def test_a_repair_that_times_out_keeps_what_was_held(rig: type[Rig]) -> None:
    """Bars that arrived while history was awaited are not part of the hole that it left."""
    desk = started(rig, spec(has_history=True))
    desk.step(at(10), candle(0))
    desk.step(at(20), down(20))
    desk.step(at(119), up(119))
    desk.step(at(119.5), candle(1, 101.0))
    desk.step(at(130), candle(2, 102.0))
    desk.step(at(150))
    assert told(desk)[4:] == [
        (149.0, "close", 0, "ELAPSED", "GAP", 100.0, 1.0),
        (149.0, "open", 1),
        (149.0, "update", 1),
        (149.0, "close", 1, "SUPERSEDED", "OK", 101.0, 1.0),
        (149.0, "open", 2),
        (149.0, "update", 2),
    ]


def test_an_error_of_history_is_the_reason_of_the_gap(rig: type[Rig]) -> None:
    desk = started(rig, spec(has_history=True))
    desk.step(at(10), candle(0))
    desk.step(at(62))
    desk.step(at(70), down(70))
    desk.step(at(190), up(190))
    desk.step(at(191), HistoryBars(str(FEED), at(-120), at(190), (), "HTTP 500"))
    (gap,) = [what for _, _, what in desk.log.told if isinstance(what, Gap)]
    assert Gap(str(FEED), at(60), at(180), "HTTP 500") == gap


def test_the_answer_to_another_question_does_not_end_a_repair(rig: type[Rig]) -> None:
    desk = started(rig, spec(Source.TRADES, has_history=True))
    desk.step(at(70), trade(70, 100.0, 1))
    desk.step(at(71), down(71))
    desk.step(at(72), up(72))
    desk.step(at(73), HistoryBars(str(FEED), at(-60), at(72), ()))
    desk.step(at(130), trade(130, 100.0, 3))  # minute 1 closed as GAP: history is asked about it ...
    assert desk.log.asks[-1][1:] == (at(60), at(120))
    desk.step(at(131), down(131))
    desk.step(at(250), up(250))
    desk.step(at(251), HistoryBars(str(FEED), at(60), at(120), (), "HTTP 500"))  # ... and answers during a repair
    assert desk.tracker.held is not None
    desk.step(
        at(252), HistoryBars(str(FEED), at(0), at(250), (candle(1, volume=2.0), candle(2, volume=4.0), candle(3)))
    )
    assert endings(desk)[-3:] == [
        (252.0, "correct", 1, "ELAPSED", "REFILLED", 100.0, 2.0),
        (252.0, "close", 2, "HISTORY", "REFILLED", 100.0, 4.0),
        (252.0, "close", 3, "HISTORY", "REFILLED", 100.0, 1.0),
    ]


def test_trades_that_nobody_looked_at_do_not_overwrite_history(rig: type[Rig]) -> None:
    desk = started(rig, spec(Source.TRADES, has_history=True), tells=False)
    desk.step(at(1), trade(1, 100.0, 1))
    desk.step(at(2), trade(2, 105.0, 2))
    desk.step(at(20), down(20))
    desk.step(at(100), up(100))
    desk.step(at(101), HistoryBars(str(FEED), at(-120), at(100), (candle(0, 110.0, 50.0),)))
    assert endings(desk)[-1] == (101.0, "close", 0, "HISTORY", "REFILLED", 110.0, 50.0)
    desk.step(at(102), trade(3, 90.0, 3))  # history knew it already
    assert desk.log.counts == {"late_but_from_history": 1}


def test_an_incomplete_bar_asks_history_and_is_completed(rig: type[Rig]) -> None:
    desk = rig(spec(Source.TRADES, has_history=True))
    desk.step(at(20), up(20))
    desk.step(at(20.1), HistoryBars(str(FEED), at(-100), at(20), (candle(-1),)))
    desk.step(at(30), trade(30, 101.0, 7))
    desk.step(at(62))
    desk.step(at(63), rows(0, 1, candle(0, 101.0, 6.0)))
    assert desk.log.asks[-1] == (at(62), at(0), at(60))
    assert endings(desk)[1:] == [
        (62.0, "close", 0, "ELAPSED", "PARTIAL", 101.0, 1.0),
        (63.0, "correct", 0, "ELAPSED", "REFILLED", 101.0, 6.0),
    ]


def test_history_is_compared_but_for_rounding(rig: type[Rig]) -> None:
    desk = started(rig, spec(Source.TRADES, has_history=True))
    desk.step(at(1), trade(1, 100.0, 1, size=0.1), trade(1, 100.0, 2, size=0.2))
    desk.step(at(70))
    desk.step(at(71), rows(0, 1, candle(0, 100.0, 0.3)))
    assert desk.log.counts == {}
    desk.step(at(72), rows(0, 1, candle(0, 100.0, 0.4)))
    assert desk.log.counts == {"history_mismatch": 1}
    assert endings(desk)[-1] == (72.0, "correct", 0, "ELAPSED", "OK", 100.0, 0.4)


def test_a_second_drop_during_a_repair_marks_what_was_held(rig: type[Rig]) -> None:
    desk = started(rig, spec(has_history=True))
    desk.step(at(10), candle(0))
    desk.step(at(20), down(20))
    desk.step(at(65), up(65))
    desk.step(at(66), candle(1))
    desk.step(at(67), down(67))
    desk.step(at(68), rows(-2, 1, candle(0)), HistoryBars(str(FEED), at(60), at(65), ()))
    assert desk.tracker.deadline == NEVER
    desk.step(at(400), up(400))
    desk.step(at(401), HistoryBars(str(FEED), at(0), at(400), (candle(0), candle(1, volume=3.0))))
    assert endings(desk)[2:] == [
        (68.0, "close", 0, "HISTORY", "REFILLED", 100.0, 1.0),
        (401.0, "close", 1, "HISTORY", "REFILLED", 100.0, 3.0),
        (401.0, "gap", 2.0, 6.0),
    ]


def test_what_overflows_while_history_is_awaited_is_counted(rig: type[Rig]) -> None:
    desk = rig(spec(Source.TRADES, has_history=True, max_held=2))
    desk.step(at(0), up(0))
    for number in range(4):
        desk.step(at(1), trade(1, 100.0 + number, number))
    desk.step(at(2), rows(-2, 0))
    assert desk.log.counts == {"held_overflow": 2}
    assert (desk.store.bars[-1].open, desk.store.bars[-1].volume) == (102.0, 2.0)


def test_a_warm_up_reaches_back_over_night_and_weekend(rig: type[Rig]) -> None:
    pytest.importorskip("exchange_calendars")
    feed = FeedId.parse("test:X@1h")
    grid = grid_for("XHKG", feed.interval)
    desk = rig(FeedSpec(feed=feed, grid=grid, has_history=True, warmup_bars=12))
    monday = parse_time("2026-01-26T02:00:00Z")  # 10:00 in Hong Kong, half an hour after the open
    desk.step(monday, Connected("c", monday))
    ((_, ts_from, ts_to),) = desk.log.asks
    opens = []
    while ts_from < ts_to:
        opens.append(ts_from)
        ts_from = grid.next_open(ts_from)
    assert len(opens) == 14
    assert opens[0] == parse_time("2026-01-21T07:00:00Z")
