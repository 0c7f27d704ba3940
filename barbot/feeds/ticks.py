"""Rows of a file as trades or quotes. Floor 3.

A tick is stamped with the time of its receipt where the file has one, else with the venue's. `Trade.sequence`
is the id column where that is an integer. Without one it is the row's number, so that trades of equal time keep
the order of the file; then two equal rows are two trades, because nothing tells a repetition from a second
trade. An id that is text becomes `trade_id`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Final

import numpy as np
from numpy.typing import NDArray

from barbot.feeds.batch import FeedEvent
from barbot.feeds.cells import integers, makers, sides, texts
from barbot.feeds.merge import Part, Slab
from barbot.feeds.rows import Int64s, Rows, Source, chosen, column, place_of, times_of
from barbot.feeds.table import Array
from barbot.model.market import Quote, Trade

_SOURCE_ROWS: Final = 2**40
"""Room for the row numbers of one source, so that those of two never meet."""


class _Pile:
    """Columns of the chosen rows, cut by `slices` into the arguments of a record."""

    def __init__(self, source: Source, rows: Rows, events: Int64s) -> None:
        self._kept = chosen(source.options, events)
        self._given: list[Array | str | None] = []
        self._columns: list[Array | str | None] = []
        self._names = source.symbols.instruments
        self._which = None if rows.instruments is None else rows.instruments[self._kept]

    def add(self, values: Array | str | None) -> None:
        """Append an argument: an array with a value a row, or one value for all."""
        if isinstance(values, np.ndarray):
            given = next((number for number, array in enumerate(self._given) if array is values), None)
            self._columns.append(values[self._kept] if given is None else self._columns[given])
        else:
            self._columns.append(values)
        self._given.append(values)

    def slices(self, start: int, stop: int) -> list[Iterable[object]]:
        """Return what `map` takes to make the records of these rows.

        Values of an array that was added twice (one time is both the venue's and ours) are made once.
        """
        names: Iterable[object] = (
            repeat(self._names[0], stop - start)
            if self._which is None
            else map(self._names.__getitem__, self._which[start:stop].tolist())
        )
        made = {id(column): column[start:stop].tolist() for column in self._columns if isinstance(column, np.ndarray)}
        return [names, *(made.get(id(column)) or repeat(column, stop - start) for column in self._columns)]

    def kept(self, values: Int64s) -> Int64s:
        """Return the values of the chosen rows."""
        return values[self._kept]


def trade_slab(source: Source, rows: Rows, stamps: Int64s) -> Slab:
    """Return the trades of `rows`, stamped `stamps`."""
    events = times_of(source, rows) if "received" in source.roles else stamps
    sequence, trade_id = _identity(source, rows)
    pile = _Pile(source, rows, events)
    for values in (column(source, rows, "price"), column(source, rows, "size"), events, sequence, trade_id):
        pile.add(values)
    pile.add(_aggressors(source, rows))
    pile.add(stamps)

    def build(start: int, stop: int) -> list[FeedEvent]:
        return list(map(Trade, *pile.slices(start, stop)))

    return Slab([Part((2, 0, source.number), pile.kept(stamps), build)], int(stamps[-1]))


def quote_slab(source: Source, rows: Rows, stamps: Int64s) -> Slab:
    """Return the quotes of `rows`, stamped `stamps`; a size that the file does not have is 0."""
    events = times_of(source, rows) if "received" in source.roles else stamps
    pile = _Pile(source, rows, events)
    for role in ("bid", "ask", "bid_size", "ask_size"):
        values = column(source, rows, role)
        pile.add(np.zeros(len(stamps)) if values is None else values)
    pile.add(events)
    pile.add(stamps)

    def build(start: int, stop: int) -> list[FeedEvent]:
        return list(map(Quote, *pile.slices(start, stop)))

    return Slab([Part((2, 0, source.number), pile.kept(stamps), build)], int(stamps[-1]))


def _identity(source: Source, rows: Rows) -> tuple[Int64s, Array | str]:
    """Return the trades' sequence numbers and their ids."""
    name = source.roles.get("id")
    if name is not None and source.integral_id:
        return integers(rows.cells[name], place_of(source, rows, "id")), ""
    numbered = np.asarray(rows.numbers, np.int64) + source.number * _SOURCE_ROWS
    return numbered, "" if name is None else _objects(texts(rows.cells[name]))


def _aggressors(source: Source, rows: Rows) -> Array | None:
    if "side" in source.roles:
        return _objects(sides(rows.cells[source.roles["side"]], place_of(source, rows, "side")))
    if "buyer_maker" in source.roles:
        return _objects(makers(rows.cells[source.roles["buyer_maker"]], place_of(source, rows, "buyer_maker")))
    return None


def _objects(values: Sequence[object]) -> NDArray[np.object_]:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array
