"""Which topics there are and how a request names them. Floor 4."""

from __future__ import annotations

from typing import Final

FAMILIES: Final = frozenset(
    {
        "/market/candles",
        "/market/match",
        "/market/ticker",
        "/market/snapshot",
        "/market/level2",
        "/spotMarket/level1",
        "/spotMarket/level2Depth5",
        "/spotMarket/level2Depth50",
        "/contractMarket/limitCandle",
        "/contractMarket/execution",
        "/contractMarket/tickerV2",
        "/contractMarket/ticker",
        "/contractMarket/snapshot",
        "/contractMarket/level2",
        "/contractMarket/level2Depth5",
        "/contractMarket/level2Depth50",
        "/contract/instrument",
    }
)
"""What is acknowledged. Candles, trades and tickers are served; of the others nothing comes, as of a symbol that
does not exist."""

PRIVATE: Final = frozenset(
    {
        "/spotMarket/tradeOrdersV2",
        "/spotMarket/advancedOrders",
        "/account/balance",
        "/contractMarket/tradeOrders",
        "/contractAccount/wallet",
        "/contract/position",
        "/contract/positionAll",
    }
)
"""What only a private token may subscribe to; nothing happens on such an account."""


def split_topic(topic: str) -> tuple[str, list[str]]:
    """Return the family of a topic and its items: `/market/candles:A_1min,B_5min` names two."""
    family, colon, items = topic.partition(":")
    return family, items.split(",") if colon else [""]
