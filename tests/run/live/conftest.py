"""Live runs against a simulated KuCoin in virtual time: trio's clock jumps to whatever is waited for next.

The run is the real one from the supervisor on; beneath it lie a network and links of this file, without a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from threading import Event
from types import TracebackType
from urllib.parse import urldefrag, urlsplit

import anyio
import msgspec
import pytest
from trio.testing import MockClock

from barbot.core.costs import PaperSettings
from barbot.core.risk import RiskLimits
from barbot.core.strategy import Strategy
from barbot.errors import LinkLost
from barbot.model.market import Bar, Connected, Disconnected, Gap, Quality
from barbot.providers.base import Dial, Fetch, Problem
from barbot.run.live import JOURNAL, LiveRun, LiveStatus
from barbot.run.network import Network
from barbot.run.outcome import RunOutcome
from barbot.run.plan import RunPlan
from barbot.run.replay import Replay
from barbot.sim.chaos import Chances, Chaos, Fault
from barbot.sim.kucoin.settings import KuCoinSettings
from barbot.sim.kucoin.simulator import Connection, KuCoinSimulator
from barbot.sim.market import Market, Tape
from barbot.sim.walk import walking
from barbot.timing.clock import SystemClock
from barbot.timing.interval import DAY, MINUTE, SECOND
from barbot.wire.http import HttpAnswer
from barbot.wire.journal import Connect, Drop, Record, Seal
from barbot.wire.journal_read import open_reader
from barbot.wire.link import Frame

START = 1_790_000_040 * SECOND
"""A whole minute."""
HOST = "http://venue.example"
LATENCY_S = 0.015

Values = tuple[float, float, float, float, float, float]


def values(bar: Bar) -> Values:
    return (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover)


class Witness(Strategy):
    """Notes what it is told, and trades now and then so that there are orders in the digest."""

    history = 20

    def on_start(self) -> None:
        self.closed: dict[str, dict[int, Bar]] = {feed: {} for feed in type(self).feeds}
        self.late: dict[int, int] = {}
        """By the end of bars, how much later the last of them was told, in ns."""
        self.corrected: list[tuple[Bar, Bar]] = []
        self.gaps: list[Gap] = []
        self.told: list[tuple[int, str]] = []
        """(when, what) of closes, gaps and connections, in order."""

    def on_bar_close(self, bar: Bar, history: object) -> None:
        mine = self.closed[bar.feed]
        assert bar.ts_open not in mine, "told once"
        mine[bar.ts_open] = bar
        self.told.append((self.now, f"{bar.quality.name} {(bar.ts_open - START) // MINUTE}"))
        self.late[bar.ts_close] = max(self.late.get(bar.ts_close, 0), self.now - bar.ts_close)
        minute = (bar.ts_open - START) // MINUTE
        if minute % 7 == 0 and minute % 720 < 60 and bar.quality is Quality.OK:
            self.order_target(0 if self.position else Decimal("0.001"))

    def on_bar_correct(self, bar: Bar, previous: Bar, history: object) -> None:
        self.corrected.append((bar, previous))
        if bar.ts_open in self.closed[bar.feed]:
            self.closed[bar.feed][bar.ts_open] = bar

    def on_gap(self, gap: Gap) -> None:
        self.gaps.append(gap)
        self.told.append((self.now, f"GAP {(gap.ts_from - START) // MINUTE} {(gap.ts_to - START) // MINUTE}"))

    def on_connection(self, event: Connected | Disconnected) -> None:
        self.told.append((self.now, f"{type(event).__name__} {event.connection}"))


def witness(*feeds: str, window: int = 20) -> type[Witness]:
    """A `Witness` of these feeds."""
    body: dict[str, object] = {"feeds": list(feeds), "history": window, "__module__": __name__}
    return type("Mine", (Witness,), body)


class VirtualTime:
    """A `PacedClock` on the clock of the event loop; the machine sleeps when it is told to."""

    speed = 1.0

    def __init__(self) -> None:
        self.start = START
        self.behind = 0

    def now(self) -> int:
        return self.true() - self.behind

    def true(self) -> int:
        """Return the time that passes while the machine sleeps, too."""
        return self.start + round(anyio.current_time() * SECOND)

    def shift(self, ns: int) -> None:
        self.start += ns

    def slept_ns(self) -> int:
        return self.behind

    def catch_up(self) -> None:
        self.behind = 0


class VirtualLink:
    """A `Link` to a connection of the simulator."""

    subprotocol = None
    bytes_in = bytes_out = 0

    def __init__(self, network: VirtualNetwork, venue: Connection) -> None:
        self.peer = "venue.example:80"
        self.network = network
        self.venue = venue
        self.is_open = True
        self.is_stuck = False
        self.injected: list[Frame] = []
        self.sent: list[tuple[int, Frame]] = []
        self._roused = anyio.Event()

    async def receive(self) -> list[Frame]:
        await anyio.lowlevel.checkpoint()
        while True:
            now = self.network.now()
            self._roused = anyio.Event()
            if not self.is_open:
                raise LinkLost("closed from here")
            texts: list[Frame] = [*self.venue.to_send(now), *self.injected]
            self.injected.clear()
            if texts:
                return texts
            if self.venue.closing is not None:
                raise LinkLost(f"closed the connection: {self.venue.closing[0]}")
            deadline = self.venue.next_deadline()
            with anyio.move_on_after(None if deadline is None else max(deadline - now, 0) / SECOND):
                await self._roused.wait()

    async def send(self, frames: Sequence[Frame]) -> None:
        if self.is_stuck:
            await anyio.sleep(10)
            raise LinkLost("took no data for 10 s")
        if not self.is_open or self.venue.closing is not None:
            raise LinkLost("broken")
        for frame in frames:
            self.sent.append((self.network.now(), frame))
            self.venue.receive(frame, self.network.now())
        self._roused.set()
        await anyio.lowlevel.checkpoint()

    def inject(self, *frames: Frame) -> None:
        """Let frames arrive that the venue did not send."""
        self.injected += frames
        self._roused.set()

    async def close(self, timeout_s: float) -> None:
        self.is_open = False
        self._roused.set()


class VirtualNetwork:
    """A `Network` with a simulated KuCoin in it."""

    def __init__(self, simulator: KuCoinSimulator, clock: VirtualTime) -> None:
        simulator.serve_at(f"ws{HOST.removeprefix('http')}/endpoint")
        self.simulator = simulator
        self.clock = clock
        self.links: list[VirtualLink] = []
        self.dialled: list[int] = []
        self.refusals: dict[int, Exception] = {}
        """By number, from 1: what comes of a dial instead of a link."""
        self.fetched: list[tuple[int, str]] = []
        self.cuts_on_history = 0
        """How often the newest connection is cut while its history is fetched."""

    def now(self) -> int:
        """Return the venue's time."""
        return self.clock.true()

    async def __aenter__(self) -> VirtualNetwork:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert [link for link in self.links if link.is_open] == [], "every link is closed"

    async def fetch(self, fetch: Fetch) -> HttpAnswer:
        await anyio.sleep(LATENCY_S)
        parts = urlsplit(urldefrag(fetch.url).url)
        self.fetched.append((self.now(), parts.path))
        if self.cuts_on_history and parts.path.endswith("candles"):
            self.cuts_on_history -= 1
            await self.links[-1].close(0)
        target = f"{parts.path}?{parts.query}"
        status, headers, body = self.simulator.rest(fetch.method, target, {}, b"", self.now())
        await anyio.sleep(LATENCY_S)
        return HttpAnswer(status, dict(headers), body.decode())

    async def dial(self, dial: Dial) -> VirtualLink:
        await anyio.sleep(LATENCY_S)
        self.dialled.append(self.now())
        if len(self.dialled) in self.refusals:
            raise self.refusals[len(self.dialled)]
        link = VirtualLink(self, self.simulator.open(urlsplit(dial.url).query, self.now()))
        self.links.append(link)
        return link


