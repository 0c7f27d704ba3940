"""Trend filter: two lengths of bars, the long one says whether, the short one says when.

barbot run strategies/trend_filter.py --feed examples/feeds/btc-usdt-1m.jsonl.zst
"""

from typing import Annotated

from pydantic import Field

from barbot import EMA, RSI, Bar, History, Strategy

ENTRY = "kucoin:BTC-USDT@1m"
TREND = "kucoin:BTC-USDT@15m"


class TrendFilter(Strategy):
    """In a rising 15-minute trend buy a dip of the 1-minute bars; leave when the trend is over."""

    feeds = [ENTRY, TREND]
    derive = True  # the 15-minute bars are built from the 1-minute ones

    trend_bars: Annotated[int, Field(ge=2)] = 12
    dip_bars: Annotated[int, Field(ge=2)] = 14
    dip: Annotated[float, Field(gt=0, lt=100)] = 40.0
    quantity: Annotated[float, Field(gt=0)] = 0.1

    def on_start(self) -> None:
        self.trend = self.indicator(EMA(self.trend_bars), TREND)
        self.rsi = self.indicator(RSI(self.dip_bars), ENTRY)

    def on_bar_close(self, bar: Bar, history: History) -> None:
        if bar.feed != ENTRY or not (self.trend.ready and self.rsi.ready):
            return
        rising = self.history(TREND).closed[-1].close > self.trend.value
        if rising and not self.position and self.rsi.value < self.dip:
            self.buy(self.quantity)
        elif not rising and self.position:
            self.close()
