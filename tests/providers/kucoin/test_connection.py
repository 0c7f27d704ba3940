"""The state machine of a connection, in virtual time: what it sends, waits for and gives up on."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.errors import LinkLost
from barbot.model.market import Connected, Heartbeat, MarketEvent, Trade
from barbot.providers.base import NEVER, ConnectionPlan, Effect
from barbot.providers.kucoin.connection import KuCoinConnection, Phase, Session
from barbot.providers.kucoin.topics import spread, topics_of
from barbot.providers.kucoin.venue import SPOT
from barbot.providers.limits import RateLimit
from barbot.timing.interval import MINUTE, SECOND

T = 1_790_000_000 * SECOND
WELCOME = '{"id":"c-1","type":"welcome"}'
FEEDS = ("kucoin:BTC-USDT@1m", "kucoin:ETH-USDT@5m")
TOPICS = tuple(topics_of(SPOT, ConnectionPlan(name="c", feeds=FEEDS, trades=("kucoin:BTC-USDT",))))


def connection(topics: tuple[str, ...] = TOPICS, **options: int | RateLimit) -> KuCoinConnection:
    session = Session(topics=topics, endpoint="http://h", **options)  # type: ignore[arg-type]  # ints and a limit
    return KuCoinConnection(SPOT, "c", FEEDS, session)


def greeted(topics: tuple[str, ...] = TOPICS) -> KuCoinConnection:
    line = connection(topics)
    line.connection_made(T)
    line.receive_frame(WELCOME, T)
    return line


def ready(topics: tuple[str, ...] = TOPICS, now: int = T) -> KuCoinConnection:
    line = greeted(topics)
    for frame in line.frames_to_send():
        line.receive_frame(ack(json.loads(frame)["id"]), now)
    assert line.is_ready
    return line


def ack(number: str) -> str:
    return f'{{"id":"{number}","type":"ack"}}'


def pong(number: int) -> str:
    return f'{{"id":"p{number}","type":"pong","timestamp":1790113097236506}}'


def match(price: str, symbol: str = "BTC-USDT") -> str:
    data = {"price": price, "size": "1", "side": "buy", "time": str(T)}
    return json.dumps({"type": "message", "topic": f"/market/match:{symbol}", "data": data})


def test_nothing_is_sent_before_the_welcome() -> None:
    line = connection()
    assert (line.next_deadline(), line.phase) == (NEVER, Phase.OFF)
    line.connection_made(T)
    assert (line.frames_to_send(), line.next_deadline(), line.phase) == ([], T + 5 * SECOND, Phase.GREETING)


def test_no_welcome_in_time_is_a_lost_link() -> None:
    line = connection()
    line.connection_made(T)
    line.handle_deadline(T + 5 * SECOND - 1)
    with pytest.raises(LinkLost, match=r"^no welcome in 5 s$"):
        line.handle_deadline(T + 5 * SECOND)


def test_after_the_welcome_it_subscribes_by_lists() -> None:
    line = greeted()
    frames = [json.loads(frame) for frame in line.frames_to_send()]
    assert frames == [
        {
            "id": f"{number}/2",
            "type": "subscribe",
            "topic": topic,
            "privateChannel": False,
            "response": True,
        }
        for number, topic in ((1, "/market/candles:BTC-USDT_1min,ETH-USDT_5min"), (2, "/market/match:BTC-USDT"))
    ]
    assert (line.frames_to_send(), line.phase) == ([], Phase.SUBSCRIBING)


def test_it_is_ready_and_tells_so_when_every_subscription_is_acknowledged() -> None:
    line = greeted()
    answers = [line.receive_frame(ack(number), T + 1) for number in ("2/2", "2/2", "x", "9/2", "1/2", "1/2")]
    assert answers == [[], [], [], [], [Connected("c", T + 1, FEEDS)], [Heartbeat("c", T + 1)]]
    assert (line.is_ready, line.phase, line.opening) == (True, Phase.READY, [WELCOME, ack("2/2"), ack("1/2")])


def test_pushes_before_that_are_held_and_follow_it() -> None:
    line = greeted()
    early = [line.receive_frame(frame, T) for frame in (match("1"), ack("1/2"), match("2"), pong(7))]
    events = line.receive_frame(ack("2/2"), T + 5)
    assert early == [[], [], [], []]
    assert events == [
        Connected("c", T + 5, FEEDS),
        Trade("kucoin:BTC-USDT", 1.0, 1.0, T, aggressor=events[1].aggressor, ts_recv=T + 5),  # type: ignore[union-attr]
        Trade("kucoin:BTC-USDT", 2.0, 1.0, T, aggressor=events[2].aggressor, ts_recv=T + 5),  # type: ignore[union-attr]
    ]


def test_an_ack_that_does_not_come_is_a_lost_link() -> None:
    line = greeted()
    line.receive_frame(ack("1/2"), T + 4 * SECOND)
    line.handle_deadline(T + 9 * SECOND)
    assert line.next_deadline() == T + 14 * SECOND
    with pytest.raises(LinkLost, match=r"^a subscription was not acknowledged in 10 s$"):
        line.handle_deadline(T + 14 * SECOND)


def test_it_pings_at_half_the_interval_and_each_pong_settles_its_ping() -> None:
    line = ready()
    line.frames_to_send()
    sent, now = [], T
    for number in range(1, 6):
        now = line.next_deadline()
        line.handle_deadline(now)
        sent.append((now - T, line.frames_to_send()))
        assert line.receive_frame(pong(number), now + 100) == [Heartbeat("c", now + 100)]
    assert sent == [(9 * SECOND * n, [f'{{"id":"p{n}","type":"ping"}}']) for n in range(1, 6)]
    assert line.round_trip_ns == 100


def test_no_pong_in_time_is_a_lost_link_whatever_else_arrives() -> None:
    line = ready()
    for ts in (9, 18):
        line.handle_deadline(T + ts * SECOND)
    line.receive_frame(pong(77), T + 18 * SECOND)
    line.receive_frame(match("1"), T + 18 * SECOND)
    assert line.next_deadline() == T + 19 * SECOND
    with pytest.raises(LinkLost, match=r"^no pong in 10 s$"):
        line.handle_deadline(T + 19 * SECOND)


def test_a_later_pong_settles_the_earlier_ping_too() -> None:
    line = ready()
    line.handle_deadline(T + 9 * SECOND)
    line.handle_deadline(T + 18 * SECOND)
    line.receive_frame(pong(2), T + 18 * SECOND + 5)
    assert line.next_deadline() == T + 27 * SECOND
    line.handle_deadline(T + 20 * SECOND)


def test_requests_keep_to_the_message_limit() -> None:
    topics = tuple(f"/market/candles:S{n}_1min" for n in range(700))
    line = connection(topics, message_limit=RateLimit(3, 10.0), ping_every_ns=60 * SECOND)
    line.connection_made(T)
    line.receive_frame(WELCOME, T)
    sent, now = [], T
    while not line.is_ready:
        for frame in line.frames_to_send():
            number = json.loads(frame)["id"]
            sent.append(((now - T) // SECOND, number))
            line.receive_frame(ack(number), now)
        if not line.is_ready:
            now = line.next_deadline()
            line.handle_deadline(now)
    assert sent == [(n // 3 * 10, f"{n + 1}/7") for n in range(7)]


def test_resubscribing_300_topics_takes_three_requests_at_once() -> None:
    line = greeted(tuple(f"/market/candles:S{n}_1min" for n in range(300)))
    assert [json.loads(frame)["topic"].count(",") for frame in line.frames_to_send()] == [99, 99, 99]


def test_a_refused_subscription_ends_the_run_before_it_is_ready() -> None:
    line = greeted()
    line.receive_frame('{"id":"66a","type":"error","code":404,"data":"topic does not exist"}', T + 1)
    assert [(p.connection, p.ts, p.effect, p.code, p.text) for p in line.problems] == [
        ("c", T + 1, Effect.STOP, "404", "topic does not exist")
    ]


def test_a_lost_connection_wants_nothing_more() -> None:
    line = greeted()
    line.ask_history(FEEDS[0], T - MINUTE, T, T)
    line.connection_lost(T + 1)
    late = [line.receive_frame(frame, T + 2) for frame in (ack("1/2"), ack("2/2"), match("1"))]
    assert (line.frames_to_send(), line.fetches_to_make(), line.next_deadline()) == ([], [], NEVER)
    assert (late, line.is_ready, line.phase) == ([[], [], []], False, Phase.GONE)


def silences(line: KuCoinConnection, minutes: int, spoken: dict[int, str]) -> list[tuple[int, str]]:
    """Let minutes go by, answering pings; return what was told of, with the second."""
    told: list[tuple[int, str]] = []
    end = T + minutes * MINUTE
    while line.next_deadline() <= end:
        now = line.next_deadline()
        for second in sorted(spoken):
            if T + second * SECOND <= now:
                line.receive_frame(spoken.pop(second), T + second * SECOND)
        line.handle_deadline(now)
        for frame in line.frames_to_send():
            line.receive_frame(pong(int(json.loads(frame)["id"][1:])), now)
        told += [((now - T) // SECOND, problem.text) for problem in line.problems if problem.code == "silent"]
        line.problems.clear()
    return told


def test_a_topic_that_is_silent_while_others_flow_is_told_once_a_silence() -> None:
    line = ready(("/market/match:A-B", "/market/match:C-D"))
    spoken = {second: match("1", "A-B") for second in range(0, 1800, 5)} | {602: match("1", "C-D")}
    tail = "min while others flow: a quiet market, or one that is not traded"
    assert silences(line, 20, spoken) == [
        (306, f"no trades of kucoin:C-D for 5 {tail}"),
        (909, f"no trades of kucoin:C-D for 5 {tail}"),
    ]


def test_longer_bars_may_be_silent_for_longer_and_an_hour_at_most() -> None:
    spoken = {second: match("1", "A-B") for second in range(0, 4800, 50)}
    line = ready(("/market/match:A-B", "/market/candles:C-D_5min", "/market/candles:C-D_1day"))
    assert [(second, text.partition(" for ")[0]) for second, text in silences(line, 75, spoken)] == [
        (1503, "no candles of kucoin:C-D@5m"),
        (3600, "no candles of kucoin:C-D@1d"),
    ]


def test_silence_of_all_is_one_line_and_a_topic_that_stays_silent_is_named_after_it() -> None:
    spoken = {second: match("1") for second in range(420, 900, 20)}
    assert silences(ready(), 13, spoken) == [
        (306, "no data of any of 3 topics for 5 min, but pongs"),
        (
            423,
            "no candles of kucoin:BTC-USDT@1m for 7 min while others flow: a quiet market, or one that is not traded",
        ),
    ]


def test_a_single_silent_topic_is_named() -> None:
    assert silences(ready(("/market/match:A-B",)), 7, {}) == [(306, "no data of kucoin:A-B for 5 min, but pongs")]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([WELCOME, ack("1/2"), ack("2/2"), pong(1), pong(2), match("1"), "tick", "late"]), max_size=40
    )
)
def test_whatever_the_order_events_begin_with_connected_and_deadlines_move_on(steps: list[str]) -> None:
    line = connection()
    line.connection_made(T)
    now, events = T, list[MarketEvent]()
    for step in steps:
        if step in ("tick", "late"):
            due = line.next_deadline()
            now = max(now, min(due, now + 30 * SECOND)) + (SECOND if step == "late" else 0)
            try:
                line.handle_deadline(now)
            except LinkLost:
                line.connection_lost(now)
                assert line.next_deadline() == NEVER
                break
            assert line.next_deadline() > now
        else:
            events += line.receive_frame(step, now)
    assert [isinstance(event, Connected) for event in events] == [index == 0 for index in range(len(events))]


def test_a_thousand_symbols_are_spread_within_the_limits() -> None:
    names = [f"kucoin:S{n}-USDT" for n in range(1_000)]
    plans = spread("kucoin", [f"{name}@1m" for name in names], names[:100], (), topics_each=300)
    sizes = [(plan.name, len(topics_of(SPOT, plan))) for plan in plans]
    assert sizes == [("kucoin-1", 300), ("kucoin-2", 300), ("kucoin-3", 300), ("kucoin-4", 200)]
    assert [feed for plan in plans for feed in plan.feeds] == [f"{name}@1m" for name in names]
    served = {feed.partition("@")[0]: plan.name for plan in plans for feed in plan.feeds}
    assert all(served[name] == plan.name for plan in plans for name in plan.trades)


def test_an_instrument_is_never_torn_apart() -> None:
    feeds = [f"kucoin:{symbol}@{length}" for symbol in ("A-B", "C-D", "E-F") for length in ("1m", "5m")]
    plans = spread("k", feeds, ["kucoin:A-B", "kucoin:C-D", "kucoin:E-F"], ["kucoin:C-D"], topics_each=7)
    assert plans == [
        ConnectionPlan(
            name="k-1",
            feeds=tuple(feeds[:4]),
            trades=("kucoin:A-B", "kucoin:C-D"),
            quotes=("kucoin:C-D",),
        ),
        ConnectionPlan(name="k-2", feeds=tuple(feeds[4:]), trades=("kucoin:E-F",)),
    ]
