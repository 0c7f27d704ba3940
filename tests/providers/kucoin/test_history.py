"""History against a fake answerer: windows, order, cuts, duplicates, errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.errors import DecodeError
from barbot.model.instrument import FeedId
from barbot.model.market import BarUpdate, HistoryBars, MarketEvent
from barbot.providers.base import Fetch, Purpose
from barbot.providers.kucoin.connection import KuCoinConnection, Session
from barbot.providers.kucoin.history import Span, page_fetches
from barbot.providers.kucoin.venue import FUTURES, SPOT
from barbot.timing.interval import DAY, MINUTE, SECOND, WEEK
from barbot.wire.journal import FetchedText

T = 1_789_999_980 * SECOND
FEED = "kucoin:BTC-USDT@1m"
Answerer = Callable[[Fetch], tuple[int, str]]


class FakeVenue:
    """Answers pages of minute candles like the venue: price and volume tell the start."""

    def __init__(self, now: int, *, empty: frozenset[int] = frozenset(), end: Literal["in", "out"] = "in") -> None:
        self.now, self.empty, self.end = now // SECOND, empty, end
        self.asked: list[int] = []
        """How many periods each request covered."""

    def __call__(self, fetch: Fetch) -> tuple[int, str]:
        query = {key: value[0] for key, value in parse_qs(urlsplit(fetch.url).query).items()}
        assert (query["symbol"], query["type"]) == ("BTC-USDT", "1min")
        begin, end = int(query["startAt"]), int(query["endAt"])
        starts = list(range(begin + -begin % 60, min(end + (self.end == "in"), self.now + 1), 60))
        self.asked.append(len(starts))
        rows = [self.row(ts) for ts in reversed(starts) if ts not in self.empty]
        return 200, json.dumps({"code": "200000", "data": rows[:1_500]})

    def row(self, ts: int) -> list[str]:
        return [str(ts), "10", "11", "12", "9", str(ts % 7), "0"]

    def bar(self, ts: int) -> BarUpdate:
        return BarUpdate(FEED, ts * SECOND, 10.0, 12.0, 9.0, 11.0, float(ts % 7), ts_recv=T)


def connection(lag_s: int = 0) -> KuCoinConnection:
    return KuCoinConnection(SPOT, "c", (FEED,), Session(topics=(), endpoint="https://h", history_lag_ns=lag_s * SECOND))


def drive(line: KuCoinConnection, answerer: Answerer) -> list[MarketEvent]:
    """Make the fetches until there are no more; one at a time is out."""
    events: list[MarketEvent] = []
    while fetches := line.fetches_to_make():
        (fetch,) = fetches
        assert (fetch.method, fetch.purpose, fetch.is_recorded) == ("GET", Purpose.HISTORY, True)
        status, body = answerer(fetch)
        events += line.receive_fetched(FetchedText(T, "c", fetch.method, fetch.url, status, body), T)
    return events


def answer(ts_from: int, ts_to: int, answerer: Answerer) -> list[MarketEvent]:
    line = connection()
    line.ask_history(FEED, ts_from, ts_to, T)
    line.ask_history(FEED, ts_from, ts_to, T)
    return drive(line, answerer)


def test_a_short_span_is_one_page_with_the_running_candle_last() -> None:
    now = T + 30 * SECOND
    expected = [FakeVenue(now).bar(T // SECOND + 60 * n) for n in (-2, -1, 0)]
    assert answer(T - 2 * MINUTE, now, FakeVenue(now)) == [HistoryBars(FEED, T - 2 * MINUTE, now, tuple(expected))]


def test_the_address_of_a_page() -> None:
    (fetch,) = page_fetches(SPOT, "https://h", Span("kucoin:A+B-USDT@1h", T - 1, T + 1))
    assert fetch.url == (
        "https://h/api/v1/market/candles?symbol=A%2BB-USDT&type=1hour&startAt=1789999200&endAt=1789999201"
        "#ts_from=1789999979999999999&ts_to=1789999980000000001&page=1&pages=1"
    )
    (fetch,) = page_fetches(FUTURES, "https://h", Span("kucoin-futures:XBTUSDTM@1h", T - 4000 * SECOND, T))
    assert fetch.url == (
        "https://h/api/v1/kline/query?symbol=XBTUSDTM&granularity=60&from=1789999200000&to=1789999200001"
        "#ts_from=1789995980000000000&ts_to=1789999980000000000&page=1&pages=1"
    )


@pytest.mark.parametrize("end", ["in", "out"])
def test_a_long_span_is_paged_backwards_and_told_once_oldest_first(end: Literal["in", "out"]) -> None:
    ts_from, now = T - 4_000 * MINUTE, T + 59 * SECOND
    venue = FakeVenue(now, empty=frozenset({T // SECOND - 60, T // SECOND - 60 * 1_500}), end=end)
    starts = [ts for ts in range(ts_from // SECOND, T // SECOND + 1, 60) if ts not in venue.empty]
    assert answer(ts_from, now, venue) == [HistoryBars(FEED, ts_from, now, tuple(map(venue.bar, starts)))]
    assert venue.asked == [1_500, 1_500, 1_001]


def test_an_empty_page_in_the_middle_does_not_end_the_search() -> None:
    ts_from = T - 3_500 * MINUTE
    newest_first = [T // SECOND - 60 * n for n in range(1, 3_501)]
    venue = FakeVenue(T, empty=frozenset(newest_first[1_500:3_000]))
    (bars,) = answer(ts_from, T, venue)
    assert isinstance(bars, HistoryBars)
    assert (len(bars.bars), bars.error, bars.bars[0].ts_open) == (2_000, "", ts_from)


@settings(max_examples=50, deadline=None)
@given(st.integers(-70, 4_000), st.integers(0, 59), st.integers(0, 59), st.sets(st.integers(0, 4_000), max_size=30))
def test_any_span_is_covered_within_the_limit(length: int, from_s: int, to_s: int, missing: set[int]) -> None:
    ts_from, ts_to = T - length * MINUTE + from_s * SECOND, T + to_s * SECOND
    venue = FakeVenue(ts_to, empty=frozenset(T // SECOND - 60 * n for n in missing))
    starts = [
        ts
        for ts in range(T // SECOND - 60 * 4_001, T // SECOND + 60, 60)
        if ts_from <= ts * SECOND < ts_to and ts not in venue.empty
    ]
    assert answer(ts_from, ts_to, venue) == [HistoryBars(FEED, ts_from, ts_to, tuple(map(venue.bar, starts)))]
    assert max(venue.asked, default=0) <= 1_500


def test_rows_outside_and_rows_said_twice_are_dropped() -> None:
    fake = FakeVenue(T)
    starts = [T // SECOND + 60 * n for n in (5, 0, -1, -1, -2, -3)]
    (bars,) = answer(
        T - 2 * MINUTE, T, lambda _: (200, json.dumps({"code": "200000", "data": [fake.row(ts) for ts in starts]}))
    )
    assert bars == HistoryBars(FEED, T - 2 * MINUTE, T, (fake.bar(T // SECOND - 120), fake.bar(T // SECOND - 60)))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, '{"msg":"Incorrect candlestick type.","code":"400100"}', "400100: Incorrect candlestick type."),
        (200, '{"code":"200000","data":[["1","2"]]}', "an answer that is not as documented: "),
        (200, '{"code":"200000"}', "an answer that is not as documented: Expected `array`, got `null`"),
        (200, "", "HTTP 200, not an answer of its API: an empty body"),
        (429, '{"code":"429000","msg":"Too many\\nrequests"}', "429000: Too many requests"),
        (429, "error code: 1015", "HTTP 429, not an answer of its API: error code: 1015"),
        (
            403,
            "<html><head><title>Access\n denied</title><style>p {}</style></head><body>Sorry</body></html>",
            "HTTP 403, not an answer of its API: Access denied",
        ),
        (502, "<p>bad</p>\n<b>gateway</b>" + "x" * 500, "HTTP 502, not an answer of its API: bad gateway xxx"),
        (0, "cannot find the host api.example", "cannot find the host api.example"),
    ],
)
def test_an_answer_that_is_an_error_ends_the_search_without_a_row(status: int, body: str, error: str) -> None:
    asked: list[Fetch] = []

    def second_page_fails(fetch: Fetch) -> tuple[int, str]:
        asked.append(fetch)
        return (status, body) if len(asked) == 2 else FakeVenue(T)(fetch)

    (bars,) = answer(T - 4_000 * MINUTE, T, second_page_fails)
    assert isinstance(bars, HistoryBars)
    assert (bars.bars, len(asked)) == ((), 2)
    assert bars.error.startswith(error)
    assert "\n" not in bars.error
    assert len(bars.error) < 250


def test_it_may_be_asked_again_after_an_error() -> None:
    line = connection()
    for status, error in (
        (500, "HTTP 500, not an answer of its API: x"),
        (500, "HTTP 500, not an answer of its API: x"),
    ):
        line.ask_history(FEED, T - MINUTE, T, T)
        assert drive(line, lambda _, status=status: (status, "x")) == [HistoryBars(FEED, T - MINUTE, T, (), error)]  # type: ignore[misc]


def test_spans_of_several_feeds_do_not_mix() -> None:
    line = connection()
    other = "kucoin:BTC-USDT@1d"
    line.ask_history(FEED, T - 2_000 * MINUTE, T, T)
    line.ask_history(other, T - 2 * DAY, T, T)
    minutes, days = line.fetches_to_make()
    fake = FakeVenue(T)

    def receive(fetch: Fetch, status: int, body: str) -> list[MarketEvent]:
        return line.receive_fetched(FetchedText(T, "c", "GET", fetch.url, status, body), T)

    first = receive(minutes, *fake(minutes))
    daily = receive(days, 200, '{"code":"200000","data":[]}')
    (rest,) = line.fetches_to_make()
    last = receive(rest, *fake(rest))
    assert (first, daily) == ([], [HistoryBars(other, T - 2 * DAY, T, ())])
    assert isinstance(last[0], HistoryBars)
    assert len(last[0].bars) == 2_000


def test_history_is_not_asked_before_the_venue_has_it() -> None:
    line = connection(lag_s=5)
    line.ask_history(FEED, T - MINUTE, T + SECOND, T + SECOND)
    line.ask_history(FEED, T - 2 * MINUTE, T - SECOND, T + SECOND)
    (fetch,) = line.fetches_to_make()
    assert fetch.url.endswith("#ts_from=1789999860000000000&ts_to=1789999979000000000&page=1&pages=1")
    line.handle_deadline(T + 2 * SECOND)
    assert (line.fetches_to_make(), line.next_deadline()) == ([], T + 5 * SECOND)
    line.handle_deadline(T + 5 * SECOND)
    assert drive(line, FakeVenue(T)) == [
        HistoryBars(FEED, T - MINUTE, T + SECOND, tuple(FakeVenue(T).bar(T // SECOND + 60 * n) for n in (-1, 0)))
    ]


def test_weeks_and_months_are_asked_by_their_own_grid() -> None:
    thursday = T - T % WEEK
    (weeks,) = page_fetches(SPOT, "", Span("kucoin:A-B@1w", thursday - WEEK, T))
    assert f"startAt={(thursday - WEEK) // SECOND}&endAt={thursday // SECOND + 1}#" in weeks.url
    monday = FUTURES.grid(FeedId.parse("x:y@1w").interval).floor(T)
    (futures,) = page_fetches(FUTURES, "", Span("kucoin-futures:A@1w", T - 1, T))
    assert f"from={monday and monday // 10**6}&" in futures.url
    (months,) = page_fetches(SPOT, "", Span("kucoin:A-B@1M", 0, T))
    assert "type=1month&startAt=0&endAt=1788220801#" in months.url


def test_futures_pages_hold_500_rows() -> None:
    pages = page_fetches(FUTURES, "", Span("kucoin-futures:A@1m", T - 1_200 * MINUTE, T))
    windows = [
        (int(query["to"][0]) - 1 - int(query["from"][0])) // 60_000 + 1
        for query in (parse_qs(urlsplit(page.url).query) for page in pages)
    ]
    assert windows == [500, 500, 200]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://h/api/v1/timestamp",
        "https://h/api/v1/market/candles?symbol=A-B&type=1min&startAt=1&endAt=2",
        "https://h/api/v1/market/candles?symbol=A-B&type=2min#ts_from=1&ts_to=2&page=1&pages=1",
        "https://h/api/v1/market/candles?symbol=A-B&type=1min#ts_from=1&ts_to=-2&page=1&pages=1",
        "https://h/api/v1/market/candles?symbol=A-B&type=1min#ts_from=1&ts_to=2&page=2&pages=1",
        "https://h/api/v1/market/candles?symbol=A-B&type=1min#ts_from=1&ts_to=2&page=2&pages=2",
        "https://h/api/v1/kline/query?symbol=A-B&granularity=1#ts_from=1&ts_to=2&page=1&pages=1",
    ],
)
def test_what_was_not_asked_for_is_refused(url: str) -> None:
    with pytest.raises(DecodeError):
        connection().receive_fetched(FetchedText(T, "c", "GET", url, 200, "{}"), T)
