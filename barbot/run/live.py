"""Drive live feeds through the line, on paper. Floor 4: owns the clock and the tasks of a live run.

The same line as a replay's. Every frame is recorded before it is decoded, so that the journal, replayed, gives
the same callbacks; timers fire at their own times here as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from threading import Event
from typing import Final

import anyio
import msgspec

from barbot import __version__
from barbot.core.audit import AuditRecord, HistoryAsked
from barbot.core.spec import FeedSpec
from barbot.core.strategy import hooks_of
from barbot.errors import BarbotError, ConfigError
from barbot.model.instrument import FeedId, Instrument
from barbot.model.market import MarketEvent
from barbot.providers.base import NEVER, Adapter, ConnectionPlan, Problem, find_provider
from barbot.run.asking import Asker
from barbot.run.line import Line, run_id_of
from barbot.run.network import Internet, Network
from barbot.run.outcome import RunOutcome, outcome_of
from barbot.run.plan import RunPlan
from barbot.run.sources import derived_spec, overridden, plan_feeds, price_sources, provider_spec
from barbot.run.startup import LOOK_S, ask_venues, loop_options, make_adapters, raise_first, unless_stopped
from barbot.run.supervisor import FLUSH_S, Supervisor
from barbot.run.trail import Listener
from barbot.timing.clock import PacedClock, VenueClock, stopwatch
from barbot.timing.interval import SECOND
from barbot.wire.journal import Header
from barbot.wire.journal_write import JournalWriter, open_writer

JOURNAL: Final = "journal.jsonl.zst"

KEPT_S: Final = 1.0
"""What is older than this, in wall time, survives a kill."""


class FeedStatus(msgspec.Struct, frozen=True):
    """One feed as a status line shows it: the last bar, and how long ago (ns) something last came of its connection."""

    feed: str
    connection: str
    ts_open: int
    close: float
    is_forming: bool
    silent_ns: int | None


class LiveStatus(msgspec.Struct, frozen=True):
    """How a live run stands."""

    now: int
    feeds: list[FeedStatus]
    positions: dict[str, str]
    equity: str
    currency: str
    bars: int
    corrections: int
    orders: int
    frames: int
    reconnects: int


class LiveMarket:
    """What a live run trades: the adapters, and the feeds that they and derivation give."""

    def __init__(self, plan: RunPlan) -> None:
        """Make the adapters of the strategy's feeds; nothing is asked yet.

        Raises:
            ConfigError: no such provider, it has no live venue, or it does not offer a bar length.
        """
        self.name = "live"
        self.has_quotes = True
        wanted = [FeedId.parse(feed) for feed in plan.strategy.feeds]
        self._window = plan.strategy.window_length
        self._overrides = plan.instrument_settings
        self._providers = {feed.provider: find_provider(feed.provider) for feed in wanted}
        offered = [
            FeedId(feed.provider, feed.symbol, interval)
            for feed in wanted
            for interval in self._providers[feed.provider].intervals or (feed.interval,)
        ]
        try:
            self._planned = plan_feeds(wanted, list(dict.fromkeys(offered)), derive=plan.strategy.derive)
        except ConfigError as error:
            what = error.problem.replace("is not in the recording", "is not offered, nor what it could be built of")
            offers = error.remedy.replace("It holds", "Offered are")
            raise ConfigError(what, where="feeds", remedy=offers) from None
        live = [str(feed) for feed, base, _ in self._planned if base is None]
        self.adapters = make_adapters(live, venues=plan.venues, endpoints=plan.endpoints)
        self.instruments: dict[str, Instrument] = {}
        self.specs: list[FeedSpec] = []
        self.prices: dict[str, str] = {}

    def settle(self) -> None:
        """Make specs and instruments, once the adapters' startup answers are in."""
        for adapter in self.adapters:
            self.instruments.update(adapter.instruments)
        self.instruments = {name: overridden(found, self._overrides) for name, found in self.instruments.items()}
        self.specs = [
            derived_spec(feed, base, self.instruments[feed.instrument], self._window)
            if base
            else provider_spec(
                self._providers[feed.provider],
                feed,
                self.instruments[feed.instrument],
                window=self._window,
                feeds=len(self._planned),
                is_hidden=hidden,
            )
            for feed, base, hidden in self._planned
        ]
        self.prices = price_sources(self.specs)

    def digest(self) -> str:
        """Return nothing: what is live is told from nothing else; its journal can be."""
        return ""


