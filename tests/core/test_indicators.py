"""Indicators equal TA-Lib, are undisturbed by peeks, and come back from a snapshot bit for bit."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from barbot.errors import ConfigError
from barbot.model.market import Bar
from barbot.timing.interval import DAY, HOUR, MINUTE

try:
    import talib
except ImportError:
    HAS_TALIB = False
else:
    HAS_TALIB = True

needs_talib = pytest.mark.skipif(not HAS_TALIB, reason="TA-Lib is not installed (extra `test`)")

Column = npt.NDArray[np.float64]
Make = Callable[[], Indicator]

EXTRAS = {
    "MACD": ("signal", "histogram"),
    "BollingerBands": ("upper", "middle", "lower"),
    "Stochastic": ("k", "d"),
    "ADX": ("plus_di", "minus_di"),
}

EVERY: dict[str, Make] = {
    repr(make()): make
    for make in (
        lambda: SMA(1),
        lambda: SMA(4),
        lambda: SMA(5, source="hlc3"),
        lambda: EMA(4),
        lambda: EMA(3, source="volume"),
        lambda: WMA(4),
        lambda: VWAP(),
        lambda: VWAP(anchor=None, source="close"),
        lambda: VWAP(anchor="5m"),
        lambda: RSI(4),
        lambda: MACD(2, 5, 3),
        lambda: Stochastic(4, 3, 2),
        lambda: Stochastic(1, 1, 1),
        lambda: ROC(3),
        lambda: StdDev(4),
        lambda: BollingerBands(5, 1.5),
        lambda: Highest(4),
        lambda: Highest(1),
        lambda: Lowest(4),
        lambda: ATR(4),
        lambda: ADX(3),
        lambda: ADX(1),
    )
}

every_indicator = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)


def make_bar(index: int, open: float, high: float, low: float, close: float, volume: float = 1.0) -> Bar:  # noqa: A002 - a bar's own words
    ts_open = index * MINUTE
    return Bar("test:X@1m", ts_open, ts_open + MINUTE, open, high, low, close, volume)


def bars_of(closes: Sequence[float]) -> list[Bar]:
    """Bars without a range."""
    return [make_bar(index, close, close, close, close) for index, close in enumerate(closes)]


def random_walk(count: int, *, seed: int = 7, start: float = 100.0, step: float = 0.5) -> list[Bar]:
    chance = random.Random(seed)
    bars, close = [], start
    for index in range(count):
        opened, close = close, close + chance.gauss(0.0, step)
        high = max(opened, close) + abs(chance.gauss(0.0, step / 2))
        low = min(opened, close) - abs(chance.gauss(0.0, step / 2))
        bars.append(make_bar(index, opened, high, low, close, chance.expovariate(1.0)))
    return bars


SERIES: dict[str, list[Bar]] = {
    "random walk": random_walk(600),
    "random walk of small prices": random_walk(300, seed=8, start=0.02, step=0.0001),
    "random walk of large prices": random_walk(300, seed=9, start=60_000.0, step=25.0),
    "flat": bars_of([100.1] * 120),
    "rising": [make_bar(i, 50.0 + i, 50.7 + i, 49.8 + i, 50.5 + i) for i in range(120)],
    "falling": [make_bar(i, 500.0 - i, 500.2 - i, 498.9 - i, 499.5 - i) for i in range(120)],
    "rising as far as falling": [make_bar(i, 500.0, 500.0 + i, 500.0 - i, 500.0 + i % 3) for i in range(120)],
    "zero range": bars_of([bar.close for bar in random_walk(200, seed=10)]),
    "walk, then flat, then walk": [
        *random_walk(60),
        *(make_bar(60 + i, 90.3, 90.3, 90.3, 90.3, 0.0) for i in range(80)),
        *random_walk(60, seed=11),
    ],
    "shorter than any warm-up": random_walk(1),
}

every_series = pytest.mark.parametrize("bars", SERIES.values(), ids=SERIES)


def outputs(indicator: Indicator) -> tuple[float, ...]:
    return (indicator.value, *(getattr(indicator, name) for name in EXTRAS.get(type(indicator).__name__, ())))


def bits(indicator: Indicator) -> tuple[object, ...]:
    """Everything it shows, so that equal means equal to the bit and NaN equals NaN."""
    return (indicator.ready, *(number.hex() for number in outputs(indicator)))


def follow(indicator: Indicator, bars: Sequence[Bar]) -> list[tuple[float, ...]]:
    rows = []
    for bar in bars:
        indicator.update(bar)
        rows.append(outputs(indicator))
    return rows


def column(bars: Sequence[Bar], name: str) -> Column:
    return np.array([getattr(bar, name) for bar in bars], dtype=np.float64)


def assert_close(expected: Column, actual: Sequence[float]) -> None:
    assert [bool(nan) for nan in np.isnan(expected)] == [math.isnan(number) for number in actual]
    off = [
        (index, theirs, ours)
        for index, (theirs, ours) in enumerate(zip(expected.tolist(), actual, strict=True))
        if not math.isnan(ours) and not math.isclose(theirs, ours, rel_tol=1e-9, abs_tol=1e-10)
    ]
    assert off == []


Oracle = Callable[[Column, Column, Column, Column, Column], Sequence[Column]]

ORACLES: list[tuple[Make, Oracle]] = [
    (lambda: SMA(2), lambda o, h, low, c, v: (talib.SMA(c, 2),)),
    (lambda: SMA(10), lambda o, h, low, c, v: (talib.SMA(c, 10),)),
    (lambda: SMA(30, source="volume"), lambda o, h, low, c, v: (talib.SMA(v, 30),)),
    (lambda: SMA(7, source="hl2"), lambda o, h, low, c, v: (talib.SMA((h + low) / 2, 7),)),
    (lambda: EMA(10), lambda o, h, low, c, v: (talib.EMA(c, 10),)),
    (lambda: EMA(21, source="hlc3"), lambda o, h, low, c, v: (talib.EMA((h + low + c) / 3, 21),)),
    (lambda: EMA(8, source="ohlc4"), lambda o, h, low, c, v: (talib.EMA((o + h + low + c) / 4, 8),)),
    (lambda: WMA(2), lambda o, h, low, c, v: (talib.WMA(c, 2),)),
    (lambda: WMA(14), lambda o, h, low, c, v: (talib.WMA(c, 14),)),
    (lambda: RSI(2), lambda o, h, low, c, v: (talib.RSI(c, 2),)),
    (lambda: RSI(14), lambda o, h, low, c, v: (talib.RSI(c, 14),)),
    (lambda: MACD(), lambda o, h, low, c, v: talib.MACD(c, 12, 26, 9)),
    (lambda: MACD(3, 4, 5), lambda o, h, low, c, v: talib.MACD(c, 3, 4, 5)),
    (lambda: ATR(1), lambda o, h, low, c, v: (talib.ATR(h, low, c, 1),)),
    (lambda: ATR(14), lambda o, h, low, c, v: (talib.ATR(h, low, c, 14),)),
    (lambda: StdDev(5), lambda o, h, low, c, v: (talib.STDDEV(c, 5),)),
    (lambda: StdDev(20), lambda o, h, low, c, v: (talib.STDDEV(c, 20),)),
    (lambda: ROC(1), lambda o, h, low, c, v: (talib.ROC(c, 1),)),
    (lambda: ROC(10), lambda o, h, low, c, v: (talib.ROC(c, 10),)),
    (lambda: Highest(2), lambda o, h, low, c, v: (talib.MAX(h, 2),)),
    (lambda: Highest(20, source="close"), lambda o, h, low, c, v: (talib.MAX(c, 20),)),
    (lambda: Lowest(2), lambda o, h, low, c, v: (talib.MIN(low, 2),)),
    (lambda: Lowest(20, source="close"), lambda o, h, low, c, v: (talib.MIN(c, 20),)),
]

ORACLES += [
    (lambda: BollingerBands(), lambda o, h, low, c, v: _bands(c, 20, 2.0)),
    (lambda: BollingerBands(5, 1.5), lambda o, h, low, c, v: _bands(c, 5, 1.5)),
    (lambda: Stochastic(), lambda o, h, low, c, v: _stochastic(h, low, c, 5, 3, 3)),
    (lambda: Stochastic(14, 3, 5), lambda o, h, low, c, v: _stochastic(h, low, c, 14, 3, 5)),
    (lambda: Stochastic(1, 1, 1), lambda o, h, low, c, v: _stochastic(h, low, c, 1, 1, 1)),
    (lambda: ADX(2), lambda o, h, low, c, v: _adx(h, low, c, 2)),
    (lambda: ADX(14), lambda o, h, low, c, v: _adx(h, low, c, 14)),
]


def _bands(close: Column, period: int, deviations: float) -> Sequence[Column]:
    upper, middle, lower = talib.BBANDS(close, period, deviations, deviations)
    return middle, upper, middle, lower


def _stochastic(high: Column, low: Column, close: Column, fast_k: int, slow_k: int, slow_d: int) -> Sequence[Column]:
    k, d = talib.STOCH(high, low, close, fastk_period=fast_k, slowk_period=slow_k, slowd_period=slow_d)
    return k, k, d


def _adx(high: Column, low: Column, close: Column, period: int) -> Sequence[Column]:
    columns = (high, low, close)
    return talib.ADX(*columns, period), talib.PLUS_DI(*columns, period), talib.MINUS_DI(*columns, period)


@needs_talib
@every_series
@pytest.mark.parametrize(("make", "oracle"), ORACLES, ids=[repr(make()) for make, _ in ORACLES])
def test_equals_talib_with_nan_in_the_same_places(make: Make, oracle: Oracle, bars: list[Bar]) -> None:
    expected = oracle(*(column(bars, name) for name in ("open", "high", "low", "close", "volume")))
    actual = list(zip(*follow(make(), bars), strict=True))
    assert len(expected) == len(actual)
    for theirs, ours in zip(expected, actual, strict=True):
        assert_close(theirs, ours)


@every_indicator
def test_is_ready_after_its_warmup_and_then_for_good(make: Make) -> None:
    indicator = make()
    assert isinstance(indicator, Indicator)
    ready = []
    for bar in random_walk(40):
        indicator.update(bar)
        ready.append(indicator.ready)
        assert indicator.ready == (not any(math.isnan(number) for number in outputs(indicator)))
    assert [False] * (indicator.warmup - 1) + [True] * (41 - indicator.warmup) == ready


@every_indicator
def test_reads_bars_and_keeps_none(make: Make) -> None:
    indicator = make()
    follow(indicator, random_walk(30))
    held = [getattr(indicator, name) for name in type(indicator).__slots__]  # type: ignore[attr-defined]
    assert [each for each in held if isinstance(each, Bar)] == []
    assert all(isinstance(number, float | int) for part in indicator.snapshot() for number in part)


prices = st.one_of(
    st.sampled_from([100.0, 100.1, 99.9]),
    st.integers(1, 200_000).map(lambda ticks: ticks / 100),
    st.floats(1e-6, 1e6),
)


@st.composite
def bar_lists(draw: st.DrawFn, max_size: int = 120) -> list[Bar]:
    """Bars enough for several exact sums of the short windows used here, with prices that repeat, step and leap."""
    count = draw(st.integers(1, max_size))
    rows = draw(st.lists(st.tuples(prices, prices, prices, prices), min_size=count, max_size=count))
    volumes = draw(st.lists(st.sampled_from([0.0, 1.0, 0.1, 7.25]), min_size=count, max_size=count))
    return [
        make_bar(index, row[0], max(row), min(row), row[3], volume)
        for index, (row, volume) in enumerate(zip(rows, volumes, strict=True))
    ]


quick = settings(max_examples=30, deadline=None)


@given(bars=bar_lists(), peeked=bar_lists(max_size=5), seed=st.integers(0, 999))
@quick
def test_peeks_disturb_nothing(bars: list[Bar], peeked: list[Bar], seed: int) -> None:
    chance = random.Random(seed)
    for make in EVERY.values():
        alone, disturbed = make(), make()
        for bar in bars:
            for other in chance.choices(peeked, k=chance.randrange(3)):
                disturbed.peek(other)
            assert repr(alone.snapshot()) == repr(disturbed.snapshot())
            alone.update(bar)
            disturbed.update(bar)
            assert bits(alone) == bits(disturbed)


@given(bars=bar_lists())
@quick
def test_a_peek_shows_what_the_update_would(bars: list[Bar]) -> None:
    for make in EVERY.values():
        indicator = make()
        for bar in bars:
            updated = copy.deepcopy(indicator)
            updated.update(bar)
            indicator.peek(bar)
            assert bits(updated) == bits(indicator)
            indicator.update(bar)


@given(bars=bar_lists(), wrong=bar_lists(max_size=20), data=st.data())
@quick
def test_restored_it_goes_on_as_it_did(bars: list[Bar], wrong: list[Bar], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(bars)))
    for make in EVERY.values():
        indicator, reference, fresh = make(), make(), make()
        follow(indicator, bars[:at])
        follow(reference, bars[:at])
        state, shown = indicator.snapshot(), bits(indicator)
        indicator.restore(indicator.snapshot())
        assert shown == bits(indicator)
        indicator.peek(wrong[0])
        assert repr(state) == repr(indicator.snapshot())
        follow(indicator, wrong)
        indicator.restore(state)
        assert shown == bits(indicator)
        fresh.restore(state)
        for bar in bars[at:]:
            for each in (reference, indicator, fresh):
                each.update(bar)
            assert bits(reference) == bits(indicator) == bits(fresh)


@every_indicator
def test_a_snapshot_is_a_copy(make: Make) -> None:
    indicator = make()
    follow(indicator, random_walk(50))
    state = indicator.snapshot()
    before = repr(state)
    follow(indicator, random_walk(50, seed=3))
    indicator.restore(state)
    follow(indicator, random_walk(50, seed=4))
    assert before == repr(state)


@given(bars=bar_lists(max_size=40), period=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_windows_hold_exactly_the_last_bars(bars: list[Bar], period: int) -> None:
    highest, lowest, average, weighted = Highest(period), Lowest(period), SMA(period), WMA(period)
    deviation = StdDev(period)
    for count, bar in enumerate(bars, 1):
        for indicator in (highest, lowest, average, weighted, deviation):
            indicator.update(bar)
        if count < period:
            continue
        window = bars[count - period : count]
        assert max(each.high for each in window) == highest.value
        assert min(each.low for each in window) == lowest.value
        closes = [Fraction(each.close) for each in window]
        mean = sum(closes) / period
        weights = Fraction(period * (period + 1), 2)
        assert math.isclose(mean, average.value, rel_tol=1e-9, abs_tol=1e-8)
        linear = sum(weight * close for weight, close in enumerate(closes, 1)) / weights
        assert math.isclose(linear, weighted.value, rel_tol=1e-9, abs_tol=1e-8)
        variance = sum((close - mean) ** 2 for close in closes) / period
        assert math.isclose(math.sqrt(variance), deviation.value, rel_tol=1e-9, abs_tol=1e-9)


@given(bars=bar_lists(max_size=80))
@settings(max_examples=60, deadline=None)
def test_oscillators_stay_within_0_and_100(bars: list[Bar]) -> None:
    indicators: tuple[Indicator, ...] = (RSI(3), Stochastic(3, 2, 2), Stochastic(5, 4, 7), ADX(3))
    for indicator in indicators:
        for row in follow(indicator, bars):
            assert all(math.isnan(number) or 0.0 <= number <= 100.0 for number in row)


@given(close=prices, before=st.lists(prices, max_size=30))
@settings(max_examples=100, deadline=None)
def test_a_quiet_market_has_no_deviation(close: float, before: list[float]) -> None:
    deviation, bands = StdDev(5), BollingerBands(5)
    bars = bars_of([*before, *[close] * 5])
    follow(deviation, bars)
    follow(bands, bars)
    assert deviation.value == 0.0
    assert (close, close, close, close) == outputs(bands)


@given(before=st.lists(prices, max_size=60), close=prices, period=st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_averages_of_a_quiet_market_are_its_price_to_the_bit(before: list[float], close: float, period: int) -> None:
    for indicator in (SMA(period), WMA(period)):
        follow(indicator, bars_of([*before, *[close] * 2 * period]))
        assert close == indicator.value


@pytest.mark.parametrize("indicator", [SMA(7), EMA(7), WMA(7), VWAP(), MACD(3, 7, 5)], ids=repr)
def test_a_market_flat_from_the_start_is_seeded_with_its_price(indicator: Indicator) -> None:
    follow(indicator, bars_of([0.1] * 40))
    assert (0.0 if isinstance(indicator, MACD) else 0.1) == indicator.value


def test_large_then_small_prices_leave_no_drift() -> None:
    chance = random.Random(5)
    closes = [chance.uniform(0.5e9, 1e9) for _ in range(100_000)]
    closes += [chance.uniform(0.9, 1.1) for _ in range(100_000)]
    average, weighted, deviation = SMA(20), WMA(20), StdDev(20)
    worst = [0.0, 0.0, 0.0]
    for index, bar in enumerate(bars_of(closes)):
        for indicator in (average, weighted, deviation):
            indicator.update(bar)
        if index < 100_200 or index % 10:
            continue  # by then every ring had its exact sum
        window = closes[index - 19 : index + 1]
        mean = math.fsum(window) / 20
        linear = math.fsum(weight * close for weight, close in enumerate(window, 1)) / 210
        spread = math.sqrt(math.fsum((close - mean) ** 2 for close in window) / 20)
        errors = (average.value - mean, weighted.value - linear, deviation.value / spread - 1.0)
        worst = [max(high, abs(error)) for high, error in zip(worst, errors, strict=True)]
    assert max(worst) < 1e-14


def test_an_outlier_leaves_no_trace_in_the_deviation() -> None:
    closes = [1.0, 1.01, 1e12, *(1.0 + 0.01 * (i % 3) for i in range(40))]
    deviation = StdDev(10)
    values = [row[0] for row in follow(deviation, bars_of(closes))]
    expected = [float(np.std(closes[i - 9 : i + 1])) for i in range(12, 43)]
    assert_close(np.array(expected), values[12:])


def test_vwap_starts_anew_with_the_day_and_with_its_volume() -> None:
    rows = [
        (DAY - 2 * MINUTE, 10.0, 1.0),
        (DAY - MINUTE, 20.0, 3.0),
        (DAY, 30.0, 0.0),
        (DAY + MINUTE, 40.0, 2.0),
        (DAY + 2 * MINUTE, 50.0, 2.0),
        (DAY + HOUR, 60.0, 0.0),
        (4 * DAY, 70.0, 1.0),
    ]
    bars = [Bar("t:X@1m", ts, ts + MINUTE, price, price, price, price, volume) for ts, price, volume in rows]
    nan = math.nan
    expected = {
        "1d": [10.0, 17.5, nan, 40.0, 45.0, 45.0, 70.0],
        "1h": [10.0, 17.5, nan, 40.0, 45.0, nan, 70.0],
        "1w": [10.0, 17.5, 17.5, 25.0, 31.25, 31.25, 70.0],
        None: [10.0, 17.5, 17.5, 25.0, 31.25, 31.25, 320.0 / 9.0],
    }
    actual = {anchor: [row[0] for row in follow(VWAP(anchor=anchor), bars)] for anchor in expected}
    assert repr(expected) == repr(actual)


def test_vwap_weighs_typical_prices_by_volume() -> None:
    bars = random_walk(300)
    values = [row[0] for row in follow(VWAP(), bars)]
    typical = (column(bars, "high") + column(bars, "low") + column(bars, "close")) / 3
    volume = column(bars, "volume")
    assert_close(np.cumsum(typical * volume) / np.cumsum(volume), values)


def test_sources_read_what_they_say() -> None:
    bar = make_bar(0, 1.0, 8.0, 0.5, 4.0, 16.0)
    expected = {
        "open": 1.0,
        "high": 8.0,
        "low": 0.5,
        "close": 4.0,
        "hl2": 4.25,
        "hlc3": 12.5 / 3,
        "ohlc4": 3.375,
        "volume": 16.0,
    }
    actual = {}
    for source in expected:
        indicator = SMA(1, source=source)  # type: ignore[arg-type]
        indicator.update(bar)
        actual[source] = indicator.value
    assert expected == actual


def test_highest_and_lowest_take_highs_and_lows_of_their_own() -> None:
    bars = random_walk(30)
    expected = [(max(first.high, second.high), min(first.low, second.low)) for first, second in pairwise(bars)]
    highs, lows = follow(Highest(2), bars)[1:], follow(Lowest(2), bars)[1:]
    assert expected == [(high, low) for (high,), (low,) in zip(highs, lows, strict=True)]


def test_prints_as_the_call_that_makes_it() -> None:
    made = [
        "SMA(10)",
        "SMA(10, source='hl2')",
        "EMA(9)",
        "WMA(9)",
        "VWAP(anchor='1d')",
        "VWAP(anchor=None, source='close')",
        "RSI(14)",
        "MACD(12, 26, 9)",
        "Stochastic(5, 3, 3)",
        "ROC(10)",
        "StdDev(5)",
        "BollingerBands(20, 2.0)",
        "Highest(20)",
        "Highest(20, source='close')",
        "Lowest(20)",
        "ATR(14)",
        "ADX(14)",
    ]
    assert made == [repr(eval(text)) for text in made]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SMA(0), "SMA: period is 0. Give a whole number of bars, 1 or more"),
        (lambda: EMA(-3), "EMA: period is -3. Give a whole number of bars, 1 or more"),
        (lambda: WMA(2.5), "WMA: period is 2.5. Give a whole number of bars, 1 or more"),  # type: ignore[arg-type]
        (lambda: RSI(True), "RSI: period is True. Give a whole number of bars, 1 or more"),
        (lambda: ATR(0), "ATR: period is 0. Give a whole number of bars, 1 or more"),
        (lambda: ADX(0), "ADX: period is 0. Give a whole number of bars, 1 or more"),
        (lambda: ROC(0), "ROC: period is 0. Give a whole number of bars, 1 or more"),
        (lambda: StdDev(0), "StdDev: period is 0. Give a whole number of bars, 1 or more"),
        (lambda: Highest(0), "Highest: period is 0. Give a whole number of bars, 1 or more"),
        (lambda: Lowest(0), "Lowest: period is 0. Give a whole number of bars, 1 or more"),
        (lambda: BollingerBands(0), "BollingerBands: period is 0. Give a whole number of bars, 1 or more"),
        (lambda: BollingerBands(20, -1.0), "BollingerBands: deviations is -1.0. Give a number, 0 or more"),
        (lambda: BollingerBands(20, math.nan), "BollingerBands: deviations is nan. Give a number, 0 or more"),
        (lambda: MACD(12, 26, 0), "MACD: signal_period is 0. Give a whole number of bars, 1 or more"),
        (lambda: MACD(26, 12), "MACD: fast is 26 and slow is 12. Give a slow period above the fast one"),
        (lambda: Stochastic(5, 0), "Stochastic: slow_k is 0. Give a whole number of bars, 1 or more"),
        (
            lambda: SMA(5, source="typical"),  # type: ignore[arg-type]
            "SMA: source is 'typical'. Use one of: open high low close hl2 hlc3 ohlc4 volume",
        ),
    ],
)
def test_refuses_arguments_that_mean_nothing(make: Make, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make()
    assert message == str(refused.value)


def test_refuses_an_anchor_that_is_no_bar_length() -> None:
    with pytest.raises(ConfigError, match="no bar length is called 'day'"):
        VWAP(anchor="day")