class Rehearsal:
    """One live run in virtual time, and what came of it."""

    def __init__(
        self, folder: Path, strategy: type[Strategy], simulator: KuCoinSimulator, *, minutes: float, **options: object
    ) -> None:
        plan = RunPlan(
            strategy=strategy, strategy_file="mine.py", params={}, feeds=(), cash={"": Decimal(100_000)},
            paper=PaperSettings(), limits=RiskLimits(), runs_dir=folder, endpoints={"kucoin": HOST},
            run_for_s=minutes * 60,
        )  # fmt: skip
        self.folder = folder
        self.plan = msgspec.structs.replace(plan, **options)
        self.clock = VirtualTime()
        self.network = VirtualNetwork(simulator, self.clock)
        self.simulator = simulator
        self.timer = MockClock(autojump_threshold=0)
        self.problems: list[Problem] = []
        self.statuses: list[LiveStatus] = []
        self.stop = Event()
        self.during: Callable[[Rehearsal], object] | None = None

    def run(self, *, network: AbstractAsyncContextManager[Network] | None = None, look_s: float = 10.0) -> RunOutcome:
        live = self.live = LiveRun(
            self.plan, environment={}, tell=self.problems.append, clock=self.clock,
            network=network or self.network, look_s=look_s,
        )  # fmt: skip
        self.outcome: RunOutcome = anyio.run(
            live.serve, self.stop, self.show, backend="trio", backend_options={"clock": self.timer}
        )
        return self.outcome

    def show(self, status: LiveStatus) -> None:
        self.statuses.append(status)
        if self.during is not None:
            self.during(self)

    @property
    def witness(self) -> Witness:
        assert self.live.line is not None
        strategy = self.live.line.strategy
        assert isinstance(strategy, Witness)
        return strategy

    @property
    def journal(self) -> Path:
        (journal,) = self.folder.glob(f"*/{JOURNAL}")
        return journal

    def sleep(self, seconds: float) -> None:
        """Let the machine sleep."""
        self.timer.jump(seconds)
        self.clock.behind += round(seconds * SECOND)

    def check_journal(self) -> list[Record]:
        """Return the records; no stamp goes back, and a connection has none before it is up and after it is lost."""
        with open_reader(self.journal) as reader:
            records = list(reader)
            assert (reader.sealed, reader.torn) == (True, "")
        up: set[str] = set()
        last = 0
        for record in records:
            assert record.ts >= last, record
            last = record.ts
            if isinstance(record, Connect):
                assert record.connection not in up
                up.add(record.connection)
            elif not isinstance(record, Seal):
                assert record.connection in up, record
                if isinstance(record, Drop):
                    up.remove(record.connection)
        return records

    def replay(self) -> RunOutcome:
        """Check the journal of the run, and replay it by the same plan."""
        self.check_journal()
        plan = msgspec.structs.replace(self.plan, feeds=(str(self.journal),), runs_dir=None)
        return Replay(plan, clock=SystemClock()).run()

    def bars(self, feed: str) -> Iterator[tuple[int, Bar]]:
        """Yield (minute since the start, bar) of a feed as last corrected, in the order of their closes."""
        for ts_open, bar in self.witness.closed[feed].items():
            yield (ts_open - START) // MINUTE, bar

    def missing(self, feed: str) -> list[int]:
        """Return the minutes that lie between the first bar and the last and have none, or one out of order."""
        minutes = [minute for minute, _ in self.bars(feed)]
        expected = list(range(minutes[0], minutes[-1] + 1))
        assert minutes == sorted(set(minutes)), "each once and in order"
        return sorted(set(expected) - set(minutes))

    def wrong(self, feed: str) -> list[tuple[int, Bar]]:
        """Return the bars that are not what the market made."""
        bars = self.witness.closed[feed]
        symbol = feed.partition(":")[2].partition("@")[0]
        first, last = min(bars), max(bars)
        truth = {
            candle.ts_open: candle.floats
            for candle in self.simulator.market.candles(symbol, "1m", first - DAY // 24, last + 1)
        }
        before = [ts for ts in truth if ts < first]
        price = truth[max(before)][3] if before else 0.0
        found = []
        for ts_open, bar in bars.items():
            wanted = truth.get(ts_open, (price, price, price, price, 0.0, 0.0))
            price = wanted[3]
            if values(bar) != wanted:
                found.append(((ts_open - START) // MINUTE, bar))
        return found


class Stage:
    """Makes simulators and rehearsals."""

    START = START
    HOST = HOST
    witness = staticmethod(witness)
    Network = VirtualNetwork
    Link = VirtualLink
    Time = VirtualTime

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    @staticmethod
    def at(minutes: float) -> int:
        return START + round(minutes * MINUTE)

    @staticmethod
    def tape(symbol: str = "BTC-USDT", **options: object) -> Tape:
        return walking(symbol, seed=3, ts_first=START - 2 * DAY, **options)  # type: ignore[arg-type]  # of walking

    def simulator(
        self,
        *tapes: Tape,
        faults: Iterable[Fault] = (),
        chances: Chances | None = None,
        settings: KuCoinSettings | None = None,
    ) -> KuCoinSimulator:
        return KuCoinSimulator(
            Market(tapes or [self.tape()]), settings or KuCoinSettings(), Chaos(list(faults), chances)
        )

    def rehearse(
        self, simulator: KuCoinSimulator, *feeds: str, minutes: float, window: int = 20, **options: object
    ) -> Rehearsal:
        """Make a live run; it is run by its `run`."""
        strategy = witness(*(feeds or ("kucoin:BTC-USDT@1m",)), window=window)
        self._count += 1
        return Rehearsal(self.folder / f"{self._count}", strategy, simulator, minutes=minutes, **options)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)
