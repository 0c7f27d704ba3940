"""barbot: exact, explained, replayable bars for trading bots. The public names, and the only import a user needs.

What costs time to load (numpy, pydantic) is loaded when a name that needs it is first asked for, so that
`import barbot` and `barbot --help` stay quick. Everything not named here may change without notice.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from barbot.errors import (
    BarbotError,
    ConfigError,
    ContractError,
    DecodeError,
    FeedError,
    JournalError,
    LinkLost,
    OrderInDoubt,
    ProviderError,
    StrategyError,
    VenueError,
)
from barbot.model.instrument import FeedId, Instrument
from barbot.model.market import (
    Bar,
    BarUpdate,
    ClosedBy,
    Connected,
    Disconnected,
    Gap,
    Quality,
    Quote,
    Side,
    Trade,
)
from barbot.model.order import Fill, Liquidity, Order, OrderStatus, OrderType, TimeInForce
from barbot.timing.interval import DAY, HOUR, MINUTE, SECOND, Interval

if TYPE_CHECKING:
    from barbot.core.history import History
    from barbot.core.indicators import (
        ADX,
        ATR,
        EMA,
        MACD,
        ROC,
        RSI,
        SMA,
        VWAP,
        WMA,
        BollingerBands,
        Highest,
        Indicator,
        Lowest,
        StdDev,
        Stochastic,
    )
    from barbot.core.strategy import Account, Strategy

__version__ = "0.1.0"

__all__ = [
    "ADX",
    "ATR",
    "DAY",
    "EMA",
    "HOUR",
    "MACD",
    "MINUTE",
    "ROC",
    "RSI",
    "SECOND",
    "SMA",
    "VWAP",
    "WMA",
    "Account",
    "Bar",
    "BarUpdate",
    "BarbotError",
    "BollingerBands",
    "ClosedBy",
    "ConfigError",
    "Connected",
    "ContractError",
    "DecodeError",
    "Disconnected",
    "FeedError",
    "FeedId",
    "Fill",
    "Gap",
    "Highest",
    "History",
    "Indicator",
    "Instrument",
    "Interval",
    "JournalError",
    "LinkLost",
    "Liquidity",
    "Lowest",
    "Order",
    "OrderInDoubt",
    "OrderStatus",
    "OrderType",
    "ProviderError",
    "Quality",
    "Quote",
    "Side",
    "StdDev",
    "Stochastic",
    "Strategy",
    "StrategyError",
    "TimeInForce",
    "Trade",
    "VenueError",
]

_INDICATORS: Final = (
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
    "StdDev",
    "Stochastic",
)
_LATER: Final = {
    "Account": "barbot.core.strategy",
    "History": "barbot.core.history",
    "Strategy": "barbot.core.strategy",
    **dict.fromkeys(_INDICATORS, "barbot.core.indicators"),
}
"""Where the names are that load numpy and pydantic."""

if not TYPE_CHECKING:  # a type checker that saw this would take every misspelt name for one

    def __getattr__(name: str) -> object:
        """Load what is asked for the first time."""
        if name not in _LATER:
            raise AttributeError(f"module 'barbot' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_LATER[name]), name)
        return value

    def __dir__() -> list[str]:
        """List the public names, loaded or not."""
        return sorted({*globals(), *__all__})
