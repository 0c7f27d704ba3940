"""The engine is a function of (now, events): deadlines at their own time, the order of hooks, begin and end."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from barbot.core.audit import Opened, Updated
from barbot.core.history import History
from barbot.core.indicators import SMA
from barbot.core.ledger import Ledger
from barbot.core.spec import NEVER, FeedSpec, Source
from barbot.core.strategy import Strategy
from barbot.model.market import (
    Bar,
    BarUpdate,
    ClosedBy,
    Connected,
    Heartbeat,
    HistoryBars,
    Quality,
    Quote,
)
from barbot.timing.interval import HOUR, MINUTE, SECOND
from tests.core.telling import (
    A1,
    A5,
    B1,
    T0,
    A,
    Stamped,
    Teller,
    bar,
    candle,
    spec,
    told,
    trade,
)

if TYPE_CHECKING:
    from tests.core.conftest import House

# -- deadlines ------------------------------------------------------------------------------------------


class Buyer(Teller):
    """Buys one at each close."""

    def on_bar_close(self, bar: Bar, history: History) -> None:
        super().on_bar_close(bar, history)
        self.buy(1)


def test_deadlines_fire_at_their_own_time_and_what_they_ask_for_leaves_then(house_of: type[House]) -> None:
    class Both(Buyer):
        feeds = [A1, B1]
        on_bar_open = Strategy.on_bar_open
        on_bar_update = Strategy.on_bar_update

    house = house_of(Both, spec(A1), spec(B1))
    house.engine.start(T0)
    house.advance(
        [
            (T0 + SECOND, candle(0, 10.0)),
            (T0 + 2 * MINUTE + SECOND, candle(2, 11.0, feed=B1)),
            (T0 + 9 * MINUTE, candle(9, 12.0)),
        ]
    )
    assert told(house) == [
        (0.0, "start"),
        (62.0, "close", 10.0, "ELAPSED", "OK"),
        (62.0, "order", "BUY", "PENDING_NEW"),
        (182.0, "close", 11.0, "ELAPSED", "OK"),
        (182.0, "order", "BUY", "PENDING_NEW"),
        (540.0, "gap", 1.0, 9.0),
        (540.0, "order", "BUY", "FILLED"),
        (540.0, "fill", 12.0, 1.0),
    ]
    assert house.left == [(T0 + 62 * SECOND, "submit", "t-1"), (T0 + 182 * SECOND, "submit", "t-2")]


def test_a_deadline_waits_for_all_data_of_its_own_moment(house_of: type[House]) -> None:
    due = T0 + MINUTE + 2 * SECOND
    tape: list[Stamped] = [
        (T0, Connected("c", T0, (A1,))),
        (T0, trade(10.0, T0)),
        (due, Heartbeat("c", due)),
        (due, trade(9.0, T0 + 59 * SECOND)),
        (due + SECOND, Heartbeat("c", due + SECOND)),
    ]
    stepped, advanced = (house_of(Teller, spec(A1, Source.TRADES), prices={A: "trades"}) for _ in range(2))
    for house in (stepped, advanced):
        house.engine.start(T0)
    for now, event in tape:
        stepped.step(now, event)
    advanced.advance(tape)
    assert told(stepped) == told(advanced)
    assert told(stepped)[-3:] == [(62.0, "update", 9.0), (62.0, "trade", 9.0), (62.0, "close", 9.0, "ELAPSED", "OK")]


def test_bars_that_are_due_together_close_by_length_and_then_as_subscribed(house_of: type[House]) -> None:
    class Feeds(Strategy):
        feeds = [B1, A5, A1]
        on_bar_close = lambda self, bar, history: closed.append(bar.feed)  # noqa: E731

    closed: list[str] = []
    house = house_of(Feeds, spec(B1), spec(A5), spec(A1))
    house.engine.start(T0)
    house.advance([(T0 + 241 * SECOND, candle(4, 1.0)), (T0 + 241 * SECOND, candle(4, 1.0, feed=B1))])
    house.advance([(T0 + 241 * SECOND, BarUpdate(A5, T0, 1.0, 1.0, 1.0, 1.0, 1.0)), (T0 + HOUR, candle(60, 1.0))])
    assert closed == [B1, A1, A5]


def test_an_unfinished_bar_is_not_closed_by_the_end(house_of: type[House]) -> None:
    house = house_of(Teller, spec(A1))
    house.engine.start(T0)
    house.step(T0 + SECOND, candle(0, 10.0))
    house.step(T0 + MINUTE + SECOND)
    house.engine.stop(T0 + MINUTE + SECOND)
    assert told(house) == [(0.0, "start"), (1.0, "open", 10.0), (1.0, "update", 10.0), (61.0, "stop")]


# -- the order of hooks ---------------------------------------------------------------------------------


def test_reports_come_first_and_order_hooks_after_those_of_the_bars(house_of: type[House]) -> None:
    house = house_of(Buyer, spec(A1))
    house.engine.start(T0)
    for minute in range(2):
        house.step(T0 + minute * MINUTE, candle(minute, 10.0 + minute))
    assert told(house) == [
        (0.0, "start"),
        (0.0, "open", 10.0),
        (0.0, "update", 10.0),
        (60.0, "close", 10.0, "SUPERSEDED", "OK"),
        (60.0, "open", 11.0),
        (60.0, "update", 11.0),
        (60.0, "order", "BUY", "PENDING_NEW"),
    ]
    del told(house)[:]
    house.step(T0 + 61 * SECOND, candle(1, 12.0, volume=2.0))
    assert told(house) == [
        (61.0, "update", 12.0),
        (61.0, "order", "BUY", "FILLED"),
        (61.0, "fill", 12.0, 1.0),
    ]


def test_a_hook_on_the_event_that_fills_sees_the_position(house_of: type[House]) -> None:
    seen: list[float] = []

    class Holder(Strategy):
        feeds = [A1]

        def on_bar_close(self, bar: Bar, history: History) -> None:
            seen.append(float(self.position))
            self.order_target(2)

    house = house_of(Holder, spec(A1))
    house.engine.start(T0)
    for minute in range(3):
        house.step(T0 + (minute + 1) * MINUTE, bar(minute, 10.0))
    assert seen == [0.0, 2.0, 2.0]


def test_trades_and_quotes_are_told_after_the_bars_they_make(house_of: type[House]) -> None:
    house = house_of(Teller, spec(A1, Source.TRADES), prices={A: "trades"})
    house.engine.start(T0)
    house.step(T0, Connected("c", T0, (A1,)))
    house.step(T0, trade(10.0, T0))
    house.step(T0 + SECOND, Quote(A, 9.0, 11.0))
    assert told(house) == [
        (0.0, "start"),
        (0.0, "Connected"),
        (0.0, "open", 10.0),
        (0.0, "update", 10.0),
        (0.0, "trade", 10.0),
        (1.0, "quote", 9.0),
    ]


def test_what_on_stop_asks_for_does_not_leave(house_of: type[House]) -> None:
    class Late(Teller):
        def on_stop(self) -> None:
            super().on_stop()
            self.buy(1, instrument=A)

    house = house_of(Late, spec(A1))
    house.engine.start(T0)
    house.step(T0 + MINUTE, bar(0, 10.0))
    house.engine.stop(T0 + MINUTE)
    assert (house.left, house.desk.busy, told(house)[-1]) == ([], False, (60.0, "stop"))


def test_before_the_start_nothing_is_told_of_an_end(house_of: type[House]) -> None:
    house = house_of(Teller, spec(A1, history=True))
    house.engine.start(T0)
    house.engine.stop(T0)
    assert (told(house), house.engine.has_begun) == ([], False)


def test_an_order_of_on_start_leaves_at_the_start(house_of: type[House]) -> None:
    class Early(Strategy):
        feeds = [A1]

        def on_start(self) -> None:
            self.buy(1, limit=5)

    house = house_of(Early, spec(A1))
    house.route(house.engine.start(T0), T0)
    assert house.left == [(T0, "submit", "t-1")]


# -- the beginning --------------------------------------------------------------------------------------


def rows(first: int, last: int) -> tuple[BarUpdate, ...]:
    return tuple(candle(minute, 100.0 + minute, closed=True) for minute in range(first, last))


def test_hooks_begin_when_the_warm_up_of_all_feeds_is_in(house_of: type[House]) -> None:
    class Windows(Teller):
        feeds = [A1, B1]

        def on_start(self) -> None:
            super().on_start()
            self.tell("windows", len(self.history(A1)), len(self.history(B1)))

    house = house_of(Windows, spec(A1, history=True), spec(B1))
    house.engine.start(T0)
    house.step(T0 + SECOND, Connected("c", T0, (A1, B1)))
    house.step(T0 + 2 * SECOND, candle(0, 5.0, feed=B1))
    house.step(T0 + 3 * SECOND, HistoryBars(A1, T0 - 5 * MINUTE, T0 + SECOND, rows(-5, 0)))
    assert told(house) == [
        (3.0, "start"),
        (3.0, "windows", 5, 0),
        (3.0, "open", 5.0),
        (3.0, "update", 5.0),
    ]


def prerolled(house_of: type[House], *specs: FeedSpec, strategy: type[Strategy] = Teller) -> House:
    house = house_of(strategy, *specs)
    house.engine.preroll()
    return house


def test_a_preroll_fills_windows_and_calls_no_hook(house_of: type[House]) -> None:
    class Windows(Teller):
        def on_start(self) -> None:
            super().on_start()
            self.average = self.indicator(SMA(3))
            self.tell("average", self.average.value, len(self.history(A1)))

    house = prerolled(house_of, spec(A1), strategy=Windows)
    for minute in range(4):
        house.step(T0 + minute * MINUTE, candle(minute, 10.0 + minute))
    house.engine.start(T0 + 190 * SECOND)
    house.step(T0 + 200 * SECOND, candle(3, 20.0, volume=2.0))
    house.step(T0 + 4 * MINUTE, candle(4, 14.0))
    assert told(house) == [
        (190.0, "start"),
        (190.0, "average", 11.0, 4),
        (200.0, "update", 20.0),
        (240.0, "close", 20.0, "SUPERSEDED", "OK"),
        (240.0, "open", 14.0),
        (240.0, "update", 14.0),
    ]
    lane = house.engine.lanes[A1]
    assert (lane.warmed_bars, lane.closed_bars, lane.ts_first) == (3, 1, T0 + 3 * MINUTE)
    assert [type(record) for record in house.audit] == [Updated, Bar, Opened, Updated]


def test_what_is_due_before_the_start_is_part_of_the_preroll(house_of: type[House]) -> None:
    house = prerolled(house_of, spec(A1))
    house.step(T0 + SECOND, candle(0, 10.0))
    house.engine.start(T0 + HOUR)
    assert told(house) == [(3600.0, "start")]
    assert len(house.engine.lanes[A1].store.bars) == 1


def test_whole_bars_of_a_preroll_call_no_hook_either(house_of: type[House]) -> None:
    class Closes(Teller):
        on_bar_open = Strategy.on_bar_open
        on_bar_update = Strategy.on_bar_update

    for check in (True, False):
        house = house_of(Closes, spec(A1), check=check)
        house.engine.preroll()
        house.advance([(T0 + (minute + 1) * MINUTE, bar(minute, 10.0)) for minute in range(3)])
        house.engine.start(T0 + 3 * MINUTE + 1)
        house.advance([(T0 + 4 * MINUTE, bar(3, 11.0))])
        assert [call[1:] for call in told(house)] == [("start",), ("close", 11.0, "DECLARED", "OK")]


def test_a_preroll_goes_on_until_the_warm_up_is_complete(house_of: type[House]) -> None:
    house = prerolled(house_of, spec(A1, history=True))
    house.step(T0, Connected("c", T0, (A1,)))
    house.step(T0 + SECOND, candle(0, 10.0))
    house.engine.start(T0 + 2 * SECOND)
    house.step(T0 + 3 * SECOND, candle(0, 11.0, volume=2.0))
    house.step(T0 + 4 * SECOND, HistoryBars(A1, T0 - 5 * MINUTE, T0, rows(-5, 0)))
    house.step(T0 + 5 * SECOND, candle(0, 12.0, volume=3.0))
    assert told(house) == [(4.0, "start"), (5.0, "update", 12.0)]
    assert [b.close for b in house.engine.window(A1)] == [95.0, 96.0, 97.0, 98.0, 99.0, 12.0]


def test_the_default_feed_is_the_first_of_the_strategy_even_if_it_is_derived(house_of: type[House]) -> None:
    class Long(Strategy):
        feeds = [A5, B1]

        def on_start(self) -> None:
            self.average = self.indicator(SMA(1))

    house = house_of(Long, spec(B1), spec(A1, hidden=True), spec(A5, Source.DERIVED, base=A1))
    house.engine.start(T0)
    for minute in range(5):
        house.step(T0 + (minute + 1) * MINUTE, bar(minute, 10.0 + minute))
        house.step(T0 + (minute + 1) * MINUTE, bar(minute, 99.0, B1))
    assert isinstance(house.strategy, Long)
    assert house.strategy.average.value == 14.0


# -- quiet bars, equity, days ---------------------------------------------------------------------------


@pytest.mark.parametrize("quiet", ["emit", "skip"])
def test_quiet_bars_are_left_out_on_request(house_of: type[House], quiet: str) -> None:
    class Mine(Teller):
        pass

    Mine.quiet = quiet
    house = house_of(Mine, spec(A1))
    house.engine.start(T0)
    house.step(T0, Connected("c", T0, (A1,)))
    house.step(T0 + SECOND, candle(0, 10.0))
    house.step(T0 + 2 * MINUTE + SECOND, candle(2, 12.0))
    shown = [call[1:] for call in told(house) if call[1] in ("open", "close")]
    quiets = [("open", 10.0), ("close", 10.0, "ELAPSED", "QUIET")] if quiet == "emit" else []
    assert shown == [("open", 10.0), ("close", 10.0, "ELAPSED", "OK"), *quiets, ("open", 12.0)]
    assert [(b.ts_open - T0) // MINUTE for b in house.engine.window(A1)] == [0, 1, 2]
    closes = [r for r in house.audit if isinstance(r, Bar)]
    assert [(b.closed_by, b.quality) for b in closes] == [
        (ClosedBy.ELAPSED, Quality.OK),
        (ClosedBy.ELAPSED, Quality.QUIET),
    ]


class Holding(Strategy):
    feeds = [A1]

    def on_bar_close(self, bar: Bar, history: History) -> None:
        self.order_target(1)


def test_equity_is_noted_at_round_times_as_it_was_then_and_once_for_a_hole(house_of: type[House]) -> None:
    house = house_of(Holding, spec(A1))
    house.engine.start(T0 + MINUTE)
    minutes = [0, 1, 58, 59, 60, 61, 600]
    house.advance([(T0 + (m + 1) * MINUTE, bar(m, 100.0 + m)) for m in minutes])
    house.step(T0 + 601 * MINUTE)
    house.engine.stop(T0 + 601 * MINUTE)
    assert [((point.ts - T0) // MINUTE, float(point.amounts[0][1])) for point in house.curve] == [
        (1, 10_000.0),
        (60, 10_000.0 + 159 - 101),
        (120, 10_000.0 + 161 - 101),
        (601, 10_000.0 + 700 - 101),
    ]


def test_a_day_starts_with_the_equity_that_there_was_at_midnight(house_of: type[House]) -> None:
    house = house_of(Holding, spec(A1))
    started: list[tuple[int, float]] = []
    gate = house.desk.gate
    gate.ts_next_day = -(2**62)
    begin = gate.start_day

    def start_day(now: int, ledger: Ledger, marks: Mapping[str, Decimal | float]) -> None:
        started.append(((now - T0) // HOUR, float(ledger.equity(marks, "USD"))))
        begin(now, ledger, marks)

    gate.start_day = start_day  # type: ignore[method-assign]  # a tap, not a patch: it goes on to the gate's own
    house.engine.start(T0)
    minutes = [0, 1, 2, 3 * 24 * 60 + 540, 3 * 24 * 60 + 541]
    house.advance([(T0 + (m + 1) * MINUTE, bar(m, 100.0 if m < 3 else 500.0)) for m in minutes])
    assert started == [(0, 10_000.0), (81, 10_000.0)]


def test_there_is_no_deadline_without_a_bar_that_waits(house_of: type[House]) -> None:
    house = house_of(Teller, spec(A1))
    house.engine.start(T0)
    assert house.engine.next_deadline == NEVER
