"""Drive a recorded feed through the engine, on paper. Floor 4: owns the clock of a replay.

    source -> (paper venue answers) -> engine step -> commands -> paper venue

The loop is what a live driver does with frames from a socket: the same engine, the same venue port, the same
trail. Only where events come from and who moves the clock is different.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain
from threading import Event
from typing import Final, cast

import msgspec

from barbot.core.costs import PaperSettings
from barbot.core.desk import Command, Submit, TradingDesk
from barbot.core.engine import Engine, EngineSettings
from barbot.core.engine import Event as EngineEvent
from barbot.core.lane import Lane
from barbot.core.ledger import Ledger
from barbot.core.paper import PaperVenue
from barbot.core.risk import Funds, RiskGate
from barbot.core.spec import NEVER
from barbot.core.strategy import Strategy
from barbot.errors import StrategyError
from barbot.feeds.batch import FeedEvent, PathPoint
from barbot.model.instrument import FeedId, Instrument
from barbot.model.market import Bar, BarUpdate, MarketEvent, Quality
from barbot.model.order import ExecutionReport
from barbot.run.outcome import FeedOutcome, RunOutcome
from barbot.run.pace import Pacer
from barbot.run.plan import RunPlan
from barbot.run.rundir import open_run
from barbot.run.sources import RecordedSource, Steps, open_source
from barbot.run.trail import Listener, Trail
from barbot.timing.clock import Clock, iso, stopwatch

_SLICE: Final = 2048
"""Most steps between two looks at the stop flag, and between two drains of the audit list."""
_SLICE_S: Final = 0.05
"""A slice that takes longer than this is followed by a shorter one: slow hooks must not hold up Ctrl-C."""
_FLUSH_S: Final = 1.0
"""What is older than this survives a kill."""


class Progress(msgspec.Struct, frozen=True):
    """How far a replay is: events so far, how many there will be (None: unknown), the recorded time reached."""

    events: int
    rows_hint: int | None
    ts: int


class Replay:
    """One run over a recorded feed."""

    def __init__(self, plan: RunPlan, *, clock: Clock, listener: Listener | None = None) -> None:
        """Open the source and wire strategy, engine and venue; nothing runs yet.

        Raises:
            ConfigError: the strategy, the feed and the settings do not go together.
            FeedError: the recorded feed cannot be read.
            JournalError: the journal cannot be read.
        """
        self.plan = plan
        wanted = [FeedId.parse(feed) for feed in plan.strategy.feeds]
        self.source: RecordedSource = open_source(
            plan.feeds,
            wanted,
            derive=plan.strategy.derive,
            window=plan.strategy.window_length,
            columns=plan.columns,
            missing=plan.missing,
            known=plan.instruments,
        )
        instruments = self.source.instruments
        self.currency = _currency_of(instruments)
        self.run_id = _run_id(plan)
        ledger = Ledger(_cash(plan.cash, self.currency))
        self.desk = TradingDesk(
            instruments, ledger, RiskGate(plan.limits), prefix=self.run_id, fee_rate=_fee_rate(plan.paper)
        )
        self.strategy = _made(plan)
        self.engine = self._make_engine(instruments)
        funds = Funds(plan.limits, ledger, instruments)
        self.venue = PaperVenue(instruments, plan.paper, self.source.prices, afford=funds.__call__)
        self._source_digest = self.source.digest()
        self.folder = open_run(plan, self.run_id, self._source_digest, clock) if plan.runs_dir is not None else None
        self.trail = Trail(self.desk, currency=self.currency, folder=self.folder, level=plan.audit, listener=listener)
        self._is_watched = self.source.has_quotes or plan.columns.intrabar != "none"
        """Whether there may be quotes or forming bars, which the venue must see even if nothing waits for them."""
        self._paths: dict[str, bool] = {}
        self._events = 0
        self._first = self._now = 0
        self._starts_at = self.source.ts_start
        self._flushed = 0.0

    def _make_engine(self, instruments: dict[str, Instrument]) -> Engine:
        plan = self.plan
        settings = EngineSettings(
            order_prefix=self.run_id, on_error=plan.on_error, check=plan.check, hook_budget_s=plan.hook_budget_s
        )
        timer = stopwatch if plan.check else None
        return Engine(self.strategy, self.source.specs, instruments, self.desk, settings, timer=timer)

    def run(self, *, stop: Event | None = None, progress: Callable[[Progress], None] | None = None) -> RunOutcome:
        """Run to the end of the feed, or until `stop` is set; close the run directory; return the outcome.

        Raises:
            StrategyError: a hook raised. What was done until then is on disk.
            FeedError: a row cannot be read.
        """
        stop = stop or Event()
        pacer = Pacer(self.plan.speed, stop) if self.plan.speed is not None else None
        started = self._flushed = stopwatch()
        try:
            for steps in self.source.steps():
                self._take(steps, stop, pacer, progress)
                if stop.is_set():
                    break
            if self._events:
                self._let_pass(self._now)
                self._route(self.engine.step(self._now, ()), self._now)
                self.engine.stop(self._now)
        finally:
            self.trail.close()
        return self._outcome(stopwatch() - started, interrupted=stop.is_set())

    def _take(
        self, steps: Steps, stop: Event, pacer: Pacer | None, progress: Callable[[Progress], None] | None
    ) -> None:
        stamps, events = steps.stamps, steps.events
        if not self._events and stamps:
            self._first = stamps[0]
            if self.source.ts_start > stamps[0]:
                self.engine.preroll()
            else:
                self._start(stamps[0])
        begin, size = 0, _SLICE if pacer is None else 1
        while begin < len(stamps):
            end = min(begin + size, len(stamps))
            if pacer is not None and not pacer.wait_for(stamps[begin]):
                return
            slice_began = stopwatch()
            if steps.is_flat:
                self._pump(stamps[begin:end], events[begin:end])  # type: ignore[arg-type]  # flat: events, not lists
            else:
                self._pump_steps(stamps[begin:end], events[begin:end])  # type: ignore[arg-type]  # lists of events
            self._events += end - begin
            self._now = stamps[end - 1]
            self.trail.drain()
            if progress is not None:
                progress(Progress(self._events, self.source.rows_hint, self._now))
            if stop.is_set():
                return
            begin, size = end, self._next_size(size, slice_began, is_paced=pacer is not None)

    def _next_size(self, size: int, slice_began: float, *, is_paced: bool) -> int:
        """Flush what is old, and return how many steps to take before the next look around."""
        now = stopwatch()
        if now - self._flushed > _FLUSH_S:
            self._flushed = now
            self.trail.flush()
        if is_paced:
            return 1
        return max(size // 2, 1) if now - slice_began > _SLICE_S else min(size * 2, _SLICE)

    def _pump(self, stamps: Sequence[int], events: Sequence[FeedEvent]) -> None:
        """Step once an event; the engine goes on alone past what no order waits for."""
        engine, venue = self.engine, self.venue
        stamped: Iterator[tuple[int, MarketEvent]] = zip(stamps, self._walked(events), strict=True)
        pair: tuple[int, MarketEvent] | None = None
        while True:
            watched = None if self._is_watched else venue.watched
            if watched is None:
                pair = pair or next(stamped, None)
            elif pair is None or pair[1].__class__ is not Bar or pair[1].feed not in watched:
                departure = engine.advance(
                    stamped if pair is None else chain((pair,), stamped), watched, venue.wakes_at
                )
                pair = departure.overtaken
                if departure.commands:
                    self._route(departure.commands, departure.now)
                    continue
            if pair is None:
                return
            self._step_over(pair[1], pair[0])
            pair = None

    def _pump_steps(self, stamps: Sequence[int], steps: Sequence[Sequence[MarketEvent]]) -> None:
        """Step once a record of a journal, whatever it came to."""
        for now, events in zip(stamps, steps, strict=True):
            if now >= self._starts_at:
                self._start(self._starts_at)
            self._step(now, events)

    def _start(self, now: int) -> None:
        self._starts_at = NEVER
        self._route(self.engine.start(now), now)

    def _let_pass(self, now: int) -> None:
        """Let every deadline before `now` have a step at its own time."""
        engine = self.engine
        while engine.next_deadline < now:
            deadline = engine.next_deadline
            self._route(engine.step(deadline, ()), deadline)

    def _step(self, now: int, events: Sequence[MarketEvent]) -> None:
        """Let time pass, let the venue answer, and step. What holds no event waits for one: more may come at `now`."""
        if len(events) == 1:
            self._step_over(events[0], now)
            return
        if self.engine.next_deadline < now:
            self._let_pass(now)
        if events:
            shown = events if self.venue.idle and not self._is_watched else self._answered(events, now)
            self._route(self.engine.step(now, shown), now)

    def _step_over(self, event: MarketEvent, now: int) -> None:
        """Let time pass and step over the venue's answers to `event`, and over `event`."""
        engine, venue = self.engine, self.venue
        if engine.next_deadline < now:
            self._let_pass(now)
        if venue.idle and not self._is_watched:
            commands = engine.step(now, (event,))
        else:
            reports = venue.match(event, now) if event.__class__ is Bar else self._answers(event, now)
            commands = engine.step(now, (*reports, event))
        if commands:
            self._route(commands, now)

    def _answered(self, events: Sequence[MarketEvent], now: int) -> Iterator[EngineEvent]:
        """Yield each event behind the venue's answers to it, so that the next answer goes by what was booked."""
        for event in events:
            yield from self._answers(event, now)
            yield event

    def _answers(self, event: MarketEvent, now: int) -> list[ExecutionReport]:
        """Return the venue's answers to `event`; nothing is filled at data that the engine refuses."""
        if isinstance(event, BarUpdate) and self.engine.refuses(event, now):
            return []
        return self.venue.match(event, now)

    def _route(self, commands: Sequence[Command], now: int) -> None:
        """Hand what left the engine to the venue."""
        for command in commands:
            if isinstance(command, Submit):
                self.venue.submit(command.approved, now)
            else:
                self.venue.cancel(command.client_order_id, now)

    def _walked(self, events: Sequence[FeedEvent]) -> Iterable[MarketEvent]:
        """Return the events with every moment inside a recorded bar turned into an update, as late as can be."""
        if self.plan.columns.intrabar == "none":
            return cast("Sequence[MarketEvent]", events)  # without a path there are no path points
        return (self._walk(event) if isinstance(event, PathPoint) else event for event in events)

    def _walk(self, point: PathPoint) -> BarUpdate:
        """Turn a moment inside a recorded bar into an update: the extreme that hurts the open position is first.

        Flat: open, high, low, close. A quarter of the volume is told at each of the four.
        """
        bar, part = point
        if part == 1:
            self._paths[bar.feed] = self.desk.ledger.quantity(bar.instrument) > 0
        low_first = part > 0 and self._paths[bar.feed]
        high = bar.open if part == 0 or (part == 1 and low_first) else bar.high
        low = bar.open if part == 0 or (part == 1 and not low_first) else bar.low
        last = bar.open if part == 0 else bar.low if (part == 1) == low_first else bar.high
        share = (part + 1) / 4
        return BarUpdate(bar.feed, bar.ts_open, bar.open, high, low, last, bar.volume * share, bar.turnover * share)

    # -- the outcome --------------------------------------------------------------------------------------

    def _outcome(self, seconds: float, *, interrupted: bool) -> RunOutcome:
        desk, trail, plan = self.desk, self.trail, self.plan
        shown = [lane for lane in self.engine.lanes.values() if not lane.spec.is_hidden]
        spans = [feed for feed in map(feed_outcome, shown) if feed.ts_last]
        still_held = [p.ts_entry for p in desk.ledger.positions() if p.quantity and p.ts_entry is not None]
        trail.held_from.extend(still_held)
        trail.held_to.extend([self._now] * len(still_held))
        return RunOutcome(
            run_id=self.run_id,
            run_dir=self.folder,
            strategy=type(self.strategy).__name__,
            strategy_file=plan.strategy_file,
            params=plan.params,
            source=self.source.name,
            source_digest=self._source_digest,
            digest=trail.digest,
            feeds=[self._with_base(lane) for lane in shown],
            ts_from=min((feed.ts_first for feed in spans), default=self._first),
            ts_to=max((feed.ts_last for feed in spans), default=self._now),
            calendars=sorted({i.calendar for i in self.source.instruments.values()}),
            orders_by_status={status.name: n for status, n in desk.book.counts().items() if n},
            refused_by_rule=dict(trail.refused_by_rule),
            fills=trail.fills,
            currency=self.currency,
            fees={c: desk.ledger.fees(c) for c in desk.ledger.currencies()},
            start_equity=desk.ledger.start_cash(self.currency),
            final_equity=desk.equity(self.currency),
            trades=desk.ledger.statistics(self.currency),
            equity_ts=trail.equity_ts,
            equity=trail.equity,
            held_from=trail.held_from,
            held_to=trail.held_to,
            seconds=seconds,
            events=self._events,
            warnings=[*self.source.warnings, *self._own_warnings(interrupted=interrupted)],
            interrupted=interrupted,
        )

    def _with_base(self, lane: Lane) -> FeedOutcome:
        """Return the counts of a feed; the first one that is derived from a hidden feed answers for its refusals."""
        outcome = feed_outcome(lane)
        base = self.engine.lanes.get(lane.spec.base)
        if base is None or not base.spec.is_hidden or base.derived[0][1] is not lane:
            return outcome
        return msgspec.structs.replace(outcome, refusals=dict(Counter(outcome.refusals) + base.refusals))

    def _own_warnings(self, *, interrupted: bool) -> list[str]:
        found = [f"{name}: {n} messages of a feed nobody subscribed" for name, n in self.engine.unknown.items()]
        found += [f"{hook} took longer than its budget {n} times" for hook, n in self.trail.slow_hooks.items()]
        found += [f"{hook} raised {n} times, and the run went on" for hook, n in self.trail.failed_hooks.items()]
        if not self.engine.has_begun and not interrupted:
            found.append(f"no hook was called: {self._why_nothing()}")
        currencies = list(dict.fromkeys(i.currency for i in self.source.instruments.values()))
        if len(currencies) > 1:
            found.append(f"equity and return are of {self.currency} alone, not of {', '.join(currencies[1:])}")
        return found

    def _why_nothing(self) -> str:
        if not self._events:
            return "nothing lies in the chosen span of time"
        if self._now < self.source.ts_start:
            return f"the recording ends at {iso(self._now)}"
        return "the warm-up was not complete when the recording ended"


