"""Live runs over real sockets on loopback: what was recorded replays to the same digest."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import anyio
import msgspec
import pytest

from barbot.core.costs import PaperSettings
from barbot.core.history import History
from barbot.core.risk import RiskLimits
from barbot.core.strategy import Strategy
from barbot.model.market import Bar
from barbot.providers.base import Problem
from barbot.run.live import JOURNAL, LiveRun, LiveStatus
from barbot.run.outcome import RunOutcome
from barbot.run.plan import RunPlan
from barbot.run.replay import Replay
from barbot.sim.chaos import Chances, Fault
from barbot.sim.kucoin.simulator import Connection, KuCoinSimulator
from barbot.sim.pace import ScaledClock
from barbot.sim.server import serve
from barbot.timing.clock import PacedClock, SystemClock
from barbot.timing.interval import MINUTE, SECOND
from barbot.wire.journal import Drop
from barbot.wire.journal_read import open_reader

if TYPE_CHECKING:
    from tests.run.live.conftest import Stage

FEEDS = ("kucoin:BTC-USDT@1m", "kucoin:ETH-USDT@5m")


@contextmanager
def serving(simulator: KuCoinSimulator | Oversized, start: int, speed: float) -> Iterator[str]:
    """Serve a simulator on loopback from a thread of its own; yield its address."""
    up, over, address = threading.Event(), threading.Event(), list[str]()

    def ready(port: int) -> None:
        address.append(f"http://127.0.0.1:{port}")
        simulator.serve_at(f"ws://127.0.0.1:{port}/endpoint")
        up.set()

    async def run() -> None:
        await serve(simulator, ScaledClock(start, speed), ready=ready, stopped=over.is_set)

    thread = threading.Thread(target=lambda: anyio.run(run))
    thread.start()
    try:
        assert up.wait(5)
        yield address[0]
    finally:
        over.set()
        thread.join()


def plan_for(strategy: type[Strategy], folder: Path, endpoint: str, **options: object) -> RunPlan:
    plan = RunPlan(
        strategy=strategy, strategy_file="mine.py", params={}, feeds=(), cash={"": Decimal(100_000)},
        paper=PaperSettings(), limits=RiskLimits(), runs_dir=folder, endpoints={"kucoin": endpoint}, check=True,
    )  # fmt: skip
    return msgspec.structs.replace(plan, **options)


def replayed(plan: RunPlan, outcome: RunOutcome) -> str:
    assert outcome.run_dir is not None
    journal = str(outcome.run_dir / JOURNAL)
    return (
        Replay(msgspec.structs.replace(plan, feeds=(journal,), runs_dir=None, speed=None), clock=SystemClock())
        .run()
        .digest
    )


class Timed(Strategy):
    """Trades, and notes how late its hooks run, in seconds of the wall."""

    feeds: ClassVar[list[str]] = [*FEEDS]
    delays: ClassVar[list[float]] = []
    clock: ClassVar[PacedClock | None] = None

    def on_bar_close(self, bar: Bar, history: History) -> None:
        if self.clock is not None:
            self.delays.append((self.clock.now() - self.now) / SECOND / self.clock.speed)
        if bar.ts_open // MINUTE % 2:
            self.order_target(0 if self.position else Decimal("0.001"))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_rehearsal_with_everything_that_goes_wrong_replays_to_its_digest(
    stage: Stage, tmp_path: Path, backend: str
) -> None:
    simulator = stage.simulator(
        stage.tape("BTC-USDT", trades_per_minute=20.0),
        stage.tape("ETH-USDT", trades_per_minute=20.0),
        faults=[
            Fault(stage.at(3.5), "outage", seconds=60),
            Fault(stage.at(6.2), "token_expiry"),
            Fault(stage.at(8), "garbage", seconds=10),
        ],
        chances=Chances(late_update=0.3, duplicate=0.1, reorder=0.05),
    )
    problems: list[Problem] = []
    statuses: list[LiveStatus] = []
    with serving(simulator, stage.START, 180.0) as endpoint:
        plan = plan_for(Timed, tmp_path, endpoint, speed=180.0, run_for_s=4.5)
        live = LiveRun(plan, environment={}, tell=problems.append)
        Timed.clock = live.clock
        outcome = live.run(show=statuses.append, backend=backend)
        Timed.clock = None
    assert (outcome.feeds[0].closed >= 8, outcome.fills > 1) == (True, True)
    assert sorted(Timed.delays)[len(Timed.delays) * 99 // 100] < 0.25, "from a bar's deadline to its hook"
    assert live.supervisor is not None
    assert (live.supervisor.reconnects >= 2, len(statuses) > 5) == (True, True)
    assert replayed(plan, outcome) == outcome.digest
    assert outcome.run_dir is not None
    with open_reader(outcome.run_dir / JOURNAL) as reader:
        assert sum(1 for _ in reader) > 100
        assert (reader.sealed, reader.torn) == (True, "")
    assert all("\n" not in problem.text for problem in problems)


class Oversized:
    """A venue that sends one message of ten megabytes on its first connection."""

    def __init__(self, simulator: KuCoinSimulator, at: int) -> None:
        self.simulator = simulator
        self.at = at
        self.is_due = True

    def is_down(self, now: int) -> bool:
        return self.simulator.is_down(now)

    def delay(self, now: int) -> int:
        return self.simulator.delay(now)

    def rest(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: int
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        return self.simulator.rest(method, target, headers, body, now)

    def serve_at(self, endpoint: str) -> None:
        self.simulator.serve_at(endpoint)

    def open(self, query: str, now: int) -> Swollen:
        return Swollen(self, self.simulator.open(query, now))


class Swollen:
    """A connection of it."""

    def __init__(self, venue: Oversized, connection: Connection) -> None:
        self.venue = venue
        self.connection = connection

    @property
    def closing(self) -> tuple[int, str] | None:
        return self.connection.closing

    def receive(self, text: str | bytes, now: int) -> None:
        self.connection.receive(text, now)

    def to_send(self, now: int) -> list[str]:
        texts = self.connection.to_send(now)
        if self.venue.is_due and now >= self.venue.at:
            self.venue.is_due = False
            texts.append("[" + " " * 10_000_000 + "]")
        return texts

    def next_deadline(self) -> int | None:
        return self.connection.next_deadline()


def test_a_message_of_ten_megabytes_costs_the_connection_and_nothing_else(stage: Stage, tmp_path: Path) -> None:
    simulator = stage.simulator(stage.tape("BTC-USDT", trades_per_minute=20.0))
    problems: list[Problem] = []
    with serving(Oversized(simulator, stage.at(1.5)), stage.START, 120.0) as endpoint:
        plan = plan_for(stage.witness(FEEDS[0]), tmp_path, endpoint, speed=120.0, run_for_s=2.0)
        live = LiveRun(plan, environment={}, tell=problems.append)
        outcome = live.run()
    assert live.supervisor is not None
    assert (live.supervisor.reconnects, problems) == (1, [])
    assert outcome.run_dir is not None
    with open_reader(outcome.run_dir / JOURNAL) as reader:
        (drop,) = [record for record in reader if isinstance(record, Drop)]
    assert "1009 (message too big)" in drop.reason
    assert "\n" not in drop.reason
    assert replayed(plan, outcome) == outcome.digest
