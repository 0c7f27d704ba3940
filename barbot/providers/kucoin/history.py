"""Pages of candles: what to ask for `[ts_from, ts_to)`, and what the answers come to. Floor 3.

The venue covers at most so many periods a request, so a span is cut into windows that are known from the start,
newest first. What was asked for stands in the fragment of each page's address, which is recorded but not sent:

    https://api.kucoin.com/api/v1/market/candles?symbol=BTC-USDT&type=1min&startAt=...&endAt=...
        #ts_from=1790000000000000000&ts_to=1790090000000000000&page=2&pages=2

so a decoder that knows nothing but the recorded exchange makes the same `HistoryBars` of it.
"""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from barbot.errors import DecodeError, VenueError
from barbot.model.instrument import FeedId
from barbot.model.market import BarUpdate, HistoryBars
from barbot.providers.base import Fetch, Purpose
from barbot.providers.kucoin.rest import read_data
from barbot.providers.kucoin.venue import MILLISECOND, Venue
from barbot.timing.interval import SECOND
from barbot.wire.journal import Fetched

_DIGITS: Final = re.compile(r"\d{1,19}", re.ASCII)


class Span(msgspec.Struct, frozen=True):
    """What was asked for."""

    feed: str
    ts_from: int
    ts_to: int


class Page(msgspec.Struct, frozen=True):
    """Which part of the answer an exchange is about."""

    span: Span
    number: int
    """From 1, the newest."""
    count: int


class _SpotRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """As the stream has it: CLOSE before high and low, the start in seconds."""

    start: Annotated[int, msgspec.Meta(ge=0, le=(2**63 - 1) // SECOND)]
    open: float
    close: float
    high: float
    low: float
    volume: float
    turnover: float


class _FuturesRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Unlike the stream: high and low before CLOSE, the start in ms; turnover only since 2026."""

    start: Annotated[int, msgspec.Meta(ge=0, le=(2**63 - 1) // MILLISECOND)]
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float = 0.0


def page_fetches(venue: Venue, endpoint: str, span: Span) -> list[Fetch]:
    """Return the requests that together cover `span`, newest first; always at least one."""
    feed = FeedId.parse(span.feed)
    interval = str(feed.interval)
    windows = _windows(venue, feed, span)
    unit = venue.query_unit
    return [
        Fetch(
            purpose=Purpose.HISTORY,
            # the end is the last wanted start and one more: right whether the venue takes it in or not
            url=f"{endpoint}{venue.candles_path}?symbol={quote(feed.symbol, safe='')}"
            f"&{venue.length_key}={venue.lengths[interval]}"
            f"&{venue.from_key}={first // unit}&{venue.to_key}={last // unit + 1}"
            f"#ts_from={span.ts_from}&ts_to={span.ts_to}&page={number}&pages={len(windows)}",
        )
        for number, (first, last) in enumerate(windows, 1)
    ]


def _windows(venue: Venue, feed: FeedId, span: Span) -> list[tuple[int, int]]:
    """Return (first, last) opening per page, newest page first; a span between two openings has one all the same."""
    grid = venue.grid(feed.interval)
    last = max(grid.floor(max(span.ts_to - 1, 0)) or 0, 0)
    first = min(grid.first_from(max(span.ts_from, 0)), last)
    if grid.step is None:  # months: fewer than a page since the epoch
        return [(first, last)]
    length = (venue.page_rows - 1) * grid.step
    windows = []
    while True:
        begin = max(first, last - length)
        windows.append((begin, last))
        last = begin - grid.step
        if last < first:
            return windows


def read_page(venue: Venue, url: str) -> Page:
    """Return what was asked for at `url`.

    Raises:
        DecodeError: it is no address that `page_fetches` makes.
    """
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(f"{parts.query}&{parts.fragment}").items()}
    lengths = {theirs: ours for ours, theirs in venue.lengths.items()}
    interval = lengths.get(query.get(venue.length_key, ""))
    symbol = query.get("symbol", "")
    numbers = [query.get(key, "") for key in ("ts_from", "ts_to", "page", "pages")]
    is_whole = interval and symbol and all(map(_DIGITS.fullmatch, numbers))
    if not is_whole or not parts.path.endswith(venue.candles_path):
        raise DecodeError("fetched from an address that asks for no candles", where=url)
    ts_from, ts_to, number, count = map(int, numbers)
    if not 1 <= number <= count:
        raise DecodeError(f"page {number} of {count} pages of candles", where=url)
    return Page(Span(f"{venue.name}:{symbol}@{interval}", ts_from, ts_to), number, count)


def read_rows(venue: Venue, span: Span, record: Fetched, now: int) -> list[BarUpdate]:
    """Return the candles of a page that belong to the span, in the venue's order, the running one among them.

    Raises:
        VenueError: the answer is an error, or no list of candles.
    """
    unit = MILLISECOND if venue.is_futures else SECOND
    rows: list[_FuturesRow] | list[_SpotRow]
    if venue.is_futures:
        rows = read_data(record.status, record.body, list[_FuturesRow])
    else:
        rows = read_data(record.status, record.body, list[_SpotRow])
    return [
        BarUpdate(
            span.feed, row.start * unit, row.open, row.high, row.low, row.close, row.volume, row.turnover, ts_recv=now
        )
        for row in rows
        if span.ts_from <= row.start * unit < span.ts_to
    ]


class PageCollector:
    """Put the pages of each span together."""

    def __init__(self, venue: Venue) -> None:
        """Hold nothing yet."""
        self._venue = venue
        self._pages: dict[Span, list[list[BarUpdate]]] = {}

    def receive(self, record: Fetched, now: int) -> tuple[Page, HistoryBars | None]:
        """Take a page; return which one it was, and the whole once it is there.

        A page that could not be had ends its span without a row: what lies behind the hole must not be taken for all.

        Raises:
            DecodeError: no page of candles, or not the next one of its span.
        """
        page = read_page(self._venue, record.url)
        span = page.span
        pages = self._pages.setdefault(span, [])
        if page.number == 1:
            pages.clear()
        if page.number != len(pages) + 1:
            del self._pages[span]
            raise DecodeError(f"page {page.number} of candles came without those before it", where=record.url)
        try:
            pages.append(read_rows(self._venue, span, record, now))
        except VenueError as error:
            del self._pages[span]
            return page, HistoryBars(span.feed, span.ts_from, span.ts_to, (), str(error))
        if page.number < page.count:
            return page, None
        del self._pages[span]
        by_start = {row.ts_open: row for rows in pages for row in rows}
        bars = tuple(by_start[ts_open] for ts_open in sorted(by_start))
        return page, HistoryBars(span.feed, span.ts_from, span.ts_to, bars)
