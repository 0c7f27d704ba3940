from pathlib import Path

from barbot.feeds.feed import open_columns
from barbot.feeds.options import ColumnOptions, Kind, SourceSpec
from barbot.feeds.summary import FeedSummary, Hole
from barbot.timing.interval import MINUTE, Interval

START = 1_700_000_040 * 10**9


def summary(path: Path, lines: list[str], rows: int) -> list[FeedSummary]:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return open_columns([SourceSpec.parse(str(path))], [], ColumnOptions(chunk_rows=rows), {}).summary()


def test_bars_are_counted_however_they_are_cut(tmp_path: Path) -> None:
    minutes = [0, 1, 1, 2, 5, 4, 6, 26, 27, 30]
    lines = [f"{START // 10**9 + 60 * minute},1,2,1,2" for minute in minutes] + [
        f"{START // 10**9 + 31 * 60 + 7},1,2,1,2"
    ]
    expected = FeedSummary(
        instrument="file:a",
        kind=Kind.BARS,
        interval=Interval(1, "m"),
        rows=11,
        ts_first=START,
        ts_last=START + 30 * MINUTE,
        missing=19 + 2 + 2 + 1,
        holes=(
            Hole(START + 7 * MINUTE, START + 26 * MINUTE, 19),
            Hole(START + 28 * MINUTE, START + 30 * MINUTE, 2),
            Hole(START + 3 * MINUTE, START + 5 * MINUTE, 2),
            Hole(START + 5 * MINUTE, START + 6 * MINUTE, 1),
        ),
        duplicates=1,
        unsorted=1,
        off_grid=1,
    )
    for rows in (1, 2, 3, 100):
        assert summary(tmp_path / "a.csv", ["time,open,high,low,close", *lines], rows) == [expected]


def test_ticks_have_silences_and_no_holes(tmp_path: Path) -> None:
    lines = [f"{START // 10**9 + second},{symbol},1,1" for second, symbol in [(0, "A"), (1, "B"), (1, "A"), (9, "A")]]
    one, two = summary(tmp_path / "t.csv", ["time,symbol,price,size", *lines], 2)
    assert one == FeedSummary(
        instrument="file:A",
        kind=Kind.TRADES,
        interval=None,
        rows=3,
        ts_first=START,
        ts_last=START + 9 * 10**9,
        missing=0,
        holes=(Hole(START + 10**9, START + 9 * 10**9, 0), Hole(START, START + 10**9, 0)),
        duplicates=0,
        unsorted=0,
        off_grid=0,
    )
    assert (two.instrument, two.rows, two.holes) == ("file:B", 1, ())
