"""Oscillators: RSI, MACD, the stochastic and the rate of change. Floor 2."""

from __future__ import annotations

from collections import deque

from barbot.core.indicators.contract import NAN, Source, State, check_bars, show, source_reader
from barbot.core.indicators.windows import RollingRange
from barbot.errors import ConfigError
from barbot.model.market import Bar


class RSI:
    """Wilder's relative strength index, 0 to 100: `100 * gain / (gain + loss)`.

    `gain` and `loss` are averages of the rises and falls from close to close, smoothed by Wilder
    (`(average * (period - 1) + new) / period`) and seeded with the mean of the first `period` of them.
    Ready after `period + 1` bars. As in TA-Lib it is 0, not 50, where nothing has moved at all.
    """

    __slots__ = ("_gain", "_last", "_loss", "_read", "_seen", "period", "ready", "source", "value", "warmup")

    def __init__(self, period: int = 14, *, source: Source = "close") -> None:
        """Smooth over `period` bars, 1 or more."""
        self.period = check_bars("RSI", "period", period)
        self.warmup = period + 1
        self.source = source
        self._read = source_reader("RSI", source)
        self._seen = 0
        self._last = NAN
        self._gain = self._loss = 0.0
        self.value = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        price = bar.close if self._read is None else self._read(bar)
        self._gain, self._loss = self._averages(price)
        self._last = price
        self._seen += 1
        self._show(self._seen, self._gain, self._loss)

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        price = bar.close if self._read is None else self._read(bar)
        self._show(self._seen + 1, *self._averages(price))

    def _averages(self, price: float) -> tuple[float, float]:
        """Return the averages (while seeding: the sums) of rises and falls with `price`."""
        seen = self._seen
        if seen == 0:
            return 0.0, 0.0
        change = price - self._last
        rise = change if change > 0.0 else 0.0
        fall = rise - change
        period = self.period
        if seen > period:
            rest = period - 1
            return (self._gain * rest + rise) / period, (self._loss * rest + fall) / period
        gain = self._gain + rise
        loss = self._loss + fall
        return (gain / period, loss / period) if seen == period else (gain, loss)

    def _show(self, seen: int, gain: float, loss: float) -> None:
        self.ready = seen > self.period
        if not self.ready:
            self.value = NAN
            return
        moved = gain + loss
        self.value = 100.0 * (gain / moved) if moved > 0.0 else 0.0

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return ((self._seen, self._last, self._gain, self._loss),)

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        ((seen, self._last, self._gain, self._loss),) = state
        self._seen = int(seen)
        self._show(self._seen, self._gain, self._loss)

    def __repr__(self) -> str:
        return show("RSI", self.period, source=self.source)


