"""A recorder asks history what the trackers of a replay will ask, at the same stamps."""

from __future__ import annotations

from typing import Final

import msgspec
import pytest

from barbot.model.instrument import FeedId, Instrument
from barbot.providers.base import Provider
from barbot.providers.kucoin import PROVIDER
from barbot.run.record import FeedWatch
from barbot.timing.interval import HOUR, MINUTE, SECOND

NOON: Final = 1_767_614_400_000_000_000  # 2026-01-05T12:00:00Z
UP: Final = NOON + 20 * SECOND
WARMUP: Final = 200


def watch(feed: str = "kucoin:BTC-USDT@1m", provider: Provider = PROVIDER) -> FeedWatch:
    parsed = FeedId.parse(feed)
    return FeedWatch(parsed, provider, Instrument.bare(parsed.instrument))


def test_the_first_question_is_for_the_warm_up_and_two_more() -> None:
    ts_from, ts_to = watch().span(UP, WARMUP)
    assert ((UP - ts_from) // MINUTE >= WARMUP + 2, (UP - ts_from) // MINUTE <= WARMUP + 3, ts_to) == (True, True, UP)


def test_after_a_drop_it_is_for_what_was_missed_and_two_more() -> None:
    feed = watch()
    feed.is_warm = True
    feed.see(NOON)
    ts_from, ts_to = feed.span(NOON + HOUR, WARMUP)
    assert (NOON - 3 * MINUTE <= ts_from <= NOON - 2 * MINUTE, ts_to) == (True, NOON + HOUR)


def test_after_a_drop_before_the_warm_up_came_it_is_for_the_warm_up_again() -> None:
    feed = watch()
    first = feed.span(UP, WARMUP)
    feed.see(NOON)
    again = feed.span(UP + MINUTE, WARMUP)
    assert again == (first[0] + MINUTE, UP + MINUTE)


def test_the_bar_that_was_cut_is_asked_for_once_after_the_longest_grace() -> None:
    feed = watch()
    feed.span(UP, WARMUP)
    due = NOON + MINUTE + 16 * SECOND
    assert [feed.cut_span(now) for now in (due - 1, due, due + MINUTE)] == [None, (NOON, NOON + MINUTE), None]


def test_a_bar_that_the_stream_tells_of_is_not_asked_for() -> None:
    feed = watch()
    feed.span(UP, WARMUP)
    feed.see(NOON)
    assert feed.cut_span(NOON + HOUR) is None


@pytest.mark.parametrize(("words", "bars"), [((), 0), ((0, 0, 0), 1), ((0, 1, 0, 1, 2), 3)])
def test_bars_are_counted_once(words: tuple[int, ...], bars: int) -> None:
    feed = watch()
    for number in words:
        feed.see(NOON + number * MINUTE)
    assert feed.bars == bars


def test_weeks_begin_where_the_venue_has_them_begin() -> None:
    thursday = watch("kucoin:BTC-USDT@1w")
    monday = watch("kucoin:BTC-USDT@1w", msgspec.structs.replace(PROVIDER, week_anchor=4 * 24 * HOUR))
    assert (thursday.grid.floor(NOON), monday.grid.floor(NOON)) == (NOON - 4 * 24 * HOUR - 12 * HOUR, NOON - 12 * HOUR)
