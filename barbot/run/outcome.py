"""What came of a run, as plain values; `report/` makes results and pages of it. Floor 4."""

from __future__ import annotations

from array import array
from decimal import Decimal
from pathlib import Path

import msgspec

from barbot.core.ledger import TradeStatistics


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
