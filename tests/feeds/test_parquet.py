"""Parquet reads as the CSV of the same rows does, in memory that does not grow with the file."""

import subprocess
import sys
from pathlib import Path

import pytest

from barbot.errors import FeedError
from barbot.feeds.batch import FeedEvent
from barbot.feeds.feed import open_columns
from barbot.feeds.options import ColumnOptions, SourceSpec
from barbot.feeds.parquet import ParquetTable
from barbot.model.instrument import FeedId

duckdb = pytest.importorskip("duckdb", reason="the extra `data` is not installed")

_ROOT = Path(__file__).resolve().parents[2]
_BARS = """
    SELECT {time} AS timestamp, 'S' || (i % 3) AS symbol, 100 + i % 7 * 0.1 AS open, 102.5::DECIMAL(9, 3) AS high,
        99.0::FLOAT AS low, CASE WHEN i = 5 THEN NULL ELSE 101.0 + i / 1e7 END AS close, i AS volume
    FROM (SELECT i, 1700000040 + i // 3 * 60 AS s FROM range({rows}) rows(i)) ORDER BY i
"""
_TIMES = {
    "epoch s": "s",
    "epoch ns": "s * 1000000000",
    "fractions": "s + 0.0",
    "text": "strftime(make_timestamp(s * 1000000), '%Y-%m-%dT%H:%M:%SZ')",
    "naive": "make_timestamp(s * 1000000)",
    "naive ns": "make_timestamp_ns(s * 1000000000)",
}


def write(path: Path, query: str, options: str = "FORMAT parquet") -> str:
    offline = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    duckdb.connect(config=offline).execute(f"COPY ({query}) TO '{path.as_posix()}' ({options})")
    return str(path)


def stream(path: str, options: ColumnOptions, *wanted: str) -> list[tuple[int, FeedEvent]]:
    feed = open_columns([SourceSpec.parse(path)], [FeedId.parse(one) for one in wanted], options, {})
    return [pair for batch in feed.batches() for pair in zip(batch.stamps, batch.events, strict=True)]


@pytest.mark.parametrize("time", _TIMES.values(), ids=_TIMES.keys())
def test_parquet_equals_csv(tmp_path: Path, time: str) -> None:
    query = _BARS.format(time=time, rows=1000)
    options = ColumnOptions(zone="UTC", chunk_rows=300)
    one = stream(write(tmp_path / "a.parquet", query, "FORMAT parquet, ROW_GROUP_SIZE 2048"), options)
    two = stream(write(tmp_path / "a.csv", query, "FORMAT csv, HEADER"), options)
    assert len(one) == 1000
    assert repr(one) == repr(two)  # by repr, because a NaN (row 5) equals nothing


def test_a_declared_zone_needs_no_other(tmp_path: Path) -> None:
    aware = write(tmp_path / "a.parquet", _BARS.format(time="to_timestamp(s)", rows=9))
    naive = write(tmp_path / "n.parquet", _BARS.format(time="make_timestamp(s * 1000000)", rows=9))
    epoch = write(tmp_path / "e.parquet", _BARS.format(time="s", rows=9))
    table = ParquetTable(aware)
    assert (table.columns[0], table.aware, table.rows_hint) == ("timestamp", frozenset({"timestamp"}), 9)
    assert repr(stream(aware, ColumnOptions())) == repr(stream(epoch, ColumnOptions()))
    with pytest.raises(FeedError, match=r"row 1 column 'timestamp': the time '2023-11-14T22:14:00[0.]*' names no zone"):
        stream(naive, ColumnOptions())


def test_a_query_reads_more_than_a_chunk_and_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", _BARS.format(time="s", rows=5000), "FORMAT parquet, ROW_GROUP_SIZE 100000")
    chunks = list(ParquetTable(path).chunks(["volume"], 700))
    assert [(chunk.first_row, chunk.rows) for chunk in chunks][-2:] == [(4201, 700), (4901, 100)]
    assert [int(cell) for chunk in chunks for cell in chunk.cells["volume"]] == list(range(5000))


def test_a_name_with_brackets_is_no_glob(tmp_path: Path) -> None:
    write(tmp_path / "a1.parquet", _BARS.format(time="s", rows=2))
    folder = tmp_path / "symbol=X"
    folder.mkdir()
    path = write(folder / "a[1].parquet", _BARS.format(time="s", rows=9))
    assert ParquetTable(path).rows_hint == 9
    assert len(stream(path, ColumnOptions())) == 9


def test_what_is_no_parquet_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and then nothing of the kind")
    with pytest.raises(FeedError, match=r"a\.parquet: cannot be read as Parquet \(.*\)\. Write the file again"):
        ParquetTable(str(path))
    empty = write(tmp_path / "e.parquet", _BARS.format(time="s", rows=0))
    with pytest.raises(FeedError, match="has no rows"):
        ParquetTable(empty)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="peak memory is asked of the system, which Windows does not tell")
    assert resource
    query = (
        "SELECT 1700000040 + i * 60 AS time, i * 0.5 AS open, i * 0.5 AS high, "
        "i * 0.5 AS low, i * 0.5 AS close, i * 0.1 AS volume FROM range({rows}) rows(i)"
    )
    script = (
        "import resource, sys\n"
        "from barbot.feeds.feed import open_columns\n"
        "from barbot.feeds.options import ColumnOptions, SourceSpec\n"
        "feed = open_columns([SourceSpec.parse(sys.argv[1])], [], ColumnOptions(), {})\n"
        "rows = sum(len(batch.events) for batch in feed.batches())\n"
        "unit = 1 if sys.platform == 'darwin' else 1024\n"
        "print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)\n"
    )
    peaks = {}
    for rows in (200_000, 2_000_000):
        path = write(tmp_path / f"{rows}.parquet", query.format(rows=rows))
        ran = subprocess.run(
            [sys.executable, "-c", script, path], cwd=_ROOT, capture_output=True, text=True, check=True
        )
        seen, peak = map(int, ran.stdout.split())
        assert seen == rows
        peaks[rows] = peak
    assert peaks[2_000_000] - peaks[200_000] < 60_000_000
    assert peaks[2_000_000] < 250_000_000
