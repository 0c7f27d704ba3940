"""Our own adapter and the simulator, one against the other in virtual time; neither was written from the other."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urlsplit

import pytest

from barbot.errors import DecodeError
from barbot.model.market import BarUpdate, Connected, HistoryBars, MarketEvent, Trade
from barbot.providers.base import Adapter, Answer, Fetch, VenueConnection, find_provider
from barbot.sim.chaos import Chances
from barbot.sim.kucoin.simulator import Connection, KuCoinSimulator
from barbot.sim.walk import walking
from barbot.timing.interval import DAY, MINUTE, SECOND
from barbot.wire.journal import FetchedText

if TYPE_CHECKING:
    from tests.sim.conftest import Rig

START = 1_790_000_040 * SECOND
ENDPOINT = "http://127.0.0.1:1"


class Wire:
    """Carries bytes between an adapter's connection and the simulator, in no time."""

    def __init__(self, simulator: KuCoinSimulator, provider: str, feeds: tuple[str, ...]) -> None:
        self.simulator = simulator
        make = find_provider(provider).make_adapter
        assert make is not None
        self.adapter: Adapter = make({}, feeds, ENDPOINT)
        for fetch in self.adapter.startup():
            self.adapter.receive_startup(fetch, self.ask(fetch, START))
        self.events: list[MarketEvent] = []
        self.undecodable = 0

    def ask(self, fetch: Fetch, now: int) -> Answer:
        parts = urlsplit(urldefrag(fetch.url).url)
        status, headers, body = self.simulator.rest(fetch.method, f"{parts.path}?{parts.query}", {}, b"", now)
        return Answer(status=status, body=body, headers=dict(headers), ts_sent=now, ts_recv=now)

    def run(self, until: int, *, trades: tuple[str, ...] = (), history_at: int = START + 20 * SECOND) -> None:
        """Connect the only connection of the plan, ask for history once, and listen."""
        (plan,) = self.adapter.plan(trades=trades)
        fetch = self.adapter.credentials(plan)
        assert fetch is not None
        dial = self.adapter.dial(plan, "c", self.ask(fetch, START), START)
        venue = self.simulator.open(urlsplit(dial.url).query, START)
        dial.connection.connection_made(START)
        now = START
        while now < until:
            if history_at and now >= history_at:
                for feed in plan.feeds:
                    dial.connection.ask_history(feed, START - 200 * MINUTE, now, now)
                history_at = 0
            self.exchange(dial.connection, venue, now)
            deadline = venue.next_deadline()
            assert deadline is not None, "the venue closed"
            now = max(now, min(deadline, dial.connection.next_deadline()))

    def exchange(self, ours: VenueConnection, venue: Connection, now: int) -> None:
        if now >= ours.next_deadline():
            ours.handle_deadline(now)
        for fetch in ours.fetches_to_make():
            answer = self.ask(fetch, now)
            body = answer.body.decode() if isinstance(answer.body, bytes) else answer.body
            record = FetchedText(now, "c", fetch.method, fetch.url, answer.status, body)
            self.events += ours.receive_fetched(record, now)
        for frame in ours.frames_to_send():
            venue.receive(frame, now)
        for text in venue.to_send(now):
            try:
                self.events += ours.receive_frame(text, now)
            except DecodeError:
                self.undecodable += 1
        for frame in ours.frames_to_send():
            venue.receive(frame, now)

    def last_words(self, feed: str) -> dict[int, tuple[float, ...]]:
        """Return the state of each candle as the newest push of it told."""
        newest: dict[int, BarUpdate] = {}
        for event in self.events:
            if isinstance(event, BarUpdate) and event.feed == feed:
                known = newest.get(event.ts_open)
                if known is None or event.ts_event >= known.ts_event:
                    newest[event.ts_open] = event
        return {ts: (u.open, u.high, u.low, u.close, u.volume, u.turnover) for ts, u in newest.items()}


