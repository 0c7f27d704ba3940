"""Ctrl-C: the first stops a run cleanly, the second at once. Floor 5."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import Final, TextIO

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
"""SIGTERM is how a service manager asks for the same."""


@contextmanager
def stopping(stop: Event, stream: TextIO) -> Iterator[None]:
    """Set `stop` on the first signal and say so; raise KeyboardInterrupt on the second.

    Handlers are put back afterwards.
    """
    if threading.current_thread() is not threading.main_thread():  # only there signals can be handled
        yield
        return
    stoppers: list[threading.Thread] = []

    def say_and_set() -> None:
        stop.set()
        stream.write("Stopping; Ctrl-C again stops at once.\n")

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stoppers:
            raise KeyboardInterrupt
        # Another thread does it: the one that is interrupted here may hold the event's lock, or be writing.
        stoppers.append(threading.Thread(target=say_and_set))
        stoppers[0].start()

    before = {number: signal.signal(number, handle) for number in _STOPPING}
    try:
        yield
    finally:
        for thread in stoppers:
            thread.join()
        for number, handler in before.items():
            signal.signal(number, handler)
