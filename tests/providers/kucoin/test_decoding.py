"""Frames that are odd: other key orders and number types, unknown messages, garbage."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.errors import DecodeError
from barbot.model.market import BarUpdate, Heartbeat, Quote, Trade
from barbot.providers.base import Effect
from barbot.providers.kucoin.connection import KuCoinConnection, effect_of
from barbot.providers.kucoin.messages import to_ns
from barbot.providers.kucoin.venue import FUTURES, SPOT, Venue
from barbot.timing.interval import SECOND

NOW = 1_800_000_000_000_000_000
ALIVE = [Heartbeat("c", NOW)]
ROW = ["1787422980", "10", "11", "12", "9", "2.5", "26"]
CANDLE = {
    "topic": "/market/candles:BTC-USDT_1min",
    "type": "message",
    "subject": "trade.candles.add",
    "data": {"symbol": "BTC-USDT", "candles": ROW, "time": 1_787_423_033_254_043_338},
}
BAR = BarUpdate(
    "kucoin:BTC-USDT@1m", 1_787_422_980 * SECOND, 10.0, 12.0, 9.0, 11.0, 2.5, 26.0, False,
    1_787_423_033_254_043_338, NOW,
)  # fmt: skip


def ready(venue: Venue = SPOT) -> KuCoinConnection:
    decoder = KuCoinConnection(venue, "c", ())
    decoder.receive_frame('{"id":"1/1","type":"ack"}', NOW)
    return decoder


def text(**changes: object) -> str:
    return json.dumps(CANDLE | changes)


def test_keys_come_in_any_order_and_the_first_push_of_a_candle_counts() -> None:
    turned = json.dumps(dict(reversed(CANDLE.items())), indent=1)
    assert [ready().receive_frame(frame, NOW) for frame in (text(), turned, turned.encode())] == [[BAR]] * 3


def test_an_id_on_a_push_makes_it_no_ack() -> None:
    assert ready().receive_frame(text(id="6298915a75470d0001083713"), NOW) == [BAR]


def test_numbers_may_be_numbers_and_more_columns_may_come() -> None:
    row = [1787422980, 10, 11.0, 12, 9, 2.5, 26, "new"]
    assert ready().receive_frame(text(data={"candles": row, "time": "1787423033254043338"}), NOW) == [BAR]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (0, 0),
        (1_790_993_360, 1_790_993_360_000_000_000),
        (1_790_993_360_463, 1_790_993_360_463_000_000),
        (1_790_113_097_236_506, 1_790_113_097_236_506_000),
        (1_787_423_033_254_043_338, 1_787_423_033_254_043_338),
    ],
)
def test_the_magnitude_tells_the_unit_of_a_time(time: int, expected: int) -> None:
    assert to_ns(time) == expected


def test_futures_candles_of_old_repeat_the_lots_in_place_of_turnover() -> None:
    topic = "/contractMarket/limitCandle:XBTUSDTM_1hour"
    frame = text(topic=topic, subject="candle.stick", data={"candles": [*ROW[:5], "61.0", "61"], "time": 1787423033254})
    assert ready(FUTURES).receive_frame(frame, NOW) == [
        BarUpdate(
            "kucoin-futures:XBTUSDTM@1h", 1_787_422_980 * SECOND, 10.0, 12.0, 9.0, 11.0, 61.0, 0.0, False,
            1_787_423_033_254_000_000, NOW,
        )
    ]  # fmt: skip


def test_a_trade_under_a_list_of_symbols_is_told_by_its_own() -> None:
    data = {"symbol": "ETH-USDT", "price": "5", "size": "0", "side": "?", "time": "1790274222318000000"}
    frame = text(topic="/market/match:BTC-USDT,ETH-USDT", data=data)
    assert ready().receive_frame(frame, NOW) == [
        Trade("kucoin:ETH-USDT", 5.0, 0.0, 1_790_274_222_318_000_000, ts_recv=NOW)
    ]


def test_half_a_book_is_no_quote() -> None:
    decoder = ready()
    frame = text(topic="/market/ticker:A-B", data={"bestBid": "1", "bestAsk": None, "time": 1790984011673})
    assert decoder.receive_frame(frame, NOW) == ALIVE
    assert dict(decoder.skipped) == {"no price": 1}
    whole = text(topic="/market/ticker:A-B", data={"bestBid": "1", "bestAsk": "2", "time": 1790984011673})
    assert decoder.receive_frame(whole, NOW) == [
        Quote("kucoin:A-B", 1.0, 2.0, ts_event=1_790_984_011_673_000_000, ts_recv=NOW)
    ]


def test_what_is_of_no_use_is_counted_and_told_once() -> None:
    decoder = ready()
    frames = [
        '{"type":"notice","data":{"a":1}}',
        '{"type":"notice"}',
        '{"type":"command","id":5}',
        '{"type":"tea"}',
        "{}",
        text(topic="/market/snapshot:BTC-USDT"),
        text(topic="/market/candles:BTC-USDT_2min"),
        text(topic=""),
        '{"type":"pong","id":"x","timestamp":1790113097236506}',
        '{"type":"welcome","id":"x"}',
    ]
    assert [decoder.receive_frame(frame, NOW) for frame in frames] == [ALIVE] * len(frames)
    assert dict(decoder.skipped) == {"notice": 2, "command": 1, "unknown type": 2, "other topic": 3}
    assert [(problem.effect, problem.code, problem.text) for problem in decoder.problems] == [
        (Effect.NOTE, "skipped", f"a message that is of no use here: {kind}")
        for kind in ("notice", "command", "unknown type", "other topic")
    ]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "nonsense",
        "[]",
        "null",
        "5",
        text()[:-1],
        text() + "x",
        "\ud800",
        b"\xff\xfe",
        "[" * 100_000,
        text(data={"candles": "[" * 3}),
        text(type=5),
        text(topic=None),
        text(data=None),
        text(data={}),
        text(data={"candles": ROW[:6]}),
        text(data={"candles": [*ROW[:6], None]}),
        text(data={"candles": ["x", *ROW[1:]]}),
        text(data={"candles": ["-5", *ROW[1:]]}),
        text(data={"candles": ["9" * 30, *ROW[1:]]}),
        text(data={"candles": [*ROW[:5], "1e999", "0"]}),
        text(data={"candles": ROW, "time": -1}),
        text(topic="/market/match:A-B", data={"price": "5"}),
        text(topic="/market/ticker:A-B", data={"bestBid": []}),
        '{"type":"message","topic":"/market/match:A-B"}',
        '{"type":"ack","id":[]}',
    ],
    ids=range(26),
)
def test_what_is_not_as_documented_is_refused(frame: str | bytes) -> None:
    decoder = ready()
    with pytest.raises(DecodeError, match="not a message of KuCoin's") as caught:
        decoder.receive_frame(frame, NOW)
    assert "\n" not in str(caught.value)
    assert decoder.receive_frame(text(), NOW) == [BAR]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_garbage_gives_events_or_a_decode_error(data: st.DataObject) -> None:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(ROW)
    values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=8) | st.dictionaries(
        st.sampled_from(["candles", "time", "price", "size", "side", "symbol", "bestBid", "bestAsk", "x"]), inner
    ), max_leaves=12)  # fmt: skip
    keys = st.sampled_from(["type", "topic", "subject", "data", "id", "code"])
    changed = CANDLE | data.draw(st.dictionaries(keys, values, max_size=3))
    whole = json.dumps(changed)
    if data.draw(st.booleans()):
        cut = data.draw(st.integers(0, len(whole)))
        whole = whole[:cut] + data.draw(st.text(max_size=3)) + whole[cut + data.draw(st.integers(0, 3)) :]
    forms: list[str | bytes] = [whole, whole.encode("utf-8", "surrogatepass"), data.draw(st.binary(max_size=40))]
    frame = data.draw(st.sampled_from(forms))
    decoder = ready(data.draw(st.sampled_from([SPOT, FUTURES])))
    try:
        events = decoder.receive_frame(frame, NOW)
    except DecodeError:
        return
    assert len(events) == 1
    assert events[0].ts_recv == NOW  # type: ignore[union-attr]  # a frame gives neither bars nor history


@settings(max_examples=100, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.decimals(-(10**12), 10**12, places=11))
def test_a_price_is_the_float_that_is_nearest_to_its_text(price: object) -> None:
    (bar,) = ready().receive_frame(text(data={"candles": [*ROW[:6], str(price)], "time": 0}), NOW)
    assert isinstance(bar, BarUpdate)
    assert bar.turnover == float(str(price))


@pytest.mark.parametrize(
    ("code", "said", "is_ours", "effect"),
    [
        ("400", "ping timeout", False, Effect.DROP),
        ("400", "topic is invalid", True, Effect.STOP),
        ("400", "Unrecognized token 'not'", False, Effect.NOTE),
        ("400", "exceed max permits per second", False, Effect.DROP),
        ("401", "token is expired", False, Effect.DROP),
        ("403", "login is required", True, Effect.STOP),
        ("404", "topic /market/x is not found", True, Effect.STOP),
        ("404", "topic /market/x is not found", False, Effect.NOTE),
        ("415", "type is not supported", False, Effect.NOTE),
        ("500", "system error", False, Effect.DROP),
        ("509", "exceed max subscription count limitation of 300 per session", True, Effect.STOP),
        ("509", "exceed max permits per second", False, Effect.DROP),
        ("999", "something new", False, Effect.NOTE),
    ],
)
def test_what_an_error_asks_for(code: str, said: str, is_ours: bool, effect: Effect) -> None:
    assert effect_of(code, said, is_ours=is_ours) is effect


def test_an_error_is_a_value_and_the_connection_goes_on() -> None:
    decoder = ready()
    frame = '{"type":"error","code":401,"data":"token\\n is expired"}'
    assert decoder.receive_frame(frame, NOW) == ALIVE
    assert [(p.effect, p.code, p.text, p.ts) for p in decoder.problems] == [
        (Effect.DROP, "401", "token is expired", NOW)
    ]
    assert decoder.receive_frame(text(), NOW) == [BAR]


def test_a_decoder_that_nobody_reads_the_problems_of_keeps_a_bounded_list() -> None:
    decoder = ready()
    for number in range(5_000):
        decoder.receive_frame('{"type":"error","code":415,"data":"x"}', NOW)
        decoder.receive_frame(text(topic=f"/market/x{number}:y"), NOW)
    assert (len(decoder.problems), len(decoder._routes) <= 4_096) == (100, True)
