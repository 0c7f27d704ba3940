"""Every captured and published message goes through the decoder: events or a counted skip, never an exception."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from barbot.model.instrument import FeedId
from barbot.model.market import BarUpdate, Heartbeat, HistoryBars, MarketEvent, Quote, Side, Trade
from barbot.providers.base import Answer
from barbot.providers.kucoin.connection import KuCoinConnection
from barbot.providers.kucoin.rest import read_clock, read_data, read_listings, read_token
from barbot.providers.kucoin.venue import FUTURES, SPOT
from barbot.wire.journal import FetchedText

SAMPLES = Path(__file__).resolve().parents[3] / ".." / "shared" / "providers" / "kucoin_samples.jsonl"
ACK = '{"id":"1/1","type":"ack"}'
NOW = 1_800_000_000_000_000_000


def samples() -> dict[str, dict[str, str]]:
    if not SAMPLES.exists():
        pytest.skip("the captured messages lie beside the repository, and are not here")
    lines = SAMPLES.read_text("utf-8").splitlines()
    return {sample["id"]: sample for sample in map(json.loads, lines)}


def decoder_for(sample: dict[str, str]) -> KuCoinConnection:
    decoder = KuCoinConnection(FUTURES if "futures" in sample["transport"] else SPOT, "c", ())
    decoder.receive_frame(ACK, NOW)
    return decoder


def decode(name: str) -> list[MarketEvent]:
    sample = samples()[name]
    return decoder_for(sample).receive_frame(sample["raw"], NOW)


def candles() -> Iterator[BarUpdate]:
    for sample in samples().values():
        if sample["kind"] == "candle" and "classic" in sample["transport"]:
            for event in decoder_for(sample).receive_frame(sample["raw"], NOW):
                if isinstance(event, BarUpdate):
                    yield event
        elif sample["kind"] == "candles":
            yield from fetched(sample).bars


def fetched(sample: dict[str, str]) -> HistoryBars:
    is_futures = "futures" in sample["transport"]
    base = "https://x/api/v1/" + ("kline/query?granularity=1" if is_futures else "market/candles?type=1min")
    span = f"ts_from=0&ts_to={NOW}&page=1&pages=1"
    record = FetchedText(NOW, "c", "GET", f"{base}&symbol=S#{span}", int(sample["http_status"]), sample["raw"])
    (event,) = decoder_for(sample).receive_fetched(record, NOW)
    assert isinstance(event, HistoryBars)
    return event


def test_every_line_gives_events_or_a_counted_skip() -> None:
    unaccounted = []
    for name, sample in samples().items():
        decoder = decoder_for(sample)
        (event,) = decoder.receive_frame(sample["raw"], NOW)
        is_part_of_the_protocol = sample["kind"] in ("welcome", "ack", "pong")
        if isinstance(event, Heartbeat) and not (is_part_of_the_protocol or decoder.skipped or decoder.problems):
            unaccounted.append(name)
    assert unaccounted == []


def test_market_data_is_told_for_every_line_that_has_some() -> None:
    told: dict[str, list[str]] = {}
    for name, sample in samples().items():
        (event,) = decoder_for(sample).receive_frame(sample["raw"], NOW)
        if not isinstance(event, Heartbeat):
            told.setdefault(type(event).__name__, []).append(name.removeprefix("kc-s-"))
    assert {kind: " ".join(names) for kind, names in told.items()} == {
        "Quote": "006 014 019 021 033 034 044 068 071",
        "Trade": "009 010 011 012 013 017 020 022 023 026 027 047 070 072",
        "BarUpdate": "015 016 018 024 037 045 048 065",
    }


def test_the_prices_of_every_candle_are_in_order() -> None:
    seen = list(candles())
    wrong = [bar for bar in seen if not (bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high)]
    inside = [bar for bar in seen if not bar.turnover or not bar.volume or "kucoin:" not in bar.feed]
    averages = [bar for bar in seen if bar not in inside and not bar.low <= bar.turnover / bar.volume <= bar.high]
    assert (len(seen), wrong, averages) == (19, [], [])


def test_a_spot_candle_has_close_before_high_and_low_on_the_wire() -> None:
    assert decode("kc-s-048") == [
        BarUpdate(
            "kucoin:BTC-USDT@1m", 1_787_422_980_000_000_000, 77333.7, 77333.7, 77320.2, 77320.2, 0.41026251,
            31723.684496325, False, 1_787_423_033_254_043_338, NOW,
        )
    ]  # fmt: skip


def test_the_late_flat_candle_of_an_empty_minute_is_what_a_quiet_bar_is() -> None:
    (late,) = decode("kc-s-015")
    price = 0.0000001116
    assert late == BarUpdate(
        "kucoin:DAPPT-BTC@1m", 1_619_378_220_000_000_000, price, price, price, price, 0.0, 0.0, False,
        1_619_378_328_806_000_034, NOW,
    )  # fmt: skip


def test_a_week_opens_on_thursday() -> None:
    (week,) = decode("kc-s-037")
    assert isinstance(week, BarUpdate)
    grid = SPOT.grid(interval=FeedId.parse(week.feed).interval)
    assert (week.feed, week.ts_open, grid.floor(week.ts_open)) == (
        "kucoin:BTC-USDT@1w", 1_653_523_200_000_000_000, 1_653_523_200_000_000_000,
    )  # fmt: skip


def test_a_futures_candle_has_turnover_before_lots() -> None:
    assert decode("kc-s-045") == [
        BarUpdate(
            "kucoin-futures:XBTUSDTM@1m", 1_790_993_280_000_000_000, 84568.3, 84568.3, 84544.2, 84556.7, 12785.0,
            1080991.7836, False, 1_790_993_360_463_000_000, NOW,
        )
    ]  # fmt: skip


def test_a_spot_trade_has_nanoseconds_in_a_string() -> None:
    assert decode("kc-s-009") == [
        Trade(
            "kucoin:DAPPT-BTC", 0.0000001117, 81.8814, 1_619_378_327_739_050_725, 1_612_701_563_869,
            "6085c09769bc506996295e36", Side.BUY, NOW,
        )
    ]  # fmt: skip
    assert decode("kc-s-047") == [
        Trade("kucoin:BTC-USDT", 84390.6, 0.0003426, 1_790_274_222_318_000_000, -1, "", Side.SELL, NOW)
    ]


def test_a_futures_trade_has_numbers() -> None:
    assert decode("kc-s-027") == [
        Trade(
            "kucoin-futures:XBTUSDM", 57798.0, 5000.0, 1_616_362_601_277_456_186, 5_174_061,
            "6057bc693c7feb6705f9a248", Side.BUY, NOW,
        )
    ]  # fmt: skip


def test_tickers_are_quotes() -> None:
    assert decode("kc-s-044") == [
        Quote("kucoin:ETH-USDT", 2667.6, 2667.61, 0.8915, 10.5900853, 1_790_984_011_673_000_000, NOW)
    ]
    assert decode("kc-s-033") == [
        Quote("kucoin:DOT-USDT", 10.4647, 10.4686, 0.1416, 64.9647, 1_653_955_200_018_000_000, NOW)
    ]
    assert decode("kc-s-034") == [
        Quote("kucoin-futures:XBTUSDM", 31741.0, 31742.0, 5543.0, 500.0, 1_654_032_770_009_498_293, NOW)
    ]


def test_history_is_turned_oldest_first() -> None:
    bars = fetched(samples()["kc-s-064"]).bars
    assert [bar.ts_open // 10**9 for bar in bars] == [1591515900, 1591516800, 1591517700]
    assert bars[0] == BarUpdate(
        "kucoin:S@1m", 1_591_515_900_000_000_000, 0.025079, 0.025091, 0.025068, 0.02509, 59.83701271,
        1.50060885172798, ts_recv=NOW,
    )  # fmt: skip


def test_futures_history_has_high_and_low_before_close() -> None:
    bars = fetched(samples()["kc-s-046"]).bars
    assert bars[3] == BarUpdate(
        "kucoin-futures:S@1m", 1_790_982_300_000_000_000, 84500.4, 84501.4, 84477.0, 84477.0, 142.0, 11998.4579,
        ts_recv=NOW,
    )  # fmt: skip


def test_the_other_answers_are_read_too() -> None:
    found = samples()
    token = read_token(Answer(status=200, body=found["kc-s-074"]["raw"]), is_encrypted=True)
    assert (token.token, [server.endpoint for server in token.instance_servers]) == (
        "TOKEN_PLACEHOLDER", ["wss://ws-api-spot.kucoin.com/"],
    )  # fmt: skip
    theirs = 1_790_113_494_904_000_000
    answer = Answer(status=200, body=found["kc-s-061"]["raw"], ts_sent=theirs - 300, ts_recv=theirs - 100)
    assert read_clock(answer).ns == 200
    contracts = read_listings(FUTURES, Answer(status=200, body=found["kc-s-043"]["raw"]))
    assert str(contracts["XBTUSDTM"].instrument.multiplier) == "0.001"
    assert read_data(200, found["kc-s-078"]["raw"], dict[str, str]) == {"status": "open", "msg": ""}
