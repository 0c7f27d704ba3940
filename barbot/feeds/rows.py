"""The wanted rows of a bound file, chunk by chunk: whose they are, when they are. Floor 3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from barbot.errors import FeedError
from barbot.feeds.cells import keep, numbers
from barbot.feeds.options import ColumnOptions, Kind
from barbot.feeds.spans import Span, Spans
from barbot.feeds.symbols import UNWANTED, Symbols
from barbot.feeds.table import Cells, Chunk, Place, Table
from barbot.feeds.times import instants
from barbot.timing.interval import Interval

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]


class Source(NamedTuple):
    """A file that is bound: what its rows are, which column plays which role, whose rows they are.

    `spans` has a market for each instrument of `symbols` (bars only, as is `interval`); `integral_id` says that
    the trades' ids are integers.
    """

    number: int
    table: Table
    kind: Kind
    roles: dict[str, str]
    symbols: Symbols
    options: ColumnOptions
    zone: ZoneInfo | None
    interval: Interval | None = None
    spans: Callable[[str], Spans] | None = None
    integral_id: bool = False


class Rows(NamedTuple):
    """The wanted rows of a chunk: their numbers, instruments (None: all the first) and cells."""

    numbers: range | Int64s
    instruments: Int64s | None
    cells: dict[str, Cells]


def wanted_rows(source: Source, rows: int, *, count: bool = True) -> Iterator[Rows]:
    """Yield the rows that belong to a wanted instrument, chunk by chunk."""
    columns = list(dict.fromkeys(source.roles.values()))
    for chunk in source.table.chunks(columns, rows):
        picked = _pick(source, chunk, count=count)
        if len(picked.numbers):
            yield picked


def place_of(source: Source, rows: Rows, role: str) -> Place:
    """Return where the cells of the column of `role` come from."""
    return Place(source.table.path, source.roles[role], rows.numbers)


def times_of(source: Source, rows: Rows, role: str = "time") -> Int64s:
    """Return the moments in the column of `role`."""
    name = source.roles[role]
    is_aware, unit = name in source.table.aware, source.options.unit
    place = place_of(source, rows, role)
    return instants(rows.cells[name], place, aware=is_aware, zone=source.zone, unit=unit)


def spans_of(source: Source, rows: Rows, times: Int64s) -> Span:
    """Return the bars that the rows' times name, each in its instrument's market."""
    if source.spans is None:
        raise TypeError(f"{source.table.path} holds no bars")
    markets = [source.spans(instrument) for instrument in source.symbols.instruments]
    if rows.instruments is None or len(set(map(id, markets))) == 1:
        return markets[0].of(times)
    whole = Span(np.empty_like(times), np.empty_like(times), np.empty(len(times), np.bool_))
    for market in {id(market): market for market in markets}.values():
        of_market = np.array([other is market for other in markets], np.bool_)[rows.instruments]
        for target, values in zip(whole, market.of(times[of_market]), strict=True):
            target[of_market] = values
    return whole


def stamp_role(source: Source) -> str:
    """Return the role of the column that stamps the rows, and by which they must be sorted."""
    return "received" if "received" in source.roles else "time"


def check_order(source: Source, rows: Rows, times: Int64s, last: int) -> None:
    """Pass if the times never go back, from `last` on.

    Raises:
        FeedError: they do.
    """
    back = np.flatnonzero(times[1:] < times[:-1]) + 1 if times[0] >= last else np.array([0])
    if back.size:
        raise FeedError(
            f"row {int(rows.numbers[int(back[0])])} is earlier than the one before it "
            f"(column {source.roles[stamp_role(source)]!r})",
            where=source.table.path,
            remedy="Sort it by time",
        )


def chosen(options: ColumnOptions, moments: Int64s) -> NDArray[np.intp] | slice:
    """Return which rows lie in `[ts_from, ts_to)`."""
    if options.ts_from is None and options.ts_to is None:
        return slice(None)
    low = moments >= (options.ts_from if options.ts_from is not None else -(2**63))
    high = moments < (options.ts_to if options.ts_to is not None else 2**63 - 1)
    return np.flatnonzero(low & high)


def column(source: Source, rows: Rows, role: str) -> Float64s | None:
    """Return the numbers in the column of `role`, None if the file has none."""
    name = source.roles.get(role)
    return None if name is None else numbers(rows.cells[name], place_of(source, rows, role))


def by_stamp(stamps: Int64s) -> NDArray[np.intp] | slice:
    """Return the order by stamp: rows sorted by opening may close in another order in another market."""
    return slice(None) if (stamps[1:] >= stamps[:-1]).all() else np.argsort(stamps, kind="stable")


def _pick(source: Source, chunk: Chunk, *, count: bool) -> Rows:
    numbers = range(chunk.first_row, chunk.first_row + chunk.rows)
    column = source.symbols.column
    if column is None:
        return Rows(numbers, None, chunk.cells)
    instruments = source.symbols.rows(chunk.cells[column], count=count)
    wanted = instruments != UNWANTED
    if wanted.all():
        return Rows(numbers, instruments, chunk.cells)
    cells = {name: keep(column_cells, wanted) for name, column_cells in chunk.cells.items()}
    return Rows(np.flatnonzero(wanted) + chunk.first_row, instruments[wanted], cells)
