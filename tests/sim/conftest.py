"""A KuCoin in virtual time, a client that talks to it, and tapes of trades told one by one."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest

from barbot.model.market import Side, Trade
from barbot.sim.chaos import Chances, Chaos, Fault
from barbot.sim.kucoin.settings import KuCoinSettings
from barbot.sim.kucoin.simulator import Connection, KuCoinSimulator
from barbot.sim.market import Listing, Market, Tape
from barbot.sim.pace import ScaledClock
from barbot.sim.recorded import RecordedTape, tape_of_trades
from barbot.sim.server import serve
from barbot.timing.interval import SECOND

START = 1_790_000_040 * SECOND
"""A whole minute; every test begins here."""

Told = tuple[float, dict[str, object]]


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


class Client:
    """A client in virtual time: it sends when it is told to, and notes what comes and when (seconds)."""

    def __init__(self, connection: Connection, now: int) -> None:
        self.connection = connection
        self._now = now

    def send(self, message: object, seconds: float) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        self.connection.receive(text, at(seconds))

    def texts(self, until: float) -> list[tuple[float, str]]:
        """Return all texts up to a time, each with when it came."""
        came = []
        while True:
            came += [((self._now - START) / SECOND, text) for text in self.connection.to_send(self._now)]
            deadline = self.connection.next_deadline()
            if deadline is None or deadline > at(until):
                return came
            self._now = max(deadline, self._now)

    def hear(self, until: float) -> list[Told]:
        return [(seconds, json.loads(text)) for seconds, text in self.texts(until)]

    def pushes(self, until: float) -> list[Told]:
        """Keep the connection alive up to a time; return the pushes without what answers us."""
        heard = []
        seconds = (self._now - START) / SECOND
        while seconds < until and self.connection.closing is None:
            self.send({"type": "ping"}, seconds)
            seconds = min(seconds + 30, until)
            heard += [told for told in self.hear(seconds) if told[1]["type"] == "message"]
            self._now = max(self._now, at(seconds))
        return heard

    def messages(self, until: float) -> list[dict[str, object]]:
        return [message for _, message in self.hear(until)]


def make_tape(symbol: str, *trades: tuple[float, float, float]) -> RecordedTape:
    """Trades as (seconds after the start, price, size)."""
    base, _, quote = symbol.partition("-")
    listing = Listing(symbol=symbol, base=base, quote=quote, price_decimals=2, size_decimals=4)
    return tape_of_trades(
        listing,
        [Trade(f"kucoin:{symbol}", price, size, at(seconds), aggressor=Side.BUY) for seconds, price, size in trades],
    )


@asynccontextmanager
async def serving(simulator: KuCoinSimulator, speed: float = 1.0) -> AsyncIterator[str]:
    """Serve a simulator on loopback, its clock at the start of the test; yield `127.0.0.1:PORT`."""
    address: list[str] = []
    up, is_over = anyio.Event(), threading.Event()

    def ready(port: int) -> None:
        address.append(f"127.0.0.1:{port}")
        simulator.serve_at(f"ws://127.0.0.1:{port}/endpoint")
        up.set()

    async with anyio.create_task_group() as group:
        clock = ScaledClock(START, speed)
        group.start_soon(lambda: serve(simulator, clock, ready=ready, stopped=is_over.is_set))
        await up.wait()
        yield address[0]
        is_over.set()


class Rig:
    """Makes simulators and clients."""

    START = START
    at = staticmethod(at)
    tape = staticmethod(make_tape)
    serving = staticmethod(serving)

    def simulator(
        self,
        *tapes: Tape,
        faults: Iterable[Fault] = (),
        chances: Chances | None = None,
        settings: KuCoinSettings | None = None,
        exact: bool = True,
    ) -> KuCoinSimulator:
        """Make a KuCoin, unless not `exact` one whose acks take a tenth of a second and whose REST never lags."""
        chosen = settings or KuCoinSettings()
        if exact:
            chosen = msgspec.structs.replace(chosen, late_ack_chance=0.0, ack_delay_s=(0.1, 0.1), rest_delay_s=0.0)
        market = Market(tapes or [make_tape("BTC-USDT", (-3600, 100, 1))])
        return KuCoinSimulator(market, chosen, Chaos(list(faults), chances))

    def token(self, simulator: KuCoinSimulator, seconds: float = 0.0) -> str:
        """Ask for a token, as a client does."""
        _, _, body = simulator.rest("POST", "/api/v1/bullet-public", {}, b"", at(seconds))
        issued = json.loads(body)["data"]["token"]
        assert isinstance(issued, str)
        return issued

    def client(
        self, simulator: KuCoinSimulator, seconds: float = 0.0, query: str = "connectId=me", token: str = ""
    ) -> Client:
        """Connect a client, with a token of that moment unless one is given."""
        name = token or self.token(simulator, seconds)
        return Client(simulator.open(f"token={name}&{query}", at(seconds)), at(seconds))

    def listener(self, simulator: KuCoinSimulator, topic: str, seconds: float = 0.0) -> Client:
        """Connect a client that listens to a topic; the welcome is taken."""
        client = self.client(simulator, seconds)
        client.hear(seconds)
        client.send({"type": "subscribe", "topic": topic}, seconds)
        return client

    def ask(self, simulator: KuCoinSimulator, target: str, seconds: float = 0.0) -> tuple[int, dict[str, object]]:
        """GET a path; return the status and the reply."""
        status, _, body = simulator.rest("GET", target, {}, b"", at(seconds))
        reply: dict[str, object] = json.loads(body)
        return status, reply


@pytest.fixture
def rig() -> Rig:
    return Rig()