def truth(rig_market: KuCoinSimulator, symbol: str, ts_from: int, ts_to: int) -> dict[int, tuple[float, ...]]:
    candles = rig_market.market.candles(symbol, "1m", ts_from, ts_to)
    return {candle.ts_open: candle.floats for candle in candles}


@pytest.mark.parametrize(
    "chances", [None, Chances(duplicate=0.1), Chances(late_update=0.3), Chances(reorder=0.1), Chances(garbage=0.1)]
)
def test_every_candle_arrives_as_the_market_made_it(rig: Rig, chances: Chances | None) -> None:
    names = ("BTC-USDT", "ETH-USDT", "XRP-USDT")
    tapes = [walking(name, seed=2, ts_first=START - DAY, trades_per_minute=6.0) for name in names]
    wire = Wire(rig.simulator(*tapes, chances=chances), "kucoin", tuple(f"kucoin:{name}@1m" for name in names))
    wire.run(START + 12 * MINUTE)
    assert [event.feeds for event in wire.events if isinstance(event, Connected)] == [wire_feeds(names)]
    for name in names:
        wanted = truth(wire.simulator, name, START, START + 10 * MINUTE)
        told = wire.last_words(f"kucoin:{name}@1m")
        assert {ts: told.get(ts) for ts in wanted} == wanted
    assert (wire.undecodable > 0) == (chances is not None and chances.garbage > 0)


def wire_feeds(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"kucoin:{name}@1m" for name in names)


def test_history_arrives_as_the_market_made_it(rig: Rig) -> None:
    tape = walking("BTC-USDT", seed=2, ts_first=START - DAY, trades_per_minute=6.0, silent_fraction=0.2)
    wire = Wire(rig.simulator(tape), "kucoin", ("kucoin:BTC-USDT@1m",))
    wire.run(START + MINUTE)
    (history,) = [event for event in wire.events if isinstance(event, HistoryBars)]
    rows = {row.ts_open: (row.open, row.high, row.low, row.close, row.volume, row.turnover) for row in history.bars}
    wanted = truth(wire.simulator, "BTC-USDT", START - 200 * MINUTE, START)
    assert {ts: rows.get(ts) for ts in wanted} == wanted
    assert (history.error, rows.keys() - wanted.keys() - {START}) == ("", set())
    assert len(wanted) < 200


def test_trades_arrive_as_they_were_made(rig: Rig) -> None:
    tape = walking("BTC-USDT", seed=2, ts_first=START - DAY)
    wire = Wire(rig.simulator(tape), "kucoin", ("kucoin:BTC-USDT@1m",))
    wire.run(START + 2 * MINUTE, trades=("kucoin:BTC-USDT",))
    told = [(event.ts_event, event.sequence) for event in wire.events if isinstance(event, Trade)]
    made = wire.simulator.market.trades("BTC-USDT", START - SECOND // 25 + 1, START + 2 * MINUTE - SECOND)
    assert told[: len(made)] == [(tick.ts, tick.sequence) for tick in made]


def test_futures_arrive_as_the_market_made_them(rig: Rig) -> None:
    tape = walking("XBTUSDTM", seed=2, ts_first=START - DAY, trades_per_minute=6.0)
    wire = Wire(rig.simulator(tape), "kucoin-futures", ("kucoin-futures:XBTUSDTM@1m",))
    wire.run(START + 8 * MINUTE)
    wanted = truth(wire.simulator, "XBTUSDTM", START, START + 6 * MINUTE)
    told = wire.last_words("kucoin-futures:XBTUSDTM@1m")
    assert {ts: told[ts][:5] for ts in wanted} == {ts: row[:5] for ts, row in wanted.items()}
    (history,) = [event for event in wire.events if isinstance(event, HistoryBars)]
    rows = {row.ts_open: (row.open, row.high, row.low, row.close) for row in history.bars}
    before = truth(wire.simulator, "XBTUSDTM", START - 200 * MINUTE, START)
    assert {ts: rows.get(ts) for ts in before} == {ts: row[:4] for ts, row in before.items()}
