"""Longer bars from shorter ones: 15m from 1m, by the same contract. Floor 2.

A derived feed hangs on its base feed. What the base forms, closes, corrects or lacks is folded into the derived
bar in two steps, so that windows are right in every hook and the shorter bar closes first: `absorb` brings the
derived window up to date before the base's hooks run, `announce` tells the derived transitions after them.

A derived bar is the bar of the same trades: quiet base bars repeat a price that nobody paid in them, so they
count only where there is nothing else. The least trustworthy base bar decides the quality.
"""

from __future__ import annotations

from typing import Final

import msgspec

from barbot.core.history import BarStore
from barbot.core.spec import FeedSpec
from barbot.core.transitions import BarSink
from barbot.model.market import Bar, ClosedBy, Gap, Quality

_DISTRUST: Final = {
    Quality.QUIET: 0,
    Quality.OK: 1,
    Quality.REFILLED: 2,
    Quality.PARTIAL: 3,
    Quality.GAP: 4,
}


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
        """The closed base bars of the forming bar, merged, quiet ones left out."""
        self._quality = Quality.QUIET
        """The least trustworthy of the closed base bars, and of what is missing between them."""
        self._missing: dict[int, Quality] = {}
        """Bars that lack base bars, and how much that says of them."""
        self._ts_open = self._ts_close = self._expected = -1
        self._told: Bar | None = None
        """The state of the forming bar that was told last."""
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
        quality = _worse(self._quality, bar.quality)
        merged = _merge(self._closed, bar)
        forming = self._make(merged, quality)
        if self.forming is None:
            self.store.open(forming)
        else:
            self.store.replace(forming)
        self.forming = forming
        if bar.is_closed:
            self._quality = quality
            if bar.quality is not Quality.QUIET:
                self._closed = merged

    def announce(self, bar: Bar) -> None:
        """Tell what the absorbed base bar did to the derived bar."""
        forming = self.forming
        if forming is None:
            return
        if self.sink.tells_open and self._told is None:
            self.sink.opened(forming)
        if self.sink.tells_update and forming != self._told:
            self.sink.updated(forming)
        self._told = forming
        if bar.is_closed and bar.ts_close >= self._ts_close:
            self._close(bar.closed_by or ClosedBy.SUPERSEDED)

    def overtaken_by(self, ts_open: int) -> None:
        """Close the derived bar if a base bar at `ts_open` lies beyond it: its last base bars never came."""
        if self.forming is not None and ts_open >= self._ts_close:
            self._lack(Quality.GAP)
            self._close(ClosedBy.SUPERSEDED)

    def gapped(self, gap: Gap) -> None:
        """Mark the derived bar that lost base bars, close it if the hole covers its end, and tell a hole of bars."""
        if self._expected < 0:
            return
        if self.forming is not None:
            if gap.ts_from < self._ts_close:
                self._lack(Quality.GAP)
            self.overtaken_by(gap.ts_to)
        ts_to = self._grid.floor(gap.ts_to)
        if self.forming is None and ts_to is not None and ts_to > self._expected:
            hole = Gap(self.feed, self._expected, ts_to, gap.reason)
            self._expected = ts_to
            self.sink.gapped(hole)

    def corrected(self, base_bar: Bar) -> None:
        """Rebuild the derived bar that holds a corrected base bar from the base's window."""
        ts_open = self._grid.floor(base_bar.ts_open)
        if ts_open is None:
            return
        first = self.base.first_from(ts_open)
        last = self.base.first_from(self._grid.close_of(ts_open))
        parts = [bar for bar in self.base.bars[first:last] if bar.is_closed]
        if not parts or (self.base.dropped and first == 0 and parts[0].ts_open > ts_open):
            self.sink.counted("too_late")
        elif self.forming is not None and ts_open == self.forming.ts_open:
            self._recount(parts)
        else:
            self._amend(ts_open, parts)

    def warm(self, bar: Bar) -> None:
        """Take a warm-up bar of the base: the derived bars that it completes are warm-up bars too."""
        if bar.ts_open >= self._ts_close and self.forming is not None:
            self._lack(Quality.GAP)
            self._finish_warm()
        self.absorb(bar)
        if bar.ts_close >= self._ts_close:
            self._finish_warm()

    def _finish_warm(self) -> None:
        self.sink.warmed(self._shut(ClosedBy.HISTORY))

    # -- derived bars -------------------------------------------------------------------------------------

    def _begin(self, bar: Bar) -> None:
        ts_open = self._grid.floor(bar.ts_open)
        assert ts_open is not None, "the base's grid lies within the derived one"
        first_ever = self._expected < 0
        if first_ever:
            self.base.reserve(self.spec.feed.interval.ns // (bar.ts_close - bar.ts_open))
        self._ts_open, self._ts_close = ts_open, self._grid.close_of(ts_open)
        self._closed = None
        self._told = None
        self._quality = Quality.QUIET
        if bar.ts_open > ts_open:
            self._lack(Quality.PARTIAL if first_ever else Quality.GAP)
        self._expected = self._grid.next_open(ts_open)

    def _lack(self, quality: Quality) -> None:
        """Note that base bars of the forming bar are missing."""
        self._quality = self._missing[self._ts_open] = _worse(self._quality, quality)
        if len(self._missing) > self.spec.window:
            del self._missing[next(iter(self._missing))]

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

    # -- corrections --------------------------------------------------------------------------------------

    def _fold(self, ts_open: int, parts: list[Bar]) -> tuple[Bar | None, Quality]:
        """Return the base bars merged, quiet ones left out, and the quality of them all."""
        closed: Bar | None = None
        quality = self._missing.get(ts_open, Quality.QUIET)
        for part in parts:
            quality = _worse(quality, part.quality)
            if part.quality is not Quality.QUIET:
                closed = _merge(closed, part)
        return closed, quality

    def _recount(self, parts: list[Bar]) -> None:
        """Put the corrected base bars into the forming bar, with the base's forming bar if it has one."""
        self._closed, self._quality = self._fold(self._ts_open, parts)
        newest = self.base.bars[-1]
        running = newest if self.base.forming and newest.ts_open < self._ts_close else None
        state = _merge(self._closed, running) if running is not None else self._closed or parts[-1]
        forming = self._make(state, _worse(self._quality, running.quality if running is not None else self._quality))
        if forming != self.forming:
            self.forming = forming
            self.store.replace(forming)
            if self.sink.tells_update and self._told is not None:
                self.sink.updated(forming)
                self._told = forming

    def _amend(self, ts_open: int, parts: list[Bar]) -> None:
        index = self.store.find(ts_open)
        if index is None or index < self.store.closed_count - self.spec.window:
            self.sink.counted("too_late")
            return
        previous = self.store.bars[index]
        closed, quality = self._fold(ts_open, parts)
        state = closed or parts[-1]
        bar = Bar(
            self.feed, previous.ts_open, previous.ts_close, state.open, state.high, state.low, state.close,
            state.volume, state.turnover, True, previous.closed_by, quality, previous.corrected,
        )  # fmt: skip
        if bar != previous:
            bar = msgspec.structs.replace(bar, corrected=previous.corrected + 1)
            self.store.amend(index, bar)
            self.sink.corrected(bar, previous)


def _worse(first: Quality, second: Quality) -> Quality:
    return first if _DISTRUST[first] >= _DISTRUST[second] else second


def _merge(first: Bar | None, second: Bar) -> Bar:
    """Return the OHLCV of two neighbouring stretches; a quiet one adds nothing."""
    if first is None:
        return second
    if second.quality is Quality.QUIET:
        return first
    return Bar(
        first.feed, first.ts_open, second.ts_close, first.open, max(first.high, second.high),
        min(first.low, second.low), second.close, first.volume + second.volume,
        first.turnover + second.turnover,
    )  # fmt: skip
