"""Round-the-clock grids, and what holds for every grid there is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.errors import ConfigError
from barbot.timing.clock import iso, parse_time
from barbot.timing.grid import Grid, MonthGrid, Segments, SessionGrid, StepGrid
from barbot.timing.interval import DAY, HOUR, MINUTE, MONDAY, WEEK, Interval
from barbot.timing.sessions import AuctionBar, day_end, grid_for

MARKETS: list[tuple[str, AuctionBar]] = [
    ("24/7", "merge"),
    ("24/5", "merge"),
    ("XHKG", "merge"),
    ("XHKG", "own"),
    ("XNYS", "own"),
    ("XSHG", "merge"),
    ("CMES", "merge"),
]
LENGTHS = ["1s", "1m", "45m", "1h", "4h", "12h", "1d", "1w", "1M"]
MOMENTS = st.integers(parse_time("1991-02-01"), parse_time("2026-11-01"))


def opens(grid: Grid, first: str, last: str) -> list[str]:
    """Every bar open from `first` up to, not including, `last`."""
    found, ts = [], grid.first_from(parse_time(first))
    while ts < parse_time(last):
        found.append(iso(ts))
        ts = grid.next_open(ts)
    return found


@pytest.mark.parametrize(("calendar", "auction"), MARKETS)
@pytest.mark.parametrize("text", LENGTHS)
@given(ts=MOMENTS, fraction=st.floats(0, 1, exclude_max=True))
@settings(max_examples=15, deadline=None)
def test_bars_lie_side_by_side_and_hold_their_own_moments(
    calendar: str, auction: AuctionBar, text: str, ts: int, fraction: float
) -> None:
    grid = grid_for(calendar, Interval.parse(text), auction=auction)
    bar = grid.first_from(ts)
    end, following = grid.close_of(bar), grid.next_open(bar)
    inside = min(bar + int((end - bar) * fraction), end - 1)
    assert ts <= bar < end <= following
    assert [grid.floor(moment) for moment in (bar, inside, end - 1, following)] == [bar, bar, bar, following]
    assert [grid.first_from(bar), grid.first_from(bar + 1), grid.first_from(following)] == [
        bar,
        following,
        following,
    ]
    assert grid.floor(following - 1) in {bar, following, None}
    held = grid.floor(ts)
    assert held is None or bar in {held, grid.next_open(held)}
    assert grid.open_of_end_label(end) == bar
    if grid.interval.is_intraday and (calendar, auction) != (
        "XHKG",
        "own",
    ):  # an auction is one bar, however long
        assert end - bar <= grid.interval.ns


@pytest.mark.parametrize(("calendar", "auction"), MARKETS)
@given(ts=MOMENTS, other=MOMENTS)
@settings(max_examples=30, deadline=None)
def test_an_answer_does_not_depend_on_what_was_asked_before(
    calendar: str, auction: AuctionBar, ts: int, other: int
) -> None:
    grid = grid_for(calendar, Interval.parse("15m"), auction=auction)
    expected = (grid.floor(ts), grid.first_from(ts), grid.open_of_end_label(ts))
    grid.floor(other)
    grid.next_open(grid.first_from(other))
    assert (grid.floor(ts), grid.first_from(ts), grid.open_of_end_label(ts)) == expected


@pytest.mark.parametrize("text", LENGTHS)
@given(ts=MOMENTS)
@settings(max_examples=20, deadline=None)
def test_a_grid_with_a_step_is_plain_arithmetic(text: str, ts: int) -> None:
    interval = Interval.parse(text)
    grid = grid_for("24/7", interval)
    assert grid.floor(ts) == interval.floor(ts)
    assert grid.step == (interval.ns if interval.is_fixed else None)
    if grid.step is not None:
        assert (interval.floor(ts) - grid.offset) % grid.step == 0
    assert grid_for("24/5", interval).step is None


def test_a_round_the_clock_week_begins_on_its_anchor() -> None:
    week = Interval.parse("1w")
    monday, thursday = grid_for("24/7", week), grid_for("24/7", week, week_anchor=0)
    assert (monday.step, monday.offset) == (WEEK, MONDAY)
    assert (thursday.step, thursday.offset) == (WEEK, 0)
    assert grid_for("24/7", week, week_anchor=parse_time("2024-02-29")).offset == 0
    assert opens(monday, "2024-02-27", "2024-03-12") == ["2024-03-04T00:00:00Z", "2024-03-11T00:00:00Z"]
    assert opens(thursday, "2024-02-27", "2024-03-12") == ["2024-02-29T00:00:00Z", "2024-03-07T00:00:00Z"]


def test_round_the_clock_months_are_calendar_months() -> None:
    grid = grid_for("24/7", Interval.parse("1M"))
    assert opens(grid, "2024-01-31", "2024-05-01") == [
        "2024-02-01T00:00:00Z",
        "2024-03-01T00:00:00Z",
        "2024-04-01T00:00:00Z",
    ]
    assert iso(grid.close_of(parse_time("2024-02-01"))) == "2024-03-01T00:00:00Z"
    assert grid.open_of_end_label(parse_time("2024-03-01")) == parse_time("2024-02-01")
    assert grid.open_of_end_label(parse_time("2024-03-02")) is None


def test_a_label_off_the_grid_ends_no_bar() -> None:
    grid = grid_for("24/7", Interval.parse("5m"))
    label = parse_time("2024-03-04T00:05:00Z")
    assert grid.open_of_end_label(label) == label - 5 * MINUTE
    assert grid.open_of_end_label(label + 1) is None


def test_the_same_question_gives_the_same_grid() -> None:
    hour = Interval.parse("1h")
    assert grid_for("24/7", hour) is grid_for("24/7", hour, week_anchor=0)
    assert grid_for("XHKG", hour) is not grid_for("XHKG", hour, auction="own")
    assert grid_for("XHKG", Interval.parse("1d")) is grid_for("XHKG", Interval.parse("1d"), auction="own")


@pytest.mark.parametrize(
    ("calendar", "text", "moment", "market"),
    [
        ("24/7", "1h", "2024-03-04T00:30:00Z", "the round-the-clock grid"),
        ("24/7", "1M", "2024-03-04T00:00:00Z", "the round-the-clock grid"),
        ("24/5", "1h", "2024-03-02T12:00:00Z", "24/5"),
        ("XHKG", "1h", "2024-03-04T01:31:00Z", "XHKG"),
        ("XHKG", "1h", "2024-03-04T01:00:00Z", "XHKG"),  # in the first bar, and not its open
        ("XHKG", "1h", "2024-03-04T04:00:00Z", "XHKG"),
        ("XHKG", "1h", "2024-03-04T08:05:00Z", "XHKG"),
        ("XHKG", "1m", "2024-03-04T01:10:00Z", "XHKG"),  # in the opening auction
        ("XHKG", "1m", "2024-03-04T08:05:00Z", "XHKG"),  # in the closing auction
        ("XHKG", "1d", "2024-03-04T05:00:00Z", "XHKG"),
    ],
)
def test_asking_for_a_bar_that_does_not_exist_is_an_error(calendar: str, text: str, moment: str, market: str) -> None:
    grid, ts = grid_for(calendar, Interval.parse(text)), parse_time(moment)
    for question in (grid.close_of, grid.next_open):
        with pytest.raises(ValueError, match="opens at") as caught:
            question(ts)
        assert str(caught.value) == f"no {text} bar of {market} opens at {moment}"


@pytest.mark.parametrize(("calendar", "auction"), MARKETS)
@given(ts=MOMENTS)
@settings(max_examples=30, deadline=None)
def test_a_trading_day_ends_after_every_moment_of_it(calendar: str, auction: AuctionBar, ts: int) -> None:
    end = day_end(calendar, ts)
    assert ts < end
    assert day_end(calendar, end - 1) == end
    assert end < day_end(calendar, end)
    day = grid_for(calendar, Interval.parse("1d"), auction=auction).floor(ts)
    if day is not None:
        closed = grid_for(calendar, Interval.parse("1d")).close_of(day)
        assert end == (closed + 10 * MINUTE if calendar == "XHKG" else closed)


def test_round_the_clock_days_end_at_midnight() -> None:
    midnight = parse_time("2024-03-04")
    assert [day_end("24/7", ts) for ts in (midnight - 1, midnight, midnight + 1)] == [
        midnight,
        midnight + DAY,
        midnight + DAY,
    ]


def test_a_table_of_segments_makes_a_grid_by_itself() -> None:
    table = Segments("a tiny market")
    table.add(10 * HOUR, 12 * HOUR, lead=HOUR)
    table.add(13 * HOUR, 13 * HOUR + 30 * MINUTE, is_single=True)
    grid = SessionGrid(Interval.parse("45m"), table)
    assert grid.first_from(9 * HOUR) == 10 * HOUR
    assert [grid.next_open(10 * HOUR), grid.close_of(11 * HOUR + 30 * MINUTE)] == [
        10 * HOUR + 45 * MINUTE,
        12 * HOUR,
    ]
    assert [grid.floor(hour * HOUR) for hour in (9, 10, 12, 13)] == [10 * HOUR, 10 * HOUR, None, 13 * HOUR]
    assert grid.close_of(13 * HOUR) == 13 * HOUR + 30 * MINUTE
    for question, ts in (
        (grid.floor, 9 * HOUR - 1),
        (grid.first_from, 9 * HOUR - 1),
        (grid.floor, 13 * HOUR + 30 * MINUTE),
        (grid.next_open, 13 * HOUR),
        (grid.first_from, 13 * HOUR + 1),
    ):
        with pytest.raises(ConfigError, match=r"^calendar a tiny market knows its sessions from 1970-01-01T09"):
            question(ts)


def test_the_three_kinds_are_where_they_belong() -> None:
    kinds = {
        (calendar, text): type(grid_for(calendar, Interval.parse(text)))
        for calendar in ("24/7", "24/5")
        for text in ("1m", "1w", "1M")
    }
    assert kinds == {
        ("24/7", "1m"): StepGrid,
        ("24/7", "1w"): StepGrid,
        ("24/7", "1M"): MonthGrid,
        ("24/5", "1m"): SessionGrid,
        ("24/5", "1w"): SessionGrid,
        ("24/5", "1M"): SessionGrid,
    }
