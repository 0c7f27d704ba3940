"""The straight line of one run: engine, paper venue and trail, and how a step goes through them. Floor 4.

    deadlines before now -> (paper venue answers) -> engine step -> commands -> paper venue

Live and replay drive the same line. They differ in where events come from and who moves the clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from barbot.core.costs import PaperSettings
from barbot.core.desk import Command, Submit, TradingDesk
from barbot.core.engine import Engine, EngineSettings
from barbot.core.engine import Event as EngineEvent
from barbot.core.hooks import Timer
from barbot.core.ledger import Ledger
from barbot.core.paper import PaperVenue
from barbot.core.risk import Funds, RiskGate
from barbot.core.spec import FeedSpec
from barbot.core.strategy import Strategy
from barbot.errors import StrategyError
from barbot.model.instrument import Instrument
from barbot.model.market import Bar, BarUpdate, MarketEvent
from barbot.model.order import ExecutionReport
from barbot.run.plan import RunPlan
from barbot.run.rundir import open_run
from barbot.run.trail import Listener, Trail
from barbot.timing.clock import Clock


class Market(Protocol):
    """What a line must know of where its events come from, recorded or live."""

    name: str
    specs: list[FeedSpec]
    instruments: dict[str, Instrument]
    prices: dict[str, str]
    has_quotes: bool
    """Whether there may be quotes, which the paper venue must see even if nothing waits for them."""

    def digest(self) -> str:
        """Return what tells this source from another."""


class Line:
    """Engine, paper venue and trail of one run."""

    def __init__(
        self,
        plan: RunPlan,
        market: Market,
        *,
        clock: Clock,
        listener: Listener | None = None,
        timer: Timer | None = None,
    ) -> None:
        """Wire everything; nothing runs yet. `timer` is lent for slow hooks.

        Raises:
            ConfigError: the strategy, the feeds and the settings do not go together.
            StrategyError: the strategy cannot be made.
        """
        self.plan = plan
        self.market = market
        instruments = market.instruments
        self.currency = next(iter(instruments.values())).currency
        self.run_id = run_id_of(plan)
        ledger = Ledger(_cash(plan.cash, self.currency))
        self.desk = TradingDesk(
            instruments, ledger, RiskGate(plan.limits), prefix=self.run_id, fee_rate=_fee_rate(plan.paper)
        )
        self.strategy = _made(plan)
        settings = EngineSettings(on_error=plan.on_error, check=plan.check, hook_budget_s=plan.hook_budget_s)
        self.engine = Engine(self.strategy, market.specs, instruments, self.desk, settings, timer=timer)
        funds = Funds(plan.limits, ledger, instruments)
        self.venue = PaperVenue(instruments, plan.paper, market.prices, afford=funds.__call__)
        self.is_watched = market.has_quotes or plan.columns.intrabar != "none"
        """Whether there may be quotes or forming bars, which the venue must see even if nothing waits for them."""
        self.source_digest = market.digest()
        self.folder = open_run(plan, self.run_id, self.source_digest, clock) if plan.runs_dir is not None else None
        self.trail = Trail(self.desk, currency=self.currency, folder=self.folder, level=plan.audit, listener=listener)

    def start(self, now: int) -> None:
        """Let the engine begin: `on_start` runs now, or when the warm-up is in."""
        self.route(self.engine.start(now), now)

    def let_pass(self, now: int) -> None:
        """Let every deadline before `now` have a step at its own time."""
        engine = self.engine
        while engine.next_deadline < now:
            deadline = engine.next_deadline
            self.route(engine.step(deadline, ()), deadline)

    def step(self, now: int, events: Sequence[MarketEvent]) -> None:
        """Let time pass, let the venue answer, and step. What holds no event waits for one: more may come at `now`."""
        if len(events) == 1:
            self.step_over(events[0], now)
            return
        if self.engine.next_deadline < now:
            self.let_pass(now)
        if events:
            shown = events if self.venue.idle and not self.is_watched else self._answered(events, now)
            self.route(self.engine.step(now, shown), now)

    def step_over(self, event: MarketEvent, now: int) -> None:
        """Let time pass and step over the venue's answers to `event`, and over `event`."""
        engine = self.engine
        if engine.next_deadline < now:
            self.let_pass(now)
        if self.venue.idle and not self.is_watched:
            commands = engine.step(now, (event,))
        else:
            reports = self.venue.match(event, now) if event.__class__ is Bar else self._answers(event, now)
            commands = engine.step(now, (*reports, event))
        if commands:
            self.route(commands, now)

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

    def route(self, commands: Sequence[Command], now: int) -> None:
        """Hand what left the engine to the venue."""
        for command in commands:
            if isinstance(command, Submit):
                self.venue.submit(command.approved, now)
            else:
                self.venue.cancel(command.client_order_id, now)

    def finish(self, now: int) -> None:
        """Let the deadlines up to `now` fire and run `on_stop`; forming bars stay unfinished."""
        self.let_pass(now)
        self.route(self.engine.step(now, ()), now)
        self.engine.stop(now)


def run_id_of(plan: RunPlan) -> str:
    """Return an id that says what was run: equal plans have equal ids, so their orders have too."""
    params = msgspec.json.encode(plan.params, enc_hook=str, order="deterministic")
    head = f"{plan.settings_digest}|{plan.strategy.__name__}|".encode()
    return hashlib.sha256(head + params).hexdigest()[:8]


def _cash(cash: Mapping[str, Decimal], currency: str) -> dict[str, Decimal]:
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
