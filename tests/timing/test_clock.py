"""The system's clock, the one that stands still, and times as people write them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.errors import ConfigError
from barbot.timing.clock import SystemClock, VenueClock, VirtualClock, iso, parse_time, stopwatch
from barbot.timing.interval import HOUR, MINUTE, SECOND


def test_the_system_clock_tells_nanoseconds_since_the_epoch() -> None:
    before = time.time_ns()
    now = SystemClock().now()
    assert before <= now <= time.time_ns()


def test_a_virtual_clock_stands_still_until_it_is_moved() -> None:
    clock = VirtualClock(5)
    assert [clock.now(), clock.now()] == [5, 5]
    clock.move_to(7)
    clock.move_to(7)
    assert clock.now() == 7


def test_a_virtual_clock_never_goes_back() -> None:
    clock = VirtualClock(5)
    with pytest.raises(ValueError, match=r"^clock at 5 cannot go back to 4$"):
        clock.move_to(4)
    assert clock.now() == 5


def test_a_stopwatch_does_not_run_backwards() -> None:
    first = stopwatch()
    assert stopwatch() >= first


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000 * SECOND, "2023-11-14T22:13:20Z"),
        (1_700_000_000 * SECOND + 1, "2023-11-14T22:13:20.000000001Z"),
        (1_700_000_000 * SECOND + 120_000_000, "2023-11-14T22:13:20.12Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_a_time_prints_with_as_many_decimals_as_it_needs(ts: int, expected: str) -> None:
    assert iso(ts) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01 00:01:00+00:00", MINUTE),
        ("1970-01-01T00:00:00-05:00", 5 * HOUR),
        ("1970-01-01T09:30:00+08:00", HOUR + 30 * MINUTE),
        ("1970-01-01T00:00:00.000001Z", 1_000),
        ("2024-02-29", 1_709_164_800 * SECOND),
    ],
)
def test_a_time_with_a_zone_or_a_bare_date_is_read(text: str, expected: int) -> None:
    assert parse_time(text) == expected


@given(microseconds=st.integers(0, 4_102_444_800_000_000))
@settings(max_examples=200, deadline=None)
def test_what_is_printed_reads_back(microseconds: int) -> None:
    assert parse_time(iso(microseconds * 1_000)) == microseconds * 1_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("noon", "--from: 'noon' is not a time. Write 2026-01-31 or 2026-01-31T09:30:00Z"),
        ("2026-02-30", "--from: '2026-02-30' is not a time. Write 2026-01-31 or 2026-01-31T09:30:00Z"),
        ("", "--from: '' is not a time. Write 2026-01-31 or 2026-01-31T09:30:00Z"),
        (
            "2026-01-31T09:30:00",
            "--from: '2026-01-31T09:30:00' names no time zone. Write 2026-01-31T09:30:00Z for UTC",
        ),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_time(text, where="--from")
    assert str(caught.value) == expected


def test_a_venue_clock_runs_as_fast_as_it_is_told_and_has_not_slept() -> None:
    clock = VenueClock(offset_ns=-SystemClock().now(), speed=1_000.0)
    first = clock.now()
    clock.shift(10**18)
    assert 0 <= first < clock.now() - 10**18 < 60 * 1_000 * 10**9
    assert clock.slept_ns() < 10**9
    before = clock.now()
    clock.catch_up()
    assert 0 < clock.now() - before < 10**12
