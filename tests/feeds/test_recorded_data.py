"""Real files, where they are at hand: Futu's end labels, session grids, vendor bars rebuilt from ticks."""

from pathlib import Path

import pytest

from barbot.feeds.batch import FeedEvent
from barbot.feeds.feed import ColumnFeed, open_columns
from barbot.feeds.options import ColumnOptions, SourceSpec
from barbot.model.instrument import FeedId, Instrument
from barbot.model.market import Bar, Quote, Trade
from barbot.timing.clock import iso
from barbot.timing.interval import MINUTE

_DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
_HONG_KONG = "Asia/Hong_Kong"

pytestmark = pytest.mark.skipif(not _DATA.is_dir(), reason="the shared market data are not on this machine")


def opened(name: str, *wanted: str, calendar: str = "24/7", options: ColumnOptions | None = None) -> ColumnFeed:
    feeds = [FeedId.parse(feed) for feed in wanted]
    known = {feed.instrument: Instrument.bare(feed.instrument, calendar=calendar) for feed in feeds}
    return open_columns([SourceSpec.parse(str(_DATA / name))], feeds, options or ColumnOptions(), known)


def events(feed: ColumnFeed) -> list[FeedEvent]:
    return [event for batch in feed.batches() for event in batch.events]


def bars(feed: ColumnFeed) -> list[Bar]:
    return [event for event in events(feed) if isinstance(event, Bar)]


@pytest.mark.parametrize(
    ("minutes", "interval", "labels"),
    [
        (3, "3m", 110),
        (5, "5m", 66),
        (15, "15m", 22),
        (30, "30m", 11),
        (60, "1h", 6),
    ],
)
def test_naive_end_labels_of_hong_kong_fall_on_the_grid(minutes: int, interval: str, labels: int) -> None:
    options = ColumnOptions(label="close", zone=_HONG_KONG)
    name = f"bars/hk_09988_futu_2022-04-11_{minutes}m.csv"
    feed = opened(name, f"futu:HK.09988@{interval}", calendar="XHKG", options=options)
    assert [str(found) for found in feed.feeds] == [f"futu:HK.09988@{interval}"]
    found = bars(feed)
    assert len(found) == labels
    assert iso(found[0].ts_open) == "2022-04-11T01:30:00Z"
    assert iso(found[-1].ts_close) == "2022-04-11T08:00:00Z"
    (summary,) = feed.summary()
    assert (summary.missing, summary.duplicates, summary.off_grid) == (0, 0, 0)


def test_hourly_bars_of_hong_kong_stop_at_lunch() -> None:
    options = ColumnOptions(label="close", zone=_HONG_KONG)
    feed = opened("bars/hk_09988_futu_2022-04-11_60m.csv", "futu:HK.09988@1h", calendar="XHKG", options=options)
    assert [(iso(bar.ts_open)[11:16], iso(bar.ts_close)[11:16]) for bar in bars(feed)] == [
        ("01:30", "02:30"),
        ("02:30", "03:30"),
        ("03:30", "04:00"),
        ("05:00", "06:00"),
        ("06:00", "07:00"),
        ("07:00", "08:00"),
    ]


def test_two_years_of_futu_minutes_are_complete_and_on_the_grid() -> None:
    name = "bars/hk_00700_futu_1m_2018-12-24_2020-12-23.parquet"
    feed = opened(name, "futu:HK.00700@1m", calendar="XHKG", options=ColumnOptions(label="close"))
    (summary,) = feed.summary()
    assert (summary.rows, summary.missing, summary.duplicates, summary.unsorted, summary.off_grid) == (
        162_103,
        0,
        0,
        0,
        0,
    )
    first = next(iter(feed.batches())).events[0]
    assert isinstance(first, Bar)
    assert (iso(first.ts_open), iso(first.ts_close)) == ("2018-12-24T01:00:00Z", "2018-12-24T01:30:00Z")  # the auction


def test_naive_and_aware_labels_of_one_file_agree(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    source = (_DATA / "bars/hk_00001_futu_1m_2019-12_2020-02.parquet").as_posix()
    naive = tmp_path / "naive.parquet"
    duckdb.connect().execute(f"COPY (SELECT * EXCLUDE (end_utc) FROM '{source}') TO '{naive.as_posix()}'")
    known = {"futu:HK.00001": Instrument.bare("futu:HK.00001", calendar="XHKG")}
    wanted = [FeedId.parse("futu:HK.00001@1m")]
    one, two = (
        open_columns([SourceSpec.parse(path)], wanted, ColumnOptions(label="close", zone=zone), known)
        for path, zone in ((source, None), (str(naive), _HONG_KONG))
    )
    assert bars(one) == bars(two)


@pytest.mark.parametrize(("day", "complete"), [("20131007", 1313), ("20131008", 1376)])
def test_trades_in_the_order_of_the_file_give_the_vendors_bars(day: str, complete: int) -> None:
    trades = [
        one
        for one in events(opened(f"ticks_bars/comex_gc201312_{day}_trades.parquet", "cme:GC@1m"))
        if isinstance(one, Trade)
    ]
    built: dict[int, list[Trade]] = {}
    for trade in trades:
        built.setdefault(trade.ts_event - trade.ts_event % MINUTE, []).append(trade)
    assert [trade.sequence for trade in trades] == list(range(1, len(trades) + 1))
    equal = 0
    for bar in bars(opened(f"ticks_bars/comex_gc201312_{day}_1m.parquet", "cme:GC@1m")):
        inside = built.pop(bar.ts_open)
        prices = [trade.price for trade in inside]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        equal += bar.volume == sum(trade.size for trade in inside)
    assert (built, equal) == ({}, complete)  # the last bar of each day lacks the last trade's volume


def test_trades_with_a_time_of_receipt_are_stamped_with_it() -> None:
    feed = opened("ticks_bars/binance_um_btcusdt_20240718_ws_trades.parquet", "binance:BTCUSDT@1m")
    stamps = [ts for batch in feed.batches() for ts in batch.stamps]
    trades = [trade for trade in events(feed) if isinstance(trade, Trade)]
    assert len(trades) == 10_701
    assert stamps == [trade.ts_recv for trade in trades]
    assert all(trade.ts_recv < trade.ts_event for trade in trades)  # the recorder's clock was behind
    assert sorted({trade.sequence for trade in trades}) == [trade.sequence for trade in trades]


def test_quotes_are_all_there() -> None:
    quotes = [
        one
        for one in events(opened("ticks_bars/oanda_eurusd_201405_quotes.parquet", "oanda:EURUSD@1m"))
        if isinstance(one, Quote)
    ]
    assert len(quotes) == 118_839
    assert all(quote.bid <= quote.ask for quote in quotes)


def test_a_calendar_that_is_too_narrow_marks_bars_and_drops_none() -> None:
    feed = opened("bars/us_spy_20230803_1m.parquet", "lean:SPY@1m", calendar="XNYS")
    assert len(bars(feed)) == 390
    assert len(events(feed)) == 947
    (summary,) = feed.summary()
    assert (summary.rows, summary.off_grid) == (947, 947 - 390)
