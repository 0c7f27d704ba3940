"""Key figures against values worked out by hand, against another library's, and against laws of any curve."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.report import stats
from barbot.report.stats import Drawdown, Statistics

DAY: Final = 86_400_000_000_000
HOUR: Final = DAY // 24
RATIOS: Final = ("total_return", "sharpe", "sortino", "exposure", "win_rate", "profit_factor")

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def times(*moments: int) -> Times:
    return np.array(moments, dtype=np.int64)


def values(*numbers: float) -> Values:
    return np.array(numbers, dtype=np.float64)


def money(*amounts: str) -> list[Decimal]:
    return [Decimal(amount) for amount in amounts]


def test_all_figures_of_a_run_of_three_days() -> None:
    ts = times(0, 6 * HOUR, DAY - 1, DAY, DAY + HOUR, 2 * DAY + HOUR)
    equity = values(100.0, 128.0, 110.0, 96.0, 99.0, 108.9)  # days end at 110, 99 and 108.9: +10 %, -10 %, +10 %
    held = [(0, 6 * HOUR), (DAY, DAY + HOUR)]
    figures = stats.summarise(ts, equity, money("20", "-15", "5", "0", "-1"), held=held)
    mean, deviation, downside = 0.1 / 3, math.sqrt(0.04 / 3), math.sqrt(0.01 / 3)
    rounded = {name: round(value, 9) for name, value in msgspec.structs.asdict(figures).items() if name in RATIOS}
    assert rounded == {
        "total_return": 0.089,
        "sharpe": round(math.sqrt(365) * mean / deviation, 9),
        "sortino": round(math.sqrt(365) * mean / downside, 9),
        "exposure": round(7 / 49, 9),
        "win_rate": 0.4,
        "profit_factor": 1.5625,
    }
    assert msgspec.structs.replace(figures, **dict.fromkeys(RATIOS)) == Statistics(
        total_return=None,
        max_drawdown=Drawdown(0.25, 6 * HOUR, DAY),
        sharpe=None,
        sortino=None,
        exposure=None,
        trades=5,
        win_rate=None,
        profit_factor=None,
        average_trade=Decimal("1.8"),
        best_trade=Decimal(20),
        worst_trade=Decimal(-15),
    )


@pytest.mark.parametrize(
    ("days_a_year", "sharpe", "sortino"),
    [(365, 1.8303508466775555, 3.003436212901369), (252, 1.5208563052341104, 2.4955843356758325)],
)
def test_ratios_are_those_of_empyrical(days_a_year: int, sharpe: float, sortino: float) -> None:
    """The figures are what `sharpe_ratio` and `sortino_ratio` of empyrical-reloaded 0.7.1 make of these."""
    returns = values(0.10, -0.10, 0.10, 0.03, -0.02, 0.0, 0.015, -0.07)
    assert stats.sharpe(returns, days_a_year=days_a_year) == pytest.approx(sharpe, rel=1e-12)
    assert stats.sortino(returns, days_a_year=days_a_year) == pytest.approx(sortino, rel=1e-12)


def test_equal_growth_every_day_has_no_ratio() -> None:
    ts, equity = np.arange(50, dtype=np.int64) * DAY, 1.01 ** np.arange(50, dtype=np.float64)
    returns = stats.daily_returns(ts, equity)[1:]
    assert (stats.sharpe(returns), stats.sortino(returns)) == (None, None)


def test_nothing_is_defined_for_a_run_without_a_curve() -> None:
    assert stats.summarise(times(), values(), []) == Statistics(
        total_return=None,
        max_drawdown=None,
        sharpe=None,
        sortino=None,
        exposure=None,
        trades=0,
        win_rate=None,
        profit_factor=None,
        average_trade=None,
        best_trade=None,
        worst_trade=None,
    )


def test_a_flat_run_has_no_ratio_and_no_drawdown() -> None:
    figures = stats.summarise(times(0, DAY, 2 * DAY), values(5.0, 5.0, 5.0), [])
    assert (
        figures.total_return,
        figures.max_drawdown,
        figures.sharpe,
        figures.sortino,
        figures.exposure,
    ) == (
        0.0,
        Drawdown(0.0, 0, 0),
        None,
        None,
        0.0,
    )


def test_one_day_gives_no_ratio() -> None:
    returns = stats.daily_returns(times(0, HOUR), values(100.0, 101.0))
    assert (returns.tolist(), stats.sharpe(returns), stats.sortino(returns)) == (
        [pytest.approx(0.01)],
        None,
        None,
    )


def test_a_day_without_a_value_stands_still_where_markets_never_close() -> None:
    returns = stats.daily_returns(times(0, 3 * DAY), values(100.0, 110.0))
    assert returns.tolist() == [0.0, 0.0, 0.0, pytest.approx(0.1)]


def test_a_day_without_a_value_does_not_exist_where_markets_have_sessions() -> None:
    returns = stats.daily_returns(times(0, 3 * DAY), values(100.0, 110.0), days_a_year=stats.TRADING_DAYS)
    assert returns.tolist() == [0.0, pytest.approx(0.1)]


def test_returns_on_nothing_are_not_defined() -> None:
    ts, equity = times(0, DAY, 2 * DAY), values(100.0, -20.0, 50.0)
    figures = stats.summarise(ts, equity, [])
    assert (figures.total_return, figures.max_drawdown, figures.sharpe) == (-0.5, Drawdown(1.2, 0, DAY), None)
    assert stats.total_return(values(0.0, 1.0)) is None


def test_the_earliest_of_equal_drawdowns_is_named() -> None:
    curve = values(10.0, 5.0, 10.0, 5.0)
    assert stats.max_drawdown(times(1, 2, 3, 4), curve) == Drawdown(0.5, 1, 2)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ([], 0.0),
        ([(0, 100)], 1.0),
        ([(-50, 10), (90, 500)], 0.2),
        ([(10, 30), (20, 40)], 0.3),
        ([(50, 60), (10, 20), (12, 15)], 0.2),
        ([(5, 5)], 0.0),
    ],
)
def test_exposure_counts_time_once(held: list[tuple[int, int]], expected: float) -> None:
    assert stats.exposure(held, 0, 100) == expected


def test_exposure_of_no_time_is_not_defined() -> None:
    assert stats.exposure([(0, 1)], 5, 5) is None


def test_winners_alone_have_no_profit_factor() -> None:
    assert (stats.win_rate(money("1", "2")), stats.profit_factor(money("1", "2"))) == (1.0, None)


def test_losers_alone_have_a_profit_factor_of_nothing() -> None:
    assert (stats.win_rate(money("-1")), stats.profit_factor(money("-1", "0"))) == (0.0, 0.0)


curves = st.lists(st.floats(min_value=1, max_value=1000), min_size=1, max_size=60)


@settings(max_examples=100, deadline=None)
@given(curves)
def test_the_drawdown_is_the_worst_way_from_a_point_to_a_later_one(curve: list[float]) -> None:
    ts = np.arange(len(curve), dtype=np.int64)
    worst = max(1 - later / early for i, early in enumerate(curve) for later in curve[i:])
    found = stats.max_drawdown(ts, np.array(curve))
    assert found is not None
    assert found.fraction == pytest.approx(worst, abs=1e-12)
    assert found.fraction == pytest.approx(1 - curve[found.ts_to] / curve[found.ts_from], abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(curves, st.sampled_from([stats.EVERY_DAY, stats.TRADING_DAYS]), st.integers(HOUR, 3 * DAY))
def test_daily_returns_multiply_to_the_total(curve: list[float], days_a_year: int, step: int) -> None:
    ts = np.arange(len(curve), dtype=np.int64) * step
    returns = stats.daily_returns(ts, np.array(curve), days_a_year=days_a_year)
    total = stats.total_return(np.array(curve))
    assert total is not None
    assert math.prod((1 + returns).tolist()) - 1 == pytest.approx(total, rel=1e-9, abs=1e-9)
