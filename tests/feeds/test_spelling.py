import pytest

from barbot.errors import FeedError
from barbot.feeds.options import Kind, Label
from barbot.feeds.spelling import plain, recognise

_OHLC = ["open", "high", "low", "close"]


@pytest.mark.parametrize("name", ["Open Time", "open_time", "openTime", "OPEN-TIME", " open time "])
def test_names_are_compared_without_case_and_punctuation(name: str) -> None:
    assert plain(name) == "opentime"


@pytest.mark.parametrize(
    ("columns", "label", "kind", "roles"),
    [
        (
            ["open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count"],
            "open",
            Kind.BARS,
            {"time": "open_time", "volume": "volume", "turnover": "quote_volume"},
        ),
        (
            ["open_time", "open", "high", "low", "close", "volume", "close_time", "amount", "ticker"],
            "close",
            Kind.BARS,
            {"time": "close_time", "volume": "volume", "turnover": "amount", "symbol": "ticker"},
        ),
        (
            ["Time", "Open", "Close", "High", "Low", "Volume", "Turnover"],
            "open",
            Kind.BARS,
            {"time": "Time", "volume": "Volume", "turnover": "Turnover"},
        ),
        (["date", *_OHLC], "open", Kind.BARS, {"time": "date"}),
        (["date", "end_utc", *_OHLC], "close", Kind.BARS, {"time": "end_utc"}),
        (["date", "timestamp", *_OHLC], "open", Kind.BARS, {"time": "timestamp"}),
    ],
)
def test_bars_are_recognised(columns: list[str], label: Label, kind: Kind, roles: dict[str, str]) -> None:
    by_plain = {plain(name): name for name in columns}
    prices = {role: by_plain[role] for role in _OHLC}
    assert (kind, prices | roles) == recognise(columns, label, "f.csv")


@pytest.mark.parametrize(
    ("columns", "kind", "roles"),
    [
        (
            ["recv_ts", "event_ts", "trade_ts", "id", "price", "size", "buyer_maker"],
            Kind.TRADES,
            {
                "time": "trade_ts",
                "received": "recv_ts",
                "price": "price",
                "size": "size",
                "buyer_maker": "buyer_maker",
                "id": "id",
            },
        ),
        (
            ["ts_event", "ts_recv", "symbol", "price", "size", "side", "sequence"],
            Kind.TRADES,
            {
                "time": "ts_event",
                "received": "ts_recv",
                "price": "price",
                "size": "size",
                "side": "side",
                "id": "sequence",
                "symbol": "symbol",
            },
        ),
        (["ts", "bid", "ask"], Kind.QUOTES, {"time": "ts", "bid": "bid", "ask": "ask"}),
    ],
)
def test_ticks_are_recognised(columns: list[str], kind: Kind, roles: dict[str, str]) -> None:
    assert (kind, roles) == recognise(columns, "open", "f.csv")


@pytest.mark.parametrize(
    ("columns", "label", "message"),
    [
        (
            ["time", "open", "high", "low"],
            "open",
            "f.csv: has no close column (its columns: time, open, high, low). "
            "Name one of them close (close, c, closeprice)",
        ),
        (
            _OHLC,
            "open",
            "f.csv: has no time column (its columns: open, high, low, close). "
            "Name one of them time (timestamp, ts, time, datetime)",
        ),
        (
            ["time", "price"],
            "open",
            "f.csv: has no size column (its columns: time, price). Name one of them size (size, quantity, qty, volume)",
        ),
        (
            ["end", *_OHLC],
            "open",
            "f.csv: column 'end' names the end of a bar, but the label is 'open'. Add --label close",
        ),
        (
            ["start", *_OHLC],
            "close",
            "f.csv: column 'start' names the opening of a bar, but the label is 'close'. Add --label open",
        ),
    ],
)
def test_a_file_that_lacks_something_is_told_what(columns: list[str], label: Label, message: str) -> None:
    with pytest.raises(FeedError) as error:
        recognise(columns, label, "f.csv")
    assert message == str(error.value)
