"""The bar length of a file, from the times of its first rows. Floor 3."""

from __future__ import annotations

from typing import Final

import numpy as np

from barbot.errors import ConfigError
from barbot.feeds.rows import Int64s
from barbot.timing.interval import DAY, HOUR, MINUTE, SECOND, Interval

_UNITS: Final = (("h", HOUR), ("m", MINUTE), ("s", SECOND))


def step_of(times: Int64s, instruments: Int64s | None, *, has_sessions: bool) -> int | None:
    """Return the usual step between neighbouring rows of one instrument in ns, None if there is none.

    It is the smallest one: rows that are missing only make steps longer. With sessions it is the commonest
    instead, because the stub before a lunch break is shorter than the bars of the file. Steps back count as
    steps: a file that is not sorted is refused for that, by the reader, and not for a length it does not have.
    """
    if instruments is None:
        steps = np.abs(np.diff(times))
    else:
        order = np.argsort(instruments, kind="stable")
        same = np.diff(instruments[order]) == 0
        steps = np.abs(np.diff(times[order])[same])
    steps = steps[steps > 0]
    if not steps.size:
        return None
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()] if has_sessions else values[0])


def interval_of(step: int) -> Interval | None:
    """Return the interval whose bars are `step` apart, None if there is no such interval.

    A day may be 23 or 25 hours where the file's clock knows summer time, and a month 28 to 31 days.
    """
    for text, low, high in (
        ("1d", 22 * HOUR, 26 * HOUR),
        ("1w", 6 * DAY, 8 * DAY),
        ("1M", 27 * DAY, 32 * DAY),
    ):
        if low <= step <= high:
            return Interval.parse(text)
    for unit, length in _UNITS:
        if step % length == 0:
            try:
                return Interval.parse(f"{step // length}{unit}")
            except ConfigError:
                continue
    return None
