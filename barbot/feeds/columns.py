"""One bound file as a stream of slabs, whatever its rows are. Floor 3."""

from __future__ import annotations

from collections.abc import Iterator

from barbot.feeds.bars import BarMaker
from barbot.feeds.merge import Slab
from barbot.feeds.options import Kind
from barbot.feeds.rows import Int64s, Rows, Source, check_order, stamp_role, times_of, wanted_rows
from barbot.feeds.ticks import quote_slab, trade_slab


def slabs(source: Source, rows: int) -> Iterator[Slab]:
    """Yield the events of `source`, about `rows` rows at a time, up to the end that its options state.

    Raises:
        FeedError: a cell cannot be read, or the rows are not sorted by time.
    """
    maker = BarMaker(source) if source.kind is Kind.BARS else None
    end, role, last = source.options.ts_to, stamp_role(source), -(2**63)
    source.symbols.forget_counts()
    for picked in wanted_rows(source, rows):
        times = times_of(source, picked, role)
        check_order(source, picked, times, last)
        last = int(times[-1])
        yield maker.slab(picked, times) if maker else _tick_slab(source, picked, times)
        if end is not None and role == "time" and last - (maker.slack if maker else 0) >= end:
            return


def _tick_slab(source: Source, rows: Rows, stamps: Int64s) -> Slab:
    return (trade_slab if source.kind is Kind.TRADES else quote_slab)(source, rows, stamps)
