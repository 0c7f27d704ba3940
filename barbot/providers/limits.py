"""How often something may be done, kept by stamps: no clock, no sleeping. Floor 3."""

from __future__ import annotations

from collections import deque

import msgspec

from barbot.timing.interval import SECOND


class RateLimit(msgspec.Struct, frozen=True):
    """At most `count` times in any `per_s` seconds."""

    count: int
    per_s: float

    def __str__(self) -> str:
        return f"{self.count} in {self.per_s:g} s"


class RateLimiter:
    """Keep one limit over a sliding window, as the stamps handed in tell the time."""

    __slots__ = ("_span", "_taken")

    def __init__(self, limit: RateLimit) -> None:
        """Start with nothing done."""
        self._taken: deque[int] = deque(maxlen=limit.count)
        self._span = round(limit.per_s * SECOND)

    def free_at(self, now: int) -> int:
        """Return the earliest time, `now` or later, at which it may be done once more."""
        taken = self._taken
        return max(now, taken[0] + self._span) if len(taken) == taken.maxlen else now

    def take(self, now: int) -> None:
        """Note that it was done; what was done against the limit counts as well."""
        self._taken.append(now)
