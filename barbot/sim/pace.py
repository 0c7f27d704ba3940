"""A clock that runs a multiple of the wall's: a rehearsal of an hour in a minute. Floor 4."""

from __future__ import annotations

from barbot.errors import ConfigError
from barbot.timing.clock import stopwatch
from barbot.timing.interval import SECOND


class ScaledClock:
    """Shows `start` when it is made, and runs `speed` times as fast as the wall."""

    def __init__(self, start: int, speed: float = 1.0) -> None:
        """Start it.

        Raises:
            ConfigError: the speed is not above 0.
        """
        if not 0 < speed < float("inf"):
            raise ConfigError(f"a clock cannot run at {speed:g} times", where="--speed", remedy="Give a speed above 0")
        self.speed = speed
        self._start = start
        self._begun = stopwatch()

    def now(self) -> int:
        """Return the time it shows, ns since the epoch, UTC."""
        return self._start + round((stopwatch() - self._begun) * self.speed * SECOND)

    def wall_s(self, duration: int) -> float:
        """Return how many seconds of the wall a duration (ns) takes; 0 if it is negative."""
        return max(duration, 0) / SECOND / self.speed
