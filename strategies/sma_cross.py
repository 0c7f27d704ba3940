"""SMA cross: the trend is up while the fast average is above the slow one.

barbot run strategies/sma_cross.py --feed examples/feeds/btc-usdt-1m.jsonl.zst
"""

from typing import Annotated

from pydantic import Field

from barbot import SMA, Bar, History, Strategy


class SmaCross(Strategy):
    """Long while the fast average is above the slow one, flat otherwise."""

    feeds = ["kucoin:BTC-USDT@1m"]

    fast: Annotated[int, Field(ge=1)] = 10
    slow: Annotated[int, Field(ge=2)] = 30
    quantity: Annotated[float, Field(gt=0)] = 0.1

    def on_start(self) -> None:
        self.fast_average = self.indicator(SMA(self.fast))
        self.slow_average = self.indicator(SMA(self.slow))

    def on_bar_close(self, bar: Bar, history: History) -> None:
        if not self.slow_average.ready:
            return
        above = self.fast_average.value > self.slow_average.value
        if above and not self.position:
            self.buy(self.quantity)
        elif not above and self.position:
            self.close()
