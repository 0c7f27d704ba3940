"""Bar lengths: reading, printing, and the round-the-clock UTC grid they know by themselves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.errors import ConfigError
from barbot.timing.clock import iso, parse_time
from barbot.timing.interval import DAY, HOUR, MINUTE, MONDAY, SECOND, WEEK, Interval

LENGTHS = {
    "1s": SECOND, "5s": 5 * SECOND, "10s": 10 * SECOND, "15s": 15 * SECOND, "30s": 30 * SECOND,
    "1m": MINUTE, "2m": 2 * MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "10m": 10 * MINUTE,
    "15m": 15 * MINUTE, "20m": 20 * MINUTE, "30m": 30 * MINUTE, "45m": 45 * MINUTE,
    "1h": HOUR, "2h": 2 * HOUR, "3h": 3 * HOUR, "4h": 4 * HOUR, "6h": 6 * HOUR, "8h": 8 * HOUR,
    "12h": 12 * HOUR, "1d": DAY, "1w": WEEK, "1M": 30 * DAY,
}  # fmt: skip
KNOWN = " ".join(LENGTHS)
SINCE_1970 = st.integers(0, parse_time("2100-01-01"))


@pytest.mark.parametrize("text", LENGTHS)
def test_every_length_reads_and_prints_the_same(text: str) -> None:
    interval = Interval.parse(text)
    assert str(interval) == text
    assert interval == Interval(int(text[:-1]), text[-1])
    assert interval.ns == LENGTHS[text]
    assert Interval.parse(text) is interval


def test_the_units_say_what_is_fixed_and_what_a_session_cuts() -> None:
    fixed = [text for text in LENGTHS if Interval.parse(text).is_fixed]
    intraday = [text for text in LENGTHS if Interval.parse(text).is_intraday]
    assert fixed == [text for text in LENGTHS if text != "1M"]
    assert intraday == [text for text in LENGTHS if text not in {"1d", "1w", "1M"}]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m",
        "1",
        "1 m",
        " 1m",
        "1m\n",
        "1min",
        "60m",
        "0m",
        "01m",
        "-1m",
        "1.5m",
        "7m",
        "2d",
        "1y",
        "1W",
        "٣m",
    ],
)
def test_anything_else_is_refused_with_the_list_of_what_there_is(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Interval.parse(text)
    assert str(caught.value) == (f"no bar length is called {text!r}. Use one of: {KNOWN} (M is a month)")


@pytest.mark.parametrize("text", [text for text in LENGTHS if text[-1] in "smhd"])
@given(ts=SINCE_1970)
@settings(max_examples=30, deadline=None)
def test_up_to_a_day_a_bar_opens_at_a_multiple_since_the_epoch(text: str, ts: int) -> None:
    interval = Interval.parse(text)
    assert interval.floor(ts) == ts // LENGTHS[text] * LENGTHS[text]
    assert interval.next(interval.floor(ts)) == interval.floor(ts) + LENGTHS[text]


@given(ts=SINCE_1970, anchor_day=st.integers(0, 6))
@settings(max_examples=100, deadline=None)
def test_a_week_begins_on_its_anchor(ts: int, anchor_day: int) -> None:
    week = Interval.parse("1w")
    opened = week.floor(ts, week_anchor=anchor_day * DAY)
    assert opened <= ts < week.next(opened) == opened + WEEK
    assert datetime.fromtimestamp(opened / SECOND, tz=UTC).weekday() == (anchor_day + 3) % 7  # day 0: a Thursday
    assert opened % DAY == 0


def test_weeks_begin_on_monday_unless_told_otherwise() -> None:
    week = Interval.parse("1w")
    sunday, monday = parse_time("2024-03-03T23:59:59Z"), parse_time("2024-03-04T00:00:00Z")
    thursday = parse_time("2024-02-29T00:00:00Z")
    assert iso(week.floor(sunday)) == "2024-02-26T00:00:00Z"
    assert iso(week.floor(monday)) == "2024-03-04T00:00:00Z"
    assert week.floor(monday, week_anchor=MONDAY) == week.floor(monday)
    assert [iso(week.floor(ts, week_anchor=0)) for ts in (thursday - 1, thursday, monday)] == [
        "2024-02-22T00:00:00Z",
        "2024-02-29T00:00:00Z",
        "2024-02-29T00:00:00Z",
    ]


def test_months_step_through_leap_years_and_others() -> None:
    month = Interval.parse("1M")
    ts, opens = parse_time("2023-12-01"), []
    for _ in range(16):
        opens.append(iso(ts)[:10])
        ts = month.next(ts)
    assert opens == [
        "2023-12-01", "2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01", "2024-06-01",
        "2024-07-01", "2024-08-01", "2024-09-01", "2024-10-01", "2024-11-01", "2024-12-01", "2025-01-01",
        "2025-02-01", "2025-03-01",
    ]  # fmt: skip
    assert iso(month.floor(parse_time("2024-02-29T23:59:59.999999Z"))) == "2024-02-01T00:00:00Z"
    assert iso(month.floor(parse_time("2100-02-28T12:00:00Z"))) == "2100-02-01T00:00:00Z"
    assert month.next(parse_time("2100-02-01")) - parse_time("2100-02-01") == 28 * DAY
    assert month.next(parse_time("2000-02-01")) - parse_time("2000-02-01") == 29 * DAY


@given(ts=SINCE_1970)
@settings(max_examples=200, deadline=None)
def test_a_month_holds_the_moments_of_its_name(ts: int) -> None:
    month = Interval.parse("1M")
    opened = month.floor(ts)
    assert iso(opened) == f"{iso(ts)[:7]}-01T00:00:00Z"
    assert opened <= ts < month.next(opened)


@pytest.mark.parametrize(
    ("shorter", "longer", "expected"),
    [
        ("1m", "15m", True), ("15m", "1m", False), ("1m", "1m", False), ("3m", "10m", False),
        ("45m", "1d", True), ("2h", "3h", False), ("45m", "1h", False), ("1s", "1M", True),
        ("12h", "1w", True), ("1d", "1w", True), ("1d", "1M", True), ("1w", "1M", False),
        ("1M", "1w", False), ("1M", "1M", False),
    ],
)  # fmt: skip
def test_whole_bars_of_one_length_build_another(shorter: str, longer: str, expected: bool) -> None:
    assert Interval.parse(shorter).divides(Interval.parse(longer)) is expected