class LiveRun:
    """One run over live feeds: the audience of its supervisor."""

    def __init__(
        self,
        plan: RunPlan,
        *,
        environment: Mapping[str, str],
        listener: Listener | None = None,
        tell: Callable[[Problem], None],
        clock: PacedClock | None = None,
        network: AbstractAsyncContextManager[Network] | None = None,
        look_s: float = LOOK_S,
    ) -> None:
        """Make the adapters; nothing is dialled yet. `tell` is shown what the venues complain of.

        `clock` and `network` take the place of the machine's own; every `look_s` of wall time, if nothing else is
        due, it is looked whether to stop.

        Raises:
            ConfigError: strategy, feeds and settings do not go together.
        """
        self.plan = plan
        self.market = LiveMarket(plan)
        self.clock = clock or VenueClock(speed=plan.speed or 1.0)
        self.line: Line | None = None
        self.supervisor: Supervisor | None = None
        self._network = network or Internet(environment)
        self._look_s = look_s
        self._keep_at = 0
        self._listener = listener
        self._tell = tell
        self._asked: list[HistoryAsked] = []
        self._first = self._now = 0
        self._events = 0

    def run(
        self, *, stop: Event | None = None, show: Callable[[LiveStatus], None] | None = None, backend: str = "asyncio"
    ) -> RunOutcome:
        """Run until `stop` is set or the plan's time is up; close the run directory; return the outcome.

        Raises:
            StrategyError: a hook raised. What was done until then is on disk.
            VenueError, ConfigError: a venue refuses what is asked of it.
        """
        options = loop_options(backend)
        return anyio.run(self.serve, stop or Event(), show, backend=backend, backend_options=options)

    async def serve(self, stop: Event, show: Callable[[LiveStatus], None] | None = None) -> RunOutcome:
        """Do what `run` does, in an event loop that runs already."""
        started = stopwatch()
        async with self._network as network:
            asker = Asker(network, self.clock, tell=self._tell)
            plans = await unless_stopped(stop, lambda: self._prepare(asker))
            line = self.line = Line(self.plan, self.market, clock=self.clock, listener=self._hear, timer=stopwatch)
            journal: JournalWriter | None = None
            try:
                journal = self._open_journal(line.folder)
                self.supervisor = Supervisor(self.clock, network, journal, self, asker=asker, look_s=self._look_s)
                await self._until_stopped(self.supervisor, plans, stop, show)
                self._finish(line, self.supervisor)
            except BaseException:
                with suppress(BarbotError, OSError):  # on a full disk this fails as well: the first error is to be seen
                    self._close(line, journal)
                raise
            self._close(line, journal)
        return outcome_of(
            line,
            ts_first=self._first,
            ts_now=self._now,
            events=self._events,
            seconds=stopwatch() - started,
            warnings=self._warnings(),
            interrupted=stop.is_set(),
        )

    async def _prepare(self, asker: Asker) -> list[tuple[Adapter, ConnectionPlan]]:
        """Ask the venues for clocks and symbols; return what is to be connected."""
        await ask_venues(self.market.adapters, asker, self.clock)
        self.market.settle()
        hooks = hooks_of(self.plan.strategy)
        plans = []
        for adapter in self.market.adapters:
            instruments = tuple(adapter.instruments)
            trades = instruments if "on_trade" in hooks else ()
            quotes = instruments if "on_quote" in hooks or self.plan.paper.slippage == "half_spread" else ()
            plans += [(adapter, plan) for plan in adapter.plan(trades=trades, quotes=quotes)]
        return plans

    def _open_journal(self, folder: Path | None) -> JournalWriter | None:
        if folder is None:
            return None
        header = Header(
            run_id=run_id_of(self.plan),
            barbot=__version__,
            settings_digest=self.plan.settings_digest,
            instruments=tuple(self.market.instruments.values()),
            made_by=f"barbot run {self.plan.strategy.__name__}",
        )
        flush_ns = round(FLUSH_S * SECOND * self.clock.speed)
        return open_writer(folder / JOURNAL, header, now=self.clock.now(), flush_ns=flush_ns, threaded=True)

    async def _until_stopped(
        self,
        supervisor: Supervisor,
        plans: Sequence[tuple[Adapter, ConnectionPlan]],
        stop: Event,
        show: Callable[[LiveStatus], None] | None,
    ) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(supervisor.run, plans)
                with anyio.move_on_after(self.plan.run_for_s):
                    while not stop.is_set():  # a signal handler may only set a thread's event
                        await anyio.sleep(self._look_s)
                        if show is not None:
                            show(self.status())
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise_first(group)

    def _finish(self, line: Line, supervisor: Supervisor) -> None:
        """Run `on_stop` right after the last that was taken: what taking leave took must close no bar."""
        if self._events:
            self._now = supervisor.last + 1
            line.finish(self._now)

    def _close(self, line: Line, journal: JournalWriter | None) -> None:
        """End all files; the journal is sealed unless it could not be written to."""
        try:
            if journal is not None:
                if journal.is_open:
                    journal.seal(self._now if self.supervisor is None else self.supervisor.last + 1)
                journal.close()
        finally:
            line.trail.close()

    # -- the audience -------------------------------------------------------------------------------------

    def take(self, now: int, events: Sequence[MarketEvent]) -> None:
        """Step over what arrived."""
        line = self.line
        assert line is not None, "events come after the line was made"
        if not self._events:
            self._first = now
            line.start(now)
        self._events += 1
        self._now = now
        line.step(now, events)

    def let_pass(self, now: int) -> int:
        """Let the deadlines before `now` fire, each at its own time; return the next one."""
        line = self.line
        if line is None or not self._events:
            return NEVER
        line.let_pass(now)
        self._look_after(line, now)
        return line.engine.next_deadline

    def tell(self, problem: Problem) -> None:
        """Pass on what a venue complained of."""
        self._tell(problem)

    def _look_after(self, line: Line, now: int) -> None:
        """Drain what the engine did, make it safe now and then, and ask for the history that it wants."""
        if line.desk.audit or line.desk.curve:
            line.trail.drain()
        if self._asked and self.supervisor is not None:
            asked, self._asked = self._asked, []
            for ask in asked:
                self.supervisor.ask_history(ask.feed, ask.ts_from, ask.ts_to, now)
        if now >= self._keep_at:
            self._keep_at = now + round(KEPT_S * SECOND * self.clock.speed)
            line.trail.flush()

    def _hear(self, records: Sequence[AuditRecord]) -> None:
        self._asked += [record for record in records if isinstance(record, HistoryAsked)]
        if self._listener is not None:
            self._listener(records)

    # -- for people ---------------------------------------------------------------------------------------

    def status(self) -> LiveStatus:
        """Return how the run stands now."""
        line, supervisor = self.line, self.supervisor
        assert line is not None, "a status is asked for while the run serves"
        assert supervisor is not None, "a status is asked for while the run serves"
        lanes = [lane for lane in line.engine.lanes.values() if not lane.spec.is_hidden]
        return LiveStatus(
            now=self.clock.now(),
            feeds=[self._feed_status(line, lane.feed) for lane in lanes],
            positions={name: str(quantity) for name, quantity in line.desk.positions.items()},
            equity=str(line.desk.equity(line.currency)),
            currency=line.currency,
            bars=sum(lane.closed_bars for lane in lanes),
            corrections=sum(lane.counts["corrected"] for lane in lanes),
            orders=sum(line.desk.book.counts().values()),
            frames=supervisor.frames,
            reconnects=supervisor.reconnects,
        )

    def _feed_status(self, line: Line, feed: str) -> FeedStatus:
        bars = line.engine.lanes[feed].store.bars
        connection = line.engine.connection_of(feed)
        silent = self.clock.now() - connection.last_arrival if connection is not None else None
        name = connection.name if connection is not None and connection.up_since is not None else ""
        if not bars:
            return FeedStatus(feed, name, 0, 0.0, False, silent)
        return FeedStatus(feed, name, bars[-1].ts_open, bars[-1].close, not bars[-1].is_closed, silent)

    def _warnings(self) -> list[str]:
        warnings = [warning for adapter in self.market.adapters for warning in adapter.warnings]
        if self.supervisor is not None and self.supervisor.undecodable:
            warnings.append(f"{self.supervisor.undecodable} messages could not be decoded and were skipped")
        if self.line is not None and not self.line.engine.has_begun:
            warnings.append("no hook was called: the warm-up was not complete when the run ended")
        return warnings
