"""A recorded KuCoin connection through the engine: which bars a strategy gets."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from barbot.core.costs import PaperSettings
from barbot.core.history import History
from barbot.core.risk import RiskLimits
from barbot.core.strategy import Strategy
from barbot.model.market import Bar
from barbot.run.plan import RunPlan
from barbot.run.replay import Replay
from barbot.timing.clock import VirtualClock
from barbot.timing.interval import MINUTE, SECOND, WEEK
from barbot.wire.journal import Header
from barbot.wire.journal_write import JournalWriter, open_writer

T = 1_790_000_040 * SECOND


class Recorder(Strategy):
    """Keeps what it is told."""

    feeds = ["kucoin:BTC-USDT@1m"]
    history = 5
    told: ClassVar[list[tuple[str, int, float, float, str, str]]] = []

    def on_bar_close(self, bar: Bar, history: History) -> None:
        by = bar.closed_by.name if bar.closed_by else ""
        self.told.append(("close", (bar.ts_open - T) // MINUTE, bar.close, bar.volume, by, bar.quality.name))

    def on_bar_correct(self, bar: Bar, previous: Bar, history: History) -> None:
        self.told.append(("correct", (bar.ts_open - T) // MINUTE, bar.close, bar.volume, "", bar.quality.name))


class Weekly(Recorder):
    """The same on weeks."""

    feeds = ["kucoin:BTC-USDT@1w"]


def candle(minute: int, close: str, volume: str, *, at: int, length: str = "1min", start: int = T) -> str:
    row = [str(start // SECOND + 60 * minute), close, close, close, close, volume, volume]
    return json.dumps(
        {
            "type": "message",
            "topic": f"/market/candles:BTC-USDT_{length}",
            "subject": "trade.candles.update",
            "data": {"symbol": "BTC-USDT", "candles": row, "time": at},
        }
    )


def begin(writer: JournalWriter, strategy: type[Strategy], at: int, rows: list[list[str]], ts_from: int) -> None:
    (feed,) = strategy.feeds
    length = "1min" if feed.endswith("@1m") else "1week"
    writer.connect(at, "c", "kucoin", (feed,))
    writer.frame(at, "c", "in", '{"id":"1/1","type":"ack"}')
    url = f"https://h/api/v1/market/candles?symbol=BTC-USDT&type={length}#ts_from={ts_from}&ts_to={at}&page=1&pages=1"
    writer.fetched(at + SECOND, "c", "GET", url, 200, json.dumps({"code": "200000", "data": rows}))


def run(strategy: type[Strategy], path: Path) -> list[tuple[str, int, float, float, str, str]]:
    plan = RunPlan(
        strategy=strategy,
        strategy_file="x.py",
        params={},
        feeds=(str(path),),
        cash={"USDT": Decimal(1_000)},
        paper=PaperSettings(),
        limits=RiskLimits(),
        check=True,
        runs_dir=None,
    )
    Recorder.told.clear()
    outcome = Replay(plan, clock=VirtualClock()).run()
    assert outcome.warnings == []
    return list(Recorder.told)


def row(minute: int) -> list[str]:
    return [str(T // SECOND + 60 * minute), "9", "9", "9", "9", "1", "9"]


def test_quiet_minutes_close_on_time_and_their_late_flat_candles_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl.zst"
    with open_writer(path, Header(run_id="r", barbot="0"), now=T) as writer:
        begin(writer, Recorder, T, [row(n) for n in (0, -1, -2, -3, -4, -5, -6, -7)], T - 7 * MINUTE)
        now = T + 30 * SECOND
        writer.frame(now, "c", "in", candle(0, "10", "2", at=now))
        for step in range(10, 185, 9):
            writer.frame(T + MINUTE + step * SECOND, "c", "in", '{"id":"p1","type":"pong"}')
        now = T + 4 * MINUTE + 10 * SECOND
        for minute, volume in ((1, "0"), (2, "0"), (3, "0"), (4, "1")):
            now += 700_000
            writer.frame(now, "c", "in", candle(minute, "10" if minute < 4 else "11", volume, at=now))
        writer.frame(now + SECOND, "c", "in", candle(4, "12", "2", at=now + SECOND))
        now = T + 5 * MINUTE + SECOND
        writer.frame(now, "c", "in", candle(5, "13", "1", at=now))
        writer.frame(now + SECOND, "c", "in", candle(4, "12.5", "3", at=now + SECOND))
    assert run(Recorder, path) == [
        ("close", 0, 10.0, 2.0, "ELAPSED", "OK"),
        ("close", 1, 10.0, 0.0, "ELAPSED", "QUIET"),
        ("close", 2, 10.0, 0.0, "ELAPSED", "QUIET"),
        ("close", 3, 10.0, 0.0, "ELAPSED", "QUIET"),
        ("close", 4, 12.0, 2.0, "SUPERSEDED", "OK"),
        ("correct", 4, 12.5, 3.0, "", "OK"),
    ]


def test_weeks_that_open_on_thursday_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl.zst"
    week = T - T % WEEK
    rows = [[str((week - n * WEEK) // SECOND), "9", "9", "9", "9", "1", "9"] for n in range(8)]
    with open_writer(path, Header(run_id="r", barbot="0"), now=T) as writer:
        begin(writer, Weekly, T, rows, week - 7 * WEEK)
        writer.frame(T + 2 * SECOND, "c", "in", candle(0, "10", "2", at=T, length="1week", start=week))
        later = week + WEEK + SECOND
        writer.frame(later, "c", "in", candle(0, "11", "1", at=later, length="1week", start=week + WEEK))
    assert [told[2:] for told in run(Weekly, path)] == [(10.0, 2.0, "SUPERSEDED", "OK")]
