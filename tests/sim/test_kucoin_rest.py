"""What the simulated KuCoin answers over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.sim.kucoin.rest import ROUTES
from barbot.sim.kucoin.settings import Account, KuCoinSettings
from barbot.sim.kucoin.signing import signature
from barbot.sim.kucoin.simulator import KuCoinSimulator
from barbot.sim.market import Listing, Market, Tick
from barbot.sim.recorded import RecordedTape
from barbot.sim.walk import walking
from barbot.timing.interval import DAY, SECOND

if TYPE_CHECKING:
    from tests.sim.conftest import Rig

START = 1_790_000_040 * SECOND
START_S = START // SECOND
CANDLES = "/api/v1/market/candles?symbol=BTC-USDT&type=1min"
FUZZED = KuCoinSimulator(
    Market(walking(name, seed=1, ts_first=START - DAY) for name in ("BTC-USDT", "XBTUSDTM")),
    KuCoinSettings(public_quota=10**9),
)
KEY, SECRET, PASSPHRASE = "key", "f03a5284-5c39-4aaa-9b20-dea10bdcf8e3", "test-passphrase"


def rows(reply: Mapping[str, object]) -> list[list[str]]:
    data = reply["data"]
    assert reply["code"] == "200000"
    assert isinstance(data, list)
    return data


def test_a_bullet_is_a_token_and_a_server(rig: Rig) -> None:
    simulator = rig.simulator()
    simulator.serve_at("ws://127.0.0.1:8080/endpoint")
    status, headers, body = simulator.rest("POST", "/api/v1/bullet-public", {}, b"", START)
    reply = json.loads(body)
    token = reply["data"].pop("token")
    assert (status, reply) == (
        200,
        {
            "code": "200000",
            "data": {
                "instanceServers": [
                    {
                        "endpoint": "ws://127.0.0.1:8080/endpoint",
                        "encrypt": None,
                        "protocol": "websocket",
                        "pingInterval": 18000,
                        "pingTimeout": 10000,
                    }
                ]
            },
        },
    )
    assert dict(headers)["gw-ratelimit-remaining"] == "1990"
    assert len(token) > 200
    assert quote(token, safe="=") == token


def test_a_bullet_is_posted(rig: Rig) -> None:
    assert rig.ask(rig.simulator(), "/api/v1/bullet-public")[0] == 404


@pytest.mark.parametrize("path", ["/", "/api/v1/nothing", "/api/v2/symbols/", "/api/v1/market/candlesticks"])
def test_what_there_is_not_is_404(rig: Rig, path: str) -> None:
    status, _, body = rig.simulator().rest("GET", path, {}, b"", START)
    expected = (404, {"code": "404", "msg": "Not Found", "retry": False, "success": False})
    if path == "/api/v2/symbols/":
        expected = (200, {"code": "900001", "msg": "The symbol does not exist."})
    assert (status, json.loads(body)) == expected


def test_the_time_is_in_milliseconds_and_costs_nothing(rig: Rig) -> None:
    status, headers, body = rig.simulator().rest("GET", "/api/v1/timestamp", {}, b"", START + 1_999_999)
    assert (status, json.loads(body)) == (200, {"code": "200000", "data": START // 1_000_000 + 1})
    assert headers == [("content-type", "application/json")]


def test_the_venue_is_open(rig: Rig) -> None:
    reply = (200, {"code": "200000", "data": {"status": "open", "msg": ""}})
    assert rig.ask(rig.simulator(), "/api/v1/status") == reply


def test_a_symbol_has_the_fields_of_kucoins(rig: Rig) -> None:
    simulator = rig.simulator(rig.tape("BTC-USDT", (0, 1, 1)), rig.tape("ETH-BTC", (0, 1, 1)))
    _, one = rig.ask(simulator, "/api/v2/symbols/BTC-USDT")
    assert one["data"] == {
        "symbol": "BTC-USDT",
        "name": "BTC-USDT",
        "baseCurrency": "BTC",
        "quoteCurrency": "USDT",
        "feeCurrency": "USDT",
        "market": "USDS",
        "baseMinSize": "0.0001",
        "quoteMinSize": "0.1",
        "baseMaxSize": "10000000000",
        "quoteMaxSize": "99999999",
        "baseIncrement": "0.0001",
        "quoteIncrement": "0.000001",
        "priceIncrement": "0.01",
        "priceLimitRate": "0.1",
        "minFunds": "0.1",
        "isMarginEnabled": True,
        "enableTrading": True,
        "feeCategory": 1,
        "makerFeeCoefficient": "1.00",
        "takerFeeCoefficient": "1.00",
        "st": False,
        "callauctionIsEnabled": False,
        "callauctionPriceFloor": None,
        "callauctionPriceCeiling": None,
        "callauctionFirstStageStartTime": None,
        "callauctionSecondStageStartTime": None,
        "callauctionThirdStageStartTime": None,
        "tradingStartTime": None,
    }
    _, everything = rig.ask(simulator, "/api/v2/symbols")
    assert [row["symbol"] for row in rows(everything)] == ["BTC-USDT", "ETH-BTC"]  # type: ignore[call-overload] # objects
    _, market = rig.ask(simulator, "/api/v2/symbols?market=BTC")
    assert [row["symbol"] for row in rows(market)] == ["ETH-BTC"]  # type: ignore[call-overload] # objects


def test_candles_come_newest_first_with_the_running_one_and_without_empty_ones(rig: Rig) -> None:
    simulator = rig.simulator(rig.tape("BTC-USDT", (5, 100, 1), (20, 101, 1), (130, 99, 2), (140, 98.5, 1)))
    assert rows(rig.ask(simulator, CANDLES, 135)[1]) == [
        [str(START_S + 120), "99", "99", "99", "99", "2", "198"],
        [str(START_S), "100", "101", "101", "100", "2", "201"],
    ]


@pytest.mark.parametrize(
    ("query", "starts"),
    [
        ("&startAt={0}", [180, 120, 60, 0]),
        ("&startAt={60}&endAt={120}", [120, 60]),
        ("&startAt={60}&endAt={119}", [60]),
        ("&startAt={1}&endAt={61}", [60]),
        ("&endAt={60}", [60, 0]),
        ("&startAt={500}", []),
        ("&startAt={120}&endAt={60}", []),
        ("&startAt=0&endAt=0", [180, 120, 60, 0]),
    ],
)
def test_both_ends_of_a_window_are_included(rig: Rig, query: str, starts: list[int]) -> None:
    simulator = rig.simulator(rig.tape("BTC-USDT", *((second, 100, 1) for second in (5, 65, 125, 185))))
    for second in (0, 1, 60, 61, 119, 120, 500):
        query = query.replace(f"{{{second}}}", str(START_S + second))
    assert [int(row[0]) - START_S for row in rows(rig.ask(simulator, CANDLES + query, 190)[1])] == starts


def test_the_end_may_be_excluded(rig: Rig) -> None:
    tape = rig.tape("BTC-USDT", (5, 100, 1), (65, 100, 1))
    simulator = rig.simulator(tape, settings=KuCoinSettings(end_is_included=False))
    found = rows(rig.ask(simulator, f"{CANDLES}&startAt={START_S}&endAt={START_S + 60}", 90)[1])
    assert [int(row[0]) - START_S for row in found] == [0]


def test_a_hundred_rows_without_a_start_and_1500_with_one(rig: Rig) -> None:
    simulator = rig.simulator(walking("BTC-USDT", seed=1, ts_first=START - 2 * DAY, silent_fraction=0.25))
    short = rows(rig.ask(simulator, CANDLES)[1])
    long = rows(rig.ask(simulator, f"{CANDLES}&startAt={START_S - 2 * 86400}")[1])
    truth = simulator.market.candles("BTC-USDT", "1m", START - 2 * DAY, START)
    assert (len(short), len(long)) == (100, 1500)
    assert short == long[:100]
    assert long == [
        [str(c.ts_open // SECOND), c.open, c.close, c.high, c.low, c.volume, c.turnover] for c in truth[:-1501:-1]
    ]


def test_rest_may_lie_behind_the_trades(rig: Rig) -> None:
    tape = rig.tape("BTC-USDT", (5, 100, 1), (20, 101, 1))
    simulator = rig.simulator(tape, settings=KuCoinSettings(rest_delay_s=2.0), exact=False)
    assert rows(rig.ask(simulator, CANDLES, 21)[1])[0][5] == "1"
    assert rows(rig.ask(simulator, CANDLES, 22.1)[1])[0][5] == "2"


@pytest.mark.parametrize(
    ("target", "code", "text"),
    [
        ("/api/v1/market/candles?symbol=BTC-USDT&type=2min", "400100", "Incorrect candlestick type."),
        ("/api/v1/market/candles?symbol=BTC-USDT", "400100", "Incorrect candlestick type."),
        ("/api/v1/market/candles?symbol=NOPE&type=1min", "400100", "Unsupported trading pair."),
        (CANDLES + "&startAt=-5", "400100", "Param error. startAt is invalid."),
        ("/api/v1/market/histories?symbol=NOPE", "900001", "The symbol does not exist."),
        ("/api/v1/kline/query?symbol=XBTUSDTM&granularity=2", "300000", "Unsupported granularity"),
        ("/api/v1/kline/query?symbol=BTC-USDT&granularity=1", "200003", "Invalid symbol."),
        ("/api/v1/contracts/BTC-USDT", "200003", "Invalid symbol."),
    ],
)
def test_an_error_is_http_200_with_another_code(rig: Rig, target: str, code: str, text: str) -> None:
    assert rig.ask(rig.simulator(), target) == (200, {"code": code, "msg": text})


def test_the_last_trades_come_newest_first(rig: Rig) -> None:
    simulator = rig.simulator(rig.tape("BTC-USDT", (5, 100, 1), (20, 101.5, 0.25), (30, 1, 1)))
    assert rig.ask(simulator, "/api/v1/market/histories?symbol=BTC-USDT", 25)[1]["data"] == [
        {"sequence": "10000000000000001", "price": "101.5", "size": "0.25", "side": "buy", "time": rig.at(20)},
        {"sequence": "10000000000000000", "price": "100", "size": "1", "side": "buy", "time": rig.at(5)},
    ]


def test_level_1_has_the_last_price_and_both_sides(rig: Rig) -> None:
    simulator = rig.simulator(rig.tape("BTC-USDT", (5, 100, 1)))
    _, reply = rig.ask(simulator, "/api/v1/market/orderbook/level1?symbol=BTC-USDT", 6)
    data = reply["data"]
    assert isinstance(data, dict)
    assert (data["time"], data["price"], data["bestBid"], data["bestAsk"]) == (
        rig.at(6) // 1_000_000,
        "100",
        "99.99",
        "100",
    )
    assert rig.ask(simulator, "/api/v1/market/orderbook/level1?symbol=NOPE", 6)[1] == {"code": "200000", "data": None}


def test_stats_are_of_a_day_and_null_for_what_is_not_there(rig: Rig) -> None:
    simulator = rig.simulator(rig.tape("BTC-USDT", (-86_401, 1, 1), (-5, 100, 1), (5, 104, 2), (6, 98, 1)))
    _, reply = rig.ask(simulator, "/api/v1/market/stats?symbol=BTC-USDT")
    data = reply["data"]
    assert isinstance(data, dict)
    assert {name: data[name] for name in ("last", "high", "low", "vol", "volValue", "changePrice", "changeRate")} == {
        "last": "100",
        "high": "100",
        "low": "100",
        "vol": "1",
        "volValue": "100",
        "changePrice": "0",
        "changeRate": "0.0000",
    }
    later = rig.ask(simulator, "/api/v1/market/stats?symbol=BTC-USDT", 10)[1]["data"]
    assert isinstance(later, dict)
    assert (later["high"], later["low"], later["vol"], later["changePrice"], later["changeRate"]) == (
        "104",
        "98",
        "4",
        "-2",
        "-0.0200",
    )
    missing = rig.ask(simulator, "/api/v1/market/stats?symbol=NOPE-XXX")[1]["data"]
    assert isinstance(missing, dict)
    assert {value for name, value in missing.items() if name not in ("time", "symbol")} == {None}


def test_all_tickers_and_currencies_name_every_symbol(rig: Rig) -> None:
    simulator = rig.simulator(rig.tape("BTC-USDT", (0, 100, 1)), rig.tape("ETH-BTC", (0, 0.05, 1)))
    data = rig.ask(simulator, "/api/v1/market/allTickers", 1)[1]["data"]
    assert isinstance(data, dict)
    assert [(row["symbol"], row["last"]) for row in data["ticker"]] == [("BTC-USDT", "100"), ("ETH-BTC", "0.05")]
    found = rows(rig.ask(simulator, "/api/v3/currencies")[1])
    assert [row["currency"] for row in found] == ["BTC", "USDT", "ETH"]  # type: ignore[call-overload] # objects


def test_futures_candles_are_numbers_oldest_first(rig: Rig) -> None:
    listing = Listing(
        symbol="XBTUSDTM", base="XBT", quote="USDT", price_decimals=1, size_decimals=0, multiplier=Decimal("0.001")
    )
    ticks = [
        Tick(rig.at(10), 844_835, 322, True, 1),
        Tick(rig.at(11), 844_994, 1, True, 2),
        Tick(rig.at(130), 1, 1, True, 3),
    ]
    simulator = rig.simulator(RecordedTape(listing, ticks))
    query = f"/api/v1/kline/query?symbol=XBTUSDTM&granularity=1&from={START // 10**6}&to={rig.at(200) // 10**6}"
    assert rig.ask(simulator, query, 60)[1] == {
        "code": "200000",
        "data": [[START // 10**6, 84483.5, 84499.4, 84483.5, 84499.4, 323, 27288.1864]],
    }
    assert len(rows(rig.ask(simulator, query, 200)[1])) == 2
    active = rows(rig.ask(simulator, "/api/v1/contracts/active", 60)[1])
    assert [(row["symbol"], row["multiplier"], row["tickSize"], row["lotSize"]) for row in active] == [  # type: ignore[call-overload] # objects
        ("XBTUSDTM", 0.001, 0.1, 1)
    ]
    assert rows(rig.ask(simulator, "/api/v2/symbols")[1]) == []


def test_the_quota_runs_out_and_comes_back(rig: Rig) -> None:
    simulator = rig.simulator(settings=KuCoinSettings(public_quota=7))
    statuses = [rig.ask(simulator, "/api/v1/status", second)[0] for second in (0, 1, 2, 29.9, 30)]
    assert statuses == [200, 200, 429, 429, 200]
    _, headers, body = simulator.rest("GET", "/api/v1/market/allTickers", {}, b"", rig.at(31))
    assert json.loads(body)["code"] == "429000"
    assert headers[1:] == [
        ("gw-ratelimit-limit", "7"),
        ("gw-ratelimit-remaining", "4"),
        ("gw-ratelimit-reset", "29000"),
    ]
    assert rig.ask(simulator, "/api/v1/timestamp", 31)[0] == 200


def test_keys_come_in_any_order(rig: Rig) -> None:
    simulator = rig.simulator()
    bodies = {simulator.rest("GET", "/api/v1/status", {}, b"", START)[2] for _ in range(20)}
    assert len(bodies) > 1
    plain = rig.simulator(settings=KuCoinSettings(shuffles_keys=False))
    bodies = {plain.rest("GET", "/api/v1/status", {}, b"", START)[2] for _ in range(20)}
    assert bodies == {b'{"code":"200000","data":{"status":"open","msg":""}}'}


PATHS = [*ROUTES, "/api/v1/contracts/XBTUSDTM", "/api/v1/bullet-public", "/api/v1/bullet-private", "//[", ""]
VALUES = st.one_of(
    st.sampled_from(["BTC-USDT", "XBTUSDTM", "1min", "1month", "1", "43200", "0", str(START_S), "9" * 5000, "\u0663"]),
    st.text(max_size=5),
    st.integers().map(str),
)


@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=st.sampled_from(PATHS),
    query=st.dictionaries(
        st.sampled_from(["symbol", "type", "startAt", "endAt", "granularity", "from", "to", "market"]), VALUES
    ),
    now=st.integers(min_value=START - DAY, max_value=START + DAY),
)
def test_every_request_gets_an_answer(method: str, path: str, query: dict[str, str], now: int) -> None:
    reply = FUZZED.rest(method, f"{path}?{urlencode(query)}", {}, b"", now)
    assert reply.status in (200, 400, 404)
    assert isinstance(json.loads(reply.body)["code"], str)


def test_signatures_are_kucoins() -> None:
    text = '1547015186532POST/api/v1/deposit-addresses{"currency":"BTC"}'
    assert signature(SECRET, text) == "7QP/oM0ykidMdrfNEUmng8eZjg/ZvPafjIqmxiVfYu4="
    assert signature("test-api-secret", "test-passphrase") == "fqkeR28GaLc+yzydx1yFfD3Jc46eSFoOwfG2YgL/Qos="


def signed(**changed: str) -> dict[str, str]:
    stamp = str(START // 1_000_000)
    headers = {
        "kc-api-key": KEY,
        "kc-api-timestamp": stamp,
        "kc-api-sign": signature(SECRET, f"{stamp}POST/api/v1/bullet-private"),
        "kc-api-passphrase": signature(SECRET, PASSPHRASE),
    }
    return {**headers, **{name.replace("_", "-"): text for name, text in changed.items()}}


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (signed(), 200, "200000"),
        ({}, 400, "400001"),
        (signed(kc_api_timestamp="12"), 400, "400002"),
        (signed(kc_api_key="other"), 400, "400003"),
        (signed(kc_api_passphrase="x"), 400, "400004"),
        (signed(kc_api_sign=base64.b64encode(b"x" * 32).decode()), 400, "400005"),
    ],
)
def test_a_private_bullet_is_signed(rig: Rig, headers: dict[str, str], status: int, code: str) -> None:
    simulator = rig.simulator(settings=KuCoinSettings(accounts={KEY: Account(SECRET, PASSPHRASE)}))
    reply = simulator.rest("POST", "/api/v1/bullet-private", headers, b"", START)
    assert (reply.status, json.loads(reply.body)["code"]) == (status, code)


def test_a_private_token_may_listen_to_private_topics(rig: Rig) -> None:
    simulator = rig.simulator(settings=KuCoinSettings(accounts={KEY: Account(SECRET, PASSPHRASE)}))
    reply = simulator.rest("POST", "/api/v1/bullet-private", signed(), b"", START)
    client = rig.client(simulator, token=json.loads(reply.body)["data"]["token"])
    client.send(
        {"id": "1", "type": "subscribe", "topic": "/account/balance", "privateChannel": True, "response": True}, 0
    )
    assert client.messages(1) == [{"id": "me", "type": "welcome"}, {"id": "1", "type": "ack"}]