def feed_outcome(lane: Lane) -> FeedOutcome:
    """Return the counts of one feed."""
    by_quality: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    for (reason, quality), count in lane.tally.items():
        by_quality[quality.name] += count
        by_reason[reason.name if reason else "NONE"] += count
    plain = lane.closed_bars - sum(lane.tally.values())
    if plain:
        by_quality[Quality.OK.name] += plain
        by_reason["DECLARED"] += plain
    counts = dict(lane.counts)
    return FeedOutcome(
        feed=lane.feed,
        closed=lane.closed_bars,
        warmed=lane.warmed_bars,
        ts_first=lane.ts_first,
        ts_last=lane.ts_last,
        by_quality=dict(by_quality),
        by_reason=dict(by_reason),
        corrections=counts.pop("corrected", 0),
        gaps=counts.pop("gap", 0),
        duplicates=counts.pop("duplicate", 0),
        other_counts=counts,
        refusals=dict(lane.refusals),
    )


def _currency_of(instruments: dict[str, Instrument]) -> str:
    return next(iter(instruments.values())).currency


def _cash(cash: dict[str, Decimal], currency: str) -> dict[str, Decimal]:
    """Return cash by currency, the run's own first."""
    named = {currency: Decimal(0)}
    for name, amount in cash.items():
        named[name or currency] = named.get(name or currency, Decimal(0)) + amount
    return named


def _fee_rate(paper: PaperSettings) -> Decimal:
    return max(paper.taker_bps, paper.maker_bps, Decimal(0)) / 10_000


def _made(plan: RunPlan) -> Strategy:
    """Return the strategy with its parameters set.

    Raises:
        StrategyError: its `__init__` or one of its setters raised.
    """
    try:
        strategy = plan.strategy()
        for name, value in plan.params.items():
            setattr(strategy, name, value)
    except Exception as error:  # the user's code may raise anything
        raise StrategyError(plan.strategy.__name__, "__init__", error) from error
    return strategy


def _run_id(plan: RunPlan) -> str:
    """Return an id that says what was run: equal plans have equal ids, so their orders have too."""
    params = msgspec.json.encode(plan.params, enc_hook=str, order="deterministic")
    head = f"{plan.settings_digest}|{plan.strategy.__name__}|".encode()
    return hashlib.sha256(head + params).hexdigest()[:8]
