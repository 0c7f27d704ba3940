"""Many sorted sources into one stream, by time, with memory that does not grow with them. Floor 3.

Sources hand over slabs: parts sorted by stamp, and a bound below which nothing more will come of that source.
What lies below the bound of every source is complete and can go out: the windows of all parts are joined and
sorted by one stable numpy sort, so the cost is about 100 ns an event whatever the number of sources, and how
the files were cut into chunks leaves no trace. Of equal stamps the part with the smaller key comes first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from barbot.feeds.batch import Batch, FeedEvent

Int64s = NDArray[np.int64]

END_OF_TIME: Final = 2**63 - 1


class Part:
    """Events of one kind of one source, sorted by stamp, made only when they are due."""

    __slots__ = ("at", "build", "key", "stamps")

    def __init__(self, key: tuple[int, int, int], stamps: Int64s, build: Callable[[int, int], list[FeedEvent]]) -> None:
        """Keep `stamps`; `build(start, stop)` makes the events of that range.

        `key` is (0 bar, 1 path point, 2 tick; bar length; number of the source).
        """
        self.key = key
        self.stamps = stamps
        self.build = build
        self.at = 0


class Slab(NamedTuple):
    """Some parts, and a stamp below which the source has nothing more to give."""

    parts: list[Part]
    bound: int


class _Source:
    """A source that is read slab by slab, as late as can be."""

    __slots__ = ("_slabs", "bound", "pending")

    def __init__(self, starts: int, slabs: Iterable[Slab]) -> None:
        self.bound = starts
        self.pending: deque[Part] = deque()
        self._slabs = iter(slabs)

    def advance(self) -> None:
        slab = next(self._slabs, None)
        if slab is None:
            self.bound = END_OF_TIME
            return
        self.pending.extend(part for part in slab.parts if len(part.stamps))
        self.bound = max(self.bound, slab.bound)


def merge(sources: Iterable[tuple[int, Iterable[Slab]]], rows: int) -> Iterator[Batch]:
    """Yield the events of all sources in order of time, about `rows` at a time.

    Each source comes with a stamp below which it has nothing; it is not opened before that.
    """
    running = [_Source(starts, slabs) for starts, slabs in sources]
    while running:
        bound = min(source.bound for source in running)
        parts = sorted((part for source in running for part in source.pending), key=_key)
        window = _window(parts, bound, rows)
        if window:
            yield _join(window)
            for source in running:
                source.pending = deque(part for part in source.pending if part.at < len(part.stamps))
        elif bound == END_OF_TIME:
            return
        else:
            for source in running:
                if source.bound == bound:
                    source.advance()
            running = [source for source in running if source.pending or source.bound < END_OF_TIME]


def _key(part: Part) -> tuple[int, int, int]:
    return part.key


def _window(parts: list[Part], bound: int, rows: int) -> list[tuple[Part, int]]:
    """Return the parts with events stamped below `bound`, each with where to stop: about `rows` in all."""
    ready = [part for part in parts if part.stamps[part.at] < bound]
    if not ready:
        return []
    share = max(rows // len(ready), 1)
    full = [part.stamps[part.at + share] for part in ready if part.at + share < len(part.stamps)]
    first = min(int(part.stamps[part.at]) for part in ready)
    cut = max(min(bound, int(min(full, default=bound))), first + 1)
    stops = ((part, int(part.stamps.searchsorted(cut))) for part in ready)
    return [(part, stop) for part, stop in stops if stop > part.at]


def _join(window: list[tuple[Part, int]]) -> Batch:
    """Make the events of the window and put them in order of time."""
    events: list[FeedEvent] = []
    pieces: list[Int64s] = []
    for part, stop in window:
        pieces.append(part.stamps[part.at : stop])
        built = part.build(part.at, stop)
        part.at = stop
        if len(window) == 1:
            return Batch(pieces[0].tolist(), built)
        events += built
    stamps = np.concatenate(pieces)
    order = np.argsort(stamps, kind="stable")
    return Batch(stamps[order].tolist(), list(map(events.__getitem__, order.tolist())))
