"""One connection to the simulated KuCoin, behaviour by behaviour, in virtual time."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.errors import VenueError
from barbot.sim.kucoin.settings import KuCoinSettings

if TYPE_CHECKING:
    from tests.sim.conftest import Rig

CANDLES = "/market/candles:BTC-USDT_1min"
DAY_S = 86_400.0


def subscribe(topic: str | None, name: object = "1", **more: object) -> dict[str, object]:
    return {"id": name, "type": "subscribe", "topic": topic, "response": True, **more}


def error(code: int, text: str, name: str | None = "1") -> dict[str, object]:
    said: dict[str, object] = {"type": "error", "code": code, "data": text}
    return said if name is None else {"id": name, **said}


def test_the_welcome_has_the_connect_id(rig: Rig) -> None:
    client = rig.client(rig.simulator(), query="connectId=a%20b&acceptUserMessage=true")
    assert client.hear(0) == [(0.0, {"id": "a b", "type": "welcome"})]


def test_without_connect_id_the_welcome_has_an_id_of_its_own(rig: Rig) -> None:
    simulator = rig.simulator()
    ids = [str(rig.client(simulator, query="").messages(0)[0]["id"]) for _ in range(2)]
    assert [re.fullmatch("[A-Za-z0-9]{9,10}", one) is not None for one in ids] == [True, True]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(("sent", "echoed"), [("p1", "p1"), (17, "17"), ("", "")])
def test_a_pong_has_the_id_as_text_and_the_time_in_microseconds(rig: Rig, sent: object, echoed: str) -> None:
    client = rig.client(rig.simulator())
    client.hear(0)
    client.send({"id": sent, "type": "ping"}, 5.25)
    assert client.hear(5.25) == [
        (5.25, {"id": echoed, "type": "pong", "timestamp": rig.at(5.25) // 1000}),
    ]


def test_a_ping_without_id_is_answered(rig: Rig) -> None:
    client = rig.client(rig.simulator())
    client.hear(0)
    client.send({"type": "ping"}, 1)
    assert client.messages(1) == [{"type": "pong", "timestamp": rig.at(1) // 1000}]


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
@pytest.mark.parametrize(
    "topic",
    [
        CANDLES,
        "/market/candles:NOPE-USDT_1min",
        "/market/candles:BTC-USDT_2min",
        "/market/match:A-B,C-D",
        "/market/level2",
    ],
)
def test_an_ack_comes_after_a_while_and_says_nothing_of_symbol_or_type(rig: Rig, kind: str, topic: str) -> None:
    client = rig.client(rig.simulator())
    client.hear(0)
    client.send({**subscribe(topic, name=1), "type": kind}, 1)
    assert client.hear(30) == [(1.1, {"id": "1", "type": "ack"})]


def test_no_ack_unless_a_response_is_asked_for(rig: Rig) -> None:
    client = rig.client(rig.simulator())
    client.hear(0)
    client.send({"id": "1", "type": "subscribe", "topic": CANDLES}, 1)
    assert client.hear(30) == []
    assert client.connection.topics == [CANDLES]


def test_a_topic_that_is_subscribed_twice_is_acked_twice_and_kept_once(rig: Rig) -> None:
    client = rig.client(rig.simulator())
    client.hear(0)
    client.send(subscribe(CANDLES, "1"), 1)
    client.send(subscribe(CANDLES, "2"), 1)
    assert client.messages(2) == [{"id": "1", "type": "ack"}, {"id": "2", "type": "ack"}]
    assert client.connection.topics == [CANDLES]


def test_a_list_is_a_topic_each_and_can_be_left_again(rig: Rig) -> None:
    client = rig.client(rig.simulator())
    client.send(subscribe("/market/match:A-B,C-D,A-B"), 1)
    client.send({"type": "unsubscribe", "topic": "/market/match:A-B"}, 2)
    assert client.connection.topics == ["/market/match:C-D"]


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (subscribe("/market/nothing:BTC-USDT"), error(404, "topic does not exist")),
        (subscribe("candles"), error(400, "topic is invalid")),
        (subscribe(""), error(406, "topic is required")),
        (subscribe(None), error(406, "topic is required")),
        (subscribe("/account/balance"), error(403, "login is required")),
        (subscribe(CANDLES, privateChannel=True), error(403, "login is required")),
        ({"id": 1, "type": "update_token"}, error(415, "type is not supported")),
        ({"id": "1"}, error(415, "type is not supported")),
    ],
)
def test_what_is_refused_keeps_the_connection(rig: Rig, message: object, answer: object) -> None:
    client = rig.client(rig.simulator())
    client.hear(0)
    client.send(message, 1)
    assert client.messages(1) == [answer]
    client.send({"id": "2", "type": "ping"}, 2)
    assert client.messages(2) == [{"id": "2", "type": "pong", "timestamp": rig.at(2) // 1000}]


@pytest.mark.parametrize(("text", "word"), [("not json", "not"), ("[1,2]", "[1,2]"), ("", ""), ('{"id":', '{"id":')])
def test_what_is_no_json_object_is_answered_with_400(rig: Rig, text: str, word: str) -> None:
    client = rig.client(rig.simulator())
    client.hear(0)
    client.send(text, 1)
    (answer,) = client.messages(1)
    assert re.fullmatch("[A-Za-z0-9]{10}", str(answer.pop("id")))
    problem = f"Unrecognized token '{word}': was expecting (JSON String, Number, Array, Object or token)"
    assert answer == error(400, problem, None)
    assert client.connection.closing is None


def test_a_silent_client_is_told_and_then_closed(rig: Rig) -> None:
    client = rig.client(rig.simulator())
    client.send({"type": "ping"}, 10)
    heard = client.hear(1000)
    assert heard[2:] == [(70.0, error(400, "ping timeout", None))]
    assert client.connection.closing == (1000, "Bye")
    assert client.connection.next_deadline() is None


def test_the_close_comes_four_tenths_after_the_timeout(rig: Rig) -> None:
    client = rig.client(rig.simulator())
    client.hear(60.3)
    assert client.connection.closing is None
    client.hear(60.4)
    assert client.connection.closing == (1000, "Bye")


def test_any_message_keeps_a_connection(rig: Rig) -> None:
    client = rig.client(rig.simulator())
    for minute in range(10):
        client.send({"type": "unsubscribe", "topic": CANDLES}, minute * 59)
        client.hear(minute * 59)
    assert client.connection.closing is None


def test_a_hundred_messages_in_ten_seconds_and_no_more(rig: Rig) -> None:
    client = rig.client(rig.simulator())
    client.hear(0)
    for number in range(200):
        client.send({"id": number, "type": "ping"}, number * 0.1)
    assert len(client.messages(20)) == 200
    for number in range(100):
        client.send({"id": number, "type": "ping"}, 29.9 + number * 0.001)
    client.hear(30)
    client.send({"type": "ping"}, 30.1)
    assert client.messages(31) == [error(509, "exceed max permits per second", None)]
    assert client.connection.closing == (1000, "Bye")


def test_a_hundred_topics_a_request_and_four_hundred_a_connection(rig: Rig) -> None:
    client = rig.client(rig.simulator())
    client.hear(0)
    client.send(subscribe("/market/match:" + ",".join(f"A{n}-B" for n in range(101))), 0)
    assert client.messages(0.2) == [error(509, "exceed max subscription count limitation of 100 per time")]
    for page in range(4):
        client.send(subscribe("/market/match:" + ",".join(f"A{page}{n}-B" for n in range(100))), 1)
    client.send(subscribe("/market/match:A00-B"), 2)
    client.send(subscribe(CANDLES), 2)
    acks = [{"id": "1", "type": "ack"}] * 5
    refusal = error(509, "exceed max subscription count limitation of 400 per session")
    assert client.messages(3) == [*acks[:4], refusal, acks[4]]
    assert len(client.connection.topics) == 400


def test_an_unknown_token_is_told_so_and_cut(rig: Rig) -> None:
    client = rig.client(rig.simulator(), token="wrong")
    assert client.messages(0) == [error(401, "token is invalid", None)]
    assert client.connection.closing == (1006, "")


def test_an_old_token_is_told_so_and_cut(rig: Rig) -> None:
    simulator = rig.simulator()
    token = rig.token(simulator)
    assert rig.client(simulator, DAY_S - 1, token=token).messages(DAY_S - 1) == [{"id": "me", "type": "welcome"}]
    late = rig.client(simulator, DAY_S, token=token)
    assert late.messages(DAY_S) == [error(401, "token is expired", None)]
    assert late.connection.closing == (1006, "")


def test_an_old_token_may_be_refused_by_http(rig: Rig) -> None:
    simulator = rig.simulator(settings=KuCoinSettings(refuses_by_http=True, token_lifetime_s=10))
    token = rig.token(simulator)
    with pytest.raises(VenueError, match="401: token is expired"):
        rig.client(simulator, 10, token=token)


def test_a_connection_ends_with_its_token(rig: Rig) -> None:
    client = rig.client(rig.simulator(settings=KuCoinSettings(token_lifetime_s=30)))
    assert client.hear(100)[1:] == [(30.0, error(401, "token is expired", None))]
    assert client.connection.closing == (1006, "")


def test_a_connection_may_outlive_its_token(rig: Rig) -> None:
    client = rig.client(rig.simulator(settings=KuCoinSettings(token_lifetime_s=30, ends_with_token=False)))
    client.send({"type": "ping"}, 29)
    assert [message["type"] for message in client.messages(80)] == ["welcome", "pong"]


def test_connections_are_limited_and_freed(rig: Rig) -> None:
    simulator = rig.simulator(settings=KuCoinSettings(max_connections=2))
    first, _ = rig.client(simulator), rig.client(simulator)
    third = rig.client(simulator)
    assert third.messages(0) == [error(509, "exceed max session count limitation of 2", None)]
    assert third.connection.closing == (1006, "")
    first.hear(61)
    assert rig.client(simulator, 62).messages(62) == [{"id": "me", "type": "welcome"}]


def test_an_ack_may_come_after_the_first_data(rig: Rig) -> None:
    settings = KuCoinSettings(late_ack_chance=1.0, ack_delay_s=(0.1, 0.1))
    client = rig.client(rig.simulator(rig.tape("BTC-USDT", (0.2, 100, 1)), settings=settings, exact=False))
    client.send(subscribe("/market/match:BTC-USDT"), 0)
    assert [(seconds, message["type"]) for seconds, message in client.hear(5)] == [
        (0.0, "welcome"),
        (0.24, "message"),
        (1.1, "ack"),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.dictionaries(
    st.sampled_from(["id", "type", "topic", "privateChannel", "response"]),
    JSON | st.sampled_from(["subscribe", "unsubscribe", "ping", CANDLES, "/market/ticker:all", "/market/match:,,_"]),
)


@given(st.lists(st.one_of(st.text(), st.binary(), FIELDS.map(json.dumps), JSON.map(json.dumps)), max_size=20))
def test_whatever_a_client_sends_the_connection_lives(sent: list[str | bytes]) -> None:
    from tests.sim.conftest import Rig

    rig = Rig()
    client = rig.client(rig.simulator(rig.tape("BTC-USDT", (5, 100, 1))))
    for number, message in enumerate(sent):
        client.connection.receive(message, rig.at(number / 10))
    client.send({"id": "last", "type": "ping"}, 3)
    kinds = [message["type"] for message in client.messages(20)]
    assert "pong" in kinds
    assert set(kinds) <= {"welcome", "pong", "ack", "error", "message"}
    assert client.connection.closing is None
