"""Which topics a run needs, spread over connections, packed into subscribe requests. Floor 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from barbot.model.instrument import FeedId
from barbot.providers.base import ConnectionPlan
from barbot.providers.kucoin.venue import Kind, Venue

ITEMS_PER_REQUEST: Final = 100


class _Subscribe(msgspec.Struct, rename="camel", tag_field="type", tag="subscribe"):
    id: str
    topic: str
    private_channel: bool = False
    response: bool = True


def topics_of(venue: Venue, plan: ConnectionPlan) -> list[str]:
    """Return the single topics of a connection, the way its pushes name them."""
    feeds = [FeedId.parse(feed) for feed in plan.feeds]
    candles = venue.topic_family(Kind.CANDLES)
    found = [f"{candles}:{feed.symbol}_{venue.intervals[str(feed.interval)]}" for feed in feeds]
    for kind, instruments in ((Kind.TRADES, plan.trades), (Kind.QUOTES, plan.quotes)):
        family = venue.topic_family(kind)
        found += [f"{family}:{instrument.partition(':')[2]}" for instrument in instruments]
    return found


def subscribe_requests(topics: Sequence[str]) -> list[str]:
    """Return the frames that subscribe `topics`, as comma lists; the ids read `1/3`, `2/3`, `3/3`.

    An id that says how many there are lets a decoder tell from the acks alone when all subscriptions stand.
    """
    families: dict[str, list[str]] = {}
    for topic in topics:
        family, _, item = topic.partition(":")
        families.setdefault(family, []).append(item)
    lists = [
        f"{family}:{','.join(items[begin : begin + ITEMS_PER_REQUEST])}"
        for family, items in families.items()
        for begin in range(0, len(items), ITEMS_PER_REQUEST)
    ]
    count = len(lists)
    return [
        msgspec.json.encode(_Subscribe(f"{number}/{count}", topic)).decode() for number, topic in enumerate(lists, 1)
    ]


def spread(
    name: str, feeds: Sequence[str], trades: Sequence[str], quotes: Sequence[str], *, topics_each: int
) -> list[ConnectionPlan]:
    """Fill one connection after another with up to `topics_each` topics; an instrument is never torn apart."""
    wanted: dict[str, tuple[list[str], list[str], list[str]]] = {}
    for feed in dict.fromkeys(feeds):
        wanted.setdefault(FeedId.parse(feed).instrument, ([], [], []))[0].append(feed)
    for instrument in dict.fromkeys(trades):
        wanted.setdefault(instrument, ([], [], []))[1].append(instrument)
    for instrument in dict.fromkeys(quotes):
        wanted.setdefault(instrument, ([], [], []))[2].append(instrument)
    loads: list[list[tuple[list[str], list[str], list[str]]]] = []
    free = 0
    for parts in wanted.values():
        size = sum(map(len, parts))
        if size > free:
            loads.append([])
            free = topics_each
        loads[-1].append(parts)
        free -= size
    return [
        ConnectionPlan(
            name=f"{name}-{number}",
            feeds=tuple(feed for parts in load for feed in parts[0]),
            trades=tuple(instrument for parts in load for instrument in parts[1]),
            quotes=tuple(instrument for parts in load for instrument in parts[2]),
        )
        for number, load in enumerate(loads, 1)
    ]
