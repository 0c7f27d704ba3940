"""RSI mean reversion: what fell too fast tends to come back.

barbot run strategies/rsi_reversion.py --feed examples/feeds/eth-usdt-1h.csv
"""

from typing import Annotated

from pydantic import Field

from barbot import RSI, Bar, History, Strategy


class RsiReversion(Strategy):
    """Buy when the RSI is oversold, leave when it is back in the middle or after some bars in vain."""

    feeds = ["kucoin:ETH-USDT@1h"]

    period: Annotated[int, Field(ge=2)] = 14
    oversold: Annotated[float, Field(gt=0, lt=100)] = 30.0
    recovered: Annotated[float, Field(gt=0, lt=100)] = 55.0
    patience: Annotated[int, Field(ge=1)] = 48
    fraction: Annotated[float, Field(gt=0, le=1)] = 0.9

    def on_start(self) -> None:
        self.rsi = self.indicator(RSI(self.period))
        self.bars_held = 0

    def on_bar_close(self, bar: Bar, history: History) -> None:
        if not self.rsi.ready:
            return
        if not self.position:
            self.bars_held = 0
            if self.rsi.value < self.oversold:
                self.order_target_percent(self.fraction)
            return
        self.bars_held += 1
        if self.rsi.value > self.recovered or self.bars_held >= self.patience:
            self.close()
