"""A recording becomes a market whose candles are the recorded ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from barbot.errors import FeedError
from barbot.model.market import Bar
from barbot.sim.market import Candle, Listing, Market
from barbot.sim.recorded import open_recording, tape_of_bars
from barbot.timing.interval import MINUTE, SECOND
from barbot.wire.journal import Header
from barbot.wire.journal_write import open_writer

START = 1_790_000_040 * SECOND
DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
LISTING = Listing(symbol="A-B", base="A", quote="B", price_decimals=1, size_decimals=2)


def bar(minute: int, prices: tuple[float, float, float, float], volume: float) -> Bar:
    start = START + minute * MINUTE
    return Bar("kucoin:A-B@1m", start, start + MINUTE, *prices, volume)


def test_candles_of_bars_are_the_bars() -> None:
    bars = [bar(0, (10, 12, 9.5, 11), 3.03), bar(1, (11, 11, 11, 11), 0), bar(2, (11, 11.5, 11, 11.5), 0.02)]
    market = Market([tape_of_bars(LISTING, bars)])
    candles = market.candles("A-B", "1m", START, START + 3 * MINUTE)
    assert [(c.ts_open, *c.floats[:5]) for c in candles] == [
        (START, 10.0, 12.0, 9.5, 11.0, 3.03),
        (START + 2 * MINUTE, 11.0, 11.5, 11.0, 11.5, 0.02),
    ]


def test_a_csv_of_bars_can_be_served(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text(
        "time,open,high,low,close,volume\n2026-09-21T14:14:00Z,100,101.25,99,100.5,7\n"
        "2026-09-21T14:15:00Z,100.5,100.5,100,100,1.5\n",
        encoding="utf-8",
    )
    (tape,) = open_recording([f"kucoin:BTC-USDT@1m={file}"])
    assert (tape.listing.symbol, tape.listing.price_decimals, tape.listing.size_decimals) == ("BTC-USDT", 2, 1)
    candles = Market([tape]).candles("BTC-USDT", "1m", START, START + 2 * MINUTE)
    assert [c.floats[:5] for c in candles] == [(100, 101.25, 99, 100.5, 7), (100.5, 100.5, 100, 100, 1.5)]


def test_a_journal_of_trades_can_be_served(tmp_path: Path) -> None:
    file = tmp_path / "trades.jsonl.zst"
    frames = [
        f'["t","kucoin:A-B",{price},{size},{START + offset * SECOND},{number}]'
        for number, (offset, price, size) in enumerate([(1, 10.5, 2), (30, 11, 1), (30, 11, 1), (61, 12, 4)])
    ]
    with open_writer(file, Header(run_id="r", barbot="0"), now=START) as writer:
        writer.connect(START, "c", "native", ("kucoin:A-B@1m",))
        for frame in [*frames, frames[-1]]:
            writer.frame(START + 70 * SECOND, "c", "in", frame)
    market = Market(open_recording([str(file)]))
    assert market.candles("A-B", "1m", START, START + 2 * MINUTE) == [
        Candle(START, "10.5", "11", "10.5", "11", "4", "43"),
        Candle(START + MINUTE, "12", "12", "12", "12", "4", "48"),
    ]


def test_recorded_trades_make_the_official_candles() -> None:
    trades = DATA / "ticks_bars" / "binance_um_btcusdt_20240718_ws_trades.parquet"
    if not trades.exists():
        pytest.skip(f"no recorded data at {trades}")
    duckdb = pytest.importorskip("duckdb")
    rows = duckdb.sql(f"select * from '{(trades.parent / 'binance_um_btcusdt_20240718_official_1m.csv').as_posix()}'")
    names = [name.lower() for name in rows.columns]
    official = {
        int(row[0]) * 1_000_000: tuple(float(row[names.index(n)]) for n in ("open", "high", "low", "close", "volume"))
        for row in rows.fetchall()
    }
    (tape,) = open_recording([f"kucoin:BTC-USDT={trades}"])
    start = tape.ts_first - tape.ts_first % MINUTE + MINUTE
    candles = Market([tape]).candles("BTC-USDT", "1m", start, start + 7 * MINUTE)
    assert [(c.ts_open, c.floats[:5]) for c in candles] == [(ts, official[ts]) for ts in (c.ts_open for c in candles)]
    assert len(candles) == 7


def test_an_empty_recording_is_refused() -> None:
    with pytest.raises(FeedError, match="nothing of A-B was traded"):
        tape_of_bars(LISTING, [bar(0, (1, 1, 1, 1), 0)])
