"""The nine-trade tape of the bar contract has exactly its right answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from barbot.core.spec import FeedSpec, Grace, Source
from barbot.model.instrument import FeedId
from barbot.model.market import Bar, ClosedBy, Connected, Heartbeat, Quality, Trade
from barbot.timing.clock import parse_time
from barbot.timing.interval import DAY, MINUTE, SECOND
from barbot.timing.sessions import grid_for

if TYPE_CHECKING:
    from tests.core.conftest import Rig

FEED = FeedId.parse("test:X-USD@1m")
START = parse_time("2026-01-31")
MS = SECOND // 1000
GRACE = Grace(minimum=2 * SECOND, initial=2 * SECOND, maximum=2 * SECOND)


def trade(number: int, minute: int, ms: int, price: float) -> Trade:
    return Trade("test:X-USD", price, 1.0, START + minute * MINUTE + ms * MS, number)


TAPE = [
    trade(1, 0, 20_000, 100.0),
    trade(2, 0, 50_000, 101.0),
    trade(3, 1, 0, 102.0),
    Trade("test:X-USD", 103.0, 1.0, START + 2 * MINUTE - MS // 2, 4),
    trade(5, 2, 10_000, 104.0),
    trade(6, 1, 58_000, 90.0),
    trade(5, 2, 10_000, 104.0),
    trade(8, 5, 5_000, 105.0),
    Trade("test:X-USD", 106.0, 1.0, START + DAY + 5 * MINUTE + 5 * SECOND, 9),
]


def bar(
    minute: int,
    numbers: tuple[float, float, float, float, float, float],
    closed_by: ClosedBy | None,
    quality: Quality = Quality.OK,
    corrected: int = 0,
) -> Bar:
    ts_open = START + minute * MINUTE
    return Bar(
        str(FEED), ts_open, ts_open + MINUTE, *numbers, closed_by is not None, closed_by, quality, corrected
    )  # fmt: skip


def run(rig: type[Rig], *, tells: bool = True) -> Rig:
    """Play the tape with a ping every two seconds; a trade arrives when it is stamped, late ones behind the fifth."""
    spec = FeedSpec(feed=FEED, grid=grid_for("24/7", FEED.interval), source=Source.TRADES, grace=GRACE)
    desk = rig(spec, tells_open=tells, tells_update=tells)
    now = START + 20 * SECOND
    desk.step(now, Connected("c", now))
    for item in TAPE:
        while now + 2 * SECOND < item.ts_event:
            now += 2 * SECOND
            desk.step(now, Heartbeat("c", now))
        now = max(now, item.ts_event)
        desk.step(now, item)
    return desk


def test_the_tape_closes_as_the_contract_says(rig: type[Rig]) -> None:
    closes = run(rig).log.bars("close", "correct")
    quiet = (104.0, 104.0, 104.0, 104.0, 0.0, 0.0)
    superseded, elapsed = ClosedBy.SUPERSEDED, ClosedBy.ELAPSED
    assert closes[:7] == [
        bar(0, (100.0, 101.0, 100.0, 101.0, 2.0, 201.0), superseded, Quality.PARTIAL),
        bar(1, (102.0, 103.0, 102.0, 103.0, 2.0, 205.0), elapsed),
        bar(1, (102.0, 103.0, 90.0, 103.0, 3.0, 295.0), elapsed, corrected=1),
        bar(2, (104.0, 104.0, 104.0, 104.0, 1.0, 104.0), elapsed),
        bar(3, quiet, elapsed, Quality.QUIET),
        bar(4, quiet, elapsed, Quality.QUIET),
        bar(5, (105.0, 105.0, 105.0, 105.0, 1.0, 105.0), elapsed),
    ]
    rest = (105.0, 105.0, 105.0, 105.0, 0.0, 0.0)
    assert closes[7:] == [bar(minute, rest, elapsed, Quality.QUIET) for minute in range(6, 24 * 60 + 5)]


def test_the_next_day_is_its_own_bar(rig: type[Rig]) -> None:
    expected = bar(24 * 60 + 5, (106.0, 106.0, 106.0, 106.0, 1.0, 106.0), None)
    desk = run(rig)
    assert [told[1:] for told in desk.log.told[-2:]] == [("open", expected), ("update", expected)]
    assert desk.store.bars[-1] == expected


def test_every_transition_of_the_first_minutes(rig: type[Rig]) -> None:
    desk = run(rig)
    told = [
        ((now - START) / SECOND, kind, (what.ts_open - START) // MINUTE)
        for now, kind, what in desk.log.told
        if isinstance(what, Bar) and what.ts_open <= START + 5 * MINUTE
    ]
    assert told == [
        (20.0, "open", 0),
        (20.0, "update", 0),
        (50.0, "update", 0),
        (60.0, "close", 0),
        (60.0, "open", 1),
        (60.0, "update", 1),
        (119.9995, "update", 1),
        (122.0, "close", 1),
        (130.0, "open", 2),
        (130.0, "update", 2),
        (130.0, "correct", 1),
        (182.0, "close", 2),
        (242.0, "open", 3),
        (242.0, "close", 3),
        (302.0, "open", 4),
        (302.0, "close", 4),
        (305.0, "open", 5),
        (305.0, "update", 5),
        (362.0, "close", 5),
    ]
    assert desk.log.counts == {"duplicate": 1}


def test_nothing_depends_on_who_listens(rig: type[Rig]) -> None:
    assert run(rig, tells=False).log.bars("close", "correct") == run(rig).log.bars("close", "correct")
