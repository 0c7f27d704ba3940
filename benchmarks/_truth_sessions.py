"""Recorded minute bars of markets with sessions, and of round-the-clock markets with holes."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from barbot.feeds.options import ColumnOptions
from barbot.model.market import Bar
from barbot.timing.interval import DAY, HOUR, MINUTE, SECOND
from benchmarks._recording import Seen, run_files
from benchmarks._truth_ticks import Ask

Numbers: TypeAlias = tuple[float, float, float, float, float, float]

_HONG_KONG: Final = "Asia/Hong_Kong"
_SHIFT: Final = 8 * HOUR
"""Hong Kong is eight hours ahead of UTC, all year."""
_END_LABELS: Final = ColumnOptions(label="close", zone=_HONG_KONG)
_NOON: Final = 12 * HOUR
_RESUMES: Final = 13 * HOUR
_AUCTION: Final = 30 * MINUTE
_HALF_DAYS: Final = ["2018-12-24", "2018-12-31", "2019-02-04", "2019-12-24", "2019-12-31", "2020-01-24"]
_LONGER: Final = {"15m": 15, "30m": 30, "1h": 60}


class SessionRow(msgspec.Struct, kw_only=True):
    """One thing that was looked at: what was found, and what the README or plain counting says it must be."""

    source: str
    what: str
    found: int
    expected: int
    ok: bool = False

    def __post_init__(self) -> None:
        self.ok = self.found == self.expected


def _day(ts: int) -> str:
    return datetime.fromtimestamp(ts // SECOND, ZoneInfo(_HONG_KONG)).date().isoformat()


def _clock(ts: int) -> int:
    """Return the time of day in Hong Kong, in ns."""
    return (ts + _SHIFT) % DAY


def _numbers(bar: Bar) -> Numbers:
    return bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover


def _count(seen: Seen, reason: str) -> int:
    return seen.counts.refusals.get(reason, 0) if seen.counts is not None else 0


# -- Hong Kong, minutes -------------------------------------------------------------------------------------


def hong_kong(ask: Ask, *, quick: bool) -> list[SessionRow]:
    """Futu's minutes of two stocks: naive end labels, the auction alone, lunch, half days."""
    rows = _minutes(ask, "HK.00001", "hk_00001_futu_1m_2019-12_2020-02", (19_320, 60), _HALF_DAYS[3:])
    if not quick:
        rows += _minutes(ask, "HK.00700", "hk_00700_futu_1m_2018-12-24_2020-12-23", (162_103, 493), _HALF_DAYS)
    return rows


def _minutes(ask: Ask, symbol: str, name: str, readme: tuple[int, int], half_days: list[str]) -> list[SessionRow]:
    """Run over the file without its UTC column, so that the labels' zone has to be put on."""
    file = ask.reshape(symbol, f"SELECT * EXCLUDE (end_utc) FROM read_parquet('{{data}}/bars/{name}.parquet')")
    feeds = [f"futu:{symbol}@1m", f"futu:{symbol}@1h"]
    seen = run_files([file], feeds, columns=_END_LABELS, calendar="XHKG", derive=True)
    minute, hour = (seen[feed] for feed in feeds)
    bars = list(minute.closed.values())
    days = {day: list(members) for day, members in groupby(bars, key=lambda bar: _day(bar.ts_open))}
    last = {day: _clock(members[-1].ts_close) for day, members in days.items()}
    labels = [
        int(ts)
        for (ts,) in ask.rows("SELECT epoch_ns(end_utc) FROM read_parquet(?)", ask.data / f"bars/{name}.parquet")
    ]
    in_lunch = sum(_clock(bar.ts_close) > _NOON and _clock(bar.ts_open) < _RESUMES for bar in bars)
    auctions = [bar for bar in bars if bar.ts_close - bar.ts_open == _AUCTION]
    by_hand = _hours(bars)
    halves = {day for day, end in last.items() if end == _NOON}
    rows = [
        ("bars closed, a row each", len(bars), readme[0]),
        ("refused off the grid", _count(minute, "off_grid"), 0),
        ("gaps told", len(minute.gaps), 0),
        (
            "bars ending where Futu's label is",
            sum(bar.ts_close == ts for bar, ts in zip(bars, labels, strict=True)),
            readme[0],
        ),
        ("trading days", len(days), readme[1]),
        ("auction bars, one a day", len({_day(bar.ts_open) for bar in auctions}), readme[1]),
        ("bars that touch lunch", in_lunch, 0),
        ("half days, of those the README lists", len(halves & set(half_days)), len(half_days)),
        ("half days besides", len(halves - set(half_days)), 0),
        ("days that end at 16:00", sum(end == 16 * HOUR for end in last.values()), readme[1] - len(half_days)),
        ("1h of 1m: opens that sessions have", sum(ts in by_hand for ts in _all(hour)), len(by_hand)),
        (
            "1h of 1m: OHLCV as folded by hand",
            sum(_numbers(bar) == by_hand.get(ts) for ts, bar in _all(hour).items()),
            len(by_hand),
        ),
    ]
    return [SessionRow(source=symbol, what=what, found=found, expected=expected) for what, found, expected in rows]


def _all(seen: Seen) -> dict[int, Bar]:
    """Return the closed bars and, if one forms at the end of the file, that too."""
    return seen.closed | ({seen.forming.ts_open: seen.forming} if seen.forming is not None else {})


