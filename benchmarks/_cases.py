"""What `replay.py` measures: strategies over made feeds, one case in a process of its own, by phase.

load    opening the file and making events of it: Parquet or journal to `Bar`, `Trade`, `BarUpdate`
run     all else: engine, indicators, hooks, orders, risk, paper, ledger, digest, the outcome
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from barbot.core.costs import PaperSettings
from barbot.core.history import History
from barbot.core.indicators import SMA
from barbot.core.risk import RiskLimits
from barbot.core.strategy import Strategy
from barbot.model.market import Bar
from barbot.run.plan import RunPlan
from barbot.run.replay import Replay
from barbot.run.sources import RecordedSource, Steps
from barbot.timing.clock import SystemClock
from benchmarks._feeds import FEED, symbol_of, write_bars, write_candles, write_trades

INSTRUMENTS: Final = 50
_FEE: Final = Decimal(10)
_CASH: Final = {"": Decimal(1_000_000)}


class Averages(Strategy):
    """Compares two declared averages and asks for nothing."""

    feeds = [FEED]

    def on_start(self) -> None:
        self.fast, self.slow = self.indicator(SMA(10)), self.indicator(SMA(30))
        self.above = False

    def on_bar_close(self, bar: Bar, history: History) -> None:
        above = self.fast.value > self.slow.value
        if above is not self.above:
            self.above = above


class Cross(Strategy):
    """Long while the fast declared average is above the slow one, by market orders."""

    feeds = [FEED]

    def on_start(self) -> None:
        self.fast, self.slow = self.indicator(SMA(10)), self.indicator(SMA(30))

    def on_bar_close(self, bar: Bar, history: History) -> None:
        if not self.slow.ready:
            return
        if self.fast.value > self.slow.value:
            if not self.position:
                self.buy(0.01)
        elif self.position:
            self.close()


class CrossOfMeans(Strategy):
    """The same with numpy means of the window, as the design's first example writes it."""

    feeds = [FEED]

    def on_bar_close(self, bar: Bar, history: History) -> None:
        if len(history) < 30:
            return
        above = history.close[-10:].mean() > history.close[-30:].mean()
        if above and not self.position:
            self.buy(0.01)
        elif not above and self.position:
            self.close()


class CrossOfSums(Strategy):
    """The same with numpy sums over a column that is looked up once."""

    feeds = [FEED]

    def on_bar_close(self, bar: Bar, history: History) -> None:
        close = history.close
        if len(close) < 30:
            return
        above = close[-10:].sum() / 10 > close[-30:].sum() / 30
        if above and not self.position:
            self.buy(0.01)
        elif not above and self.position:
            self.close()


class ManyCrosses(Strategy):
    """`Cross` on each of fifty instruments."""

    feeds = [f"test:{symbol_of(number)}@1m" for number in range(INSTRUMENTS)]

    def on_start(self) -> None:
        self.averages = {
            feed: (self.indicator(SMA(10), feed), self.indicator(SMA(30), feed)) for feed in type(self).feeds
        }

    def on_bar_close(self, bar: Bar, history: History) -> None:
        fast, slow = self.averages[bar.feed]
        if not slow.ready:
            return
        if fast.value > slow.value:
            if not self.position:
                self.buy(0.01)
        elif self.position:
            self.close()


class Updates(Strategy):
    """Counts closes and updates."""

    feeds = [FEED]

    def on_start(self) -> None:
        self.closes = self.updates = 0

    def on_bar_update(self, bar: Bar, history: History) -> None:
        self.updates += 1

    def on_bar_close(self, bar: Bar, history: History) -> None:
        self.closes += 1


class ManyUpdates(Updates):
    """The same for fifty instruments."""

    feeds = ManyCrosses.feeds


class Closes(Strategy):
    """Counts closes."""

    feeds = [FEED]

    def on_start(self) -> None:
        self.closes = 0

    def on_bar_close(self, bar: Bar, history: History) -> None:
        self.closes += 1


class Case(msgspec.Struct, frozen=True):
    """A strategy and what it runs over; `keep` writes a run directory."""

    strategy: type[Strategy]
    feed: str
    keep: bool = False


CASES: Final = {
    "averages": Case(Averages, "bars"),
    "cross": Case(Cross, "bars"),
    "cross-kept": Case(Cross, "bars", keep=True),
    "means": Case(CrossOfMeans, "bars"),
    "sums": Case(CrossOfSums, "bars"),
    "fifty": Case(ManyCrosses, "fifty"),
    "trades": Case(Closes, "trades"),
    "trades-updates": Case(Updates, "trades"),
    "candles": Case(ManyUpdates, "candles"),
    "candles-sparse": Case(Updates, "candles-sparse"),
}


