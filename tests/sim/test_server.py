"""The simulated KuCoin over loopback: the same behaviours through HTTP, WebSocket and TCP."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from barbot.errors import ConfigError
from barbot.sim.chaos import Fault
from barbot.sim.kucoin.settings import KuCoinSettings
from barbot.sim.pace import ScaledClock
from barbot.sim.walk import walking
from barbot.timing.interval import DAY, SECOND

if TYPE_CHECKING:
    from tests.sim.conftest import Rig

START = 1_790_000_040 * SECOND
LIMIT_S = 20.0


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test; nothing here may take long."""

    async def limited() -> None:
        with anyio.fail_after(LIMIT_S):
            await test()

    anyio.run(limited)


async def endpoint(address: str) -> str:
    """Ask for a token; return the address to connect to."""
    async with httpx.AsyncClient(trust_env=False) as http:
        reply = (await http.post(f"http://{address}/api/v1/bullet-public")).json()["data"]
    return f"{reply['instanceServers'][0]['endpoint']}?token={reply['token']}&connectId=me"


async def dial(address: str) -> ClientConnection:
    connection = await connect(await endpoint(address), proxy=None, ping_interval=None, max_queue=None)
    assert json.loads(await connection.recv()) == {"id": "me", "type": "welcome"}
    return connection


def test_requests_share_a_connection(rig: Rig) -> None:
    async def test() -> None:
        async with rig.serving(rig.simulator()) as address, httpx.AsyncClient(trust_env=False) as http:
            replies = [await http.get(f"http://{address}/{path}") for path in ("api/v1/status", "nowhere")]
            assert [(reply.status_code, reply.json()["code"]) for reply in replies] == [(200, "200000"), (404, "404")]
            streams = {id(reply.extensions["network_stream"]) for reply in replies}
            assert len(streams) == 1
            assert replies[0].headers["gw-ratelimit-limit"] == "2000"

    run(test)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"nonsense\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 1_100_000, b"HTTP/1.1 413 "),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            b"HTTP/1.1 400 Bad Request",
        ),
    ],
)
def test_what_is_no_request_is_told_so(rig: Rig, sent: bytes, answer: bytes) -> None:
    async def test() -> None:
        async with rig.serving(rig.simulator()) as address:
            host, _, port = address.partition(":")
            async with await anyio.connect_tcp(host, int(port)) as stream:
                await stream.send(sent)
                assert (await stream.receive())[: len(answer)] == answer

    run(test)


def test_candles_over_a_socket_are_the_markets(rig: Rig) -> None:
    async def test() -> None:
        tape = walking("BTC-USDT", seed=3, ts_first=START - DAY, trades_per_minute=60.0)
        simulator = rig.simulator(tape, settings=KuCoinSettings(idle_s=1e6))
        async with rig.serving(simulator, speed=600) as address, await dial(address) as socket:
            assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"]
            topic = "/market/candles:BTC-USDT_1min"
            await socket.send(json.dumps({"id": 1, "type": "subscribe", "topic": topic, "response": True}))
            last: dict[int, list[str]] = {}
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "message":
                    row = message["data"]["candles"]
                    last[int(row[0])] = row
                    if len(last) == 4:
                        break
            *done, _ = last.values()
            first = int(done[0][0]) * SECOND
            truth = simulator.market.candles("BTC-USDT", "1m", first, first + 180 * SECOND)
            assert done == [
                [str(c.ts_open // SECOND), c.open, c.close, c.high, c.low, c.volume, c.turnover] for c in truth
            ]

    run(test)


def test_a_silent_client_gets_a_close(rig: Rig) -> None:
    async def test() -> None:
        async with rig.serving(rig.simulator(), speed=600) as address, await dial(address) as socket:
            assert json.loads(await socket.recv()) == {"type": "error", "code": 400, "data": "ping timeout"}
            with pytest.raises(ConnectionClosedOK) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "Bye")

    run(test)


def test_a_drop_ends_without_a_close(rig: Rig) -> None:
    async def test() -> None:
        simulator = rig.simulator(faults=[Fault(rig.at(30), "drop")])
        async with rig.serving(simulator, speed=100) as address, await dial(address) as socket:
            with pytest.raises(ConnectionClosedError) as closed:
                await socket.recv()
            assert closed.value.rcvd is None

    run(test)


def test_nobody_answers_during_an_outage(rig: Rig) -> None:
    async def test() -> None:
        simulator = rig.simulator(faults=[Fault(START, "outage", seconds=60)])
        async with rig.serving(simulator, speed=100) as address:
            with pytest.raises(httpx.TransportError):
                await endpoint(address)
            while True:
                try:
                    connection = await dial(address)
                except httpx.TransportError:
                    continue
                await connection.close()
                return

    run(test)


def test_an_expired_token_may_get_401(rig: Rig) -> None:
    async def test() -> None:
        settings = KuCoinSettings(token_lifetime_s=0.001, refuses_by_http=True)
        async with rig.serving(rig.simulator(settings=settings)) as address:
            with pytest.raises(InvalidStatus) as refused:
                await dial(address)
            assert refused.value.response.status_code == 401

    run(test)


def test_a_slow_venue_answers_late(rig: Rig) -> None:
    async def test() -> None:
        simulator = rig.simulator(faults=[Fault(START, "slow", amount_s=20.0)])
        async with rig.serving(simulator, speed=100) as address, httpx.AsyncClient(trust_env=False) as http:
            begun = anyio.current_time()
            assert (await http.get(f"http://{address}/api/v1/status")).status_code == 200
            assert anyio.current_time() - begun >= 0.2

    run(test)


def test_clients_that_vanish_leave_the_others_alone(rig: Rig) -> None:
    async def test() -> None:
        tape = rig.tape("BTC-USDT", *((second, 100, 1) for second in range(1, 3000)))
        async with rig.serving(rig.simulator(tape), speed=100) as address:
            sockets = [await dial(address) for _ in range(3)]
            for socket in sockets:
                await socket.send('{"type":"subscribe","topic":"/market/match:BTC-USDT"}')
            sockets[0].transport.abort()
            await sockets[1].close()
            told = [json.loads(await sockets[2].recv())["data"]["sequence"] for _ in range(50)]
            assert told == [str(int(told[0]) + number) for number in range(50)]
            await sockets[2].close()

    run(test)


def test_a_client_that_closes_in_the_middle_of_a_flood_is_let_go(rig: Rig) -> None:
    async def test() -> None:
        tape = rig.tape("BTC-USDT", *((1 + number / 1000, 100, 1) for number in range(30_000)))
        async with rig.serving(rig.simulator(tape), speed=100) as address:
            for _ in range(5):
                socket = await dial(address)
                await socket.send('{"type":"subscribe","topic":"/market/match:BTC-USDT"}')
                await socket.recv()
                await socket.close()
                assert socket.close_code == 1000
            async with httpx.AsyncClient(trust_env=False) as http:
                assert (await http.get(f"http://{address}/api/v1/status")).status_code == 200

    run(test)


def test_a_clock_runs_at_its_speed() -> None:
    clock = ScaledClock(START, speed=1e6)
    assert clock.now() >= START
    assert clock.wall_s(2_000_000 * SECOND) == 2.0
    assert clock.wall_s(-5) == 0.0
    for speed in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="a clock cannot run at"):
            ScaledClock(START, speed)
