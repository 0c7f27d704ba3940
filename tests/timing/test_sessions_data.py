"""Grids against recorded bars of real venues: every label is a bar, and every bar has its label."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from barbot.timing.interval import HOUR, MINUTE, SECOND, Interval
from barbot.timing.sessions import Grid, grid_for

duckdb = pytest.importorskip("duckdb", reason="the extra `data` is not installed")
pytest.importorskip("exchange_calendars", reason="the extra `calendars` is not installed")

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded data is not beside the repository")
HONG_KONG, TOKYO = ZoneInfo("Asia/Hong_Kong"), ZoneInfo("Asia/Tokyo")


def stamps(file: str, column: str) -> list[int]:
    """A column of times in ns since the epoch, oldest first."""
    rows: list[tuple[int]] = duckdb.execute(
        f"SELECT epoch_ns({column}) FROM read_parquet(?) ORDER BY 1", [str(DATA / file)]
    ).fetchall()
    return [ts for (ts,) in rows]


def opens(grid: Grid, first: int, last: int) -> list[int]:
    """Bar opens from `first` to `last`, both included."""
    found = [first]
    while found[-1] < last:
        found.append(grid.next_open(found[-1]))
    return found


@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("bars/hk_00700_futu_1m_2018-12-24_2020-12-23.parquet", 162_103),
        ("bars/hk_00001_futu_1m_2019-12_2020-02.parquet", 19_320),
    ],
)
def test_futu_labels_every_minute_bar_of_two_years_and_nothing_else(file: str, rows: int) -> None:
    grid = grid_for("XHKG", Interval.parse("1m"), auction="own")
    labels = stamps(file, "end_utc")
    assert [ts - 8 * HOUR for ts in stamps(file, "time_key")] == labels
    named = [grid.open_of_end_label(label) for label in labels]
    first, last = named[0], named[-1]
    assert first is not None
    assert last is not None
    assert named == opens(grid, first, last)  # so: none off the grid, none twice, none missing
    assert len(named) == rows
    assert [grid.close_of(ts) for ts in named if ts is not None] == labels


@pytest.mark.parametrize(("label", "text"), [("3m", "3m"), ("5m", "5m"), ("15m", "15m"), ("30m", "30m"), ("60m", "1h")])
def test_futu_labels_the_longer_bars_of_a_day_at_their_ends(label: str, text: str) -> None:
    grid = grid_for("XHKG", Interval.parse(text))
    with (DATA / f"bars/hk_09988_futu_2022-04-11_{label}.csv").open(newline="") as lines:
        labels = [
            int(datetime.fromisoformat(row["time_key"]).replace(tzinfo=HONG_KONG).timestamp()) * SECOND
            for row in csv.DictReader(lines)
        ]
    midnight = int(datetime(2022, 4, 11, tzinfo=HONG_KONG).timestamp()) * SECOND
    last = grid.floor(midnight + 16 * HOUR - 1)
    assert last is not None
    bars = opens(grid, grid.first_from(midnight), last)
    assert [grid.open_of_end_label(ts) for ts in labels] == bars
    assert [grid.close_of(ts) for ts in bars] == labels


@pytest.mark.parametrize(
    ("file", "day"),
    [("us_spx_20230630_1m", "2023-06-30"), ("us_spx_20230703_halfday_1m", "2023-07-03")],
)
def test_new_york_minutes_are_those_of_the_index(file: str, day: str) -> None:
    grid = grid_for("XNYS", Interval.parse("1m"))
    starts = stamps(f"bars/{file}.parquet", "start")
    whole = grid_for("XNYS", Interval.parse("1d"))
    session = whole.first_from(int(datetime.fromisoformat(f"{day}T00:00:00Z").timestamp()) * SECOND)
    assert starts == list(range(session, whole.close_of(session), MINUTE))
    assert [grid.floor(ts) for ts in starts] == starts == opens(grid, starts[0], starts[-1])


def test_tokyo_settlement_ticks_at_lunch_and_after_the_close_lie_in_no_bar() -> None:
    grid = grid_for("XTKS", Interval.parse("1m"))
    starts = stamps("bars/jp_n225_20210114_1m.parquet", "start")
    strays = [ts for ts in starts if grid.floor(ts) is None]
    assert [datetime.fromtimestamp(ts / SECOND, tz=TOKYO).strftime("%H:%M") for ts in strays] == [
        "11:30",
        "11:35",
        "15:00",
        "15:15",
    ]
    kept = [ts for ts in starts if ts not in strays]
    assert kept == opens(grid, kept[0], kept[-1])


def test_foreign_exchange_quotes_of_may_lie_in_bars() -> None:
    grid = grid_for("24/5", Interval.parse("1m"))
    starts = stamps("ticks_bars/oanda_eurusd_201405_1m.parquet", "start")
    assert len(starts) == 4_142
    assert [grid.floor(ts) for ts in starts] == starts
