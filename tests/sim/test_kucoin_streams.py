"""What topics push, trade by trade: candles a second at a time, trades and tickers at once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.sim.kucoin.settings import KuCoinSettings
from barbot.sim.market import Listing, Tick
from barbot.sim.recorded import RecordedTape
from barbot.sim.walk import walking
from barbot.timing.interval import DAY, MINUTE, SECOND

if TYPE_CHECKING:
    from tests.sim.conftest import Rig

START = 1_790_000_040 * SECOND
START_S = START // SECOND
TOPIC = "/market/candles:BTC-USDT_1min"


def said(message: dict[str, object]) -> tuple[str, list[str]]:
    """Return `add` or `update`, and the candle."""
    data = message["data"]
    assert isinstance(data, dict)
    return str(message["subject"]).rpartition(".")[2], [str(int(data["candles"][0]) - START_S), *data["candles"][1:]]


def test_a_candle_message_looks_like_kucoins(rig: Rig) -> None:
    simulator = rig.simulator(rig.tape("BTC-USDT", (10, 100.5, 2), (10.001, 99, 1), (10.002, 101, 0.5)))
    ((seconds, message),) = rig.listener(simulator, TOPIC).pushes(30)
    data = message["data"]
    assert isinstance(data, dict)
    assert message == {
        "topic": TOPIC,
        "type": "message",
        "subject": "trade.candles.add",
        "data": {
            "symbol": "BTC-USDT",
            "candles": [str(START_S), "100.5", "101", "101", "99", "3.5", "350.5"],
            "time": data["time"],
        },
    }
    assert data["time"] == pytest.approx(START + seconds * SECOND, abs=1000)
    assert 0.89 <= seconds - 10 <= 1.91


def test_first_an_add_then_updates_of_the_whole_candle(rig: Rig) -> None:
    tape = rig.tape("BTC-USDT", (10, 100, 1), (20, 101, 1), (50, 99, 1), (70, 98, 1))
    client = rig.listener(rig.simulator(tape), TOPIC)
    assert [said(message) for _, message in client.pushes(100)] == [
        ("add", ["0", "100", "100", "100", "100", "1", "100"]),
        ("update", ["0", "100", "101", "101", "100", "2", "201"]),
        ("update", ["0", "100", "99", "101", "99", "3", "300"]),
        ("add", ["60", "98", "98", "98", "98", "1", "98"]),
    ]


def test_who_comes_in_the_middle_hears_the_whole_candle_with_the_next_trade(rig: Rig) -> None:
    simulator = rig.simulator(rig.tape("BTC-USDT", (-30, 90, 1), (10, 100, 1), (40, 101, 1)))
    client = rig.listener(simulator, TOPIC, 30)
    assert [said(m) for _, m in client.pushes(55)] == [("update", ["0", "100", "101", "101", "100", "2", "201"])]


def test_a_trade_in_the_last_second_is_told_after_the_boundary(rig: Rig) -> None:
    simulator = rig.simulator(rig.tape("BTC-USDT", (59.9, 100, 1)))
    ((seconds, message),) = rig.listener(simulator, TOPIC).pushes(100)
    assert said(message) == ("add", ["0", "100", "100", "100", "100", "1", "100"])
    assert 60.8 <= seconds < 61.9


def test_two_candles_in_one_second_are_told_in_order(rig: Rig) -> None:
    tape = rig.tape("BTC-USDT", (10, 99, 1), *((59.99 + i / 1000, 100 + i, 1) for i in range(20)))
    heard = rig.listener(rig.simulator(tape), TOPIC).pushes(100)
    assert [said(message) for _, message in heard] == [
        ("add", ["0", "99", "99", "99", "99", "1", "99"]),
        ("update", ["0", "99", "109", "109", "99", "11", "1144"]),
        ("add", ["60", "110", "119", "119", "110", "10", "1145"]),
    ]
    assert heard[2][0] - heard[1][0] == pytest.approx(0.0007)


def test_empty_periods_are_added_when_the_next_trade_comes(rig: Rig) -> None:
    simulator = rig.simulator(rig.tape("BTC-USDT", (10, 100.5, 1), (190, 101, 2)))
    heard = rig.listener(simulator, TOPIC).pushes(300)
    assert [said(message) for _, message in heard] == [
        ("add", ["0", "100.5", "100.5", "100.5", "100.5", "1", "100.5"]),
        ("add", ["60", "100.5", "100.5", "100.5", "100.5", "0", "0"]),
        ("add", ["120", "100.5", "100.5", "100.5", "100.5", "0", "0"]),
        ("add", ["180", "101", "101", "101", "101", "2", "202"]),
    ]
    times = [seconds for seconds, _ in heard]
    assert [times[2] - times[1], times[3] - times[2]] == [pytest.approx(0.0007), pytest.approx(0.0007)]
    assert 190.9 <= times[1] <= 192


def test_empty_periods_may_be_left_out(rig: Rig) -> None:
    tape = rig.tape("BTC-USDT", (10, 100.5, 1), (190, 101, 2))
    simulator = rig.simulator(tape, settings=KuCoinSettings(fills_empty_periods=False))
    candles = [said(m)[1][0] for _, m in rig.listener(simulator, TOPIC).pushes(300)]
    assert candles == ["0", "180"]


@given(seed=st.integers(min_value=0, max_value=200), trades=st.sampled_from([0.3, 2.0, 60.0]))
def test_what_was_told_last_of_each_candle_is_the_truth(seed: int, trades: float) -> None:
    from tests.sim.conftest import Rig

    rig = Rig()
    market_tape = walking("BTC-USDT", seed=seed, ts_first=START - DAY, trades_per_minute=trades)
    simulator = rig.simulator(market_tape, settings=KuCoinSettings(seed=seed))
    client = rig.listener(simulator, TOPIC)
    last: dict[str, list[str]] = {}
    moments: list[float] = []
    for seconds, message in client.pushes(299):
        row = said(message)[1]
        assert not last or row[0] in last or int(row[0]) > max(map(int, last))
        moments.append(seconds)
        last[row[0]] = row
    truth = simulator.market.candles("BTC-USDT", "1m", START, START + 4 * MINUTE)
    told = [last[str(c.ts_open // SECOND - START_S)] for c in truth]
    assert told == [
        [str(c.ts_open // SECOND - START_S), c.open, c.close, c.high, c.low, c.volume, c.turnover] for c in truth
    ]
    bursts = [b - a for a, b in itertools.pairwise(moments) if b - a > 0.01]
    assert all(gap > 0.998 for gap in bursts)
    assert len({round(m % 1, 2) for m in moments}) <= 2


def test_long_candles_are_told_whole(rig: Rig) -> None:
    tape = walking("BTC-USDT", seed=1, ts_first=START - DAY)
    simulator = rig.simulator(tape)
    client = rig.listener(simulator, "/market/candles:BTC-USDT_1hour")
    heard = client.messages(50)
    hour = START - START % (60 * MINUTE)
    subject, row = said(heard[-1])
    assert (subject, int(row[0]) + START_S) == ("update", hour // SECOND)
    data = heard[-1]["data"]
    assert isinstance(data, dict)
    until = data["time"] - 900_000_000
    (truth,) = simulator.market.candles("BTC-USDT", "1h", hour, START, until=until)
    assert row[1:] == [truth.open, truth.close, truth.high, truth.low, truth.volume, truth.turnover]


def test_a_list_of_items_pushes_each_under_its_own_topic(rig: Rig) -> None:
    tapes = rig.tape("A-B", (10, 1, 1)), rig.tape("C-D", (10, 2, 1))
    client = rig.listener(rig.simulator(*tapes), "/market/candles:A-B_1min,C-D_5min,E-F_1min")
    assert sorted(str(message["topic"]) for _, message in client.pushes(20)) == [
        "/market/candles:A-B_1min",
        "/market/candles:C-D_5min",
    ]


def test_trades_are_told_at_once(rig: Rig) -> None:
    client = rig.listener(rig.simulator(rig.tape("BTC-USDT", (-5, 99, 1), (10, 100.25, 0.5))), "/market/match:BTC-USDT")
    assert client.pushes(20) == [
        (
            10.04,
            {
                "topic": "/market/match:BTC-USDT",
                "type": "message",
                "subject": "trade.l3match",
                "data": {
                    "symbol": "BTC-USDT",
                    "sequence": "10000000000000001",
                    "type": "match",
                    "side": "buy",
                    "price": "100.25",
                    "size": "0.5",
                    "tradeId": "10000000000000001",
                    "takerOrderId": "0000000000470de4df820002",
                    "makerOrderId": "0000000000470de4df820001",
                    "time": str(rig.at(10)),
                },
            },
        )
    ]


def test_trades_after_a_long_silence_are_told(rig: Rig) -> None:
    client = rig.listener(rig.simulator(rig.tape("BTC-USDT", (0, 99, 1), (1000, 100, 1))), "/market/match:BTC-USDT")
    assert [seconds for seconds, _ in client.pushes(1100)] == [0.04, 1000.04]


def test_a_ticker_tells_of_the_last_trade_at_most_ten_times_a_second(rig: Rig) -> None:
    tape = rig.tape("BTC-USDT", *((10 + number / 100, 100 + number, 1) for number in range(30)))
    heard = rig.listener(rig.simulator(tape), "/market/ticker:BTC-USDT").pushes(20)
    assert [seconds for seconds, _ in heard] == [10.1, 10.2, 10.3, 10.4]
    last = heard[-1][1]
    data = last.pop("data")
    assert last == {"topic": "/market/ticker:BTC-USDT", "type": "message", "subject": "trade.ticker"}
    assert isinstance(data, dict)
    assert (data["price"], data["size"], data["bestAsk"], data["bestBid"]) == ("129", "1", "129", "128.99")
    assert data["time"] == rig.at(10.4) // 1_000_000


def test_the_ticker_of_all_names_the_symbol_in_the_subject(rig: Rig) -> None:
    simulator = rig.simulator(rig.tape("A-B", (10, 1, 1)), rig.tape("C-D", (11, 2, 1)))
    client = rig.listener(simulator, "/market/ticker:all")
    assert [(m["topic"], m["subject"]) for _, m in client.pushes(20)] == [
        ("/market/ticker:all", "A-B"),
        ("/market/ticker:all", "C-D"),
    ]
    assert client.connection.topics == ["/market/ticker:all"]


def test_futures_speak_otherwise(rig: Rig) -> None:
    from decimal import Decimal

    listing = Listing(
        symbol="XBTUSDTM", base="XBT", quote="USDT", price_decimals=1, size_decimals=0, multiplier=Decimal("0.001")
    )
    ticks = [Tick(rig.at(10), 845_683, 12_785, True, 7), Tick(rig.at(10.001), 845_567, 61, False, 8)]
    simulator = rig.simulator(RecordedTape(listing, ticks))
    (candle,) = rig.listener(simulator, "/contractMarket/limitCandle:XBTUSDTM_1min").messages(20)
    data = candle["data"]
    assert isinstance(data, dict)
    assert candle["subject"] == "candle.stick"
    assert data["candles"] == [str(START_S), "84568.3", "84556.7", "84568.3", "84556.7", "1086363.6742", "12846"]
    assert data["time"] // 1000 in (START_S + 11, START_S + 12)
    trades = rig.listener(simulator, "/contractMarket/execution:XBTUSDTM").messages(20)
    assert [(m["subject"], m["sn"], m["data"]["size"]) for m in trades] == [("match", 7, 12_785), ("match", 8, 61)]  # type: ignore[index] # an object
    (ticker,) = rig.listener(simulator, "/contractMarket/tickerV2:XBTUSDTM").messages(20)
    assert ticker["subject"] == "tickerV2"
    assert rig.listener(simulator, "/market/match:XBTUSDTM").messages(20) == []


def test_a_thousand_symbols_are_told_in_order_of_time(rig: Rig) -> None:
    names = [f"S{number:04d}-USDT" for number in range(1000)]
    market = [walking(name, seed=1, ts_first=START - DAY, trades_per_minute=1.0) for name in names]
    simulator = rig.simulator(*market)
    client = rig.client(simulator)
    for page in range(4):
        items = ",".join(f"{name}_1min" for name in names[page * 100 : page * 100 + 100])
        client.send({"type": "subscribe", "topic": f"/market/candles:{items}"}, 0)
    heard = client.pushes(30)
    times = [m["data"]["time"] for _, m in heard]  # type: ignore[index] # an object
    assert times == sorted(times)
    assert 100 < len(heard) < 1000
