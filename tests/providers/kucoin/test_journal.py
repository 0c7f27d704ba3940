"""What a live connection told is what a replay of its journal tells."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.errors import DecodeError
from barbot.model.market import BarUpdate, Connected, Disconnected, Heartbeat, HistoryBars, MarketEvent, Trade
from barbot.providers.base import Adapter, Answer, Dial, find_provider
from barbot.providers.decode import Undecodable, decode_journal
from barbot.timing.interval import MINUTE, SECOND
from barbot.wire.journal import FetchedText, Header
from barbot.wire.journal_read import open_reader
from barbot.wire.journal_write import JournalWriter, open_writer, without_secrets

T = 1_790_000_040 * SECOND
FEEDS = ("kucoin:BTC-USDT@1m", "kucoin:ETH-USDT@1m")
TOKEN = json.dumps({"code": "200000", "data": {"token": "s3cr3t.x", "instanceServers": [{"endpoint": "wss://a/"}]}})
Told = list[tuple[int, list[MarketEvent]]]


def candle(symbol: str, ts_open: int, close: str, kind: str = "update") -> str:
    row = [str(ts_open // SECOND), "10", close, "12", "9", "1", "10"]
    return json.dumps(
        {
            "topic": f"/market/candles:{symbol}_1min",
            "type": "message",
            "subject": f"trade.candles.{kind}",
            "data": {"symbol": symbol, "candles": row, "time": ts_open + 30 * SECOND + 7},
        }
    )


def match(sequence: int) -> str:
    data = {"price": "10", "size": "1", "side": "sell", "time": str(T), "sequence": str(sequence), "tradeId": "t"}
    return json.dumps({"topic": "/market/match:BTC-USDT", "type": "message", "data": data})


class Driver:
    """What a live run does with one connection after another, without the links."""

    def __init__(self, writer: JournalWriter) -> None:
        make = find_provider("kucoin").make_adapter
        assert make is not None
        self.adapter: Adapter = make({"history_lag_s": 0}, FEEDS, "")
        self.writer = writer
        self.now = T
        self.told: Told = []
        self.refused: list[str] = []

    def dial(self, name: str) -> None:
        (plan,) = self.adapter.plan(trades=["kucoin:BTC-USDT"])
        self.dialled: Dial = self.adapter.dial(plan, name, Answer(status=200, body=TOKEN), self.now)
        self.line = self.dialled.connection
        self.writer.connect(self.now, name, "kucoin", plan.feeds, self.dialled.url)
        self.line.connection_made(self.now)

    def receive(self, frame: str) -> None:
        self.writer.frame(self.now, self.line.name, "in", frame)
        try:
            self.told.append((self.now, self.line.receive_frame(frame, self.now)))
        except DecodeError as error:
            self.refused.append(str(error))
        for sent in self.line.frames_to_send():
            self.writer.frame(self.now, self.line.name, "out", sent)
        self.now += SECOND // 10

    def pass_time(self, seconds: int) -> None:
        end = self.now + seconds * SECOND
        while (due := self.line.next_deadline()) <= end:
            self.now = max(self.now, due)
            self.line.handle_deadline(self.now)
            for sent in self.line.frames_to_send():
                self.writer.frame(self.now, self.line.name, "out", sent)
                self.receive(f'{{"id":"{json.loads(sent)["id"]}","type":"pong"}}')
        self.now = max(self.now, end)

    def fetch(self, feed: str, ts_from: int, ts_to: int, body: str) -> None:
        self.line.ask_history(feed, ts_from, ts_to, self.now)
        while fetches := self.line.fetches_to_make():
            for fetch in fetches:
                url = without_secrets(fetch.url)
                record = FetchedText(self.now, self.line.name, fetch.method, url, 200, body)
                self.writer.fetched(self.now, self.line.name, fetch.method, fetch.url, 200, body)
                self.told.append((self.now, self.line.receive_fetched(record, self.now)))
                self.now += SECOND // 10

    def lose(self) -> None:
        self.writer.drop(self.now, self.line.name, "cut")
        self.told.append((self.now, [Disconnected(self.line.name, self.now, "cut")]))
        self.line.connection_lost(self.now)


def replay(path: Path) -> tuple[Told, list[str]]:
    told: Told = []
    refused: list[str] = []
    with open_reader(path) as reader:
        for step in decode_journal(reader):
            if isinstance(step, Undecodable):
                refused.append(step.problem)
            elif step[1]:
                told.append(step)
    return told, refused


def test_live_and_replay_tell_the_same(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl.zst"
    rows = json.dumps({"code": "200000", "data": [[str(T // SECOND), "10", "11", "12", "9", "1", "10"]]})
    with open_writer(path, Header(run_id="r", barbot="0"), now=T) as writer:
        live = Driver(writer)
        live.dial("kucoin-1")
        for frame in ('{"id":"x","type":"welcome"}', match(1), '{"id":"1/2","type":"ack"}', match(2), "nonsense"):
            live.receive(frame)
        live.receive('{"id":"2/2","type":"ack"}')
        live.fetch(FEEDS[0], T - 2_000 * MINUTE, T + SECOND, rows)
        live.fetch(FEEDS[1], T - 2 * MINUTE, T + SECOND, '{"code":"400100","msg":"no"}')
        live.receive(candle("BTC-USDT", T, "11", "add"))
        live.receive(candle("BTC-USDT", T, "11")[:-9])
        live.receive('{"type":"notice","data":"x"}')
        live.pass_time(25)
        live.receive('{"type":"error","code":401,"data":"token is expired"}')
        live.lose()
        live.dial("kucoin-1#2")
        for frame in (
            '{"id":"2/2","type":"ack"}',
            candle("ETH-USDT", T, "10.5"),
            '{"id":"1/2","type":"ack"}',
            match(3),
        ):
            live.receive(frame)
    told, refused = replay(path)
    assert told == [step for step in live.told if step[1]]
    assert refused == live.refused
    assert len(refused) == 2
    kinds = [type(event) for _, events in told for event in events]
    assert kinds == [
        Connected, Trade, Trade, HistoryBars, HistoryBars, BarUpdate, Heartbeat, Heartbeat, Heartbeat, Heartbeat,
        Disconnected, Connected, BarUpdate, Trade,
    ]  # fmt: skip
    assert "s3cr3t" not in json.dumps([repr(record) for record in records(path)])


def records(path: Path) -> list[object]:
    with open_reader(path) as reader:
        return [reader.header, *reader]


def test_a_journal_that_begins_in_the_middle_repeats_the_opening(tmp_path: Path) -> None:
    first, second = tmp_path / "1.jsonl.zst", tmp_path / "2.jsonl.zst"
    with open_writer(first, Header(run_id="r", barbot="0"), now=T) as writer:
        live = Driver(writer)
        live.dial("kucoin-1")
        for number in ("1/2", "2/2"):
            live.receive(f'{{"id":"{number}","type":"ack"}}')
    with open_writer(second, Header(run_id="r", barbot="0"), now=T) as writer:
        live.writer, live.told = writer, []
        writer.connect(live.now, "kucoin-1", "kucoin", FEEDS)
        for frame in live.line.opening:
            writer.frame(live.now, "kucoin-1", "in", frame)
        began = live.now
        live.receive(match(1))
    told, _ = replay(second)
    assert told == [(began, [Connected("kucoin-1", began, FEEDS)]), *live.told]


FRAMES = st.sampled_from(
    [
        '{"id":"x","type":"welcome"}',
        '{"id":"1/2","type":"ack"}',
        '{"id":"2/2","type":"ack"}',
        '{"id":"p1","type":"pong"}',
        '{"type":"error","code":509,"data":"x"}',
        '{"type":"notice"}',
        candle("BTC-USDT", T, "11"),
        candle("ETH-USDT", T, "10", "add"),
        candle("ETH-USDT", T, "10")[:50],
        match(4),
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(FRAMES, max_size=30))
def test_any_frames_decode_alike_with_and_without_the_state_machine(frames: list[str]) -> None:
    provider = find_provider("kucoin")
    assert provider.make_adapter is not None
    adapter = provider.make_adapter({}, FEEDS, "")
    (plan,) = adapter.plan(trades=["kucoin:BTC-USDT"])
    live = adapter.dial(plan, "c", Answer(status=200, body=TOKEN), T).connection
    live.connection_made(T)
    decoder = provider.make_decoder("c", plan.feeds)
    for step, frame in enumerate(frames):
        outcomes = []
        for codec in (live, decoder):
            try:
                outcomes.append(codec.receive_frame(frame, T + step))
            except DecodeError as error:
                outcomes.append(str(error))  # type: ignore[arg-type]  # compared, nothing else
        assert outcomes[0] == outcomes[1]
