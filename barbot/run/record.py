"""Record live feeds: what came over the wire, stamped, and the history that a replay will ask for. Floor 4.

There is no engine here. A recorder asks history what the trackers of a replay will ask at the same stamps: the
warm-up when a connection is first up, what was missed when it is up again, and the bar that was cut by connecting
where the stream says nothing of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from threading import Event
from typing import Final

import anyio
import msgspec

from barbot import __version__
from barbot.core.transitions import bars_before
from barbot.errors import ConfigError
from barbot.model.instrument import FeedId, Instrument
from barbot.model.market import BarUpdate, Connected, Disconnected, HistoryBars, MarketEvent
from barbot.providers.base import Adapter, ConnectionPlan, Problem, Provider
from barbot.run.asking import Asker
from barbot.run.network import Internet, Network
from barbot.run.sources import JOURNAL_SUFFIX
from barbot.run.startup import LOOK_S, ask_venues, loop_options, make_adapters, raise_first, unless_stopped
from barbot.run.supervisor import FLUSH_S, Supervisor
from barbot.timing.clock import PacedClock, VenueClock, stopwatch
from barbot.timing.interval import SECOND
from barbot.timing.sessions import Grid, grid_for
from barbot.wire.journal import Header
from barbot.wire.journal_write import JournalWriter, open_writer

_MORE_BARS: Final = 2
"""History and stream overlap by so many bars; a tracker asks for as many more."""
_AFTER_GRACE_NS: Final = SECOND


class RecordPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be recorded, where to, and for how long."""

    feeds: tuple[str, ...]
    file: Path
    warmup: int = 200
    """Bars of history before the first one that is recorded."""
    trades: bool = False
    quotes: bool = False
    max_bytes: int | None = None
    """How large a file may grow (a flush more, at most); None: as large as it will."""
    rotate: bool = False
    """Whether the next file is begun then, or the recording ends."""
    endpoints: dict[str, str] = {}
    venues: dict[str, dict[str, object]] = {}
    speed: float | None = None
    run_for_s: float | None = None


class RecordStatus(msgspec.Struct, frozen=True):
    """How a recording stands."""

    now: int
    file: str
    size: int
    frames: int
    connections: int
    reconnects: int
    last_bars: dict[str, int]
    """Feed id to the `ts_open` of its last bar."""


class RecordOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded; `seconds` by the clock on the wall."""

    files: list[str]
    size: int
    frames: int
    feeds: dict[str, int]
    """Feed id to how many bars were seen of it, beside those of the warm-up."""
    reconnects: int
    seconds: float
    ended: str
    """Why: `--for`, `--max-size` or Ctrl-C."""
    warnings: list[str]


class FeedWatch:
    """What is known of one feed: when its bars open, the last one that was seen, what is still to be asked."""

    def __init__(self, feed: FeedId, provider: Provider, instrument: Instrument) -> None:
        """Nothing was seen yet."""
        self.grid: Grid = grid_for(instrument.calendar, feed.interval, week_anchor=provider.week_anchor)
        self.slack_ns = round((provider.grace.maximum_s + provider.settle_s) * SECOND) + _AFTER_GRACE_NS
        self.has_history = provider.has_history
        self.is_warm = False
        self.last = -1
        self.bars = 0
        self.cut: int | None = None
        """The bar in which the connection came up: asked for again after its end, unless the stream tells of it."""

    def see(self, ts_open: int) -> None:
        """Note a word on the bar that opens at `ts_open`."""
        if ts_open > self.last:
            self.last = ts_open
            self.bars += 1

    def span(self, ts_to: int, warmup: int) -> tuple[int, int]:
        """Return what a tracker asks history for when its connection is up at `ts_to`."""
        self.cut = self.grid.floor(ts_to)
        if self.is_warm and self.last >= 0:
            return bars_before(self.grid, self.last, _MORE_BARS), ts_to
        return bars_before(self.grid, ts_to, warmup + _MORE_BARS), ts_to

    def cut_span(self, now: int) -> tuple[int, int] | None:
        """Return the bar in which the connection came up, once, when it is time to ask for it."""
        cut = self.cut
        if cut is None or now < (ts_close := self.grid.close_of(cut)) + self.slack_ns:
            return None
        self.cut = None
        return (cut, ts_close) if self.last < cut else None


class Recording:
    """One recording: the audience of its supervisor."""

    def __init__(
        self,
        plan: RecordPlan,
        *,
        environment: Mapping[str, str],
        tell: Callable[[Problem], None],
        saw: Callable[[Connected | Disconnected], None],
        clock: PacedClock | None = None,
        network: AbstractAsyncContextManager[Network] | None = None,
    ) -> None:
        """Make the adapters; nothing is dialled yet. `tell` is shown what the venues complain of, `saw`
        when connections are up and when they end.

        `clock` and `network` take the place of the machine's own.

        Raises:
            ConfigError: a feed, a setting or the file's name will not do.
        """
        self.plan = plan
        self._feeds = list(dict.fromkeys(str(FeedId.parse(feed)) for feed in plan.feeds))
        self._check()
        self.adapters = make_adapters(self._feeds, venues=plan.venues, endpoints=plan.endpoints)
        self.clock = clock or VenueClock(speed=plan.speed or 1.0)
        self.files: list[Path] = []
        self.supervisor: Supervisor | None = None
        self._network = network or Internet(environment)
        self._tell = tell
        self._saw = saw
        self._watches: dict[str, FeedWatch] = {}
        self._asked: set[tuple[str, int, int]] = set()
        """Spans that history was asked for and has not answered: a file does not end between question and answer."""
        self._journal: JournalWriter | None = None
        self._header: Header | None = None
        self._look_at = 0
        self._look_ns = round(LOOK_S * SECOND * self.clock.speed)
        self._is_full = False

    def _check(self) -> None:
        if not self.plan.file.name.endswith(JOURNAL_SUFFIX) or self.plan.file.name == JOURNAL_SUFFIX:
            raise ConfigError(
                f"{self.plan.file} is no name of a journal", where="-o", remedy=f"Write NAME{JOURNAL_SUFFIX}"
            )
        if self.plan.rotate and self.plan.max_bytes is None:
            raise ConfigError("it does not say when", where="--rotate", remedy="Add --max-size, such as 1GB")

    def run(
        self, *, stop: Event | None = None, show: Callable[[RecordStatus], None] | None = None, backend: str = "asyncio"
    ) -> RecordOutcome:
        """Record until `stop` is set, the time is up or the file is full; seal the journal; return the outcome.

        Raises:
            JournalError: a file exists already, or cannot be written to. What was written stays readable.
            VenueError, ConfigError: a venue refuses what is asked of it.
        """
        return anyio.run(self.serve, stop or Event(), show, backend=backend, backend_options=loop_options(backend))

    async def serve(self, stop: Event, show: Callable[[RecordStatus], None] | None = None) -> RecordOutcome:
        """Do what `run` does, in an event loop that runs already."""
        began = stopwatch()
        async with self._network as network:
            asker = Asker(network, self.clock, tell=self._tell)
            plans = await unless_stopped(stop, lambda: self._prepare(asker))
            journal = self._open(self.clock.now())
            supervisor = self.supervisor = Supervisor(self.clock, network, journal, self, asker=asker)
            try:
                await self._until_stopped(supervisor, plans, stop, show)
            finally:
                if self._journal is not None and self._journal.is_open:
                    self._journal.seal(supervisor.last + 1)
        return self._outcome(supervisor, stopwatch() - began, stop)

    async def _prepare(self, asker: Asker) -> list[tuple[Adapter, ConnectionPlan]]:
        """Ask the venues for clocks and symbols; return what is to be connected."""
        await ask_venues(self.adapters, asker, self.clock)
        instruments: dict[str, Instrument] = {}
        plans = []
        for adapter in self.adapters:
            instruments |= adapter.instruments
            names = tuple(adapter.instruments)
            trades, quotes = names if self.plan.trades else (), names if self.plan.quotes else ()
            plans += [(adapter, plan) for plan in adapter.plan(trades=trades, quotes=quotes)]
        by_name = {adapter.provider.name: adapter.provider for adapter in self.adapters}
        for text in self._feeds:
            feed = FeedId.parse(text)
            self._watches[text] = FeedWatch(feed, by_name[feed.provider], instruments[feed.instrument])
        self._header = Header(
            run_id=hashlib.sha256("|".join(self._feeds).encode()).hexdigest()[:8],
            barbot=__version__,
            instruments=tuple(instruments.values()),
            made_by="barbot record",
        )
        return plans

    async def _until_stopped(
        self,
        supervisor: Supervisor,
        plans: Sequence[tuple[Adapter, ConnectionPlan]],
        stop: Event,
        show: Callable[[RecordStatus], None] | None,
    ) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(supervisor.run, plans)
                with anyio.move_on_after(self.plan.run_for_s):
                    while not (stop.is_set() or self._is_full):
                        await anyio.sleep(LOOK_S)
                        if show is not None:
                            show(self._status(supervisor))
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise_first(group)

    # -- the audience -------------------------------------------------------------------------------------

    def take(self, now: int, events: Sequence[MarketEvent]) -> None:
        """Note the bars, and ask for history when a connection is up."""
        for event in events:
            if isinstance(event, BarUpdate):
                watch = self._watches.get(event.feed)
                if watch is not None and event.ts_open > watch.last:
                    watch.see(event.ts_open)
            elif isinstance(event, HistoryBars):
                self._take_history(event)
            elif isinstance(event, Connected):
                self._saw(event)
                self._ask_all(event.feeds, now)
            elif isinstance(event, Disconnected):
                self._saw(event)
                self._asked.clear()  # those of other connections too: a file may then end a little early

    def _take_history(self, history: HistoryBars) -> None:
        self._asked.discard((history.feed, history.ts_from, history.ts_to))
        watch = self._watches.get(history.feed)
        if watch is not None and not history.error:
            watch.is_warm = True
            if history.bars:
                watch.last = max(watch.last, history.bars[-1].ts_open)

    def _ask_all(self, feeds: Sequence[str], ts_to: int) -> None:
        for feed in feeds:
            watch = self._watches.get(feed)
            if watch is not None and watch.has_history:
                self._ask(feed, watch.span(ts_to, self.plan.warmup))

    def _ask(self, feed: str, span: tuple[int, int]) -> None:
        assert self.supervisor is not None, "what arrives comes from a supervisor"
        self._asked.add((feed, *span))
        self.supervisor.ask_history(feed, *span, self.clock.now())

    def let_pass(self, now: int) -> int:
        """Ask for bars that were cut, and begin the next file where this one is full."""
        if now >= self._look_at:
            self._look_at = now + self._look_ns
            self._look(now)
        return self._look_at

    def _look(self, now: int) -> None:
        for feed, watch in self._watches.items():
            if watch.cut is not None and (span := watch.cut_span(now)) is not None:
                self._ask(feed, span)
        most = self.plan.max_bytes
        if most is not None and not self._is_full and (size := self._size()) >= most:
            if not self.plan.rotate:
                self._is_full = True
            elif not self._asked or size >= 2 * most:
                self._begin_next()

    def tell(self, problem: Problem) -> None:
        """Pass on what a venue complained of."""
        self._tell(problem)

    # -- files --------------------------------------------------------------------------------------------

    def _open(self, now: int) -> JournalWriter:
        assert self._header is not None, "the venues were asked before a file is made"
        path = self.plan.file
        if self.files:
            path = path.with_name(f"{path.name.removesuffix(JOURNAL_SUFFIX)}.{len(self.files)}{JOURNAL_SUFFIX}")
        flush_ns = round(FLUSH_S * SECOND * self.clock.speed)
        self._journal = open_writer(path, self._header, now=now, flush_ns=flush_ns, threaded=True)
        self.files.append(path)
        return self._journal

    def _begin_next(self) -> None:
        """Seal the file and begin the next, which holds what a reader needs: connections and history, once more."""
        assert self._journal is not None, "a file was begun before"
        assert self.supervisor is not None, "what arrives comes from a supervisor"
        self._journal.seal(self.supervisor.stamp())
        for feeds, ready_at in self.supervisor.record_to(self._open(self.supervisor.stamp())):
            for feed in feeds:
                self._watches[feed].is_warm = False
            self._ask_all(feeds, ready_at)

    def _size(self) -> int:
        return self.files[-1].stat().st_size if self.files else 0

    # -- for people ---------------------------------------------------------------------------------------

    def _status(self, supervisor: Supervisor) -> RecordStatus:
        return RecordStatus(
            now=self.clock.now(),
            file=str(self.files[-1]) if self.files else "",
            size=self._size(),
            frames=supervisor.frames,
            connections=sum(session.connection.is_ready for session in supervisor.sessions.values()),
            reconnects=supervisor.reconnects,
            last_bars={feed: watch.last for feed, watch in self._watches.items()},
        )

    def _outcome(self, supervisor: Supervisor, seconds: float, stop: Event) -> RecordOutcome:
        warnings = [warning for adapter in self.adapters for warning in adapter.warnings]
        if supervisor.undecodable:
            warnings.append(f"{supervisor.undecodable} messages could not be decoded; they are recorded all the same")
        warnings += [f"{feed}: no data came" for feed, watch in self._watches.items() if watch.last < 0]
        return RecordOutcome(
            files=[str(path) for path in self.files],
            size=sum(path.stat().st_size for path in self.files),
            frames=supervisor.frames,
            feeds={feed: watch.bars for feed, watch in self._watches.items()},
            reconnects=supervisor.reconnects,
            seconds=seconds,
            ended="Ctrl-C" if stop.is_set() else "--max-size" if self._is_full else "--for",
            warnings=warnings,
        )
