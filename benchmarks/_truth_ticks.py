"""Bars that barbot builds from recorded ticks, against the bars of the same source and period."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isclose
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import msgspec

from barbot.model.market import Bar, Quality
from barbot.timing.clock import iso, parse_time
from barbot.timing.interval import HOUR, MINUTE, SECOND
from benchmarks._recording import Seen, run_files

Prices: TypeAlias = tuple[float, float, float, float]
Theirs: TypeAlias = dict[int, tuple[Prices, float]]
"""Independent bars by opening: prices, and the volume."""

_OHLC: Final = ("open", "high", "low", "close")
_BREAK: Final = HOUR
"""Ticks further apart than this lie in different stretches of a file from which whole days were left out."""


class TickRow(msgspec.Struct, kw_only=True):
    """What became of one source."""

    source: str
    bars: int
    ohlc: int
    ohlcv: int | None
    readme_ohlc: int
    readme_ohlcv: int | None
    quiet: int
    quiet_expected: int
    lacking: int = 0
    """Independent bars that barbot does not have."""
    extra: int = 0
    """Bars with trades that the independent source does not have."""
    refused: int = 0
    why: str = ""
    ok: bool = False

    def judge(self) -> TickRow:
        """Decide whether it is all as the README of the data says."""
        self.ok = (self.ohlc, self.ohlcv, self.quiet) == (self.readme_ohlc, self.readme_ohlcv, self.quiet_expected)
        self.ok = self.ok and not self.lacking and not self.extra and not self.refused
        return self


class Ask:
    """Reads Parquet and CSV with duckdb, apart from barbot's own readers."""

    def __init__(self, data: Path, scratch: Path) -> None:
        """Read `data`; put what has to be reshaped into `scratch`."""
        import duckdb

        self.data = data
        self.scratch = scratch
        self._database = duckdb.connect()

    def rows(self, query: str, *files: Path) -> list[tuple[float, ...]]:
        """Return the rows of `query`; its `?` are the files."""
        found: list[tuple[float, ...]] = self._database.execute(query, [file.as_posix() for file in files]).fetchall()
        return found

    def reshape(self, name: str, query: str) -> Path:
        """Write what `query` selects as a Parquet file; its `{data}` is the folder of the data."""
        target = self.scratch / f"{name}.parquet"
        self._database.execute(f"COPY ({query.format(data=self.data.as_posix())}) TO '{target.as_posix()}'")
        return target

    def bars(self, name: str, *, prices: Sequence[str] = _OHLC, volume: str = "volume", where: str = "true") -> Theirs:
        """Return the independent bars of a file labelled with their start."""
        columns = ", ".join(prices)
        query = f"SELECT epoch_ns(start), {columns}, {volume} FROM read_parquet(?) WHERE {where} ORDER BY 1"
        return {int(ts): ((o, h, low, c), float(v)) for ts, o, h, low, c, v in self.rows(query, self.data / name)}


class Comparison(NamedTuple):
    """Bars of both sides, matched by opening."""

    ohlc: int
    ohlcv: int
    lacking: int
    extra: int
    different: list[tuple[int, Bar, float, tuple[Prices, float]]]
    """Opening, our bar, its volume with what was added, theirs."""


def compare(ours: dict[int, Bar], theirs: Theirs, added: dict[int, float] | None = None) -> Comparison:
    """Compare prices to 1e-12 (the files hold 13.78 and 13.780000000000001 for one price), volumes to 1e-9.

    `added` is volume that ours cannot hold, by bar.
    """
    added = added or {}
    ohlc = ohlcv = 0
    different = []
    for ts in sorted(ours.keys() & theirs.keys()):
        bar, (prices, volume) = ours[ts], theirs[ts]
        held = bar.volume + added.get(ts, 0.0)
        same_prices = all(map(_is_price, (bar.open, bar.high, bar.low, bar.close), prices))
        same = same_prices and isclose(held, volume, rel_tol=1e-9, abs_tol=1e-12)
        ohlc += same_prices
        ohlcv += same
        if not same:
            different.append((ts, bar, held, theirs[ts]))
    return Comparison(ohlc, ohlcv, len(theirs.keys() - ours.keys()), len(ours.keys() - theirs.keys()), different)


def _is_price(ours: float, theirs: float) -> bool:
    return isclose(ours, theirs, rel_tol=1e-12)


