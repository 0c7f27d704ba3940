"""One feed of a run, from its tracker to the strategy's hooks. Floor 2.

A lane is the `BarSink` of its feed: it keeps indicators and derived feeds in step, writes the audit list, and
calls the hooks that the strategy has. In every hook the window ends with the bar in hand, the indicators show
that bar, and derived windows hold it already; of bars ending together the shorter closes first.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Final, Protocol

from barbot.core.audit import AuditRecord, Corrected, DataRefused, Gapped, HistoryAsked, Opened, Updated
from barbot.core.bars import BarTracker
from barbot.core.derived import DerivedBars
from barbot.core.history import TURN_BARS, BarStore, History
from barbot.core.hooks import BoundHooks
from barbot.core.indicators import Indicator, State
from barbot.core.spec import FeedSpec
from barbot.core.transitions import Data
from barbot.model.market import Bar, ClosedBy, Gap, Quality

_ZERO: Final = Decimal(0)


class Host(Protocol):
    """What a lane needs of its engine."""

    now: int
    lane: Lane | None
    hooks: BoundHooks

    def rearmed(self, lane: Lane, deadline: int) -> None: ...


class Lane:
    """The sink of one feed."""

    def __init__(
        self, host: Host, spec: FeedSpec, audit: list[AuditRecord], *, window: int, skip_quiet: bool, order: int
    ) -> None:
        """Make the lane of `spec`; `window` bars are shown, `order` is the place of its subscription."""
        self.host = host
        self.spec = spec
        self.feed = spec.id
        self.instrument = spec.feed.instrument
        self.audit: list[AuditRecord] | deque[AuditRecord] = audit
        self.notes = audit
        self.order = order
        self.skip_quiet = skip_quiet
        self.store = BarStore(max(window, spec.window) + TURN_BARS)
        self.store.at_turn = self._turned
        self.window = History(self.feed, self.store, window)
        self.derived: list[tuple[DerivedBars, Lane]] = []
        self.position = _ZERO
        self.tally: Counter[tuple[ClosedBy | None, Quality]] = Counter()
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self._updates: list[Callable[[Bar], None]] = []
        self._peeks: list[Callable[[Bar], None]] = []
        self._ts_first = 0
        self.warmed_bars = 0
        self._fed: list[_Fed] = []
        self._bind(is_shown=not spec.is_hidden)

    def _bind(self, *, is_shown: bool) -> None:
        """Call the strategy's hooks and write the audit, or (a hidden feed, a preroll) neither."""
        hooks = self.host.hooks
        self.audit = self.notes if is_shown else deque(maxlen=0)
        self._on_open = hooks.bar_open if is_shown else None
        self._on_update = hooks.bar_update if is_shown else None
        self._on_close = hooks.bar_close if is_shown else None
        self._on_correct = hooks.bar_correct if is_shown else None
        self._on_gap = hooks.gap if is_shown else None
        self.stepwise = hooks.bar_open is not None or hooks.bar_update is not None
        self.tells_open = self.stepwise or bool(self.derived)
        self.tells_update = hooks.bar_update is not None

    def mute(self) -> None:
        """Until `unmute`, only fill windows and indicators: a preroll is a warm-up from the recording itself."""
        self._bind(is_shown=False)

    def unmute(self) -> None:
        """Begin to call hooks; what was closed until now counts as warm-up, and no counter has counted."""
        self._bind(is_shown=not self.spec.is_hidden)
        self.warmed_bars = self.store.dropped + self.store.closed_count
        self._ts_first = 0
        for counter in (self.tally, self.counts, self.refusals):
            counter.clear()

    def derive(self, bars: DerivedBars, lane: Lane) -> None:
        """Hang a longer feed on this one."""
        self.derived.append((bars, lane))
        self.derived.sort(key=lambda pair: (pair[0].spec.feed.interval.ns, pair[1].order))
        self.tells_open = True

    @property
    def closed_bars(self) -> int:
        """How many bars were closed since the warm-up."""
        return self.store.dropped + self.store.closed_count - self.warmed_bars

    @property
    def ts_first(self) -> int:
        """When the first bar after the warm-up opened, 0 without one."""
        self._note_first()
        return self._ts_first

    def _note_first(self) -> None:
        if not self._ts_first and self.closed_bars:
            self._ts_first = self.store.bars[max(0, self.warmed_bars - self.store.dropped)].ts_open

    @property
    def ts_last(self) -> int:
        """When the newest closed bar closed, 0 without one."""
        closed = self.store.closed_count
        return self.store.bars[closed - 1].ts_close if closed and self.closed_bars else 0

    # -- transitions (BarSink) ----------------------------------------------------------------------------

    def opened(self, bar: Bar) -> None:
        """Tell OPEN: derived bars that this one overtakes end first."""
        for bars, _ in self.derived:
            bars.overtaken_by(bar.ts_open)
        for bars, _ in self.derived:
            bars.absorb(bar)
        if self._on_open is not None and not (self.skip_quiet and bar.quality is Quality.QUIET):
            self._peek(bar)
            self.audit.append(Opened(bar))
            self.host.lane = self
            self._on_open(bar, self.window)
        if not self.tells_update:
            for bars, _ in self.derived:
                bars.announce(bar)

    def updated(self, bar: Bar) -> None:
        """Tell UPDATE, here and in the derived feeds."""
        derived = self.derived
        if derived:
            for bars, _ in derived:
                bars.absorb(bar)
        if self._on_update is not None:
            for peek in self._peeks:
                peek(bar)
            self.audit.append(Updated(bar))
            self.host.lane = self
            self._on_update(bar, self.window)
        if derived:
            for bars, _ in derived:
                bars.announce(bar)

    def _peek(self, bar: Bar) -> None:
        for peek in self._peeks:
            peek(bar)

    def tallied(self, bar: Bar) -> None:
        """Count a bar that was not simply declared closed and sound."""
        self.tally[bar.closed_by, bar.quality] += 1

    def closed(self, bar: Bar) -> None:
        """Tell CLOSE: indicators and derived windows first, then this feed's hook, then the derived feeds'."""
        for update in self._updates:
            update(bar)
        derived = self.derived
        if derived:
            for bars, _ in derived:
                bars.overtaken_by(bar.ts_open)
            for bars, _ in derived:
                bars.absorb(bar)
        self.audit.append(bar)
        if self._on_close is not None and not (self.skip_quiet and bar.quality is Quality.QUIET):
            self.host.lane = self
            self._on_close(bar, self.window)
        if derived:
            for bars, _ in derived:
                bars.announce(bar)

    def whole_path(self, tracker: BarTracker) -> Callable[[Bar, int], None]:
        """Return the shortest way for whole bars: `tracker.whole` with what it calls written out in one function.

        It takes the bars that are in order, when nothing but the close is to be told, and leaves all others to
        the tracker. It is half the cost of a replayed bar that this saves five calls (0.4 us).
        """
        step, hook = self.spec.grid.step, self._on_close
        if step is None or hook is None or self.tells_open or self.skip_quiet:
            return tracker.whole
        store, bars, updates, window, host = self.store, self.store.bars, self._updates, self.window, self.host
        append, audit, length = bars.append, self.audit.append, step

        def whole(bar: Bar, now: int) -> None:
            ts_open = bar.ts_open
            if ts_open == tracker.floor and tracker.forming is None and tracker.held is None:
                tracker.floor = ts_open + length
                append(bar)
                if len(bars) >= store.mark:
                    store.turn()
                for update in updates:
                    update(bar)
                audit(bar)
                host.lane = self
                hook(bar, window)
            else:
                tracker.whole(bar, now)

        return whole

    def corrected(self, bar: Bar, previous: Bar) -> None:
        """Tell a correction: indicators are replayed from before it, derived bars are rebuilt after the hook."""
        self._replay_indicators(bar.ts_open)
        self.counts["corrected"] += 1
        self.audit.append(Corrected(bar, previous))
        if self._on_correct is not None and not (self.skip_quiet and bar.quality is Quality.QUIET):
            self.host.lane = self
            self._on_correct(bar, previous, self.window)
        for bars, _ in self.derived:
            bars.corrected(bar)

    def gapped(self, gap: Gap) -> None:
        """Tell a hole, and the derived feeds that they have one."""
        self.counts["gap"] += 1
        self.audit.append(Gapped(gap))
        if self._on_gap is not None:
            self.host.lane = self
            self._on_gap(gap)
        for bars, _ in self.derived:
            bars.gapped(gap)

    def warmed(self, bar: Bar) -> None:
        """Take a warm-up bar: it fills windows and indicators and calls no hook."""
        self.warmed_bars += 1
        for update in self._updates:
            update(bar)
        for bars, _ in self.derived:
            bars.warm(bar)

    def refused(self, reason: str, event: Data) -> None:
        """Count and audit market data that cannot be believed."""
        self.refusals[reason] += 1
        self.notes.append(DataRefused(self.feed, reason, self.host.now, repr(event)))

    def counted(self, what: str) -> None:
        """Count something that changed nothing."""
        self.counts[what] += 1

    def ask_history(self, ts_from: int, ts_to: int) -> None:
        """Ask the rim for the venue's history of `[ts_from, ts_to)`."""
        self.notes.append(HistoryAsked(self.feed, ts_from, ts_to, self.host.now))

    def rearmed(self, deadline: int) -> None:
        """Pass the tracker's deadline to the engine."""
        self.host.rearmed(self, deadline)

    # -- indicators ---------------------------------------------------------------------------------------

    def attach(self, indicator: Indicator) -> None:
        """Feed `indicator` from now on, and at once with the closed bars that the window holds."""
        store = self.store
        store.refresh()
        stop = store.closed_count
        start = max(0, stop - self.window.length)
        fed = _Fed(indicator, store.dropped + start)
        for bar in store.bars[start:stop]:
            indicator.update(bar)
        fed.note(store.dropped + stop)
        self._fed.append(fed)
        self._updates.append(indicator.update)
        self._peeks.append(indicator.peek)

    def _turned(self) -> None:
        """Note the states of the indicators, which have not seen the newest bar yet (nor is it counted as warm-up)."""
        if self.closed_bars > 1:
            self._note_first()
        for fed in self._fed:
            fed.note(self.store.dropped + self.store.closed_count - 1)
            fed.forget_before(self.store.dropped)

    def _replay_indicators(self, ts_open: int) -> None:
        """Bring the indicators to where they would be had the corrected bar been so from the start."""
        store = self.store
        index = store.first_from(ts_open) + store.dropped
        replayed = [fed.replay(index, store) for fed in self._fed if index >= fed.fed_from]
        if not all(replayed):
            self.counts["indicators_not_replayed"] += 1
        if store.forming and (self._on_open is not None or self._on_update is not None):
            self._peek(store.bars[-1])


