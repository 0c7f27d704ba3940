"""Averages of the price: SMA, EMA, WMA and VWAP; all in units of their source. Floor 2.

Their `update` does its arithmetic in place: in the engine's loop a method call costs half as much as an average.
"""

from __future__ import annotations

from barbot.core.indicators.contract import NAN, Source, State, check_bars, show, source_reader
from barbot.core.indicators.windows import LAPS, sum_of_deviations, weighted_deviations
from barbot.model.market import Bar
from barbot.timing.interval import Interval


class SMA:
    """The simple moving average: the mean of the last `period` prices. Ready after `period` bars.

    Kept as `reference + total / period`, where `total` sums the deviations from a `reference` price close by:
    differences of neighbouring prices are exact in floating point, and as a rule so is their sum. What rounding
    there is (an outlier, a long trend) ends with the exact sum that is taken, together with a new
    reference, every `LAPS` laps of the ring, and at once where a lap ends on the price it began with. So at the
    latest two windows into a quiet market the average is the price, to the bit, for every period: it
    crosses no other.
    """

    __slots__ = (
        "_index",
        "_inverse",
        "_laps",
        "_read",
        "_reference",
        "_ring",
        "_total",
        "period",
        "ready",
        "source",
        "value",
        "warmup",
    )

    def __init__(self, period: int, *, source: Source = "close") -> None:
        """Average `period` bars, 1 or more."""
        self.period = self.warmup = check_bars("SMA", "period", period)
        self.source = source
        self._read = source_reader("SMA", source)
        self._ring = [NAN] * period  # which makes every total NaN until the first lap is full
        self._index = period - 1  # counts down: the place of the oldest price
        self._laps = 1
        self._inverse = 1.0 / period
        self._reference = 0.0
        self._total = NAN
        self.value = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        price = bar.close if self._read is None else self._read(bar)
        ring = self._ring
        index = self._index
        self._total = total = self._total + (price - ring[index])
        ring[index] = price
        if index:
            self._index = index - 1
            self.value = self._reference + total * self._inverse
        else:
            self._turn(price)

    def _turn(self, price: float) -> None:
        """Begin the next lap of the ring, whose last place took `price`."""
        self._index = self.period - 1
        if self._is_summed_anew(price):
            self._laps = LAPS
            self._reference = price
            self._total = sum_of_deviations(self._ring, price)
        else:
            self._laps -= 1
        self.value = self._reference + self._total * self._inverse
        self.ready = True

    def _is_summed_anew(self, price: float) -> bool:
        """Whether the `price` that ends a lap brings an exact sum."""
        return self._laps == 1 or self.period == 1 or price == self._ring[-1]

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        price = bar.close if self._read is None else self._read(bar)
        if self._index == 0 and self._is_summed_anew(price):
            value = price + sum_of_deviations([price, *self._ring[1:]], price) * self._inverse
        else:
            value = self._reference + (self._total + (price - self._ring[self._index])) * self._inverse
        self.value = value
        self.ready = value == value

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return (self._index, self._laps, self._reference, self._total), tuple(self._ring)

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        (index, laps, self._reference, self._total), ring = state
        self._index = int(index)
        self._laps = int(laps)
        self._ring = list(ring)
        self.value = value = self._reference + self._total * self._inverse
        self.ready = value == value

    def __repr__(self) -> str:
        return show("SMA", self.period, source=self.source)


class EMA:
    """The exponential moving average: `ema += k * (price - ema)` with `k = 2 / (period + 1)`.

    Seeded with the mean of the first `period` prices, and ready with it.
    """

    __slots__ = ("_ema", "_first", "_k", "_read", "_seen", "_total", "period", "ready", "source", "value", "warmup")

    def __init__(self, period: int, *, source: Source = "close") -> None:
        """Average with the weight of `period` bars, 1 or more."""
        self.period = self.warmup = check_bars("EMA", "period", period)
        self.source = source
        self._read = source_reader("EMA", source)
        self._k = 2.0 / (period + 1)
        self._ema = NAN
        self._seen = 0
        self._first = self._total = 0.0
        self.value = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        price = bar.close if self._read is None else self._read(bar)
        ema = self._ema
        if ema == ema:  # NaN until seeded
            self._ema = self.value = ema + self._k * (price - ema)
        else:
            self._seen, self._first, self._total, self._ema = self._seed(price)
            self.value = self._ema
            self.ready = self._seen == self.period

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        price = bar.close if self._read is None else self._read(bar)
        ema = self._ema
        self.value = value = ema + self._k * (price - ema) if ema == ema else self._seed(price)[3]
        self.ready = value == value

    def _seed(self, price: float) -> tuple[int, float, float, float]:
        seen = self._seen + 1
        first = price if seen == 1 else self._first
        total = self._total + (price - first)
        return seen, first, total, first + total / self.period if seen == self.period else NAN

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return ((self._seen, self._first, self._total, self._ema),)

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        ((seen, self._first, self._total, self._ema),) = state
        self._seen = int(seen)
        self.value = value = self._ema
        self.ready = value == value

    def __repr__(self) -> str:
        return show("EMA", self.period, source=self.source)


