"""Two ways to drive an engine, and any way to cut its events into steps, come to the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from hypothesis import given
from hypothesis import strategies as st

from barbot.core.history import History
from barbot.core.indicators import SMA
from barbot.core.spec import Source
from barbot.core.strategy import Strategy
from barbot.model.market import (
    Bar,
    Connected,
    Disconnected,
    Heartbeat,
    MarketEvent,
    Quote,
    Trade,
)
from barbot.model.order import Fill, Order, OrderStatus
from barbot.timing.interval import MINUTE, SECOND
from tests.core.telling import (
    A1,
    A5,
    B1,
    T0,
    A,
    B,
    Stamped,
    Teller,
    bar,
    candle,
    spec,
    told,
    trade,
)

if TYPE_CHECKING:
    from tests.core.conftest import House

# -- two ways to drive it -------------------------------------------------------------------------------


class Actor(Teller):
    """Orders, cancels and changes its mind by what it sees, and in every kind of hook."""

    feeds = [A1, A5, B1]

    def on_start(self) -> None:
        super().on_start()
        self.average = self.indicator(SMA(2))

    def act(self, number: float) -> None:
        choice = int(number * 10) % 7
        self.tell("average", str(self.average.value))
        if choice == 0:
            self.buy(1)
        elif choice == 1:
            self.sell(1, limit=number + 1)
        elif choice == 2:
            self.close()
        elif choice == 3 and self.orders:
            self.cancel(self.orders[0])
        elif choice == 4:
            self.order_target(2)

    def on_bar_close(self, bar: Bar, history: History) -> None:
        super().on_bar_close(bar, history)
        self.act(bar.close + bar.ts_open // MINUTE / 10)

    def on_trade(self, trade: Trade) -> None:
        super().on_trade(trade)
        self.act(trade.price)

    def on_order(self, order: Order) -> None:
        super().on_order(order)
        if order.status is OrderStatus.FILLED and order.tag != "again":
            self.sell(1, tag="again")


class Careful(Actor):
    """The same with no hook but the close: whole bars take the short way."""

    on_bar_open = Strategy.on_bar_open
    on_bar_update = Strategy.on_bar_update
    on_trade = Strategy.on_trade


PAUSES: Final = st.sampled_from([0, 0, 1, SECOND, 19 * SECOND, 31 * SECOND, MINUTE, 3 * MINUTE, 40 * MINUTE])
PRICES: Final = st.integers(80, 120).map(lambda tenths: tenths / 10)
WHOLE: Final = ("trade", "trade", "late", "whole", "whole", "quote", "pong", "drop", "up")
FORMING: Final = (*WHOLE, "candle", "closed")
"""With candles too, while the paper venue has nothing to match: it wants to watch them from the first on."""


def happening(kind: str, now: int, price: float, number: int) -> MarketEvent:
    minute = (now - T0) // MINUTE
    match kind:
        case "trade":
            return trade(price, now, sequence=number)
        case "late":
            return trade(price, max(T0, now - 40 * SECOND), sequence=number)
        case "candle":
            return candle(minute, price, volume=number + 1.0, feed=B1)
        case "closed":
            return candle(minute - 1, price, closed=True, volume=number + 1.0, feed=B1)
        case "whole":
            return bar(minute - 1, price, B1)
        case "quote":
            return Quote(A, price, price + 1, ts_recv=now)
        case "pong":
            return Heartbeat("c", now)
        case "drop":
            return Disconnected("c", now)
    return Connected("c", now, (A1, B1))


@st.composite
def tapes(draw: st.DrawFn, kinds: Sequence[str] = WHOLE) -> list[Stamped]:
    """Return events in order of time: trades of A, candles and whole bars of B, signs of life and drops."""
    now = T0
    tape: list[Stamped] = [(T0, happening("up", T0, 0.0, 0))]
    for number, (pause, kind, price) in enumerate(
        draw(st.lists(st.tuples(PAUSES, st.sampled_from(kinds), PRICES), max_size=20))
    ):
        now += pause
        tape.append((now, happening(kind, now, price, number)))
    return tape


def actors(house_of: type[House], strategy: type[Strategy] = Actor, *, check: bool = True) -> House:
    specs = (spec(A1, Source.TRADES), spec(B1), spec(A5, Source.DERIVED, base=A1))
    return house_of(strategy, *specs, prices={A: "trades", B: B1}, check=check)


@given(tapes(), st.sampled_from([Actor, Careful]), st.booleans())
def test_advancing_is_stepping(
    house_of: type[House], tape: list[Stamped], strategy: type[Strategy], check: bool
) -> None:
    stepped, advanced = actors(house_of, strategy, check=check), actors(house_of, strategy, check=check)
    stepped.route(stepped.engine.start(T0), T0)
    for now, event in tape:
        stepped.step(now, event)
    advanced.route(advanced.engine.start(T0), T0)
    advanced.advance(tape)
    for house in (stepped, advanced):
        house.step(tape[-1][0])
        house.engine.stop(tape[-1][0])
    assert advanced.audit == stepped.audit
    assert told(advanced) == told(stepped)
    assert advanced.left == stepped.left
    assert advanced.curve == stepped.curve


@given(tapes(FORMING), st.booleans())
def test_how_a_moment_is_cut_into_steps_changes_nothing(
    house_of: type[House], tape: list[Stamped], check: bool
) -> None:
    class Watcher(Teller):
        feeds = [A1, A5, B1]

    single, grouped, alone = (actors(house_of, Watcher, check=check) for _ in range(3))
    for house in (single, grouped, alone):
        house.engine.start(T0)
    for now, event in tape:
        single.step(now, event)
    for now, pairs in groupby(tape, key=itemgetter(0)):
        grouped.step(now, *(event for _, event in pairs))
    alone.venue.idle = True
    alone.advance(tape)
    for house in (single, grouped, alone):
        house.step(tape[-1][0])
    assert (told(grouped), grouped.audit) == (told(single), single.audit)
    assert (told(alone), alone.audit) == (told(single), single.audit)


@given(tapes(FORMING))
def test_a_driver_that_forgets_deadlines_gets_the_same_bars(house_of: type[House], tape: list[Stamped]) -> None:
    class Watcher(Teller):
        feeds = [A1, A5, B1]

    driven, forgetful = actors(house_of, Watcher), actors(house_of, Watcher)
    for house in (driven, forgetful):
        house.engine.start(T0)
    for now, event in tape:
        driven.step(now, event)
        forgetful.engine.step(now, (event,))
    assert told(forgetful) == told(driven)


@given(tapes(), st.sampled_from([Actor, Careful]))
def test_no_order_is_filled_by_the_event_that_caused_it(
    house_of: type[House], tape: list[Stamped], strategy: type[Strategy]
) -> None:
    house = actors(house_of, strategy)
    house.route(house.engine.start(T0), T0)
    created: dict[str, int] = {}
    for number, (now, event) in enumerate(tape):
        before = len(house.audit)
        house.step(now, event)
        for record in house.audit[before:]:
            if isinstance(record, Order) and record.status is OrderStatus.PENDING_NEW:
                created.setdefault(record.client_order_id, number)
            if isinstance(record, Fill):
                assert record.client_order_id in created
                order_age = now - next(
                    r.ts_created
                    for r in house.audit
                    if isinstance(r, Order) and r.client_order_id == record.client_order_id
                )
                assert created[record.client_order_id] < number or order_age > 0  # a deadline's order, overtaken


@given(tapes(), st.integers(1, 25))
def test_a_prefix_of_the_tape_gives_a_prefix_of_the_calls(
    house_of: type[House], tape: list[Stamped], length: int
) -> None:
    whole, part = actors(house_of), actors(house_of)
    for house, events in ((whole, tape), (part, tape[:length])):
        house.route(house.engine.start(T0), T0)
        house.advance(events)
    assert told(part) == told(whole)[: len(told(part))]
    assert part.audit == whole.audit[: len(part.audit)]
