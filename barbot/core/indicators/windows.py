"""What a window of the last n numbers needs to be followed in O(1): sums, moments, extremes. Floor 2.

Each takes a number with `push`, and tells with `ahead` what pushing it would give while changing nothing. Both
give NaN until the window is full. Numbers are finite: the tracker refuses bars that are not (rule 9 of the
contract).

Extremes and moments cut the window in two: the numbers since the last turn (`newer`), of which a running figure is
kept, and the older ones still in it, of which `older` holds the figure for each length that is left, the
longest on top. A push pops one of those and merges; when none is left, all numbers are new, and their figures are
built backwards into the next `older`: n steps every n pushes. Nothing is ever subtracted, so nothing drifts.
"""

from __future__ import annotations

from math import fsum, inf
from typing import Final

from barbot.core.indicators.contract import NAN, State

LAPS: Final = 8
"""How often a ring goes round between two exact sums: 4 ns a number, where each lap would cost 35."""


def sum_of_deviations(numbers: list[float], reference: float) -> float:
    """Return the sum of `number - reference`, rounded once."""
    return fsum([number - reference for number in numbers])


def weighted_deviations(numbers: list[float], reference: float) -> float:
    """Return the same with weights: n for the first number, 1 for the last."""
    period = len(numbers)
    return fsum([(period - place) * (number - reference) for place, number in enumerate(numbers)])


class RollingMoments:
    """The mean and the sum of squared deviations from it (`squares`) of the last n numbers.

    Welford's method for each half of the window, Chan's formula to merge them. Hence the squares are never
    negative, are exactly 0 where all numbers are equal, and an outlier that has left leaves no trace.
    """

    __slots__ = ("_factors", "_inverses", "_mean", "_newer", "_older", "_squares", "mean", "period", "squares")

    def __init__(self, period: int) -> None:
        """Start empty."""
        self.period = period
        self.mean = NAN
        self.squares = NAN
        self._newer: list[float] = []
        self._mean = 0.0
        self._squares = 0.0
        self._older = [(NAN, NAN)] * (period - 1)
        self._inverses = [1.0 / many for many in range(1, period + 1)]
        # of so many new numbers: 1 / many, the weight of the older mean, and that of the squared gap
        self._factors = [
            (1.0 / many, (period - many) / period, many * (period - many) / period) for many in range(1, period + 1)
        ]

    def push(self, number: float) -> None:
        """Take `number` in place of the oldest; `mean` and `squares` then hold."""
        newer = self._newer
        inverse, weight, spread = self._factors[len(newer)]
        newer.append(number)
        off = number - self._mean
        self._mean = mean = self._mean + off * inverse
        self._squares = squares = self._squares + off * (number - mean)
        older = self._older
        if older:
            older_mean, older_squares = older.pop()
            gap = older_mean - mean
            self.mean = mean + gap * weight
            self.squares = squares + older_squares + gap * gap * spread
        else:
            self.mean = mean
            self.squares = squares
            self._turn()

    def ahead(self, number: float) -> tuple[float, float]:
        """Return the mean and the squares that `push(number)` would leave."""
        inverse, weight, spread = self._factors[len(self._newer)]
        off = number - self._mean
        mean = self._mean + off * inverse
        squares = self._squares + off * (number - mean)
        if not self._older:
            return mean, squares
        older_mean, older_squares = self._older[-1]
        gap = older_mean - mean
        return mean + gap * weight, squares + older_squares + gap * gap * spread

    def _turn(self) -> None:
        mean = squares = 0.0
        add = self._older.append
        for number, inverse in zip(self._newer[:0:-1], self._inverses, strict=False):
            off = number - mean
            mean += off * inverse
            squares += off * (number - mean)
            add((mean, squares))
        self._newer.clear()
        self._mean = self._squares = 0.0

    def state(self) -> State:
        """Return what `restore` needs."""
        return (self.mean, self.squares, self._mean, self._squares), tuple(self._newer), *self._older

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        (self.mean, self.squares, self._mean, self._squares), newer, *older = state
        self._newer = list(newer)
        self._older = [(mean, squares) for mean, squares in older]


class RollingMax:
    """The largest of the last n numbers; for the smallest, negate them. `maximum` holds after a push.

    Amortised the same as the usual monotonic queue, and half its cost here: no loop in a push.
    """

    __slots__ = ("_best", "_newer", "_older", "maximum", "period")

    def __init__(self, period: int) -> None:
        """Start empty."""
        self.period = period
        self.maximum = NAN
        self._newer: list[float] = []
        self._best = -inf
        self._older = [NAN] * (period - 1)

    def push(self, number: float) -> float:
        """Take `number` in place of the oldest and return the maximum."""
        self._newer.append(number)
        best = self._best
        if number > best:
            self._best = best = number
        if self._older:
            older = self._older.pop()
            if not best >= older:  # NaN while the window fills
                best = older
        else:
            self._turn()
        self.maximum = best
        return best

    def ahead(self, number: float) -> float:
        """Return the maximum that `push(number)` would give."""
        best = number if number > self._best else self._best
        if self._older and not best >= self._older[-1]:
            return self._older[-1]
        return best

    def _turn(self) -> None:
        best = -inf
        add = self._older.append
        for number in self._newer[:0:-1]:
            if number > best:
                best = number
            add(best)
        self._newer.clear()
        self._best = -inf

    def state(self) -> State:
        """Return what `restore` needs."""
        return (self.maximum, self._best), tuple(self._newer), tuple(self._older)

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        (self.maximum, self._best), newer, older = state
        self._newer = list(newer)
        self._older = list(older)


class RollingRange:
    """The highest high and the lowest low of the last n bars, by the same method in one go."""

    __slots__ = ("_bottom", "_newer", "_older", "_top", "period")

    def __init__(self, period: int) -> None:
        """Start empty."""
        self.period = period
        self._newer: list[tuple[float, float]] = []
        self._top = -inf
        self._bottom = inf
        self._older = [(NAN, NAN)] * (period - 1)

    def push(self, high: float, low: float) -> tuple[float, float]:
        """Take a bar in place of the oldest and return highest and lowest."""
        self._newer.append((high, low))
        top = self._top
        if high > top:
            self._top = top = high
        bottom = self._bottom
        if low < bottom:
            self._bottom = bottom = low
        if not self._older:
            self._turn()
            return top, bottom
        older_top, older_bottom = self._older.pop()
        return top if top >= older_top else older_top, bottom if bottom <= older_bottom else older_bottom

    def ahead(self, high: float, low: float) -> tuple[float, float]:
        """Return the highest and the lowest that `push(high, low)` would give."""
        top = high if high > self._top else self._top
        bottom = low if low < self._bottom else self._bottom
        if not self._older:
            return top, bottom
        older_top, older_bottom = self._older[-1]
        return top if top >= older_top else older_top, bottom if bottom <= older_bottom else older_bottom

    def _turn(self) -> None:
        top = -inf
        bottom = inf
        add = self._older.append
        for high, low in self._newer[:0:-1]:
            if high > top:
                top = high
            if low < bottom:
                bottom = low
            add((top, bottom))
        self._newer.clear()
        self._top = -inf
        self._bottom = inf

    def state(self) -> State:
        """Return what `restore` needs: the number of new bars, the running extremes, the new bars, the older."""
        return (len(self._newer), self._top, self._bottom), *self._newer, *self._older

    def restore(self, state: State) -> None:
        """Go back to `state`."""
        (new, self._top, self._bottom), *pairs = state
        both = [(high, low) for high, low in pairs]
        self._newer = both[: int(new)]
        self._older = both[int(new) :]
