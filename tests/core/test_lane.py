"""A lane keeps windows, indicators and derived feeds in step with the bar in hand, corrections included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.core.history import History
from barbot.core.indicators import SMA, WMA, Highest
from barbot.core.spec import FeedSpec, Source
from barbot.core.strategy import Strategy
from barbot.model.instrument import FeedId
from barbot.model.market import Bar, BarUpdate, ClosedBy, Connected, HistoryBars, MarketEvent, Quality
from barbot.timing.interval import MINUTE, SECOND
from barbot.timing.sessions import grid_for

if TYPE_CHECKING:
    from tests.core.conftest import House

T0: Final = 1_767_571_200_000_000_000
A1, A2, A10 = "sim:A@1m", "sim:A@2m", "sim:A@10m"
WINDOW: Final = 20


def spec(
    feed: str, source: Source = Source.CANDLES, *, base: str = "", hidden: bool = False, history: bool = False
) -> FeedSpec:
    known = FeedId.parse(feed)
    return FeedSpec(
        feed=known,
        grid=grid_for("24/7", known.interval),
        source=source,
        base=base,
        is_hidden=hidden,
        has_history=history,
        warmup_bars=5,
        window=WINDOW,
    )


def bar(minute: int, price: float) -> Bar:
    ts_open = T0 + minute * MINUTE
    return Bar(A1, ts_open, ts_open + MINUTE, price, price + 1, price - 1, price, 1.0)


def candle(minute: int, price: float, volume: float = 1.0, *, closed: bool = False) -> BarUpdate:
    return BarUpdate(A1, T0 + minute * MINUTE, price, price, price, price, volume, is_closed=closed)


class Averages(Strategy):
    feeds = [A1]
    history = WINDOW

    def on_start(self) -> None:
        self.seen: list[tuple[float, float]] = []
        self.all: list[SMA | WMA | Highest] = [
            self.indicator(SMA(3)),
            self.indicator(WMA(7)),
            self.indicator(Highest(5)),
        ]

    def on_bar_close(self, bar: Bar, history: History) -> None:
        self.seen.append((history[-1].close, self.all[0].value))

    def values(self) -> list[float]:
        return [indicator.value for indicator in self.all]


class Forming(Averages):
    """The same with hooks for the forming bar."""

    def on_bar_update(self, bar: Bar, history: History) -> None:
        self.seen.append((history[-1].close, self.all[0].value))

    def on_bar_correct(self, bar: Bar, previous: Bar, history: History) -> None:
        self.seen.append((history[-1].close, self.all[0].value))


def recomputed(bars: list[Bar]) -> list[float]:
    """Return what fresh indicators make of the bars."""
    fresh: list[SMA | WMA | Highest] = [SMA(3), WMA(7), Highest(5)]
    for closed in bars:
        for indicator in fresh:
            indicator.update(closed)
    return [indicator.value for indicator in fresh]


def averages(house: House) -> Averages:
    assert isinstance(house.strategy, Averages)
    return house.strategy


@given(
    st.lists(st.tuples(st.integers(0, 130), st.integers(0, WINDOW - 1), st.integers(1, 9)), max_size=8),
    st.sampled_from([Averages, Forming]),
)
def test_indicators_are_what_they_would_be_had_every_correction_been_so_from_the_start(
    house_of: type[House], corrections: list[tuple[int, int, int]], strategy: type[Averages]
) -> None:
    house = house_of(strategy, spec(A1))
    house.engine.start(T0)
    expected: list[Bar] = []
    late = {after: [c for c in corrections if c[0] == after] for after, _, _ in corrections}
    volume = 1.0
    for minute in range(200):
        now = T0 + (minute + 1) * MINUTE
        house.step(now, candle(minute, 10.0 + minute % 7, closed=True))
        expected.append(house.engine.lanes[A1].store.bars[-1])
        for _, back, price in late.get(minute, ()):
            index = max(0, minute - back)
            volume += 1.0
            house.step(now, candle(index, float(price), volume, closed=True))
            expected[index] = next(b for b in house.engine.lanes[A1].store.bars if b.ts_open == expected[index].ts_open)
        assert averages(house).values()[0] == pytest.approx(recomputed(expected)[0], nan_ok=True)
    assert averages(house).values() == pytest.approx(recomputed(expected))
    assert house.engine.lanes[A1].counts["indicators_not_replayed"] == 0


def test_a_correction_after_a_correction_finds_a_state_to_start_from(house_of: type[House]) -> None:
    house = house_of(Averages, spec(A1))
    house.engine.start(T0)
    for minute in range(131):
        house.step(T0 + (minute + 1) * MINUTE, candle(minute, 10.0, closed=True))
    house.step(T0 + 131 * MINUTE, candle(112, 20.0, 2.0, closed=True))
    for minute in range(131, 195):
        house.step(T0 + (minute + 1) * MINUTE, candle(minute, 10.0, closed=True))
    house.step(T0 + 195 * MINUTE, candle(193, 40.0, 2.0, closed=True))
    house.step(T0 + 195 * MINUTE, candle(180, 70.0, 2.0, closed=True))
    assert averages(house).values()[0] == 20.0
    assert dict(house.engine.lanes[A1].counts) == {"corrected": 3}


def test_a_bar_that_an_indicator_began_with_can_be_corrected(house_of: type[House]) -> None:
    house = house_of(Averages, spec(A1, history=True))
    house.engine.start(T0)
    house.step(T0, Connected("c", T0, (A1,)))
    rows = tuple(candle(minute, 10.0, closed=True) for minute in range(-3, 0))
    house.step(T0 + SECOND, HistoryBars(A1, T0 - 3 * MINUTE, T0, rows))
    assert averages(house).values()[0] == 10.0
    house.step(T0 + 2 * SECOND, candle(-1, 16.0, 2.0, closed=True))
    assert averages(house).values()[0] == 12.0


def test_a_bar_that_an_indicator_never_saw_changes_nothing_in_it(house_of: type[House]) -> None:
    class Short(Averages):
        history = 3

    house = house_of(Short, spec(A1))
    house.engine.preroll()
    for minute in range(6):
        house.step(T0 + (minute + 1) * MINUTE, candle(minute, 10.0, closed=True))
    house.engine.start(T0 + 7 * MINUTE)
    house.step(T0 + 7 * MINUTE, candle(1, 99.0, 2.0, closed=True))
    assert averages(house).values()[0] == 10.0
    assert dict(house.engine.lanes[A1].counts) == {"corrected": 1}


def test_indicators_show_the_forming_bar_and_go_on_after_a_correction(house_of: type[House]) -> None:
    house = house_of(Forming, spec(A1))
    house.engine.start(T0)
    for minute in range(3):
        house.step(T0 + (minute + 1) * MINUTE, candle(minute, 10.0, closed=True))
    forming = averages(house)
    del forming.seen[:]
    house.step(T0 + 181 * SECOND, candle(3, 13.0))
    house.step(T0 + 182 * SECOND, candle(2, 16.0, 2.0, closed=True))
    house.step(T0 + 183 * SECOND, candle(3, 19.0, 2.0))
    house.step(T0 + 240 * SECOND, candle(3, 22.0, 3.0, closed=True))
    assert forming.seen == [(13.0, 11.0), (13.0, 13.0), (19.0, 15.0), (22.0, 16.0), (22.0, 16.0)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=100), st.integers(0, 5))
def test_the_short_way_of_whole_bars_is_the_tracker_s_own(
    house_of: type[House], moves: list[tuple[int, int]], correction: int
) -> None:
    """A move is how many bars to skip (0: the same bar again), and the price."""
    short, long = house_of(Averages, spec(A1), check=False), house_of(Averages, spec(A1), check=True)
    for house in (short, long):
        house.engine.start(T0)
        house.venue.idle = True
        minute = -1
        for number, (skip, price) in enumerate(moves):
            minute += skip
            events: list[MarketEvent] = [bar(max(minute, 0), float(price))]
            if number % 6 == correction:
                events.append(candle(max(minute - 1, 0), float(price), 5.0 + number, closed=True))
            house.engine.advance((T0 + (max(minute, 0) + 1) * MINUTE, event) for event in events)
    assert short.audit == long.audit
    assert str(averages(short).seen) == str(averages(long).seen)
    assert str(averages(short).values()) == str(averages(long).values())


class Lengths(Strategy):
    feeds = [A1, A2, A10]

    def __init__(self) -> None:
        self.told: list[tuple[str, float, list[float], list[float]]] = []

    def on_bar_close(self, bar: Bar, history: History) -> None:
        assert history[-1] is bar
        two, four = self.history(A2), self.history(A10)
        self.told.append((bar.feed.partition("@")[2], bar.close, list(two.close), list(four.closed.close)))


def test_derived_windows_are_up_to_date_in_the_hooks_of_the_shorter_feed(house_of: type[House]) -> None:
    house = house_of(Lengths, spec(A1), spec(A2, Source.DERIVED, base=A1), spec(A10, Source.DERIVED, base=A2))
    house.engine.start(T0)
    for minute in range(10):
        house.step(T0 + (minute + 1) * MINUTE, bar(minute, 10.0 + minute))
    assert isinstance(house.strategy, Lengths)
    assert house.strategy.told[:5] == [
        ("1m", 10.0, [10.0], []),
        ("1m", 11.0, [11.0], []),
        ("2m", 11.0, [11.0], []),
        ("1m", 12.0, [11.0, 12.0], []),
        ("1m", 13.0, [11.0, 13.0], []),
    ]
    assert house.strategy.told[-3:] == [
        ("1m", 19.0, [11.0, 13.0, 15.0, 17.0, 19.0], []),
        ("2m", 19.0, [11.0, 13.0, 15.0, 17.0, 19.0], []),
        ("10m", 19.0, [11.0, 13.0, 15.0, 17.0, 19.0], [19.0]),
    ]


def test_a_hidden_feed_is_told_to_nobody(house_of: type[House]) -> None:
    class Two(Averages):
        feeds = [A2]

    house = house_of(Two, spec(A1, hidden=True), spec(A2, Source.DERIVED, base=A1))
    house.engine.start(T0)
    for minute in range(6):
        house.step(T0 + (minute + 1) * MINUTE, bar(minute, 10.0 + minute))
    closes = [record for record in house.audit if isinstance(record, Bar)]
    assert [(closed.feed, closed.close) for closed in closes] == [(A2, 11.0), (A2, 13.0), (A2, 15.0)]
    assert [price for price, _ in averages(house).seen] == [11.0, 13.0, 15.0]
    assert averages(house).values()[0] == 13.0


def test_what_a_lane_has_counted(house_of: type[House]) -> None:
    house = house_of(Averages, spec(A1))
    house.engine.start(T0)
    for minute in (0, 1, 2, 5):
        house.step(T0 + (minute + 1) * MINUTE, bar(minute, 10.0))
    house.step(T0 + 6 * MINUTE, candle(4, -1.0, -1.0))
    house.step(T0 + 6 * MINUTE, candle(6, 10.0))
    house.step(T0 + 7 * MINUTE, candle(7, 10.0))
    lane = house.engine.lanes[A1]
    assert (lane.closed_bars, lane.ts_first, lane.ts_last) == (5, T0, T0 + 7 * MINUTE)
    assert dict(lane.counts) == {"gap": 1}
    assert dict(lane.refusals) == {"negative_volume": 1}
    assert dict(lane.tally) == {(ClosedBy.DECLARED, Quality.OK): 2, (ClosedBy.SUPERSEDED, Quality.OK): 1}


def test_the_first_bar_is_remembered_when_it_has_left_the_window(house_of: type[House]) -> None:
    house = house_of(Averages, spec(A1), check=False)
    house.engine.start(T0)
    house.venue.idle = True
    house.engine.advance((T0 + (minute + 1) * MINUTE, bar(minute, 10.0)) for minute in range(1000))
    lane = house.engine.lanes[A1]
    assert (lane.closed_bars, lane.ts_first, lane.store.dropped > 0) == (1000, T0, True)
    assert averages(house).values() == [10.0, 10.0, 11.0]
