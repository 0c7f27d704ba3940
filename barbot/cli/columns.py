"""What `barbot feed` says of CSV and Parquet files. Floor 5."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

import msgspec

from barbot.cli.terminal import Row, moment, output, plural, print_json, print_rows
from barbot.errors import FeedError
from barbot.feeds.batch import FeedEvent
from barbot.feeds.feed import ColumnFeed, open_columns
from barbot.feeds.options import ColumnOptions, SourceSpec
from barbot.feeds.summary import FeedSummary
from barbot.model.instrument import Instrument
from barbot.model.market import Bar, BarUpdate, Quote, Trade

_JSON: Final = msgspec.json.Encoder()
_SHOWN: Final[Mapping[type, tuple[str, ...]]] = {
    Bar: ("feed", "ts_open", "ts_close", "open", "high", "low", "close", "volume", "turnover"),
    BarUpdate: ("feed", "ts_open", "open", "high", "low", "close", "volume", "turnover"),
    Trade: ("instrument", "price", "size", "ts_event", "sequence", "trade_id", "ts_recv"),
    Quote: ("instrument", "bid", "ask", "bid_size", "ask_size", "ts_event", "ts_recv"),
}
_KINDS: Final[Mapping[type, str]] = {Bar: "bar", BarUpdate: "refused", Trade: "trade", Quote: "quote"}
"""A row that is no sound bar comes as an update for the engine to refuse."""


def look(
    file: str,
    how: ColumnOptions,
    known: Mapping[str, Instrument],
    *,
    verify: bool,
    cat: bool,
    limit: int | None,
    as_json: bool,
) -> bool:
    """Print what was asked for; False if `--verify` found something bad.

    Raises:
        FeedError: the file cannot be read.
    """
    feed = open_columns([SourceSpec.parse(file)], [], how, known)
    if verify:
        return _verify(file, feed, as_json=as_json)
    if cat:
        _cat(feed, limit)
    elif as_json:
        found = {"file": file, "kind": "columns", "contents": [_plain(summary) for summary in feed.summary()]}
        print_json(msgspec.json.format(_JSON.encode(found), indent=2) + b"\n")
    else:
        print_rows(output(), [("File", file, "bold"), *_rows(feed)])
    return True


def _rows(feed: ColumnFeed) -> Iterator[Row]:
    for summary in feed.summary():
        length = f" of {summary.interval}" if summary.interval else ""
        yield "Instrument", summary.instrument, "bold"
        yield "  rows", f"{summary.rows:,} {summary.kind.value}{length}", ""
        yield "  span", f"{moment(summary.ts_first)} to {moment(summary.ts_last)} UTC", ""
        if summary.interval:
            yield "  missing", f"{summary.missing:,}", "yellow" if summary.missing else ""
        for number, hole in enumerate(summary.holes):
            yield ("" if number else _hole_label(summary)), _hole(hole.ts_from, hole.ts_to, hole.missing), ""
        for label, count in (
            ("duplicates", summary.duplicates),
            ("unsorted" if summary.interval else "late", summary.unsorted),
            ("off grid", summary.off_grid),
        ):
            if count:
                yield f"  {label}", f"{count:,}", "yellow"


def _hole_label(summary: FeedSummary) -> str:
    return "  holes" if summary.interval else "  silences"


def _hole(ts_from: int, ts_to: int, missing: int) -> str:
    size = plural(missing, "bar") if missing else f"{(ts_to - ts_from) / 1e9:,.1f} s"
    return f"{moment(ts_from)} to {moment(ts_to)}, {size}"


def _plain(summary: FeedSummary) -> dict[str, object]:
    return {
        "instrument": summary.instrument,
        "kind": summary.kind.value,
        "interval": str(summary.interval) if summary.interval else None,
        "rows": summary.rows,
        "first": summary.ts_first,
        "last": summary.ts_last,
        "missing": summary.missing,
        "holes": [hole._asdict() for hole in summary.holes],
        "duplicates": summary.duplicates,
        "unsorted": summary.unsorted,
        "off_grid": summary.off_grid,
    }


def _verify(file: str, feed: ColumnFeed, *, as_json: bool) -> bool:
    """Read every row. Rows that a run would refuse are counted: they are no reason not to run."""
    counts: Counter[str] = Counter()
    problem = ""
    try:
        for _, events in feed.batches():
            counts.update(_KINDS[event.__class__] for event in events)
    except FeedError as error:
        problem = str(error)
    if as_json:
        found = {"file": file, "kind": "columns", "good": not problem, "rows": dict(counts), "problem": problem}
        print_json(msgspec.json.format(_JSON.encode(found), indent=2) + b"\n")
    elif problem:
        output().out(problem, highlight=False)
    else:
        rows = ", ".join(
            plural(count, kind) if kind != "refused" else f"{count:,} refused" for kind, count in counts.items()
        )
        output().out(f"{file}: good, {rows or 'no rows'}", highlight=False)
    return not problem


def _cat(feed: ColumnFeed, limit: int | None) -> None:
    out = sys.stdout.buffer
    events = (event for _, batch in feed.batches() for event in batch)
    for event in islice(events, limit):
        out.write(_JSON.encode(_line(event)) + b"\n")
    out.flush()


def _line(event: FeedEvent) -> dict[str, object]:
    kind = event.__class__
    return {"kind": _KINDS[kind], **{name: getattr(event, name) for name in _SHOWN[kind]}}
