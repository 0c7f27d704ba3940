"""What the venue's history is good for: the warm-up, the repair of a hole, a second opinion. Floor 2.

A `Repair` belongs to one tracker. It knows what history was asked for, and puts the rows of the answer where they
belong through the tracker's own `open`, `close`, `amend` and `gap`; holding live data meanwhile is the tracker's.
"""

from __future__ import annotations

from typing import Final, Protocol

from barbot.core.history import BarStore
from barbot.core.spec import FeedSpec, Source
from barbot.core.transitions import BarSink, Data, agrees, flat
from barbot.model.market import Bar, BarUpdate, ClosedBy, HistoryBars, Quality

INCOMPLETE: Final = (Quality.PARTIAL, Quality.GAP)
_NO_ROW: Final = "the connection was down and history has no bar"


class Repairable(Protocol):
    """What a repair needs of its tracker."""

    spec: FeedSpec
    feed: str
    store: BarStore
    sink: BarSink
    forming: Bar | None
    floor: int

    def problem(self, data: BarUpdate, now: int) -> str: ...
    def open(self, data: BarUpdate, now: int, quality: Quality | None = None) -> None: ...
    def replace(self, data: BarUpdate, forming: Bar, now: int, quality: Quality | None = None) -> None: ...
    def close(self, closed_by: ClosedBy, now: int) -> None: ...
    def quiet(self, closed_by: ClosedBy) -> None: ...
    def gap(self, ts_to: int, reason: str) -> None: ...
    def find_correctable(self, ts_open: int) -> int | None: ...
    def amend(self, index: int, data: BarUpdate, quality: Quality | None = None) -> None: ...


class Repair:
    """Put rows of history into the bars of one tracker."""

    def __init__(self, tracker: Repairable) -> None:
        """Ask for nothing yet."""
        self.asked_to: int | None = None
        """The end of the span that history was asked for; None when no repair is on."""
        self.warming = False
        """Whether the rows asked for are the warm-up, which no hook sees."""
        self._tracker = tracker
        self._grid = tracker.spec.grid

    def ask(self, ts_from: int, ts_to: int) -> None:
        """Ask history for `[ts_from, ts_to)`."""
        self.asked_to = ts_to
        self._tracker.sink.ask_history(ts_from, ts_to)

    def second_opinion(self, row: BarUpdate, now: int) -> None:
        """Compare a closed bar with history's; a difference is a correction."""
        tracker = self._tracker
        problem = tracker.problem(row, now)
        if problem:
            tracker.sink.refused(problem, row)
            return
        index = tracker.find_correctable(row.ts_open)
        if index is None or self._grid.close_of(row.ts_open) > now:
            return
        previous = tracker.store.bars[index]
        incomplete = previous.quality in INCOMPLETE
        if not agrees(row, previous):
            tracker.sink.counted("history_mismatch")
            tracker.amend(index, row, Quality.REFILLED if incomplete else None)
        elif incomplete:
            tracker.amend(index, row, Quality.REFILLED)

    def answer(self, rows: HistoryBars, now: int) -> list[Data] | None:
        """Take an answer, or a part of one: None until the part that reaches what was asked for ends the repair.

        Then return the rows that still form, which go before the live data.
        """
        asked_to = self.asked_to
        assert asked_to is not None, "only what was asked for is repaired"
        end = min(rows.ts_to, asked_to)
        running: list[Data] = []
        for row in rows.bars:
            problem = self._tracker.problem(row, now)
            if problem:
                self._tracker.sink.refused(problem, row)
            elif self._grid.close_of(row.ts_open) > end:
                running.append(row)
            elif self.warming:
                self._warm(row)
            else:
                self._refill(row, now)
        if rows.ts_to < asked_to:
            return None
        self.asked_to = None
        if self.warming:
            self._end_warm_up(end, rows.error)
        else:
            self._close_hole(end, rows.error, now)
        self.warming = False
        return running if self._tracker.spec.source is Source.CANDLES else []

    # -- warm-up ------------------------------------------------------------------------------------------

    def _warm(self, row: BarUpdate) -> None:
        tracker = self._tracker
        if tracker.spec.history_omits_quiet and tracker.floor >= 0:
            while tracker.floor < row.ts_open:
                self._warm_quiet()
        if row.ts_open >= tracker.floor:
            self._push(row, Quality.OK)

    def _end_warm_up(self, end: int, error: str) -> None:
        tracker = self._tracker
        if tracker.spec.history_omits_quiet and not error and tracker.floor >= 0:
            while self._grid.close_of(tracker.floor) <= end:
                self._warm_quiet()

    def _warm_quiet(self) -> None:
        tracker = self._tracker
        self._push(flat(tracker.feed, tracker.floor, tracker.store.bars[-1].close), Quality.QUIET)

    def _push(self, row: BarUpdate, quality: Quality) -> None:
        tracker = self._tracker
        ts_close = self._grid.close_of(row.ts_open)
        bar = Bar(
            tracker.feed, row.ts_open, ts_close, row.open, row.high, row.low, row.close, row.volume,
            row.turnover, True, ClosedBy.HISTORY, quality, 0, row.extra,
        )  # fmt: skip
        tracker.floor = self._grid.next_open(row.ts_open)
        tracker.store.push(bar)
        tracker.sink.warmed(bar)

    # -- a hole -------------------------------------------------------------------------------------------

    def _refill(self, row: BarUpdate, now: int) -> None:
        """Put a row where it belongs: the bar cut by the drop, a bar of the hole, or a closed one."""
        tracker = self._tracker
        tracker.store.refresh()
        forming = tracker.forming
        if forming is not None and row.ts_open == forming.ts_open:
            tracker.replace(row, forming, now, Quality.REFILLED)
            tracker.close(ClosedBy.HISTORY, now)
        elif row.ts_open >= tracker.floor:
            if forming is not None:
                tracker.close(ClosedBy.SUPERSEDED, now)
            self._fill(row.ts_open, "")
            tracker.open(row, now, Quality.REFILLED)
            if tracker.forming is not None:
                tracker.close(ClosedBy.HISTORY, now)
        else:
            self.second_opinion(row, now)

    def _close_hole(self, end: int, error: str, now: int) -> None:
        """Account for what history said nothing of up to `end`: a bar cut by the drop closes as GAP."""
        tracker = self._tracker
        forming = tracker.forming
        if forming is not None and forming.ts_close <= end:
            tracker.close(ClosedBy.ELAPSED, now)
        if tracker.forming is None and tracker.floor >= 0:
            ts_open = tracker.floor
            while self._grid.close_of(ts_open) <= end:
                ts_open = self._grid.next_open(ts_open)
            self._fill(ts_open, error)

    def _fill(self, ts_open: int, error: str) -> None:
        """Go on to `ts_open`: bars that history lacks are quiet where that is how it tells them, else a gap."""
        tracker = self._tracker
        if tracker.spec.history_omits_quiet and not error:
            while tracker.floor < ts_open:
                tracker.quiet(ClosedBy.HISTORY)
        elif tracker.floor < ts_open:
            tracker.gap(ts_open, error or _NO_ROW)
