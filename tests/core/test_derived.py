"""Longer bars from shorter ones: content, quality, order of hooks, holes and corrections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from barbot.core.spec import FeedSpec, Grace, Source
from barbot.model.instrument import FeedId
from barbot.model.market import Bar, BarUpdate, ClosedBy, Connected, Gap, Heartbeat, HistoryBars, Quality
from barbot.timing.clock import parse_time
from barbot.timing.interval import MINUTE, SECOND
from barbot.timing.sessions import grid_for

if TYPE_CHECKING:
    from tests.core.conftest import Recorder, Rig

FEED = FeedId.parse("test:X-USD@1m")
START = parse_time("2026-01-30")
CLOCK = grid_for("24/7", FEED.interval)
FIXED = Grace(minimum=2 * SECOND, initial=2 * SECOND, maximum=2 * SECOND)
BASE = FeedSpec(feed=FEED, grid=CLOCK, grace=FIXED)


def longer(interval: str, calendar: str = "24/7", *, window: int = 200) -> FeedSpec:
    feed = FeedId.parse(f"test:X-USD@{interval}")
    grid = grid_for(calendar, feed.interval)
    return FeedSpec(feed=feed, grid=grid, source=Source.DERIVED, base=str(FEED), window=window)


def at(minute: float) -> int:
    return START + round(minute * MINUTE)


def row(minute: int, *prices: float, volume: float = 1.0) -> Bar:
    """A whole bar that traded at `prices` in this order."""
    ts = at(minute)
    return Bar(str(FEED), ts, ts + MINUTE, prices[0], max(prices), min(prices), prices[-1], volume, 10 * volume)


def candle(minute: int, *prices: float, volume: float = 1.0) -> BarUpdate:
    ts = at(minute)
    return BarUpdate(str(FEED), ts, prices[0], max(prices), min(prices), prices[-1], volume, 10 * volume)


def short(log: Recorder) -> list[tuple[object, ...]]:
    """Return what was told: (kind, minute, open, high, low, close, volume, quality), gaps as (kind, from, to)."""
    return [
        (kind, (what.ts_from - START) / MINUTE, (what.ts_to - START) / MINUTE)
        if isinstance(what, Gap)
        else (
            kind, (what.ts_open - START) // MINUTE, what.open, what.high, what.low, what.close, what.volume,
            what.quality.name,
        )
        for _, kind, what in log.told
    ]  # fmt: skip


def closes(log: Recorder) -> list[tuple[object, ...]]:
    return [line for line in short(log) if line[0] not in ("open", "update")]


def from_file(rig: type[Rig], *rows: Bar, tells: bool = False, interval: str = "3m", missing: str = "gap") -> Rig:
    base = FeedSpec(feed=FEED, grid=CLOCK, grace=FIXED, missing="quiet" if missing == "quiet" else "gap")
    desk = rig(base, is_file=True, tells_open=tells, tells_update=tells, derived=[longer(interval)])
    for one in rows:
        desk.step(one.ts_close, one)
    return desk


@pytest.mark.parametrize("tells", [False, True])
def test_three_minutes_make_a_bar(rig: type[Rig], tells: bool) -> None:
    desk = from_file(rig, row(0, 10.0, 12.0, 11.0), row(1, 9.0, 10.0, volume=2.5), row(2, 11.0, 14.0), tells=tells)
    (derived,) = desk.derived
    assert closes(derived) == [("close", 0, 10.0, 14.0, 9.0, 14.0, 4.5, "OK")]
    assert [(bar.closed_by, bar.turnover) for bar in derived.bars("close")] == [(ClosedBy.DECLARED, 45.0)]


def test_every_transition_of_a_derived_bar(rig: type[Rig]) -> None:
    desk = rig(BASE, derived=[longer("3m")])
    desk.step(at(0), Connected("c", at(0)))
    desk.step(at(0.5), candle(0, 10.0))
    desk.step(at(0.6), candle(0, 10.0, 12.0, volume=2.0))
    desk.step(at(1.5), candle(1, 11.0))
    desk.step(at(2.5), candle(2, 9.0))
    desk.step(at(4))
    (derived,) = desk.derived
    assert short(derived) == [
        ("open", 0, 10.0, 10.0, 10.0, 10.0, 1.0, "OK"),
        ("update", 0, 10.0, 10.0, 10.0, 10.0, 1.0, "OK"),
        ("update", 0, 10.0, 12.0, 10.0, 12.0, 2.0, "OK"),
        ("update", 0, 10.0, 12.0, 10.0, 11.0, 3.0, "OK"),
        ("update", 0, 10.0, 12.0, 9.0, 9.0, 4.0, "OK"),
        ("close", 0, 10.0, 12.0, 9.0, 9.0, 4.0, "OK"),
    ]


def test_quiet_minutes_at_the_start_set_no_price(rig: type[Rig]) -> None:
    desk = from_file(
        rig, row(0, 10.0), row(1, 10.0), row(2, 10.0), row(4, 50.0), row(8, 60.0), row(15, 9.0), missing="quiet"
    )
    (derived,) = desk.derived
    assert closes(derived) == [
        ("close", 0, 10.0, 10.0, 10.0, 10.0, 3.0, "OK"),
        ("close", 3, 50.0, 50.0, 50.0, 50.0, 1.0, "OK"),
        ("close", 6, 60.0, 60.0, 60.0, 60.0, 1.0, "OK"),
        ("close", 9, 60.0, 60.0, 60.0, 60.0, 0.0, "QUIET"),
        ("close", 12, 60.0, 60.0, 60.0, 60.0, 0.0, "QUIET"),
    ]


def test_a_bar_that_begins_late_is_partial_first_and_a_gap_later(rig: type[Rig]) -> None:
    rows = [row(1, 10.0), row(2, 11.0), *(row(minute, 12.0) for minute in (3, 4, 5)), row(7, 13.0), row(8, 14.0)]
    (derived,) = from_file(rig, *rows).derived
    assert closes(derived) == [
        ("close", 0, 10.0, 11.0, 10.0, 11.0, 2.0, "PARTIAL"),
        ("close", 3, 12.0, 12.0, 12.0, 12.0, 3.0, "OK"),
        ("close", 6, 13.0, 14.0, 13.0, 14.0, 2.0, "GAP"),
    ]


def test_a_bar_whose_end_is_missing_closes_as_a_gap(rig: type[Rig]) -> None:
    (derived,) = from_file(rig, row(0, 10.0), row(4, 11.0), row(5, 12.0)).derived
    assert closes(derived) == [
        ("close", 0, 10.0, 10.0, 10.0, 10.0, 1.0, "GAP"),
        ("close", 3, 11.0, 12.0, 11.0, 12.0, 2.0, "GAP"),
    ]


def test_bars_that_are_missing_whole_are_told_as_a_gap(rig: type[Rig]) -> None:
    (derived,) = from_file(rig, row(0, 10.0), row(1, 10.0), row(2, 10.0), row(3, 10.0), row(13, 11.0)).derived
    assert closes(derived) == [
        ("close", 0, 10.0, 10.0, 10.0, 10.0, 3.0, "OK"),
        ("close", 3, 10.0, 10.0, 10.0, 10.0, 1.0, "GAP"),
        ("gap", 6.0, 12.0),
    ]


def test_the_shorter_bar_closes_first_and_windows_are_right_in_its_hook(rig: type[Rig]) -> None:
    desk = rig(BASE, is_file=True, tells_open=False, tells_update=False, derived=[longer("3m"), longer("15m")])
    seen: list[tuple[str, int, bool]] = []
    for log in (desk.log, *desk.derived):
        log.told = _Spy(seen, log)
    for minute in range(15):
        desk.step(at(minute + 1), row(minute, 10.0 + minute))
    assert seen[-3:] == [("1m", 14, True), ("3m", 12, True), ("15m", 0, True)]


class _Spy(list[tuple[int, str, Bar | Gap]]):
    """Notes at each close whether the window ends with the bar, and whether the derived windows hold it."""

    def __init__(self, seen: list[tuple[str, int, bool]], log: Recorder) -> None:
        super().__init__()
        self.seen = seen
        self.log = log

    def append(self, told: tuple[int, str, Bar | Gap]) -> None:
        _, kind, bar = told
        if kind == "close" and isinstance(bar, Bar):
            derived = [one.store.bars[-1] for one in self.log.derived]
            right = self.log.store.bars[-1] is bar and all(one.close == bar.close for one in derived)
            self.seen.append((bar.feed.rpartition("@")[2], (bar.ts_open - START) // MINUTE, right))


def test_corrections_are_followed_in_closed_and_forming_bars(rig: type[Rig]) -> None:
    desk = rig(BASE, derived=[longer("3m")])
    desk.step(at(0), Connected("c", at(0)))
    for minute in range(4):
        desk.step(at(minute + 0.5), candle(minute, 10.0, 11.0))
    desk.step(at(4.5), candle(4, 12.0))
    desk.step(at(4.6), candle(1, 10.0, 30.0, volume=2.0))
    desk.step(at(4.7), candle(3, 5.0, 11.0, volume=3.0))
    (derived,) = desk.derived
    assert short(derived)[-3:] == [
        ("update", 3, 10.0, 12.0, 10.0, 12.0, 2.0, "OK"),
        ("correct", 0, 10.0, 30.0, 10.0, 11.0, 4.0, "OK"),
        ("update", 3, 5.0, 12.0, 5.0, 12.0, 4.0, "OK"),
    ]


def test_a_correction_that_ends_a_silence_ends_it_in_the_derived_bar_too(rig: type[Rig]) -> None:
    desk = rig(BASE, derived=[longer("3m")])
    desk.step(at(0), Connected("c", at(0)))
    for minute in range(3):
        desk.step(at(minute + 0.5), candle(minute, 10.0))
    desk.step(at(6.5), Heartbeat("c", at(6.5)))
    desk.step(at(6.6), candle(3, 20.0))
    (derived,) = desk.derived
    assert closes(derived) == [
        ("close", 0, 10.0, 10.0, 10.0, 10.0, 3.0, "OK"),
        ("close", 3, 10.0, 10.0, 10.0, 10.0, 0.0, "QUIET"),
        ("correct", 3, 20.0, 20.0, 20.0, 20.0, 1.0, "OK"),
    ]
    assert [bar.corrected for bar in derived.bars("correct")] == [1]


def test_a_day_follows_corrections_of_its_minutes(rig: type[Rig]) -> None:
    """The base keeps enough bars for the longest bar that hangs on it."""
    desk = from_file(rig, *(row(minute, 10.0) for minute in range(1_300)), interval="1d")
    desk.step(at(1_301), row(1_200, 10.0, 90.0))
    (derived,) = desk.derived
    assert desk.log.counts == {}
    assert (derived.store.bars[-1].high, derived.store.bars[-1].volume) == (90.0, 1_300.0)


def test_a_repaired_minute_repairs_the_quality(rig: type[Rig]) -> None:
    spec = FeedSpec(feed=FEED, grid=CLOCK, source=Source.TRADES, grace=FIXED, has_history=True)
    desk = rig(spec, derived=[longer("3m")])
    now = at(3.5)
    desk.step(now, Connected("c", now))
    desk.step(now, HistoryBars(str(FEED), at(0), now, tuple(candle(minute, 10.0) for minute in range(3))))
    (derived,) = desk.derived
    assert short(derived) == [("warm", 0, 10.0, 10.0, 10.0, 10.0, 3.0, "OK")]


def test_warm_up_goes_over_into_the_first_live_bar(rig: type[Rig]) -> None:
    spec = FeedSpec(feed=FEED, grid=CLOCK, grace=FIXED, has_history=True)
    desk = rig(spec, derived=[longer("3m")])
    now = at(4.5)
    desk.step(now, Connected("c", now))
    warm = (candle(1, 8.0), candle(2, 9.0), candle(3, 10.0), candle(4, 11.0))
    desk.step(now, HistoryBars(str(FEED), at(0), now, warm))
    desk.step(at(5.5), candle(5, 12.0))
    desk.step(at(7))
    (derived,) = desk.derived
    assert short(derived) == [
        ("warm", 0, 8.0, 9.0, 8.0, 9.0, 2.0, "PARTIAL"),
        ("open", 3, 10.0, 11.0, 10.0, 11.0, 2.0, "OK"),
        ("update", 3, 10.0, 11.0, 10.0, 11.0, 2.0, "OK"),
        ("update", 3, 10.0, 12.0, 10.0, 12.0, 3.0, "OK"),
        ("close", 3, 10.0, 12.0, 10.0, 12.0, 3.0, "OK"),
    ]


def test_an_hour_ends_at_lunch(rig: type[Rig]) -> None:
    pytest.importorskip("exchange_calendars")
    base = FeedSpec(feed=FEED, grid=grid_for("XHKG", FEED.interval), grace=FIXED)
    desk = rig(base, is_file=True, tells_open=False, tells_update=False, derived=[longer("1h", "XHKG")])
    ts = base.grid.first_from(START)
    for _ in range(331):
        end = base.grid.close_of(ts)
        desk.step(end, Bar(str(FEED), ts, end, 10.0, 10.0, 10.0, 10.0, 1.0))
        ts = base.grid.next_open(ts)
    (derived,) = desk.derived
    shapes = [((bar.ts_open - START) // MINUTE, bar.volume, bar.quality) for bar in derived.bars("close")]
    assert shapes == [
        (90, 60.0, Quality.OK),
        (150, 60.0, Quality.OK),
        (210, 30.0, Quality.OK),
        (300, 60.0, Quality.OK),
        (360, 60.0, Quality.OK),
        (420, 60.0, Quality.OK),
    ]
