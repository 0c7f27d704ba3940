"""Pair: two instruments that move together; hold the one that is cheap against the other.

    barbot run strategies/pair.py --feed examples/feeds/eth-btc-pair-1m.csv

Spot rules suffice: nothing is sold short, the position is switched from one to the other. A leg takes at most
half of the equity, so that it can be paid before the sale of the other one has come in.
"""

from collections import deque
from statistics import fmean, pstdev
from typing import Annotated

from pydantic import Field

from barbot import Bar, History, Strategy

FIRST = "kucoin:BTC-USDT"
SECOND = "kucoin:ETH-USDT"


class Pair(Strategy):
    """Hold the second when its price in the first is low by its z-score, the first when it is high."""

    feeds = [f"{FIRST}@1m", f"{SECOND}@1m"]

    bars: Annotated[int, Field(ge=10)] = 120
    threshold: Annotated[float, Field(gt=0)] = 2.0
    fraction: Annotated[float, Field(gt=0, le=0.48)] = 0.45

    def on_start(self) -> None:
        self.ratios: deque[float] = deque(maxlen=self.bars)

    def on_bar_close(self, bar: Bar, history: History) -> None:
        first, second = self.history(self.feeds[0]), self.history(self.feeds[1])
        if not len(first) or not len(second) or first[-1].ts_open != second[-1].ts_open:
            return  # the other bar of this minute is still to come, or missing
        ratio = second[-1].close / first[-1].close
        self.ratios.append(ratio)
        if len(self.ratios) < self.bars:
            return
        deviation = pstdev(self.ratios)
        score = (ratio - fmean(self.ratios)) / deviation if deviation else 0.0
        if score < -self.threshold:
            self.hold(SECOND, instead_of=FIRST)
        elif score > self.threshold:
            self.hold(FIRST, instead_of=SECOND)

    def hold(self, wanted: str, *, instead_of: str) -> None:
        """Switch, unless `wanted` is held already or on its way."""
        if not self.position_of(wanted) and not self.orders:
            self.close(instead_of)
            self.order_target_percent(self.fraction, instrument=wanted)
