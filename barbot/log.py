"""Logging: structlog set up for a terminal or for a machine, and audit records as log lines. Floor 5.

The core never logs: it returns what it did, and here that becomes lines. Transitions are logged, updates never
(a line costs 7 us to write, one that is filtered out 0.1). Lines go to standard error, so that standard output
stays free for `--json`. Each line says `at`, the time of what happened; a line that is not about a record is
stamped by the clock.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final, TextIO, TypeAlias, cast

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from barbot.core import audit
from barbot.core.audit import AuditRecord
from barbot.errors import ConfigError
from barbot.model.market import Bar, Connected, Disconnected, Quality
from barbot.model.order import Fill, Order, OrderStatus
from barbot.providers.base import Effect, Problem
from barbot.timing.clock import Clock, SystemClock, iso
from barbot.timing.interval import MINUTE

_OK: Final = Quality.OK
_MOST_TOPICS: Final = 1_000
_PAD_EVENT: Final = 12

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

Value: TypeAlias = str | int | float | bool | Decimal | None


class Line(msgspec.Struct, frozen=True):
    """One log line: level, what happened, when, and the facts.

    Lines of one `topic` are written at most once a minute; "" is not held back.
    """

    level: str
    event: str
    ts: int
    facts: dict[str, Value]
    topic: str = ""


def configure(level: str = "info", *, stream: TextIO | None = None, clock: Clock | None = None) -> None:
    """Make structlog write lines of `level` and above to `stream` (standard error): coloured columns on a
    terminal, one JSON object a line anywhere else.

    Raises:
        ConfigError: there is no such level.
    """
    if level not in LEVELS:
        raise ConfigError(f"{level!r} is no log level", where="--log-level", remedy=f"Use one of: {', '.join(LEVELS)}")
    out = stream or sys.stderr
    structlog.configure(
        processors=[_stamp(clock or SystemClock()), structlog.processors.add_log_level, *_renderer(out)],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )


def logger() -> FilteringBoundLogger:
    """Return a logger as `configure` last set it up."""
    return cast(FilteringBoundLogger, structlog.get_logger())


class AuditLog:
    """Writes the audit records that a person wants to read; holds back lines that repeat."""

    def __init__(self, target: FilteringBoundLogger, *, with_bars: bool = False) -> None:
        """Write to `target`; a topic that repeats within a minute of its records' time is counted instead.

        `with_bars` writes a line for each bar that closes, not only for those that are not as they should be.
        """
        self._write = {name: getattr(target, name) for name in LEVELS}
        self._topics: dict[str, tuple[int, int]] = {}
        self._with_bars = with_bars

    def take(self, records: Iterable[AuditRecord]) -> None:
        """Write the lines of `records`, in order."""
        for record in records:
            if isinstance(record, Bar):
                if self._with_bars:
                    self.say(_closed(record))
                    continue
                if record.quality is _OK:  # nearly all of a replay
                    continue
            make = _LINES.get(record.__class__)
            if make is not None and (line := make(record)) is not None:
                self.say(line)

    def say(self, line: Line) -> None:
        """Write `line`, unless its topic was written a moment ago."""
        facts = line.facts
        if line.topic:
            ts_said, held_back = self._topics.get(line.topic, (line.ts - MINUTE, 0))
            if line.ts - ts_said < MINUTE:
                self._topics[line.topic] = (ts_said, held_back + 1)
                return
            if len(self._topics) > _MOST_TOPICS:
                self._topics.clear()
            self._topics[line.topic] = (line.ts, 0)
            if held_back:
                facts = {**facts, "held_back": held_back}
        self._write[line.level](line.event, at=iso(line.ts), **facts)


def _stamp(clock: Clock) -> Processor:
    """Put `at` first, from the record or else from `clock`."""

    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {"at": event.pop("at", None) or iso(clock.now()), **event}

    return stamp


def _renderer(out: TextIO) -> list[Processor]:
    if out.isatty():
        colours = sys.platform != "win32"  # structlog needs one more package for them there
        plain = structlog.dev.plain_traceback
        console = structlog.dev.ConsoleRenderer(
            _PAD_EVENT, colors=colours, exception_formatter=plain, timestamp_key="at", sort_keys=False
        )
        return [_shorten, console]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_to_json)]


def _shorten(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write times to the second and amounts without their type: a terminal has 80 columns."""
    event["at"] = str(event["at"])[:19].replace("T", " ")
    return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in event.items()}


