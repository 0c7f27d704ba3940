"""Wilder's figures of the true range: ATR and ADX. Floor 2.

The true range of a bar is the largest of high - low, |high - last close| and |low - last close|; the first bar
has none.
"""

from __future__ import annotations

from barbot.core.indicators.contract import NAN, State, check_bars, show
from barbot.model.market import Bar


def _true_range(bar: Bar, last_close: float) -> float:
    high = bar.high
    low = bar.low
    return (high if high > last_close else last_close) - (low if low < last_close else last_close)


class ATR:
    """The average true range, in units of the price: `(atr * (period - 1) + true range) / period`.

    Seeded with the mean of the first `period` true ranges; ready after `period + 1` bars.
    """

    __slots__ = ("_average", "_close", "_seen", "period", "ready", "value", "warmup")

    def __init__(self, period: int = 14) -> None:
        """Smooth over `period` bars, 1 or more."""
        self.period = check_bars("ATR", "period", period)
        self.warmup = period + 1
        self._seen = 0
        self._close = NAN
        self._average = 0.0
        self.value = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        self._average = average = self._averaged(bar)
        self._close = bar.close
        self._seen = seen = self._seen + 1
        self._show(seen, average)

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        self._show(self._seen + 1, self._averaged(bar))

    def _averaged(self, bar: Bar) -> float:
        """Return the average (while seeding: the sum) of the true ranges with `bar`."""
        seen = self._seen
        if seen == 0:
            return 0.0
        period = self.period
        span = _true_range(bar, self._close)
        if seen > period:
            return (self._average * (period - 1) + span) / period
        total = self._average + span
        return total / period if seen == period else total

    def _show(self, seen: int, average: float) -> None:
        self.ready = ready = seen > self.period
        self.value = average if ready else NAN

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return ((self._seen, self._close, self._average),)

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        ((seen, self._close, self._average),) = state
        self._seen = int(seen)
        self._show(self._seen, self._average)

    def __repr__(self) -> str:
        return show("ATR", self.period)


class ADX:
    """Wilder's average directional index and its two directional indicators, all 0 to 100.

    A bar's rise of the high is its +DM where it is larger than its fall of the low, and the other way round
    -DM; true range, +DM and -DM are smoothed as sums (`sum - sum / period + new`, seeded with the sum of the
    first `period - 1`). `plus_di` and `minus_di` are 100 * DM / true range; `value` is the average (Wilder's, seeded
    with a mean of `period`) of 100 * |difference| / sum of the two.
    The indicators come after `period + 1` bars, `value` (and `ready`) after `2 * period`. Where nothing moved
    the indicators are 0 and `value` stays, as in TA-Lib.
    """

    __slots__ = (
        "_adx",
        "_bar",
        "_keep",
        "_minus",
        "_plus",
        "_range",
        "_rest",
        "_seen",
        "minus_di",
        "period",
        "plus_di",
        "ready",
        "value",
        "warmup",
    )

    def __init__(self, period: int = 14) -> None:
        """Smooth over `period` bars, 1 or more."""
        self.period = check_bars("ADX", "period", period)
        self.warmup = 2 * period
        self._seen = 0
        self._bar = (NAN, NAN, NAN)
        self._keep = 1.0 - 1.0 / period
        self._rest = period - 1.0
        self._range = self._plus = self._minus = self._adx = 0.0
        self.value = self.plus_di = self.minus_di = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        self._range, self._plus, self._minus, self._adx, self.plus_di, self.minus_di = self._averages(bar)
        self._bar = (bar.high, bar.low, bar.close)
        self._seen = seen = self._seen + 1
        if seen >= self.warmup:
            self.value = self._adx
            self.ready = True

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        _, _, _, adx, self.plus_di, self.minus_di = self._averages(bar)
        if self._seen + 1 >= self.warmup:
            self.value = adx
            self.ready = True

    def _averages(self, bar: Bar) -> tuple[float, float, float, float, float, float]:
        """Return, with `bar`, the sums of true range, +DM and -DM, the ADX (while seeding: its sum), +DI and -DI."""
        seen = self._seen
        if seen == 0:
            return 0.0, 0.0, 0.0, 0.0, NAN, NAN
        last_high, last_low, last_close = self._bar
        high = bar.high
        low = bar.low
        rise = high - last_high
        fall = last_low - low
        keep = self._keep if seen >= self.period else 1.0
        plus = self._plus * keep
        minus = self._minus * keep
        if rise > fall:
            if rise > 0.0:
                plus += rise
        elif fall > rise and fall > 0.0:
            minus += fall
        span = self._range * keep
        span += (high if high > last_close else last_close) - (low if low < last_close else last_close)
        if seen < self.period:
            return span, plus, minus, 0.0, NAN, NAN
        if span == 0.0:
            return span, plus, minus, self._averaged(seen, 0.0, 0.0), 0.0, 0.0
        plus_di = 100.0 * (plus / span)
        minus_di = 100.0 * (minus / span)
        moved = plus_di + minus_di
        if seen < self.warmup or moved == 0.0:
            adx = self._averaged(seen, plus_di, minus_di)
        else:
            adx = (self._adx * self._rest + 100.0 * (abs(minus_di - plus_di) / moved)) / self.period
        return span, plus, minus, adx, plus_di, minus_di

    def _averaged(self, seen: int, plus_di: float, minus_di: float) -> float:
        """Return the ADX of the rarer cases: it is being seeded, or nothing moved."""
        if seen >= self.warmup:
            return self._adx
        moved = plus_di + minus_di
        total = self._adx
        if moved > 0.0:
            total += 100.0 * (abs(minus_di - plus_di) / moved)
        return total / self.period if seen == self.warmup - 1 else total

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return (self._seen, self._range, self._plus, self._minus, self._adx), self._bar

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        (seen, self._range, self._plus, self._minus, self._adx), (high, low, close) = state
        self._bar = (high, low, close)
        self._seen = int(seen)
        self.ready = seen >= self.warmup
        self.value = self._adx if self.ready else NAN
        if seen <= self.period:
            self.plus_di = self.minus_di = NAN
        elif self._range == 0.0:
            self.plus_di = self.minus_di = 0.0
        else:
            self.plus_di = 100.0 * (self._plus / self._range)
            self.minus_di = 100.0 * (self._minus / self._range)

    def __repr__(self) -> str:
        return show("ADX", self.period)
