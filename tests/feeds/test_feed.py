"""From files to batches: binding, order, paths inside bars, and every refusal a user may meet."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barbot.errors import ConfigError
from barbot.feeds.batch import FeedEvent, PathPoint
from barbot.feeds.feed import ColumnFeed, open_columns
from barbot.feeds.options import ColumnOptions, Kind, SourceSpec
from barbot.model.instrument import FeedId, Instrument
from barbot.model.market import Bar, BarUpdate, Quote, Side, Trade

MINUTE = 60_000_000_000
START = 1_700_000_040 * 10**9
HEADER = "timestamp,open,high,low,close,volume"
BTC = "kucoin:BTC-USDT@1m"


def bar_lines(count: int, *, step_s: int = 60, symbol: str = "", start: int = START) -> list[str]:
    rows = (
        f"{start // 10**9 + index * step_s},{10 + index},{12 + index},{9 + index},{11 + index},{index}"
        for index in range(count)
    )
    return [f"{row},{symbol}" if symbol else row for row in rows]


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def opened(
    *paths: str,
    wanted: Sequence[str] = (BTC,),
    options: ColumnOptions | None = None,
    instruments: Mapping[str, Instrument] | None = None,
) -> ColumnFeed:
    return open_columns(
        [SourceSpec.parse(path) for path in paths],
        [FeedId.parse(feed) for feed in wanted],
        options or ColumnOptions(),
        instruments or {},
    )


def stream(feed: ColumnFeed) -> list[tuple[int, FeedEvent]]:
    return [pair for batch in feed.batches() for pair in zip(batch.stamps, batch.events, strict=True)]


def bar(index: int, *, feed: str = BTC, length: int = MINUTE, start: int = START) -> Bar:
    ts = start + index * length
    return Bar(feed, ts, ts + length, 10.0 + index, 12.0 + index, 9.0 + index, 11.0 + index, float(index))


def refusal(*paths: str, wanted: Sequence[str] = (BTC,), options: ColumnOptions | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        stream(opened(*paths, wanted=wanted, options=options))
    return str(error.value)


def test_a_bar_is_known_at_its_close(tmp_path: Path) -> None:
    feed = opened(write(tmp_path / "a.csv", HEADER, *bar_lines(3)))
    assert stream(feed) == [(START + (index + 1) * MINUTE, bar(index)) for index in range(3)]
    assert feed.feeds == [FeedId.parse(BTC)]
    assert (feed.trades, feed.quotes, feed.rows_hint) == ([], [], 3)
    assert list(feed.kinds.values()) == [Kind.BARS]


def test_an_end_label_names_the_same_bars(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER, *bar_lines(3, start=START + MINUTE))
    assert [event for _, event in stream(opened(path, options=ColumnOptions(label="close")))] == [
        bar(index) for index in range(3)
    ]


def doubted(whole: Bar) -> BarUpdate:
    """The same bar as a message that the engine has to judge."""
    return BarUpdate(
        whole.feed,
        whole.ts_open,
        whole.open,
        whole.high,
        whole.low,
        whole.close,
        whole.volume,
        is_closed=True,
        ts_recv=whole.ts_close,
    )


def test_what_is_unsound_or_off_the_grid_is_left_for_the_engine_to_judge(tmp_path: Path) -> None:
    second = START // 10**9
    lines = [f"{second},1,4,1,2,-5", f"{second},inf,4,1,2,5", f"{second},1,4,1,2,5", f"{second + 61},1,4,1,2,5"]
    path = write(tmp_path / "a.csv", HEADER, *lines)
    assert stream(opened(f"{BTC}={path}")) == [
        (START + MINUTE, doubted(Bar(BTC, START, START + MINUTE, 1.0, 4.0, 1.0, 2.0, -5.0))),
        (START + MINUTE, doubted(Bar(BTC, START, START + MINUTE, float("inf"), 4.0, 1.0, 2.0, 5.0))),
        (START + MINUTE, Bar(BTC, START, START + MINUTE, 1.0, 4.0, 1.0, 2.0, 5.0)),
        (START + 121 * 10**9, doubted(Bar(BTC, START + 61 * 10**9, START + 121 * 10**9, 1.0, 4.0, 1.0, 2.0, 5.0))),
    ]


def test_a_shorter_interval_is_served_under_its_own_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER, *bar_lines(2))
    feed = opened(path, wanted=["kucoin:BTC-USDT@15m", "kucoin:BTC-USDT@1h"])
    assert [str(one) for one in feed.feeds] == [BTC]
    assert [event for _, event in stream(feed)] == [bar(0), bar(1)]


def test_rows_go_by_symbol_and_unwanted_ones_are_counted(tmp_path: Path) -> None:
    pairs = zip(
        bar_lines(2, symbol="BTC-USDT"),
        bar_lines(2, symbol="kucoin:ETH-USDT"),
        bar_lines(2, symbol="DOGE"),
        strict=True,
    )
    path = write(tmp_path / "a.csv", HEADER + ",symbol", *(line for pair in pairs for line in pair))
    feed = opened(path, wanted=[BTC, "kucoin:ETH-USDT@1m"])
    eth = "kucoin:ETH-USDT@1m"
    assert [event for _, event in stream(feed)] == [bar(0), bar(0, feed=eth), bar(1), bar(1, feed=eth)]
    assert feed.skipped() == {"DOGE": 2}


def test_an_explicit_binding_gives_name_and_length(tmp_path: Path) -> None:
    one = write(tmp_path / "a.csv", HEADER, *bar_lines(1))
    two = write(tmp_path / "b.csv", HEADER, *bar_lines(2))
    eth = "kucoin:ETH-USDT@1m"
    feed = opened(f"{BTC}={one}", f"kucoin:ETH-USDT={two}", wanted=[BTC, eth])
    assert [event for _, event in stream(feed)] == [bar(0), bar(0, feed=eth), bar(1, feed=eth)]


def test_a_glob_is_read_in_order_of_time(tmp_path: Path) -> None:
    write(tmp_path / "a-2.csv", HEADER, *bar_lines(2, start=START + 2 * MINUTE))
    write(tmp_path / "a-1.csv", HEADER, *bar_lines(2))
    events = [event for _, event in stream(opened(str(tmp_path / "a-*.csv")))]
    assert [event.ts_open for event in events if isinstance(event, Bar)] == [START + n * MINUTE for n in range(4)]


def test_nothing_wanted_means_everything(tmp_path: Path) -> None:
    one = write(tmp_path / "a b.csv", HEADER, *bar_lines(2))
    two = write(tmp_path / "m.csv", HEADER + ",ticker", bar_lines(1, symbol="X")[0], bar_lines(2, symbol="okx:Y")[1])
    feed = opened(one, two, wanted=[], options=ColumnOptions(interval=FeedId.parse(BTC).interval))
    assert {str(found) for found in feed.feeds} == {"file:a_b@1m", "file:X@1m", "okx:Y@1m"}
    assert len(stream(feed)) == 4


def test_of_bars_ending_together_the_shorter_comes_first(tmp_path: Path) -> None:
    five = write(tmp_path / "five.csv", HEADER, *bar_lines(2, step_s=300, start=START - START % (5 * MINUTE)))
    one = write(tmp_path / "one.csv", HEADER, *bar_lines(10, start=START - START % (5 * MINUTE)))
    events = stream(opened(five, one, wanted=["kucoin:BTC-USDT@5m"]))
    ends = [
        event.feed
        for ts, event in events
        if isinstance(event, Bar) and (ts - START) % (5 * MINUTE) == -START % (5 * MINUTE)
    ]
    assert ends == [BTC, "kucoin:BTC-USDT@5m"] * 2


def test_a_span_is_cut_by_the_opening(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER, *bar_lines(9))
    options = ColumnOptions(ts_from=START + 2 * MINUTE, ts_to=START + 5 * MINUTE, chunk_rows=2)
    assert [event for _, event in stream(opened(path, options=options))] == [bar(2), bar(3), bar(4)]


def test_a_path_leads_through_each_bar(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER, *bar_lines(2))
    third = MINUTE // 3
    ohlc = stream(opened(path, options=ColumnOptions(intrabar="ohlc")))
    assert ohlc == [
        *((START + point * third, PathPoint(bar(0), point)) for point in range(3)),
        (START + MINUTE, bar(0)),
        *((START + MINUTE + point * third, PathPoint(bar(1), point)) for point in range(3)),
        (START + 2 * MINUTE, bar(1)),
    ]


def test_a_bar_that_will_be_refused_has_no_path(tmp_path: Path) -> None:
    second = START // 10**9
    lines = [
        f"{second},1,2,1,2,1",
        f"{second},1,2,1,2,1",
        f"{second + 60},1,0,1,2,1",
        f"{second + 120},nan,2,1,2,1",
        f"{second + 180},1,2,1,2,-1",
        f"{second + 205},1,2,1,2,1",
    ]
    path = write(tmp_path / "a.csv", HEADER, *lines)
    options = ColumnOptions(intrabar="ohlc", interval=FeedId.parse(BTC).interval, chunk_rows=1)
    events = [event for _, event in stream(opened(path, options=options))]
    assert [event.point for event in events if isinstance(event, PathPoint)] == [0, 1, 2]
    kinds = [type(event) for event in events if not isinstance(event, PathPoint)]
    assert kinds == [Bar, Bar, BarUpdate, BarUpdate, BarUpdate, BarUpdate]


def test_trades_carry_both_times_and_the_venues_id(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        "recv_ts,trade_ts,price,qty,side,id",
        "1700000041.5,1700000040000,1.5,2,buy,7",
        "1700000042.5,1700000041000,1.6,0,sell,8",
    )
    feed = opened(path)
    assert feed.trades == ["kucoin:BTC-USDT"]
    assert stream(feed) == [
        (START + 1_500_000_000, Trade("kucoin:BTC-USDT", 1.5, 2.0, START, 7, "", Side.BUY, START + 1_500_000_000)),
        (
            START + 2_500_000_000,
            Trade("kucoin:BTC-USDT", 1.6, 0.0, START + 10**9, 8, "", Side.SELL, START + 2_500_000_000),
        ),
    ]


def test_trades_without_an_id_keep_the_order_of_the_file(tmp_path: Path) -> None:
    one = write(tmp_path / "t1.csv", "time,price,size", "1700000040,1,1", "1700000040,1,1")
    two = write(tmp_path / "t2.csv", "time,price,size,trade_id", "1700000041,1,1,a9", "1700000041,1,1,b7")
    trades = [event for _, event in stream(opened(one, two)) if isinstance(event, Trade)]
    assert [(trade.sequence, trade.trade_id) for trade in trades] == [
        (1, ""),
        (2, ""),
        (2**40 + 1, "a9"),
        (2**40 + 2, "b7"),
    ]


def test_quotes_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "q.csv", "ts,bid,ask,bid_size", "1700000040,1,2,3")
    feed = opened(path)
    assert feed.quotes == ["kucoin:BTC-USDT"]
    assert stream(feed) == [(START, Quote("kucoin:BTC-USDT", 1.0, 2.0, 3.0, 0.0, START, START))]


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, HEADER, *bar_lines(2)) for name in ("a.csv", "b.csv"))
    digest = hashlib.sha256(Path(one).read_bytes()).digest()
    assert opened(one).digest() == digest.hex()
    assert opened(one, two).digest() == hashlib.sha256(digest * 2).hexdigest()


def test_a_day_of_a_market_with_sessions_may_be_named_by_its_date(tmp_path: Path) -> None:
    path = write(
        tmp_path / "d.csv", "date,open,high,low,close", "2022-04-11,1,2,1,2", "2022-04-12,1,2,1,2", "2022-04-15,1,2,1,2"
    )
    hong_kong = {"futu:HK.00700": Instrument.bare("futu:HK.00700", calendar="XHKG")}
    options = ColumnOptions(zone="Asia/Hong_Kong")
    events = stream(opened(path, wanted=["futu:HK.00700@1d"], options=options, instruments=hong_kong))
    monday = 1_649_640_600 * 10**9  # 09:30 in Hong Kong
    holiday = 1_649_952_000 * 10**9  # Good Friday: no trading day, left for the engine to refuse
    day, session = 1440 * MINUTE, 390 * MINUTE
    assert [(type(event), stamp) for stamp, event in events] == [
        (Bar, monday + session),
        (Bar, monday + day + session),
        (BarUpdate, holiday + day),
    ]
    assert [(event.ts_open, event.ts_close) for _, event in events if isinstance(event, Bar)] == [
        (monday, monday + session),
        (monday + day, monday + day + session),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER], "has no rows. Give a file with at least one row"),
        (
            ["timestamp,open,high,low,volume", "1,1,1,1,1"],
            "has no close column (its columns: timestamp, open, high, low, volume)",
        ),
        (
            [HEADER, *bar_lines(3)[::-1]],
            "row 2 is earlier than the one before it (column 'timestamp'). Sort it by time",
        ),
        ([HEADER, bar_lines(1)[0]], None),
        ([HEADER, "1700000040,1,2,x,2,1", bar_lines(2)[1]], " row 1 column 'low': 'x' is not a number"),
        (
            [HEADER, "2022-04-11 09:30:00,1,2,1,2,1"],
            " row 1 column 'timestamp': the time '2022-04-11 09:30:00' names no zone",
        ),
        ([HEADER, *bar_lines(3, step_s=420)], "has rows 420 s apart, so not the length of its bars. State it: kucoin"),
        (
            [HEADER, *bar_lines(3, step_s=300)],
            "kucoin:BTC-USDT@1m cannot be built from bars of 5m. Give a file of 1m or of",
        ),
        (
            [HEADER + ",symbol", *bar_lines(2, symbol="X")],
            "holds nothing of kucoin:BTC-USDT; it has X. Bind a symbol of",
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, lines: list[str], message: str | None) -> None:
    path = write(tmp_path / "a.csv", *lines)
    if message is None:  # one row alone: the wanted length is taken
        assert [event for _, event in stream(opened(path))] == [bar(0)]
        return
    text = refusal(path)
    assert text.startswith(path)
    assert message in text


def test_rows_out_of_order_are_found_across_chunks(tmp_path: Path) -> None:
    lines = bar_lines(6)
    path = write(tmp_path / "a.csv", HEADER, *lines[:4], lines[2], *lines[4:])
    for size in range(1, 7):
        assert "row 5 is earlier" in refusal(path, options=ColumnOptions(chunk_rows=size))


def test_whose_rows_they_are_must_be_clear(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER, *bar_lines(2))
    two = [BTC, "kucoin:ETH-USDT@1m"]
    assert refusal(path, wanted=two) == (
        f"{path}: has no symbol column, and there are 2 instruments (kucoin:BTC-USDT, kucoin:ETH-USDT). "
        f"Say whose it is: kucoin:BTC-USDT@1m={path}"
    )
    assert refusal(f"kucoin:X={path}").startswith(f"{path}: nobody wants kucoin:X (wanted: kucoin:BTC-USDT)")
    assert refusal(f"{BTC}={path}", wanted=two).startswith(f"{path}: holds nothing of kucoin:ETH-USDT")
    named = write(tmp_path / "n.csv", HEADER + ",symbol", *bar_lines(2, symbol="BTC-USDT"))
    assert "the symbol BTC-USDT may be kucoin:BTC-USDT or okx:BTC-USDT" in refusal(
        named, wanted=[BTC, "okx:BTC-USDT@1m"]
    )


def test_files_that_are_not_there(tmp_path: Path) -> None:
    missing, pattern = str(tmp_path / "no.csv"), str(tmp_path / "*.csv")
    assert refusal(missing) == f"{missing}: does not exist. Check the path"
    assert refusal(pattern) == f"{pattern}: matches no file. Check the path"
    assert refusal(str(tmp_path)).startswith(f"{tmp_path}: is a directory. Name its files: ")
    assert refusal() == "--feed: no file is given. Name a CSV or Parquet file"


def test_parquet_without_duckdb_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1junk")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert refusal(str(path)) == (
        f'{path}: Parquet needs duckdb, which is not installed. Install it: pip install "barbot[data]"'
    )


_FILES = st.lists(st.lists(st.integers(0, 12), min_size=2, max_size=25).map(sorted), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_FILES, st.integers(1, 30), st.sampled_from(["none", "ohlc"]))
def test_the_size_of_chunks_leaves_no_trace(tmp_path: Path, files: list[list[int]], size: int, intrabar: str) -> None:
    paths = []
    for number, minutes in enumerate(files):
        lines = (f"{START // 10**9 + 60 * minute},1,2,1,2,{row},{'AB'[row % 2]}" for row, minute in enumerate(minutes))
        paths.append(write(tmp_path / f"{number}.csv", HEADER + ",symbol", *lines))
    wanted = ["xx:A@1m", "xx:B@1m"]
    assert intrabar in ("none", "ohlc")
    whole, cut = (
        ColumnOptions(
            intrabar="ohlc" if intrabar == "ohlc" else "none", interval=FeedId.parse(BTC).interval, chunk_rows=rows
        )
        for rows in (65_536, size)
    )
    expected = stream(opened(*paths, wanted=wanted, options=whole))
    assert expected == stream(opened(*paths, wanted=wanted, options=cut))
    assert [ts for ts, _ in expected] == sorted(ts for ts, _ in expected)
