"""Ctrl-C: the first stops a run cleanly, the second at once. Floor 5."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import Final

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
"""SIGTERM is how a service manager asks for the same."""


@contextmanager
def stopping(stop: Event) -> Iterator[None]:
    """Set `stop` on the first signal; raise KeyboardInterrupt on the second. Handlers are put back afterwards."""
    if threading.current_thread() is not threading.main_thread():  # only there signals can be handled
        yield
        return
    seen: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        # Another thread sets it: the one that is interrupted here may hold the event's own lock.
        threading.Thread(target=stop.set).start()
        sys.stderr.write("\nStopping; Ctrl-C again stops at once.\n")

    before = {number: signal.signal(number, handle) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
