"""NAME: say in one line what the strategy does.

barbot run PATH --feed FILE
"""

from barbot import EMA, Bar, History, Strategy


class NewStrategy(Strategy):
    """Long while the close is above its average, flat otherwise."""

    feeds = ["kucoin:BTC-USDT@1m"]

    length: int = 20
    quantity: float = 0.01

    def on_start(self) -> None:
        self.average = self.indicator(EMA(self.length))

    def on_bar_close(self, bar: Bar, history: History) -> None:
        if not self.average.ready:
            return
        above = bar.close > self.average.value
        if above and not self.position:
            self.buy(self.quantity)
        elif not above and self.position:
            self.close()
