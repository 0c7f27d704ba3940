"""What goes wrong at the simulated KuCoin when it is asked to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from barbot.errors import ConfigError, LinkLost
from barbot.sim.chaos import Chances, Chaos, Fault
from barbot.sim.kucoin.settings import KuCoinSettings
from barbot.sim.recorded import RecordedTape
from barbot.timing.interval import MINUTE, SECOND

if TYPE_CHECKING:
    from tests.sim.conftest import Rig

START = 1_790_000_040 * SECOND
CANDLES = "/api/v1/market/candles?symbol=BTC-USDT&type=1min"
TOPIC = "/market/candles:BTC-USDT_1min"
TRADES = "/market/match:BTC-USDT"


def steady(rig: Rig) -> RecordedTape:
    """A trade every two seconds, each a step dearer."""
    return rig.tape("BTC-USDT", *((second, 100 + second, 1) for second in range(1, 300, 2)))


def starts(told: list[tuple[float, dict[str, object]]]) -> list[tuple[int, str]]:
    """Return of each candle push when the candle starts, and its volume."""
    found = []
    for _, message in told:
        data = message["data"]
        assert isinstance(data, dict)
        found.append((int(data["candles"][0]) - START // SECOND, data["candles"][5]))
    return found


def prices(told: list[tuple[float, dict[str, object]]]) -> list[int]:
    return [int(message["data"]["price"]) for _, message in told]  # type: ignore[index] # an object


def test_a_drop_cuts_every_connection_then(rig: Rig) -> None:
    simulator = rig.simulator(steady(rig), faults=[Fault(rig.at(20.5), "drop")])
    clients = [rig.listener(simulator, TRADES) for _ in range(2)]
    for client in clients:
        assert prices(client.pushes(300)) == list(range(101, 120, 2))
        assert client.connection.closing == (1006, "")
    again = rig.listener(simulator, TRADES, 20.6)
    assert prices(again.pushes(24)) == [121, 123]


def test_drops_by_chance_come_at_their_rate_and_the_same_each_time(rig: Rig) -> None:
    chaos = Chaos(chances=Chances(drop=0.1), seed=5)
    ends = [chaos.next_cut(connection, START) for connection in range(1, 401)]
    minutes = [(end - START) / MINUTE for end in ends if end is not None]
    assert len(minutes) == 400
    assert min(minutes) > 0
    assert sum(minutes) / 400 == pytest.approx(10, abs=1.5)
    assert ends == [Chaos(chances=Chances(drop=0.1), seed=5).next_cut(number, START) for number in range(1, 401)]
    client = rig.client(rig.simulator(chances=Chances(drop=1.0)))
    client.pushes(1000)
    assert client.connection.closing == (1006, "")


def test_during_an_outage_nobody_answers(rig: Rig) -> None:
    simulator = rig.simulator(steady(rig), faults=[Fault(rig.at(60), "outage", seconds=90)])
    token = rig.token(simulator)
    client = rig.listener(simulator, TRADES)
    assert prices(client.pushes(300))[-1] == 159
    assert client.connection.closing == (1006, "")
    for second in (60, 100, 149.9):
        assert simulator.is_down(rig.at(second))
        with pytest.raises(LinkLost, match="the venue is down"):
            simulator.rest("GET", "/api/v1/timestamp", {}, b"", rig.at(second))
        with pytest.raises(LinkLost, match="the venue is down"):
            simulator.open(f"token={token}", rig.at(second))
    assert not simulator.is_down(rig.at(150))
    assert rig.client(simulator, 150, token=token).messages(150) == [{"id": "me", "type": "welcome"}]


def test_a_late_update_follows_the_next_candle_and_is_the_truth(rig: Rig) -> None:
    faults = [Fault(rig.at(50), "late_update", seconds=60)]
    simulator = rig.simulator(steady(rig), faults=faults)
    told = rig.listener(simulator, TOPIC).pushes(130)
    turn = next(i for i, (start, _) in enumerate(starts(told)) if start == 60)
    assert starts(told)[turn - 1 : turn + 2] == [(0, "29"), (60, "1"), (0, "30")]
    assert told[turn + 1][1]["subject"] == "trade.candles.update"
    assert told[turn + 1][0] - told[turn][0] == pytest.approx(0.4, abs=0.01)
    on_time = next(i for i, (start, _) in enumerate(starts(told)) if start == 120)
    assert [start for start, _ in starts(told)[on_time - 2 :]] == [60, 60, 120, 120, 120, 120, 120]
    assert starts(told)[on_time - 1] == (60, "30")


def test_late_updates_always_still_tell_the_whole_truth(rig: Rig) -> None:
    simulator = rig.simulator(steady(rig), chances=Chances(late_update=1.0))
    told = rig.listener(simulator, TOPIC).pushes(250)
    last = dict(starts(told))
    assert last == {0: "30", 60: "30", 120: "30", 180: "30", 240: last[240]}
    order = list(dict.fromkeys(start for start, _ in starts(told)))
    assert order == [0, 60, 120, 180, 240]
    late = [start for (start, _), (after, _) in zip(starts(told)[1:], starts(told), strict=False) if start < after]
    assert late == [0, 60, 120, 180]


def test_a_candle_of_one_burst_may_be_late_too(rig: Rig) -> None:
    tape = rig.tape("BTC-USDT", (30, 100, 1), (90, 101, 1), (150, 102, 1), (210, 103, 1))
    told = rig.listener(rig.simulator(tape, faults=[Fault(rig.at(60), "late_update", seconds=60)]), TOPIC).pushes(240)
    assert starts(told) == [(0, "1"), (120, "1"), (60, "1"), (180, "1")]


def test_reordered_pushes_change_places_and_none_is_lost(rig: Rig) -> None:
    simulator = rig.simulator(steady(rig), faults=[Fault(rig.at(20), "reorder", seconds=3)])
    assert prices(rig.listener(simulator, TRADES).pushes(32))[8:] == [117, 119, 123, 121, 125, 127, 129, 131]
    last = rig.simulator(rig.tape("BTC-USDT", (10, 100, 1)), chances=Chances(reorder=1.0))
    assert [seconds for seconds, _ in rig.listener(last, TRADES).pushes(60)] == [12.04]


def test_a_duplicate_is_the_same_twice(rig: Rig) -> None:
    simulator = rig.simulator(steady(rig), faults=[Fault(rig.at(20), "duplicate", seconds=4)])
    client = rig.listener(simulator, TRADES)
    texts = [text for _, text in client.texts(30) if '"message"' in text]
    assert prices([(0, json.loads(text)) for text in texts])[9:15] == [119, 121, 121, 123, 123, 125]
    assert texts[10] == texts[11]


def test_garbage_comes_in_between_and_nothing_is_lost(rig: Rig) -> None:
    simulator = rig.simulator(steady(rig), chances=Chances(garbage=0.5), settings=KuCoinSettings(idle_s=1000))
    clean = rig.simulator(steady(rig), settings=KuCoinSettings(idle_s=1000))
    texts = [text for _, text in rig.listener(simulator, TRADES).texts(290)]
    wanted = [text for _, text in rig.listener(clean, TRADES).texts(290)]
    rest = iter(texts)
    assert all(any(json_equal(text, one) for one in rest) for text in wanted)
    assert len(wanted) * 1.3 < len(texts) < len(wanted) * 1.7
    assert len({text for text in texts if not text.startswith("{")}) > 3


def json_equal(wanted: str, text: str) -> bool:
    try:
        return bool(json.loads(text) == json.loads(wanted))
    except ValueError:
        return False


def test_a_scripted_expiry_voids_older_tokens_and_ends_their_connections(rig: Rig) -> None:
    simulator = rig.simulator(faults=[Fault(rig.at(30), "token_expiry", every_s=20)])
    token = rig.token(simulator)
    client = rig.client(simulator, token=token)
    assert client.hear(100)[1:] == [(30.0, {"type": "error", "code": 401, "data": "token is expired"})]
    assert client.connection.closing == (1006, "")
    assert rig.client(simulator, 31, token=token).messages(31)[0]["data"] == "token is expired"
    fresh = rig.client(simulator, 31)
    assert [seconds for seconds, _ in fresh.hear(100)] == [31.0, 50.0]


def test_a_slow_venue_says_everything_later(rig: Rig) -> None:
    simulator = rig.simulator(steady(rig), faults=[Fault(rig.at(10), "slow", seconds=10, amount_s=0.5)])
    client = rig.listener(simulator, TRADES)
    assert [seconds for seconds, _ in client.pushes(22)] == [
        *(second + 0.04 for second in range(1, 10, 2)),
        *(pytest.approx(second + 0.54) for second in range(11, 20, 2)),
        21.04,
    ]
    assert (simulator.delay(rig.at(9)), simulator.delay(rig.at(10))) == (0, SECOND // 2)


def test_a_skewed_venue_lives_in_its_own_time(rig: Rig) -> None:
    simulator = rig.simulator(steady(rig), faults=[Fault(0, "clock_skew", amount_s=3.0)])
    _, reply = rig.ask(simulator, "/api/v1/timestamp", 10)
    assert reply["data"] == rig.at(13) // 1_000_000
    client = rig.listener(simulator, TRADES)
    told = client.pushes(3)
    assert [(seconds, message["data"]["time"]) for seconds, message in told] == [  # type: ignore[index] # an object
        (0.04, str(rig.at(3))),
        (2.04, str(rig.at(5))),
    ]
    client.send({"type": "ping"}, 3.5)
    assert client.messages(3.5) == [{"type": "pong", "timestamp": rig.at(6.5) // 1000}]


@pytest.mark.parametrize(("status", "code"), [(500, "500000"), (403, "400302"), (429, "429000"), (200, "400100")])
def test_history_is_refused_while_the_rest_answers(rig: Rig, status: int, code: str) -> None:
    faults = [Fault(rig.at(10), "history_refused", seconds=10)]
    simulator = rig.simulator(steady(rig), faults=faults, settings=KuCoinSettings(refusal_status=status))
    assert [rig.ask(simulator, CANDLES, second)[0] for second in (9, 10, 19.9, 20)] == [200, status, status, 200]
    assert rig.ask(simulator, CANDLES, 15)[1]["code"] == code
    assert rig.ask(simulator, "/api/v2/symbols", 15)[0] == 200


def test_a_fault_may_come_again_and_again() -> None:
    fault = Fault(START, "outage", seconds=5, every_s=60)
    assert [fault.holds(START + second * SECOND) for second in (-1, 0, 4, 5, 59, 60, 64, 65)] == [
        False,
        True,
        True,
        False,
        False,
        True,
        True,
        False,
    ]
    assert fault.next_start(START - 1) == START
    assert fault.next_start(START) == START + MINUTE
    assert fault.next_start(START + 61 * SECOND) == START + 2 * MINUTE


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Fault(0, "flood"), "no fault is called 'flood'"),  # type: ignore[arg-type] # that is the point
        (lambda: Fault(0, "outage", seconds=0), "cannot last 0 s"),
        (lambda: Fault(0, "slow"), "slow by nothing does nothing"),
        (lambda: Fault(0, "slow", amount_s=-1), "cannot answer before it is asked"),
        (lambda: Chances(drop=1.5), "drop: 1.5 is no chance"),
        (lambda: KuCoinSettings(refusal_status=418), "refusal_status 418 is not simulated"),
    ],
)
def test_what_cannot_go_wrong_is_refused(make: object, problem: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigError, match=problem):
        make()