class MACD:
    """Moving average convergence/divergence, in units of the source.

    `value` is EMA(fast) - EMA(slow), `signal` the EMA of `value` over `signal_period`, `histogram` their
    difference. As in TA-Lib the fast EMA is seeded with the mean of the last `fast` of the first `slow`
    prices, the signal with the mean of the first `signal_period` values, and all three outputs come
    together, after `slow + signal_period - 1` bars.
    """

    __slots__ = (
        "_factors",
        "_fast",
        "_first",
        "_read",
        "_seen",
        "_signal",
        "_slow",
        "fast",
        "histogram",
        "ready",
        "signal",
        "signal_period",
        "slow",
        "source",
        "value",
        "warmup",
    )

    def __init__(self, fast: int = 12, slow: int = 26, signal_period: int = 9, *, source: Source = "close") -> None:
        """Take the EMAs of `fast` and of `slow` bars, more than fast."""
        self.fast = check_bars("MACD", "fast", fast)
        self.slow = check_bars("MACD", "slow", slow)
        self.signal_period = check_bars("MACD", "signal_period", signal_period)
        if fast >= slow:
            raise ConfigError(
                f"fast is {fast} and slow is {slow}", where="MACD", remedy="Give a slow period above the fast one"
            )
        self.warmup = slow + signal_period - 1
        self.source = source
        self._read = source_reader("MACD", source)
        self._factors = (2.0 / (fast + 1), 2.0 / (slow + 1), 2.0 / (signal_period + 1))
        self._seen = 0
        self._first = self._fast = self._slow = self._signal = 0.0
        self.value = self.signal = self.histogram = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        price = bar.close if self._read is None else self._read(bar)
        if self._seen == 0:
            self._first = price
        self._fast, self._slow, self._signal = fast, slow, signal = self._averages(price)
        self._seen += 1
        self._show(self._seen, fast, slow, signal)

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        price = bar.close if self._read is None else self._read(bar)
        self._show(self._seen + 1, *self._averages(price))

    def _averages(self, price: float) -> tuple[float, float, float]:
        """Return the fast, the slow and the signal average with `price`; while seeding their sums."""
        if self._seen < self.warmup:
            return self._seeds(price)
        by_fast, by_slow, by_signal = self._factors
        fast = self._fast + by_fast * (price - self._fast)
        slow = self._slow + by_slow * (price - self._slow)
        return fast, slow, self._signal + by_signal * (fast - slow - self._signal)

    def _seeds(self, price: float) -> tuple[float, float, float]:
        seen = self._seen + 1
        if seen > self.slow:
            fast = self._fast + self._factors[0] * (price - self._fast)
            slow = self._slow + self._factors[1] * (price - self._slow)
            return fast, slow, self._signal_seed(seen, fast - slow)
        first = price if seen == 1 else self._first
        off = price - first  # sums of deviations, so that equal prices give that price exactly
        fast = self._fast + off if seen > self.slow - self.fast else 0.0
        slow = self._slow + off
        if seen < self.slow:
            return fast, slow, 0.0
        fast = first + fast / self.fast
        slow = first + slow / self.slow
        return fast, slow, self._signal_seed(seen, fast - slow)

    def _signal_seed(self, seen: int, value: float) -> float:
        total = self._signal + value
        return total / self.signal_period if seen == self.warmup else total

    def _show(self, seen: int, fast: float, slow: float, signal: float) -> None:
        if seen < self.warmup:
            self.ready = False
            self.value = self.signal = self.histogram = NAN
            return
        self.ready = True
        self.value = value = fast - slow
        self.signal = signal
        self.histogram = value - signal

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return ((self._seen, self._first, self._fast, self._slow, self._signal),)

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        ((seen, self._first, self._fast, self._slow, self._signal),) = state
        self._seen = int(seen)
        self._show(self._seen, self._fast, self._slow, self._signal)

    def __repr__(self) -> str:
        return show("MACD", self.fast, self.slow, self.signal_period, source=self.source)


