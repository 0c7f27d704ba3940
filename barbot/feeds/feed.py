"""Recorded column feeds: CSV and Parquet files as one stream of events in order of time. Floor 3.

feed = open_columns([SourceSpec.parse("btc-1m.csv")], strategy_feeds, ColumnOptions(), instruments)
for stamps, events in feed.batches():
    ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from barbot.errors import FeedError
from barbot.feeds.batch import Batch
from barbot.feeds.bind import Binder, Bound
from barbot.feeds.columns import slabs
from barbot.feeds.files import digest_of, expand, open_table
from barbot.feeds.merge import merge
from barbot.feeds.offer import bar_feeds, check_wanted, tick_instruments
from barbot.feeds.options import ColumnOptions, Kind, SourceSpec
from barbot.feeds.summary import FeedSummary, summarise
from barbot.model.instrument import FeedId, Instrument

_LEAST_ROWS: Final = 16_384
"""A source is read in no smaller chunks than this, however many there are: each costs a query."""
_SHARERS: Final = 4


class ColumnFeed:
    """Files that are opened, recognised and bound; nothing but their first rows was read yet.

    `feeds` are the bars it yields, under the file's own interval; `trades` and `quotes` the instruments that
    come as such; `kinds` what each file holds; `rows_hint` how many rows there are in all, None if unknown.
    """

    def __init__(self, bound: Sequence[Bound], options: ColumnOptions) -> None:
        """Keep what `open_columns` found."""
        self._bound = list(bound)
        self._options = options
        self.kinds: dict[str, Kind] = {source.table.path: source.kind for source, _, _ in bound}
        self.feeds: list[FeedId] = bar_feeds(bound)
        self.trades: list[str] = tick_instruments(bound, Kind.TRADES)
        self.quotes: list[str] = tick_instruments(bound, Kind.QUOTES)
        hints = [source.table.rows_hint for source, _, _ in bound]
        self.rows_hint: int | None = None if None in hints else sum(hint or 0 for hint in hints)

    def batches(self) -> Iterator[Batch]:
        """Yield all events in order of time, from the start each time it is called.

        Of equal stamps closed bars come first, the shorter before the longer, then points of a path inside a
        bar, then trades and quotes; within these the order of the sources, and within a source that of its rows.

        Raises:
            FeedError: a cell cannot be read, or a file is not sorted by time.
        """
        rows = self._options.chunk_rows
        share = max(rows * _SHARERS // len(self._bound), _LEAST_ROWS)
        return merge(((starts, slabs(source, min(rows, share))) for source, _, starts in self._bound), rows)

    def skipped(self) -> dict[str, int]:
        """Return how many rows of symbols that nobody wants were left out so far, by symbol."""
        counts: dict[str, int] = {}
        for source, _, _ in self._bound:
            for symbol, count in source.symbols.skipped.items():
                counts[symbol] = counts.get(symbol, 0) + count
        return counts

    def digest(self) -> str:
        """Return the sha256 of the file's bytes; of several files, the sha256 over their digests in order."""
        return digest_of(source.table.path for source, _, _ in self._bound)

    def summary(self) -> list[FeedSummary]:
        """Return what is in the files, an entry for each instrument and interval, by one pass through all.

        Raises:
            FeedError: a time cannot be read.
        """
        in_time = sorted(self._bound, key=_starts)
        return summarise([source for source, _, _ in in_time], self._options.chunk_rows)


def _starts(bound: Bound) -> int:
    return bound.starts


def open_columns(
    sources: Sequence[SourceSpec],
    wanted: Sequence[FeedId],
    options: ColumnOptions,
    instruments: Mapping[str, Instrument],
) -> ColumnFeed:
    """Open the files and bind them to the feeds that are `wanted`; with none wanted, to all they hold.

    Raises:
        ConfigError: it cannot be told whose rows a file holds, or an extra is not installed.
        FeedError: a file is not there, cannot be read, or does not hold what is wanted.
    """
    binder = Binder(wanted, options, instruments)
    bound = [binder.bind(number, spec, open_table(spec.path)) for number, spec in enumerate(expand(sources))]
    if not bound:
        raise FeedError("no file is given", where="--feed", remedy="Name a CSV or Parquet file")
    check_wanted(bound, wanted)
    return ColumnFeed(bound, options)
