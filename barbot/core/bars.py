"""The bar tracker: when a bar opens, updates, closes and is corrected. Floor 2. This is the product.

One tracker a feed. It is told what the venue said (`update`, `whole`, `history`), what became of the connection
(`connected`, `dropped`, `arrived`) and that its deadline came (`fire`), always with `now`; it writes the feed's
`BarStore` and tells a `BarSink` every transition, in the order of the bar contract (docs/contract.md). It never
looks at a clock and never asks whether the run is live.

    state       has           left by
    EMPTY       no bar yet    data -> FORMING; warm-up rows -> BETWEEN
    FORMING     a forming bar declared, superseded, elapsed -> BETWEEN
    BETWEEN     `floor` set   data -> FORMING; a quiet end -> BETWEEN; a hole -> HOLDING or a gap
    HOLDING     `held` data   history, its error or its timeout (repair); the settling time (settle)
"""

from __future__ import annotations

from math import inf

from barbot.core.history import BarStore
from barbot.core.spec import NEVER, FeedSpec, Source
from barbot.core.transitions import BarSink, Connection, Data, flat, is_same, is_stale
from barbot.model.market import Bar, BarUpdate, ClosedBy, Gap, HistoryBars, Quality

_INCOMPLETE = (Quality.PARTIAL, Quality.GAP)