class _Fed:
    """An indicator and some of its former states, from which it is recomputed when a bar is corrected."""

    __slots__ = ("fed_from", "indicator", "states")

    def __init__(self, indicator: Indicator, fed_from: int) -> None:
        """Begin with the bar at position `fed_from`, counted over all bars ever."""
        self.indicator = indicator
        self.fed_from = fed_from
        self.states: list[tuple[int, State]] = [(fed_from, indicator.snapshot())]

    def note(self, position: int) -> None:
        """Note the state before the bar at `position`."""
        self.states.append((position, self.indicator.snapshot()))

    def forget_before(self, position: int) -> None:
        """Forget states from which nothing can be recomputed, because the bars behind them are gone."""
        while self.states and self.states[0][0] < position:
            del self.states[0]

    def replay(self, index: int, store: BarStore) -> bool:
        """Recompute from the newest state at or before `index`, and the states behind it; False if there is none."""
        usable = [number for number, (position, _) in enumerate(self.states) if store.dropped <= position <= index]
        if not usable:
            return False
        position, state = self.states[usable[-1]]
        later = [noted for noted, _ in self.states[usable[-1] + 1 :]]
        del self.states[usable[-1] + 1 :]
        self.indicator.restore(state)
        for bar in store.bars[position - store.dropped : store.closed_count]:
            while later and later[0] <= position:
                self.note(later.pop(0))
            self.indicator.update(bar)
            position += 1
        if later:
            self.note(position)
        return True
