"""The rolling window of one feed: bars as objects, columns as numpy views. Floor 2.

A `BarStore` keeps the bars (the tracker writes it); a `History` is what a strategy sees of it. Bars are kept as
objects, and a column is brought up to date only when somebody reads it: a strategy that reads no column pays
nothing for columns, one that reads `history.close` pays one float store a bar.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Final, TypeAlias, cast, overload

import numpy as np
import numpy.typing as npt

from barbot.model.market import Bar

FloatColumn: TypeAlias = npt.NDArray[np.float64]
IntColumn: TypeAlias = npt.NDArray[np.int64]

FLOAT_COLUMNS: Final = ("open", "high", "low", "close", "volume", "turnover")
TURN_BARS: Final = 64
"""How many bars lie between two turns of a store."""

_TS_OPEN: Final = attrgetter("ts_open")


def _nothing() -> None:
    """Bring nothing up to date: the store of a feed whose bars arrive whole is never stale."""


class BarStore:
    """The closed bars of one feed, oldest first, and behind them the forming one if there is one.

    `keep` closed bars at least stay available. Every `TURN_BARS` bars the store turns: it calls `at_turn` (with
    the newest closed bar in, but not yet told to anybody) and cuts itself back, so that an append is O(1).
    `dropped` counts the bars cut off so far. `refresh` is called before a reader looks, so that a builder need
    not make a bar for every trade.
    """

    __slots__ = ("at_turn", "bars", "columns", "dropped", "forming", "keep", "mark", "refresh")

    def __init__(self, keep: int) -> None:
        """Make an empty store that keeps at least `keep` closed bars."""
        self.keep = keep
        self.mark = TURN_BARS
        self.bars: list[Bar] = []
        self.forming = False
        self.dropped = 0
        self.columns: dict[str, _Column] = {}
        self.refresh: Callable[[], None] = _nothing
        self.at_turn: Callable[[], None] = _nothing

    def push(self, bar: Bar) -> None:
        """Append a closed bar (no bar is forming)."""
        bars = self.bars
        bars.append(bar)
        if len(bars) >= self.mark:
            self.turn()

    def open(self, bar: Bar) -> None:
        """Append a forming bar."""
        self.bars.append(bar)
        self.forming = True

    def replace(self, bar: Bar) -> None:
        """Put a newer state of the forming bar in its place."""
        self.bars[-1] = bar

    def close(self, bar: Bar) -> None:
        """Put the closed bar in the place of the forming one."""
        self.bars[-1] = bar
        self.forming = False
        if len(self.bars) >= self.mark:
            self.turn()

    def amend(self, index: int, bar: Bar) -> None:
        """Put a corrected bar in the place of the closed bar at list index `index`."""
        self.bars[index] = bar
        for column in self.columns.values():
            column.forget_from(self.dropped + index)

    def reserve(self, bars: int) -> None:
        """Keep so many closed bars more: a derived feed is rebuilt from them."""
        self.keep += bars

    def find(self, ts_open: int) -> int | None:
        """Return the list index of the closed bar that opens at `ts_open`, if it is still here."""
        bars = self.bars
        stop = len(bars) - self.forming
        index = bisect_left(bars, ts_open, 0, stop, key=_TS_OPEN)
        return index if index < stop and bars[index].ts_open == ts_open else None

    def first_from(self, ts: int) -> int:
        """Return the list index of the first bar with `ts_open >= ts` (the length if there is none)."""
        return bisect_left(self.bars, ts, key=_TS_OPEN)

    @property
    def closed_count(self) -> int:
        """How many closed bars are held."""
        return len(self.bars) - self.forming

    def turn(self) -> None:
        """Call `at_turn`, cut back what is over, and set the next mark."""
        self.at_turn()
        excess = len(self.bars) - self.keep
        if excess > 0:
            del self.bars[:excess]
            self.dropped += excess
        self.mark = len(self.bars) + TURN_BARS


class _Column:
    """One field of a store's bars as a contiguous array, brought up to date when it is read.

    The array is never overwritten before its newest bar: when it is full, or a bar is corrected, a new one is
    made, so a view that a strategy kept goes on showing what it showed (but for the bar that was forming then).
    """

    __slots__ = ("array", "first", "get", "readonly", "synced", "write")

    def __init__(self, name: str, dtype: npt.DTypeLike) -> None:
        self.get: Callable[[Bar], float] = attrgetter(name)
        self.array = np.empty(0, dtype)
        self.readonly = self.array
        self.write = cast("memoryview[float]", self.array.data)
        self.first = 0
        self.synced = 0

    def forget_from(self, position: int) -> None:
        """Read again what stands at `position` (counted over all bars ever) and after it, into a new array."""
        if position < self.synced:
            self.synced = position
            self._use(self.array.copy())

    def view(self, store: BarStore, start: int, stop: int) -> npt.NDArray[np.float64 | np.int64]:
        """Return the read-only view of list indices `[start, stop)` of the store."""
        bars, dropped = store.bars, store.dropped
        first, last = dropped + start, dropped + stop
        if last - self.first > len(self.array) or first < self.first or self.synced < first:
            self._renew(first, last)
        synced = max(self.synced, first)
        if synced == last - 1:
            self.write[synced - self.first] = self.get(bars[-1 - (len(bars) - stop)])
        elif synced < last:
            fresh = [self.get(bar) for bar in bars[synced - dropped : stop]]
            self.array[synced - self.first : last - self.first] = fresh
        self.synced = min(last, dropped + store.closed_count)
        return self.readonly[first - self.first : last - self.first]

    def _renew(self, first: int, last: int) -> None:
        """Make a new array that begins with the window, with room for some windows more."""
        kept = self.array[first - self.first : self.synced - self.first] if self.first <= first <= self.synced else ()
        fresh = np.empty(max(1024, 4 * (last - first)), self.array.dtype)
        fresh[: len(kept)] = kept
        self.synced = first + len(kept)
        self.first = first
        self._use(fresh)

    def _use(self, array: npt.NDArray[np.float64 | np.int64]) -> None:
        self.array = array
        self.write = cast("memoryview[float]", array.data)
        self.readonly = array.view()
        self.readonly.flags.writeable = False


class History:
    """The last bars of one feed, oldest first. The window always ends with the bar in hand.

    In every bar hook `history[-1]` is `bar`: forming in `on_bar_open` and `on_bar_update`, closed in
    `on_bar_close`. `history.closed` is the same window without a forming bar.

    `history.open`, `high`, `low`, `close`, `volume`, `turnover` are read-only contiguous float64 arrays and
    `history.ts_open` an int64 array (ns since the epoch, UTC); no copy is made, so they are good for numpy,
    pandas and TA-Lib as they are. All have the length `len(history)`.
    """

    __slots__ = ("_length", "_skip_forming", "_store", "feed")

    def __init__(self, feed: str, store: BarStore, length: int, *, skip_forming: bool = False) -> None:
        """Show the last `length` bars of `store`."""
        self.feed = feed
        self._store = store
        self._length = length
        self._skip_forming = skip_forming

    def _bounds(self) -> tuple[int, int]:
        store = self._store
        store.refresh()
        stop = len(store.bars)
        start = stop - self._length
        if self._skip_forming and store.forming:
            stop -= 1
        return (start if start > 0 else 0), stop

    def __len__(self) -> int:
        start, stop = self._bounds()
        return stop - start

    @overload
    def __getitem__(self, index: int) -> Bar: ...
    @overload
    def __getitem__(self, index: slice) -> list[Bar]: ...
    def __getitem__(self, index: int | slice) -> Bar | list[Bar]:
        start, stop = self._bounds()
        if isinstance(index, slice):
            return self._store.bars[start:stop][index]
        position = index + (stop if index < 0 else start)
        if not start <= position < stop:
            raise IndexError(f"the window of {self.feed} holds {stop - start} bars, index {index} is outside")
        return self._store.bars[position]

    def __iter__(self) -> Iterator[Bar]:
        start, stop = self._bounds()
        return iter(self._store.bars[start:stop])

    def __repr__(self) -> str:
        return f"<History of {self.feed}: {len(self)} of {self._length} bars>"

    @property
    def closed(self) -> History:
        """The same window without a forming bar."""
        if self._skip_forming:
            return self
        return History(self.feed, self._store, self._length, skip_forming=True)

    @property
    def length(self) -> int:
        """How many bars the window can hold."""
        return self._length

    @property
    def is_full(self) -> bool:
        """Whether the window holds as many bars as it can."""
        return len(self._store.bars) >= self._length

    def _column(self, name: str) -> FloatColumn:
        start, stop = self._bounds()
        store = self._store
        column = store.columns.get(name)
        if column is None:
            column = store.columns[name] = _Column(name, np.float64)
        return column.view(store, start, stop)  # type: ignore[return-value]  # a float64 column gives float64

    @property
    def open(self) -> FloatColumn:
        """Opening prices, float64, oldest first."""
        return self._column("open")

    @property
    def high(self) -> FloatColumn:
        """Highest prices, float64, oldest first."""
        return self._column("high")

    @property
    def low(self) -> FloatColumn:
        """Lowest prices, float64, oldest first."""
        return self._column("low")

    @property
    def close(self) -> FloatColumn:
        """Closing (for a forming bar: last) prices, float64, oldest first."""
        return self._column("close")

    @property
    def volume(self) -> FloatColumn:
        """Traded quantities in units of the instrument, float64, oldest first."""
        return self._column("volume")

    @property
    def turnover(self) -> FloatColumn:
        """Traded money in the instrument's currency, float64, oldest first; 0.0 where none is sent."""
        return self._column("turnover")

    @property
    def ts_open(self) -> IntColumn:
        """Opening times, int64 ns since the epoch UTC, oldest first."""
        start, stop = self._bounds()
        store = self._store
        column = store.columns.get("ts_open")
        if column is None:
            column = store.columns["ts_open"] = _Column("ts_open", np.int64)
        return column.view(store, start, stop)  # type: ignore[return-value]  # an int64 column gives int64

    def to_dict(self) -> dict[str, FloatColumn | IntColumn]:
        """Return all columns by name, `ts_open` first; `pandas.DataFrame(history.to_dict())` takes it."""
        columns: dict[str, FloatColumn | IntColumn] = {"ts_open": self.ts_open}
        columns.update((name, self._column(name)) for name in FLOAT_COLUMNS)
        return columns
