"""A rig for the tests of the tracker: it drives one feed as the engine does, and writes down what was told.

Test modules take the fixture `rig` (the class `Rig`); a derived feed hangs on the first as a lane would hang it.
The fixture `house_of` (the class `House`) is an engine with its desk and a paper venue, driven as a replay drives it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Literal, TypeAlias

import pytest

from barbot.core.audit import AuditRecord, Equity
from barbot.core.bars import BarTracker
from barbot.core.checker import ContractChecker
from barbot.core.costs import PaperSettings
from barbot.core.derived import DerivedBars
from barbot.core.desk import CancelOrder, Command, TradingDesk
from barbot.core.engine import Engine, EngineSettings
from barbot.core.history import BarStore
from barbot.core.hooks import Timer
from barbot.core.ledger import Ledger
from barbot.core.paper import PaperVenue
from barbot.core.risk import Funds, RiskGate, RiskLimits
from barbot.core.spec import FeedSpec, Source
from barbot.core.strategy import Strategy
from barbot.core.trades import TradeBuilder
from barbot.core.transitions import Connection, Data
from barbot.model.instrument import Instrument
from barbot.model.market import Bar, BarUpdate, Connected, Disconnected, Gap, Heartbeat, HistoryBars, MarketEvent, Trade

Stamped: TypeAlias = tuple[int, MarketEvent]
Event: TypeAlias = BarUpdate | Trade | Bar | Connected | Disconnected | Heartbeat | HistoryBars
Told: TypeAlias = tuple[int, str, Bar | Gap]
"""(now, "open" | "update" | "close" | "correct" | "gap" | "warm", what)"""
Oracle: TypeAlias = Callable[[int, int, int], Sequence[tuple[int, HistoryBars]]]
"""Asked for [ts_from, ts_to) at now: the answers, each with the time at which it arrives."""


class Recorder:
    """A sink that writes down what it is told, and keeps derived feeds in step as a lane does."""

    def __init__(self, rig: Rig, store: BarStore, *, tells_open: bool, tells_update: bool) -> None:
        self.rig = rig
        self.store = store
        self.tells_open = tells_open
        self.tells_update = tells_update
        self.stepwise = tells_open or tells_update
        self.told: list[Told] = []
        self.counts: Counter[str] = Counter()
        self.refusals: list[str] = []
        self.tallies: list[Bar] = []
        self.asks: list[tuple[int, int, int]] = []
        self.derived: list[DerivedBars] = []

    def opened(self, bar: Bar) -> None:
        for derived in self.derived:
            derived.overtaken_by(bar.ts_open)
            derived.absorb(bar)
        self.told.append((self.rig.now, "open", bar))
        if not self.tells_update:
            self._announce(bar)

    def updated(self, bar: Bar) -> None:
        for derived in self.derived:
            derived.absorb(bar)
        self.told.append((self.rig.now, "update", bar))
        self._announce(bar)

    def tallied(self, bar: Bar) -> None:
        self.tallies.append(bar)

    def closed(self, bar: Bar) -> None:
        for derived in self.derived:
            derived.overtaken_by(bar.ts_open)
            derived.absorb(bar)
        self.told.append((self.rig.now, "close", bar))
        self._announce(bar)

    def _announce(self, bar: Bar) -> None:
        for derived in self.derived:
            derived.announce(bar)

    def corrected(self, bar: Bar, previous: Bar) -> None:
        self.told.append((self.rig.now, "correct", bar))
        for derived in self.derived:
            derived.corrected(bar)

    def gapped(self, gap: Gap) -> None:
        self.told.append((self.rig.now, "gap", gap))
        for derived in self.derived:
            derived.gapped(gap)

    def warmed(self, bar: Bar) -> None:
        self.told.append((self.rig.now, "warm", bar))
        for derived in self.derived:
            derived.warm(bar)

    def refused(self, reason: str, event: Data) -> None:
        self.refusals.append(reason)

    def counted(self, what: str) -> None:
        self.counts[what] += 1

    def ask_history(self, ts_from: int, ts_to: int) -> None:
        self.asks.append((self.rig.now, ts_from, ts_to))
        self.rig.asked(ts_from, ts_to)

    def rearmed(self, deadline: int) -> None:
        pass

    # -- what was told ------------------------------------------------------------------------------------

    def bars(self, *kinds: str) -> list[Bar]:
        """Return the bars told as `kinds`, in order."""
        return [what for _, kind, what in self.told if kind in kinds and isinstance(what, Bar)]

    @property
    def gaps(self) -> list[tuple[int, int]]:
        return [(what.ts_from, what.ts_to) for _, _, what in self.told if isinstance(what, Gap)]

    @property
    def final(self) -> dict[int, Bar]:
        """Return the closed bars by `ts_open` as they were told last."""
        return {bar.ts_open: bar for bar in self.bars("close", "correct")}


class Rig:
    """One feed on one connection: what arrives goes in with `step`, what was told is in `log`."""

    def __init__(
        self,
        spec: FeedSpec,
        *,
        tells_open: bool = True,
        tells_update: bool = True,
        is_file: bool = False,
        oracle: Oracle | None = None,
        data_first: bool = False,
        derived: Sequence[FeedSpec] = (),
    ) -> None:
        """Build tracker, checker and recorder; `data_first` applies data before it counts as proof of life."""
        self.now = 0
        self.oracle = oracle
        self.data_first = data_first
        self.store = BarStore(spec.window + 64)
        self.log = Recorder(self, self.store, tells_open=tells_open or bool(derived), tells_update=tells_update)
        self.log.stepwise = tells_open or tells_update
        self.tracker = BarTracker(spec, self.store, ContractChecker(self.log, spec, self.store))
        self.builder = TradeBuilder(self.tracker) if spec.source is Source.TRADES else None
        self.connection = None if is_file else Connection("c")
        self.derived: list[Recorder] = []
        for longer in derived:
            self._derive(longer, tells_update=tells_update)
        self._answers: list[tuple[int, int, HistoryBars]] = []
        self._waits = spec.has_history
        if self._waits:
            self.tracker.wait()

    def _derive(self, spec: FeedSpec, *, tells_update: bool) -> None:
        store = BarStore(spec.window + 64)
        log = Recorder(self, store, tells_open=tells_update, tells_update=tells_update)
        self.log.derived.append(DerivedBars(spec, store, ContractChecker(log, spec, store), self.store))
        self.derived.append(log)

    def asked(self, ts_from: int, ts_to: int) -> None:
        """Let the oracle answer, each answer at its time."""
        for at, rows in self.oracle(ts_from, ts_to, self.now) if self.oracle is not None else ():
            self._answers.append((at, len(self._answers), rows))
            self._answers.sort(key=lambda answer: answer[:2])

    def step(self, now: int, *events: Event) -> None:
        """Do what the engine does: answers and deadlines before `now`, then the events.

        A deadline at `now` waits until time has passed it: more events with this stamp may come in another step.
        """
        while self._answers and self._answers[0][0] <= now:
            at, _, rows = self._answers.pop(0)
            self._step(max(at, self.now), (rows,))
        self._step(now, events)

    def _step(self, now: int, events: Sequence[Event]) -> None:
        self._fire_until(now - 1)
        self.now = now
        for event in events:
            self._apply(event)
        if self._waits and self.tracker.ready:
            self._waits = False
            self.tracker.start(now)

    def _fire_until(self, until: int) -> None:
        while (deadline := self.tracker.deadline) <= until:
            assert deadline >= self.now, "a deadline is never set in the past"
            self.now = deadline
            self.tracker.fire(deadline)

    def _apply(self, event: Event) -> None:
        connection = self.connection
        if isinstance(event, HistoryBars):
            self.tracker.history(event, self.now)
        elif isinstance(event, Connected):
            assert connection is not None
            connection.up_since = connection.last_arrival = self.now
            self.tracker.connection = connection
            self.tracker.connected(self.now)
        elif isinstance(event, Disconnected):
            assert connection is not None
            connection.up_since = None
            connection.waiting.clear()
            self.tracker.dropped()
        elif self.data_first:
            self._data(event)
            self._arrived()
        else:
            self._arrived()
            self._data(event)

    def _arrived(self) -> None:
        if self.connection is not None and self.connection.up_since is not None:
            self.connection.last_arrival = self.now
            waiting, self.connection.waiting = self.connection.waiting, []
            for tracker in waiting:
                tracker.fire(self.now)

    def _data(self, event: Event) -> None:
        if isinstance(event, Trade):
            assert self.builder is not None
            self.builder.trade(event, self.now)
        elif isinstance(event, BarUpdate):
            self.tracker.update(event, self.now)
        elif isinstance(event, Bar):
            self.tracker.whole(event, self.now)


class House:
    """An engine with its desk and a paper venue, driven as a replay drives it."""

    def __init__(
        self,
        strategy: type[Strategy],
        *specs: FeedSpec,
        prices: Mapping[str, str] | None = None,
        on_error: Literal["stop", "continue"] = "stop",
        check: bool = True,
        timer: Timer | None = None,
    ) -> None:
        instruments = {s.feed.instrument: Instrument.bare(s.feed.instrument) for s in specs}
        ledger, limits = Ledger({"USD": Decimal(10_000)}), RiskLimits(allow_short=True)
        self.desk = TradingDesk(instruments, ledger, RiskGate(limits), prefix="t", fee_rate=Decimal(0))
        settings = EngineSettings(on_error=on_error, check=check)
        self.strategy = strategy()
        self.engine = Engine(self.strategy, specs, instruments, self.desk, settings, timer=timer)
        sources = prices or {s.feed.instrument: s.id for s in specs if s.source is Source.CANDLES}
        self.venue = PaperVenue(instruments, PaperSettings(), sources, afford=Funds(limits, ledger, instruments))
        self.left: list[tuple[int, str, str]] = []

    @property
    def audit(self) -> list[AuditRecord]:
        return self.desk.audit

    @property
    def curve(self) -> list[Equity]:
        return self.desk.curve

    def route(self, commands: Sequence[Command], now: int) -> None:
        for command in commands:
            if isinstance(command, CancelOrder):
                self.left.append((now, "cancel", command.client_order_id))
                self.venue.cancel(command.client_order_id, now)
            else:
                self.left.append((now, "submit", command.approved.intent.client_order_id))
                self.venue.submit(command.approved, now)

    def step(self, now: int, *events: MarketEvent) -> None:
        """Drive one step at a time."""
        while (deadline := self.engine.next_deadline) < now:
            self.route(self.engine.step(deadline, ()), deadline)
        reports = [report for event in events for report in self.venue.match(event, now)]
        self.route(self.engine.step(now, (*reports, *events)), now)

    def advance(self, tape: Sequence[Stamped]) -> None:
        """Let the engine go on alone while no order waits for the market."""
        stamped: Iterator[Stamped] = iter(tape)
        pair: Stamped | None = None
        while True:
            watched = self.venue.watched
            if watched is not None:
                departure = self.engine.advance(
                    chain((pair,), stamped) if pair is not None else stamped, watched, self.venue.wakes_at
                )
                pair = departure.overtaken
                if departure.commands:
                    self.route(departure.commands, departure.now)
                    continue
            else:
                pair = pair or next(stamped, None)
            if pair is None:
                return
            self.step(pair[0], pair[1])
            pair = None


@pytest.fixture(scope="session")
def house_of() -> type[House]:
    """The class that drives an engine: `house_of(strategy, *specs)`."""
    return House


@pytest.fixture(scope="session")
def rig() -> type[Rig]:
    """The class that drives a tracker."""
    return Rig
