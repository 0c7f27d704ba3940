"""A run is a function of feed, settings and strategy: same digest, no look-ahead, every answer at its time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barbot.core.audit import AuditRecord, Corrected, Opened, Updated
from barbot.core.costs import PaperSettings
from barbot.core.history import History
from barbot.core.indicators import SMA
from barbot.core.strategy import Strategy
from barbot.feeds.options import ColumnOptions
from barbot.model.market import Bar, Gap
from barbot.model.order import Fill, Order
from barbot.run.outcome import RunOutcome
from barbot.run.plan import RunPlan
from barbot.run.replay import Replay
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


class Watching(Cross):
    """The same inside the bar."""

    def on_bar_open(self, bar: Bar, history: History) -> None:
        assert history[-1] is bar
        self.tell("open", bar, str(self.average.value))

    def on_bar_update(self, bar: Bar, history: History) -> None:
        assert history[-1] is bar
        self.tell("update", bar, str(self.average.value))
        if bar.close > bar.open + 1 and not self.orders:
            self.order_target(1)


def listened(strategy: type[Cross], plan: RunPlan) -> tuple[RunOutcome, list[tuple[object, ...]]]:
    replay = Replay(msgspec.structs.replace(plan, strategy=strategy), clock=VirtualClock(T0))
    outcome = replay.run()
    assert isinstance(replay.line.strategy, Cross)
    return outcome, replay.line.strategy.told


# -- the same run again ---------------------------------------------------------------------------------


@pytest.mark.parametrize("feed", ["btc-usdt-1m.jsonl.zst", "btc-usdt-trades.csv"])
def test_two_processes_with_other_hash_seeds_come_to_the_same_digest(feed: str, tmp_path: Path) -> None:
    script = f"""
