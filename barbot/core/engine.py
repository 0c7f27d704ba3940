"""The engine: a function from (now, events) to commands and an audit list. Floor 2.

    deadlines before now  ->  events  ->  what the hooks asked for leaves

`step` runs to completion without an `await`, asks nobody for the time and does no I/O. Due deadlines fire each
at its own time before the events that overtake them, so the stamped events alone reproduce a run; a deadline at
the very time of an event comes after all events of that time, however they were cut into steps. Who answers the
commands, where events come from and who moves the clock is the business of `run/`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from inspect import unwrap
from types import FrameType
from typing import Final, Literal, NoReturn, TypeAlias

import msgspec

from barbot.core.audit import AuditRecord, DataRefused, HookFailed, HookSlow, Seen
from barbot.core.bars import BarTracker
from barbot.core.checker import ContractChecker
from barbot.core.derived import DerivedBars
from barbot.core.desk import Command, TradingDesk
from barbot.core.history import History
from barbot.core.hooks import BoundHooks, HookPolicy, Timer, name_of
from barbot.core.indicators import Indicator
from barbot.core.lane import Lane
from barbot.core.spec import NEVER, FeedSpec, Source
from barbot.core.strategy import Strategy, hooks_of
from barbot.core.trades import TradeBuilder
from barbot.core.transitions import BarSink, Connection
from barbot.errors import ConfigError, ContractError, StrategyError
from barbot.model.instrument import Instrument
from barbot.model.market import (
    Bar,
    BarUpdate,
    Connected,
    Disconnected,
    Heartbeat,
    HistoryBars,
    MarketEvent,
    Quote,
    Trade,
)
from barbot.model.order import ExecutionReport
from barbot.timing.interval import HOUR

Event: TypeAlias = MarketEvent | ExecutionReport

NOTHING: Final[tuple[Command, ...]] = ()
_AT_ONCE: Final = -(2**63)


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine runs a strategy; the same in live, paper and replay."""

    on_error: Literal["stop", "continue"] = "stop"
    check: bool = False
    hook_budget_s: float = 0.050
    equity_every_ns: int = HOUR


class Departure(msgspec.Struct, frozen=True, gc=False):
    """Why `Engine.advance` stopped: what leaves at `now`, and an event that was taken but not stepped over yet."""

    now: int
    commands: Sequence[Command]
    overtaken: tuple[int, MarketEvent] | None


