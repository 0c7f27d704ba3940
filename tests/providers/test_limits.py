"""Rate limits by stamps."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.providers.limits import RateLimit, RateLimiter
from barbot.timing.interval import SECOND


def test_the_window_slides() -> None:
    limiter = RateLimiter(RateLimit(2, 10.0))
    taken = []
    now = 0
    for _ in range(5):
        now = limiter.free_at(now)
        limiter.take(now)
        taken.append(now // SECOND)
        now += SECOND
    assert taken == [0, 1, 10, 11, 20]


def test_what_goes_out_against_the_limit_counts() -> None:
    limiter = RateLimiter(RateLimit(2, 10.0))
    for now in (0, 1, 2):
        limiter.take(now * SECOND)
    assert limiter.free_at(3 * SECOND) == 11 * SECOND


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5 * SECOND), max_size=60), st.integers(1, 7))
def test_no_window_holds_more_than_the_limit(pauses: list[int], count: int) -> None:
    limiter = RateLimiter(RateLimit(count, 10.0))
    taken: list[int] = []
    now = 0
    for pause in pauses:
        now = limiter.free_at(now + pause)
        limiter.take(now)
        taken.append(now)
    windows = [sum(begin <= ts < begin + 10 * SECOND for ts in taken) for begin in taken]
    assert max(windows, default=0) <= count


def test_a_limit_prints_as_people_say_it() -> None:
    assert str(RateLimit(90, 10.0)) == "90 in 10 s"
