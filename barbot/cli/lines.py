"""How much a run says by itself: the first few warnings of each kind, then how many more there were. Floor 5.

A replay tells a month in a second: the warnings that a person would read in a live run come by the thousand.
The result table counts them; `--log-level warning` shows them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, TextIO, cast

from structlog.typing import FilteringBoundLogger

from barbot import log
from barbot.core.audit import Assumed, AuditRecord, Corrected, HistoryAsked, Opened, Updated
from barbot.model.market import Bar
from barbot.model.order import Fill, Order, OrderStatus
from barbot.run.trail import Listener

SHOWN: Final = 3
_BELOW_WARNING: Final[frozenset[type]] = frozenset({Bar, Opened, Updated, Corrected, Fill, Assumed, HistoryAsked})
"""Records whose lines are below a warning (a bar with a gap has a `Gapped` of its own). A replay with 39 000 fills
spent a sixth of its time on lines that were then thrown away."""


class FirstFew:
    """Writes warnings and errors to `target`, the first `SHOWN` of each kind; counts the others."""

    def __init__(self, target: FilteringBoundLogger) -> None:
        """Write to `target`."""
        self._target = target
        self._seen: Counter[str] = Counter()

    def debug(self, event: str, **facts: object) -> None:
        """Write nothing."""

    info = debug

    def warning(self, event: str, **facts: object) -> None:
        """Write the line if it is one of the first of its kind."""
        if self._is_first(event):
            self._target.warning(event, **_short(facts))

    def error(self, event: str, **facts: object) -> None:
        """Write the line if it is one of the first of its kind."""
        if self._is_first(event):
            self._target.error(event, **_short(facts))

    def _is_first(self, event: str) -> bool:
        self._seen[event] += 1
        return self._seen[event] <= SHOWN

    def held_back(self) -> str:
        """Return what was not written, in words; "" if nothing."""
        more = {event: count - SHOWN for event, count in self._seen.items() if count > SHOWN}
        return ", ".join(f"{count:,} x {event}" for event, count in more.items())


class RunLog:
    """The log lines of one run."""

    def __init__(self, level: str | None, stream: TextIO) -> None:
        """Write lines of `level` and above to `stream`; without a level, the first few warnings.

        Raises:
            ConfigError: there is no such level.
        """
        log.configure(level or "warning", stream=stream)
        self._warnings_only = level in (None, "warning", "error")
        self._few = FirstFew(log.logger()) if level is None else None
        target = cast("FilteringBoundLogger", self._few) if self._few else log.logger()
        self._audit = log.AuditLog(target)

    @property
    def listener(self) -> Listener:
        """What a driver shows its audit records to."""
        return self._take

    def held_back(self) -> str:
        """Return how many lines of each kind were not written, in words; "" if none."""
        return self._few.held_back() if self._few else ""

    def _take(self, records: Sequence[AuditRecord]) -> None:
        if self._warnings_only:
            records = [record for record in records if record.__class__ not in _BELOW_WARNING and _is_loud(record)]
        self._audit.take(records)


def _short(facts: dict[str, object]) -> dict[str, object]:
    """Leave out the refused data themselves: they fill three lines, and the audit file has them."""
    return {name: value for name, value in facts.items() if name != "data"}


def _is_loud(record: AuditRecord) -> bool:
    return not isinstance(record, Order) or record.status is OrderStatus.REJECTED
