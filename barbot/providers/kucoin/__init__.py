"""KuCoin, spot and futures: public market data over the classic protocol. Floor 3.

    venue.py       how spot and futures differ: paths, topics, intervals, page sizes
    messages.py    the wire: JSON to typed records to market events
    rest.py        HTTP answers: envelope, errors, token, clock, symbols
    history.py     pages of candles, from address to `HistoryBars`
    topics.py      which topics a run needs, spread over connections and requests
    connection.py  the state machine of one connection, which is also its decoder
    adapter.py     one run: startup, plan, dial

The records below load no codec until a codec or an adapter is made. What is known of the venue, and how, is
in README.md beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from barbot.providers.base import Adapter, Decoder, Grace, LabelSide, Provider, Sends, Silence
from barbot.providers.kucoin import venue
from barbot.providers.limits import RateLimit
from barbot.timing.interval import Interval


def _make_decoder(connection: str, feeds: tuple[str, ...]) -> Decoder:
    from barbot.providers.kucoin.connection import KuCoinConnection

    return KuCoinConnection(venue.SPOT, connection, feeds)


def _make_futures_decoder(connection: str, feeds: tuple[str, ...]) -> Decoder:
    from barbot.providers.kucoin.connection import KuCoinConnection

    return KuCoinConnection(venue.FUTURES, connection, feeds)


def _make_adapter(settings: Mapping[str, object], feeds: tuple[str, ...], endpoint: str) -> Adapter:
    from barbot.providers.kucoin.adapter import KuCoinAdapter

    return KuCoinAdapter(PROVIDER, venue.SPOT, settings, feeds, endpoint)


def _make_futures_adapter(settings: Mapping[str, object], feeds: tuple[str, ...], endpoint: str) -> Adapter:
    from barbot.providers.kucoin.adapter import KuCoinAdapter

    return KuCoinAdapter(FUTURES, venue.FUTURES, settings, feeds, endpoint)


PROVIDER: Final = Provider(
    name="kucoin",
    title="KuCoin spot",
    intervals=tuple(map(Interval.parse, venue.SPOT.intervals)),
    label=LabelSide.OPEN,
    declares_close=False,
    sends=Sends.BOTH,
    has_history=True,
    silence=Silence.LATE,
    heartbeat_s=9.0,  # half of the pingInterval that the token's answer names
    max_subscriptions=300,
    zone="UTC",
    # a trade is pushed 0.9 to 1.6 s after it happened: a shorter grace would close bars before their last trade
    grace=Grace(minimum_s=2.0, initial_s=5.0, maximum_s=15.0),
    settle_s=0.0,
    week_anchor=venue.SPOT.week_anchor,
    tells_connected=True,
    message_limit=venue.MESSAGE_LIMIT,
    dial_limit=RateLimit(30, 60.0),
    fetch_limit=RateLimit(190, 10.0),  # of 2,000 weight in 30 s at weight 3, and of 500 requests in 10 s at the CDN
    make_decoder=_make_decoder,
    make_adapter=_make_adapter,
)

FUTURES: Final = msgspec.structs.replace(
    PROVIDER,
    name="kucoin-futures",
    title="KuCoin futures",
    intervals=tuple(map(Interval.parse, venue.FUTURES.intervals)),
    week_anchor=venue.FUTURES.week_anchor,
    make_decoder=_make_futures_decoder,
    make_adapter=_make_futures_adapter,
)
