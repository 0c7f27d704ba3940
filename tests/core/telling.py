"""What the engine's tests share: feeds, data, and a strategy that writes down what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from barbot.core.history import History
from barbot.core.spec import FeedSpec, Grace, Source
from barbot.core.strategy import Strategy
from barbot.model.instrument import FeedId
from barbot.model.market import Bar, BarUpdate, Connected, Disconnected, Gap, MarketEvent, Quote, Trade
from barbot.model.order import Fill, Order
from barbot.timing.interval import MINUTE, SECOND
from barbot.timing.sessions import grid_for

if TYPE_CHECKING:
    from tests.core.conftest import House

Stamped: TypeAlias = tuple[int, MarketEvent]

T0: Final = 1_767_571_200_000_000_000
"""2026-01-05T00:00:00Z, a Monday."""
A, B = "sim:A", "sim:B"
A1, A5, B1 = "sim:A@1m", "sim:A@5m", "sim:B@1m"
GRACE: Final = Grace(2 * SECOND, 2 * SECOND, 2 * SECOND)


def spec(
    feed: str,
    source: Source = Source.CANDLES,
    *,
    base: str = "",
    hidden: bool = False,
    history: bool = False,
    window: int = 200,
) -> FeedSpec:
    known = FeedId.parse(feed)
    return FeedSpec(
        feed=known,
        grid=grid_for("24/7", known.interval),
        source=source,
        base=base,
        is_hidden=hidden,
        grace=GRACE,
        has_history=history,
        warmup_bars=3,
        window=window,
    )


def trade(price: float, ts: int, *, sequence: int = -1, instrument: str = A) -> Trade:
    return Trade(instrument, price, 1.0, ts, sequence, "", None, ts)


def bar(minute: int, price: float, feed: str = A1) -> Bar:
    ts_open = T0 + minute * MINUTE
    return Bar(feed, ts_open, ts_open + MINUTE, price, price, price, price, 1.0)


def candle(minute: int, price: float, *, closed: bool = False, volume: float = 1.0, feed: str = A1) -> BarUpdate:
    return BarUpdate(feed, T0 + minute * MINUTE, price, price, price, price, volume, is_closed=closed)


class Teller(Strategy):
    """Writes down every call: the time, the hook, and what it was given."""

    feeds = [A1]

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def tell(self, hook: str, *what: object) -> None:
        self.told.append(((self.now - T0) / SECOND, hook, *what))

    def on_start(self) -> None:
        self.tell("start")

    def on_bar_open(self, bar: Bar, history: History) -> None:
        assert history[-1] is bar
        self.tell("open", bar.close)

    def on_bar_update(self, bar: Bar, history: History) -> None:
        assert history[-1] is bar
        self.tell("update", bar.close)

    def on_bar_close(self, bar: Bar, history: History) -> None:
        assert history[-1] is bar
        assert bar.closed_by is not None
        self.tell("close", bar.close, bar.closed_by.name, bar.quality.name)

    def on_bar_correct(self, bar: Bar, previous: Bar, history: History) -> None:
        assert bar in list(history)
        self.tell("correct", previous.close, bar.close)

    def on_gap(self, gap: Gap) -> None:
        self.tell("gap", (gap.ts_from - T0) / MINUTE, (gap.ts_to - T0) / MINUTE)

    def on_trade(self, trade: Trade) -> None:
        self.tell("trade", trade.price)

    def on_quote(self, quote: Quote) -> None:
        self.tell("quote", quote.bid)

    def on_connection(self, event: Connected | Disconnected) -> None:
        self.tell(type(event).__name__)

    def on_order(self, order: Order) -> None:
        self.tell("order", order.side.name, order.status.name)

    def on_fill(self, fill: Fill) -> None:
        self.tell("fill", float(fill.price), float(self.position))

    def on_stop(self) -> None:
        self.tell("stop")


def told(house: House) -> list[tuple[object, ...]]:
    assert isinstance(house.strategy, Teller)
    return house.strategy.told
