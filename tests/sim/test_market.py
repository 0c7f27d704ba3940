"""The market's truth: whatever is asked, and in whatever order, it is the same market."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.errors import ConfigError
from barbot.sim.market import Candle, Market, Tick, decimal_text
from barbot.sim.walk import Walk, WalkTape, walking
from barbot.timing.interval import DAY, HOUR, MINUTE, SECOND, Interval

if TYPE_CHECKING:
    from tests.sim.conftest import Rig

START = 1_790_000_040 * SECOND


def walk_market(seed: int = 1, **how: object) -> Market:
    return Market([walking("BTC-USDT", seed=seed, ts_first=START - DAY, **how)])  # type: ignore[arg-type] # as named


@given(units=st.integers(min_value=0, max_value=10**30), decimals=st.integers(min_value=0, max_value=20))
def test_a_text_is_the_number_exactly(units: int, decimals: int) -> None:
    text = decimal_text(units, decimals)
    whole, _, tail = text.partition(".")
    assert int(whole + tail.ljust(decimals, "0")) == units
    assert "E" not in text
    assert text == "0" or not ("." in text and text.endswith("0"))


def test_candles_of_told_trades(rig: Rig) -> None:
    market = Market([rig.tape("A-B", (5, 100.5, 1), (20, 99, 0.5), (59.9, 101, 2), (60, 102, 1), (190, 103, 0.25))])
    assert market.candles("A-B", "1m", START, START + 4 * MINUTE) == [
        Candle(START, "100.5", "101", "99", "101", "3.5", "352"),
        Candle(START + MINUTE, "102", "102", "102", "102", "1", "102"),
        Candle(START + 3 * MINUTE, "103", "103", "103", "103", "0.25", "25.75"),
    ]


def test_a_running_candle_holds_the_trades_up_to_now(rig: Rig) -> None:
    market = Market([rig.tape("A-B", (5, 100.5, 1), (20, 99, 0.5), (59.9, 101, 2))])
    now = START + 21 * SECOND
    assert market.candles("A-B", "1m", START, START + HOUR, until=now) == [
        Candle(START, "100.5", "100.5", "99", "99", "1.5", "150")
    ]


@given(minute=st.integers(min_value=0, max_value=1439), seed=st.integers(min_value=0, max_value=50))
def test_a_walk_is_the_same_whatever_was_asked_before(minute: int, seed: int) -> None:
    alone = walking("BTC-USDT", seed=seed, ts_first=START - DAY)
    asked = walking("BTC-USDT", seed=seed, ts_first=START - DAY)
    first = START // MINUTE
    for other in (first + 5000, first - minute, first, first + 1, first - 1):
        asked.minute(other)
    assert asked.minute(first + minute) == alone.minute(first + minute)


@given(st.integers(min_value=0, max_value=10**6))
def test_trades_are_in_order_and_inside_their_minute(offset: int) -> None:
    index = START // MINUTE + offset
    ticks = walking("BTC-USDT", seed=7).minute(index)
    assert list(ticks) == sorted(ticks, key=lambda tick: (tick.ts, tick.sequence))
    assert all(tick.ts // MINUTE == index and tick.price > 0 and tick.size > 0 for tick in ticks)
    assert len({tick.sequence for tick in ticks}) == len(ticks)


def test_other_seeds_and_symbols_walk_otherwise() -> None:
    index = START // MINUTE
    walks = [walking(name, seed=seed).minute(index) for name, seed in (("A-B", 1), ("A-B", 2), ("B-A", 1))]
    assert len({tuple(ticks) for ticks in walks}) == 3


@pytest.mark.parametrize(("long", "short"), [("15m", "1m"), ("1h", "5m"), ("4h", "1h")])
def test_long_candles_are_made_of_short_ones(long: str, short: str) -> None:
    market = walk_market(silent_fraction=0.5, trades_per_minute=2.0)
    start = START - START % (4 * HOUR)
    whole = market.candles("BTC-USDT", long, start - 8 * HOUR, start)
    assert len(whole) > 1
    for candle in whole:
        end = Interval.parse(long).next(candle.ts_open)
        parts = market.candles("BTC-USDT", short, candle.ts_open, end)
        assert candle.floats[:4] == (
            parts[0].floats[0],
            max(part.floats[1] for part in parts),
            min(part.floats[2] for part in parts),
            parts[-1].floats[3],
        )
        assert Decimal(candle.volume) == sum(Decimal(part.volume) for part in parts)
        assert Decimal(candle.turnover) == sum(Decimal(part.turnover) for part in parts)


def test_paging_gives_what_one_request_gives() -> None:
    market = walk_market(silent_fraction=0.3)
    ends = [START - 200 * MINUTE, START - 131 * MINUTE, START - 130 * MINUTE, START]
    pages = [
        candle for start, end in itertools.pairwise(ends) for candle in market.candles("BTC-USDT", "1m", start, end)
    ]
    assert pages == market.candles("BTC-USDT", "1m", ends[0], ends[-1])


def test_weeks_begin_on_thursday() -> None:
    market = walk_market()
    (candle,) = market.candles("BTC-USDT", "1w", START - 7 * DAY, START, until=START)
    assert candle.ts_open == 1_653_523_200 * SECOND + (START - 1_653_523_200 * SECOND) // (7 * DAY) * 7 * DAY


def test_nothing_is_traded_before_the_listing_or_in_a_silence() -> None:
    silence = (START + 90 * SECOND, START + 210 * SECOND)
    market = Market([walking("BTC-USDT", seed=1, ts_first=START, trades_per_minute=100.0, silences=(silence,))])
    assert market.trades("BTC-USDT", START - DAY, START) == []
    seconds = {tick.ts // SECOND * SECOND - START for tick in market.trades("BTC-USDT", START, START + 5 * MINUTE)}
    assert [s for s in seconds if 90 * SECOND <= s < 210 * SECOND] == []
    assert min(seconds) < 5 * SECOND
    assert max(seconds) > 290 * SECOND


def test_the_walk_comes_home_after_91_days() -> None:
    listing = walking("BTC-USDT", seed=1).listing
    tape = WalkTape(listing, Walk(price=Decimal(65_000), trades_per_minute=60.0), seed=1)
    home = START // MINUTE // 2**17 * 2**17
    for index in (home, home + 2**17):
        assert tape.minute(index)[0].price == pytest.approx(650_000, rel=0.002)
    assert tape.minute(home + 2**16)[0].price != pytest.approx(650_000, rel=0.002)


def test_the_latest_trades_come_newest_first(rig: Rig) -> None:
    market = Market([rig.tape("A-B", (5, 100, 1), (70, 101, 1), (70, 102, 1), (400, 103, 1))])
    assert [tick.price for tick in market.latest("A-B", START + 399 * SECOND, 3)] == [10200, 10100, 10000]
    assert market.latest("A-B", START + 5 * SECOND) == []
    assert market.latest("A-B", START + 6 * SECOND) == [Tick(START + 5 * SECOND, 10000, 10000, True, 10**16)]


def test_a_market_lists_each_symbol_once(rig: Rig) -> None:
    with pytest.raises(ConfigError, match="A-B is listed twice"):
        Market([rig.tape("A-B", (1, 1, 1)), rig.tape("A-B", (1, 1, 1))])
    with pytest.raises(ConfigError, match="needs a symbol"):
        Market([])


@pytest.mark.parametrize("symbol", ["btc-usdt", "BTCUSDT", "-USDT", "USDTM", ""])
def test_a_walk_refuses_what_is_no_symbol(symbol: str) -> None:
    with pytest.raises(ConfigError, match="is no KuCoin symbol"):
        walking(symbol, seed=1)
