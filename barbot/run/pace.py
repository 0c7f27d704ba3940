"""Play a recording at a multiple of its own speed. Floor 4."""

from __future__ import annotations

from threading import Event
from typing import Final

from barbot.timing.clock import stopwatch
from barbot.timing.interval import SECOND

_LONGEST_S: Final = 0.25
"""A signal is handled between two waits: on Windows one that waits does not notice Ctrl-C."""


class Pacer:
    """Waits until a recorded time has come."""

    def __init__(self, speed: float, stop: Event) -> None:
        """Let `speed` recorded seconds pass in one; waiting ends early when `stop` is set."""
        self._speed = speed
        self._stop = stop
        self._started: float | None = None
        self._first = 0

    def wait_for(self, ts: int) -> bool:
        """Wait until the recorded time `ts` has come; False if the run is to stop instead."""
        if self._started is None:
            self._started, self._first = stopwatch(), ts
        due = self._started + (ts - self._first) / SECOND / self._speed
        while (remaining := due - stopwatch()) > 0:
            if self._stop.wait(min(remaining, _LONGEST_S)):
                return False
        return not self._stop.is_set()
