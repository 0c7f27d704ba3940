"""Where a recorded run's events come from: a journal, or column files. Floor 4.

A source says which feeds the engine gets (`specs`), what its instruments are, which prices the paper venue
fills at, and yields batches of (stamps, steps): each step is the list of events that share one stamp.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, Protocol

import msgspec

from barbot.core.paper import TRADES
from barbot.core.spec import FeedSpec, Grace, Source
from barbot.errors import ConfigError, JournalError
from barbot.feeds.batch import FeedEvent
from barbot.feeds.feed import ColumnFeed, open_columns
from barbot.feeds.options import ColumnOptions, SourceSpec
from barbot.model.instrument import FeedId, Instrument
from barbot.model.market import Connected, MarketEvent
from barbot.providers.base import Provider, Sends, Silence, find_provider
from barbot.providers.decode import Undecodable, decode_journal
from barbot.run.line import Market
from barbot.timing.interval import SECOND
from barbot.timing.sessions import grid_for
from barbot.wire.journal import Connect, Record
from barbot.wire.journal_read import estimate_records, open_reader

JOURNAL_SUFFIX = ".jsonl.zst"
_BATCH = 4096

REPAIR_TIMEOUT: Final = 30 * SECOND
REPAIR_TIMEOUT_A_FEED: Final = SECOND // 5
"""A venue's request limit answers many feeds one after another."""
_DIAL_NS = 60 * SECOND
_EVER = -(2**63)


