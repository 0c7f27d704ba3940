"""What surrounds the price: StdDev, BollingerBands, Highest and Lowest, in units of their source. Floor 2."""

from __future__ import annotations

from math import isfinite, sqrt

from barbot.core.indicators.contract import NAN, Source, State, check_bars, show, source_reader
from barbot.core.indicators.windows import RollingMax, RollingMoments
from barbot.errors import ConfigError
from barbot.model.market import Bar


class StdDev:
    """The standard deviation of the last `period` prices as a whole population (divided by n, as in TA-Lib).

    Ready after `period` bars. Never negative, exactly 0 where the prices are equal, and as good for the smallest
    prices as for the largest (see `RollingMoments`).
    """

    __slots__ = ("_inverse", "_moments", "_read", "period", "ready", "source", "value", "warmup")

    def __init__(self, period: int = 5, *, source: Source = "close") -> None:
        """Look at `period` bars, 1 or more."""
        self.period = self.warmup = check_bars("StdDev", "period", period)
        self.source = source
        self._read = source_reader("StdDev", source)
        self._inverse = 1.0 / period
        self._moments = RollingMoments(period)
        self.value = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        moments = self._moments
        moments.push(bar.close if self._read is None else self._read(bar))
        self.value = value = sqrt(moments.squares * self._inverse)
        self.ready = value == value

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        _, squares = self._moments.ahead(bar.close if self._read is None else self._read(bar))
        self.value = value = sqrt(squares * self._inverse)
        self.ready = value == value

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return self._moments.state()

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        self._moments.restore(state)
        self.value = value = sqrt(self._moments.squares * self._inverse)
        self.ready = value == value

    def __repr__(self) -> str:
        return show("StdDev", self.period, source=self.source)


class BollingerBands:
    """The mean of the last `period` prices, and `deviations` standard deviations above and below it.

    `middle` (also `value`), `upper`, `lower`; the deviation is the population's (see `StdDev`). Ready after
    `period` bars. In a flat market the three are the price, exactly.
    """

    __slots__ = (
        "_factor",
        "_moments",
        "_read",
        "deviations",
        "lower",
        "middle",
        "period",
        "ready",
        "source",
        "upper",
        "value",
        "warmup",
    )

    def __init__(self, period: int = 20, deviations: float = 2.0, *, source: Source = "close") -> None:
        """Look at `period` bars, 1 or more; `deviations` is 0 or more."""
        self.period = self.warmup = check_bars("BollingerBands", "period", period)
        if not (isfinite(deviations) and deviations >= 0.0):
            raise ConfigError(
                f"deviations is {deviations!r}", where="BollingerBands", remedy="Give a number, 0 or more"
            )
        self.deviations = float(deviations)
        self.source = source
        self._read = source_reader("BollingerBands", source)
        self._factor = self.deviations / sqrt(period)
        self._moments = RollingMoments(period)
        self.value = self.upper = self.middle = self.lower = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        moments = self._moments
        moments.push(bar.close if self._read is None else self._read(bar))
        self.value = self.middle = mean = moments.mean
        off = self._factor * sqrt(moments.squares)
        self.upper = mean + off
        self.lower = mean - off
        self.ready = mean == mean

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        self._show(*self._moments.ahead(bar.close if self._read is None else self._read(bar)))

    def _show(self, mean: float, squares: float) -> None:
        self.value = self.middle = mean
        off = self._factor * sqrt(squares)
        self.upper = mean + off
        self.lower = mean - off
        self.ready = mean == mean

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return self._moments.state()

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        self._moments.restore(state)
        self._show(self._moments.mean, self._moments.squares)

    def __repr__(self) -> str:
        return show("BollingerBands", self.period, self.deviations, source=self.source)


class Highest:
    """The highest of the last `period` highs (or of another source). Ready after `period` bars."""

    __slots__ = ("_maximum", "_read", "period", "ready", "source", "value", "warmup")

    def __init__(self, period: int, *, source: Source = "high") -> None:
        """Look at `period` bars, 1 or more."""
        self.period = self.warmup = check_bars("Highest", "period", period)
        self.source = source
        self._read = source_reader("Highest", source)
        self._maximum = RollingMax(period)
        self.value = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        self.value = value = self._maximum.push(bar.close if self._read is None else self._read(bar))
        self.ready = value == value

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        self.value = value = self._maximum.ahead(bar.close if self._read is None else self._read(bar))
        self.ready = value == value

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return self._maximum.state()

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        self._maximum.restore(state)
        self.value = value = self._maximum.maximum
        self.ready = value == value

    def __repr__(self) -> str:
        return show("Highest", self.period, source=self.source, default="high")


class Lowest:
    """The lowest of the last `period` lows (or of another source). Ready after `period` bars."""

    __slots__ = ("_maximum", "_read", "period", "ready", "source", "value", "warmup")

    def __init__(self, period: int, *, source: Source = "low") -> None:
        """Look at `period` bars, 1 or more."""
        self.period = self.warmup = check_bars("Lowest", "period", period)
        self.source = source
        self._read = source_reader("Lowest", source)
        self._maximum = RollingMax(period)  # of the negated prices
        self.value = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        self._show(self._maximum.push(-(bar.close if self._read is None else self._read(bar))))

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        self._show(self._maximum.ahead(-(bar.close if self._read is None else self._read(bar))))

    def _show(self, negated: float) -> None:
        self.value = 0.0 - negated  # a lowest volume of 0 is 0.0, not -0.0
        self.ready = negated == negated

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return self._maximum.state()

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        self._maximum.restore(state)
        self._show(self._maximum.maximum)

    def __repr__(self) -> str:
        return show("Lowest", self.period, source=self.source, default="low")
