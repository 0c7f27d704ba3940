"""The bar contract as properties, over random tapes of candles and trades.

A tape is what one connection delivers: data late, reordered, twice or never, drops, silence, pings. What has to
come out is worked out here a second time, simply: sort, bucket, fold. The checker is installed throughout, so
every test here also holds rules 1, 2, 4, 6, 7 and 9 for every transition that is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.core.spec import FeedSpec, Grace, Source
from barbot.model.instrument import FeedId
from barbot.model.market import (
    Bar,
    BarUpdate,
    ClosedBy,
    Connected,
    Disconnected,
    Heartbeat,
    HistoryBars,
    Quality,
    Trade,
)
from barbot.timing.clock import parse_time
from barbot.timing.interval import HOUR, MINUTE, SECOND
from barbot.timing.sessions import Grid, grid_for

if TYPE_CHECKING:
    from tests.core.conftest import Event, Rig

MS = SECOND // 1000
FEED = FeedId.parse("test:X-USD@1m")
CLOCK = grid_for("24/7", FEED.interval)
START = parse_time("2026-01-30T03:55:00Z")
"""Five minutes before Hong Kong's lunch break, so that a session tape crosses it."""
FIXED = Grace(minimum=2 * SECOND, initial=2 * SECOND, maximum=2 * SECOND)
PING = 20 * SECOND


class Tape(NamedTuple):
    """What arrives, in order, and the trades among it."""

    steps: list[tuple[int, Event]]
    delivered: list[Trade]


Numbers = tuple[float, float, float, float, float, float]


# -- the second opinion -----------------------------------------------------------------------------------


def fold(trades: Iterable[Trade]) -> Numbers:
    """Return open, high, low, close, volume and turnover of trades in any order."""
    ordered = sorted(trades, key=lambda trade: (trade.ts_event, trade.sequence))
    prices = [trade.price for trade in ordered]
    return (
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        fsum(trade.size for trade in ordered),
        fsum(trade.price * trade.size for trade in ordered),
    )


def bucket(trades: Iterable[Trade], grid: Grid) -> dict[int, Numbers]:
    """Return what the bars of these trades hold, by `ts_open`."""
    unique = {trade.sequence: trade for trade in trades}
    parts: dict[int, list[Trade]] = {}
    for trade in unique.values():
        ts_open = grid.floor(trade.ts_event)
        if ts_open is not None:
            parts.setdefault(ts_open, []).append(trade)
    return {ts_open: fold(part) for ts_open, part in parts.items()}


def numbers(bar: Bar | BarUpdate) -> Numbers:
    return bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover


# -- tapes ------------------------------------------------------------------------------------------------

GAPS_MS = st.sampled_from([0, 1, 7, 400, 2_000, 11_000, 29_999, 30_000, 60_000, 61_001, 200_000])
LATENCIES_MS = st.sampled_from([0, 0, 0, 1, 250, 1_999, 2_000, 2_001, 9_000, 70_000, 190_000])
PRICES = st.sampled_from([100.0, 100.1, 99.9, 101.3, 97.25, 0.1])
SIZES = st.sampled_from([1.0, 0.1, 0.2, 0.3, 1e-8, 12_345.678, 0.0])


@st.composite
def market(draw: st.DrawFn, max_trades: int = 25) -> list[Trade]:
    """Trades in the order of the venue, from some moment of the first minute on."""
    now = START + draw(st.sampled_from([0, 1, 20_000, 59_999])) * MS
    trades = []
    shape = st.tuples(GAPS_MS, PRICES, SIZES)
    for sequence, (gap, price, size) in enumerate(draw(st.lists(shape, min_size=1, max_size=max_trades)), start=1):
        now += gap * MS
        trades.append(Trade("test:X-USD", price, size, now, sequence))
    return trades


