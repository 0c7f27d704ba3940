"""What is in recorded columns: span, rows, holes, repetitions, disorder. Floor 3.

Only times are read. Unlike a run, a summary does not stop at rows out of order: it counts them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from barbot.feeds.options import Kind
from barbot.feeds.rows import Int64s, Rows, Source, spans_of, times_of, wanted_rows
from barbot.timing.interval import Interval
from barbot.timing.sessions import Grid

_HOLES: Final = 5


class Hole(NamedTuple):
    """Nothing in `[ts_from, ts_to)`: `missing` bars; of ticks (0) it is merely a long silence."""

    ts_from: int
    ts_to: int
    missing: int


class FeedSummary(NamedTuple):
    """One instrument's rows of one kind, bars of one interval; times are a bar's opening, a tick's own time.

    `missing` counts the bars that the market's grid has between the first and the last and the file has not;
    `holes` are the largest, largest first. `duplicates` repeat the time of the row before (bars only),
    `unsorted` rows are earlier than it, `off_grid` bars open where none does.
    """

    instrument: str
    kind: Kind
    interval: Interval | None
    rows: int
    ts_first: int
    ts_last: int
    missing: int
    holes: tuple[Hole, ...]
    duplicates: int
    unsorted: int
    off_grid: int


class _Tally:
    """The counts of one instrument, kind and interval, chunk after chunk."""

    def __init__(self, instrument: str, kind: Kind, interval: Interval | None, grid: Grid | None) -> None:
        self._identity = (instrument, kind, interval)
        self._grid = grid
        self._rows = self._missing = self._duplicates = self._unsorted = self._off_grid = 0
        self._first: int | None = None
        self._last = self._before = 0
        self._holes: list[tuple[int, int, int]] = []

    def add(self, times: Int64s, off_grid: int) -> None:
        """Count rows at `times`, and as many more that are on no grid."""
        self._rows += len(times) + off_grid
        self._off_grid += off_grid
        if not len(times):
            return
        if self._first is None:
            self._first = self._last = self._before = int(times[0])
        else:
            times = np.concatenate([np.array([self._before]), times])
        steps = np.diff(times)
        self._unsorted += int((steps < 0).sum())
        self._duplicates += int((steps == 0).sum()) if self._grid else 0
        least = self._grid.interval.ns + 1 if self._grid else 1
        for at in np.flatnonzero(steps >= least).tolist() if self._grid else _longest(steps):
            self._note(int(times[at]), int(times[at + 1]))
        self._first, self._last = min(self._first, int(times.min())), max(self._last, int(times.max()))
        self._before = int(times[-1])

    def result(self) -> FeedSummary:
        """Return the counts."""
        holes = tuple(
            Hole(ts_from, ts_to, size if self._grid else 0) for size, ts_from, ts_to in sorted(self._holes)[::-1]
        )
        return FeedSummary(
            *self._identity,
            rows=self._rows,
            ts_first=self._first or 0,
            ts_last=self._last,
            missing=self._missing,
            holes=holes,
            duplicates=self._duplicates,
            unsorted=self._unsorted,
            off_grid=self._off_grid,
        )

    def _note(self, before: int, after: int) -> None:
        if self._grid:
            ts_from = self._grid.next_open(before)
            size = _count(self._grid, ts_from, after)
            self._missing += size
        else:
            ts_from, size = before, after - before
        if size:
            push = heapq.heappush if len(self._holes) < _HOLES else heapq.heappushpop
            push(self._holes, (size, ts_from, after))


def summarise(sources: Sequence[Source], rows: int) -> list[FeedSummary]:
    """Return an entry for each instrument, kind and interval, in the order in which they turn up.

    Give the files of one instrument in order of time.

    Raises:
        FeedError: a time cannot be read.
    """
    tallies: dict[tuple[str, Kind, Interval | None], _Tally] = {}
    for source in sources:
        source.symbols.forget_counts()
        for picked in wanted_rows(_times_only(source), rows):
            for name, times, off_grid in _by_instrument(source, picked):
                identity = (name, source.kind, source.interval)
                if identity not in tallies:
                    tallies[identity] = _Tally(*identity, source.spans(name).grid if source.spans else None)
                tallies[identity].add(times, off_grid)
    return [tally.result() for tally in tallies.values()]


def _times_only(source: Source) -> Source:
    return source._replace(roles={role: name for role, name in source.roles.items() if role in ("time", "symbol")})


def _by_instrument(source: Source, rows: Rows) -> Iterator[tuple[str, Int64s, int]]:
    """Yield each instrument with its times, and how many of its bars are on no grid."""
    times = times_of(source, rows)
    fits = np.ones(len(times), np.bool_)
    if source.spans is not None:
        times, _, fits = spans_of(source, rows, times)
    which = np.zeros(len(times), np.int64) if rows.instruments is None else rows.instruments
    for index in np.unique(which).tolist():
        mine = which == index
        fitting = times[mine & fits]
        yield source.symbols.instruments[index], fitting, int(mine.sum()) - len(fitting)


def _longest(steps: Int64s) -> list[int]:
    """Return where the longest steps are, at most as many as are kept."""
    longest: list[int] = np.argsort(steps, kind="stable")[-_HOLES:].tolist()
    return longest


def _count(grid: Grid, ts_from: int, ts_to: int) -> int:
    """Return how many bars of the grid open in `[ts_from, ts_to)`."""
    if grid.step is not None:
        return max((ts_to - ts_from) // grid.step, 0)
    count = 0
    while ts_from < ts_to:
        count += 1
        ts_from = grid.next_open(ts_from)
    return count
