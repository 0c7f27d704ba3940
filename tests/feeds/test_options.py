import pytest

from barbot.errors import ConfigError
from barbot.feeds.options import ColumnOptions, SourceSpec
from barbot.timing.interval import Interval


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("btc.csv", SourceSpec("btc.csv")),
        ("data/*.parquet", SourceSpec("data/*.parquet")),
        ("kucoin:BTC-USDT=btc.csv", SourceSpec("btc.csv", "kucoin:BTC-USDT")),
        ("futu:HK.00700@1m=a=b.csv", SourceSpec("a=b.csv", "futu:HK.00700", Interval(1, "m"))),
        (r"C:\feeds\btc=1m.csv", SourceSpec(r"C:\feeds\btc=1m.csv")),
        (r"kucoin:BTC-USDT=C:\feeds\btc.csv", SourceSpec(r"C:\feeds\btc.csv", "kucoin:BTC-USDT")),
    ],
)
def test_a_source_is_a_path_or_a_binding(text: str, spec: SourceSpec) -> None:
    assert spec == SourceSpec.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ", "--feed: no file is named. Give a path"),
        ("kucoin:BTC-USDT@7m=x.csv", "no bar length is called '7m'"),
    ],
)
def test_an_unreadable_source_says_so(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        SourceSpec.parse(text)
    assert str(error.value).startswith(message)


def test_a_chunk_has_rows() -> None:
    with pytest.raises(ConfigError, match="a chunk of 0 rows cannot be read"):
        ColumnOptions(chunk_rows=0)