class WMA:
    """The linearly weighted moving average: the newest price weighs `period`, the oldest 1.

    Ready after `period` bars. Kept like an SMA, and like it the price itself in a quiet market.
    """

    __slots__ = (
        "_index",
        "_laps",
        "_read",
        "_reference",
        "_ring",
        "_total",
        "_weighted",
        "_weights",
        "period",
        "ready",
        "source",
        "value",
        "warmup",
    )

    def __init__(self, period: int, *, source: Source = "close") -> None:
        """Average `period` bars, 1 or more."""
        self.period = self.warmup = check_bars("WMA", "period", period)
        self.source = source
        self._read = source_reader("WMA", source)
        self._weights = period * (period + 1) / 2.0
        self._ring = [NAN] * period
        self._index = period - 1
        self._laps = 1
        self._reference = 0.0
        self._total = self._weighted = NAN
        self.value = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        price = bar.close if self._read is None else self._read(bar)
        ring = self._ring
        index = self._index
        total = self._total
        self._weighted = weighted = self._weighted - total + self.period * (price - self._reference)
        self._total = total + (price - ring[index])
        ring[index] = price
        if index:
            self._index = index - 1
            self.value = self._reference + weighted / self._weights
        else:
            self._turn(price)
            self.ready = True

    def _turn(self, price: float) -> None:
        self._index = self.period - 1
        if self._is_summed_anew(price):
            self._laps = LAPS
            self._reference = price
            self._total = sum_of_deviations(self._ring, price)
            self._weighted = weighted_deviations(self._ring, price)
        else:
            self._laps -= 1
        self.value = self._reference + self._weighted / self._weights

    def _is_summed_anew(self, price: float) -> bool:
        """Whether the `price` that ends a lap brings an exact sum."""
        return self._laps == 1 or self.period == 1 or price == self._ring[-1]

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        price = bar.close if self._read is None else self._read(bar)
        if self._index == 0 and self._is_summed_anew(price):
            value = price + weighted_deviations([price, *self._ring[1:]], price) / self._weights
        else:
            weighted = self._weighted - self._total + self.period * (price - self._reference)
            value = self._reference + weighted / self._weights
        self.value = value
        self.ready = value == value

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return (self._index, self._laps, self._reference, self._total, self._weighted), tuple(self._ring)

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        (index, laps, self._reference, self._total, self._weighted), ring = state
        self._index = int(index)
        self._laps = int(laps)
        self._ring = list(ring)
        self.value = value = self._reference + self._weighted / self._weights
        self.ready = value == value

    def __repr__(self) -> str:
        return show("WMA", self.period, source=self.source)


class VWAP:
    """The volume weighted average price since the anchor: `sum(price * volume) / sum(volume)`.

    `anchor` is a bar length: the sums start anew where a UTC day (the default), week, hour ... begins, by the
    bar's `ts_open`; None lets them run for ever. NaN, and not ready, until there was volume since the anchor:
    a quiet market at the turn of the day has no VWAP.
    """

    __slots__ = (
        "_interval",
        "_read",
        "_reference",
        "_total",
        "_until",
        "_volume",
        "anchor",
        "ready",
        "source",
        "value",
        "warmup",
    )

    def __init__(self, *, anchor: str | None = "1d", source: Source = "hlc3") -> None:
        """Start anew at every `anchor`, `"1d"`, `"1w"`, `"4h"` ..., or never."""
        self.warmup = 1
        self.anchor = anchor
        self.source = source
        self._read = source_reader("VWAP", source)
        self._interval = None if anchor is None else Interval.parse(anchor)
        self._until = 0
        self._reference = self._total = self._volume = 0.0
        self.value = NAN
        self.ready = False

    def update(self, bar: Bar) -> None:
        """Take a closed bar."""
        self._reference, self._total, self._volume = self._sums(bar)
        if bar.ts_open >= self._until and self._interval is not None:
            self._until = self._interval.next(self._interval.floor(bar.ts_open))
        self._show(self._reference, self._total, self._volume)

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now."""
        self._show(*self._sums(bar))

    def _sums(self, bar: Bar) -> tuple[float, float, float]:
        """Return the reference price, the volume-weighted deviations from it, and the volume, with `bar`."""
        price = bar.close if self._read is None else self._read(bar)
        volume = bar.volume
        if self._volume == 0.0 or (bar.ts_open >= self._until and self._interval is not None):
            return price, 0.0, volume
        reference = self._reference
        return reference, self._total + (price - reference) * volume, self._volume + volume

    def _show(self, reference: float, total: float, volume: float) -> None:
        self.ready = volume > 0.0
        self.value = reference + total / volume if self.ready else NAN

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""
        return ((self._until, self._reference, self._total, self._volume),)

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        ((until, self._reference, self._total, self._volume),) = state
        self._until = int(until)
        self._show(self._reference, self._total, self._volume)

    def __repr__(self) -> str:
        return show("VWAP", source=self.source, default="hlc3", anchor=self.anchor)
