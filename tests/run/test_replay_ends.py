"""Where a run begins and ends, what it warns of, what it leaves behind, and whose money it spends."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Final, TypeAlias

import msgspec
import pytest

from barbot.core.audit import AuditRecord, Seen
from barbot.core.costs import PaperSettings
from barbot.core.history import History
from barbot.core.indicators import SMA
from barbot.core.risk import RiskLimits
from barbot.core.strategy import Strategy
from barbot.errors import ConfigError, StrategyError
from barbot.feeds.options import ColumnOptions
from barbot.model.instrument import Instrument
from barbot.model.market import Bar, Gap
from barbot.model.order import Fill, Order, OrderStatus
from barbot.run.outcome import RunOutcome
from barbot.run.plan import RunPlan
from barbot.run.replay import Progress, Replay
from barbot.timing.clock import VirtualClock
from barbot.timing.interval import MINUTE, SECOND

Planned: TypeAlias = Callable[..., RunPlan]
Ran: TypeAlias = Callable[[RunPlan], tuple[RunOutcome, list[AuditRecord]]]
Write: TypeAlias = Callable[..., Path]

ROOT: Final = Path(__file__).resolve().parents[2]
T0: Final = 1_767_571_200_000_000_000
FEED, LONG, OTHER = "sim:A-USD@1m", "sim:A-USD@5m", "sim:B-USD@1m"
WALK: Final = [100, 101, 103, 102, 99, 97, 98, 100, 104, 103, 101, 102, 105, 107, 104, 100, 96, 97, 99, 103]
OHLC: Final = ColumnOptions(intrabar="ohlc")


class Cross(Strategy):
    """Trades often, by an average, limits and stops; sees every hook of a bar."""

    feeds = [FEED]

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def on_start(self) -> None:
        self.average = self.indicator(SMA(3))

    def tell(self, hook: str, *what: object) -> None:
        self.told.append((self.now, hook, *what))

    def on_bar_close(self, bar: Bar, history: History) -> None:
        self.tell("close", bar, [b.close for b in history][-3:], str(self.average.value), self.position)
        above = bar.close > self.average.value
        if above and self.position <= 0:
            self.buy(1)
        elif not above and self.position > 0:
            self.sell(1, limit=bar.close + 1)
        elif self.orders:
            self.cancel(self.orders[0])
        else:
            self.buy(1, stop=bar.close + 2)

    def on_bar_correct(self, bar: Bar, previous: Bar, history: History) -> None:
        self.tell("correct", bar, previous)

    def on_gap(self, gap: Gap) -> None:
        self.tell("gap", gap)

    def on_order(self, order: Order) -> None:
        self.tell("order", order)

    def on_fill(self, fill: Fill) -> None:
        self.tell("fill", fill, self.position)


def listened(strategy: type[Cross], plan: RunPlan) -> tuple[RunOutcome, list[tuple[object, ...]]]:
    replay = Replay(msgspec.structs.replace(plan, strategy=strategy), clock=VirtualClock(T0))
    outcome = replay.run()
    assert isinstance(replay.line.strategy, Cross)
    return outcome, replay.line.strategy.told


# -- spans of time --------------------------------------------------------------------------------------


def candles(minutes: int) -> list[tuple[int, object]]:
    return [
        (T0 + m * MINUTE + s * SECOND, ["b", FEED, T0 + m * MINUTE, 100, 100 + s, 100, 100 + s, 1 + s])
        for m in range(minutes)
        for s in (0, 30, 59)
    ]


class Started(Cross):
    def on_start(self) -> None:
        super().on_start()
        self.tell("start", len(self.history(FEED)), str(self.average.value))


def test_a_journal_from_some_time_on_gives_the_calls_of_the_whole_from_there_on(
    planned: Planned, ran: Ran, journal: Write
) -> None:
    class Quietly(Started):
        def on_bar_close(self, bar: Bar, history: History) -> None:
            self.tell("close", bar, [b.close for b in history], str(self.average.value))

    path = journal("a.jsonl.zst", [FEED], candles(12))
    _, whole = listened(Quietly, planned(Quietly, path))
    start = T0 + 6 * MINUTE + 10 * SECOND
    outcome, part = listened(Quietly, planned(Quietly, path, columns=ColumnOptions(ts_from=start)))
    assert part[0] == (start, "start", 7, "159.0")
    assert part[1:] == [call for call in whole if isinstance(call[0], int) and call[0] >= start]
    assert (outcome.feeds[0].warmed, outcome.feeds[0].closed, outcome.feeds[0].ts_first) == (6, 5, T0 + 6 * MINUTE)


def test_a_journal_up_to_some_time_gives_the_first_calls(planned: Planned, journal: Write) -> None:
    path = journal("a.jsonl.zst", [FEED], candles(12))
    _, whole = listened(Started, planned(Started, path))
    _, part = listened(Started, planned(Started, path, columns=ColumnOptions(ts_to=T0 + 6 * MINUTE)))
    assert part == whole[: len(part)]
    assert [call[2].ts_open for call in part if call[1] == "close" and isinstance(call[2], Bar)] == [
        T0 + m * MINUTE for m in range(5)
    ]


def test_rows_are_chosen_by_their_opening(planned: Planned, ran: Ran, bars_csv: Write) -> None:
    span = ColumnOptions(ts_from=T0 + 3 * MINUTE, ts_to=T0 + 6 * MINUTE)
    _, audit = ran(planned(Cross, bars_csv("a.csv", WALK), columns=span))
    assert [r.ts_open for r in audit if isinstance(r, Bar)] == [T0 + m * MINUTE for m in (3, 4, 5)]


def test_a_span_without_anything_says_so(planned: Planned, ran: Ran, bars_csv: Write, journal: Write) -> None:
    late = ColumnOptions(ts_from=T0 + 1000 * MINUTE)
    rows, _ = ran(planned(Cross, bars_csv("a.csv", WALK), columns=late))
    frames, _ = ran(planned(Cross, journal("a.jsonl.zst", [FEED], candles(2)), columns=late))
    assert rows.warnings == ["no hook was called: nothing lies in the chosen span of time"]
    assert list(rows.equity_ts) == []
    assert frames.warnings == ["no hook was called: the recording ends at 2026-01-05T00:01:59Z"]


def test_a_warm_up_that_never_came_is_told(planned: Planned, ran: Ran, journal: Write) -> None:
    outcome, _ = ran(planned(Cross, journal("a.jsonl.zst", [FEED], candles(0)[:0], codec="native-history")))
    assert outcome.warnings == ["no hook was called: the warm-up was not complete when the recording ended"]


# -- several events at once, and money ------------------------------------------------------------------


def test_fills_of_one_record_do_not_spend_the_same_cash_twice(planned: Planned, ran: Ran, journal: Write) -> None:
    class Spends(Strategy):
        feeds = [FEED, OTHER]

        def on_bar_close(self, bar: Bar, history: History) -> None:
            if bar.feed == OTHER and len(history) == 1:
                self.buy(6, instrument="sim:A-USD", limit=10)
                self.buy(6, instrument="sim:B-USD", limit=10)

    def both(minute: int, price: float) -> list[object]:
        ts_open = T0 + minute * MINUTE
        return [["b", feed, ts_open, price, price, price, price, 9, 0, True] for feed in (FEED, OTHER)]

    frames = [(T0 + MINUTE, both(0, 5)), (T0 + 2 * MINUTE, both(1, 10))]
    path = journal("a.jsonl.zst", [FEED, OTHER], frames)
    outcome, audit = ran(planned(Spends, path, cash={"": Decimal(150)}, limits=RiskLimits()))
    assert sum(r.quantity * r.price for r in audit if isinstance(r, Fill)) == 120
    dear = PaperSettings(taker_bps=Decimal(1000), maker_bps=Decimal(1000))
    poor = planned(Spends, path, cash={"": Decimal(120)}, limits=RiskLimits(), paper=dear)
    outcome, audit = ran(poor)
    assert outcome.final_equity >= 0
    cash = Decimal(120) - sum(r.quantity * r.price + r.fee for r in audit if isinstance(r, Fill))
    assert cash >= 0


class Once(Strategy):
    feeds = [FEED]

    def on_bar_close(self, bar: Bar, history: History) -> None:
        if len(history) == 1:
            self.buy(1)


def test_nothing_is_filled_at_a_row_that_was_refused(planned: Planned, ran: Ran, tmp_path: Path) -> None:
    csv = tmp_path / "a.csv"
    rows = [(0, 10), (67, 99), (120, 11)]  # the second is off the grid
    lines = [f"{T0 // SECOND + second},{p},{p},{p},{p},1" for second, p in rows]
    csv.write_text("time,open,high,low,close,volume\n" + "\n".join(lines) + "\n", "utf-8")
    outcome, audit = ran(planned(Once, f"{FEED}={csv}"))
    assert [r.price for r in audit if isinstance(r, Fill)] == [Decimal(11)]
    assert outcome.feeds[0].refusals == {"off_grid": 1}


def test_a_candle_from_the_future_does_not_keep_orders_from_being_filled(
    planned: Planned, ran: Ran, journal: Write
) -> None:
    def candle(minute: int, price: float) -> list[object]:
        return ["b", FEED, T0 + minute * MINUTE, price, price, price, price, 1]

    frames = [(T0, candle(0, 10)), (T0 + 1, candle(10**6, 99))]
    frames += [(T0 + m * MINUTE, candle(m, 10 + m)) for m in (1, 2)]
    outcome, audit = ran(planned(Once, journal("a.jsonl.zst", [FEED], frames)))
    assert [r.price for r in audit if isinstance(r, Fill)] == [Decimal(12)]
    assert outcome.feeds[0].refusals == {"from_the_future": 1}


def test_several_currencies_are_warned_of(planned: Planned, ran: Ran, tmp_path: Path) -> None:
    class Pair(Strategy):
        feeds = ["sim:A-USD@1m", "sim:B-EUR@1m"]

        def on_bar_close(self, bar: Bar, history: History) -> None:
            self.order_target(1)

    rows = [f"{(T0 + m * MINUTE) // SECOND},{s},10,10,10,10,1" for m in range(5) for s in ("A-USD", "B-EUR")]
    csv = tmp_path / "a.csv"
    csv.write_text("time,symbol,open,high,low,close,volume\n" + "\n".join(rows) + "\n", "utf-8")
    outcome, _ = ran(planned(Pair, csv, cash={"USD": Decimal(100), "EUR": Decimal(50)}, limits=RiskLimits()))
    assert outcome.warnings == ["equity and return are of USD alone, not of EUR"]
    assert (outcome.currency, outcome.start_equity, outcome.fills) == ("USD", Decimal(100), 2)


def test_equity_begins_with_the_cash_and_ends_with_the_last_price(planned: Planned, ran: Ran, bars_csv: Write) -> None:
    class Hold(Strategy):
        feeds = [FEED]

        def on_bar_close(self, bar: Bar, history: History) -> None:
            self.order_target(1)

    outcome, _ = ran(planned(Hold, bars_csv("a.csv", WALK)))
    assert (outcome.equity[0], outcome.equity[-1]) == (100_000.0, 100_000.0 + 103 - 100)
    assert outcome.final_equity == Decimal(100_003)
    assert list(outcome.held_to) == [T0 + 20 * MINUTE]


# -- what can go wrong ----------------------------------------------------------------------------------


class Fails(Cross):
    at: int = 3

    def on_bar_close(self, bar: Bar, history: History) -> None:
        if len(history) == self.at:
            raise ValueError("the user's own")
        super().on_bar_close(bar, history)


def test_a_hook_that_raises_stops_the_run_and_leaves_what_was_done(
    planned: Planned, bars_csv: Write, tmp_path: Path
) -> None:
    plan = planned(Fails, bars_csv("a.csv", WALK), runs_dir=tmp_path / "runs", params={"at": 5})
    with pytest.raises(StrategyError) as raised:
        Replay(plan, clock=VirtualClock(T0)).run()
    assert str(raised.value) == f"Fails.on_bar_close at {FEED} 2026-01-05T00:04:00Z raised ValueError: the user's own"
    [folder] = (tmp_path / "runs").iterdir()
    assert sorted(p.name for p in folder.iterdir()) == ["audit.jsonl.zst", "config.json", "ledger.sqlite"]


def test_with_continue_it_is_counted_and_warned_of(planned: Planned, ran: Ran, bars_csv: Write) -> None:
    outcome, _ = ran(planned(Fails, bars_csv("a.csv", WALK), on_error="continue"))
    assert outcome.warnings == ["on_bar_close raised 1 times, and the run went on"]
    assert outcome.feeds[0].closed == len(WALK)


def test_a_strategy_that_cannot_be_made_is_named_and_leaves_no_directory(
    planned: Planned, bars_csv: Write, tmp_path: Path
) -> None:
    class Wants(Cross):
        def __init__(self) -> None:
            self.buy(1)

    with pytest.raises(StrategyError) as raised:
        Replay(planned(Wants, bars_csv("a.csv", WALK), runs_dir=tmp_path / "runs"), clock=VirtualClock(T0))
    assert str(raised.value) == "Wants.__init__ raised AttributeError: 'Wants' object has no attribute '_desk'"
    assert not (tmp_path / "runs").exists()


def test_no_directory_is_made_for_what_cannot_run(planned: Planned, bars_csv: Write, tmp_path: Path) -> None:
    plan = planned(Cross, bars_csv("a.csv", WALK), runs_dir=tmp_path / "runs", cash={"": Decimal(-1)})
    with pytest.raises(ConfigError, match="cannot start with -1 USD"):
        Replay(plan, clock=VirtualClock(T0))
    assert not (tmp_path / "runs").exists()


def test_numbers_of_numpy_can_be_ordered_and_logged(
    planned: Planned, ran: Ran, bars_csv: Write, tmp_path: Path
) -> None:
    class Numpy(Strategy):
        feeds = [FEED]

        def on_bar_close(self, bar: Bar, history: History) -> None:
            self.buy(history.volume[-1] / 5, limit=history.close.max())
            self.log.info("ordered", at=history.close.max(), rows=history.ts_open[-1])

    outcome, _ = ran(planned(Numpy, bars_csv("a.csv", [100, 101, 102]), runs_dir=tmp_path / "runs"))
    assert outcome.fills == 2


# -- stopping -------------------------------------------------------------------------------------------


def test_a_run_that_is_stopped_ends_between_two_steps_and_is_complete(
    planned: Planned, bars_csv: Write, tmp_path: Path
) -> None:
    stop = Event()

    class Stops(Cross):
        def on_bar_close(self, bar: Bar, history: History) -> None:
            super().on_bar_close(bar, history)
            if len(history) == 5:
                stop.set()

        def on_stop(self) -> None:
            self.tell("stop")

    plan = planned(Stops, bars_csv("a.csv", WALK), runs_dir=tmp_path / "runs", speed=1e15)
    replay = Replay(plan, clock=VirtualClock(T0))
    seen: list[Progress] = []
    outcome = replay.run(stop=stop, progress=seen.append)
    assert isinstance(replay.line.strategy, Stops)
    assert (outcome.interrupted, outcome.feeds[0].closed, replay.line.strategy.told[-1][1]) == (True, 5, "stop")
    assert seen[-1] == Progress(5, 20, T0 + 5 * MINUTE)
    assert outcome.run_dir is not None
    assert (outcome.run_dir / "ledger.sqlite").is_file()


def test_a_stop_before_the_first_step_leaves_an_empty_run(planned: Planned, bars_csv: Write) -> None:
    stop = Event()
    stop.set()
    outcome = Replay(planned(Cross, bars_csv("a.csv", WALK), speed=1.0), clock=VirtualClock(T0)).run(stop=stop)
    assert (outcome.interrupted, outcome.events, outcome.final_equity) == (True, 0, Decimal(100_000))
    assert outcome.warnings == []


def test_known_instruments_round_what_is_ordered(planned: Planned, ran: Ran, bars_csv: Write) -> None:
    class Small(Strategy):
        feeds = [FEED]

        def on_bar_close(self, bar: Bar, history: History) -> None:
            if len(history) == 1:
                self.buy(1.29)

    known = Instrument(provider="sim", symbol="A-USD", currency="USD", quantity_increment=Decimal("0.1"))
    _, audit = ran(planned(Small, bars_csv("a.csv", WALK), instruments={known.id: known}))
    orders = [(r.status, r.quantity) for r in audit if isinstance(r, Order)]
    assert orders == [(OrderStatus.PENDING_NEW, Decimal("1.2")), (OrderStatus.FILLED, Decimal("1.2"))]


def test_connections_are_part_of_what_is_told(planned: Planned, ran: Ran, journal: Write) -> None:
    frames = [*candles(1), (T0 + 70 * SECOND, "drop"), (T0 + 80 * SECOND, "up")]
    _, audit = ran(planned(Cross, journal("a.jsonl.zst", [FEED], frames)))
    assert [type(r.event).__name__ for r in audit if isinstance(r, Seen)] == ["Connected", "Disconnected", "Connected"]
