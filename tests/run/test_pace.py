"""A pacer waits as long as the recording took, divided by the speed, and not a moment after a stop."""

from __future__ import annotations

from threading import Event
from time import perf_counter

import pytest

from barbot.run.pace import Pacer
from barbot.timing.interval import HOUR, SECOND


class Waits(Event):
    """An event that is told how long to wait, and lets the time be gone at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout or 0.0)
        if len(self.asked) >= 3:
            self.set()
        return self.is_set()


def test_the_first_moment_is_now() -> None:
    stop = Waits()
    assert Pacer(1.0, stop).wait_for(HOUR) is True
    assert stop.asked == []


def test_it_waits_in_short_stretches_and_stops_when_told() -> None:
    stop = Waits()
    pacer = Pacer(1.0, stop)
    pacer.wait_for(0)
    assert pacer.wait_for(HOUR) is False
    assert stop.asked == [0.25, 0.25, 0.25]


@pytest.mark.parametrize(("speed", "least"), [(1.0, 0.004), (0.5, 0.008)])
def test_it_waits_as_long_as_the_recording_took(speed: float, least: float) -> None:
    pacer = Pacer(speed, Event())
    began = perf_counter()
    assert pacer.wait_for(0) is True
    assert pacer.wait_for(SECOND // 250) is True
    assert perf_counter() - began >= least


def test_a_great_speed_does_not_wait() -> None:
    stop = Waits()
    pacer = Pacer(1e12, stop)
    assert [pacer.wait_for(ts) for ts in (0, HOUR)] == [True, True]
    assert len(stop.asked) <= 1


def test_a_stop_is_seen_even_if_nothing_is_waited_for() -> None:
    stop = Event()
    pacer = Pacer(1e12, stop)
    pacer.wait_for(0)
    stop.set()
    assert pacer.wait_for(1) is False