def quiet_minutes(theirs: Theirs, length: int = MINUTE) -> int:
    """Return how many bars without trades lie between the first and the last."""
    return (max(theirs) - min(theirs)) // length + 1 - len(theirs)


def refusals(seen: Seen) -> int:
    """Return how many ticks were refused."""
    return sum(seen.counts.refusals.values()) if seen.counts is not None else 0


def _listed(found: Comparison) -> str:
    """Return which bars differ, and how."""
    parts = []
    for ts, bar, held, (prices, volume) in found.different[:4]:
        what = [
            f"{name[0]} {ours:g} (theirs {price:g})"
            for name, ours, price in zip(_OHLC, (bar.open, bar.high, bar.low, bar.close), prices, strict=True)
            if not _is_price(ours, price)
        ]
        if not what:
            what = [f"v {held:.0f} (theirs {volume:.0f})"]
        parts.append(f"{iso(ts)[11:16]} {' '.join(what)}")
    return "; ".join(parts)


# -- futures, crypto, quotes: all ticks count --------------------------------------------------------------


def _plain(ask: Ask, source: str, files: tuple[str, str], readme: tuple[int, int], why: str) -> TickRow:
    ticks, bars = files
    theirs = ask.bars(f"ticks_bars/{bars}.parquet")
    seen = run_files([ask.data / f"ticks_bars/{ticks}.parquet"], ["lean:X@1m"])["lean:X@1m"]
    found = compare(seen.traded, theirs)
    return TickRow(
        source=source,
        bars=len(theirs),
        ohlc=found.ohlc,
        ohlcv=found.ohlcv,
        readme_ohlc=readme[0],
        readme_ohlcv=readme[1],
        quiet=seen.quiet,
        quiet_expected=quiet_minutes(theirs),
        lacking=found.lacking,
        extra=found.extra,
        refused=refusals(seen),
        why=f"{why} {_listed(found)}".strip(),
    ).judge()


def comex(ask: Ask) -> list[TickRow]:
    """Gold futures, three files: 92 trades of size 0 move prices."""
    why = "the vendor's last bar lacks the last tick's volume:"
    return [
        _plain(
            ask, f"COMEX GC{month} {day}", (f"comex_gc{month}_{day}_trades", f"comex_gc{month}_{day}_1m"), readme, why
        )
        for month, day, readme in (
            ("201312", "20131007", (1314, 1313)),
            ("201312", "20131008", (1377, 1376)),
            ("201402", "20131008", (55, 54)),
        )
    ]


def _stretches(ask: Ask, file: str) -> list[tuple[int, int]]:
    """Return (first, last) of the parts of a file between which days were left out or the market was shut."""
    stamps = [int(ts) for (ts,) in ask.rows("SELECT epoch_ns(ts) FROM read_parquet(?) ORDER BY 1", ask.data / file)]
    cuts = [pair for pair in pairwise(stamps) if pair[1] - pair[0] > _BREAK]
    firsts, lasts = [after for _, after in cuts], [before for before, _ in cuts]
    return list(zip([stamps[0], *firsts], [*lasts, stamps[-1]], strict=True))


def _quotes(ask: Ask, source: str, name: str, side: str, bars: int) -> TickRow:
    """Build one side's bars from quotes, each as a trade of size 0; each stretch of the file is a run."""
    file = f"ticks_bars/{name}_quotes.parquet"
    theirs = ask.bars(f"ticks_bars/{name}_1m.parquet", prices=[f"{side}_{price}" for price in _OHLC], volume="0")
    ours: dict[int, Bar] = {}
    quiet = quiet_expected = refused = 0
    stretches = _stretches(ask, file)
    for number, (first, last) in enumerate(stretches):
        part = ask.reshape(
            f"{name}-{side}-{number}",
            f"SELECT ts, {side} AS price, 0 AS size FROM read_parquet('{{data}}/{file}') "
            f"WHERE epoch_ns(ts) >= {first} AND epoch_ns(ts) <= {last}",
        )
        seen = run_files([part], ["lean:X@1m"])["lean:X@1m"]
        ours |= seen.traded
        quiet += seen.quiet
        quiet_expected += quiet_minutes({ts: bar for ts, bar in theirs.items() if first - MINUTE < ts <= last})
        refused += refusals(seen)
    found = compare(ours, theirs)
    return TickRow(
        source=f"{source} {side}",
        bars=len(theirs),
        ohlc=found.ohlc,
        ohlcv=None,
        readme_ohlc=bars,
        readme_ohlcv=None,
        quiet=quiet,
        quiet_expected=quiet_expected,
        lacking=found.lacking,
        extra=found.extra,
        refused=refused,
        why=f"quotes as trades of size 0, a run for each of {len(stretches)} stretches {_listed(found)}".strip(),
    ).judge()


