"""Key figures of a run, from its equity curve and its round trips. Floor 4.

Pure functions; nothing here reads a file or knows what a run directory is. Fractions are fractions (0.01 is
one percent), times are ns since the epoch, UTC. A figure that is not defined is None, never NaN: a Sharpe
ratio of one day, a win rate without trades, a profit factor without a loss.

How the ratios are made: the equity curve is resampled to its last value of each UTC day, and the first day
starts from the first value of the curve; r are the simple returns of those days, the risk-free rate is 0.
A market that never closes has 365 days a year and a day without a value keeps the one before; a market with
sessions has 252 and a day without a value does not exist.

    Sharpe   sqrt(days a year) * mean(r) / standard deviation of r (n - 1)
    Sortino  sqrt(days a year) * mean(r) / sqrt(mean(min(r, 0) ** 2))
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from barbot.timing.interval import DAY

EVERY_DAY: Final = 365
"""Days a year of a market that never closes."""
TRADING_DAYS: Final = 252
"""Days a year of a market with sessions."""
_NOISE: Final = 1e-12
"""A deviation of returns below this is rounding: equal growth every day has no Sharpe ratio of 10**14."""

Times: TypeAlias = npt.NDArray[np.int64]
Values: TypeAlias = npt.NDArray[np.float64]


class Drawdown(msgspec.Struct, frozen=True):
    """The deepest fall of a curve: a fraction of the peak at `ts_from`, reached at `ts_to`."""

    fraction: float
    ts_from: int
    ts_to: int


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """The key figures of a run; see the functions of this module for what each one is."""

    total_return: float | None
    max_drawdown: Drawdown | None
    sharpe: float | None
    sortino: float | None
    exposure: float | None
    trades: int
    win_rate: float | None
    profit_factor: float | None
    average_trade: Decimal | None
    best_trade: Decimal | None
    worst_trade: Decimal | None


def summarise(
    ts: Times,
    equity: Values,
    profits: Sequence[Decimal],
    *,
    held: Iterable[tuple[int, int]] = (),
    days_a_year: int = EVERY_DAY,
) -> Statistics:
    """Return all key figures.

    `ts` (rising) and `equity` are the curve, from the start of the run to its end; `profits` those of the
    round trips after fees; `held` the spans `[from, to)` in which there was a position, in any order.
    """
    returns = daily_returns(ts, equity, days_a_year=days_a_year)
    return Statistics(
        total_return=total_return(equity),
        max_drawdown=max_drawdown(ts, equity),
        sharpe=sharpe(returns, days_a_year=days_a_year),
        sortino=sortino(returns, days_a_year=days_a_year),
        exposure=exposure(held, int(ts[0]), int(ts[-1])) if len(ts) else None,
        trades=len(profits),
        win_rate=win_rate(profits),
        profit_factor=profit_factor(profits),
        average_trade=sum(profits, Decimal(0)) / len(profits) if profits else None,
        best_trade=max(profits, default=None),
        worst_trade=min(profits, default=None),
    )


def total_return(equity: Values) -> float | None:
    """Return last / first - 1; None where the first is not above 0."""
    if not len(equity) or equity[0] <= 0:
        return None
    return float(equity[-1] / equity[0] - 1)


def drawdowns(equity: Values) -> Values:
    """Return for each point how far it lies below the highest point so far, as a fraction of that.

    0 at a peak, 0.25 a quarter below it, above 1 where the equity is negative. Below a peak that is not
    above 0 no fall is counted.
    """
    peak = np.maximum.accumulate(equity)
    fall: Values = np.zeros(len(equity))
    np.divide(peak - equity, peak, out=fall, where=peak > 0)
    return fall


def max_drawdown(ts: Times, equity: Values) -> Drawdown | None:
    """Return the largest drawdown with its peak and its trough, the earliest of equals.

    A curve that never falls has the fraction 0 and both times at its start. None without a curve.
    """
    if not len(equity):
        return None
    fall = drawdowns(equity)
    trough = int(np.argmax(fall))
    peak = int(np.argmax(equity[: trough + 1]))
    return Drawdown(float(fall[trough]), int(ts[peak]), int(ts[trough]))


def daily_returns(ts: Times, equity: Values, *, days_a_year: int = EVERY_DAY) -> Values:
    """Return the simple returns of the UTC days of the curve, the first day's from the first value.

    With 365 days a year a day without a value has the return 0; else it is left out. Empty where a day ended
    at 0 or below: returns on nothing are not defined.
    """
    if not len(ts):
        return np.empty(0)
    day = ts // DAY
    ends = np.append(np.flatnonzero(np.diff(day)), len(ts) - 1)
    closes = equity[ends]
    if days_a_year == EVERY_DAY:
        closes = closes.repeat(np.append(np.diff(day[ends]), 1))
    base = np.append(equity[:1], closes[:-1])
    if np.any(base <= 0):
        return np.empty(0)
    returns: Values = closes / base - 1
    return returns


def sharpe(returns: Values, *, days_a_year: int = EVERY_DAY) -> float | None:
    """Return the annualised Sharpe ratio of daily `returns`; None below two days or where none differs."""
    deviation = float(returns.std(ddof=1)) if len(returns) >= 2 else 0.0
    return float(returns.mean() / deviation * math.sqrt(days_a_year)) if deviation > _NOISE else None


def sortino(returns: Values, *, days_a_year: int = EVERY_DAY) -> float | None:
    """Return the annualised Sortino ratio of daily `returns`; None below two days or where none is a loss."""
    downside = math.sqrt(np.mean(np.minimum(returns, 0) ** 2)) if len(returns) >= 2 else 0.0
    return float(returns.mean() / downside * math.sqrt(days_a_year)) if downside > _NOISE else None


def exposure(held: Iterable[tuple[int, int]], ts_from: int, ts_to: int) -> float | None:
    """Return the fraction of `[ts_from, ts_to)` that lies in at least one of the spans `held`.

    Spans may overlap, as those of several instruments do, and reach beyond. None for an empty time.
    """
    if ts_to <= ts_from:
        return None
    covered, reached = 0, ts_from
    for start, end in sorted(held):
        start, end = max(start, reached), min(end, ts_to)
        if end > start:
            covered += end - start
            reached = end
    return covered / (ts_to - ts_from)


def win_rate(profits: Sequence[Decimal]) -> float | None:
    """Return the fraction of round trips with a profit above 0; None without any."""
    return sum(profit > 0 for profit in profits) / len(profits) if profits else None


def profit_factor(profits: Sequence[Decimal]) -> float | None:
    """Return what the winners won over what the losers lost; None where nobody lost."""
    lost = -sum((profit for profit in profits if profit < 0), Decimal(0))
    won = sum((profit for profit in profits if profit > 0), Decimal(0))
    return float(won / lost) if lost else None
