from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.errors import ConfigError, FeedError
from barbot.feeds.options import Unit
from barbot.feeds.table import Cells, Place
from barbot.feeds.times import instants, local_clock, zone_of

_PLACE = Place("f.csv", "time", range(1, 1_000_000))
_NINE = 1_649_667_600_000_000_000  # 2022-04-11T09:00:00Z


def read(cells: Cells, *, zone: str | None = None, unit: Unit = "auto", aware: bool = False) -> list[int]:
    ts: list[int] = instants(cells, _PLACE, aware=aware, zone=zone_of(zone), unit=unit).tolist()
    return ts


def refusal(cells: Cells, *, zone: str | None = None, unit: Unit = "auto") -> str:
    with pytest.raises(FeedError) as error:
        read(cells, zone=zone, unit=unit)
    return str(error.value)


@pytest.mark.parametrize(
    "cell",
    [
        "1649667600",
        "1649667600000",
        "1649667600000000",
        "1649667600000000000",
        "1649667600.0",
        "1.6496676E9",
        "2022-04-11T09:00:00Z",
        "2022-04-11 09:00:00+00:00",
        "2022-04-11T17:00:00+08:00",
        "2022-04-11T05:00-0400",
        " 2022-04-11T09:00:00.000000000Z ",
    ],
)
def test_every_usual_spelling_of_a_moment_is_read(cell: str) -> None:
    assert read([cell, cell]) == [_NINE, _NINE]


def test_fractions_of_a_second_are_exact() -> None:
    assert read(["1626992742.289569123"]) == [1_626_992_742_289_569_123]
    assert read(["2022-04-11T09:00:00.000000001Z"]) == [_NINE + 1]


def test_a_stated_unit_reads_what_size_cannot_tell() -> None:
    assert read(["5"], unit="s") == [5_000_000_000]
    assert read(np.array([5]), unit="ms") == [5_000_000]


def test_offsets_may_differ_within_a_column() -> None:
    cells = ["2022-03-13T01:59:00-05:00", "2022-03-13T03:00:00-04:00", "2022-03-13T07:01:00Z"]
    assert np.diff(read(cells)).tolist() == [60 * 10**9] * 2


def test_typed_columns_are_read() -> None:
    moments = np.array(["2022-04-11T09:00"], "datetime64[us]")
    assert read(moments, aware=True) == [_NINE]
    assert read(moments, zone="UTC") == [_NINE]
    assert read(moments + np.timedelta64(8, "h"), zone="Asia/Hong_Kong") == [_NINE]
    assert read(np.array([1649667600], np.uint32)) == [_NINE]
    assert read(np.array([1649667600.5])) == [_NINE + 500_000_000]
    assert read(np.array(["2022-04-11T09:00:00Z"], object)) == [_NINE]


def test_a_naive_time_is_refused_without_a_zone() -> None:
    expected = (
        "f.csv row 1 column 'time': the time '2022-04-11 09:45:00' names no zone. State the zone of the "
        "file's clock, for example --zone Asia/Hong_Kong, or --zone UTC"
    )
    assert expected == refusal(["2022-04-11 09:45:00"])
    assert "names no zone" in refusal(np.array(["2022-04-11"], "datetime64[D]"))
    assert "row 2 column 'time': the time '2022-04-11 09:45:00' names no zone" in refusal(
        ["2022-04-11 09:45:00Z", "2022-04-11 09:45:00"]
    )


def test_a_local_time_that_is_no_single_moment_is_refused() -> None:
    twice = refusal(["2022-11-06 00:59:00", "2022-11-06 01:30:00"], zone="America/New_York")
    assert twice == (
        "f.csv row 2 column 'time': the clock in America/New_York shows '2022-11-06 01:30:00' twice. "
        "Write times with an offset, or in UTC"
    )
    never = refusal(["2022-03-13 02:30:00"], zone="America/New_York")
    assert "the clock in America/New_York shows '2022-03-13 02:30:00' never" in never


@pytest.mark.parametrize(
    "cell", ["", "yesterday", "12", "20220411", "2022-13-01", "NaT", "1e30", "99999999999999999999", "2022"]
)
def test_what_is_no_time_is_named(cell: str) -> None:
    expected = (
        f"f.csv row 2 column 'time': {cell!r} is not a time. "
        "Write epoch s, ms, us or ns between 1990 and 2100, or ISO 8601 such as 2026-01-31T09:30:00Z"
    )
    for before in ("1649667600", "2022-04-11T09:00:00Z"):
        assert expected == refusal([before, cell], zone="UTC")


def test_a_null_is_no_time() -> None:
    nothing = np.array(["2022-04-11", "NaT"], "datetime64[us]")
    assert "row 2 column 'time': 'NaT' is not a time" in refusal(nothing, zone="UTC")
    masked = np.ma.masked_array([1649667600, 0], mask=[False, True])
    assert "row 2 column 'time': 'nothing' is not a time" in refusal(masked)


def test_a_year_that_nanoseconds_do_not_hold_is_refused() -> None:
    assert "is not a time" in refusal(["2606-01-01T00:00:00Z"])
    assert "is not a time" in refusal(np.array(["2606-01-01"], "datetime64[us]"), zone="UTC")


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="no time zone is called 'Asia/Hongkong_'"):
        zone_of("Asia/Hongkong_")


@given(
    st.lists(st.datetimes(min_value=datetime(1991, 1, 1), max_value=datetime(2099, 1, 1)), min_size=1),  # noqa: DTZ001 - a local clock
    st.sampled_from(["Asia/Hong_Kong", "America/New_York", "Europe/London", "Australia/Lord_Howe", "UTC"]),
)
def test_local_times_agree_with_zoneinfo(moments: list[datetime], zone: str) -> None:
    known = ZoneInfo(zone)
    single = [
        moment
        for moment in moments
        if moment.replace(tzinfo=known).utcoffset() == moment.replace(tzinfo=known, fold=1).utcoffset()
    ]
    expected = [
        (moment.replace(tzinfo=known) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        for moment in single
    ]
    actual = read([moment.isoformat() for moment in single], zone=zone)
    assert [ts * 1000 for ts in expected] == actual
    shown = local_clock(np.array(actual, np.int64), known)
    naive = [(moment - datetime(1970, 1, 1)) // timedelta(microseconds=1) * 1000 for moment in single]  # noqa: DTZ001 - a local clock
    assert naive == shown.tolist()
