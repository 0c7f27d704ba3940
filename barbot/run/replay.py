"""Drive a recorded feed through the line, on paper. Floor 4: owns the clock of a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from threading import Event
from typing import Final, cast

import msgspec

from barbot.core.spec import NEVER
from barbot.feeds.batch import FeedEvent, PathPoint
from barbot.model.instrument import FeedId
from barbot.model.market import Bar, BarUpdate, MarketEvent
from barbot.run.line import Line
from barbot.run.outcome import RunOutcome, outcome_of
from barbot.run.pace import Pacer
from barbot.run.plan import RunPlan
from barbot.run.sources import RecordedSource, Steps, open_source
from barbot.run.trail import Listener
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
            overrides=plan.instrument_settings,
        )
        self.line = Line(plan, self.source, clock=clock, listener=listener, timer=stopwatch if plan.check else None)
        self._paths: dict[str, bool] = {}
        self._events = 0
        self._first = self._now = 0
        self._starts_at = self.source.ts_start
        self._flushed = 0.0

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
                self.line.finish(self._now)
        finally:
            self.line.trail.close()
        return self._outcome(stopwatch() - started, interrupted=stop.is_set())

    def _take(
        self, steps: Steps, stop: Event, pacer: Pacer | None, progress: Callable[[Progress], None] | None
    ) -> None:
        stamps, events = steps.stamps, steps.events
        if not self._events and stamps:
            self._first = stamps[0]
            if self.source.ts_start > stamps[0]:
                self.line.engine.preroll()
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
            self.line.trail.drain()
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
            self.line.trail.flush()
        if is_paced:
            return 1
        return max(size // 2, 1) if now - slice_began > _SLICE_S else min(size * 2, _SLICE)

    def _pump(self, stamps: Sequence[int], events: Sequence[FeedEvent]) -> None:
        """Step once an event; the engine goes on alone past what no order waits for."""
        line, engine, venue = self.line, self.line.engine, self.line.venue
        stamped: Iterator[tuple[int, MarketEvent]] = zip(stamps, self._walked(events), strict=True)
        pair: tuple[int, MarketEvent] | None = None
        while True:
            watched = None if line.is_watched else venue.watched
            if watched is None:
                pair = pair or next(stamped, None)
            elif pair is None or pair[1].__class__ is not Bar or pair[1].feed not in watched:
                departure = engine.advance(
                    stamped if pair is None else chain((pair,), stamped), watched, venue.wakes_at
                )
                pair = departure.overtaken
                if departure.commands:
                    line.route(departure.commands, departure.now)
                    continue
            if pair is None:
                return
            line.step_over(pair[1], pair[0])
            pair = None

    def _pump_steps(self, stamps: Sequence[int], steps: Sequence[Sequence[MarketEvent]]) -> None:
        """Step once a record of a journal, whatever it came to."""
        for now, events in zip(stamps, steps, strict=True):
            if now >= self._starts_at:
                self._start(self._starts_at)
            self.line.step(now, events)

    def _start(self, now: int) -> None:
        self._starts_at = NEVER
        self.line.start(now)

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
            self._paths[bar.feed] = self.line.desk.ledger.quantity(bar.instrument) > 0
        low_first = part > 0 and self._paths[bar.feed]
        high = bar.open if part == 0 or (part == 1 and low_first) else bar.high
        low = bar.open if part == 0 or (part == 1 and not low_first) else bar.low
        last = bar.open if part == 0 else bar.low if (part == 1) == low_first else bar.high
        share = (part + 1) / 4
        return BarUpdate(bar.feed, bar.ts_open, bar.open, high, low, last, bar.volume * share, bar.turnover * share)

    # -- the outcome --------------------------------------------------------------------------------------

    def _outcome(self, seconds: float, *, interrupted: bool) -> RunOutcome:
        warnings = list(self.source.warnings)
        if not self.line.engine.has_begun and not interrupted:
            warnings.append(f"no hook was called: {self._why_nothing()}")
        return outcome_of(
            self.line,
            ts_first=self._first,
            ts_now=self._now,
            events=self._events,
            seconds=seconds,
            warnings=warnings,
            interrupted=interrupted,
        )

    def _why_nothing(self) -> str:
        if not self._events:
            return "nothing lies in the chosen span of time"
        if self._now < self.source.ts_start:
            return f"the recording ends at {iso(self._now)}"
        return "the warm-up was not complete when the recording ended"
