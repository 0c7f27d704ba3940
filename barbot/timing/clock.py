"""The only place that asks the system for the time. Floor 1.

Everything else gets `now` as an argument: integer nanoseconds since the epoch, UTC. Drivers in `run/` own a
`Clock`; tests own a `VirtualClock`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from barbot.errors import ConfigError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What tells a driver the time."""

    def now(self) -> int:
        """Return nanoseconds since the epoch, UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Return the system's time in nanoseconds since the epoch, UTC."""
        return time.time_ns()


class PacedClock(Clock, Protocol):
    """What tells a live driver the time, and how fast it passes."""

    speed: float
    """How many of its seconds pass in one of the wall's."""

    def shift(self, ns: int) -> None:
        """Set the clock forward by `ns` (back, if negative); before a run begins, never during one."""

    def slept_ns(self) -> int:
        """Return how much time passed that this clock has missed, because the machine was asleep."""

    def catch_up(self) -> None:
        """Go forward by what was missed."""


class VenueClock:
    """A venue's clock, kept by the machine's steady timer; it may run faster than the wall, for rehearsals."""

    def __init__(self, offset_ns: int = 0, speed: float = 1.0) -> None:
        """Begin at the system's time plus `offset_ns`; let `speed` seconds pass in one."""
        self.speed = speed
        self._system = time.time_ns()
        self._started = time.perf_counter_ns()
        self._anchor = self._system + offset_ns

    def shift(self, ns: int) -> None:
        """Set the clock forward by `ns` (back, if negative); before a run begins, never during one."""
        self._anchor += ns

    def now(self) -> int:
        """Return the venue's time in nanoseconds since the epoch, UTC; it never goes back."""
        passed = time.perf_counter_ns() - self._started
        return self._anchor + (passed if self.speed == 1.0 else int(passed * self.speed))

    def slept_ns(self) -> int:
        """Return by how much more the system's time went on than the steady timer, which stands still in a sleep.

        Somebody who sets the system's time forward looks the same; one who sets it back is not believed.
        """
        return max(time.time_ns() - self._system - (time.perf_counter_ns() - self._started), 0)

    def catch_up(self) -> None:
        """Go forward by what was missed."""
        missed = self.slept_ns()
        self._system += missed
        self._anchor += round(missed * self.speed)


class VirtualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: int = 0) -> None:
        """Start at `now`."""
        self._now = now

    def now(self) -> int:
        """Return the time it was last moved to."""
        return self._now

    def move_to(self, ts: int) -> None:
        """Move to `ts`; a clock never goes back.

        Raises:
            ValueError: `ts` lies before the present.
        """
        if ts < self._now:
            raise ValueError(f"clock at {self._now} cannot go back to {ts}")
        self._now = ts


stopwatch: Final = time.perf_counter
"""Returns seconds of a monotonic timer, for durations that decide nothing."""


def iso(ts: int) -> str:
    """Print `ts` (ns since the epoch) as ISO 8601 UTC, with as many decimals as it needs."""
    seconds, rest = divmod(ts, 1_000_000_000)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{text}{fraction}Z"


def parse_time(text: str, *, where: str = "") -> int:
    """Read an ISO 8601 date or time with a zone, or a bare UTC date, into ns since the epoch.

    Raises:
        ConfigError: the text is no time, or names no zone and is not a bare date.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a time", where=where, remedy="Write 2026-01-31 or 2026-01-31T09:30:00Z"
        ) from None
    if moment.tzinfo is None:
        if len(text) > len("2026-01-31"):
            raise ConfigError(f"{text!r} names no time zone", where=where, remedy=f"Write {text}Z for UTC")
        moment = moment.replace(tzinfo=UTC)
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000
