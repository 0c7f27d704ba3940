"""The bar tracker, case by case: what each rule of the contract means where it is easy to get wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.core.spec import FeedSpec, Grace, Source
from barbot.errors import ConfigError
from barbot.model.instrument import FeedId
from barbot.model.market import (
    Bar,
    BarUpdate,
    ClosedBy,
    Connected,
    Disconnected,
    Gap,
    Heartbeat,
    HistoryBars,
    Quality,
    Trade,
)
from barbot.timing.clock import parse_time
from barbot.timing.interval import HOUR, MINUTE, SECOND
from barbot.timing.sessions import Grid, grid_for

if TYPE_CHECKING:
    from tests.core.conftest import Rig

FEED = FeedId.parse("test:X-USD@1m")
CLOCK = grid_for("24/7", FEED.interval)
START = parse_time("2026-01-30")
GRACE = 2 * SECOND
FIXED = Grace(minimum=GRACE, initial=GRACE, maximum=GRACE)
NAN, INF = float("nan"), float("inf")


def spec(
    source: Source = Source.CANDLES,
    *,
    grace: Grace = FIXED,
    settle_ns: int = 0,
    has_history: bool = False,
    grid: Grid = CLOCK,
) -> FeedSpec:
    return FeedSpec(
        feed=FEED, grid=grid, source=source, grace=grace, settle_ns=settle_ns, has_history=has_history
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


# -- closing ----------------------------------------------------------------------------------------------


def test_the_life_of_a_declared_candle(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(3), candle(0, 101.0))
    desk.step(at(9), candle(0, 101.0))  # the same again says nothing
    desk.step(at(30), candle(0, 99.0, 2.0))
    desk.step(at(61), candle(0, 99.5, 3.0, low=99.0, closed=True))
    assert told(desk) == [
        (3.0, "open", 0),
        (3.0, "update", 0),
        (30.0, "update", 0),
        (61.0, "update", 0),
        (61.0, "close", 0, "DECLARED", "OK", 99.5, 3.0),
    ]
    assert desk.log.counts == {"duplicate": 1}


def test_data_received_at_the_deadline_is_applied_before_the_timer(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(5), candle(0))
    desk.step(at(62), candle(0, 101.0, 2.0))
    desk.step(at(62) + 1)
    assert endings(desk) == [(62.0, "close", 0, "ELAPSED", "OK", 101.0, 2.0)]


def test_a_deadline_fires_at_its_own_time_before_what_overtakes_it(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(5), candle(0))
    desk.step(at(62) + 1, candle(0, 101.0, 2.0))
    assert endings(desk) == [
        (62.0, "close", 0, "ELAPSED", "OK", 100.0, 1.0),
        (62.000000001, "correct", 0, "ELAPSED", "OK", 101.0, 2.0),
    ]


def test_quiet_bars_repeat_a_corrected_close(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(5), candle(0))
    desk.step(at(200), ping(200))
    desk.step(at(201), candle(3, 107.0))
    desk.step(at(202), candle(0, 90.0, 2.0))
    assert endings(desk) == [
        (62.0, "close", 0, "ELAPSED", "OK", 100.0, 1.0),
        (200.0, "close", 1, "ELAPSED", "QUIET", 100.0, 0.0),
        (200.0, "close", 2, "ELAPSED", "QUIET", 100.0, 0.0),
        (202.0, "correct", 0, "ELAPSED", "OK", 90.0, 2.0),
        (202.0, "correct", 1, "ELAPSED", "QUIET", 90.0, 0.0),
        (202.0, "correct", 2, "ELAPSED", "QUIET", 90.0, 0.0),
    ]


def test_a_declared_bar_is_not_corrected_by_what_was_said_before(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(5), candle(0, 101.0, 2.0))
    desk.step(at(58), candle(0, 101.0, 3.0, closed=True, ts=at(58)))
    desk.step(at(61), candle(0, 101.0, 3.0, closed=True, ts=at(60)))  # the same, but newer
    desk.step(at(63), candle(0, 105.0, 4.0))
    desk.step(at(64), candle(0, 105.0, 4.0, ts=at(59)))
    assert desk.log.bars("correct") == []
    desk.step(at(65), candle(0, 105.0, 4.0, ts=at(61)))
    assert endings(desk)[-1] == (65.0, "correct", 0, "DECLARED", "OK", 105.0, 4.0)


def test_late_data_makes_a_quiet_bar_a_sound_one(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(5), candle(0))
    desk.step(at(122), ping(122))
    desk.step(at(123), candle(1, 104.0, 7.0))
    assert endings(desk)[1:] == [
        (122.0, "close", 1, "ELAPSED", "QUIET", 100.0, 0.0),
        (123.0, "correct", 1, "ELAPSED", "OK", 104.0, 7.0),
    ]


def test_a_late_candle_without_volume_still_replaces_what_was_quiet(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(5), candle(0))
    desk.step(at(122), ping(122))
    desk.step(at(123), BarUpdate(str(FEED), at(60), 104.0, 104.0, 104.0, 104.0, 0.0))
    assert endings(desk)[-1] == (123.0, "correct", 1, "ELAPSED", "OK", 104.0, 0.0)


@pytest.mark.parametrize("data_first", [False, True])
def test_proof_of_life_does_not_close_the_bar_that_came_with_it(rig: type[Rig], data_first: bool) -> None:
    """A dead silence, then a candle of the present: it ends the silence and goes on forming itself."""
    desk = rig(spec(), data_first=data_first)
    desk.step(at(0), up(0))
    desk.step(at(5), candle(0))
    desk.step(at(190), candle(3))
    assert told(desk)[2:] == [
        (62.0, "close", 0, "ELAPSED", "OK", 100.0, 1.0),
        (190.0, "open", 1),
        (190.0, "close", 1, "ELAPSED", "QUIET", 100.0, 0.0),
        (190.0, "open", 2),
        (190.0, "close", 2, "ELAPSED", "QUIET", 100.0, 0.0),
        (190.0, "open", 3),
        (190.0, "update", 3),
    ]


def test_without_proof_of_life_nothing_is_quiet(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(5), candle(0))
    desk.step(at(3_000))
    assert endings(desk) == [(62.0, "close", 0, "ELAPSED", "OK", 100.0, 1.0)]
    desk.step(at(3_001), down(3_001))
    desk.step(at(3_010), up(3_010))
    desk.step(at(3_011))
    assert endings(desk)[1:] == [(3_010.0, "gap", 1.0, 50.0)]


# -- stale and refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "counted"),
    [
        (candle(0, 101.0, 4.0), "stale"),
        (candle(0, 101.0, 4.0, ts=at(8)), "stale"),
        (BarUpdate(str(FEED), START, 100.0, 101.0, 99.0, 99.0, 5.0), ""),
        (candle(0, 100.0, 5.0), "stale"),
        (candle(0, 101.0, 4.0, ts=at(12)), ""),
        (candle(0, 101.0, 9.0, ts=at(8)), "stale"),
    ],
    ids=["less volume", "less volume and older", "same volume, wider", "same volume, narrower", "newer", "older"],
)
def test_what_counts_as_stale(rig: type[Rig], second: BarUpdate, counted: str) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(10), candle(0, 101.0, 5.0, low=99.5, ts=at(10)))
    desk.step(at(13), second)
    assert dict(desk.log.counts) == ({counted: 1} if counted else {})
    assert (desk.store.bars[-1].volume, desk.store.bars[-1].close) == (
        (5.0, 101.0) if counted else (second.volume, second.close)
    )


def test_a_declared_candle_is_the_last_word_even_with_less_volume(rig: type[Rig]) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(10), candle(0, 101.0, 5.0))
    desk.step(at(61), candle(0, 101.0, 4.0, closed=True))
    assert endings(desk) == [(61.0, "close", 0, "DECLARED", "OK", 101.0, 4.0)]


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ((NAN, 2.0, 1.0, 1.5, 1.0, 0.0), "not_finite"),
        ((1.5, NAN, 1.0, 1.5, 1.0, 0.0), "not_finite"),
        ((1.5, INF, 1.0, 1.5, 1.0, 0.0), "not_finite"),
        ((1.5, 2.0, -INF, 1.5, 1.0, 0.0), "not_finite"),
        ((1.5, 2.0, 1.0, 1.5, NAN, 0.0), "not_finite"),
        ((1.5, 2.0, 1.0, 1.5, 1.0, INF), "not_finite"),
        ((3.0, 2.0, 1.0, 1.5, 1.0, 0.0), "high_too_low"),
        ((1.5, 2.0, 1.0, 3.0, 1.0, 0.0), "high_too_low"),
        ((1.5, 2.0, 1.0, 0.5, 1.0, 0.0), "low_too_high"),
        ((1.5, 2.0, 1.0, 1.5, -1.0, 0.0), "negative_volume"),
        ((1.5, 2.0, 1.0, 1.5, 1.0, -1.0), "negative_volume"),
    ],
)
def test_impossible_candles_are_refused(
    rig: type[Rig], numbers: tuple[float, float, float, float, float, float], reason: str
) -> None:
    desk = rig(spec(settle_ns=5 * SECOND))
    desk.step(at(0), up(0))
    desk.step(at(1), BarUpdate(str(FEED), START, *numbers))
    desk.step(at(2), candle(0))
    desk.step(at(60), candle(1))
    desk.step(at(61), BarUpdate(str(FEED), START, *numbers))  # while the bar settles, too
    assert desk.log.refusals == [reason, reason]
    assert told(desk) == [(2.0, "open", 0), (2.0, "update", 0)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (BarUpdate(str(FEED), START + 1, 1.0, 1.0, 1.0, 1.0, 1.0), "off_grid"),
        (candle(1), "from_the_future"),
        (candle(0, closed=True), "closed_in_the_future"),
    ],
)
def test_candles_of_impossible_times_are_refused(rig: type[Rig], data: BarUpdate, reason: str) -> None:
    desk = rig(spec())
    desk.step(at(0), up(0))
    desk.step(at(54.9), data)
    desk.step(at(55), candle(0, closed=True))  # five seconds are within the stated skew
    desk.step(at(55), candle(1))
    assert desk.log.refusals == [reason]
    assert [line[1] for line in told(desk)] == ["open", "update", "close", "open", "update"]


def test_a_stamp_outside_the_calendar_is_one_bad_message(rig: type[Rig]) -> None:
    pytest.importorskip("exchange_calendars")
    grid = grid_for("XHKG", FEED.interval)
    for source, bad in ((Source.TRADES, Trade("t", 1.0, 1.0, 0, 1)), (Source.CANDLES, candle(-60 * 24 * 30_000))):
        desk = rig(spec(source, grid=grid))
        opens = grid.first_from(START)
        desk.step(opens, Connected("c", opens))
        with pytest.raises(ConfigError, match="XHKG knows its sessions from"):
            desk.step(opens, bad)
        first = (
            Trade("t", 1.0, 1.0, opens, 2) if source is Source.TRADES else BarUpdate(str(FEED), opens, 1, 1, 1, 1, 1)
        )
        desk.step(opens, first)
        desk.step(opens + 1, bad)
        assert desk.log.refusals == ["outside_session" if source is Source.TRADES else "off_grid"]


NUMBERS = st.floats() | st.sampled_from([0.0, 1.0, 100.0, 101.0, -1.0, INF, NAN])
STAMPS = st.integers(-3, 6).map(lambda minute: START + minute * MINUTE) | st.integers(START - MINUTE, START + HOUR)
GARBAGE = st.builds(
    BarUpdate, st.just(str(FEED)), STAMPS, *[NUMBERS] * 6, is_closed=st.booleans(), ts_event=st.just(0) | STAMPS
)  # fmt: skip
SOUND = st.builds(
    candle, st.integers(0, 5), st.sampled_from([99.0, 100.0, 101.0]), st.sampled_from([1.0, 2.0]), closed=st.booleans()
)  # fmt: skip


@given(
    stream=st.lists(st.tuples(st.sampled_from([0, SECOND, 20 * SECOND, MINUTE]), GARBAGE | SOUND), max_size=40),
    settle_ns=st.sampled_from([0, SECOND]),
    has_history=st.booleans(),
)
def test_no_garbage_reaches_a_strategy(
    rig: type[Rig], stream: list[tuple[int, BarUpdate]], settle_ns: int, has_history: bool
) -> None:
    """Whatever comes, the checker has nothing to say, and each message is taken, counted or refused."""
    desk = rig(spec(grace=Grace(), settle_ns=settle_ns, has_history=has_history))
    now = START
    desk.step(now, Connected("c", now))
    for wait, data in stream:
        now += wait
        desk.step(now, data)
        desk.step(now, HistoryBars(str(FEED), now - MINUTE, now, (data,)))
    for told in desk.log.bars("open", "update", "close", "correct", "warm"):
        assert all(abs(number) < INF for number in (told.open, told.high, told.low, told.close, told.volume))


# -- settling ---------------------------------------------------------------------------------------------


def test_while_a_bar_settles_its_own_data_goes_on(rig: type[Rig]) -> None:
    desk = rig(spec(settle_ns=SECOND))
    desk.step(at(0), up(0))
    desk.step(at(10), candle(0))
    desk.step(at(60), candle(1, 105.0))
    desk.step(at(60.4), candle(0, 101.0, 2.0))
    desk.step(at(62))
    assert told(desk)[2:] == [
        (60.4, "update", 0),
        (61.0, "close", 0, "SUPERSEDED", "OK", 101.0, 2.0),
        (61.0, "open", 1),
        (61.0, "update", 1),
    ]


def test_a_settling_bar_that_is_declared_closes_at_once(rig: type[Rig]) -> None:
    desk = rig(spec(settle_ns=SECOND))
    desk.step(at(0), up(0))
    desk.step(at(10), candle(0))
    desk.step(at(60), candle(1, 105.0))
    desk.step(at(60.4), candle(0, 101.0, 2.0, closed=True))
    desk.step(at(200))
    assert told(desk)[2:] == [
        (60.4, "update", 0),
        (60.4, "close", 0, "DECLARED", "OK", 101.0, 2.0),
        (60.4, "open", 1),
        (60.4, "update", 1),
        (122.0, "close", 1, "ELAPSED", "OK", 105.0, 1.0),
    ]


def test_settling_never_waits_beyond_the_grace(rig: type[Rig]) -> None:
    desk = rig(spec(settle_ns=30 * SECOND))
    desk.step(at(0), up(0))
    desk.step(at(10), candle(0))
    desk.step(at(60.5), candle(1))
    desk.step(at(70))
    assert endings(desk) == [(62.0, "close", 0, "SUPERSEDED", "OK", 100.0, 1.0)]


def test_trades_of_a_settling_bar_go_on_too(rig: type[Rig]) -> None:
    desk = rig(spec(Source.TRADES, settle_ns=SECOND))
    desk.step(at(0), up(0))
    desk.step(at(10), trade(10, 100.0, 1))
    desk.step(at(60), trade(60, 105.0, 3))
    desk.step(at(60.2), trade(61, 106.0, 4))
    desk.step(at(60.4), trade(59, 99.0, 2))
    desk.step(at(61), trade(61, 104.0, 5))
    desk.step(at(61) + 1)
    assert told(desk)[2:] == [
        (60.4, "update", 0),
        (61.0, "close", 0, "SUPERSEDED", "OK", 99.0, 2.0),
        (61.0, "open", 1),
        (61.0, "update", 1),
        (61.0, "update", 1),
        (61.0, "update", 1),
    ]
    assert desk.store.bars[-1].close == 104.0


def test_a_drop_while_a_bar_settles_marks_the_next_one(rig: type[Rig]) -> None:
    desk = rig(spec(settle_ns=SECOND))
    desk.step(at(0), up(0))
    desk.step(at(10), candle(0))
    desk.step(at(60), candle(1))
    desk.step(at(60.5), down(60.5))
    desk.step(at(303), up(303))
    desk.step(at(303) + 1)
    assert endings(desk) == [
        (61.0, "close", 0, "SUPERSEDED", "OK", 100.0, 1.0),
        (303.0, "close", 1, "ELAPSED", "GAP", 100.0, 1.0),
        (303.0, "gap", 2.0, 5.0),
    ]


# -- grace ------------------------------------------------------------------------------------------------


def test_grace_is_learned_from_lateness_within_its_bounds(rig: type[Rig]) -> None:
    desk = rig(spec(grace=Grace(minimum=SECOND, initial=4 * SECOND, maximum=10 * SECOND)))
    learned = [desk.tracker.grace]
    desk.step(at(0), up(0))
    for minute, late in enumerate([0.0, 0.0, 8.0, 9.0, 0.0, 0.0, 0.0, 0.0]):
        desk.step(max(desk.now, at(60 * minute + 1)), candle(minute))
        desk.step(max(desk.now, at(60 * minute + 60 + late)), candle(minute, closed=True, volume=2.0))
        learned.append(desk.tracker.grace)
    # a sixteenth less for each bar that was not late; 8 s is too late for the timer and learned with the next bar
    slow = [3_515_625_000, 3_295_898_438, 10 * SECOND, 10 * SECOND, 10 * SECOND, 9_887_695_313, 9_269_714_356]
    assert learned == [4 * SECOND, 3_750_000_000, *slow]


def test_a_repair_teaches_no_lateness(rig: type[Rig]) -> None:
    wide = Grace(minimum=SECOND, initial=SECOND, maximum=3_600 * SECOND)
    desk = rig(spec(grace=wide, has_history=True))
    desk.step(at(0), up(0))
    desk.step(at(1), rows(-2, 0))
    desk.step(at(10), candle(0))
    desk.step(at(20), down(20))
    desk.step(at(600), up(600))
    desk.step(at(601), candle(10))
    desk.step(at(602), rows(-2, 10, *(candle(minute, volume=5.0) for minute in range(10))))
    assert [line[1:5] for line in endings(desk)] == [("close", minute, "HISTORY", "REFILLED") for minute in range(10)]
    assert desk.tracker.grace == SECOND


# -- whole bars -------------------------------------------------------------------------------------------


def bar(minute: int, close: float = 100.0) -> Bar:
    ts_open = START + minute * MINUTE
    return Bar(str(FEED), ts_open, ts_open + MINUTE, 100.0, max(100.0, close), min(100.0, close), close, 1.0)


@pytest.mark.parametrize("stepwise", [False, True])
def test_whole_bars_close_as_they_come(rig: type[Rig], stepwise: bool) -> None:
    desk = rig(spec(), is_file=True, tells_open=stepwise, tells_update=stepwise)
    for minute in (0, 1, 2, 4):
        desk.step(START + (minute + 1) * MINUTE, bar(minute, 100.0 + minute))
    assert desk.log.bars("close") == [bar(minute, 100.0 + minute) for minute in (0, 1, 2, 4)]
    assert [line for line in told(desk) if line[1] == "gap"] == [(300.0, "gap", 3.0, 4.0)]


def test_a_row_again_is_a_duplicate_and_a_changed_one_a_correction(rig: type[Rig]) -> None:
    desk = rig(spec(), is_file=True, tells_open=False, tells_update=False)
    desk.step(at(60), bar(0))
    desk.step(at(120), bar(1))
    desk.step(at(120), bar(0), bar(0, 104.0))
    assert endings(desk)[2:] == [(120.0, "correct", 0, "DECLARED", "OK", 104.0, 1.0)]
    assert desk.log.counts == {"duplicate": 1}


def test_a_file_that_leaves_out_quiet_bars_says_so(rig: type[Rig]) -> None:
    of = FeedSpec(feed=FEED, grid=CLOCK, missing="quiet")
    desk = rig(of, is_file=True, tells_open=False, tells_update=False)
    desk.step(at(60), bar(0))
    desk.step(at(240), bar(3))
    assert endings(desk) == [
        (60.0, "close", 0, "DECLARED", "OK", 100.0, 1.0),
        (240.0, "close", 1, "ELAPSED", "QUIET", 100.0, 0.0),
        (240.0, "close", 2, "ELAPSED", "QUIET", 100.0, 0.0),
        (240.0, "close", 3, "DECLARED", "OK", 100.0, 1.0),
    ]


def test_whole_bars_on_a_connection_do_not_wake_a_stale_timer(rig: type[Rig]) -> None:
    desk = rig(spec(), tells_open=False, tells_update=False)
    desk.step(at(0), up(0))
    for minute in range(4):
        desk.step(START + (minute + 1) * MINUTE, bar(minute))
    desk.step(at(302), ping(302))
    desk.step(at(303))
    assert [line[2:5] for line in endings(desk)] == [
        (0, "DECLARED", "OK"),
        (1, "DECLARED", "OK"),
        (2, "DECLARED", "OK"),
        (3, "DECLARED", "OK"),
        (4, "ELAPSED", "QUIET"),
    ]


def test_close_reasons_are_the_enum(rig: type[Rig]) -> None:
    desk = rig(spec(), is_file=True)
    desk.step(at(60), bar(0))
    assert desk.log.bars("close")[0].closed_by is ClosedBy.DECLARED
    assert desk.log.tallies[0].quality is Quality.OK