def make(feed: str, rows: int, folder: Path) -> Path:
    """Write the feed that cases of this kind run over, unless it is there; return it."""
    path = folder / f"{feed}-{rows}{'.jsonl.zst' if feed.startswith('candles') else '.parquet'}"
    if path.exists():
        return path
    if feed == "bars":
        write_bars(path, rows)
    elif feed == "fifty":
        write_bars(path, rows // INSTRUMENTS, instruments=INSTRUMENTS)
    elif feed == "trades":
        write_trades(path, rows)
    elif feed == "candles":
        write_candles(path, rows, instruments=INSTRUMENTS, gap_ms=5)
    else:
        write_candles(path, rows, instruments=1, gap_ms=1000)
    return path


class Measured(msgspec.Struct):
    """What one run came to; seconds of the wall and of the processor, megabytes at the peak of the process."""

    rows: int
    fills: int
    load_wall: float
    load_cpu: float
    run_wall: float
    run_cpu: float
    peak_mb: float | None
    digest: str


class _Timed:
    """A recorded source whose own time is taken."""

    def __init__(self, source: RecordedSource) -> None:
        self.source = source
        self.wall = self.cpu = 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self.source, name)

    def steps(self) -> Iterator[Steps]:
        source = self.source.steps()
        while True:
            wall, cpu = time.perf_counter(), time.process_time()
            batch = next(source, None)
            self.wall += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu
            if batch is None:
                return
            yield batch


def measure(name: str, path: Path, runs_dir: Path) -> Measured:
    """Run a case once, with fresh objects, and take its time."""
    case = CASES[name]
    plan = RunPlan(
        strategy=case.strategy,
        strategy_file=Path(__file__).name,
        params={},
        feeds=(str(path),),
        cash=_CASH,
        paper=PaperSettings(maker_bps=_FEE, taker_bps=_FEE),
        limits=RiskLimits(),
        runs_dir=runs_dir if case.keep else None,
    )
    wall, cpu = time.perf_counter(), time.process_time()
    replay = Replay(plan, clock=SystemClock())
    opened_wall, opened_cpu = time.perf_counter() - wall, time.process_time() - cpu
    timed = _Timed(replay.source)
    replay.source = timed  # type: ignore[assignment]  # stands in for it, attribute by attribute
    wall, cpu = time.perf_counter(), time.process_time()
    outcome = replay.run()
    run_wall, run_cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Measured(
        rows=outcome.events,
        fills=outcome.fills,
        load_wall=opened_wall + timed.wall,
        load_cpu=opened_cpu + timed.cpu,
        run_wall=run_wall - timed.wall,
        run_cpu=run_cpu - timed.cpu,
        peak_mb=peak_mb(),
        digest=outcome.digest,
    )


def peak_mb() -> float | None:
    """Return the most memory this process has held, None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss begins with what the parent held when it forked
        held = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(held.split()[1]) / 1024
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def bare_loop(rows: int) -> Measured:
    """Make `rows` bars, call a function with each, and keep two incremental averages: the least there is to do."""
    path = Path(FEED).name
    hook: Callable[[Bar], None] = _Bare().on_bar_close
    wall, cpu = time.perf_counter(), time.process_time()
    price = 100.0
    for number in range(rows):
        ts_open = number * 60_000_000_000
        price = price + 0.01 if number % 37 < 19 else price - 0.01
        hook(Bar(path, ts_open, ts_open + 60_000_000_000, price, price, price, price, 1.0))
    run_wall, run_cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Measured(rows, 0, 0.0, 0.0, run_wall, run_cpu, peak_mb(), "")


class _Bare:
    """Two running averages and a comparison."""

    def __init__(self) -> None:
        self.closes = [0.0] * 30
        self.at = 0
        self.fast = self.slow = 0.0
        self.above = False

    def on_bar_close(self, bar: Bar) -> None:
        closes, at, close = self.closes, self.at, bar.close
        self.fast += (close - closes[at - 10]) / 10
        self.slow += (close - closes[at]) / 30
        closes[at] = close
        self.at = at + 1 if at < 29 else 0
        above = self.fast > self.slow
        if above is not self.above:
            self.above = above
