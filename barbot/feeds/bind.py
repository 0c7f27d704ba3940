"""Tie files to the instruments that are wanted: whose rows they hold, and how long their bars are. Floor 3.

A file without a symbol column belongs to the only instrument there is, or to the one it was bound to with
`provider:SYMBOL=FILE`. With one, rows go by symbol (`BTC-USDT`) or full id (`kucoin:BTC-USDT`), and those that
nobody wants are skipped and counted. Where nothing is said to be wanted, all is taken, as `file:SYMBOL`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from barbot.errors import ConfigError, FeedError
from barbot.feeds.cells import is_integral
from barbot.feeds.infer import interval_of, step_of
from barbot.feeds.options import ColumnOptions, Kind, SourceSpec
from barbot.feeds.rows import Rows, Source, stamp_role, times_of, wanted_rows
from barbot.feeds.spans import Spans
from barbot.feeds.spelling import recognise
from barbot.feeds.symbols import Symbols, unbound
from barbot.feeds.table import Table
from barbot.feeds.times import zone_of
from barbot.model.instrument import FeedId, Instrument
from barbot.timing.calendars import ROUND_THE_CLOCK
from barbot.timing.interval import Interval

_SAMPLE_ROWS: Final = 4_096
_LISTED: Final = 20


class Bound(NamedTuple):
    """A source, the instruments seen in its first rows, and a stamp before which it has nothing."""

    source: Source
    seen: frozenset[str]
    starts: int


class Binder:
    """Binds one file after the other by the same wishes."""

    def __init__(self, wanted: Sequence[FeedId], options: ColumnOptions, instruments: Mapping[str, Instrument]) -> None:
        """Know what is wanted (nothing: everything) and what is known of the instruments."""
        self._wanted = list(dict.fromkeys(feed.instrument for feed in wanted))
        self._intervals = {name: [feed.interval for feed in wanted if feed.instrument == name] for name in self._wanted}
        self._options = options
        self._instruments = instruments
        self._zone = zone_of(options.zone)

    def bind(self, number: int, spec: SourceSpec, table: Table) -> Bound:
        """Return `table` bound, as source `number`.

        Raises:
            ConfigError: it cannot be told whose rows they are.
            FeedError: a needed column is missing, nothing wanted is in it, or its bars have no known length.
        """
        kind, roles = recognise(table.columns, self._options.label, table.path)
        symbols = self._symbols(spec, roles, table)
        source = Source(number, table, kind, roles, symbols, self._options, self._zone)
        sample = self._sample(source)
        times = times_of(source, sample, stamp_role(source))
        starts = int(times[0])
        if kind is Kind.TRADES and "id" in roles:
            source = source._replace(integral_id=is_integral(sample.cells[roles["id"]]))
        if kind is Kind.BARS:
            interval = spec.interval or self._options.interval or self._infer(source, sample)
            source = source._replace(interval=interval, spans=self._spans(interval))
            starts -= max(source.spans(name).slack for name in symbols.instruments) if source.spans else 0
        return Bound(source, self._seen(symbols, sample), starts)

    def _symbols(self, spec: SourceSpec, roles: dict[str, str], table: Table) -> Symbols:
        column = roles.get("symbol")
        names = self._named(spec) or self._wanted
        if column is None:
            if len(names) > 1:
                raise ConfigError(
                    f"has no symbol column, and there are {len(names)} instruments ({', '.join(names[:5])})",
                    where=table.path,
                    remedy=f"Say whose it is: {names[0]}@1m={table.path}",
                )
            name = names[0] if names else unbound(Path(table.path).name.partition(".")[0])
            return Symbols(None, {"": name})
        return Symbols(column, _spellings(names, table.path), open_ended=not names)

    def _named(self, spec: SourceSpec) -> list[str]:
        if spec.instrument is None:
            return []
        if self._wanted and spec.instrument not in self._wanted:
            raise ConfigError(
                f"nobody wants {spec.instrument} (wanted: {', '.join(self._wanted)})",
                where=spec.path,
                remedy="Bind the file to one of them, or leave it out",
            )
        return [spec.instrument]

    def _sample(self, source: Source) -> Rows:
        """Return the first rows that somebody wants.

        Raises:
            FeedError: there are none.
        """
        for rows in wanted_rows(source, _SAMPLE_ROWS):
            return rows
        found = list(source.symbols.skipped)
        if not found:
            raise FeedError("has no rows", where=source.table.path, remedy="Give a file with at least one row")
        listed = ", ".join(found[:_LISTED]) + (", ..." if len(found) > _LISTED else "")
        raise FeedError(
            f"holds nothing of {', '.join(source.symbols.instruments)}; it has {listed}",
            where=source.table.path,
            remedy="Bind a symbol of the file by naming a feed after it",
        )

    def _infer(self, source: Source, sample: Rows) -> Interval:
        names = source.symbols.instruments
        times = times_of(source, sample)
        has_sessions = any(self._calendar(name) != ROUND_THE_CLOCK for name in names)
        step = step_of(times, sample.instruments, has_sessions=has_sessions)
        if step is not None and (interval := interval_of(step)):
            return interval
        hoped = {interval for name in names for interval in self._intervals.get(name, ())}
        if step is None and len(hoped) == 1:
            return hoped.pop()
        found = "has too few rows to tell" if step is None else f"has rows {step / 1e9:g} s apart, so not"
        raise FeedError(
            f"{found} the length of its bars",
            where=source.table.path,
            remedy=f"State it: {names[0]}@1m={source.table.path}",
        )

    def _spans(self, interval: Interval) -> Callable[[str], Spans]:
        """Return a look-up of the market of an instrument; instruments of one calendar share one."""
        label, zone, calendar = self._options.label, self._zone, self._calendar

        @cache
        def of_calendar(name: str) -> Spans:
            return Spans(name, interval, label, zone)

        return lambda instrument: of_calendar(calendar(instrument))

    def _calendar(self, name: str) -> str:
        known = self._instruments.get(name)
        return known.calendar if known else ROUND_THE_CLOCK

    @staticmethod
    def _seen(symbols: Symbols, sample: Rows) -> frozenset[str]:
        if sample.instruments is None:
            return frozenset(symbols.instruments)
        return frozenset(symbols.instruments[index] for index in set(sample.instruments.tolist()))


def _spellings(names: Sequence[str], where: str) -> dict[str, str]:
    """Return instrument ids by what a symbol column may call them.

    Raises:
        ConfigError: two of them have one symbol.
    """
    known = {name: name for name in names}
    for name in names:
        symbol = name.partition(":")[2]
        if known.setdefault(symbol, name) != name:
            raise ConfigError(
                f"the symbol {symbol} may be {known[symbol]} or {name}",
                where=where,
                remedy=f"Say which: {name}={where}, or write full ids in the symbol column",
            )
    return known