def _hours(bars: Iterable[Bar]) -> dict[int, Numbers]:
    """Fold minutes into the hours of Hong Kong's sessions by their end labels alone, without a grid."""
    ends = [10.5, 11.5, 12, 14, 15, 16]
    opens = [9.5, 10.5, 11.5, 13, 14, 15]
    folded: dict[int, Numbers] = {}
    for bar in bars:
        label = _clock(bar.ts_close) / HOUR
        at = next(number for number, end in enumerate(ends) if label <= end)
        ts_open = bar.ts_close - _clock(bar.ts_close) + round(opens[at] * HOUR)
        before = folded.get(ts_open)
        folded[ts_open] = _joined(before, _numbers(bar)) if before else _numbers(bar)
    return folded


def _joined(first: Numbers, second: Numbers) -> Numbers:
    high, low = max(first[1], second[1]), min(first[2], second[2])
    return first[0], high, low, second[3], first[4] + second[4], first[5] + second[5]


# -- Hong Kong, five lengths of one day ---------------------------------------------------------------------


def alibaba(ask: Ask) -> list[SessionRow]:
    """Bars derived from Futu's own 3m and 5m, against Futu's own 15m, 30m and 60m."""
    rows = []
    for base in (3, 5):
        feeds = [f"futu:HK.09988@{length}" for length in _LONGER]
        file = ask.data / f"bars/hk_09988_futu_2022-04-11_{base}m.csv"
        seen = run_files([file], feeds, columns=_END_LABELS, calendar="XHKG")
        for feed, (length, minutes) in zip(feeds, _LONGER.items(), strict=True):
            theirs = _futu(ask.data / f"bars/hk_09988_futu_2022-04-11_{minutes}m.csv")
            ours = {bar.ts_close: _numbers(bar) for bar in seen[feed].closed.values()}
            equal = sum(_same(ours[label], said) for label, said in theirs.items() if label in ours)
            what = f"{length} of {base}m: as Futu's own bar"
            rows.append(SessionRow(source="HK.09988", what=what, found=equal, expected=len(theirs)))
            rows.append(
                SessionRow(source="HK.09988", what=f"{length} of {base}m: bars", found=len(ours), expected=len(theirs))
            )
    return rows


def _futu(path: Path) -> dict[int, Numbers]:
    with path.open(encoding="utf-8", newline="") as file:
        return {
            round(datetime.fromisoformat(row["time_key"]).replace(tzinfo=ZoneInfo(_HONG_KONG)).timestamp()) * SECOND: (
                float(row["open"]), float(row["high"]), float(row["low"]), float(row["close"]),
                float(row["volume"]), float(row["turnover"]),
            )
            for row in csv.DictReader(file)
        }  # fmt: skip


def _same(ours: Numbers, theirs: Numbers) -> bool:
    """Whether they agree; Futu rounds turnover to a tenth."""
    return ours[:5] == theirs[:5] and abs(ours[5] - theirs[5]) <= 1.0


# -- other sessions, and holes ------------------------------------------------------------------------------


def others(ask: Ask) -> list[SessionRow]:
    """An index with a half day, a stock with hours outside the session, an index with stray bars at lunch."""
    cases = (
        ("us_spx_20230630_1m", "XNYS", 390, 0, "full day"),
        ("us_spx_20230703_halfday_1m", "XNYS", 210, 0, "half day"),
        ("us_spy_20230803_1m", "XNYS", 390, 557, "before and after: outside"),
        ("jp_n225_20210114_1m", "XTKS", 300, 4, "4 strays outside"),
    )
    rows = []
    for name, calendar, inside, outside, note in cases:
        seen = run_files([ask.data / f"bars/{name}.parquet"], ["lean:X@1m"], calendar=calendar)["lean:X@1m"]
        rows.append(SessionRow(source=name, what=f"bars closed ({note})", found=len(seen.closed), expected=inside))
        rows.append(
            SessionRow(source=name, what="refused off the grid", found=_count(seen, "off_grid"), expected=outside)
        )
    return rows


def holes(ask: Ask) -> list[SessionRow]:
    """A month without a hole and 39 bars without trades; ten days with 538 holes."""
    whole = run_files([ask.data / "bars/binance_um_algousdt_1m_2024-02.parquet"], ["binance:ALGOUSDT@1m"])
    algo = whole["binance:ALGOUSDT@1m"]
    still = sum(bar.volume == 0.0 and bar.open == bar.high == bar.low == bar.close for bar in algo.closed.values())
    feed, file = "x:TEST-BTC@1m", ask.data / "bars/crypto_unittestbtc_1m_201711_gappy.parquet"
    gappy, quiet = (run_files([file], [feed], missing=missing)[feed] for missing in ("gap", "quiet"))
    bars = list(gappy.closed.values())
    absent = (bars[-1].ts_open - bars[0].ts_open) // MINUTE + 1 - len(bars)
    rows = [
        ("ALGOUSDT", "bars closed", len(algo.closed), 41_760),
        ("ALGOUSDT", "gaps told", len(algo.gaps), 0),
        ("ALGOUSDT", "flat bars of volume 0", still, 39),
        ("gappy pair", "bars closed", len(bars), 13_681),
        ("gappy pair", "gaps told", len(gappy.gaps), 538),
        ("gappy pair", "minutes in those gaps", sum(gap.ts_to - gap.ts_from for gap in gappy.gaps) // MINUTE, absent),
        ("gappy pair", "the same as quiet bars, with missing = quiet", quiet.quiet, absent),
    ]
    return [SessionRow(source=source, what=what, found=n, expected=should) for source, what, n, should in rows]


def session_rows(data: Path, scratch: Path, *, quick: bool = False) -> list[SessionRow]:
    """Return a row for each thing that was looked at; `quick` leaves the two years of HK.00700 out."""
    ask = Ask(data, scratch)
    return [*hong_kong(ask, quick=quick), *alibaba(ask), *others(ask), *holes(ask)]
