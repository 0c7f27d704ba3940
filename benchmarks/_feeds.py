"""Feeds that the scripts make for themselves: seeded random walks as Parquet and as a journal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

import barbot
from barbot.model.market import BarUpdate
from barbot.providers.native import encode_frame
from barbot.timing.clock import parse_time
from barbot.timing.interval import MINUTE, SECOND
from barbot.wire.journal import Header
from barbot.wire.journal_write import open_writer

if TYPE_CHECKING:
    from collections.abc import Mapping

START: Final = parse_time("2020-01-01T00:00:00Z")
SEED: Final = 20260131
FEED: Final = "test:BTC-USD@1m"

Floats = NDArray[np.float64]


def walk(rows: int, seed: int, *, steps_per_row: int = 4) -> tuple[Floats, Floats, Floats, Floats]:
    """Return open, high, low and close of a random walk in cents around 100, each open at the close before."""
    steps = np.random.default_rng(seed).integers(-3, 4, (rows, steps_per_row))
    ends = np.maximum(np.cumsum(steps.sum(axis=1)) + 100_000, 1_000)
    opens = np.concatenate([[100_000], ends[:-1]])
    spread = np.abs(steps[:, 0])
    high, low = np.maximum(opens, ends) + spread, np.minimum(opens, ends) - spread
    return opens / 100.0, high / 100.0, low / 100.0, ends / 100.0


def write_bars(path: Path, rows: int, *, instruments: int = 1) -> None:
    """Write `rows` one-minute bars of each of so many instruments, sorted by time."""
    columns: dict[str, NDArray[np.generic]] = {}
    each = [walk(rows, SEED + number) for number in range(instruments)]
    for at, name in enumerate(("open", "high", "low", "close")):
        columns[name] = np.stack([prices[at] for prices in each], axis=1).ravel()
    columns["volume"] = np.random.default_rng(SEED).integers(1, 10_000, rows * instruments) / 100.0
    stamps = np.repeat(START + np.arange(rows, dtype=np.int64) * MINUTE, instruments)
    columns = {"open_time": stamps // (SECOND // 1000), **columns}
    if instruments > 1:
        columns["symbol"] = np.tile(np.array([symbol_of(number) for number in range(instruments)], object), rows)
    _write(path, columns)


def symbol_of(number: int) -> str:
    """Return the symbol of instrument `number` where there are many."""
    return f"C{number:02d}-USD"


def write_trades(path: Path, rows: int, *, seconds_apart: float = 0.5) -> None:
    """Write trades with a time, an id, a price and a size; sorted, about 120 a minute."""
    random = np.random.default_rng(SEED)
    gaps = random.integers(0, int(2 * seconds_apart * 1000), rows)
    _, _, _, prices = walk(rows, SEED)
    _write(
        path,
        {
            "trade_time": START // (SECOND // 1000) + np.cumsum(gaps),
            "id": np.arange(1, rows + 1, dtype=np.int64),
            "price": prices,
            "size": random.integers(1, 10_000, rows) / 1000.0,
        },
    )


def write_candles(path: Path, frames: int, *, instruments: int, gap_ms: int) -> None:
    """Write a journal of candle frames in barbot's own codec, `gap_ms` apart, the instruments taking turns.

    A frame is a minute's candle so far; the last of each minute is declared closed.
    """
    apart = gap_ms * SECOND // 1000
    per_bar = MINUTE // apart // instruments
    feeds = [f"test:{symbol_of(number)}@1m" if instruments > 1 else FEED for number in range(instruments)]
    opens, _, _, closes = walk(frames, SEED, steps_per_row=1)
    states = [[0.0] * 4 for _ in feeds]
    header = Header(run_id="bench", barbot=barbot.__version__, seed=SEED, made_by="benchmarks/_feeds.py")
    with open_writer(path, header, now=START) as writer:
        writer.connect(START, "link", "native", feeds)
        for number, (begin, last) in enumerate(zip(opens.tolist(), closes.tolist(), strict=True)):
            turn, which = divmod(number, instruments)
            bar, part = divmod(turn, per_bar)
            first, high, low, volume = states[which] if part else (begin, begin, begin, 0.0)
            states[which] = first, high, low, volume = [first, max(high, last), min(low, last), volume + 1.25]
            now = START + (number + 1) * apart
            update = BarUpdate(
                feeds[which], START + bar * MINUTE, first, high, low, last, volume, 0.0, part == per_bar - 1, now
            )
            writer.frame(now, "link", "in", encode_frame([update]))
        writer.seal(now)


def _write(path: Path, columns: Mapping[str, NDArray[np.generic]]) -> None:
    import duckdb

    database = duckdb.connect()
    database.register("made", dict(columns))
    database.execute(f"COPY (SELECT * FROM made) TO '{path.as_posix()}' (FORMAT parquet)")
    database.close()