def _to_json(event: EventDict, **_unused: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def _bar(bar: Bar) -> Line | None:
    if bar.quality in (Quality.OK, Quality.QUIET):
        return None
    closed_by = bar.closed_by.name if bar.closed_by else None
    facts: dict[str, Value] = {"feed": bar.feed, "quality": bar.quality.name, "closed_by": closed_by}
    return Line("warning" if bar.quality is Quality.GAP else "info", "bar closed", bar.ts_close, facts)


def _closed(bar: Bar) -> Line:
    """Return the line of any bar that closed, with its values."""
    facts: dict[str, Value] = {"feed": bar.feed, "open": bar.open, "high": bar.high, "low": bar.low}
    facts |= {"close": bar.close, "volume": bar.volume, "quality": bar.quality.name}
    facts["closed_by"] = bar.closed_by.name if bar.closed_by else None
    return Line("warning" if bar.quality is Quality.GAP else "info", "bar closed", bar.ts_close, facts)


def problem_line(problem: Problem) -> Line:
    """Return the line of what a venue complained of, or of what is odd about it."""
    plan = problem.connection.partition("#")[0]
    facts: dict[str, Value] = {"connection": problem.connection, "code": problem.code, "text": problem.text}
    if problem.effect is Effect.DROP:
        facts["then"] = "a new connection"
    level = "error" if problem.effect is Effect.STOP else "warning"
    return Line(level, "venue", problem.ts, facts, f"{plan} {problem.code} {problem.text[:40]}")


def _corrected(record: audit.Corrected) -> Line:
    new, old = record.bar, record.previous
    changed: dict[str, Value] = {
        name: f"{getattr(old, name)} -> {getattr(new, name)}"
        for name in ("open", "high", "low", "close", "volume", "quality")
        if getattr(old, name) != getattr(new, name)
    }
    return Line("info", "bar corrected", new.ts_close, {"feed": new.feed, "ts_open": iso(new.ts_open), **changed})


def _gapped(record: audit.Gapped) -> Line:
    gap = record.gap
    facts: dict[str, Value] = {"feed": gap.feed, "since": iso(gap.ts_from), "reason": gap.reason}
    return Line("warning", "gap", gap.ts_to, facts)


def _seen(record: audit.Seen) -> Line | None:
    match record.event:
        case Connected(connection=connection, ts_recv=ts, feeds=feeds):
            return Line("info", "connected", ts, {"connection": connection, "feeds": ", ".join(feeds)})
        case Disconnected(connection=connection, ts_recv=ts, reason=reason):
            return Line("warning", "disconnected", ts, {"connection": connection, "reason": reason})
    return None


def _order(order: Order) -> Line | None:
    if order.status is OrderStatus.REFUSED:  # the refusal has its own record
        return None
    facts: dict[str, Value] = {
        "order": order.client_order_id,
        "status": order.status.name,
        "instrument": order.instrument,
        "side": order.side.name,
        "quantity": order.quantity,
        "type": order.type.name,
    }
    if order.reason:
        facts["reason"] = order.reason
    level = "warning" if order.status is OrderStatus.REJECTED else "debug" if order.is_open else "info"
    return Line(level, "order", order.ts_updated, facts)


def _fill(fill: Fill) -> Line:
    facts: dict[str, Value] = {
        "order": fill.client_order_id,
        "instrument": fill.instrument,
        "side": fill.side.name,
        "quantity": fill.quantity,
        "price": fill.price,
        "fee": f"{fill.fee} {fill.fee_currency}",
    }
    return Line("info", "fill", fill.ts_event, facts)


def _data_refused(record: audit.DataRefused) -> Line:
    facts: dict[str, Value] = {"feed": record.feed, "reason": record.reason, "data": record.data}
    return Line("warning", "market data refused", record.ts, facts, f"data {record.feed} {record.reason}")


def _history_asked(record: audit.HistoryAsked) -> Line:
    facts: dict[str, Value] = {"feed": record.feed, "since": iso(record.ts_from), "until": iso(record.ts_to)}
    return Line("debug", "history asked for", record.ts, facts)


def _order_refused(record: audit.OrderRefused) -> Line:
    facts: dict[str, Value] = {"order": record.client_order_id, "rule": record.rule, "reason": record.reason}
    return Line("warning", "order refused", record.ts, facts, f"order {record.rule}")


def _assumed(record: audit.Assumed) -> Line:
    facts: dict[str, Value] = {"order": record.client_order_id, "assumption": record.assumption}
    return Line("debug", "paper fill assumed", record.ts, facts)


def _anomaly(record: audit.Anomaly) -> Line:
    return Line("error", "anomaly", record.ts, {"order": record.client_order_id, "problem": record.problem})


def _logged(record: audit.Logged) -> Line:
    level = record.level if record.level in LEVELS else "error" if record.level == "critical" else "info"
    facts: dict[str, Value] = {(f"{name}_" if name in _OURS else name): value for name, value in record.fields.items()}
    return Line(level, record.text, record.ts, facts)


def _hook_failed(record: audit.HookFailed) -> Line:
    return Line("error", "hook failed", record.ts, {"hook": record.hook, "problem": record.problem})


def _hook_slow(record: audit.HookSlow) -> Line:
    facts: dict[str, Value] = {"hook": record.hook, "milliseconds": round(record.seconds * 1000, 1)}
    return Line("warning", "hook over its budget", record.ts, facts, f"slow {record.hook}")


_OURS: Final = frozenset({"at", "event", "level"})
"""Keys that a line has of its own; a strategy's field of that name gets an underscore."""

_LINES: Final[dict[type, Callable[..., Line | None]]] = {
    Bar: _bar,
    Order: _order,
    Fill: _fill,
    audit.Corrected: _corrected,
    audit.Gapped: _gapped,
    audit.Seen: _seen,
    audit.DataRefused: _data_refused,
    audit.HistoryAsked: _history_asked,
    audit.OrderRefused: _order_refused,
    audit.Assumed: _assumed,
    audit.Anomaly: _anomaly,
    audit.Logged: _logged,
    audit.HookFailed: _hook_failed,
    audit.HookSlow: _hook_slow,
}
"""Kinds of record that become lines. Openings, updates, trades, quotes and equity points never do."""
