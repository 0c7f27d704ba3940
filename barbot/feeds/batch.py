"""What a recorded feed hands to the driver: events with their stamps, a batch at a time. Floor 3."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from barbot.model.market import Bar, MarketEvent


class PathPoint(NamedTuple):
    """A moment inside a recorded bar, of which the file tells no more than four prices.

    `point` is 0 at the open, 1 at the first extreme and 2 at the second. Which of high and low comes first is
    for the driver to decide, by the open position; the closed `bar` itself follows at its `ts_close`.
    """

    bar: Bar
    point: int


FeedEvent: TypeAlias = MarketEvent | PathPoint
"""What a recorded column feed yields."""


class Batch(NamedTuple):
    """Events and the `now` of each; `stamps` never decrease, within a batch and from one to the next."""

    stamps: list[int]
    events: list[FeedEvent]
