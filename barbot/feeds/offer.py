"""Whether files hold what is wanted, and under which names they will be served. Floor 3."""

from __future__ import annotations

from collections.abc import Sequence

from barbot.errors import FeedError
from barbot.feeds.bind import Bound
from barbot.feeds.options import Kind
from barbot.model.instrument import FeedId
from barbot.timing.interval import Interval


def offered(bound: Sequence[Bound]) -> dict[str, list[Interval | None]]:
    """Return by instrument the bar lengths that files have of it, None standing for trades or quotes.

    A file with a symbol column may have more instruments than its first rows show: one that no file has shown
    is taken to be in each of those.
    """
    shown = {name for _, seen, _ in bound for name in seen}
    offers: dict[str, list[Interval | None]] = {}
    for source, seen, _ in bound:
        for name in source.symbols.instruments:
            have = offers.setdefault(name, [])
            if (name in seen or name not in shown) and source.interval not in have:
                have.append(source.interval)
    return offers


def check_wanted(bound: Sequence[Bound], wanted: Sequence[FeedId]) -> None:
    """Pass if every wanted feed is in a file, or can be built from what is.

    Raises:
        FeedError: one is not.
    """
    offers = offered(bound)
    where = ", ".join(source.table.path for source, _, _ in bound[:3]) + (", ..." if len(bound) > 3 else "")
    for feed in wanted:
        have = offers.get(feed.instrument)
        if not have:
            raise FeedError(
                f"holds nothing of {feed.instrument}",
                where=where,
                remedy=f"Name a file for it: {feed.instrument}=FILE",
            )
        if not any(one is None or one == feed.interval or one.divides(feed.interval) for one in have):
            lengths = ", ".join(str(one) for one in have)
            raise FeedError(
                f"{feed} cannot be built from bars of {lengths}",
                where=where,
                remedy=f"Give a file of {feed.interval} or of a length that divides it, or subscribe to {have[0]}",
            )


def bar_feeds(bound: Sequence[Bound]) -> list[FeedId]:
    """Return the feeds of bars that come, each once, in the order of the files."""
    offers = offered(bound)
    found = []
    for source, _, _ in bound:
        for name in source.symbols.instruments:
            if source.interval is not None and source.interval in offers[name]:
                provider, _, symbol = name.partition(":")
                found.append(FeedId(provider, symbol, source.interval))
    return list(dict.fromkeys(found))


def tick_instruments(bound: Sequence[Bound], kind: Kind) -> list[str]:
    """Return the instruments that come as trades or as quotes, each once."""
    shown = {name for _, seen, _ in bound for name in seen}
    names = (
        name
        for source, seen, _ in bound
        if source.kind is kind
        for name in source.symbols.instruments
        if name in seen or name not in shown
    )
    return list(dict.fromkeys(names))