class BarTracker:
    """Track the bars of one feed."""

    def __init__(self, spec: FeedSpec, store: BarStore, sink: BarSink) -> None:
        """Start with no bar; `store` is written, `sink` is told."""
        self.spec = spec
        self.feed = spec.id
        self.store = store
        self.sink = sink
        self.connection: Connection | None = None
        self.forming: Bar | None = None
        self.floor = -1
        """The earliest `ts_open` that a new bar may have; -1 before the first bar."""
        self.deadline = NEVER
        self.held: list[Data] | None = None
        self.ready = not spec.has_history
        """Whether warm-up is over (at once for feeds without history)."""
        self._grid = spec.grid
        self._step = spec.grid.step
        self._quality = Quality.OK
        self._event_ts = 0
        self._event_by_bar: dict[int, int] = {}
        self._worst_lateness = spec.grace.initial
        self._lateness = 0
        self._settling = False
        self._repair_until: int | None = None

    # -- what the venue says ------------------------------------------------------------------------------

    def whole(self, bar: Bar, now: int) -> None:
        """Take a closed bar that is told as a whole at its end, as the rows of a file are.

        Its numbers were checked by whoever made it a `Bar` (feeds check columns, 20 times cheaper than here).
        """
        if (
            bar.ts_open == self.floor
            and self.forming is None
            and self.held is None
            and not self.sink.stepwise
            and bar.ts_close <= now
        ):
            step = self._step
            self.floor = bar.ts_open + step if step else self._grid.next_open(bar.ts_open)
            self.store.push(bar)
            self.sink.closed(bar)
            return
        self.update(
            BarUpdate(
                bar.feed, bar.ts_open, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover,
                is_closed=True, ts_recv=now, extra=bar.extra,
            ),
            now,
        )  # fmt: skip

    def update(self, data: BarUpdate, now: int) -> None:
        """Take the venue's word on one candle."""
        if self.held is not None:
            self.hold(data)
            return
        problem = self._problem(data, now)
        if problem:
            self.sink.refused(problem, data)
            return
        forming = self.forming
        if forming is not None and data.ts_open == forming.ts_open:
            self._accept(data, forming, now)
        elif data.ts_open >= self.floor:
            if self.make_way(data.ts_open, now):
                self.open(data, now)
            else:
                self.hold(data)
        else:
            self._late(data, now)

    def _problem(self, data: BarUpdate, now: int) -> str:
        """Return why the row cannot be believed, or nothing."""
        high, low = data.high, data.low
        if not (low <= data.open <= high and low <= data.close <= high):
            if data.open != data.open or data.close != data.close or high != high or low != low:
                return "not_finite"
            return "high_too_low" if high < max(data.open, data.close, low) else "low_too_high"
        if not (-inf < low and high < inf and abs(data.volume) < inf and abs(data.turnover) < inf):
            return "not_finite"
        if data.volume < 0.0 or data.turnover < 0.0:
            return "negative_volume"
        if self._grid.floor(data.ts_open) != data.ts_open:
            return "off_grid"
        if data.ts_open > now + self.spec.skew_ns:
            return "from_the_future"
        if data.is_closed and self._grid.close_of(data.ts_open) > now + self.spec.skew_ns:
            return "closed_in_the_future"
        return ""

    # -- the life of a bar --------------------------------------------------------------------------------

    def make_way(self, ts_open: int, now: int) -> bool:
        """End what comes before the bar at `ts_open`; False if that has to wait (then `hold` the data)."""
        if self.forming is not None:
            if self.spec.settle_ns:
                self.held = []
                self._settling = True
                self._arm(now + self.spec.settle_ns)
                return False
            self.close(ClosedBy.SUPERSEDED, now)
        return self._advance(ts_open, now, proved=True)

    def open(self, data: BarUpdate, now: int, quality: Quality | None = None) -> None:
        """Open the bar that `data` is the first word on; tell OPEN and UPDATE."""
        ts_open = data.ts_open
        ts_close = self._grid.close_of(ts_open)
        if quality is None:
            quality = self._seen_from(ts_open)
        self._quality = quality
        self._event_ts = data.ts_event
        self.floor = self._grid.next_open(ts_open)
        bar = Bar(
            self.feed, ts_open, ts_close, data.open, data.high, data.low, data.close, data.volume,
            data.turnover, False, None, quality, 0, data.extra,
        )  # fmt: skip
        self._lateness = now - ts_close if now > ts_close else 0
        self.forming = bar
        self.store.open(bar)
        if self.sink.tells_open:
            self.sink.opened(bar)
        if self.sink.tells_update:
            self.sink.updated(bar)
        if data.is_closed:
            self.close(ClosedBy.DECLARED, now)
        elif self.connection is None or self.connection.up_since is not None:
            self._arm(max(now, ts_close + self.grace))

    def _seen_from(self, ts_open: int) -> Quality:
        """Tell how far a bar that opens now can be complete: candles always are, trades since we listen."""
        if self.spec.source is Source.CANDLES or self.connection is None:
            return Quality.OK
        up_since = self.connection.up_since
        if up_since is not None and up_since <= ts_open:
            return Quality.OK
        return Quality.PARTIAL if self.floor < 0 else Quality.GAP

    def _accept(self, data: BarUpdate, forming: Bar, now: int) -> None:
        if is_stale(data, forming, self._event_ts):
            self.sink.counted("stale")
            return
        self._event_ts = max(self._event_ts, data.ts_event)
        if self._quality is not Quality.OK and self.spec.source is Source.CANDLES and data.ts_recv:
            self._quality = Quality.OK  # the venue's candle is cumulative: what was missed is in it
        if is_same(data, forming):
            if not data.is_closed:
                self.sink.counted("duplicate")
        else:
            self.replace(data, forming, now)
        if data.is_closed:
            self.close(ClosedBy.DECLARED, now)

    def replace(self, data: BarUpdate, forming: Bar, now: int) -> None:
        """Put a newer state of the forming bar in its place and tell UPDATE."""
        bar = Bar(
            self.feed, forming.ts_open, forming.ts_close, data.open, data.high, data.low, data.close,
            data.volume, data.turnover, False, None, self._quality, 0, data.extra,
        )  # fmt: skip
        if now > bar.ts_close:
            self.late_by(now - bar.ts_close)
        self.forming = bar
        self.store.replace(bar)
        if self.sink.tells_update:
            self.sink.updated(bar)

    def close(self, closed_by: ClosedBy, now: int) -> None:
        """Close the forming bar as it stands and tell CLOSE."""
        self.store.refresh()
        forming = self.forming
        assert forming is not None, "only a forming bar can be closed"
        bar = Bar(
            self.feed, forming.ts_open, forming.ts_close, forming.open, forming.high, forming.low,
            forming.close, forming.volume, forming.turnover, True, closed_by, self._quality, 0, forming.extra,
        )  # fmt: skip
        self.forming = None
        if closed_by is ClosedBy.DECLARED:
            self.late_by(now - bar.ts_close)
        self._learn()
        if self._event_ts:
            self._remember_event(bar.ts_open)
        self.store.close(bar)
        self._expect_next()
        self.sink.tallied(bar)
        self.sink.closed(bar)
        if bar.quality in _INCOMPLETE and self.spec.has_history and closed_by is not ClosedBy.HISTORY:
            self.sink.ask_history(bar.ts_open, bar.ts_close)

    def _remember_event(self, ts_open: int) -> None:
        self._event_by_bar[ts_open] = self._event_ts
        if len(self._event_by_bar) > 2 * self.spec.window + 64:
            for old in list(self._event_by_bar)[: self.spec.window]:
                del self._event_by_bar[old]

    # -- the time between bars ----------------------------------------------------------------------------

    def _advance(self, ts_open: int, now: int, *, proved: bool) -> bool:
        """Account for every bar from `floor` to before `ts_open`; False if history has to be asked first.

        `proved` says that later data is at hand, which proves that those bars are over.
        """
        if self.floor < 0:
            return True
        while self.floor < ts_open:
            if self._is_quiet(self.floor, proved=proved):
                self._quiet()
                continue
            end = self.floor
            while end < ts_open and not self._is_quiet(end, proved=proved):
                end = self._grid.next_open(end)
            if self.spec.has_history:
                self._repair(self.floor, end, now)
                return False
            self._gap(end, "no data, and no proof that the feed was alive")
        return True

    def _is_quiet(self, ts_open: int, *, proved: bool) -> bool:
        """Whether a bar without data is provably a quiet one (rule 6)."""
        if not self.store.bars:
            return False
        connection = self.connection
        if connection is None:
            return self.spec.missing == "quiet"
        if connection.up_since is None or connection.up_since > ts_open:
            return False
        return proved or connection.last_arrival >= self._grid.close_of(ts_open)

    def _quiet(self) -> None:
        """Open and close a flat bar at the last close, in one step."""
        ts_open, last = self.floor, self.store.bars[-1].close
        ts_close = self._grid.close_of(ts_open)
        self.floor = self._grid.next_open(ts_open)
        store = self.store
        if self.sink.tells_open:
            begun = Bar(self.feed, ts_open, ts_close, last, last, last, last, 0.0, 0.0, False, None, Quality.QUIET)
            store.open(begun)
            self.sink.opened(begun)
        bar = Bar(
            self.feed,
            ts_open,
            ts_close,
            last,
            last,
            last,
            last,
            0.0,
            0.0,
            True,
            ClosedBy.ELAPSED,
            Quality.QUIET,
        )
        self._learn()
        if store.forming:
            store.close(bar)
        else:
            store.push(bar)
        self.sink.tallied(bar)
        self.sink.closed(bar)

    def _gap(self, ts_to: int, reason: str) -> None:
        """Tell that `[floor, ts_to)` has no bars and go on from there."""
        gap = Gap(self.feed, self.floor, ts_to, reason)
        self.floor = ts_to
        self.sink.gapped(gap)

    # -- late data ----------------------------------------------------------------------------------------

    def _late(self, data: BarUpdate, now: int) -> None:
        index = self.find_correctable(data.ts_open)
        if index is None:
            self.sink.counted("too_late")
            return
        previous = self.store.bars[index]
        if is_stale(data, previous, self._event_by_bar.get(data.ts_open, 0)):
            self.sink.counted("stale")
        elif is_same(data, previous):
            self.sink.counted("duplicate")
        else:
            if data.ts_event:
                self._event_by_bar[data.ts_open] = data.ts_event
            self.late_by(now - previous.ts_close)
            self.amend(index, data)

    def find_correctable(self, ts_open: int) -> int | None:
        """Return the store index of a closed bar that late data may still amend, or None."""
        index = self.store.find(ts_open)
        if index is None or index < self.store.closed_count - self.spec.window:
            return None
        return index

    def amend(self, index: int, data: BarUpdate, quality: Quality | None = None) -> None:
        """Correct a closed bar in place, and the quiet bars behind it that repeat its close."""
        previous = self.store.bars[index]
        if quality is None:
            quality = Quality.OK if previous.quality is Quality.QUIET else previous.quality
        bar = Bar(
            self.feed, previous.ts_open, previous.ts_close, data.open, data.high, data.low, data.close,
            data.volume, data.turnover, True, previous.closed_by, quality, previous.corrected + 1, data.extra,
        )  # fmt: skip
        self.store.amend(index, bar)
        corrected = [(bar, previous), *self._follow_close(index + 1, bar.close)]
        for amended, before in corrected:
            self.sink.corrected(amended, before)

    def _follow_close(self, first: int, close: float) -> list[tuple[Bar, Bar]]:
        """Move the quiet bars from list index `first` on to a corrected close that they repeat."""
        moved = []
        for index in range(first, self.store.closed_count):
            quiet = self.store.bars[index]
            if quiet.quality is not Quality.QUIET or quiet.close == close:
                break
            flat = Bar(
                self.feed, quiet.ts_open, quiet.ts_close, close, close, close, close, 0.0, 0.0, True,
                quiet.closed_by, Quality.QUIET, quiet.corrected + 1, quiet.extra,
            )  # fmt: skip
            self.store.amend(index, flat)
            moved.append((flat, quiet))
        return moved

    # -- grace --------------------------------------------------------------------------------------------

    @property
    def grace(self) -> int:
        """How long after a bar's end its timer waits, in ns: the learned lateness within the declared bounds."""
        bounds = self.spec.grace
        return min(max(self._worst_lateness, bounds.minimum), bounds.maximum)

    def late_by(self, lateness: int) -> None:
        """Note that data of a bar came `lateness` ns after its end."""
        self._lateness = max(self._lateness, lateness)

    def _learn(self) -> None:
        """Forget a sixteenth of the worst lateness a bar, and remember the bar's own with a quarter on top."""
        worst = self._worst_lateness
        self._worst_lateness = max(self._lateness + self._lateness // 4, worst - worst // 16)
        self._lateness = 0

    # -- deadlines ----------------------------------------------------------------------------------------

    def _arm(self, deadline: int) -> None:
        self.deadline = deadline
        if deadline != NEVER:
            self.sink.rearmed(deadline)

    def _expect_next(self) -> None:
        """Arm the timer of the bar at `floor`, which closes quietly if nothing comes."""
        connection = self.connection
        if connection is None or connection.up_since is None or not self.store.bars or self.floor < 0:
            self.deadline = NEVER
        else:
            self._arm(self._grid.close_of(self.floor) + self.grace)

    def fire(self, now: int) -> None:
        """Do what is due at the deadline (`now` is the deadline's own time, or later if proof came later)."""
        self.deadline = NEVER
        if self._settling:
            self._settling = False
            self.close(ClosedBy.SUPERSEDED, now)
            self._release(now)
        elif self._repair_until is not None:
            self._repaired(HistoryBars(self.feed, self.floor, now, (), "no answer in time"), now)
        elif self.forming is not None:
            self.close(ClosedBy.ELAPSED, now)
        elif self.connection is not None and self.connection.up_since is not None:
            self._end_silent_bar(self.connection, now)

    def _end_silent_bar(self, connection: Connection, now: int) -> None:
        if connection.last_arrival < self._grid.close_of(self.floor):
            connection.waiting.append(self)  # a dead feed looks like this too: wait for proof of life
            return
        if self._advance(self._grid.next_open(self.floor), now, proved=False):
            self._expect_next()

    # -- the connection -----------------------------------------------------------------------------------

    def connected(self, now: int) -> None:
        """Note that the connection is up; ask history for what was missed, or for the warm-up."""
        if self.spec.has_history:
            ts_to = now
            if self.floor < 0:
                ts_from = self._back(now, self.spec.warmup_bars + 2)
            else:
                last = self.forming.ts_open if self.forming is not None else self.store.bars[-1].ts_open
                ts_from = self._back(last, 2)
            self._repair(ts_from, ts_to, now)
        elif self.forming is not None:
            self._arm(max(now, self.forming.ts_close + self.grace))
        else:
            self._expect_next()

    def _back(self, ts: int, bars: int) -> int:
        """Return a time that lies at least `bars` bars before `ts` on a market that never closes."""
        return max(0, ts - bars * self.spec.feed.interval.ns)

    def dropped(self) -> None:
        """Note that the connection ended: what is forming is incomplete until somebody completes it."""
        if self.forming is not None and not self._settling:
            self._quality = Quality.GAP
        if self._repair_until is None and not self._settling:
            self.deadline = NEVER

    def _repair(self, ts_from: int, ts_to: int, now: int) -> None:
        """Hold the live data and ask history for `[ts_from, ts_to)`."""
        if self.held is None:
            self.held = []
        if self._settling:
            self._settling = False
        self._repair_until = now + self.spec.repair_timeout_ns
        self._arm(self._repair_until)
        self.sink.ask_history(ts_from, ts_to)

    # -- history ------------------------------------------------------------------------------------------

    def history(self, rows: HistoryBars, now: int) -> None:
        """Take what the venue's history says: the warm-up, the repair of a hole, or a second opinion."""
        if self._repair_until is not None:
            self._repaired(rows, now)
        else:
            for row in rows.bars:
                self._second_opinion(row, now)

    def _second_opinion(self, row: BarUpdate, now: int) -> None:
        """Compare a closed bar with history's; a difference is a correction."""
        if self._problem(row, now):
            self.sink.refused(self._problem(row, now), row)
            return
        index = self.find_correctable(row.ts_open)
        if index is None or self._grid.close_of(row.ts_open) > now:
            return
        previous = self.store.bars[index]
        incomplete = previous.quality in _INCOMPLETE
        if not is_same(row, previous):
            self.sink.counted("history_mismatch")
            self.amend(index, row, Quality.REFILLED if incomplete else None)
        elif incomplete:
            self.amend(index, row, Quality.REFILLED)

    def _repaired(self, rows: HistoryBars, now: int) -> None:
        self._repair_until = None
        self.deadline = NEVER
        warming = self.floor < 0 and not self.ready
        running: list[Data] = []
        for row in rows.bars:
            problem = self._problem(row, now)
            if problem:
                self.sink.refused(problem, row)
            elif self._grid.close_of(row.ts_open) > rows.ts_to:
                running.append(row)
            elif warming:
                self._warm(row)
            else:
                self._refill(row, now)
        if not warming:
            self._close_hole(rows, now, len(running) > 0)
        if self.held is not None and self.spec.source is Source.CANDLES:
            self.held[:0] = running
        if self.ready:
            self._release(now)
        self.ready = True  # after the warm-up it is the engine that says when the first hook may run

    def _warm(self, row: BarUpdate) -> None:
        if self.spec.history_omits_quiet and self.store.bars:
            while self.floor < row.ts_open:
                self._warm_one(flat(self.feed, self.floor, self.store.bars[-1].close), Quality.QUIET)
        if row.ts_open >= self.floor:
            self._warm_one(row, Quality.OK)

    def _warm_one(self, row: BarUpdate, quality: Quality) -> None:
        ts_close = self._grid.close_of(row.ts_open)
        bar = Bar(
            self.feed, row.ts_open, ts_close, row.open, row.high, row.low, row.close, row.volume,
            row.turnover, True, ClosedBy.HISTORY, quality, 0, row.extra,
        )  # fmt: skip
        self.floor = self._grid.next_open(row.ts_open)
        self.store.push(bar)
        self.sink.warmed(bar)

    def _refill(self, row: BarUpdate, now: int) -> None:
        """Put a row of history where it belongs: the bar cut by the drop, a bar of the hole, or a closed one."""
        forming = self.forming
        if forming is not None and row.ts_open == forming.ts_open:
            self._quality = Quality.REFILLED
            if not is_same(row, forming):
                self.replace(row, forming, now)
            self.close(ClosedBy.HISTORY, now)
        elif row.ts_open >= self.floor:
            if forming is not None:
                self.close(ClosedBy.SUPERSEDED, now)
            if self.floor < row.ts_open:
                self._gap(row.ts_open, "the connection was down and history has no bar")
            self.open(row, now, Quality.REFILLED)
            self.close(ClosedBy.HISTORY, now)
        else:
            self._second_opinion(row, now)

    def _close_hole(self, rows: HistoryBars, now: int, has_running: bool) -> None:
        """Account for what history said nothing of: a bar cut by the drop closes as GAP, the rest is a gap."""
        forming = self.forming
        if forming is not None and forming.ts_close <= rows.ts_to:
            self.close(ClosedBy.ELAPSED, now)
        if self.forming is None and self.floor >= 0:
            end = self.floor
            while self._grid.close_of(end) <= rows.ts_to:
                end = self._grid.next_open(end)
            if end > self.floor:
                reason = rows.error or "the connection was down and history has no bar"
                self._gap(end, reason)

    def wait(self) -> None:
        """Hold live data until `start`: other feeds of the run are not warm yet."""
        self.held = []

    def start(self, now: int) -> None:
        """Let through what came during the warm-up; hooks may run from now on."""
        self._release(now)

    # -- holding ------------------------------------------------------------------------------------------

    def hold(self, data: Data) -> None:
        """Keep live data back until what comes before it is settled; while settling, the old bar goes on."""
        forming = self.forming
        if self._settling and forming is not None and isinstance(data, BarUpdate) and data.ts_open == forming.ts_open:
            self._accept(data, forming, data.ts_recv)
            return
        held = self.held
        assert held is not None, "nothing is held outside a repair or a settling time"
        held.append(data)
        if len(held) > self.spec.max_held:
            del held[0]
            self.sink.counted("held_overflow")

    def _release(self, now: int) -> None:
        """Let the held data through in the order of its arrival."""
        held, self.held = self.held or [], None
        for position, data in enumerate(held):
            if self.held is not None:
                self.held.extend(held[position:])
                return
            self.intake(data, now)
        if self.forming is None and self.held is None:
            self._expect_next()
        elif self.forming is not None and self.deadline == NEVER and self.held is None:
            self._arm(max(now, self.forming.ts_close + self.grace))

    def intake(self, data: Data, now: int) -> None:
        """Take one held piece of data again (a builder that holds trades puts its own function here)."""
        assert isinstance(data, BarUpdate), "a candle feed holds candles"
        self.update(data, now)