class Engine:
    """Run one strategy over its feeds.

    `audit` is the list of what was done; the driver drains it. `timer` (seconds, monotonic) is lent by drivers
    that want slow hooks reported.
    """

    def __init__(
        self,
        strategy: Strategy,
        specs: Sequence[FeedSpec],
        instruments: Mapping[str, Instrument],
        desk: TradingDesk,
        settings: EngineSettings,
        *,
        timer: Timer | None = None,
    ) -> None:
        """Wire lanes, trackers and builders; base feeds come before the feeds derived from them.

        Raises:
            ConfigError: a hook that cannot be one, a derived feed without its base, an unknown instrument.
        """
        self.now = 0
        self.lane: Lane | None = None
        self.audit: list[AuditRecord] = desk.audit
        self.strategy = strategy
        self.desk = desk
        self.settings = settings
        self.hooks = BoundHooks(strategy, self._policy(timer))
        self.lanes: dict[str, Lane] = {}
        self._trackers: dict[str, BarTracker] = {}
        self._builders: dict[str, list[TradeBuilder]] = {}
        self._by_instrument: dict[str, list[BarTracker]] = {}
        self._connections: dict[str, Connection] = {}
        self._timers: list[tuple[int, int, int, Lane]] = []
        self._next_equity = NEVER
        self._next_deadline = NEVER
        self._next_due = NEVER
        """The first deadline or sample of equity."""
        self._wake_at = NEVER
        """When `advance` has to look up: when something is due, at once while something leaves."""
        self._started = False
        self._prerolling = False
        self._is_wanted = False
        """Whether `start` was called."""
        self.unknown: Counter[str] = Counter()
        for order, spec in enumerate(specs):
            if spec.feed.instrument not in instruments:
                raise ConfigError(f"no instrument is known for {spec.id}", remedy="Add it under [instruments]")
            self._add(spec, order)
        first = next(iter(type(strategy).feeds), "")
        self._default = self.lanes.get(first) or next(lane for lane in self.lanes.values() if not lane.spec.is_hidden)
        self._whole = {name: self._whole_path(name) for name in self._trackers}
        self._ticks = {name: path for name in self._builders if (path := self._tick_path(name)) is not None}
        self._line = self._only_builder()
        desk.bind(self)
        strategy._desk = desk
        strategy._house = self
        self._handlers = self._handlers_by_kind()

    def _handlers_by_kind(self) -> dict[type, Callable[..., None]]:
        return {
            Bar: self._whole_bar,
            BarUpdate: self._candle,
            Trade: self._trade,
            Quote: self._quote,
            Heartbeat: self._heartbeat,
            Connected: self._connected,
            Disconnected: self._disconnected,
            HistoryBars: self._history,
            ExecutionReport: self.desk.report,
        }

    def _policy(self, timer: Timer | None) -> HookPolicy:
        settings = self.settings
        return HookPolicy(
            on_error=settings.on_error,
            timer=timer,
            budget_s=settings.hook_budget_s,
            failed=lambda hook, problem: self.audit.append(HookFailed(hook, problem, self.now)),
            slow=lambda hook, seconds: self.audit.append(HookSlow(hook, seconds, self.now)),
        )

    def _add(self, spec: FeedSpec, order: int) -> None:
        length = type(self.strategy).window_length
        skip = type(self.strategy).quiet == "skip"
        lane = Lane(self, spec, self.audit, window=length, skip_quiet=skip, order=order)
        sink: BarSink = ContractChecker(lane, spec, lane.store) if self.settings.check else lane
        if spec.source is Source.DERIVED:
            base = self.lanes.get(spec.base)
            if base is None:
                raise ConfigError(f"{spec.id} is derived from {spec.base}, which is not subscribed before it")
            base.derive(DerivedBars(spec, lane.store, sink, base.store), lane)
        else:
            tracker = BarTracker(spec, lane.store, sink)
            self._trackers[spec.id] = tracker
            if spec.source is Source.TRADES:
                self._builders.setdefault(spec.feed.instrument, []).append(TradeBuilder(tracker))
            self._by_instrument.setdefault(spec.feed.instrument, []).append(tracker)
        self.lanes[spec.id] = lane

    def _whole_path(self, feed: str) -> Callable[[Bar, int], None]:
        """Return what takes the whole bars of `feed`; under `--check` nothing may pass the checker by."""
        tracker = self._trackers[feed]
        return tracker.whole if self.settings.check else self.lanes[feed].whole_path(tracker)

    def _tick_path(self, instrument: str) -> Callable[[Trade, int], None] | None:
        """Return the shortest way for trades from which one feed is built and that no hook wants, else None.

        What `_trade` does in other words; its look-ups are a fifth of the cost of a replayed trade.
        """
        builders, tracker = self._builders[instrument], self._by_instrument[instrument][0]
        if len(builders) != 1 or self.hooks.trade is not None:
            return None
        take = builders[0].trade

        def tick(trade: Trade, now: int) -> None:
            connection = tracker.connection
            if connection is not None:
                connection.last_arrival = now
                if connection.waiting:
                    self._arrived(connection)
            take(trade, now)

        return tick

    def _only_builder(self) -> TradeBuilder | None:
        """Return the builder if there is but one, and no hook that wants each trade: it may take many at a time."""
        builders = [builder for of_instrument in self._builders.values() for builder in of_instrument]
        return builders[0] if len(builders) == 1 and self.hooks.trade is None else None

    @property
    def wakes_at(self) -> int:
        """The time after which something is due before the next event."""
        return self._wake_at

    def passed(self, now: int, tracker: BarTracker) -> None:
        """Note that data for `tracker` was taken, the newest at `now`."""
        self.now = now
        if tracker.connection is not None:
            self._arrived(tracker.connection)

    # -- the step -----------------------------------------------------------------------------------------

    def preroll(self) -> None:
        """Until `start`, let events fill the windows and call no hook."""
        self._prerolling = True
        self._whole.update((name, tracker.whole) for name, tracker in self._trackers.items())
        for lane in self.lanes.values():
            lane.mute()

    def start(self, now: int) -> Sequence[Command]:
        """Begin: run `on_start` now, or when the warm-up of all feeds is in (a preroll goes on until then)."""
        try:
            if self._prerolling:
                self._catch_up(now - 1)
            self.now = now
            self._is_wanted = True
            if self._is_ready:
                self._begin(now)
            elif not self._prerolling:
                for tracker in self._trackers.values():
                    tracker.wait()
            return self.desk.depart() if self.desk.busy else NOTHING
        except Exception as error:
            self._reraise(error)

    def step(self, now: int, events: Sequence[Event] | Iterator[Event]) -> Sequence[Command]:
        """Let the deadlines before `now` fire, apply `events` in order, and return what has to leave the house.

        A driver first steps, without events, over every `next_deadline` before `now`, so that what those hooks
        ask for leaves at its own time. A step without events fires the deadlines at `now` too.

        Args:
            now: ns since the epoch UTC, never before that of the step before.
            events: what arrived with this stamp; an empty sequence when only a deadline woke the driver.

        Raises:
            StrategyError: a hook raised (and `on_error` is "stop").
            ContractError: the checker found barbot in breach of its own contract.
        """
        try:
            until = now - 1 if events else now
            while self._next_due <= until:
                self._catch_up(until)
            self.now = now
            handlers = self._handlers
            for event in events:
                handlers[event.__class__](event)
            return self.desk.depart() if self.desk.busy else NOTHING
        except Exception as error:
            self._reraise(error)

    def advance(
        self, stamped: Iterator[tuple[int, MarketEvent]], watched: Collection[str] = (), until: int = NEVER
    ) -> Departure:
        """Step over each (now, event) until something has to leave the house, or to the end: `step` in a loop.

        With `watched` feeds it stops before their bars, before any other kind of event, and at `until`: somebody
        has to see those first.

        A deadline at the very `now` of an event fires when the next event comes; step without events at the end.

        Raises:
            StrategyError, ContractError: see `step`.
        """
        handlers, whole, ticks = self._handlers, self._whole, self._ticks
        if self._line is not None:
            stamped = self._line.out_of_line(stamped, self)
        try:
            for now, event in stamped:
                if self._wake_at < now:
                    if not self.desk.busy:
                        self._catch_up(now - 1)
                    if self.desk.busy:
                        return Departure(self.now, self.desk.depart(), (now, event))
                if watched and (event.__class__ is not Bar or event.feed in watched or now >= until):
                    return Departure(self.now, NOTHING, (now, event))
                self.now = now
                if event.__class__ is Bar:
                    try:
                        take = whole[event.feed]
                    except KeyError:
                        take = self._unknown_bar
                    take(event, now)
                elif event.__class__ is Trade and (tick := ticks.get(event.instrument)) is not None:
                    tick(event, now)
                else:
                    handlers[event.__class__](event)
            return Departure(self.now, self.desk.depart() if self.desk.busy else NOTHING, None)
        except Exception as error:
            self._reraise(error)

    def stop(self, now: int) -> None:
        """Run `on_stop`; whatever it asks for does not leave any more, and no forming bar is closed."""
        self.now = now
        self.lane = None
        if self._started and self.hooks.stop is not None:
            try:
                self.hooks.stop()
            except Exception as error:
                self._reraise(error)
        self.desk.discard()
        self.desk.sample_equity(self.now)

    @property
    def has_begun(self) -> bool:
        """Whether `on_start` was due and hooks run."""
        return self._started

    @property
    def next_deadline(self) -> int:
        """When a bar wants to be closed even if nothing arrives; `NEVER` if none does."""
        return self._next_deadline

    def _reraise(self, error: Exception) -> NoReturn:
        """Raise the StrategyError that names strategy, hook and bar, or `error` itself if no hook was running."""
        found = None if isinstance(error, ContractError) else self._hook_in(error)
        if found is None:
            raise error
        hook, bar = found
        if bar is None:
            store = self.lane.store if self.lane is not None else self._default.store
            bar = store.bars[-1] if store.bars else None
        raise StrategyError(type(self.strategy).__name__, hook, error, bar=name_of(bar) if bar else "") from error

    def _hook_in(self, error: Exception) -> tuple[str, Bar | None] | None:
        """Return the hook that `error` came through, and the bar that it was given if it was given one.

        A hook's frame is told by its name and its `self`; one that is not called what it is (a lambda) by its code.
        """
        kind = type(self.strategy)
        hooks = hooks_of(kind)
        frames: list[FrameType] = []
        trace = error.__traceback__
        while trace is not None:
            frames.append(trace.tb_frame)
            trace = trace.tb_next
        for frame in frames:
            if frame.f_code.co_name in hooks and _argument(frame, 0) is self.strategy:
                return frame.f_code.co_name, _bar_of(frame)
        codes = {getattr(unwrap(getattr(kind, name)), "__code__", None): name for name in sorted(hooks)}
        return next(((codes[f.f_code], _bar_of(f)) for f in frames if f.f_code in codes), None)

    # -- deadlines ----------------------------------------------------------------------------------------

    def rearmed(self, lane: Lane, deadline: int) -> None:
        """Note that the tracker of `lane` wants to be woken at `deadline`; one it had before is void."""
        heappush(self._timers, (deadline, lane.spec.feed.interval.ns, lane.order, lane))
        self._plan_wake()

    def _catch_up(self, until: int) -> None:
        """Fire the deadlines up to `until`, each at its own time; shorter bars first, then as subscribed.

        Stop behind the first time at which something wants to leave: it leaves before later deadlines.
        """
        while self._next_deadline <= until:
            deadline, _, _, lane = heappop(self._timers)
            tracker = self._trackers[lane.feed]
            if tracker.deadline == deadline:
                if self._next_equity < deadline:
                    self._sample_equity(deadline - 1)
                self.now = deadline
                tracker.fire(deadline)
                if not self._started:
                    self._begin_if_ready(deadline)
                if self.desk.busy:
                    until = deadline
            self._plan_wake()
        if self._next_equity <= until:
            self._sample_equity(until)
            self._plan_wake()

    def _sample_equity(self, until: int) -> None:
        """Note the equity at the round time that is due; of several that passed since then nothing changed."""
        due, every = self._next_equity, self.settings.equity_every_ns
        self._next_equity = due + every + (until - due) // every * every
        self.desk.sample_equity(due)
        self.desk.turn_day(self._next_equity - every)

    def _plan_wake(self) -> None:
        self._next_deadline = self._timers[0][0] if self._timers else NEVER
        self._next_due = min(self._next_deadline, self._next_equity)
        if not self.desk.busy:
            self._wake_at = self._next_due

    def stir(self, *, busy: bool) -> None:
        """Be told by the desk that something wants to leave, or that all has left."""
        self._wake_at = _AT_ONCE if busy else self._next_due

    # -- market events ------------------------------------------------------------------------------------

    def _whole_bar(self, bar: Bar) -> None:
        self._whole.get(bar.feed, self._unknown_bar)(bar, self.now)

    def _unknown_bar(self, bar: Bar, _now: int) -> None:
        self._unknown_id(bar.feed, bar)

    def _candle(self, update: BarUpdate) -> None:
        tracker = self._trackers.get(update.feed)
        if tracker is None:
            self._unknown_id(update.feed, update)
            return
        connection = tracker.connection
        if connection is not None:
            connection.last_arrival = self.now
            if connection.waiting:
                self._arrived(connection)
        tracker.update(update, self.now)

    def refuses(self, update: BarUpdate, now: int) -> bool:
        """Whether `update` will not be believed (rule 9); a paper venue must not fill at it either."""
        tracker = self._trackers.get(update.feed)
        return tracker is not None and bool(tracker.problem(update, now))

    def _trade(self, trade: Trade) -> None:
        trackers = self._by_instrument.get(trade.instrument)
        if trackers is None:
            self._unknown_id(trade.instrument, trade)
            return
        connection = trackers[0].connection
        if connection is not None:
            self._arrived(connection)
        for builder in self._builders.get(trade.instrument, ()):
            builder.trade(trade, self.now)
        if self.hooks.trade is not None and self._started:
            self.lane = self.desk.finest_lane(trade.instrument)
            self.audit.append(Seen(trade))
            self.hooks.trade(trade)

    def _quote(self, quote: Quote) -> None:
        trackers = self._by_instrument.get(quote.instrument)
        if trackers is None:
            self._unknown_id(quote.instrument, quote)
            return
        connection = trackers[0].connection
        if connection is not None:
            self._arrived(connection)
        if self.hooks.quote is not None and self._started:
            self.lane = self.desk.finest_lane(quote.instrument)
            self.audit.append(Seen(quote))
            self.hooks.quote(quote)

    def _unknown_id(self, name: str, event: MarketEvent) -> None:
        """Count data of something nobody subscribed; the first of each name is audited."""
        self.unknown[name] += 1
        if self.unknown[name] == 1:
            self.audit.append(DataRefused(name, "not_subscribed", self.now, repr(event)))

    # -- connections --------------------------------------------------------------------------------------

    def _arrived(self, connection: Connection) -> None:
        """Note a sign of life, and let the trackers go on that waited for one."""
        connection.last_arrival = self.now
        if connection.waiting:
            waiting, connection.waiting = connection.waiting, []
            for tracker in waiting:
                tracker.fire(self.now)

    def _heartbeat(self, event: Heartbeat) -> None:
        connection = self._connections.get(event.connection)
        if connection is not None:
            self._arrived(connection)

    def _connected(self, event: Connected) -> None:
        """Let its feeds be served by the connection: anew, or on from one that is still up (no hole is between)."""
        connection = self._connections.setdefault(event.connection, Connection(event.connection))
        trackers = [self._trackers[feed] for feed in event.feeds if feed in self._trackers]
        served = [c.up_since for c in (tracker.connection for tracker in trackers) if c is not None and c.up_since]
        goes_on = len(served) == len(trackers) > 0
        connection.up_since = max(served) if goes_on else self.now
        connection.last_arrival = self.now
        for tracker in trackers:
            tracker.connection = connection
            if goes_on:
                tracker.handed_over(self.now)
            else:
                tracker.connected(self.now)
        self._show_connection(event)

    def _disconnected(self, event: Disconnected) -> None:
        connection = self._connections.get(event.connection)
        if connection is None or connection.up_since is None:
            return
        connection.up_since = None
        connection.waiting.clear()
        for tracker in self._trackers.values():
            if tracker.connection is connection:
                tracker.dropped()
        self._show_connection(event)

    def _show_connection(self, event: Connected | Disconnected) -> None:
        self.audit.append(Seen(event))
        if self.hooks.connection is not None and self._started:
            self.lane = None
            self.hooks.connection(event)

    def _history(self, rows: HistoryBars) -> None:
        tracker = self._trackers.get(rows.feed)
        if tracker is None:
            self._unknown_id(rows.feed, rows)
            return
        tracker.history(rows, self.now)
        if not self._started:
            self._begin_if_ready(self.now)

    # -- the beginning ------------------------------------------------------------------------------------

    @property
    def _is_ready(self) -> bool:
        return all(tracker.ready for tracker in self._trackers.values())

    def _begin_if_ready(self, now: int) -> None:
        if self._is_wanted and self._is_ready:
            is_held = not self._prerolling
            self._begin(now)
            if is_held:
                for tracker in self._trackers.values():
                    tracker.start(now)

    def _begin(self, now: int) -> None:
        if self._prerolling:
            self._prerolling = False
            for lane in self.lanes.values():
                lane.unmute()
            self._whole.update((name, self._whole_path(name)) for name in self._trackers)
        self._started = True
        self.lane = None
        self.desk.sample_equity(now)
        self.desk.turn_day(now)
        every = self.settings.equity_every_ns
        self._next_equity = now - now % every + every
        self._plan_wake()
        if self.hooks.start is not None:
            self.hooks.start()

    def connection_of(self, feed: str) -> Connection | None:
        """Return what is known of the connection that serves `feed` (or, if derived, its base)."""
        lane = self.lanes[feed]
        tracker = self._trackers.get(lane.spec.base or feed)
        return tracker.connection if tracker is not None else None

    # -- what the strategy asks ---------------------------------------------------------------------------

    def window(self, feed: str) -> History:
        """Return the window of one of the strategy's feeds.

        Raises:
            ConfigError: the strategy did not subscribe `feed`.
        """
        lane = self.lanes.get(feed)
        if lane is None:
            raise ConfigError(
                f"{feed!r} is not subscribed", remedy=f"Add it to feeds; there are: {', '.join(self.lanes)}"
            )
        return lane.window

    def attach(self, indicator: Indicator, feed: str | None) -> None:
        """Feed `indicator` from `feed`, by default the strategy's first."""
        if feed is not None:
            self.window(feed)
        (self.lanes[feed] if feed is not None else self._default).attach(indicator)


def _argument(frame: FrameType, number: int) -> object:
    """Return the positional argument of the function that runs in `frame`, None if it has no such one."""
    code = frame.f_code
    return frame.f_locals.get(code.co_varnames[number]) if number < code.co_argcount else None


def _bar_of(frame: FrameType) -> Bar | None:
    bar = _argument(frame, 1)
    return bar if isinstance(bar, Bar) else None