def quotes(ask: Ask, *, quick: bool) -> list[TickRow]:
    """Foreign exchange, bid and ask separately."""
    return [
        _quotes(ask, source, name, side, bars)
        for source, name, bars in (
            ("OANDA EUR/USD", "oanda_eurusd_201405", 4142),
            ("FXCM NZD/USD", "fxcm_nzdusd_201405", 2920),
        )[: 1 if quick else 2]
        for side in ("bid", "ask")
    ]


# -- US equities: what a trade's conditions let it move -----------------------------------------------------


def equities(ask: Ask, *, quick: bool) -> list[TickRow]:
    """IBM and BAC, minutes and seconds."""
    rows = _equity(ask, "IBM", "us_ibm_20131007", (451, 450), 5123)
    return rows if quick else rows + _equity(ask, "BAC", "us_bac_20131008", (572, 570), 13403)


def _equity(ask: Ask, source: str, name: str, minutes: tuple[int, int], seconds: int) -> list[TickRow]:
    """Feed the trades that may set a price; one whose volume does not count is a trade of size 0.

    A trade whose volume counts and whose price does not is none that barbot has a word for: it is left out,
    and its size is added by the bar before volumes are compared.
    """
    file = f"ticks_bars/{name}_trades.parquet"
    eligible = ask.reshape(
        name,
        "SELECT ts, price, CASE WHEN vol_eligible THEN size ELSE 0 END AS size "
        f"FROM read_parquet('{{data}}/{file}') WHERE px_eligible",
    )
    query = (
        "SELECT epoch_ns(time_bucket(INTERVAL 1 MINUTE, ts)), sum(size) FROM read_parquet(?) "
        "WHERE vol_eligible AND NOT px_eligible GROUP BY 1"
    )
    added = {int(ts): float(size) for ts, size in ask.rows(query, ask.data / file)}
    both = run_files([eligible], ["lean:X@1s", "lean:X@1m"])
    by_minute, by_second = both["lean:X@1m"], both["lean:X@1s"]
    theirs, their_seconds = ask.bars(f"ticks_bars/{name}_1m.parquet"), ask.bars(f"ticks_bars/{name}_1s.parquet")
    found, fine = compare(by_minute.traded, theirs, added), compare(by_second.traded, their_seconds)
    held = compare(by_minute.traded, theirs).ohlcv
    return [
        TickRow(
            source=f"{source} 1m",
            bars=len(theirs),
            ohlc=found.ohlc,
            ohlcv=found.ohlcv,
            readme_ohlc=minutes[0],
            readme_ohlcv=minutes[1],
            quiet=by_minute.quiet,
            quiet_expected=quiet_minutes(theirs),
            lacking=found.lacking,
            extra=found.extra,
            refused=refusals(by_minute),
            why=f"official open and closing auction: {_listed(found)}. Volume with that of trades whose price does "
            f"not count, added by the bar (without: {held} equal)",
        ).judge(),
        TickRow(
            source=f"{source} 1s",
            bars=len(their_seconds),
            ohlc=fine.ohlc,
            ohlcv=None,
            readme_ohlc=seconds,
            readme_ohlcv=None,
            quiet=by_second.quiet,
            quiet_expected=quiet_minutes(their_seconds, SECOND),
            lacking=fine.lacking,
            extra=fine.extra,
            refused=refusals(by_second),
            why="volumes of seconds are not comparable (sweeps)",
        ).judge(),
    ]


# -- crypto and futures with a time of receipt ---------------------------------------------------------------