class Stochastic:
    """The slow stochastic, 0 to 100: where the close lies between the lowest low and the highest high.

    The raw figure `100 * (close - lowest) / (highest - lowest)` over `fast_k` bars (0 where that range is
    zero, as in TA-Lib) is averaged over `slow_k` bars into `k` (also `value`), and that over `slow_d` into
    `d`. As in TA-Lib both come together, after `fast_k + slow_k + slow_d - 2` bars.

    The raw figure is rounded to a grid (2.3e-13 for 3 and 3) on which all sums are exact floats: they cannot
    drift, and neither output ever leaves 0 to 100.
    """

    __slots__ = (
        "_d_total",
        "_divisor",
        "_k_total",
        "_k_totals",
        "_range",
        "_raws",
        "_seen",
        "_shift",
        "d",
        "fast_k",
        "k",
        "ready",
        "slow_d",
        "slow_k",
        "value",
        "warmup",
    )

    def __init__(self, fast_k: int = 5, slow_k: int = 3, slow_d: int = 3) -> None:
        """Look back `fast_k` bars and average over `slow_k` and `slow_d`, each 1 or more."""
        self.fast_k = check_bars("Stochastic", "fast_k", fast_k)
        self.slow_k = check_bars("Stochastic", "slow_k", slow_k)
        self.slow_d = check_bars("Stochastic", "slow_d", slow_d)
        self.warmup = fast_k + slow_k + slow_d - 2
        self._range = RollingRange(fast_k)
        self._raws = deque([0.0] * slow_k)
        self._k_totals = deque([0.0] * slow_d)
        self._k_total = self._d_total = 0.0
        self._divisor = slow_k * slow_d
        self._seen = 0
        # adding and taking away 1.5 * 2**52 grid steps rounds to the grid; the largest sum has below 2**52 of them
        self._shift = 1.5 * 2.0 ** (100 * slow_k * slow_d).bit_length()
        self.value = self.k = self.d = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        highest, lowest = self._range.push(bar.high, bar.low)
        span = highest - lowest  # NaN in the first bars; the zeros they leave have gone when the warm-up ends
        raw = 100.0 * ((bar.close - lowest) / span) + self._shift - self._shift if span > 0.0 else 0.0
        raws = self._raws
        self._k_total = k_total = self._k_total + (raw - raws.popleft())
        raws.append(raw)
        k_totals = self._k_totals
        self._d_total = d_total = self._d_total + (k_total - k_totals.popleft())
        k_totals.append(k_total)
        self._seen = seen = self._seen + 1
        if seen >= self.warmup:
            self.value = self.k = k_total / self.slow_k
            self.d = d_total / self._divisor
            self.ready = True

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        if self._seen + 1 < self.warmup:
            return
        highest, lowest = self._range.ahead(bar.high, bar.low)
        span = highest - lowest
        raw = 100.0 * ((bar.close - lowest) / span) + self._shift - self._shift if span > 0.0 else 0.0
        k_total = self._k_total + (raw - self._raws[0])
        self._show(k_total, self._d_total + (k_total - self._k_totals[0]))

    def _show(self, k_total: float, d_total: float) -> None:
        self.value = self.k = k_total / self.slow_k
        self.d = d_total / self._divisor
        self.ready = True

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        sums = (self._seen, self._k_total, self._d_total)
        return sums, tuple(self._raws), tuple(self._k_totals), *self._range.state()

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        (seen, self._k_total, self._d_total), raws, k_totals, *extremes = state
        self._raws = deque(raws)
        self._k_totals = deque(k_totals)
        self._range.restore(tuple(extremes))
        self._seen = int(seen)
        if seen >= self.warmup:
            self._show(self._k_total, self._d_total)
        else:
            self.value = self.k = self.d = NAN
            self.ready = False

    def __repr__(self) -> str:
        return show("Stochastic", self.fast_k, self.slow_k, self.slow_d)


class ROC:
    """The rate of change in percent: `(price / price[period bars ago] - 1) * 100`.

    Ready after `period + 1` bars. 0 where the earlier price was 0, as in TA-Lib.
    """

    __slots__ = ("_prices", "_read", "period", "ready", "source", "value", "warmup")

    def __init__(self, period: int = 10, *, source: Source = "close") -> None:
        """Compare with the price of `period` bars ago, 1 or more."""
        self.period = check_bars("ROC", "period", period)
        self.warmup = period + 1
        self.source = source
        self._read = source_reader("ROC", source)
        self._prices = deque([NAN] * (period + 1), period + 1)
        self.value = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        prices = self._prices
        prices.append(bar.close if self._read is None else self._read(bar))
        self._show(prices[0], prices[-1])

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        self._show(self._prices[1], bar.close if self._read is None else self._read(bar))

    def _show(self, earlier: float, price: float) -> None:
        self.ready = earlier == earlier
        self.value = (price / earlier - 1.0) * 100.0 if earlier else 0.0

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return (tuple(self._prices),)

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        self._prices = deque(state[0], self.period + 1)
        self._show(self._prices[0], self._prices[-1])

    def __repr__(self) -> str:
        return show("ROC", self.period, source=self.source)
