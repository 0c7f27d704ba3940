"""Unmodified clients of other people accept the simulated KuCoin, and see the market's own numbers.

Each runs in a process of its own, with a time limit; where a package is not installed (`pip install
'barbot[conformance]'`) its test is skipped. Loopback only.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio
import pytest

from barbot.sim.kucoin.settings import KuCoinSettings
from barbot.sim.kucoin.simulator import KuCoinSimulator
from barbot.sim.market import Market
from barbot.sim.pace import ScaledClock
from barbot.sim.server import serve
from barbot.sim.walk import walking
from barbot.timing.clock import SystemClock
from barbot.timing.interval import DAY, MINUTE, SECOND

LIMIT_S: Final = 60.0
PUSHES: Final = 3
Row = list[str]

OFFICIAL: Final = """
    import json, os, sys, threading
    from kucoin_universal_sdk.api import DefaultClient
    from kucoin_universal_sdk.generate.spot.market.model_get_klines_req import GetKlinesReqBuilder
    from kucoin_universal_sdk.model import (
        ClientOptionBuilder, TransportOptionBuilder, WebSocketClientOptionBuilder,
    )

    base, pushes = sys.argv[1], int(sys.argv[2])
    options = (
        ClientOptionBuilder().set_key("").set_secret("").set_passphrase("")
        .set_spot_endpoint(base).set_futures_endpoint(base).set_broker_endpoint(base)
        .set_transport_option(TransportOptionBuilder().build())
        .set_websocket_client_option(WebSocketClientOptionBuilder().build()).build()
    )
    client = DefaultClient(options)
    seen, done = [], threading.Event()

    def hear(topic, subject, event):
        seen.append(event.candles)
        if len(seen) >= pushes:
            done.set()

    socket = client.ws_service().new_spot_public_ws()
    socket.start()
    name = socket.klines("BTC-USDT", "1min", hear)
    assert done.wait(40), "no candles came"
    socket.unsubscribe(name)
    socket.stop()
    market = client.rest_service().get_spot_service().get_market_api()
    request = GetKlinesReqBuilder().set_symbol("BTC-USDT").set_type("1min").set_start_at(0).set_end_at(0).build()
    print(json.dumps({"seen": seen, "history": market.get_klines(request).data}), flush=True)
    os._exit(0)
"""

PYTHON_KUCOIN: Final = """
    import asyncio, json, os, sys
    from kucoin.asyncio import KucoinSocketManager
    from kucoin.client import Client

    async def main():
        seen, done = [], asyncio.Event()

        async def hear(message):
            seen.append(message["data"]["candles"])
            if len(seen) >= int(sys.argv[2]):
                done.set()

        client = Client("", "", "")
        client.API_URL = sys.argv[1]
        manager = await KucoinSocketManager.create(asyncio.get_running_loop(), client, hear)
        await manager.subscribe("/market/candles:BTC-USDT_1min")
        await asyncio.wait_for(done.wait(), 40)
        print(json.dumps({"seen": seen, "history": client.get_kline_data("BTC-USDT", "1min")}), flush=True)
        os._exit(0)  # it swallows cancellation

    asyncio.run(main())
"""

CCXT: Final = """
    import asyncio, json, sys
    import ccxt.pro

    def everywhere(urls, base):
        if isinstance(urls, dict):
            return {name: everywhere(url, base) for name, url in urls.items()}
        return base if isinstance(urls, str) else urls

    async def main():
        exchange = ccxt.pro.kucoin({"options": {"fetchMarkets": {"types": ["spot"]}}})
        exchange.urls["api"] = everywhere(exchange.urls["api"], sys.argv[1])
        try:
            history = await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=50)
            seen = [(await exchange.watch_ohlcv("BTC/USDT", "1m"))[-1][:] for _ in range(int(sys.argv[2]))]
            print(json.dumps({"seen": seen, "history": history}))
        finally:
            await exchange.close()

    asyncio.run(main())
