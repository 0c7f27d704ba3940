"""Breakout: buy strength the moment it shows, without waiting for the bar to close.

    barbot run strategies/breakout.py --feed examples/feeds/btc-usdt-1m.jsonl.zst

It acts inside the forming bar, so it needs a feed with updates: a journal, trades, or bars with --intrabar ohlc.
"""

from math import inf
from typing import Annotated

from pydantic import Field

from barbot import Bar, History, Strategy


class Breakout(Strategy):
    """Buy above the highest high of the last closed bars, leave below the lowest low of fewer of them."""

    feeds = ["kucoin:BTC-USDT@1m"]

    entry_bars: Annotated[int, Field(ge=1, le=200)] = 120
    exit_bars: Annotated[int, Field(ge=1, le=200)] = 60
    quantity: Annotated[float, Field(gt=0)] = 0.1

    def on_start(self) -> None:
        self.ceiling, self.floor = inf, 0.0

    def on_bar_open(self, bar: Bar, history: History) -> None:
        closed = history.closed  # the forming bar must not set the level that it has to break
        if len(closed) >= self.entry_bars:
            self.ceiling = closed.high[-self.entry_bars :].max()
            self.floor = closed.low[-self.exit_bars :].min()

    def on_bar_update(self, bar: Bar, history: History) -> None:
        # A target counts what is held and what is on its way, so asking again and again orders once.
        if bar.close > self.ceiling:
            self.order_target(self.quantity)
        elif bar.close < self.floor:
            self.close()
