"""The log lines of a live run or a recording: transitions, and what venues complain of. Floor 5."""

from __future__ import annotations

from typing import TextIO

from barbot import log
from barbot.core.audit import Seen
from barbot.model.market import Connected, Disconnected
from barbot.providers.base import Problem
from barbot.run.trail import Listener


class LiveLog:
    """Writes lines as things happen; a live run has no thousands of them a second."""

    def __init__(self, level: str | None, stream: TextIO, *, with_bars: bool) -> None:
        """Write lines of `level` (info) and above to `stream`; `with_bars` one for each bar that closes.

        Raises:
            ConfigError: there is no such level.
        """
        log.configure(level or "info", stream=stream)
        self._audit = log.AuditLog(log.logger(), with_bars=with_bars)

    @property
    def listener(self) -> Listener:
        """What a driver shows its audit records to."""
        return self._audit.take

    def saw(self, event: Connected | Disconnected) -> None:
        """Write that a connection is up, or ended."""
        self._audit.take([Seen(event)])

    def tell(self, problem: Problem) -> None:
        """Write what a venue complained of; the same within a minute is counted instead."""
        self._audit.say(log.problem_line(problem))