class Steps(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a run: the `now` of each step and what happens in it (one event, or several)."""

    stamps: list[int]
    events: Sequence[Sequence[FeedEvent]] | Sequence[FeedEvent]
    is_flat: bool
    """Whether `events` holds one event a step, unwrapped."""


class RecordedSource(Market, Protocol):
    """What a replay needs of its source."""

    rows_hint: int | None
    undecodable: int
    warnings: list[str]
    ts_start: int
    """When hooks begin to run; what comes before it is a preroll that fills the windows."""

    def steps(self) -> Iterator[Steps]: ...


def open_source(
    paths: Sequence[str],
    wanted: Sequence[FeedId],
    *,
    derive: bool,
    window: int,
    columns: ColumnOptions,
    missing: Literal["gap", "quiet"],
    known: Mapping[str, Instrument],
    overrides: Mapping[str, Mapping[str, object]] | None = None,
) -> RecordedSource:
    """Open what `--feed` names: one journal, or any number of CSV and Parquet files.

    Raises:
        ConfigError: both kinds are mixed, or a wanted feed cannot be made of what there is.
        FeedError: a file cannot be read.
        JournalError: it is no journal.
    """
    journals = [path for path in paths if path.endswith(JOURNAL_SUFFIX)]
    if journals and len(paths) > 1:
        raise ConfigError(
            "a journal is replayed alone", where="--feed", remedy="Give one journal, or only CSV and Parquet"
        )
    if journals:
        return JournalSource(
            journals[0], wanted, derive=derive, window=window, columns=columns, known=known, overrides=overrides or {}
        )
    return ColumnSource(paths, wanted, derive=derive, window=window, columns=columns, missing=missing, known=known)


def _shorter(feed: FeedId, offered: Sequence[FeedId]) -> FeedId | None:
    """Return the longest offered feed of the same instrument whose bars `feed` can be built of."""
    fitting = [f for f in offered if f.instrument == feed.instrument and f.interval.divides(feed.interval)]
    return max(fitting, key=lambda f: f.interval.ns, default=None)


def plan_feeds(
    wanted: Sequence[FeedId], offered: Sequence[FeedId], *, derive: bool
) -> list[tuple[FeedId, FeedId | None, bool]]:
    """Return (feed, base or None, is_hidden), every base before what is derived from it, else as they are wanted.

    Raises:
        ConfigError: a wanted feed is neither offered nor can be derived.
    """
    plan: dict[str, tuple[FeedId, FeedId | None, bool]] = {}
    for feed in wanted:
        shortest = min((f for f in wanted if f.instrument == feed.instrument), key=lambda f: f.interval.ns)
        base = None
        if derive and shortest != feed and shortest.interval.divides(feed.interval):
            base = shortest
        elif feed not in offered:
            base = _shorter(feed, offered)
            if base is None:
                names = ", ".join(str(f) for f in offered) or "none"
                raise ConfigError(f"{feed} is not in the recording", where="--feed", remedy=f"It holds: {names}")
        plan[str(feed)] = (feed, base, False)
    hidden = [base for _, base, _ in plan.values() if base is not None and str(base) not in plan]
    plan.update((str(base), (base, None, True)) for base in hidden)
    return sorted(plan.values(), key=lambda entry: (entry[1] is not None, entry[0].interval.ns if entry[1] else 0))


class ColumnSource:
    """CSV and Parquet files."""

    def __init__(
        self,
        paths: Sequence[str],
        wanted: Sequence[FeedId],
        *,
        derive: bool,
        window: int,
        columns: ColumnOptions,
        missing: Literal["gap", "quiet"],
        known: Mapping[str, Instrument],
    ) -> None:
        """Open and bind the files."""
        instruments = {f.instrument: known.get(f.instrument) or Instrument.bare(f.instrument) for f in wanted}
        self._feed: ColumnFeed = open_columns([SourceSpec.parse(p) for p in paths], wanted, columns, instruments)
        self.name = ", ".join(paths)
        self.instruments = instruments
        self.rows_hint = self._feed.rows_hint
        self.undecodable = 0
        self.warnings: list[str] = []
        self._has_ticks = bool(self._feed.trades)
        self.has_quotes = bool(self._feed.quotes)
        self.ts_start = _EVER
        offered = list(self._feed.feeds)
        from_trades = [f for f in wanted if f.instrument in self._feed.trades and f not in offered]
        planned = plan_feeds(wanted, [*offered, *from_trades], derive=derive)
        self.specs = [
            FeedSpec(
                feed=feed,
                grid=grid_for(
                    instruments[feed.instrument].calendar,
                    feed.interval,
                    auction="own" if columns.label == "close" and base is None else "merge",
                ),
                source=Source.DERIVED if base else Source.TRADES if feed in from_trades else Source.CANDLES,
                base=str(base) if base else "",
                is_hidden=hidden,
                missing=missing,
                window=window,
            )
            for feed, base, hidden in planned
        ]
        self.prices = price_sources(self.specs)

    def steps(self) -> Iterator[Steps]:
        """Yield the files' events in order of time; ticks come on a connection that is up throughout."""
        first = self._has_ticks
        for stamps, events in self._feed.batches():
            if first and stamps:
                first = False
                trades = tuple(spec.id for spec in self.specs if spec.source is Source.TRADES)
                yield Steps([stamps[0]], [Connected("file", stamps[0], trades)], True)
            yield Steps(stamps, events, True)
        self.warnings.extend(
            f"{count} rows of {symbol} were skipped: no feed wants them"
            for symbol, count in self._feed.skipped().items()
        )

    def digest(self) -> str:
        """Return the SHA-256 of the files."""
        return self._feed.digest()


class JournalSource:
    """A journal of a recorded live feed."""

    def __init__(
        self,
        path: str,
        wanted: Sequence[FeedId],
        *,
        derive: bool,
        window: int,
        columns: ColumnOptions,
        known: Mapping[str, Instrument],
        overrides: Mapping[str, Mapping[str, object]],
    ) -> None:
        """Read the header and look for the wanted feeds' connections."""
        self.name = path
        self._path = path
        self.has_quotes = True
        self.ts_start, self._ts_to = _EVER if columns.ts_from is None else columns.ts_from, columns.ts_to
        self.rows_hint: int | None = estimate_records(path)
        self.undecodable = 0
        self.warnings: list[str] = []
        with open_reader(path) as reader:
            self.header = reader.header
            served = _served(reader, wanted)
            if not served and reader.torn:
                raise JournalError(reader.torn, file=path)
        header = {instrument.id: instrument for instrument in self.header.instruments}
        self.instruments = {
            f.instrument: overridden(header[f.instrument], overrides)
            if f.instrument in header
            else known.get(f.instrument) or Instrument.bare(f.instrument)
            for f in wanted
        }
        offered = [FeedId.parse(feed) for feed in served]
        planned = plan_feeds(wanted, offered, derive=derive)
        self.specs = [
            derived_spec(feed, base, self.instruments[feed.instrument], window)
            if base
            else provider_spec(
                served[str(feed)],
                feed,
                self.instruments[feed.instrument],
                window=window,
                feeds=len(planned),
                is_hidden=hidden,
            )
            for feed, base, hidden in planned
        ]
        self.prices = price_sources(self.specs)

    def steps(self) -> Iterator[Steps]:
        """Yield what the journal's records came to; what cannot be decoded is counted and skipped."""
        with open_reader(self._path) as reader:
            stamps: list[int] = []
            steps: list[list[MarketEvent]] = []
            for step in decode_journal(reader):
                if isinstance(step, Undecodable):
                    self.undecodable += 1
                    continue
                ts, events = step
                if self._ts_to is not None and ts >= self._ts_to:
                    break
                stamps.append(ts)
                steps.append(events)
                if len(stamps) == _BATCH:
                    yield Steps(stamps, steps, False)
                    stamps, steps = [], []
            if stamps:
                yield Steps(stamps, steps, False)
            if reader.torn:
                self.warnings.append(f"{self._path} {reader.torn}")
        if self.undecodable:
            self.warnings.append(f"{self.undecodable} records could not be decoded and were skipped")

    def digest(self) -> str:
        """Return the settings digest and run id that the header carries: the journal's chain proves the rest."""
        return f"{self.header.run_id}:{self.header.settings_digest}"


def _served(reader: Iterable[Record], wanted: Sequence[FeedId]) -> dict[str, Provider]:
    """Return feed id -> provider of its codec.

    Reading ends when every wanted feed was seen, or every wanted instrument and the first `_DIAL_NS`: within that
    time all connections of a run are up, one that serves a longer interval of the venue's own among them.
    """
    served: dict[str, Provider] = {}
    feeds = {str(feed) for feed in wanted}
    instruments = {feed.instrument for feed in wanted}
    began: int | None = None
    for record in reader:
        began = record.ts if began is None else began
        if isinstance(record, Connect):
            provider = find_provider(record.codec)
            for feed in record.feeds:
                served[feed] = provider
                feeds.discard(feed)
                instruments.discard(FeedId.parse(feed).instrument)
        if not feeds or (not instruments and record.ts - began > _DIAL_NS):
            break
    return served


def price_sources(specs: Sequence[FeedSpec]) -> dict[str, str]:
    """Return what each instrument's paper orders fill at: its trades, else its shortest candles."""
    prices: dict[str, str] = {}
    for spec in sorted(specs, key=lambda s: s.feed.interval.ns):
        if spec.source is Source.TRADES:
            prices[spec.feed.instrument] = TRADES
        elif spec.source is Source.CANDLES:
            prices.setdefault(spec.feed.instrument, spec.id)
    return prices


def overridden(instrument: Instrument, overrides: Mapping[str, Mapping[str, object]]) -> Instrument:
    """Return `instrument` with the fields that the user set in place of the venue's."""
    return msgspec.structs.replace(instrument, **overrides.get(instrument.id, {}))


def provider_spec(
    provider: Provider, feed: FeedId, instrument: Instrument, *, window: int, feeds: int, is_hidden: bool = False
) -> FeedSpec:
    """Return what a provider declares of its feeds as the core takes it; `feeds` are there in all."""
    grace = provider.grace
    return FeedSpec(
        feed=feed,
        grid=grid_for(instrument.calendar, feed.interval, week_anchor=provider.week_anchor),
        source=Source.TRADES if provider.sends is Sends.TRADES else Source.CANDLES,
        is_hidden=is_hidden,
        grace=Grace(*(round(s * SECOND) for s in (grace.minimum_s, grace.initial_s, grace.maximum_s))),
        settle_ns=round(provider.settle_s * SECOND),
        has_history=provider.has_history,
        history_omits_quiet=provider.silence is not Silence.FLAT,
        warmup_bars=window,
        window=window,
        repair_timeout_ns=REPAIR_TIMEOUT + feeds * REPAIR_TIMEOUT_A_FEED,
    )


def derived_spec(feed: FeedId, base: FeedId, instrument: Instrument, window: int) -> FeedSpec:
    return FeedSpec(
        feed=feed,
        grid=grid_for(instrument.calendar, feed.interval),
        source=Source.DERIVED,
        base=str(base),
        window=window,
    )
