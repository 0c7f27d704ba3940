"""A checker that cannot fail checks nothing: every breach of the contract is caught and named."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from barbot.core.checker import ContractChecker
from barbot.core.history import BarStore
from barbot.core.spec import FeedSpec, Source
from barbot.core.transitions import Data
from barbot.errors import ContractError
from barbot.model.instrument import FeedId
from barbot.model.market import Bar, BarUpdate, ClosedBy, Gap, Quality
from barbot.timing.interval import MINUTE
from barbot.timing.sessions import grid_for

FEED = FeedId.parse("test:X-USD@1m")
SPEC = FeedSpec(feed=FEED, grid=grid_for("24/7", FEED.interval), window=3)


class Ear:
    """A sink that notes what reaches it."""

    def __init__(self, *, wants_all: bool = True) -> None:
        self.tells_open = self.tells_update = self.stepwise = wants_all
        self.heard: list[str] = []

    def opened(self, bar: Bar) -> None:
        self.heard.append("opened")

    def updated(self, bar: Bar) -> None:
        self.heard.append("updated")

    def tallied(self, bar: Bar) -> None:
        self.heard.append("tallied")

    def closed(self, bar: Bar) -> None:
        self.heard.append("closed")

    def corrected(self, bar: Bar, previous: Bar) -> None:
        self.heard.append("corrected")

    def gapped(self, gap: Gap) -> None:
        self.heard.append("gapped")

    def warmed(self, bar: Bar) -> None:
        self.heard.append("warmed")

    def refused(self, reason: str, event: Data) -> None:
        self.heard.append("refused")

    def counted(self, what: str) -> None:
        self.heard.append("counted")

    def ask_history(self, ts_from: int, ts_to: int) -> None:
        self.heard.append("ask_history")

    def rearmed(self, deadline: int) -> None:
        self.heard.append("rearmed")


class Told:
    """A checker with its store, and the moves of a tracker that does all it should."""

    def __init__(self, spec: FeedSpec = SPEC, *, wants_all: bool = True) -> None:
        self.store = BarStore(100)
        self.ear = Ear(wants_all=wants_all)
        self.checker = ContractChecker(self.ear, spec, self.store)

    def open(self, bar: Bar) -> None:
        self.store.open(bar)
        self.checker.opened(bar)

    def update(self, bar: Bar) -> None:
        self.store.replace(bar)
        self.checker.updated(bar)

    def close(self, bar: Bar) -> None:
        (self.store.close if self.store.forming else self.store.push)(bar)
        self.checker.tallied(bar)
        self.checker.closed(bar)

    def correct(self, bar: Bar, previous: Bar) -> None:
        index = self.store.find(bar.ts_open)
        if index is not None:
            self.store.amend(index, bar)
        self.checker.corrected(bar, previous)

    def warm(self, bar: Bar) -> None:
        self.store.push(bar)
        self.checker.warmed(bar)

    def whole(self, *minutes: int) -> None:
        for minute in minutes:
            self.open(forming(minute))
            self.update(forming(minute))
            self.close(closed(minute))


def forming(minute: int, price: float = 10.0) -> Bar:
    ts = minute * MINUTE
    return Bar(str(FEED), ts, ts + MINUTE, price, price, price, price, 1.0, 0.0, False, None)


def closed(minute: int, price: float = 10.0) -> Bar:
    return msgspec.structs.replace(forming(minute, price), is_closed=True, closed_by=ClosedBy.DECLARED)


def changed(bar: Bar, **changes: object) -> Bar:
    return msgspec.structs.replace(bar, **changes)


def quiet(minute: int, price: float = 10.0, *, is_closed: bool = True) -> Bar:
    return changed(
        forming(minute, price), volume=0.0, quality=Quality.QUIET, is_closed=is_closed,
        closed_by=ClosedBy.ELAPSED if is_closed else None,
    )  # fmt: skip


def gap(first: int, last: int) -> Gap:
    return Gap(str(FEED), first * MINUTE, last * MINUTE, "test")


def test_what_keeps_the_contract_passes_through() -> None:
    told = Told()
    told.warm(changed(closed(0), closed_by=ClosedBy.HISTORY))
    told.whole(1)
    told.open(quiet(2, is_closed=False))
    told.close(quiet(2))
    told.checker.gapped(gap(3, 5))
    told.whole(5)
    told.correct(changed(closed(5, 11.0), corrected=1), closed(5))
    told.correct(changed(closed(5, 12.0), corrected=2), changed(closed(5, 11.0), corrected=1))
    told.checker.refused("off_grid", BarUpdate(str(FEED), 1, 1.0, 1.0, 1.0, 1.0, 1.0))
    told.checker.counted("stale")
    told.checker.ask_history(0, 1)
    told.checker.rearmed(7)
    assert told.ear.heard == [
        "warmed",
        *("opened", "updated", "tallied", "closed"),
        *("opened", "tallied", "closed"),
        "gapped",
        *("opened", "updated", "tallied", "closed"),
        *("corrected", "corrected", "refused", "counted", "ask_history", "rearmed"),
    ]


def test_it_hears_everything_and_tells_what_is_wanted() -> None:
    told = Told(wants_all=False)
    told.whole(0)
    told.close(closed(1))
    assert (told.checker.tells_open, told.checker.tells_update, told.checker.stepwise) == (True, True, False)
    assert told.ear.heard == ["tallied", "closed", "tallied", "closed"]


def after(*minutes: int) -> Told:
    told = Told()
    told.whole(*minutes)
    return told


def with_open(bar: Bar) -> Told:
    told = Told()
    told.open(bar)
    return told


NAN, INF = float("nan"), float("inf")
C = ClosedBy
Q = Quality

BREACHES: dict[str, tuple[int, Callable[[], None]]] = {
    "two opens": (1, lambda: with_open(forming(0)).checker.opened(forming(1))),
    "the same bar twice": (1, lambda: after(0).open(forming(0))),
    "back in time": (1, lambda: after(5).open(forming(4))),
    "another feed": (1, lambda: after(0).open(changed(forming(1), feed="test:Y@1m"))),
    "a bar left out": (6, lambda: after(0).open(forming(2))),
    "off the grid": (9, lambda: Told().open(changed(forming(0), ts_open=1, ts_close=1 + MINUTE))),
    "a wrong end": (9, lambda: Told().open(changed(forming(0), ts_close=2 * MINUTE))),
    "open says closed": (1, lambda: Told().open(changed(forming(0), is_closed=True))),
    "open has a reason": (1, lambda: Told().open(changed(forming(0), closed_by=C.ELAPSED))),
    "open is corrected": (1, lambda: Told().open(changed(forming(0), corrected=1))),
    "NaN": (9, lambda: Told().open(changed(forming(0), close=NAN))),
    "infinite": (9, lambda: Told().open(changed(forming(0), high=INF))),
    "infinite turnover": (9, lambda: Told().open(changed(forming(0), turnover=INF))),
    "high below open": (9, lambda: Told().open(changed(forming(0), high=9.0))),
    "low above close": (9, lambda: Told().open(changed(forming(0), close=9.0))),
    "negative volume": (9, lambda: Told().open(changed(forming(0), volume=-1.0))),
    "window without the open bar": (7, lambda: Told().checker.opened(forming(0))),
    "update of another bar": (1, lambda: with_open(forming(0)).update(forming(1))),
    "update says closed": (1, lambda: with_open(forming(0)).update(changed(forming(0), is_closed=True))),
    "update of nonsense": (9, lambda: with_open(forming(0)).update(changed(forming(0), low=11.0))),
    "update of a quiet bar": (1, lambda: with_open(quiet(0, is_closed=False)).update(forming(0))),
    "window without the update": (7, lambda: with_open(forming(0)).checker.updated(forming(0, 11.0))),
    "closed twice": (1, lambda: after(0).close(closed(0))),
    "closed without open": (1, lambda: Told().close(closed(0))),
    "closed another": (1, lambda: with_open(forming(0)).close(closed(1))),
    "closed otherwise than told": (2, lambda: with_open(forming(0)).close(closed(0, 11.0))),
    "closed without a reason": (1, lambda: with_open(forming(0)).close(changed(closed(0), closed_by=None))),
    "closed but not closed": (1, lambda: with_open(forming(0)).close(changed(closed(0), is_closed=False))),
    "closed and corrected": (4, lambda: with_open(forming(0)).close(changed(closed(0), corrected=1))),
    "refilled without history": (6, lambda: with_open(forming(0)).close(changed(closed(0), quality=Q.REFILLED))),
    "sound by history": (6, lambda: with_open(forming(0)).close(changed(closed(0), closed_by=C.HISTORY))),
    "quiet but declared": (6, lambda: with_open(forming(0)).close(changed(closed(0), quality=Q.QUIET))),
}


def _breach(name: str, rule: int) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def add(breach: Callable[[], None]) -> Callable[[], None]:
        BREACHES[name] = (rule, breach)
        return breach

    return add


@_breach("update before open", 1)
def _update_before_open() -> None:
    Told().checker.updated(forming(0))


@_breach("update without a change", 2)
def _update_without_a_change() -> None:
    told = with_open(forming(0))
    told.update(forming(0))
    told.update(forming(0))


@_breach("tallied and not closed", 1)
def _tallied_and_not_closed() -> None:
    told = with_open(forming(0))
    told.checker.tallied(closed(0))
    told.checker.tallied(closed(0))


@_breach("tallied another", 1)
def _tallied_another() -> None:
    told = with_open(forming(0))
    told.checker.tallied(closed(0, 11.0))
    told.store.close(closed(0))
    told.checker.closed(closed(0))


@_breach("whole bars for one who wants steps", 1)
def _whole_but_stepwise() -> None:
    after(0).close(closed(1))


@_breach("a whole bar that elapsed", 1)
def _whole_but_elapsed() -> None:
    Told(wants_all=False).close(changed(closed(0), closed_by=C.ELAPSED))


@_breach("a whole bar out of place", 6)
def _whole_but_left_out() -> None:
    told = Told(wants_all=False)
    told.close(closed(0))
    told.close(closed(2))


@_breach("window without the closed bar", 7)
def _window_without_the_closed_bar() -> None:
    with_open(forming(0)).checker.closed(closed(0))


@_breach("a quiet bar elsewhere", 6)
def _quiet_elsewhere() -> None:
    told = after(0)
    told.open(quiet(1, 11.0, is_closed=False))
    told.close(quiet(1, 11.0))


@_breach("a quiet bar with volume", 6)
def _quiet_with_volume() -> None:
    told = after(0)
    told.open(changed(quiet(1, is_closed=False), volume=1.0))
    told.close(changed(quiet(1), volume=1.0))


@_breach("a correction of nothing", 4)
def _correction_of_nothing() -> None:
    after(0).correct(changed(closed(1), corrected=1), closed(1))


@_breach("a correction beyond the window", 4)
def _correction_beyond_the_window() -> None:
    after(0, 1, 2, 3).correct(changed(closed(0, 11.0), corrected=1), closed(0))


@_breach("a correction of the forming bar", 4)
def _correction_of_the_forming_bar() -> None:
    with_open(forming(0)).correct(changed(closed(0, 11.0), corrected=1), closed(0))


@_breach("another previous", 4)
def _another_previous() -> None:
    after(0).correct(changed(closed(0, 11.0), corrected=1), closed(0, 12.0))


@_breach("a correction not counted", 4)
def _correction_not_counted() -> None:
    after(0).correct(closed(0, 11.0), closed(0))


@_breach("a correction counted twice", 4)
def _correction_counted_twice() -> None:
    after(0).correct(changed(closed(0, 11.0), corrected=2), closed(0))


@_breach("a correction without a change", 2)
def _correction_without_a_change() -> None:
    after(0).correct(changed(closed(0), corrected=1), closed(0))


@_breach("a correction of the reason", 4)
def _correction_of_the_reason() -> None:
    after(0).correct(changed(closed(0, 11.0), corrected=1, closed_by=C.ELAPSED), closed(0))


@_breach("a correction to nonsense", 9)
def _correction_to_nonsense() -> None:
    after(0).correct(changed(closed(0), high=1.0, corrected=1), closed(0))


@_breach("a correction to quiet with volume", 6)
def _correction_to_quiet() -> None:
    after(0).correct(changed(closed(0, 11.0), quality=Q.QUIET, corrected=1), closed(0))


@_breach("window without the correction", 4)
def _window_without_the_correction() -> None:
    after(0).checker.corrected(changed(closed(0, 11.0), corrected=1), closed(0))


@_breach("a gap of another feed", 1)
def _gap_of_another_feed() -> None:
    after(0).checker.gapped(changed_gap(gap(1, 2), feed="test:Y@1m"))


@_breach("a gap over a closed bar", 6)
def _gap_over_a_closed_bar() -> None:
    after(0, 1).checker.gapped(gap(1, 3))


@_breach("a gap that leaves bars out", 6)
def _gap_too_late() -> None:
    after(0).checker.gapped(gap(2, 3))


@_breach("a gap before the first bar", 6)
def _gap_before_the_first_bar() -> None:
    Told().checker.gapped(gap(0, 1))


@_breach("a gap over the forming bar", 6)
def _gap_over_the_forming_bar() -> None:
    with_open(forming(0)).checker.gapped(gap(0, 1))


@_breach("an empty gap", 6)
def _empty_gap() -> None:
    after(0).checker.gapped(gap(1, 1))


@_breach("a gap off the grid", 6)
def _gap_off_the_grid() -> None:
    after(0).checker.gapped(changed_gap(gap(1, 2), ts_to=2 * MINUTE + 1))


@_breach("a bar in the gap", 6)
def _bar_in_the_gap() -> None:
    told = after(0)
    told.checker.gapped(gap(1, 4))
    told.open(forming(3))


@_breach("warm-up after the start", 7)
def _warm_up_after_the_start() -> None:
    after(0).warm(changed(closed(1), closed_by=C.HISTORY))


@_breach("warm-up out of order", 7)
def _warm_up_out_of_order() -> None:
    told = Told()
    told.warm(changed(closed(1), closed_by=C.HISTORY))
    told.warm(changed(closed(1), closed_by=C.HISTORY))


@_breach("warm-up not by history", 7)
def _warm_up_not_by_history() -> None:
    Told().warm(closed(0))


@_breach("a hole behind the warm-up", 6)
def _hole_behind_the_warm_up() -> None:
    told = Told()
    told.warm(changed(closed(0), closed_by=C.HISTORY))
    told.open(forming(2))


@_breach("history asked for nothing", 6)
def _history_asked_for_nothing() -> None:
    Told().checker.ask_history(5, 5)


@_breach("refused without a reason", 9)
def _refused_without_a_reason() -> None:
    Told().checker.refused("", BarUpdate(str(FEED), 0, 1.0, 1.0, 1.0, 1.0, 1.0))


def changed_gap(whole: Gap, **changes: object) -> Gap:
    return msgspec.structs.replace(whole, **changes)


@pytest.mark.parametrize("name", BREACHES)
def test_every_breach_is_caught(name: str) -> None:
    rule, breach = BREACHES[name]
    with pytest.raises(ContractError, match=rf"^test:X-USD@1m .*breaks rule {rule} of the bar contract: "):
        breach()


def test_the_error_names_feed_bar_and_rule() -> None:
    with pytest.raises(ContractError) as caught:
        after(0).open(forming(2))
    assert str(caught.value) == (
        "test:X-USD@1m 1970-01-01T00:02:00Z breaks rule 6 of the bar contract: "
        "1970-01-01T00:01:00Z was expected: neither bar nor gap"
    )


def test_derived_bars_may_close_by_any_reason_and_begin_after_a_hole_of_the_warm_up() -> None:
    told = Told(FeedSpec(feed=FEED, grid=SPEC.grid, source=Source.DERIVED, base="test:X-USD@1s"))
    told.warm(changed(closed(0), closed_by=C.HISTORY))
    told.open(forming(4))
    told.close(changed(closed(4), quality=Q.REFILLED))
    with pytest.raises(ContractError, match="breaks rule 6"):
        told.open(forming(6))