@st.composite
def drops(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Stretches without a connection: (from, to), in order, apart."""
    at, stretches = START, []
    for wait, down in draw(st.lists(st.tuples(GAPS_MS, GAPS_MS), max_size=3)):
        lost = at + (wait + 1) * MS
        at = lost + (down + 1) * MS
        stretches.append((lost, at))
    return stretches


@st.composite
def tapes(draw: st.DrawFn, *, candles: str = "", may_drop: bool = True, pings: bool | None = None) -> Tape:
    """What one connection delivers of a market: its trades, or the candles that a venue makes of them.

    `candles` is "open" for messages without a closed flag and "declared" for such as end with one.
    """
    trades = draw(market())
    lost = draw(drops()) if may_drop else []
    items = _candles(trades, CLOCK, declared=candles == "declared") if candles else [(t.ts_event, t) for t in trades]
    fates = draw(
        st.lists(st.tuples(LATENCIES_MS, st.sampled_from("-----2x")), min_size=len(items), max_size=len(items))
    )
    arrivals: list[tuple[int, Event]] = []
    for (stamp, item), (latency, fate) in zip(items, fates, strict=True):
        if fate != "x":
            arrivals.append((stamp + latency * MS, item))
        if fate == "2":
            arrivals.append((stamp + latency * MS + 3 * SECOND, item))
    end = max([stamp for stamp, _ in arrivals], default=START) + draw(st.sampled_from([0, 1, 90, 400])) * SECOND
    if pings if pings is not None else draw(st.booleans()):
        arrivals += [(at, Heartbeat("c", at)) for at in range(START, end + 1, PING)]
    arrivals = [(at, item) for at, item in arrivals if not any(gone <= at < back for gone, back in lost)]
    steps: list[tuple[int, Event]] = [(START, Connected("c", START))]
    for gone, back in lost:
        steps += [(gone, Disconnected("c", gone)), (back, Connected("c", back))]
    steps += arrivals
    steps.sort(key=lambda step: step[0])
    return Tape(steps, [item for _, item in steps if isinstance(item, Trade)])


def _candles(trades: Sequence[Trade], grid: Grid, *, declared: bool) -> list[tuple[int, Event]]:
    """Return a venue's candle messages: the full state after each trade, and after the end the last word."""
    messages: list[tuple[int, Event]] = []
    parts: dict[int, list[Trade]] = {}
    for trade in trades:
        ts_open = grid.floor(trade.ts_event)
        if ts_open is not None:
            part = parts.setdefault(ts_open, [])
            part.append(trade)
            messages.append((trade.ts_event, _candle(part, ts_open, trade.ts_event)))
    if declared:
        for ts_open, part in parts.items():
            end = grid.close_of(ts_open)
            messages.append((end, _candle(part, ts_open, end, is_closed=True)))
    return sorted(messages, key=lambda message: message[0])


def _candle(part: Sequence[Trade], ts_open: int, ts_event: int, *, is_closed: bool = False) -> BarUpdate:
    return BarUpdate(str(FEED), ts_open, *fold(part), is_closed, ts_event)


ANY = st.one_of(tapes(), tapes(candles="open"), tapes(candles="declared"))
UNBROKEN = st.one_of(*(tapes(may_drop=False, candles=candles) for candles in ("", "open", "declared")))
CANDLES = st.one_of(tapes(candles="open"), tapes(candles="declared"))


def _age(item: BarUpdate) -> tuple[int, bool, float, float, float]:
    return item.ts_event, item.is_closed, item.volume, item.high, -item.low


# -- playing ----------------------------------------------------------------------------------------------


def spec(
    source: Source = Source.TRADES, *, grace: Grace = FIXED, settle_ns: int = 0, grid: Grid = CLOCK, window: int = 200
) -> FeedSpec:
    return FeedSpec(feed=FEED, grid=grid, source=source, grace=grace, settle_ns=settle_ns, window=window)


def play(desk: Rig, tape: Tape) -> Rig:
    for now, item in tape.steps:
        desk.step(now, item)
    return desk


def source_of(tape: Tape) -> Source:
    return Source.TRADES if tape.delivered else Source.CANDLES


def times_of(tape: Tape, kind: type[Connected] | type[Disconnected]) -> list[int]:
    return [at for at, item in tape.steps if isinstance(item, kind)]


def lost_in_gaps(desk: Rig) -> list[tuple[int, int]]:
    """Return the spans for which the feed said that it has no bars: before the first one, and its gaps."""
    opens = [bar.ts_open for bar in desk.log.bars("open")]
    return [(0, opens[0] if opens else 2**63), *desk.log.gaps]


def forming(desk: Rig) -> list[Bar]:
    desk.store.refresh()
    return desk.store.bars[-1:] if desk.store.forming else []


# -- rules 2, 4, 5: what the bars hold --------------------------------------------------------------------


@given(
    tape=tapes(), data_first=st.booleans(), tells=st.booleans(), settle_ns=st.sampled_from([0, 0, 700 * MS, 5 * SECOND])
)
def test_bars_of_trades_are_the_bars_of_the_sorted_trades(
    rig: type[Rig], tape: Tape, data_first: bool, tells: bool, settle_ns: int
) -> None:
    desk = play(rig(spec(settle_ns=settle_ns), data_first=data_first, tells_open=tells, tells_update=tells), tape)
    held = [item for item in desk.tracker.held or () if isinstance(item, Trade)]
    truth = bucket([trade for trade in tape.delivered if trade not in held], CLOCK)
    told = {bar.ts_open: bar for bar in [*desk.store.bars[: desk.store.closed_count], *forming(desk)]}
    for ts_open, expected in truth.items():
        if ts_open in told:
            assert expected == numbers(told[ts_open])
            assert told[ts_open].quality is not Quality.QUIET
        else:
            assert any(begin <= ts_open < end for begin, end in lost_in_gaps(desk))
    assert {bar.quality for ts_open, bar in told.items() if ts_open not in truth} <= {Quality.QUIET}


@given(tape=tapes(may_drop=False, pings=True), order=st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing_in_the_end(rig: type[Rig], tape: Tape, order: object) -> None:
    first, *rest = tape.delivered or [Trade("test:X-USD", 1.0, 1.0, START, 1)]
    begin = min([first, *rest], key=lambda trade: trade.ts_event)
    late = max(trade.ts_event for trade in [first, *rest])
    order.shuffle(rest)  # type: ignore[attr-defined]  # hypothesis gives a random.Random, which we do not name
    desk = rig(spec())
    desk.step(START, Connected("c", START))
    for number, item in enumerate([begin, first, *rest]):
        desk.step(late + number, item)
    final = {
        bar.ts_open: numbers(bar)
        for bar in [*desk.log.final.values(), *forming(desk)]
        if bar.quality is not Quality.QUIET
    }
    assert bucket([begin, first, *rest], CLOCK) == final


@given(tape=CANDLES, settle_ns=st.sampled_from([0, 0, 700 * MS]), data_first=st.booleans())
def test_bars_of_candles_hold_the_newest_state(rig: type[Rig], tape: Tape, settle_ns: int, data_first: bool) -> None:
    desk = play(rig(spec(Source.CANDLES, settle_ns=settle_ns), data_first=data_first), tape)
    newest: dict[int, BarUpdate] = {}
    held = desk.tracker.held or ()
    for _, item in tape.steps:
        if isinstance(item, BarUpdate) and not any(item is one for one in held):
            known = newest.get(item.ts_open)
            if known is None or _age(item) >= _age(known):
                newest[item.ts_open] = item
    told = {bar.ts_open: bar for bar in [*desk.log.final.values(), *forming(desk)]}
    for ts_open, message in newest.items():
        if ts_open in told:
            assert numbers(message) == numbers(told[ts_open])
        else:
            assert any(begin <= ts_open < end for begin, end in lost_in_gaps(desk))
    assert {bar.quality for ts_open, bar in told.items() if ts_open not in newest} <= {Quality.QUIET}


# -- rule 3: when bars close ------------------------------------------------------------------------------


@given(tape=UNBROKEN)
def test_a_bar_closes_at_the_first_of_declared_superseded_and_elapsed(rig: type[Rig], tape: Tape) -> None:
    desk = play(rig(spec(source_of(tape))), tape)
    first_data: dict[int, int] = {}
    declared: dict[int, int] = {}
    for now, item in tape.steps:
        if isinstance(item, Trade | BarUpdate):
            ts_open = CLOCK.floor(item.ts_event) if isinstance(item, Trade) else item.ts_open
            assert ts_open is not None
            first_data.setdefault(ts_open, now)
            if isinstance(item, BarUpdate) and item.is_closed:
                declared.setdefault(ts_open, now)
    for now, kind, bar in desk.log.told:
        if kind != "close" or not isinstance(bar, Bar) or bar.quality is Quality.QUIET:
            continue
        later = [at for ts_open, at in first_data.items() if ts_open > bar.ts_open and at >= first_data[bar.ts_open]]
        elapsed = max(first_data[bar.ts_open], bar.ts_close + FIXED.initial)
        ends = [(elapsed, 3, ClosedBy.ELAPSED)]
        ends += [(min(later), 2, ClosedBy.SUPERSEDED)] if later else []
        ends += [(declared[bar.ts_open], 2, ClosedBy.DECLARED)] if bar.ts_open in declared else []
        at, _, reason = min(ends)
        assert at == now
        if [end[0] for end in ends].count(at) == 1:
            assert reason is bar.closed_by


@given(tape=ANY, data_first=st.booleans())
def test_what_is_over_is_closed(rig: type[Rig], tape: Tape, data_first: bool) -> None:
    desk = play(rig(spec(source_of(tape)), data_first=data_first), tape)
    assert desk.connection is not None
    if desk.connection.up_since is not None:
        end = desk.now + 1
        desk.step(end, Heartbeat("c", end))
        desk.step(end + 1)
        expected = [bar.ts_close for bar in forming(desk)]
        if not expected and desk.store.bars:
            expected = [CLOCK.close_of(desk.tracker.floor)]
        assert [ts_close for ts_close in expected if ts_close + FIXED.initial <= end] == []


# -- rule 6: quiet is not gap -----------------------------------------------------------------------------


@given(tape=st.one_of(tapes(), tapes(candles="open")), data_first=st.booleans())
def test_a_bar_is_quiet_only_with_proof_of_life(rig: type[Rig], tape: Tape, data_first: bool) -> None:
    desk = play(rig(spec(source_of(tape)), data_first=data_first), tape)
    ups, downs = times_of(tape, Connected), times_of(tape, Disconnected)
    for now, kind, bar in desk.log.told:
        if kind == "close" and isinstance(bar, Bar) and bar.quality is Quality.QUIET:
            arrivals = [
                at for at, item in tape.steps if bar.ts_close <= at <= now and not isinstance(item, Disconnected)
            ]
            assert arrivals != []
            assert max(at for at in ups if at <= arrivals[0]) <= bar.ts_open
            assert [at for at in downs if bar.ts_open < at < bar.ts_close] == []


@given(tape=tapes())
def test_a_bar_is_sound_only_if_the_connection_was_up_throughout(rig: type[Rig], tape: Tape) -> None:
    desk = play(rig(spec()), tape)
    ups, downs = times_of(tape, Connected), times_of(tape, Disconnected)
    for bar in desk.log.bars("close"):
        if bar.quality is Quality.OK:
            begun = max([at for at in ups if at <= bar.ts_open], default=None)
            assert begun is not None
            assert [at for at in downs if begun < at < bar.ts_close and at > bar.ts_open] == []


# -- how the tape is cut ----------------------------------------------------------------------------------


@given(tape=ANY, cuts=st.lists(st.booleans(), max_size=80))
def test_the_cut_into_reads_changes_nothing(rig: type[Rig], tape: Tape, cuts: list[bool]) -> None:
    """The same stamps in one step, in several, and with empty wake-ups between them."""
    one, other = play(rig(spec(source_of(tape))), tape), rig(spec(source_of(tape)))
    batch: list[Event] = []
    for position, (now, item) in enumerate(tape.steps):
        batch.append(item)
        following = tape.steps[position + 1][0] if position + 1 < len(tape.steps) else None
        cut = cuts[position] if position < len(cuts) else False
        if following != now or cut:
            other.step(now, *batch)
            batch.clear()
        if following is not None and following > now and cut:
            other.step((now + following) // 2)
    assert one.log.told == other.log.told
    assert one.log.counts == other.log.counts


# -- history ----------------------------------------------------------------------------------------------


class Venue:
    """A venue's history of a market: rows up to the newest trade at the moment of the answer."""

    def __init__(
        self, trades: Sequence[Trade], *, delay_ns: int = 0, lacks: frozenset[int] = frozenset(), mood: str = ""
    ) -> None:
        self.trades = trades
        self.delay_ns = delay_ns
        self.lacks = lacks
        self.mood = mood

    def __call__(self, ts_from: int, ts_to: int, now: int) -> list[tuple[int, HistoryBars]]:
        at = now + self.delay_ns
        if self.mood == "silent":
            return []
        if self.mood == "error":
            return [(at, HistoryBars(str(FEED), ts_from, ts_to, (), "HTTP 500"))]
        rows = [row for row in self.rows(at) if ts_from <= row.ts_open]
        half = CLOCK.floor((ts_from + ts_to) // 2) or ts_from
        if self.mood == "parts" and ts_from < half < ts_to:
            first = tuple(row for row in rows if row.ts_open < half)
            second = tuple(row for row in rows if row.ts_open >= half)
            return [
                (at, HistoryBars(str(FEED), ts_from, half, first)),
                (at + SECOND, HistoryBars(str(FEED), half, ts_to, second)),
            ]
        return [(at, HistoryBars(str(FEED), ts_from, ts_to, tuple(rows)))]

    def rows(self, now: int) -> list[BarUpdate]:
        known = bucket([trade for trade in self.trades if trade.ts_event <= now], CLOCK)
        return [BarUpdate(str(FEED), ts, *row) for ts, row in sorted(known.items()) if ts not in self.lacks]


def with_history(source: Source, *, omits: bool = True, warmup: int = 0) -> FeedSpec:
    changes = {"has_history": True, "history_omits_quiet": omits, "warmup_bars": warmup}
    return msgspec.structs.replace(spec(source), **changes)


@st.composite
def recorded(draw: st.DrawFn, *, candles: str = "") -> tuple[list[Trade], list[tuple[int, Event]]]:
    """A market and its tape: delivered in order and promptly but for drops, pinged, long enough to end all bars."""
    trades = draw(market())
    lost = draw(drops())
    items = _candles(trades, CLOCK, declared=candles == "declared") if candles else [(t.ts_event, t) for t in trades]
    end = max([trades[-1].ts_event, *(back for _, back in lost)]) + 4 * MINUTE
    arrivals = items + [(at, Heartbeat("c", at)) for at in range(START, end + 1, PING)]
    steps: list[tuple[int, Event]] = [(START, Connected("c", START))]
    for gone, back in lost:
        steps += [(gone, Disconnected("c", gone)), (back, Connected("c", back))]
    steps += [(at, item) for at, item in arrivals if not any(gone <= at < back for gone, back in lost)]
    return trades, sorted(steps, key=lambda step: step[0])


@given(
    data=st.data(),
    candles=st.sampled_from(["", "open", "declared"]),
    mood=st.sampled_from(["", "parts"]),
    delay=st.sampled_from([0, 1, 900, 20_000]),
)
def test_history_makes_every_bar_whole_again(
    rig: type[Rig], data: st.DataObject, candles: str, mood: str, delay: int
) -> None:
    trades, steps = data.draw(recorded(candles=candles))
    desk = rig(
        with_history(Source.CANDLES if candles else Source.TRADES), oracle=Venue(trades, delay_ns=delay * MS, mood=mood)
    )
    play(desk, Tape(steps, []))
    desk.step(steps[-1][0] + 2 * MINUTE, Heartbeat("c", 0))
    truth = bucket(trades, CLOCK)
    told = {bar.ts_open: bar for bar in desk.log.bars("warm", "close", "correct")}
    assert desk.log.gaps == []
    begin = min([*told, *(bar.ts_open for bar in forming(desk))], default=2**63)
    assert sorted(told) == list(range(begin, max(told, default=begin - MINUTE) + MINUTE, MINUTE))
    for ts_open, bar in told.items():
        if bar.quality is Quality.QUIET:
            assert ts_open not in truth
        else:
            assert bar.quality in (Quality.OK, Quality.REFILLED)
            assert truth[ts_open][:4] == numbers(bar)[:4]
            assert truth[ts_open][4:] == pytest.approx(numbers(bar)[4:])
    assert {ts_open for ts_open in truth if ts_open >= begin} <= set(told) | {bar.ts_open for bar in forming(desk)}


@given(
    data=st.data(),
    candles=st.sampled_from(["", "open"]),
    mood=st.sampled_from(["error", "silent", ""]),
    lacks=st.frozensets(st.integers(0, 8)),
)
def test_what_history_lacks_is_told_and_not_invented(
    rig: type[Rig], data: st.DataObject, candles: str, mood: str, lacks: frozenset[int]
) -> None:
    trades, steps = data.draw(recorded(candles=candles))
    source = Source.CANDLES if candles else Source.TRADES
    missing = frozenset(START + number * MINUTE for number in lacks)
    desk = rig(with_history(source, omits=False), oracle=Venue(trades, delay_ns=5 * MS, mood=mood, lacks=missing))
    play(desk, Tape(steps, []))
    truth = bucket(trades, CLOCK)
    for bar in desk.log.final.values():
        if bar.quality is not Quality.QUIET:
            low, high = truth[bar.ts_open][2], truth[bar.ts_open][1]
            assert low <= bar.low <= bar.high <= high
            assert bar.volume <= truth[bar.ts_open][4] * (1 + 1e-9)
    if mood:
        assert [bar for bar in desk.log.final.values() if bar.quality is Quality.REFILLED] == []
    assert desk.tracker.held is None


@given(
    data=st.data(), candles=st.sampled_from(["open", "declared"]), start=st.integers(0, 40), warmup=st.integers(0, 5)
)
def test_the_place_of_the_start_changes_nothing_after_it(
    rig: type[Rig], data: st.DataObject, candles: str, start: int, warmup: int
) -> None:
    trades = data.draw(market())
    items = _candles(trades, CLOCK, declared=candles == "declared")
    end = trades[-1].ts_event + 3 * MINUTE
    steps = sorted([*items, *((at, Heartbeat("c", at)) for at in range(START, end, PING))], key=lambda step: step[0])
    closes = []
    for skipped in (0, min(start, len(steps) - 1)):
        desk = rig(with_history(Source.CANDLES, warmup=warmup), oracle=Venue(trades))
        begin = steps[skipped][0]
        desk.step(begin, Connected("c", begin))
        for now, item in steps[skipped:]:
            desk.step(now, item)
        closes.append((desk.log.bars("close"), desk.log.bars("warm")))
    (everything, _), (tail, warm) = closes
    since = [bar for bar in everything if tail and bar.ts_open >= tail[0].ts_open]
    assert [(bar.ts_open, *numbers(bar), bar.quality) for bar in since] == [
        (bar.ts_open, *numbers(bar), bar.quality) for bar in tail
    ]
    # silence that began before we came is proved by history, later silence by the connection
    reasons = [(bar.closed_by, one.closed_by) for bar, one in zip(since, tail, strict=True)]
    assert set(reasons[1:]) <= {(reason, reason) for reason in ClosedBy}
    before = {bar.ts_open: numbers(bar) for bar in everything}
    assert [bar for bar in warm if before.get(bar.ts_open, numbers(bar)) != numbers(bar)] == []


# -- sessions ---------------------------------------------------------------------------------------------


@given(tape=tapes(pings=True), shift=st.sampled_from([0, HOUR, 4 * HOUR + 4 * MINUTE]))
def test_sessions_keep_their_grid(rig: type[Rig], tape: Tape, shift: int) -> None:
    """At lunch and at the day's end the last bar closes on time, and nothing opens until the market does."""
    pytest.importorskip("exchange_calendars")
    grid = grid_for("XHKG", FEED.interval)
    desk = rig(spec(grid=grid))
    moved = []
    for now, item in tape.steps:
        if isinstance(item, Trade):
            item = Trade(item.instrument, item.price, item.size, item.ts_event + shift, item.sequence)
            moved.append(item)
        desk.step(now + shift, item)
    truth = bucket(moved, grid)
    told = {bar.ts_open: bar for bar in [*desk.log.final.values(), *forming(desk)]}
    for ts_open, bar in told.items():
        if bar.quality is Quality.QUIET:
            assert ts_open not in truth
        else:
            assert truth[ts_open] == numbers(bar)
    outside = [trade for trade in moved if grid.floor(trade.ts_event) is None]
    assert desk.log.refusals == ["outside_session"] * len(outside)


# -- derived --------------------------------------------------------------------------------------------------


@given(tape=tapes(may_drop=False, pings=True), tells=st.booleans(), minutes=st.sampled_from(["3m", "5m"]))
def test_derived_bars_are_the_bars_of_the_same_trades(rig: type[Rig], tape: Tape, tells: bool, minutes: str) -> None:
    feed = FeedId.parse(f"test:X-USD@{minutes}")
    grid = grid_for("24/7", feed.interval)
    longer = FeedSpec(feed=feed, grid=grid, source=Source.DERIVED, base=str(FEED))
    desk = play(rig(spec(), tells_open=tells, tells_update=tells, derived=[longer]), tape)
    (derived,) = desk.derived
    begin = min([bar.ts_open for bar in desk.log.bars("open")], default=0)
    truth = bucket([trade for trade in tape.delivered if trade.ts_event >= begin], grid)
    for ts_open, bar in derived.final.items():
        if bar.quality is Quality.QUIET:
            assert ts_open not in truth
        elif ts_open in truth:
            assert truth[ts_open][:4] == numbers(bar)[:4]
            assert truth[ts_open][4:] == pytest.approx(numbers(bar)[4:])
        else:
            assert bar.quality is Quality.PARTIAL  # begun by quiet base bars behind a first one that is not its own
    complete = {bar.ts_open for bar in desk.log.final.values()}
    for ts_open in derived.final:
        assert set(range(max(ts_open, begin), grid.close_of(ts_open), MINUTE)) <= complete


@given(tape=tapes(), tells=st.booleans())
def test_derived_bars_follow_the_contract_through_drops(rig: type[Rig], tape: Tape, tells: bool) -> None:
    feed = FeedId.parse("test:X-USD@3m")
    grid = grid_for("24/7", feed.interval)
    longer = FeedSpec(feed=feed, grid=grid, source=Source.DERIVED, base=str(FEED))
    desk = play(rig(spec(), tells_open=tells, tells_update=tells, derived=[longer]), tape)
    (derived,), base = desk.derived, desk.log.final
    for ts_open, bar in derived.final.items():
        parts = [base[ts] for ts in range(ts_open, bar.ts_close, MINUTE) if ts in base]
        sound = [part for part in parts if part.quality is not Quality.QUIET]
        assert parts != []
        assert bar.volume == pytest.approx(fsum(part.volume for part in parts))
        assert (bar.high, bar.low) == (max(p.high for p in sound or parts), min(p.low for p in sound or parts))
        if len(parts) < 3:
            assert bar.quality in (Quality.GAP, Quality.PARTIAL)
        else:
            assert bar.quality in {part.quality for part in parts}


# -- rules 4, 9, 10 ---------------------------------------------------------------------------------------


@given(tape=tapes(pings=True), window=st.integers(1, 3))
def test_beyond_the_window_late_data_is_counted_and_never_applied(rig: type[Rig], tape: Tape, window: int) -> None:
    desk = rig(spec(window=window))
    for now, item in tape.steps:
        before = [bar.ts_open for bar in desk.store.bars[: desk.store.closed_count]][-window:]
        mark = len(desk.log.told)
        desk.step(now, item)
        reach = {*before, *(bar.ts_open for bar in desk.log.bars("close"))}
        corrected = [bar.ts_open for _, kind, bar in desk.log.told[mark:] if kind == "correct" and isinstance(bar, Bar)]
        assert [ts for ts in corrected if ts not in reach] == []


@given(tape=st.one_of(tapes(), tapes(candles="open")))
def test_the_end_of_a_recording_closes_nothing(rig: type[Rig], tape: Tape) -> None:
    """A tape that is cut anywhere tells exactly what the whole tape tells up to there."""
    whole = play(rig(spec(source_of(tape))), tape).log.told
    part = rig(spec(source_of(tape)))
    half = len(tape.steps) // 2
    for now, item in tape.steps[:half]:
        part.step(now, item)
    assert whole[: len(part.log.told)] == part.log.told
