"""Run barbot over recorded data and write down every bar that a strategy is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

from barbot.core.costs import PaperSettings
from barbot.core.desk import TradingDesk
from barbot.core.engine import Engine, EngineSettings
from barbot.core.history import History
from barbot.core.ledger import Ledger
from barbot.core.risk import RiskGate, RiskLimits
from barbot.core.spec import FeedSpec
from barbot.core.strategy import Strategy
from barbot.feeds.options import ColumnOptions
from barbot.model.instrument import Instrument
from barbot.model.market import Bar, Gap, MarketEvent, Quality
from barbot.run.outcome import FeedOutcome, feed_outcome
from barbot.run.plan import RunPlan
from barbot.run.replay import Replay
from barbot.timing.clock import SystemClock

_NO_MONEY: Final = {"": Decimal(0)}


class Seen:
    """What a strategy saw of one feed: its bars as they ended up, by opening."""

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self.closed: dict[int, Bar] = {}
        """The bars told as closed, corrections applied."""
        self.first_told: dict[int, Bar] = {}
        """The same bars as `on_bar_close` had them."""
        self.times_closed: Counter[int] = Counter()
        self.corrections = 0
        self.gaps: list[Gap] = []
        self.forming: Bar | None = None
        """The bar that was forming when the recording ended; it is never closed by that."""
        self.counts: FeedOutcome | None = None

    @property
    def traded(self) -> dict[int, Bar]:
        """All bars but quiet ones, the forming one included."""
        bars = {ts: bar for ts, bar in self.closed.items() if bar.quality is not Quality.QUIET}
        if self.forming is not None:
            bars[self.forming.ts_open] = self.forming
        return bars

    @property
    def quiet(self) -> int:
        """How many quiet bars there were."""
        return sum(bar.quality is Quality.QUIET for bar in self.closed.values())


class Recorder(Strategy):
    """Writes down what it is shown; `recorder_of` gives it feeds."""

    def on_start(self) -> None:
        self.seen: dict[str, Seen] = {feed: Seen() for feed in type(self).feeds}

    def on_bar_close(self, bar: Bar, history: History) -> None:
        seen = self.seen[bar.feed]
        seen.closed[bar.ts_open] = bar
        seen.first_told[bar.ts_open] = bar
        seen.times_closed[bar.ts_open] += 1

    def on_bar_correct(self, bar: Bar, previous: Bar, history: History) -> None:
        seen = self.seen[bar.feed]
        seen.closed[bar.ts_open] = bar
        seen.corrections += 1

    def on_gap(self, gap: Gap) -> None:
        self.seen[gap.feed].gaps.append(gap)

    def on_stop(self) -> None:
        for feed, seen in self.seen.items():
            window: History = self.history(feed)
            if len(window) and not window[-1].is_closed:
                seen.forming = window[-1]


def recorder_of(feeds: Sequence[str], *, derive: bool = False) -> type[Recorder]:
    """Return the recorder as a strategy of these feeds."""
    return type("Recorder", (Recorder,), {"feeds": list(feeds), "derive": derive})


def run_files(
    paths: Iterable[Path | str],
    feeds: Sequence[str],
    *,
    columns: ColumnOptions | None = None,
    calendar: str = "24/7",
    derive: bool = False,
    missing: Literal["gap", "quiet"] = "gap",
) -> dict[str, Seen]:
    """Run a recorder over column files as `barbot run` does, without a run directory; return what it saw."""
    names = {feed.partition("@")[0] for feed in feeds}
    plan = RunPlan(
        strategy=recorder_of(feeds, derive=derive),
        strategy_file=Path(__file__).name,
        params={},
        feeds=tuple(map(str, paths)),
        columns=columns or ColumnOptions(),
        missing=missing,
        cash=_NO_MONEY,
        instruments={name: Instrument.bare(name, calendar=calendar) for name in sorted(names)},
        paper=PaperSettings(),
        limits=RiskLimits(),
        runs_dir=None,
    )
    replay = Replay(plan, clock=SystemClock())
    outcome = replay.run()
    recorder = replay.line.strategy
    assert isinstance(recorder, Recorder)
    for counts in outcome.feeds:
        recorder.seen[counts.feed].counts = counts
    return recorder.seen


def run_events(specs: Sequence[FeedSpec], steps: Iterable[tuple[int, Sequence[MarketEvent]]]) -> dict[str, Seen]:
    """Run a recorder over stamped events with the contract checker on; return what it saw."""
    instruments = {spec.feed.instrument: Instrument.bare(spec.feed.instrument) for spec in specs}
    ledger = Ledger({instrument.currency: Decimal(0) for instrument in instruments.values()})
    desk = TradingDesk(instruments, ledger, RiskGate(RiskLimits()), prefix="truth", fee_rate=Decimal(0))
    recorder = recorder_of([spec.id for spec in specs])()
    engine = Engine(recorder, specs, instruments, desk, EngineSettings(check=True))
    now = 0
    for now, events in steps:
        if not engine.now:
            engine.start(now)
        while engine.next_deadline < now:
            engine.step(engine.next_deadline, ())
        engine.step(now, events)
    engine.stop(now)
    for feed, lane in engine.lanes.items():
        recorder.seen[feed].counts = feed_outcome(lane)
    return recorder.seen
