"""What the engine refuses, and what becomes of hooks that raise or take long."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

import pytest

from barbot.core.audit import DataRefused, HookFailed, HookSlow
from barbot.core.desk import TradingDesk
from barbot.core.engine import Engine, EngineSettings
from barbot.core.history import History
from barbot.core.ledger import Ledger
from barbot.core.risk import RiskGate, RiskLimits
from barbot.core.spec import Source
from barbot.core.strategy import Strategy
from barbot.errors import ConfigError, ContractError, StrategyError
from barbot.model.market import (
    Bar,
    Disconnected,
    Gap,
    Heartbeat,
    HistoryBars,
    MarketEvent,
    Quote,
)
from barbot.model.order import Fill, Order
from barbot.timing.interval import MINUTE, SECOND
from tests.core.telling import (
    A1,
    A5,
    B1,
    T0,
    B,
    bar,
    candle,
    spec,
    trade,
)

if TYPE_CHECKING:
    from tests.core.conftest import House

P = ParamSpec("P")


# -- what cannot be -------------------------------------------------------------------------------------


class Watcher(Strategy):
    """Has one hook, which does nothing."""

    feeds = [A1]

    def on_bar_close(self, bar: Bar, history: History) -> None:
        pass


def test_a_derived_feed_comes_after_its_base(house_of: type[House]) -> None:
    with pytest.raises(ConfigError) as raised:
        house_of(Watcher, spec(A5, Source.DERIVED, base=A1), spec(A1))
    assert str(raised.value) == "sim:A@5m is derived from sim:A@1m, which is not subscribed before it"


def test_an_instrument_has_to_be_known() -> None:
    desk = TradingDesk({}, Ledger({}), RiskGate(RiskLimits()), prefix="t", fee_rate=Decimal(0))
    with pytest.raises(ConfigError) as raised:
        Engine(Watcher(), [spec(A1)], {}, desk, EngineSettings())
    assert str(raised.value) == "no instrument is known for sim:A@1m. Add it under [instruments]"


def test_what_nobody_subscribed_is_counted_and_audited_once(house_of: type[House]) -> None:
    house = house_of(Watcher, spec(A1))
    house.engine.start(T0)
    strangers: list[MarketEvent] = [
        bar(0, 1.0, B1),
        candle(0, 1.0, feed=B1),
        trade(1.0, T0, instrument=B),
        Quote(B, 1.0, 2.0),
        HistoryBars(B1, T0, T0 + MINUTE, ()),
        Heartbeat("nobody", T0),
        Disconnected("nobody", T0),
    ]
    for event in strangers:
        house.step(T0 + MINUTE, event)
    house.advance([(T0 + MINUTE, bar(1, 1.0, B1))])
    assert dict(house.engine.unknown) == {B1: 4, B: 2}
    assert house.audit == [
        DataRefused(B1, "not_subscribed", T0 + MINUTE, repr(strangers[0])),
        DataRefused(B, "not_subscribed", T0 + MINUTE, repr(strangers[2])),
    ]


def test_a_window_of_another_feed_is_refused_by_name(house_of: type[House]) -> None:
    house = house_of(Watcher, spec(A1))
    with pytest.raises(ConfigError) as raised:
        house.strategy.history(B1)
    assert str(raised.value) == "'sim:B@1m' is not subscribed. Add it to feeds; there are: sim:A@1m"


# -- hooks that raise, and hooks that take long ---------------------------------------------------------


def logged(hook: Callable[P, None]) -> Callable[P, None]:
    @wraps(hook)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        hook(*args, **kwargs)

    return wrapper


class Raising(Strategy):
    feeds = [A1]
    hook = ""

    def fail(self, hook: str) -> None:
        if self.hook == hook:
            raise ValueError("the user's own")

    @logged
    def on_start(self) -> None:
        self.fail("on_start")

    @logged
    def on_bar_open(self, bar: Bar, history: History) -> None:
        self.fail("on_bar_open")

    @logged
    def on_bar_close(self, bar: Bar, history: History) -> None:
        self.fail("on_bar_close")
        if not self.orders:
            self.buy(1)

    def on_bar_correct(self, bar: Bar, previous: Bar, history: History) -> None:
        self.fail("on_bar_correct")

    def _fail_at_gap(self, gap: Gap) -> None:
        self.fail("on_gap")

    on_gap = _fail_at_gap

    def on_order(self, order: Order) -> None:
        self.fail("on_order")

    def on_fill(self, fill: Fill) -> None:
        self.fail("on_fill")

    def on_stop(self) -> None:
        self.fail("on_stop")


def live_through(house: House) -> None:
    house.route(house.engine.start(T0), T0)
    house.step(T0, candle(0, 10.0))
    house.step(T0 + MINUTE, candle(1, 11.0))
    house.step(T0 + MINUTE + SECOND, candle(0, 9.0, volume=2.0))
    house.step(T0 + 9 * MINUTE, candle(9, 12.0))
    house.engine.stop(T0 + 9 * MINUTE)


@pytest.mark.parametrize(
    ("hook", "at"),
    [
        ("on_start", ""),
        ("on_bar_open", " at sim:A@1m 2026-01-05T00:00:00Z"),
        ("on_bar_close", " at sim:A@1m 2026-01-05T00:00:00Z"),
        ("on_bar_correct", " at sim:A@1m 2026-01-05T00:00:00Z"),
        ("on_gap", " at sim:A@1m 2026-01-05T00:01:00Z"),
        ("on_order", " at sim:A@1m 2026-01-05T00:01:00Z"),
        ("on_fill", " at sim:A@1m 2026-01-05T00:09:00Z"),
        ("on_stop", " at sim:A@1m 2026-01-05T00:09:00Z"),
    ],
)
def test_a_hook_that_raises_stops_the_run_and_is_named_with_its_bar(house_of: type[House], hook: str, at: str) -> None:
    house = house_of(type("Mine", (Raising,), {"hook": hook}), spec(A1))
    with pytest.raises(StrategyError) as raised:
        live_through(house)
    assert str(raised.value) == f"Mine.{hook}{at} raised ValueError: the user's own"
    assert isinstance(raised.value.__cause__, ValueError)


def test_a_hook_is_named_when_the_engine_advances_too(house_of: type[House]) -> None:
    house = house_of(type("Mine", (Raising,), {"hook": "on_bar_close"}), spec(A1), check=False)
    house.engine.start(T0)
    house.venue.idle = True
    with pytest.raises(StrategyError) as raised:
        house.advance([(T0 + MINUTE, bar(0, 10.0))])
    assert raised.value.hook == "on_bar_close"


def test_with_continue_a_hook_that_raises_is_audited_and_the_run_goes_on(house_of: type[House]) -> None:
    house = house_of(type("Mine", (Raising,), {"hook": "on_bar_close"}), spec(A1), on_error="continue")
    live_through(house)
    problem = "ValueError: the user's own"
    assert [record for record in house.audit if isinstance(record, HookFailed)] == [
        HookFailed("on_bar_close", f"at sim:A@1m 2026-01-05T00:00:00Z: {problem}", T0 + MINUTE),
        HookFailed("on_bar_close", f"at sim:A@1m 2026-01-05T00:01:00Z: {problem}", T0 + 2 * MINUTE + 2 * SECOND),
    ]


def test_a_breach_of_the_contract_stops_the_run_even_with_continue(house_of: type[House]) -> None:
    class Breach(Strategy):
        feeds = [A1]

        def on_bar_close(self, bar: Bar, history: History) -> None:
            raise ContractError("found inside a hook")

    house = house_of(Breach, spec(A1), on_error="continue")
    house.engine.start(T0)
    with pytest.raises(ContractError, match="found inside a hook"):
        house.step(T0 + MINUTE, bar(0, 10.0))


def test_a_hook_over_its_budget_is_audited(house_of: type[House]) -> None:
    ticks = iter([0.0, 0.01, 1.0, 1.051, 2.0, 2.05])
    house = house_of(Watcher, spec(A1), timer=lambda: next(ticks))
    house.engine.start(T0)
    for minute in range(3):
        house.step(T0 + (minute + 1) * MINUTE, bar(minute, 10.0))
    slow = [record for record in house.audit if isinstance(record, HookSlow)]
    assert [(s.hook, round(s.seconds, 6), s.ts) for s in slow] == [("on_bar_close", 0.051, T0 + 2 * MINUTE)]
