"""Make the recorded feeds in examples/feeds: synthetic, seeded, the same bytes on every run.

    python examples/make_feeds.py            writes into examples/feeds
    python examples/make_feeds.py FOLDER     writes into FOLDER

Nothing in them was ever traded. Prices are a random walk whose volatility comes in clusters. Only + - * / and
the square root are used, which IEEE 754 rounds alike everywhere, and of Python's generator only `random()`,
whose sequence is promised not to change. The journal is written from docs/journal.md alone, without barbot:
the format belongs to whoever reads the page.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from random import Random
from typing import Final

if sys.version_info >= (3, 14):
    from compression.zstd import CompressionParameter, compress
else:
    from backports.zstd import CompressionParameter, compress

MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000 * MILLISECOND
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
START: Final = 1_772_409_600 * SECOND
"""2026-03-02T00:00:00Z, a Monday."""

FEEDS: Final = Path(__file__).resolve().parent / "feeds"


class Dice:
    """Chance, from one seed, by exact arithmetic."""

    def __init__(self, seed: int) -> None:
        """Begin the sequence of `seed`."""
        self.unit: Callable[[], float] = Random(seed).random

    def between(self, low: float, high: float) -> float:
        """Return a number of [low, high)."""
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """Return an integer of [low, high]."""
        return low + int((high - low + 1) * self.unit())

    def bell(self) -> float:
        """Return a number of mean 0 and deviation 1: the sum of twelve uniform ones, less six."""
        return sum(self.unit() for _ in range(12)) - 6.0

    def happens(self, probability: float) -> bool:
        """Return True with `probability`."""
        return self.unit() < probability


class Walk:
    """A price whose changes are independent in direction and clustered in size."""

    def __init__(self, dice: Dice, price: float, deviation: float, tick: float) -> None:
        """Start at `price`; `deviation` is the mean one of a bar, as a fraction."""
        self._dice = dice
        self._exact = price
        self._mean = deviation * deviation
        self._variance = self._mean
        self._drift = 0.0
        self._decimals = len(f"{tick:g}".partition(".")[2])

    @property
    def price(self) -> float:
        """The price on the tick."""
        return round(self._exact, self._decimals)

    def next_bar(self) -> None:
        """Let the size of the coming changes follow that of the last ones (GARCH), and the drift wander."""
        shock = self._variance * self._dice.bell() ** 2
        self._variance = 0.04 * self._mean + 0.12 * shock + 0.84 * self._variance
        self._drift = 0.985 * self._drift + 0.025 * sqrt(self._mean) * self._dice.bell()

    def step(self, share: float) -> float:
        """Move by the `share` of a bar's time and return the price."""
        change = self._drift * share + sqrt(self._variance * share) * self._dice.bell()
        self._exact *= 1.0 + change
        return self.price

    @property
    def heat(self) -> float:
        """How lively the market is now; 1 on average."""
        return sqrt(self._variance / self._mean)


@dataclass
class Candle:
    """A bar as it grows."""

    ts_open: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    turnover: float = 0.0

    def trade(self, price: float, size: float) -> None:
        """Take a trade in."""
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.volume = round(self.volume + size, 6)
        self.turnover = round(self.turnover + price * size, 2)

    def row(self) -> list[object]:
        """Return it as a row of history, in the words of barbot's native codec."""
        return [self.ts_open, self.open, self.high, self.low, self.close, self.volume, self.turnover]


def lines_of(columns: str, rows: Sequence[Sequence[object]]) -> bytes:
    """Return a CSV: the header line and the rows."""
    text = "\n".join([columns, *(",".join(str(cell) for cell in row) for row in rows), ""])
    return text.encode()


