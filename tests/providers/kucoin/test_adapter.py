"""One run: settings, symbols, clock, plans, addresses, and when to ask again."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from barbot.errors import ConfigError, VenueError
from barbot.model.instrument import Instrument
from barbot.model.market import Connected
from barbot.providers.base import (
    Adapter,
    Answer,
    ClockOffset,
    ConnectionPlan,
    Fetch,
    Purpose,
    VenueConnection,
    find_provider,
)
from barbot.providers.kucoin.connection import KuCoinConnection
from barbot.timing.interval import HOUR, MINUTE, SECOND

T = 1_790_000_000 * SECOND
BTC = {
    "symbol": "BTC-USDT", "baseCurrency": "BTC", "quoteCurrency": "USDT", "baseMinSize": "0.00001",
    "baseMaxSize": "10000000000", "baseIncrement": "0.00000001", "priceIncrement": "0.1", "minFunds": "0.1",
    "enableTrading": True, "callauctionPriceFloor": None,
}  # fmt: skip
SYMBOLS = [BTC, BTC | {"symbol": "ETH-USDT", "baseCurrency": "ETH", "enableTrading": False}]
CONTRACTS = [
    {
        "symbol": "XBTUSDTM", "baseCurrency": "XBT", "quoteCurrency": "USDT", "settleCurrency": "USDT", "lotSize": 1,
        "tickSize": 0.1, "maxOrderQty": 1000000, "multiplier": 0.001, "isInverse": False, "status": "Open",
    },
    {"symbol": "XBTUSDM", "quoteCurrency": "USD", "settleCurrency": "XBT", "multiplier": -1.0, "isInverse": True},
]  # fmt: skip


def adapter(*feeds: str, endpoint: str = "", provider: str = "kucoin", **options: object) -> Adapter:
    make = find_provider(provider).make_adapter
    assert make is not None
    return make(options, feeds or ("kucoin:BTC-USDT@1m",), endpoint)


def reply(data: object, *, ts_sent: int = 0, ts_recv: int = 0) -> Answer:
    return Answer(status=200, body=json.dumps({"data": data, "code": "200000"}), ts_sent=ts_sent, ts_recv=ts_recv)


def token(*endpoints: str, **more: int) -> Answer:
    servers = [{"endpoint": endpoint, "encrypt": True, "protocol": "websocket"} | more for endpoint in endpoints]
    return reply({"token": "2ne/w+A=-_.x&y", "instanceServers": servers})


def start(run: Adapter, listed: object) -> None:
    for fetch, answer in zip(run.startup(), (reply(1_790_000_000_000), reply(listed)), strict=True):
        run.receive_startup(fetch, answer)


def test_what_is_fetched_first() -> None:
    assert adapter(endpoint="http://127.0.0.1:9/").startup() == [
        Fetch(url="http://127.0.0.1:9/api/v1/timestamp", purpose=Purpose.STARTUP),
        Fetch(url="http://127.0.0.1:9/api/v2/symbols", purpose=Purpose.STARTUP),
    ]
    futures = adapter("kucoin-futures:XBTUSDTM@1m", provider="kucoin-futures")
    assert [fetch.url for fetch in futures.startup()] == [
        "https://api-futures.kucoin.com/api/v1/timestamp",
        "https://api-futures.kucoin.com/api/v1/contracts/active",
    ]


def test_the_clock_is_read_halfway() -> None:
    run = adapter()
    clock, _ = run.startup()
    run.receive_startup(clock, reply(1_790_000_000_000, ts_sent=T - SECOND, ts_recv=T - SECOND // 2))
    assert run.clock == ClockOffset(3 * SECOND // 4, SECOND // 4 + 1_000_000)


def test_symbols_become_instruments() -> None:
    run = adapter("kucoin:BTC-USDT@1m", "kucoin:BTC-USDT@1h", "kucoin:ETH-USDT@1m")
    assert run.instruments["kucoin:BTC-USDT"] == Instrument.bare("kucoin:BTC-USDT")
    start(run, SYMBOLS)
    assert list(run.instruments) == ["kucoin:BTC-USDT", "kucoin:ETH-USDT"]
    assert run.instruments["kucoin:BTC-USDT"] == Instrument(
        provider="kucoin", symbol="BTC-USDT", currency="USDT", base="BTC", price_increment=Decimal("0.1"),
        quantity_increment=Decimal("0.00000001"), min_quantity=Decimal("0.00001"), max_quantity=Decimal(10**10),
        min_notional=Decimal("0.1"),
    )  # fmt: skip
    assert run.warnings == ["kucoin:ETH-USDT is listed but not open for trading: there may be no data"]


def test_contracts_count_in_lots() -> None:
    run = adapter("kucoin-futures:XBTUSDTM@1m", provider="kucoin-futures")
    start(run, CONTRACTS)
    assert run.instruments == {
        "kucoin-futures:XBTUSDTM": Instrument(
            provider="kucoin-futures", symbol="XBTUSDTM", currency="USDT", price_increment=Decimal("0.1"),
            quantity_increment=Decimal(1), min_quantity=Decimal(1), max_quantity=Decimal(1_000_000),
            multiplier=Decimal("0.001"),
        )
    }  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "feed", "listed", "message"),
    [
        (
            "kucoin", "kucoin:btc-usdt@1m", SYMBOLS,
            "kucoin:btc-usdt: KuCoin spot does not list 'btc-usdt'. Did you mean BTC-USDT or ETH-USDT?",
        ),
        (
            "kucoin", "kucoin:XXXXXX@1m", SYMBOLS,
            "kucoin:XXXXXX: KuCoin spot does not list 'XXXXXX'. See the venue's list of markets",
        ),
        (
            "kucoin-futures", "kucoin-futures:BTCUSDTM@1m", CONTRACTS,
            "kucoin-futures:BTCUSDTM: KuCoin futures does not list 'BTCUSDTM'. Did you mean XBTUSDTM or XBTUSDM?",
        ),
        (
            "kucoin-futures", "kucoin-futures:XBTUSDM@1m", CONTRACTS,
            "kucoin-futures:XBTUSDM: XBTUSDM is an inverse contract, whose value is counted in the coin itself; "
            "barbot cannot account so. Use the contract that is settled in USDT or USDC",
        ),
    ],
)  # fmt: skip
def test_a_symbol_that_cannot_be_had_is_named(provider: str, feed: str, listed: object, message: str) -> None:
    run = adapter(feed, provider=provider)
    with pytest.raises(ConfigError) as caught:
        start(run, listed)
    assert str(caught.value) == message


def test_a_bar_length_that_is_not_offered_is_named_before_anything_is_asked() -> None:
    with pytest.raises(ConfigError) as caught:
        adapter("kucoin-futures:XBTUSDTM@6h", provider="kucoin-futures")
    assert str(caught.value) == (
        "kucoin-futures:XBTUSDTM@6h: KuCoin futures offers no 6h bars. 2h divides it. "
        "It offers: 1m 3m 5m 15m 30m 1h 2h 4h 8h 12h 1d 1w 1M"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"silent_bar": 3},
            "kucoin.silent_bar: there is no such setting. Did you mean silent_bars? There are: endpoint, "
            "topics_per_connection, welcome_timeout_s, ack_timeout_s, connection_lifetime_h, "
            "history_lag_s, silent_bars",
        ),
        (
            {"topics_per_connection": 500},
            "kucoin.topics_per_connection: Input should be less than or equal to 400. Correct the setting",
        ),
        (
            {"endpoint": "api.kucoin.com"},
            "kucoin.endpoint: 'api.kucoin.com' is not an address. Write https://HOST or http://HOST:PORT",
        ),
    ],
)
def test_a_setting_that_is_wrong_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        adapter(**settings)  # type: ignore[arg-type]  # settings of all types
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("answer", "retryable"),
    [
        (Answer(status=403, body="<title>Blocked</title>"), False),
        (Answer(status=0, body="no route"), True),
        (Answer(status=200, body='{"code":"503000","msg":"busy"}'), True),
        (Answer(status=200, body='{"code":"200000","data":{}}'), False),
    ],
)
def test_a_startup_that_fails_says_so(answer: Answer, retryable: bool) -> None:
    run = adapter()
    for fetch in run.startup():
        with pytest.raises(VenueError) as caught:
            run.receive_startup(fetch, answer)
        assert caught.value.retryable is retryable


def test_every_connection_fetches_a_token_which_is_never_recorded() -> None:
    run = adapter()
    (plan,) = run.plan()
    fetch = run.credentials(plan)
    assert fetch == Fetch(url="https://api.kucoin.com/api/v1/bullet-public", purpose=Purpose.CREDENTIALS, method="POST")
    assert not fetch.is_recorded


def test_the_address_comes_with_the_token() -> None:
    run = adapter()
    (plan,) = run.plan(trades=["kucoin:BTC-USDT"])
    assert plan == ConnectionPlan(name="kucoin-1", feeds=("kucoin:BTC-USDT@1m",), trades=("kucoin:BTC-USDT",))
    answer = token("wss://a/", "wss://b/endpoint", "wss://c/x?y=1")
    urls = [run.dial(plan, "kucoin-1#2", answer, T, attempt=attempt).url for attempt in range(4)]
    query = "token=2ne%2Fw%2BA%3D-_.x%26y&connectId=kucoin-1%232-1790000000000000000"
    assert urls == [f"wss://a/?{query}", f"wss://b/endpoint?{query}", f"wss://c/x?y=1&{query}", f"wss://a/?{query}"]


def test_the_heartbeat_comes_with_the_token() -> None:
    run = adapter()
    (plan,) = run.plan()
    line: VenueConnection = run.dial(plan, "c", token("wss://a", pingInterval=50_000, pingTimeout=4_000), T).connection
    line.connection_made(T)
    line.receive_frame('{"id":"x","type":"welcome"}', T)
    line.receive_frame('{"id":"1/1","type":"ack"}', T)
    assert (line.name, line.feeds, line.is_ready, line.next_deadline()) == ("c", plan.feeds, True, T + 25 * SECOND)
    line.handle_deadline(T + 25 * SECOND)
    assert line.next_deadline() == T + 29 * SECOND


def test_connections_retire_before_a_day_is_over_and_one_after_another() -> None:
    run = adapter(*(f"kucoin:S{n}-USDT@1m" for n in range(60)), topics_per_connection=20)
    ends = [run.dial(plan, plan.name, token("wss://a"), T).connection.retire_at - T for plan in run.plan()]
    assert ends == [24 * HOUR - 15 * MINUTE - n * 30 * SECOND for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("endpoint", "answer", "works"),
    [
        ("https://h", token("ws://a"), False),
        ("http://127.0.0.1:9", token("ws://a"), True),
        ("https://h", token("http://a"), False),
        ("https://h", token(), False),
        ("https://h", reply({"token": "", "instanceServers": [{"endpoint": "wss://a"}]}), False),
        ("https://h", None, False),
    ],
)
def test_a_token_is_not_taken_to_an_address_that_is_not_encrypted(
    endpoint: str, answer: Answer | None, works: bool
) -> None:
    run = adapter(endpoint=endpoint)
    (plan,) = run.plan()
    if works:
        assert isinstance(run.dial(plan, "c", answer, T).connection, KuCoinConnection)
    else:
        with pytest.raises(VenueError):
            run.dial(plan, "c", answer, T)


@pytest.mark.parametrize(
    ("status", "body", "headers", "seconds"),
    [
        (200, '{"code":"200000","data":[]}', {}, None),
        (200, '{"code":"400100","msg":"x"}', {}, None),
        (404, '{"code":"404","msg":"Not Found"}', {}, None),
        (429, '{"code":"429000","msg":"x"}', {"gw-ratelimit-reset": "12500"}, 12.5),
        (429, '{"code":"429000","msg":"x"}', {}, 0.0),
        (429, '{"code":"429000","msg":"x"}', {"gw-ratelimit-reset": "soon"}, 0.0),
        (200, '{"code":"200002","msg":"x"}', {}, 10.0),
        (500, '{"code":"500000","msg":"x"}', {}, 1.0),
        (200, '{"code":"503000","msg":"busy"}', {}, 1.0),
        (502, "<html>bad gateway</html>", {}, 1.0),
        (429, "error code: 1015", {}, 30.0),
        (403, "You are being rate limited", {}, 30.0),
        (403, "<title>Forbidden</title>", {}, None),
        (451, "", {}, None),
        (0, "connection refused", {}, 1.0),
    ],
)
def test_when_to_ask_again(status: int, body: str, headers: dict[str, str], seconds: float | None) -> None:
    fetch = Fetch(url="https://h", purpose=Purpose.HISTORY)
    assert adapter().retry_after(fetch, Answer(status=status, body=body, headers=headers)) == seconds


@pytest.mark.parametrize("name", ["kucoin", "kucoin-futures"])
def test_finding_the_provider_and_its_codec_loads_no_network_library(name: str) -> None:
    code = (
        f"import sys; from barbot.providers.base import find_provider; p = find_provider({name!r}); "
        "p.make_decoder('c', ()); print([m for m in ('httpx', 'websockets', 'anyio', 'pydantic') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_the_providers_declare() -> None:
    spot, futures = find_provider("kucoin"), find_provider("kucoin-futures")
    assert (spot.name, futures.name, futures.week_anchor - spot.week_anchor) == (
        "kucoin",
        "kucoin-futures",
        4 * 24 * HOUR,
    )
    assert [str(length) for length in spot.intervals if length not in futures.intervals] == ["6h"]
    decoder = futures.make_decoder("c", ("kucoin-futures:XBTUSDTM@1m",))
    assert decoder.receive_frame('{"id":"1/1","type":"ack"}', T) == [Connected("c", T, ("kucoin-futures:XBTUSDTM@1m",))]
