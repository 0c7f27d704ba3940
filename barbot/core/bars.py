"""The bar tracker: when a bar opens, updates, closes and is corrected. Floor 2. This is the product.

One tracker a feed. It is told what the venue said (`update`, `whole`, `history`), what became of the connection
(`connected`, `dropped`, `arrived`) and that its deadline came (`fire`), always with `now`; it writes the feed's
`BarStore` and tells a `BarSink` every transition, in the order of the bar contract (docs/contract.md). It never
looks at a clock and never asks whether the run is live.

    state       has           left by
    EMPTY       no bar yet    data -> FORMING; warm-up rows -> BETWEEN
    FORMING     a forming bar declared, superseded, elapsed -> BETWEEN
    BETWEEN     `floor` set   data -> FORMING; a quiet end -> BETWEEN; a hole -> HOLDING or a gap
    HOLDING     `held` data   history, its error or its timeout (repair); the settling time (settle); `start`
"""

from __future__ import annotations

from barbot.core.history import BarStore
from barbot.core.repair import INCOMPLETE, Repair
from barbot.core.spec import NEVER, FeedSpec, Source
from barbot.core.transitions import (
    BarSink,
    Connection,
    Data,
    Lateness,
    bars_before,
    implausible,
    is_same,
    is_stale,
    moved_to,
)
from barbot.errors import ConfigError
from barbot.model.market import Bar, BarUpdate, ClosedBy, Gap, HistoryBars, Quality


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
        self._has_opened = False
        self._quality = Quality.OK
        self._event_ts = 0
        self._event_by_bar: dict[int, int] = {}
        self._lateness = Lateness(spec.grace)
        self.settling = False
        """Whether later data is held while the forming bar waits for its last."""
        self._repair = Repair(self)
        self._started = True
        self._overdue = False
        """Whether the bar at `floor` is over by the clock and waits for proof that the feed is alive."""
        self._reliving = False
        """While True (rows and held data are taken in) nothing is learned of lateness and no bar's timer is set."""

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
        problem = self.problem(data, now)
        if problem:
            self.sink.refused(problem, data)
            return
        forming = self.forming
        if self.held is not None and not self.goes_on(data.ts_open):
            self.hold(data)
        elif forming is not None and data.ts_open == forming.ts_open:
            self._accept(data, forming, now)
        elif data.ts_open >= self.floor:
            if self.make_way(data.ts_open, now):
                self.open(data, now)
            else:
                self.hold(data)
        else:
            self._late(data, now)

    def problem(self, data: BarUpdate, now: int) -> str:
        """Return why the row cannot be believed, or nothing."""
        problem = implausible(data)
        if problem:
            return problem
        forming = self.forming
        if forming is not None and data.ts_open == forming.ts_open and not data.is_closed:
            return ""  # it opens where the bar in hand does: on the grid, and not in the future
        if data.ts_open > now + self.spec.skew_ns:
            return "from_the_future"
        step = self._step
        if (data.ts_open - self._grid.offset) % step if step else self.bar_of(data.ts_open) != data.ts_open:
            return "off_grid"
        if data.ts_open < 0:
            return "before_1970"
        if data.is_closed and self._grid.close_of(data.ts_open) > now + self.spec.skew_ns:
            return "closed_in_the_future"
        return ""

    def bar_of(self, ts: int) -> int | None:
        """Return the `ts_open` of the bar that `ts` belongs to, or None.

        Raises:
            ConfigError: the calendar does not know the very first `ts`; later ones are single bad messages.
        """
        try:
            return self._grid.floor(ts)
        except ConfigError:
            if self.floor < 0:
                raise
            return None

    # -- the life of a bar --------------------------------------------------------------------------------

    def make_way(self, ts_open: int, now: int) -> bool:
        """End what comes before the bar at `ts_open`; False if that has to wait (then `hold` the data)."""
        if self.forming is not None:
            if self.spec.settle_ns:
                self.held = []
                self.settling = True
                self._arm(min(self.deadline, now + self.spec.settle_ns))
                return False
            self.close(ClosedBy.SUPERSEDED, now)
        return self._advance(ts_open, now, proved=True)

    def open(self, data: BarUpdate, now: int, quality: Quality | None = None) -> None:
        """Open the bar that `data` is the first word on; tell OPEN and UPDATE."""
        ts_open = data.ts_open
        ts_close = self._grid.close_of(ts_open)
        if quality is None:
            quality = self._seen_from(ts_open)
        self._has_opened = True
        self._quality = quality
        self._event_ts = data.ts_event
        self.floor = self._grid.next_open(ts_open)
        bar = Bar(
            self.feed, ts_open, ts_close, data.open, data.high, data.low, data.close, data.volume,
            data.turnover, False, None, quality, 0, data.extra,
        )  # fmt: skip
        self.late_by(now - ts_close)
        self._overdue = False
        self.forming = bar
        self.store.open(bar)
        if self.sink.tells_open:
            self.sink.opened(bar)
        if self.sink.tells_update:
            self.sink.updated(bar)
        if data.is_closed:
            self.close(ClosedBy.DECLARED, now)
        elif not self._reliving:
            self._rearm(now)

    def _seen_from(self, ts_open: int) -> Quality:
        """Tell how far a bar that opens now can be complete: candles always are, trades since we listen."""
        if self.spec.source is Source.CANDLES:
            return Quality.OK
        if not self._has_opened and self.connection is None:
            return Quality.PARTIAL  # a file of trades begins somewhere within its first bar
        up_since = self.connection.up_since if self.connection is not None else 0
        if up_since is not None and up_since <= ts_open:
            return Quality.OK
        return Quality.GAP if self._has_opened else Quality.PARTIAL

    def _accept(self, data: BarUpdate, forming: Bar, now: int) -> None:
        ts_event, seen = data.ts_event, self._event_ts
        if not 0 < seen < ts_event and is_stale(data, forming, seen):  # of its time alone, mostly, it is not
            self.sink.counted("stale")
            return
        if ts_event > seen:
            self._event_ts = ts_event
        if self._quality is not Quality.OK and self.spec.source is Source.CANDLES:
            self._quality = Quality.OK  # the venue's candle is cumulative: what was missed is in it
        if data.close != forming.close or not is_same(data, forming):
            self.replace(data, forming, now)
        elif not data.is_closed:
            self.sink.counted("duplicate")
        if data.is_closed:
            self.close(ClosedBy.DECLARED, now)
            if self.settling:
                self.settling = False
                self._release(now)

    def replace(self, data: BarUpdate, forming: Bar, now: int, quality: Quality | None = None) -> None:
        """Put a newer state of the forming bar in its place and tell UPDATE."""
        if quality is not None:
            self._quality = quality
        bar = Bar(
            self.feed, forming.ts_open, forming.ts_close, data.open, data.high, data.low, data.close,
            data.volume, data.turnover, False, None, self._quality, 0, data.extra,
        )  # fmt: skip
        if now > forming.ts_close:
            self.late_by(now - forming.ts_close)
        self.forming = bar
        self.store.bars[-1] = bar
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
        self._lateness.learn()
        if self._event_ts:
            self._remember_event(bar.ts_open)
        self.store.close(bar)
        self._expect_next(now)
        self.sink.tallied(bar)
        self.sink.closed(bar)
        if bar.quality in INCOMPLETE and self.spec.has_history and closed_by is not ClosedBy.HISTORY:
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
                self.quiet()
                continue
            end = self._hole_end(ts_open)
            if self.spec.has_history:
                self._ask(self.floor, end, now)
                return False
            self.gap(end, "no data, and no proof that the feed was alive")
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

    def _hole_end(self, ts_open: int) -> int:
        """Return the first bar up to `ts_open` that lies behind the hole at `floor`: we are connected from there on."""
        up_since = self.connection.up_since if self.connection is not None else None
        if up_since is None:
            return ts_open
        return min(ts_open, max(self._grid.next_open(self.floor), self._grid.first_from(up_since)))

    def quiet(self, closed_by: ClosedBy = ClosedBy.ELAPSED) -> None:
        """Open and close a flat bar at the last close, in one step."""
        ts_open, p = self.floor, self.store.bars[-1].close
        ts_close = self._grid.close_of(ts_open)
        self.floor = self._grid.next_open(ts_open)
        store = self.store
        if self.sink.tells_open:
            begun = Bar(self.feed, ts_open, ts_close, p, p, p, p, 0.0, 0.0, False, None, Quality.QUIET)
            store.open(begun)
            self.sink.opened(begun)
        bar = Bar(self.feed, ts_open, ts_close, p, p, p, p, 0.0, 0.0, True, closed_by, Quality.QUIET)
        self._lateness.learn()
        if store.forming:
            store.close(bar)
        else:
            store.push(bar)
        self.sink.tallied(bar)
        self.sink.closed(bar)

    def gap(self, ts_to: int, reason: str) -> None:
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
        is_ours = previous.quality is Quality.QUIET  # the venue said nothing yet that this could be older than
        if not is_ours and is_stale(data, previous, self._event_by_bar.get(data.ts_open, 0)):
            self.sink.counted("stale")
            return
        if data.ts_event:
            self._event_by_bar[data.ts_open] = data.ts_event
        if is_same(data, previous):
            self.sink.counted("duplicate")
        else:
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
            before = self.store.bars[index]
            if before.quality is not Quality.QUIET or before.close == close:
                break
            moved.append((moved_to(before, close), before))
            self.store.amend(index, moved[-1][0])
        return moved

    # -- deadlines ----------------------------------------------------------------------------------------

    @property
    def grace(self) -> int:
        """How long after a bar's end its timer waits, in ns: the learned lateness within the declared bounds."""
        return self._lateness.grace

    def late_by(self, lateness: int) -> None:
        """Note that data of a bar came `lateness` ns after its end (negative: it did not)."""
        if lateness > 0 and not self._reliving:
            self._lateness.note(lateness)

    def _arm(self, deadline: int) -> None:
        self.deadline = deadline
        self._overdue = False
        if deadline != NEVER:
            self.sink.rearmed(deadline)

    def _rearm(self, now: int) -> None:
        """Set the timer of the forming bar, or of the bar at `floor`."""
        if self.connection is not None and self.connection.up_since is None:
            self.dropped()
        elif self.forming is not None:
            self._arm(max(now, self.forming.ts_close + self.grace))
        else:
            self._expect_next(now)

    def _expect_next(self, now: int) -> None:
        """Set the timer of the bar at `floor`, which closes quietly if nothing comes."""
        connection = self.connection
        if connection is None or connection.up_since is None or self._reliving or self.floor < 0:
            self.deadline = NEVER
        else:
            self._arm(max(now, self._grid.close_of(self.floor) + self.grace))

    def fire(self, now: int) -> None:
        """Do what is due at the deadline (`now` is the deadline's own time, or later if proof came later)."""
        if now < self.deadline and not self._overdue:
            return  # proof of life for a bar that something else has ended since
        self.deadline = NEVER
        self._overdue = False
        if self.settling:
            self.settling = False
            self.close(ClosedBy.SUPERSEDED, now)
            self._release(now)
        elif self._repair.asked_to is not None:
            self.history(HistoryBars(self.feed, self.floor, self._repair.asked_to, (), "no answer in time"), now)
        elif self.forming is not None:
            self.close(ClosedBy.ELAPSED, now)
        elif self.connection is not None and self.connection.up_since is not None:
            self._end_silent_bar(self.connection, now)

    def _end_silent_bar(self, connection: Connection, now: int) -> None:
        ts_close, grace = self._grid.close_of(self.floor), self.grace
        if now < ts_close + grace:  # `whole` goes past bars without a word to the timer
            self._arm(ts_close + grace)
            return
        if connection.last_arrival < ts_close:
            self._overdue = True
            connection.waiting.append(self)  # a dead feed looks like this too: wait for proof of life
            return
        end = self._grid.next_open(self.floor)
        while self._grid.close_of(end) + grace <= now:
            end = self._grid.next_open(end)
        if self._advance(end, now, proved=False):
            self._expect_next(now)

    # -- the connection -----------------------------------------------------------------------------------

    def connected(self, now: int) -> None:
        """Note that the connection is up; ask history for what was missed, or for the warm-up."""
        if not self.spec.has_history:
            if not self.settling:
                self._rearm(now)
            return
        if self.floor < 0 or not self._started:
            self._repair.warming = True
            ts_from = bars_before(self.spec.grid, now, self.spec.warmup_bars + 2)
        else:
            last = self.forming.ts_open if self.forming is not None else self.store.bars[-1].ts_open
            ts_from = bars_before(self.spec.grid, last, 2)
        self._ask(ts_from, now, now)

    def handed_over(self, now: int) -> None:
        """Note that another connection took over while the one before was up: nothing was missed.

        What was asked of the one before is asked again: its answer may not come any more.
        """
        if self._repair.asked_to is not None:
            self.connected(now)
        elif self.held is None:
            self._rearm(now)

    def dropped(self) -> None:
        """Note that the connection ended: what is forming is incomplete until somebody completes it."""
        self._overdue = False
        if self.settling:
            return
        if self.forming is not None:
            self._quality = Quality.GAP
        if self._repair.asked_to is None:
            self.deadline = NEVER

    def _ask(self, ts_from: int, ts_to: int, now: int) -> None:
        """Hold the live data and ask history for `[ts_from, ts_to)`."""
        if self.held is None:
            self.held = []
        self.settling = False
        self._arm(now + self.spec.repair_timeout_ns)
        self._repair.ask(ts_from, ts_to)

    # -- history ------------------------------------------------------------------------------------------

    def history(self, rows: HistoryBars, now: int) -> None:
        """Take what the venue's history says: the warm-up, the repair of a hole, or a second opinion.

        An answer may come in parts, oldest first: a repair ends with the part that reaches what was asked for.
        """
        if self._repair.asked_to is None:
            for row in rows.bars:
                self._repair.second_opinion(row, now)
            return
        self._reliving = True
        running = self._repair.answer(rows, now)
        self._reliving = False
        if running is not None:
            self.deadline = NEVER
            self.ready = True
            if self.held is not None:
                self.held[:0] = running
            if self._started:
                self._release(now)

    # -- holding ------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Hold live data until `start`: other feeds of the run are not warm yet."""
        self.held = []
        self._started = False

    def start(self, now: int) -> None:
        """Let through what came during the warm-up; hooks may run from now on."""
        self._started = True
        if self._repair.asked_to is None:
            self._release(now)

    def goes_on(self, ts_open: int) -> bool:
        """Whether data of the bar at `ts_open` is taken although later data is held: the settling bar and older."""
        return self.settling and self.forming is not None and ts_open <= self.forming.ts_open

    def hold(self, data: Data) -> None:
        """Keep live data back until what comes before it is settled."""
        held = self.held
        assert held is not None, "nothing is held outside a repair, a settling time or the warm-up"
        held.append(data)
        if len(held) > self.spec.max_held:
            del held[0]
            self.sink.counted("held_overflow")

    def _release(self, now: int) -> None:
        """Let the held data through in the order of its arrival; what has to wait again is held again."""
        held, self.held = self.held or [], None
        self._reliving = True
        for data in held:
            self.intake(data, now)
        self._reliving = False
        if self.held is None:
            self._rearm(now)

    def intake(self, data: Data, now: int) -> None:
        """Take one held piece of data again (a builder that holds trades puts its own function here)."""
        assert isinstance(data, BarUpdate), "a candle feed holds candles"
        self.update(data, now)
