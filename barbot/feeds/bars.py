"""Rows of a bar file as closed bars, and as a path inside them where that is asked for. Floor 3.

A bar is stamped with its close: what its row tells is not known earlier. Columns become records only when they
are due, by one `map` over whole columns. What is sound goes on as a `Bar`, which the engine trusts; NaN, crossed
prices and times off the grid go on as a `BarUpdate`, which it refuses and counts, and get no path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from barbot.feeds.batch import FeedEvent, PathPoint
from barbot.feeds.merge import Part, Slab
from barbot.feeds.rows import Float64s, Int64s, Rows, Source, by_stamp, chosen, column, spans_of
from barbot.model.market import Bar, BarUpdate

_ROLES: Final = ("open", "high", "low", "close", "volume", "turnover")
_DEFAULTED: Final = "turnover"
"""Left to the default of `Bar` where the file has none: a column less to make (25 ns a bar)."""
_POINTS: Final = 3
_new_point = cast(
    "Callable[[tuple[FeedEvent, int]], PathPoint]", partial(tuple.__new__, PathPoint)
)  # half the cost of PathPoint(...)


class _Columns(NamedTuple):
    """Bars not yet made. `which` is the instrument of each (None: all the first), `sound` what the engine will take."""

    feeds: list[str]
    which: Int64s | None
    opens: Int64s
    closes: Int64s
    values: tuple[Float64s, ...]
    sound: NDArray[np.bool_]

    def build(self, start: int, stop: int) -> list[FeedEvent]:
        """Make the bars of these rows, 0.15 us each."""
        feeds: Iterator[str] = (
            repeat(self.feeds[0])
            if self.which is None
            else map(self.feeds.__getitem__, self.which[start:stop].tolist())
        )
        columns = [values[start:stop].tolist() for values in (self.opens, self.closes, *self.values)]
        bars: list[FeedEvent] = list(map(Bar, feeds, *columns))
        for row in np.flatnonzero(~self.sound[start:stop]).tolist():
            bars[row] = _doubted(bars[row])
        return bars


class _Once:
    """The bars of a slab that are needed twice, made at the first need."""

    __slots__ = ("_columns", "_made")

    def __init__(self, columns: _Columns) -> None:
        self._columns = columns
        self._made: list[FeedEvent] | None = None

    def bars(self) -> list[FeedEvent]:
        if self._made is None:
            self._made = self._columns.build(0, len(self._columns.closes))
        return self._made

    def build(self, start: int, stop: int) -> list[FeedEvent]:
        return self.bars()[start:stop]


class BarMaker:
    """Turns the rows of one source into slabs, in order; made anew for each pass."""

    def __init__(self, source: Source) -> None:
        """Begin at the start of `source`, which holds bars."""
        assert source.interval is not None
        assert source.spans is not None
        self._source = source
        self._length = source.interval.ns
        self._spans = source.spans
        self._suffix = f"@{source.interval}"
        self._has_path = source.options.intrabar == "ohlc"
        self._last_opens: dict[int, int] = {}

    @property
    def slack(self) -> int:
        """How much earlier than its time in the file a row's bar may open, at most."""
        return max((self._spans(name).slack for name in self._source.symbols.instruments), default=0)

    def slab(self, rows: Rows, times: Int64s) -> Slab:
        """Return the bars of `rows`, whose times are `times`."""
        bars = self._columns(rows, times)
        key = (0, self._length, self._source.number)
        if not self._has_path:
            return Slab([Part(key, bars.closes, bars.build)], int(times[-1]))
        once = _Once(bars)
        parts = [Part(key, bars.closes, once.build), self._path(bars, once)]
        return Slab(parts, int(times[-1]) - self.slack)

    def _columns(self, rows: Rows, times: Int64s) -> _Columns:
        span = spans_of(self._source, rows, times)
        picked = chosen(self._source.options, span.opens)
        order = by_stamp(span.closes[picked])
        zeros = np.zeros(len(times))
        roles = [role for role in _ROLES if role != _DEFAULTED or role in self._source.roles]
        found = (column(self._source, rows, role) for role in roles)
        values = tuple((zeros if values is None else values)[picked][order] for values in found)
        return _Columns(
            feeds=[name + self._suffix for name in self._source.symbols.instruments],
            which=None if rows.instruments is None else rows.instruments[picked][order],
            opens=span.opens[picked][order],
            closes=span.closes[picked][order],
            values=values,
            sound=_are_sound(values) & span.fits[picked][order] & (span.opens[picked][order] >= 0),
        )

    def _path(self, bars: _Columns, once: _Once) -> Part:
        """Return the path through the sound bars: three points each, a third of the bar apart."""
        rows = np.flatnonzero(bars.sound & (bars.closes - bars.opens >= _POINTS))
        rows = rows[self._is_new(bars, rows)]
        opens, thirds = bars.opens[rows], (bars.closes[rows] - bars.opens[rows]) // _POINTS
        stamps = np.concatenate([opens + point * thirds for point in range(_POINTS)])
        order = np.argsort(stamps, kind="stable")
        bar_of, points = np.tile(rows, _POINTS)[order], np.repeat(np.arange(_POINTS), len(rows))[order]

        def build(start: int, stop: int) -> list[FeedEvent]:
            chosen_bars = map(once.bars().__getitem__, bar_of[start:stop].tolist())
            return list(map(_new_point, zip(chosen_bars, points[start:stop].tolist(), strict=True)))

        return Part((1, self._length, self._source.number), stamps[order], build)

    def _is_new(self, bars: _Columns, rows: Int64s) -> NDArray[np.bool_]:
        """Return which rows are no repetition of a bar that already had its path."""
        opens = bars.opens[rows].tolist()
        which = [0] * len(opens) if bars.which is None else bars.which[rows].tolist()
        last, new = self._last_opens, []
        for instrument, ts_open in zip(which, opens, strict=True):
            new.append(ts_open > last.get(instrument, -(2**63)))
            if new[-1]:
                last[instrument] = ts_open
        return np.array(new, np.bool_)


def _are_sound(values: tuple[Float64s, ...]) -> NDArray[np.bool_]:
    """Return which rows the engine will take; the others go to it as what it has to judge itself."""
    first, high, low, last, *amounts = values
    sound: NDArray[np.bool_] = (low <= np.minimum(first, last)) & (high >= np.maximum(first, last))
    sound &= (low > -np.inf) & (high < np.inf)
    for amount in amounts:
        sound &= (amount >= 0.0) & (amount < np.inf)
    return sound


def _doubted(event: FeedEvent) -> FeedEvent:
    """Return an unsound bar as an update: the engine checks updates and trusts bars."""
    assert isinstance(event, Bar), "a slab of bars holds bars"
    return BarUpdate(
        event.feed,
        event.ts_open,
        event.open,
        event.high,
        event.low,
        event.close,
        event.volume,
        event.turnover,
        is_closed=True,
        ts_recv=event.ts_close,
    )
