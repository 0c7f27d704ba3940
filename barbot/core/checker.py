"""The bar contract, checked while it is kept: a sink around a sink. Floor 2.

Installed by `--check` and in every test; a run without it does not pay for it. What the tracker tells passes
through unchanged, and whatever breaks the contract (docs/contract.md) raises a `ContractError` that names the
feed, the bar and the rule. The checker wants to be told everything, and tells the sink within what that wants.
"""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from typing import NoReturn

from barbot.core.history import BarStore
from barbot.core.spec import FeedSpec, Source
from barbot.core.transitions import BarSink, Data
from barbot.errors import ContractError
from barbot.model.market import Bar, ClosedBy, Gap, Quality
from barbot.timing.clock import iso

_BY_HISTORY = (Quality.REFILLED, Quality.QUIET)


class ContractChecker:
    """Hold what is told of one feed to the bar contract."""

    def __init__(self, sink: BarSink, spec: FeedSpec, store: BarStore | None = None) -> None:
        """Pass everything on to `sink`; with `store`, check as well that the window ends with the bar in hand."""
        self.sink = sink
        self.spec = spec
        self.feed = spec.id
        self.store = store
        self.tells_open = True
        self.tells_update = True
        self._is_derived = spec.source is Source.DERIVED
        self._forming: Bar | None = None
        self._is_updated = False
        self._tallied: Bar | None = None
        self._newest: Bar | None = None
        self._expected: int | None = None
        """Where the next bar or gap begins; None before the first."""
        self._known: OrderedDict[int, Bar] = OrderedDict()
        """The closed bars that may still be corrected, as they were told last."""
        self._has_told = False

    @property
    def stepwise(self) -> bool:
        """What the sink within says: the checker must not change the way that bars take."""
        return self.sink.stepwise

    def _broken(self, rule: int, problem: str, ts_open: int) -> NoReturn:
        raise ContractError(f"{self.feed} {iso(ts_open)} breaks rule {rule} of the bar contract: {problem}")

    # -- transitions (BarSink) ----------------------------------------------------------------------------

    def opened(self, bar: Bar) -> None:
        """Check an OPEN: no bar is forming, none was left out, this one is later than all before."""
        if self._forming is not None:
            self._broken(1, f"OPEN before the CLOSE of {iso(self._forming.ts_open)}", bar.ts_open)
        self._check_place(bar)
        self._check_state(bar)
        self._check_forming(bar)
        self._forming = bar
        self._is_updated = False
        self._has_told = True
        if self.sink.tells_open:
            self.sink.opened(bar)

    def updated(self, bar: Bar) -> None:
        """Check an UPDATE: of the forming bar, and that it says something new (the first one repeats the OPEN)."""
        forming = self._forming
        if forming is None or forming.ts_open != bar.ts_open:
            self._broken(1, "UPDATE of a bar that is not open", bar.ts_open)
        if self._is_updated and bar == forming:
            self._broken(2, "UPDATE without a change", bar.ts_open)
        if forming.quality is Quality.QUIET and not self._is_derived:
            self._broken(1, "UPDATE of a quiet bar, which opens and closes in one step", bar.ts_open)
        self._check_state(bar)
        self._check_forming(bar)
        self._forming = bar
        self._is_updated = True
        if self.sink.tells_update:
            self.sink.updated(bar)

    def tallied(self, bar: Bar) -> None:
        """Note the bar: it has to be closed next."""
        if self._tallied is not None:
            self._broken(1, f"{iso(self._tallied.ts_open)} was tallied and not closed", bar.ts_open)
        self._tallied = bar
        self.sink.tallied(bar)

    def closed(self, bar: Bar) -> None:
        """Check a CLOSE: of the forming bar as it was last told, or of a bar told as a whole."""
        if self._tallied is not None and self._tallied is not bar:
            self._broken(1, f"{iso(self._tallied.ts_open)} was tallied and another bar closed", bar.ts_open)
        self._tallied = None
        forming = self._forming
        if forming is None:
            self._check_whole(bar)
        elif forming.ts_open != bar.ts_open:
            self._broken(1, f"CLOSE while {iso(forming.ts_open)} is forming", bar.ts_open)
        elif _content(bar) != _content(forming):
            self._broken(2, "the closed bar differs from its last state", bar.ts_open)
        self._check_state(bar)
        self._check_closed(bar)
        if bar.corrected:
            self._broken(4, "a bar counts a correction before its close", bar.ts_open)
        self._forming = None
        self._take(bar)
        self._has_told = True
        self.sink.closed(bar)

    def corrected(self, bar: Bar, previous: Bar) -> None:
        """Check a correction: of a closed bar still in history, counted, and a change."""
        known = self._known.get(bar.ts_open)
        if known is None:
            self._broken(4, "correction of a bar that was not closed, or left the window", bar.ts_open)
        if known != previous:
            self._broken(4, "`previous` is not the bar that was told last", bar.ts_open)
        if bar.corrected != previous.corrected + 1:
            self._broken(4, f"correction {bar.corrected} follows {previous.corrected}", bar.ts_open)
        if (*_content(bar), bar.quality) == (*_content(previous), previous.quality):
            self._broken(2, "correction without a change", bar.ts_open)
        if bar.closed_by is not previous.closed_by or bar.ts_close != previous.ts_close:
            self._broken(4, "a correction changed why or when the bar closed", bar.ts_open)
        self._check_state(bar)
        self._check_quiet(bar)
        if self.store is not None:
            index = self.store.find(bar.ts_open)
            if index is None or self.store.bars[index] is not bar:
                self._broken(4, "the corrected bar is not the one in the window", bar.ts_open)
        self._known[bar.ts_open] = bar
        if self._newest is not None and self._newest.ts_open == bar.ts_open:
            self._newest = bar
        self.sink.corrected(bar, previous)

    def gapped(self, gap: Gap) -> None:
        """Check a gap: it begins where the last bar ended, covers no bar, and ends at a bar's open."""
        if gap.feed != self.feed:
            self._broken(1, f"a gap of {gap.feed}", gap.ts_from)
        if self._forming is not None and gap.ts_to > self._forming.ts_open:
            self._broken(6, f"a gap over the forming bar {iso(self._forming.ts_open)}", gap.ts_from)
        if gap.ts_from != self._expected and not self._after_warm_up():
            at = "nothing" if self._expected is None else iso(self._expected)
            self._broken(6, f"the gap should begin at {at}", gap.ts_from)
        if gap.ts_to <= gap.ts_from or self.spec.grid.floor(gap.ts_to) != gap.ts_to:
            self._broken(6, f"a gap up to {iso(gap.ts_to)}", gap.ts_from)
        self._expected = gap.ts_to
        self._has_told = True
        self.sink.gapped(gap)

    def warmed(self, bar: Bar) -> None:
        """Check a warm-up bar: before the first transition, later than all before, closed by history."""
        if self._has_told:
            self._broken(7, "a warm-up bar after the first transition", bar.ts_open)
        if self._newest is not None and bar.ts_open < self._newest.ts_close:
            self._broken(7, "warm-up bars out of order", bar.ts_open)
        if bar.closed_by is not ClosedBy.HISTORY or not bar.is_closed:
            self._broken(7, "a warm-up bar that history did not close", bar.ts_open)
        self._expected = None
        self._check_place(bar)
        self._check_state(bar)
        self._take(bar)
        self.sink.warmed(bar)

    def refused(self, reason: str, event: Data) -> None:
        """Check that a refusal has a reason."""
        if not reason:
            raise ContractError(f"{self.feed} breaks rule 9 of the bar contract: {event!r} refused without a reason")
        self.sink.refused(reason, event)

    def counted(self, what: str) -> None:
        """Pass it on."""
        self.sink.counted(what)

    def ask_history(self, ts_from: int, ts_to: int) -> None:
        """Check that something is asked for."""
        if ts_from >= ts_to:
            self._broken(6, f"history asked up to {iso(ts_to)}", ts_from)
        self.sink.ask_history(ts_from, ts_to)

    def rearmed(self, deadline: int) -> None:
        """Pass it on."""
        self.sink.rearmed(deadline)

    # -- what holds of a bar ------------------------------------------------------------------------------

    def _check_place(self, bar: Bar) -> None:
        """Check feed, grid and order of a bar that begins."""
        grid, newest = self.spec.grid, self._newest
        if bar.feed != self.feed:
            self._broken(1, f"a bar of {bar.feed}", bar.ts_open)
        if newest is not None and bar.ts_open <= newest.ts_open:
            self._broken(1, f"a bar after {iso(newest.ts_open)}", bar.ts_open)
        if grid.floor(bar.ts_open) != bar.ts_open:
            self._broken(9, "no bar opens there", bar.ts_open)
        if self._expected is not None and bar.ts_open != self._expected and not self._after_warm_up():
            self._broken(6, f"{iso(self._expected)} was expected: neither bar nor gap", bar.ts_open)

    def _after_warm_up(self) -> bool:
        """Whether a derived feed begins: holes of a warm-up are told to nobody."""
        return self._is_derived and not self._has_told

    def _check_state(self, bar: Bar) -> None:
        """Check end and numbers of a bar."""
        if bar.ts_close != self.spec.grid.close_of(bar.ts_open):
            self._broken(9, f"the bar does not end at {iso(bar.ts_close)}", bar.ts_open)
        if not (
            -inf < bar.low <= bar.open <= bar.high < inf
            and bar.low <= bar.close <= bar.high
            and 0.0 <= bar.volume < inf
            and 0.0 <= bar.turnover < inf
        ):
            self._broken(9, f"impossible numbers in {bar}", bar.ts_open)

    def _check_forming(self, bar: Bar) -> None:
        if bar.is_closed or bar.closed_by is not None or bar.corrected:
            self._broken(1, "a forming bar that says it is closed", bar.ts_open)
        if self.store is not None and (not self.store.forming or self.store.bars[-1] is not bar):
            self._broken(7, "the window does not end with the forming bar", bar.ts_open)

    def _check_whole(self, bar: Bar) -> None:
        """Check a bar that was not opened: allowed where the sink wants whole bars."""
        if self.stepwise or bar.closed_by is not ClosedBy.DECLARED or bar.quality is not Quality.OK:
            self._broken(1, "CLOSE of a bar that was not opened", bar.ts_open)
        self._check_place(bar)

    def _check_closed(self, bar: Bar) -> None:
        """Check that reason and quality of a CLOSE go together, and that the window ends with the bar."""
        if not bar.is_closed or bar.closed_by is None:
            self._broken(1, "CLOSE of a bar that is not closed", bar.ts_open)
        if not self._is_derived:
            if (bar.closed_by is ClosedBy.HISTORY) is not (bar.quality in _BY_HISTORY) and not (
                bar.closed_by is ClosedBy.ELAPSED and bar.quality is Quality.QUIET
            ):
                self._broken(6, f"{bar.quality.name} closed by {bar.closed_by.name}", bar.ts_open)
            if bar.quality is Quality.QUIET and self._newest is not None and bar.close != self._newest.close:
                self._broken(6, "a quiet bar away from the last close", bar.ts_open)
        self._check_quiet(bar)
        store = self.store
        if store is not None and (store.forming or not store.bars or store.bars[-1] is not bar):
            self._broken(7, "the window does not end with the closed bar", bar.ts_open)

    def _check_quiet(self, bar: Bar) -> None:
        if bar.quality is Quality.QUIET and (bar.volume or bar.turnover or bar.high != bar.low):
            self._broken(6, "a quiet bar that is not flat and empty", bar.ts_open)

    def _take(self, bar: Bar) -> None:
        """Remember a closed bar as the newest."""
        self._newest = bar
        self._expected = self.spec.grid.next_open(bar.ts_open)
        self._known[bar.ts_open] = bar
        if len(self._known) > self.spec.window:
            self._known.popitem(last=False)


def _content(bar: Bar) -> tuple[object, ...]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover, bar.extra, bar.ts_close
