"""Longer bars from shorter ones: 15m from 1m, by the same contract. Floor 2.

A derived feed hangs on its base feed. What the base forms, closes, corrects or lacks is folded into the derived
bar in two steps, so that windows are right in every hook and the shorter bar closes first: `absorb` brings the
derived window up to date before the base's hooks run, `announce` tells the derived transitions after them.
"""

from __future__ import annotations

from barbot.core.history import BarStore
from barbot.core.spec import FeedSpec
from barbot.core.transitions import BarSink
from barbot.model.market import Bar, ClosedBy, Gap, Quality


class DerivedBars:
    """Fold the bars of `base` into those of a longer feed."""

    def __init__(self, spec: FeedSpec, store: BarStore, sink: BarSink, base: BarStore) -> None:
        """Write `store`, tell `sink`; `base` is read again when a base bar is corrected."""
        self.spec = spec
        self.feed = spec.id
        self.store = store
        self.sink = sink
        self.base = base
        self.forming: Bar | None = None
        self._grid = spec.grid
        self._closed: Bar | None = None
        self._quality = Quality.QUIET
        self._ts_open = self._ts_close = self._expected = -1
        self._told_open = False
        self._absorbed: Bar | None = None
        store.refresh = self.refresh

    def refresh(self) -> None:
        """Absorb the base's forming bar if somebody looks between its updates."""
        self.base.refresh()
        if self.base.forming:
            bar = self.base.bars[-1]
            if bar is not self._absorbed and bar.ts_open < self._ts_close:
                self.absorb(bar)

    # -- base bars ----------------------------------------------------------------------------------------

    def absorb(self, bar: Bar) -> None:
        """Bring the derived window up to date with a forming or closed base bar; tell nothing yet."""
        self._absorbed = bar
        if bar.ts_open >= self._ts_close:
            self._begin(bar)
        merged = bar if self._closed is None else _merge(self._closed, bar)
        forming = self._make(merged, self._worse(bar.quality))
        if self.forming is None:
            self.store.open(forming)
        else:
            self.store.replace(forming)
        self.forming = forming
        if bar.is_closed:
            self._closed = merged
            self._quality = forming.quality

    def announce(self, bar: Bar) -> None:
        """Tell what the absorbed base bar did to the derived bar."""
        forming = self.forming
        if forming is None:
            return
        if self.sink.tells_open and not self._told_open:
            self.sink.opened(forming)
        self._told_open = True
        if self.sink.tells_update:
            self.sink.updated(forming)
        if bar.is_closed and bar.ts_close >= self._ts_close:
            self._close(bar.closed_by or ClosedBy.SUPERSEDED)

    def overtaken_by(self, ts_open: int) -> None:
        """Close the derived bar if a base bar at `ts_open` lies beyond it: its last base bars never came."""
        if self.forming is not None and ts_open >= self._ts_close:
            self._quality = Quality.GAP
            self._close(ClosedBy.SUPERSEDED)

    def gapped(self, gap: Gap) -> None:
        """Mark the derived bar that lost base bars; close it if the hole covers its end."""
        if self.forming is None:
            return
        if gap.ts_from < self._ts_close:
            self._quality = Quality.GAP
        if gap.ts_to >= self._ts_close:
            self.overtaken_by(gap.ts_to)

    def corrected(self, base_bar: Bar) -> None:
        """Rebuild the derived bar that holds a corrected base bar from the base's window."""
        ts_open = self._grid.floor(base_bar.ts_open)
        if ts_open is None:
            return
        first = self.base.first_from(ts_open)
        last = self.base.first_from(self._grid.close_of(ts_open))
        parts = [bar for bar in self.base.bars[first:last] if bar.is_closed]
        if not parts or (self.base.dropped and first == 0):
            self.sink.counted("too_late")
            return
        merged = parts[0]
        for part in parts[1:]:
            merged = _merge(merged, part)
        if self.forming is not None and ts_open == self.forming.ts_open:
            self._recount(merged)
            return
        index = self.store.find(ts_open)
        if index is not None:
            self._amend(index, merged)

    def warm(self, bar: Bar) -> None:
        """Take a warm-up bar of the base: the derived bars that it completes are warm-up bars too."""
        if bar.ts_open >= self._ts_close:
            if self.forming is not None:
                self._finish_warm(Quality.GAP)
            self._begin(bar)
        self.absorb(bar)
        if bar.ts_close >= self._ts_close:
            self._finish_warm(self._quality)

    def _finish_warm(self, quality: Quality) -> None:
        self._quality = quality
        closed = self._shut(ClosedBy.HISTORY)
        self.sink.warmed(closed)

    # -- derived bars -------------------------------------------------------------------------------------

    def _begin(self, bar: Bar) -> None:
        ts_open = self._grid.floor(bar.ts_open)
        assert ts_open is not None, "the base's grid lies within the derived one"
        starts_late = self._grid.floor(bar.ts_open - 1) == ts_open and bar.ts_open > ts_open
        first_ever = self._expected < 0
        self._ts_open, self._ts_close = ts_open, self._grid.close_of(ts_open)
        self._closed = None
        self._told_open = False
        self._quality = Quality.QUIET
        if starts_late:
            self._quality = Quality.PARTIAL if first_ever else Quality.GAP
        self._expected = self._grid.next_open(ts_open)

    def _worse(self, quality: Quality) -> Quality:
        """Return the derived quality after a base bar of `quality`: the least trustworthy part decides."""
        if self._closed is None and self._quality is Quality.QUIET:
            return quality
        both = (self._quality, quality)
        for worst in (Quality.GAP, Quality.PARTIAL, Quality.REFILLED, Quality.OK):
            if worst in both:
                return worst
        return Quality.QUIET

    def _make(self, state: Bar, quality: Quality) -> Bar:
        return Bar(
            self.feed, self._ts_open, self._ts_close, state.open, state.high, state.low, state.close,
            state.volume, state.turnover, False, None, quality,
        )  # fmt: skip

    def _close(self, closed_by: ClosedBy) -> None:
        bar = self._shut(closed_by)
        self.sink.tallied(bar)
        self.sink.closed(bar)

    def _shut(self, closed_by: ClosedBy) -> Bar:
        forming = self.forming
        assert forming is not None, "only a forming bar can be closed"
        bar = Bar(
            self.feed, forming.ts_open, forming.ts_close, forming.open, forming.high, forming.low,
            forming.close, forming.volume, forming.turnover, True, closed_by, self._quality,
        )  # fmt: skip
        self.forming = None
        self._closed = None
        self.store.close(bar)
        return bar

    def _recount(self, merged: Bar) -> None:
        """Put the rebuilt closed part in; a forming base bar is absorbed again with its next update."""
        self._closed = merged
        running = self.base.bars[-1]
        if not running.is_closed:
            merged = _merge(merged, running)
        forming = self._make(merged, self._quality)
        self.forming = forming
        self.store.replace(forming)
        if self.sink.tells_update and self._told_open:
            self.sink.updated(forming)

    def _amend(self, index: int, merged: Bar) -> None:
        previous = self.store.bars[index]
        bar = Bar(
            self.feed, previous.ts_open, previous.ts_close, merged.open, merged.high, merged.low, merged.close,
            merged.volume, merged.turnover, True, previous.closed_by, previous.quality, previous.corrected + 1,
        )  # fmt: skip
        self.store.amend(index, bar)
        self.sink.corrected(bar, previous)


def _merge(first: Bar, second: Bar) -> Bar:
    """Return the OHLCV of two neighbouring stretches; a quiet one repeats a price and adds nothing."""
    return Bar(
        first.feed, first.ts_open, second.ts_close, first.open, max(first.high, second.high),
        min(first.low, second.low), second.close, first.volume + second.volume,
        first.turnover + second.turnover,
    )  # fmt: skip
