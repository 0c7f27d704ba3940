"""Incremental indicators: O(1) a bar, forming-aware, with TA-Lib's semantics. Floor 2.

Every indicator keeps the contract of `Indicator`: `update` takes a closed bar, `peek` shows the values as if the
forming bar closed now and disturbs nothing, `snapshot` and `restore` take it back to a closed bar so that a
corrected bar can be fed again. Values are NaN until `ready`. Seeding and lookback are TA-Lib's with its default
settings (unstable period 0), so the numbers are those a trader compares with. They read bars and keep none.

What this is not: no vectorised form (the columns of `History` go to TA-Lib or numpy as they are), and no
indicator of another indicator.
"""

from barbot.core.indicators.averages import EMA, SMA, VWAP, WMA
from barbot.core.indicators.bands import BollingerBands, Highest, Lowest, StdDev
from barbot.core.indicators.contract import Indicator, Source, State
from barbot.core.indicators.oscillators import MACD, ROC, RSI, Stochastic
from barbot.core.indicators.ranges import ADX, ATR

__all__ = [
    "ADX",
    "ATR",
    "EMA",
    "MACD",
    "ROC",
    "RSI",
    "SMA",
    "VWAP",
    "WMA",
    "BollingerBands",
    "Highest",
    "Indicator",
    "Lowest",
    "Source",
    "State",
    "StdDev",
    "Stochastic",
]