import msgspec, sys
from decimal import Decimal
from pathlib import Path
from barbot.core.costs import PaperSettings
from barbot.core.risk import RiskLimits
from barbot.run.load import load_strategy
from barbot.run.plan import RunPlan
from barbot.run.replay import Replay
from barbot.timing.clock import VirtualClock
plan = RunPlan(
    strategy=load_strategy(Path("strategies/sma_cross.py")), strategy_file="", cash={{"": Decimal(10000)}},
    params={{"fast": 3, "slow": 7, "of": {{"a", "b", "c", "d", "e"}}}}, feeds=("examples/feeds/{feed}",),
    paper=PaperSettings(), limits=RiskLimits(), runs_dir=None,
)
replay = Replay(plan, clock=VirtualClock())
outcome = replay.run()
print(outcome.digest, outcome.run_id, outcome.fills > 0)
"""
    runs = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert runs[0].endswith("True\n")


PRICES: Final = st.lists(st.integers(95, 105), min_size=1, max_size=40)


@given(PRICES, st.sampled_from([Cross, Watching]), st.sampled_from(["none", "ohlc"]))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_checking_chunks_and_pace_do_not_change_the_digest(
    planned: Planned, ran: Ran, bars_csv: Write, prices: list[int], strategy: type[Cross], intrabar: str
) -> None:
    plan = planned(strategy, bars_csv("a.csv", prices), columns=ColumnOptions(intrabar=intrabar))  # type: ignore[arg-type]  # a literal
    changed: list[dict[str, object]] = [
        {},
        {"check": False},
        {"columns": msgspec.structs.replace(plan.columns, chunk_rows=1)},
        {"columns": msgspec.structs.replace(plan.columns, chunk_rows=7), "check": False},
        {"speed": 1e15},
    ]
    results = [ran(msgspec.structs.replace(plan, **change)) for change in changed]
    assert len({outcome.digest for outcome, _ in results}) == 1
    assert all(audit == results[0][1] for _, audit in results)


def test_parquet_and_csv_of_the_same_data_come_to_the_same_digest(
    planned: Planned, ran: Ran, bars_csv: Write, tmp_path: Path
) -> None:
    duckdb = pytest.importorskip("duckdb")
    csv = bars_csv("a.csv", WALK)
    parquet = tmp_path / "a.parquet"
    duckdb.sql(f"COPY (SELECT * FROM read_csv('{csv.as_posix()}')) TO '{parquet.as_posix()}' (FORMAT parquet)")
    digests = {ran(planned(Cross, path))[0].digest for path in (csv, parquet)}
    assert len(digests) == 1


def test_a_journal_and_a_file_of_the_same_trades_build_the_same_bars(
    planned: Planned, ran: Ran, journal: Write, tmp_path: Path
) -> None:
    trades = [(second, 100 + second % 7) for second in range(0, 600, 13)]
    lines = [f"{T0 // SECOND + second},{price},1,{number}" for number, (second, price) in enumerate(trades)]
    csv = tmp_path / "t.csv"
    csv.write_text("time,price,size,id\n" + "\n".join(lines) + "\n", "utf-8")
    frames = [(T0 + s * SECOND, ["t", "sim:A-USD", p, 1, T0 + s * SECOND, n]) for n, (s, p) in enumerate(trades)]
    recorded = journal("t.jsonl.zst", [FEED], frames, codec="native-trades")
    bars = [[r for r in ran(planned(Cross, path))[1] if isinstance(r, Bar)] for path in (csv, recorded)]
    assert bars[0] == bars[1]
    assert len(bars[0]) == 9


def test_another_parameter_is_another_run(planned: Planned, ran: Ran, bars_csv: Write) -> None:
    class Sized(Cross):
        size: int = 1

    csv = bars_csv("a.csv", WALK)
    ids = [ran(planned(Sized, csv, params={"size": size}))[0].run_id for size in (1, 1, 2)]
    assert (ids[0] == ids[1], ids[0] == ids[2]) == (True, False)


# -- no look-ahead --------------------------------------------------------------------------------------


@given(PRICES, st.integers(1, 40), st.sampled_from([Cross, Watching]), st.sampled_from(["none", "ohlc"]))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_first_rows_give_the_first_calls_and_orders_of_the_whole(
    planned: Planned, bars_csv: Write, prices: list[int], length: int, strategy: type[Cross], intrabar: str
) -> None:
    columns = ColumnOptions(intrabar=intrabar)  # type: ignore[arg-type]  # a literal
    whole, part = (
        listened(strategy, planned(strategy, f"sim:A-USD@1m={bars_csv('a.csv', rows)}", columns=columns))[1]
        for rows in (prices, prices[:length])
    )
    assert part == whole[: len(part)]


def path_of(ran: Ran, plan: RunPlan) -> list[tuple[str, float, float, float, float]]:
    """Return what open and update hooks were shown: time within the run, high, low, close, volume."""
    _, audit = ran(plan)
    return [
        (type(r).__name__, r.bar.high, r.bar.low, r.bar.close, r.bar.volume)
        for r in audit
        if isinstance(r, Opened | Updated)
    ]


class Inside(Strategy):
    feeds = [FEED]
    first: int = 0

    def on_bar_close(self, bar: Bar, history: History) -> None:
        self.order_target(self.first)

    def on_bar_open(self, bar: Bar, history: History) -> None:
        assert (bar.open, bar.open, bar.open) == (bar.high, bar.low, bar.close)

    def on_bar_update(self, bar: Bar, history: History) -> None:
        pass


FLAT_PATH: Final = [
    ("Opened", 100.0, 100.0, 100.0, 2.0),
    ("Updated", 100.0, 100.0, 100.0, 2.0),
    ("Updated", 110.0, 100.0, 110.0, 4.0),
    ("Updated", 110.0, 90.0, 90.0, 6.0),
    ("Updated", 110.0, 90.0, 105.0, 8.0),
]
LONG_PATH: Final = [
    *FLAT_PATH[:2],
    ("Updated", 100.0, 90.0, 90.0, 4.0),
    ("Updated", 110.0, 90.0, 110.0, 6.0),
    ("Updated", 110.0, 90.0, 105.0, 8.0),
]


@pytest.mark.parametrize(("held", "expected"), [(0, FLAT_PATH), (1, LONG_PATH), (-1, FLAT_PATH)])
def test_inside_a_bar_the_extreme_that_hurts_comes_first(
    planned: Planned, ran: Ran, tmp_path: Path, held: int, expected: list[tuple[str, float, float, float, float]]
) -> None:
    csv = tmp_path / "a.csv"
    rows = ["time,open,high,low,close,volume"]
    rows += [f"{(T0 + m * MINUTE) // SECOND},100,110,90,105,8" for m in range(3)]
    csv.write_text("\n".join(rows) + "\n", "utf-8")
    path = path_of(ran, planned(Inside, csv, columns=OHLC, params={"first": held}))
    assert (path[:5], path[10:]) == (FLAT_PATH, expected)


def test_what_a_row_tells_is_known_at_its_close(planned: Planned, bars_csv: Write) -> None:
    plan = planned(Watching, bars_csv("a.csv", WALK), columns=OHLC)
    _, told = listened(Watching, plan)
    for now, hook, bar, *_ in told:
        if hook in ("open", "update", "close"):
            assert isinstance(bar, Bar)
            row = WALK[(bar.ts_open - T0) // MINUTE]
            assert hook != "close" or now == bar.ts_close
            assert now == bar.ts_close or bar.volume < 5 or row is None


def test_an_order_is_filled_by_a_later_event_than_its_own(planned: Planned, ran: Ran, bars_csv: Write) -> None:
    for columns in (OHLC, ColumnOptions()):
        _, audit = ran(planned(Watching, bars_csv("a.csv", WALK), columns=columns))
        created = {r.client_order_id: r.ts_created for r in audit if isinstance(r, Order)}
        fills = [r for r in audit if isinstance(r, Fill)]
        assert fills
        assert all(fill.ts_recv > created[fill.client_order_id] for fill in fills)


# -- feeds ----------------------------------------------------------------------------------------------


class Closes(Strategy):
    feeds = [LONG]

    def on_bar_close(self, bar: Bar, history: History) -> None:
        pass


class Two(Closes):
    feeds = [FEED, LONG]


class Derived(Closes):
    feeds = [FEED, LONG]
    derive = True


def closes(audit: Sequence[AuditRecord], feed: str) -> list[tuple[float, ...]]:
    return [
        (r.ts_open, r.ts_close, r.open, r.high, r.low, r.close, r.volume)
        for r in audit
        if isinstance(r, Bar) and r.feed == feed
    ]


def test_a_longer_feed_derived_from_the_shorter_is_the_file_s_own(
    planned: Planned, ran: Ran, bars_csv: Write, tmp_path: Path
) -> None:
    short = bars_csv("1m.csv", WALK)
    longer = tmp_path / "5m.csv"
    rows = [line.split(",") for line in short.read_text("utf-8").splitlines()[1:]]
    lines = ["time,open,high,low,close,volume"]
    for begin in range(0, 20, 5):
        part = rows[begin : begin + 5]
        high, low = max(float(r[2]) for r in part), min(float(r[3]) for r in part)
        lines.append(f"{part[0][0]},{part[0][1]},{high},{low},{part[-1][4]},25")
    longer.write_text("\n".join(lines) + "\n", "utf-8")
    both = (short, longer)
    own, own_audit = ran(planned(Two, *both))
    derived, derived_audit = ran(planned(Derived, *both))
    alone, alone_audit = ran(planned(Closes, short))
    assert closes(own_audit, LONG) == closes(derived_audit, LONG) == closes(alone_audit, LONG)
    assert (own.warnings, alone.warnings) == ([], [])
    assert derived.warnings == [f"{LONG}: 4 messages of a feed nobody subscribed"]
    order = [(r.feed, r.ts_close) for r in own_audit if isinstance(r, Bar)]
    assert order == [(r.feed, r.ts_close) for r in derived_audit if isinstance(r, Bar)]


def test_derived_feeds_may_be_named_in_any_order_and_stand_on_each_other(
    planned: Planned, ran: Ran, bars_csv: Write
) -> None:
    class Stack(Closes):
        feeds = ["sim:A-USD@10m", LONG]
        derive = True

        def on_start(self) -> None:
            self.first = self.indicator(SMA(1))

    replay = Replay(planned(Stack, bars_csv("a.csv", WALK)), clock=VirtualClock())
    outcome = replay.run()
    assert [(f.feed, f.closed) for f in outcome.feeds] == [(LONG, 4), ("sim:A-USD@10m", 2)]
    assert isinstance(replay.line.strategy, Stack)
    assert replay.line.strategy.first.value == WALK[19]


def test_refusals_of_a_hidden_base_are_counted_with_what_is_derived_from_it(
    planned: Planned, ran: Ran, bars_csv: Write
) -> None:
    csv = bars_csv("a.csv", WALK)
    text = csv.read_text("utf-8").splitlines()
    text[3] = text[3].rpartition(",")[0] + ",-5"
    csv.write_text("\n".join(text) + "\n", "utf-8")
    outcome, _ = ran(planned(Closes, csv))
    assert [(feed.feed, feed.refusals) for feed in outcome.feeds] == [(LONG, {"negative_volume": 1})]


def test_what_is_recorded_and_not_wanted_is_counted(planned: Planned, ran: Ran, journal: Write) -> None:
    frames = [(T0 + SECOND, ["b", feed, T0, 1, 1, 1, 1, 1]) for feed in (FEED, OTHER, OTHER)]
    outcome, _ = ran(planned(Cross, journal("a.jsonl.zst", [FEED, OTHER], frames)))
    assert outcome.warnings == [f"{OTHER}: 2 messages of a feed nobody subscribed"]


def test_late_rows_of_a_trade_file_correct_their_bars(planned: Planned, ran: Ran, tmp_path: Path) -> None:
    csv = tmp_path / "t.csv"
    seconds = [(0, 0, 100), (40, 40, 101), (65, 65, 102), (70, 50, 99), (130, 130, 103)]
    lines = [f"{T0 // SECOND + got},{T0 // SECOND + at},{p},1,{n}" for n, (got, at, p) in enumerate(seconds)]
    csv.write_text("received_time,time,price,size,id\n" + "\n".join(lines) + "\n", "utf-8")
    outcome, audit = ran(planned(Cross, csv))
    first = Bar(FEED, T0, T0 + MINUTE, 100.0, 101.0, 100.0, 101.0, 2.0, 201.0)
    [corrected] = [r for r in audit if isinstance(r, Corrected)]
    assert (corrected.previous.high, corrected.previous.close) == (first.high, first.close)
    assert (corrected.bar.low, corrected.bar.close, corrected.bar.volume) == (99.0, 99.0, 3.0)
    assert (outcome.feeds[0].corrections, outcome.feeds[0].closed) == (1, 2)


def test_an_unfinished_bar_is_not_closed_by_the_end_of_a_recording(planned: Planned, ran: Ran, journal: Write) -> None:
    frames = [(T0 + s * SECOND, ["b", FEED, T0 + s // 60 * MINUTE, 1, 1, 1, 1, 1 + s]) for s in (1, 59, 61, 110)]
    outcome, audit = ran(planned(Watching, journal("a.jsonl.zst", [FEED], frames)))
    assert [r.ts_open for r in audit if isinstance(r, Bar)] == [T0]
    assert [r.bar.ts_open for r in audit if isinstance(r, Opened)] == [T0, T0 + MINUTE]
    assert outcome.feeds[0].closed == 1


def test_quotes_feed_the_slippage_even_while_no_order_waits(
    planned: Planned, ran: Ran, bars_csv: Write, tmp_path: Path
) -> None:
    class Once(Strategy):
        feeds = [FEED]

        def on_bar_close(self, bar: Bar, history: History) -> None:
            if len(history) == 3:
                self.buy(1)

    quotes = tmp_path / "q.csv"
    lines = [f"{(T0 + m * MINUTE) // SECOND},{100 - m},{102 + m}" for m in range(3)]
    quotes.write_text("time,bid,ask\n" + "\n".join(lines) + "\n", "utf-8")
    paper = PaperSettings(slippage="half_spread")
    _, audit = ran(planned(Once, bars_csv("a.csv", [100] * 6), quotes, paper=paper))
    [fill] = [r for r in audit if isinstance(r, Fill)]
    assert fill.price == Decimal(103)
