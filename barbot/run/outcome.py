"""What came of a run, as plain values; `report/` makes results and pages of it. Floor 4."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from barbot.core.lane import Lane
from barbot.core.ledger import TradeStatistics
from barbot.model.market import Quality
from barbot.run.line import Line

_MOST_UNKNOWN: Final = 3
"""Feeds of a recording that the strategy does not use are named up to here."""


class FeedOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one feed: counts, and the first and last close (ns, 0 without a bar)."""

    feed: str
    closed: int
    warmed: int
    ts_first: int
    ts_last: int
    by_quality: dict[str, int]
    by_reason: dict[str, int]
    corrections: int
    gaps: int
    duplicates: int
    other_counts: dict[str, int]
    refusals: dict[str, int]


class RunOutcome(msgspec.Struct, kw_only=True):
    """The raw outcome of one run. Equity and held spans are columns: ns, float money for charts and ratios."""

    run_id: str
    run_dir: Path | None
    strategy: str
    strategy_file: str
    params: dict[str, object]
    source: str
    source_digest: str
    digest: str
    feeds: list[FeedOutcome]
    ts_from: int
    ts_to: int
    calendars: list[str]
    orders_by_status: dict[str, int]
    refused_by_rule: dict[str, int]
    fills: int
    currency: str
    fees: dict[str, Decimal]
    start_equity: Decimal
    final_equity: Decimal
    trades: TradeStatistics
    equity_ts: array[int]
    equity: array[float]
    held_from: array[int]
    held_to: array[int]
    seconds: float
    events: int
    warnings: list[str]
    interrupted: bool


def outcome_of(
    line: Line, *, ts_first: int, ts_now: int, events: int, seconds: float, warnings: Sequence[str], interrupted: bool
) -> RunOutcome:
    """Return what came of the run that `line` was driven through, from `ts_first` to `ts_now`."""
    desk, trail, plan = line.desk, line.trail, line.plan
    shown = [lane for lane in line.engine.lanes.values() if not lane.spec.is_hidden]
    spans = [feed for feed in map(feed_outcome, shown) if feed.ts_last]
    still_held = [p.ts_entry for p in desk.ledger.positions() if p.quantity and p.ts_entry is not None]
    trail.held_from.extend(still_held)
    trail.held_to.extend([ts_now] * len(still_held))
    return RunOutcome(
        run_id=line.run_id,
        run_dir=line.folder,
        strategy=type(line.strategy).__name__,
        strategy_file=plan.strategy_file,
        params=plan.params,
        source=line.market.name,
        source_digest=line.source_digest,
        digest=trail.digest,
        feeds=[_with_base(line, lane) for lane in shown],
        ts_from=min((feed.ts_first for feed in spans), default=ts_first),
        ts_to=max((feed.ts_last for feed in spans), default=ts_now),
        calendars=sorted({i.calendar for i in line.market.instruments.values()}),
        orders_by_status={status.name: n for status, n in desk.book.counts().items() if n},
        refused_by_rule=dict(trail.refused_by_rule),
        fills=trail.fills,
        currency=line.currency,
        fees={c: desk.ledger.fees(c) for c in desk.ledger.currencies()},
        start_equity=desk.ledger.start_cash(line.currency),
        final_equity=desk.equity(line.currency),
        trades=desk.ledger.statistics(line.currency),
        equity_ts=trail.equity_ts,
        equity=trail.equity,
        held_from=trail.held_from,
        held_to=trail.held_to,
        seconds=seconds,
        events=events,
        warnings=[*warnings, *_own_warnings(line)],
        interrupted=interrupted,
    )


def _with_base(line: Line, lane: Lane) -> FeedOutcome:
    """Return the counts of a feed; the first one that is derived from a hidden feed answers for its refusals."""
    outcome = feed_outcome(lane)
    base = line.engine.lanes.get(lane.spec.base)
    if base is None or not base.spec.is_hidden or base.derived[0][1] is not lane:
        return outcome
    return msgspec.structs.replace(outcome, refusals=dict(Counter(outcome.refusals) + base.refusals))


def _own_warnings(line: Line) -> list[str]:
    trail = line.trail
    unknown = line.engine.unknown
    found = [f"{name}: {n} messages of a feed nobody subscribed" for name, n in unknown.items()]
    if len(found) > _MOST_UNKNOWN:
        found = [f"{sum(unknown.values())} messages of {len(unknown)} feeds nobody subscribed"]
    found += [f"{hook} took longer than its budget {n} times" for hook, n in trail.slow_hooks.items()]
    found += [f"{hook} raised {n} times, and the run went on" for hook, n in trail.failed_hooks.items()]
    currencies = list(dict.fromkeys(i.currency for i in line.market.instruments.values()))
    if len(currencies) > 1:
        found.append(f"equity and return are of {line.currency} alone, not of {', '.join(currencies[1:])}")
    return found


def feed_outcome(lane: Lane) -> FeedOutcome:
    """Return the counts of one feed."""
    by_quality: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    for (reason, quality), count in lane.tally.items():
        by_quality[quality.name] += count
        by_reason[reason.name if reason else "NONE"] += count
    plain = lane.closed_bars - sum(lane.tally.values())
    if plain:
        by_quality[Quality.OK.name] += plain
        by_reason["DECLARED"] += plain
    counts = dict(lane.counts)
    return FeedOutcome(
        feed=lane.feed,
        closed=lane.closed_bars,
        warmed=lane.warmed_bars,
        ts_first=lane.ts_first,
        ts_last=lane.ts_last,
        by_quality=dict(by_quality),
        by_reason=dict(by_reason),
        corrections=counts.pop("corrected", 0),
        gaps=counts.pop("gap", 0),
        duplicates=counts.pop("duplicate", 0),
        other_counts=counts,
        refusals=dict(lane.refusals),
    )