def binance_trades(ask: Ask) -> TickRow:
    """BTCUSDT over midnight: stamped by a clock 1.52 s behind the venue's, bucketed by the venue's."""
    official = ask.data / "ticks_bars/binance_um_btcusdt_20240718_official_1m.csv"
    query = "SELECT open_time, open, high, low, close, volume FROM read_csv(?) ORDER BY 1"
    theirs: Theirs = {
        int(ms) * (SECOND // 1000): ((o, h, low, c), v) for ms, o, h, low, c, v in ask.rows(query, official)
    }
    feed = "binance:BTCUSDT@1m"
    seen = run_files([ask.data / "ticks_bars/binance_um_btcusdt_20240718_ws_trades.parquet"], [feed])[feed]
    first = min(seen.closed.values(), key=_opening)
    whole = {ts: bar for ts, bar in seen.closed.items() if bar.quality is Quality.OK}
    found = compare(whole, {ts: bar for ts, bar in theirs.items() if ts in whole})
    forming = seen.forming
    assert forming is not None
    return TickRow(
        source="Binance BTCUSDT 1m",
        bars=len(whole),
        ohlc=found.ohlc,
        ohlcv=found.ohlcv,
        readme_ohlc=7,
        readme_ohlcv=7,
        quiet=seen.quiet,
        quiet_expected=0,
        refused=refusals(seen),
        why=f"{iso(first.ts_open)[11:16]} is {first.quality.name} (begins within it), {iso(forming.ts_open)[11:16]} "
        "still forms at the end: neither is compared",
    ).judge()


def _opening(bar: Bar) -> int:
    return bar.ts_open


def binance_feathers(ask: Ask) -> list[TickRow]:
    """XRPETH: 1m and 5m from trades, and 5m from barbot's own 1m."""
    file = ask.data / "ticks_bars/binance_xrpeth_201910_trades.parquet"
    one, five = "binance:XRPETH@1m", "binance:XRPETH@5m"
    both, derived = run_files([file], [one, five]), run_files([file], [one, five], derive=True)
    minutes, fives = (ask.bars(f"ticks_bars/binance_xrpeth_201910_{name}.parquet") for name in ("1m", "5m"))
    return [
        _row(f"Binance XRPETH {name}", seen, theirs, length)
        for name, seen, theirs, length in (
            ("1m", both[one], minutes, MINUTE),
            ("5m", both[five], fives, 5 * MINUTE),
            ("5m of 1m", derived[five], fives, 5 * MINUTE),
        )
    ]


def cme(ask: Ask) -> TickRow:
    """E-mini S&P: stamps of receipt, sequence numbers, four minutes."""
    first = parse_time("2024-07-01T23:58:00Z")
    where = f"symbol = 'ESU4' AND epoch_ns(start) >= {first} AND epoch_ns(start) < {first + 4 * MINUTE}"
    theirs = ask.bars("ticks_bars/cme_esu4_nqu4_20240701_1m.parquet", where=where)
    feed = "cme:ESU4@1m"
    seen = run_files([ask.data / "ticks_bars/cme_esu4_20240701_trades.parquet"], [feed])[feed]
    return _row("CME ESU4 1m", seen, theirs, MINUTE)


def coinbase(ask: Ask) -> TickRow:
    """Coinbase: vendor's seconds to minutes through a derived interval; absent seconds are quiet ones."""
    theirs = ask.bars("ticks_bars/coinbase_btcusd_20161007_1m.parquet")
    feed = "coinbase:BTC-USD@1m"
    file = ask.data / "ticks_bars/coinbase_btcusd_20161007_1s.parquet"
    return _row("Coinbase BTC-USD 1m of 1s", run_files([file], [feed], missing="quiet")[feed], theirs, MINUTE)


def _row(source: str, seen: Seen, theirs: Theirs, length: int) -> TickRow:
    """Compare where everything must be equal."""
    found = compare(seen.traded, theirs)
    return TickRow(
        source=source,
        bars=len(theirs),
        ohlc=found.ohlc,
        ohlcv=found.ohlcv,
        readme_ohlc=len(theirs),
        readme_ohlcv=len(theirs),
        quiet=seen.quiet,
        quiet_expected=quiet_minutes(theirs, length),
        lacking=found.lacking,
        extra=found.extra,
        refused=refusals(seen),
        why=_listed(found),
    ).judge()


def tick_rows(data: Path, scratch: Path, *, quick: bool = False) -> list[TickRow]:
    """Return a row for each source; `quick` leaves the larger of the stocks and of the currencies out."""
    ask = Ask(data, scratch)
    return [
        *comex(ask),
        *equities(ask, quick=quick),
        *quotes(ask, quick=quick),
        binance_trades(ask),
        *binance_feathers(ask),
        cme(ask),
        coinbase(ask),
    ]