def iso(ts: int) -> str:
    """Print whole seconds as ISO 8601; the feeds lie within March to July 2026, so that a table does."""
    days, of_day = divmod((ts - START) // SECOND, 86_400)
    month, day = 3, 2 + days
    for length in (31, 30, 31, 30, 31):
        if day <= length:
            break
        month, day = month + 1, day - length
    return f"2026-{month:02}-{day:02}T{of_day // 3600:02}:{of_day // 60 % 60:02}:{of_day % 60:02}Z"


# -- btc-usdt-1m.jsonl.zst: a live session as the wire told it ---------------------------------------------

FEED: Final = "kucoin:BTC-USDT@1m"
CONNECTION: Final = "sample-1"
SESSION: Final = 3 * DAY
WARMUP_BARS: Final = 300
LISTEN: Final = START + 23 * SECOND
LAST_WORD: Final = START + SESSION + 5 * SECOND
SILENCE: Final = (START + 27 * HOUR + 14 * MINUTE, START + 27 * HOUR + 18 * MINUTE)
"""Four quiet minutes in a row; single ones come at night by chance."""


@dataclass(frozen=True)
class Outage:
    """A time without a connection, and what the venue's history says of it afterwards."""

    dropped: int
    back: int
    reason: str
    error: str = ""


OUTAGES: Final = (
    Outage(START + 14 * HOUR + 451 * SECOND, START + 14 * HOUR + 667 * SECOND, "close 1006: no close frame"),
    Outage(
        START + 44 * HOUR + 2505 * SECOND,
        START + 44 * HOUR + 2791 * SECOND,
        "no pong within 10 s",
        "503: history is being maintained",
    ),
)


@dataclass
class Tape:
    """Frames by the time of their arrival, and the candles as they were in the end."""

    frames: list[tuple[int, str]] = field(default_factory=list)
    candles: list[Candle] = field(default_factory=list)

    def candle(self, arrives: int, candle: Candle, ts_event: int) -> None:
        """Let the state of `candle` arrive."""
        frame: list[object] = ["b", FEED, *candle.row()]
        self.frames.append((arrives, compact([*frame, False, ts_event])))


def compact(value: object) -> str:
    """Return JSON without blanks."""
    return json.dumps(value, separators=(",", ":"))


def btc_tape() -> Tape:
    """Make three days of candle frames, each the full state so far, without a closed flag."""
    dice = Dice(1)
    walk = Walk(dice, 64_000.0, 0.0006, 0.1)
    tape = Tape()
    for number in range(-WARMUP_BARS, SESSION // MINUTE):
        ts_open = START + number * MINUTE
        walk.next_bar()
        if not is_quiet(dice, ts_open):
            add_minute(tape, dice, walk, ts_open)
    add_nonsense(tape, dice)
    for number in range(SESSION // (18 * SECOND) + 1):
        tape.frames.append((LISTEN + number * 18 * SECOND + dice.whole(9_000, 30_000) * 1_000, '["h"]'))
    tape.frames.sort(key=lambda frame: frame[0])
    return tape


def is_quiet(dice: Dice, ts_open: int) -> bool:
    """Return whether nobody trades in this minute: at times between 02:00 and 05:00."""
    if SILENCE[0] <= ts_open < SILENCE[1]:
        return True
    is_night = 2 * HOUR <= (ts_open - START) % DAY < 5 * HOUR
    return ts_open > START and is_night and dice.happens(0.08)


def add_minute(tape: Tape, dice: Dice, walk: Walk, ts_open: int) -> None:
    """Add a minute of updates; some come twice, and now and then the last one comes late."""
    moments = sorted(dice.whole(200, 59_700) for _ in range(2 + int(dice.between(2.0, 6.0) * walk.heat)))
    candle, before = None, 0
    for moment in moments:
        price = walk.step((moment - before) / 60_000)
        before = moment
        candle = candle or Candle(ts_open, price, price, price, price)
        candle.trade(price, round(dice.between(0.002, 0.4) * walk.heat, 4))
        ts_event = ts_open + moment * MILLISECOND
        arrives = ts_event + dice.whole(18_000, 95_000) * 1_000
        tape.candle(arrives, candle, ts_event)
        if dice.happens(0.01):
            tape.frames.append((arrives + dice.whole(1_000, 40_000) * 1_000, tape.frames[-1][1]))
    assert candle is not None
    tape.candles.append(candle)
    if dice.happens(0.012):
        ts_event = ts_open + dice.whole(59_750, 59_990) * MILLISECOND
        candle.trade(walk.step(0.02), round(dice.between(0.01, 1.5), 4))
        tape.candle(ts_event + dice.whole(2_500, 14_000) * MILLISECOND, candle, ts_event)


def add_nonsense(tape: Tape, dice: Dice) -> None:
    """Add two candles that cannot be: a high below the low, and one between two minutes."""
    for hours, shift in ((9, 0), (52, 30 * SECOND)):
        ts = START + hours * HOUR + dice.whole(10, 50) * SECOND
        price = next(c.close for c in tape.candles if c.ts_open >= ts)
        high = price - 5.0 if not shift else price
        row = [START + hours * HOUR + shift, price, high, price, price, 0.01, 640.0]
        tape.frames.append((ts, compact(["b", FEED, *row, False, ts])))


def btc_records() -> Iterator[list[object]]:
    """Yield the journal's records: the connection with its outages, the frames, the seal."""
    tape = btc_tape()
    ups = [LISTEN, *(outage.back for outage in OUTAGES)]
    ends = [*(outage.dropped for outage in OUTAGES), LAST_WORD]
    for number, (up, end) in enumerate(zip(ups, ends, strict=True)):
        yield ["c", up, CONNECTION, "native-history", [FEED], "wss://feed.example/candles"]
        error = OUTAGES[number - 1].error if number else ""
        ts_from = (
            START - WARMUP_BARS * MINUTE if not number else OUTAGES[number - 1].dropped // MINUTE * MINUTE - 2 * MINUTE
        )
        answered = up + 380 * MILLISECOND
        rows = [] if error else history_rows(tape, ts_from, up)
        body = compact(["y", FEED, ts_from, up, rows, error])
        for arrives, frame in tape.frames:
            if not up < arrives < end:
                continue
            if answered and arrives > answered:
                yield ["h", answered, CONNECTION, "GET", "https://feed.example/candles?symbol=BTC-USDT", 200, body]
                answered = 0
            yield ["f", arrives, CONNECTION, "in", frame]
        if number < len(OUTAGES):
            yield ["d", end, CONNECTION, OUTAGES[number].reason]
    yield ["s", LAST_WORD]


def history_rows(tape: Tape, ts_from: int, ts_to: int) -> list[list[object]]:
    """Return the candles that had ended by `ts_to`; of the one that had not, the last state that was sent."""
    rows = [c.row() for c in tape.candles if ts_from <= c.ts_open and c.ts_open + MINUTE <= ts_to]
    running = ts_to // MINUTE * MINUTE
    sent = [json.loads(frame) for arrives, frame in tape.frames if arrives <= ts_to and f",{running}," in frame]
    if sent:
        rows.append(sent[-1][2:9])
    return rows


def btc_journal() -> bytes:
    """Return the journal as a file."""
    instrument = {
        "provider": "kucoin", "symbol": "BTC-USDT", "currency": "USDT", "base": "BTC", "price_increment": "0.1",
        "quantity_increment": "0.00000001", "min_quantity": "0.00001", "max_quantity": None,
        "min_notional": "0.1", "multiplier": "1", "calendar": "24/7",
    }  # fmt: skip
    header = {
        "barbot_journal": 1, "run_id": "synthetic-btc-usdt-1m", "barbot": "0.1.0", "settings_digest": "", "seed": 1,
        "instruments": [instrument], "made_by": "examples/make_feeds.py (synthetic)",
    }  # fmt: skip
    records = list(btc_records())
    blocks = [(0, LISTEN, [compact(header)])]
    for first in range(0, len(records), 4_000):
        part = records[first : first + 4_000]
        ts = part[0][1]
        assert isinstance(ts, int)
        blocks.append((first + len(part), ts, [compact(record) for record in part]))
    return journal(blocks)


def journal(blocks: Sequence[tuple[int, int, list[str]]]) -> bytes:
    """Return the blocks (number of the last record, stamp of the first, lines) as docs/journal.md says."""
    options: dict[int, int] = {CompressionParameter.compression_level: 19, CompressionParameter.checksum_flag: 1}
    digest, out = "0" * 64, bytearray()
    for last, ts, lines in blocks:
        text = "".join(f"{line}\n" for line in lines).encode()
        digest = hashlib.sha256(digest.encode() + text).hexdigest()
        data = compress(text + compact(["z", last, digest]).encode() + b"\n", options=options)
        index = struct.pack("<QqII", last, ts, len(data), zlib.crc32(data))
        out += struct.pack("<II", 0x184D2A5B, 28) + index + struct.pack("<I", zlib.crc32(index)) + data
    return bytes(out)


# -- the column files --------------------------------------------------------------------------------------


def walked_bars(dice: Dice, walk: Walk, ts_from: int, step: int, count: int, size: float) -> Iterator[Candle]:
    """Yield `count` bars of `walk`, twelve steps each."""
    for number in range(count):
        walk.next_bar()
        price = walk.price
        candle = Candle(ts_from + number * step, price, price, price, price)
        for _ in range(12):
            candle.trade(walk.step(1 / 12), round(dice.between(0.1, 1.0) * size * walk.heat, 3))
        yield candle


def eth_hours() -> bytes:
    """Make 120 days of hours, in the columns of an exchange's own download."""
    dice = Dice(2)
    bars = walked_bars(dice, Walk(dice, 3_100.0, 0.006, 0.01), START, HOUR, 120 * 24, 180.0)
    rows = [
        (bar.ts_open // MILLISECOND, f"{bar.open:.2f}", f"{bar.high:.2f}", f"{bar.low:.2f}", f"{bar.close:.2f}",
         f"{bar.volume:.3f}", f"{bar.turnover:.2f}")
        for bar in bars
    ]  # fmt: skip
    return lines_of("open_time,open,high,low,close,volume,quote_volume", rows)


class Spread:
    """How far the second of two prices lies from its usual multiple of the first: pulled back to 0."""

    def __init__(self, dice: Dice) -> None:
        """Start at 0."""
        self._dice = dice
        self._now = 0.0

    def next(self, share: float) -> float:
        """Return the spread after the `share` of a bar's time, as a fraction."""
        self._now += -0.022 * self._now * share + 0.00042 * sqrt(share) * self._dice.bell()
        return self._now


def pair_minutes() -> bytes:
    """Make two days of minutes of two instruments that move together, with some minutes left out."""
    dice = Dice(3)
    walk, spread = Walk(dice, 64_000.0, 0.0006, 0.1), Spread(dice)
    rows: list[Sequence[object]] = []
    for bar in walked_bars(dice, walk, START, MINUTE, 2 * 1440, 0.6):
        prices = [round(price * 0.0485 * (1.0 + spread.next(0.25)), 2) for price in path_of(dice, bar)]
        ends = (prices[0], max(prices), min(prices), prices[-1])
        sizes = (bar.volume, round(bar.volume * dice.between(12.0, 26.0), 3))
        for symbol, values, decimals, size in (
            ("BTC-USDT", (bar.open, bar.high, bar.low, bar.close), 1, sizes[0]),
            ("ETH-USDT", ends, 2, sizes[1]),
        ):
            if not dice.happens(0.004):
                rows.append((iso(bar.ts_open), symbol, *(f"{value:.{decimals}f}" for value in values), f"{size:.3f}"))
    return lines_of("time,symbol,open,high,low,close,volume", rows)


def path_of(dice: Dice, bar: Candle) -> tuple[float, float, float, float]:
    """Return one way through the bar."""
    first, second = (bar.high, bar.low) if dice.happens(0.5) else (bar.low, bar.high)
    return bar.open, first, second, bar.close


def btc_trades() -> bytes:
    """Make 20,000 trades in the order of their arrival; some are late, and some come twice."""
    dice = Dice(4)
    walk = Walk(dice, 64_000.0, 0.0006, 0.1)
    rows: list[tuple[int, int, str, str, str, int]] = []
    ts, minute = START // MILLISECOND, -1
    for number in range(20_000):
        ts += int(30.0 + dice.unit() * dice.unit() * 4_300.0)
        if ts // 60_000 != minute:
            minute = ts // 60_000
            walk.next_bar()
        before, price = walk.price, walk.step(1 / 55)
        side = "buy" if price > before or (price == before and dice.happens(0.5)) else "sell"
        size = f"{dice.between(0.0001, 0.02) * walk.heat:.4f}"
        late = dice.whole(1_500, 6_000) if dice.happens(0.004) else 0
        row = (ts + dice.whole(20, 90) + late, ts, f"{price:.1f}", size, side, 700_001 + number)
        rows.append(row)
        if dice.happens(0.002):
            rows.append((row[0] + dice.whole(1, 900), *row[1:]))
    rows.sort(key=lambda row: row[0])
    return lines_of("received_time,time,price,size,side,id", rows)


MAKERS: Final = {
    "btc-usdt-1m.jsonl.zst": btc_journal,
    "btc-usdt-trades.csv": btc_trades,
    "eth-btc-pair-1m.csv": pair_minutes,
    "eth-usdt-1h.csv": eth_hours,
}


def main(folder: Path) -> None:
    """Write all feeds into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in MAKERS.items():
        content = make()
        (folder / name).write_bytes(content)
        print(f"{name:<24} {len(content):>10,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FEEDS)