"""


@contextmanager
def served() -> Iterator[tuple[str, Market, int]]:
    """Serve a busy BTC-USDT at the wall's speed in another thread; yield its address, market and start."""
    start = SystemClock().now()
    market = Market([walking("BTC-USDT", seed=4, ts_first=start - DAY, trades_per_minute=300.0)])
    simulator = KuCoinSimulator(market, KuCoinSettings(seed=4))
    addresses: list[str] = []
    up, is_over = threading.Event(), threading.Event()

    def ready(port: int) -> None:
        addresses.append(f"http://127.0.0.1:{port}")
        simulator.serve_at(f"ws://127.0.0.1:{port}/endpoint")
        up.set()

    async def run() -> None:
        await serve(simulator, ScaledClock(start), ready=ready, stopped=is_over.is_set)

    thread = threading.Thread(target=anyio.run, args=(run,))
    thread.start()
    try:
        assert up.wait(LIMIT_S)
        yield addresses[0], market, start
    finally:
        is_over.set()
        thread.join(LIMIT_S)


def require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'barbot[conformance]'")


def talk(program: str, address: str) -> dict[str, list[list[object]]]:
    """Run a client in its own process; return the candles it was pushed (`seen`) and those it read (`history`)."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), address, str(PUSHES)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, list[list[object]]] = json.loads(done.stdout.splitlines()[-1])
    return said


def states(market: Market, start: int) -> list[Row]:
    """Return every state that the candles since `start` went through, as KuCoin writes them."""
    found = []
    first = start - start % MINUTE
    for tick in market.trades("BTC-USDT", first, SystemClock().now() + SECOND):
        ts_open = tick.ts - tick.ts % MINUTE
        (c,) = market.candles("BTC-USDT", "1m", ts_open, ts_open + 1, until=tick.ts + 1)
        found.append([str(c.ts_open // SECOND), c.open, c.close, c.high, c.low, c.volume, c.turnover])
    return found


def closed(market: Market, rows: list[Row]) -> list[Row]:
    """Return what the market has of the minutes of these rows, newest first."""
    stamps = [int(row[0]) * SECOND for row in rows]
    candles = market.candles("BTC-USDT", "1m", min(stamps), max(stamps) + 1)
    return [[str(c.ts_open // SECOND), c.open, c.close, c.high, c.low, c.volume, c.turnover] for c in reversed(candles)]


@pytest.mark.parametrize(
    ("package", "program"), [("kucoin_universal_sdk", OFFICIAL), ("kucoin", PYTHON_KUCOIN)], ids=["official", "python"]
)
def test_a_client_hears_and_reads_the_markets_candles(package: str, program: str) -> None:
    require(package)
    with served() as (address, market, start):
        said = talk(program, address)
    known = states(market, start)
    seen, history = said["seen"], [[str(cell) for cell in row] for row in said["history"]]
    assert [row for row in seen if row not in known] == []
    assert len(seen) >= PUSHES
    assert len(history) == 100
    assert history[0] in known
    assert history[2:] == closed(market, history[2:])


def test_ccxt_hears_and_reads_the_markets_candles() -> None:
    require("ccxt")
    with served() as (address, market, start):
        said = talk(CCXT, address)
    known = [[int(row[0]) * 1000, *(float(row[i]) for i in (1, 3, 4, 2, 5))] for row in states(market, start)]
    seen, history = said["seen"], said["history"]
    assert [row for row in seen if row not in known] == []
    assert len(seen) == PUSHES
    assert len(history) == 50
    stamps = [int(str(row[0])) * 1_000_000 for row in history]
    candles = market.candles("BTC-USDT", "1m", min(stamps), max(stamps) + 1)
    wanted: list[list[object]] = [[c.ts_open // 1_000_000, *c.floats[:5]] for c in candles]
    assert history[:-2] == wanted[:-2]
