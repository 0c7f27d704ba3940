"""What one run came to, as plain values: `result.json`, `--json`, and what tables and pages are made of. Floor 4.

Keys are the field names (`total_return` is written `return`). Money is a JSON number with all its digits, never
rounded to a float; read it with `parse_float=Decimal` where the last digit counts. Times are ns since the epoch,
UTC. Fractions are fractions (0.01 is one percent). A figure that is not defined is null. Fields have defaults so
that runs of other versions can be read: what they do not know keeps its default, what we do not know is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import numpy as np

from barbot import __version__
from barbot.errors import ConfigError
from barbot.report import stats
from barbot.run.outcome import FeedOutcome, RunOutcome
from barbot.timing.calendars import ROUND_THE_CLOCK

FILE: Final = "result.json"

Moment: TypeAlias = int | str | None
"""ns since the epoch as we write it; ISO 8601 is read too."""


class FeedResult(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one feed; `first` and `last` are the opening times of its first and last bar."""

    feed: str
    closed: int = 0
    warmed: int = 0
    first: Moment = None
    last: Moment = None
    by_quality: dict[str, int] = {}
    by_reason: dict[str, int] = {}
    corrections: int = 0
    gaps: int = 0
    duplicates: int = 0
    refusals: dict[str, int] = {}
    other_counts: dict[str, int] = {}


class BarCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Closed bars of all feeds, by quality and by what closed them."""

    closed: int = 0
    by_quality: dict[str, int] = {}
    by_reason: dict[str, int] = {}


class RefusalCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Market data that was refused."""

    total: int = 0
    by_reason: dict[str, int] = {}


class OrderCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Orders by their last status, and those that the risk gate refused by rule."""

    total: int = 0
    by_status: dict[str, int] = {}
    refused_by_rule: dict[str, int] = {}


class RunResult(msgspec.Struct, frozen=True, kw_only=True, rename={"total_return": "return"}):
    """One run. `return`, `max_drawdown`, `win_rate` and `exposure` are fractions; `fees` are by currency."""

    run_dir: str | None = None
    run_id: str = ""
    strategy: str
    strategy_file: str = ""
    params: dict[str, object] = {}
    version: str = ""
    digest: str = ""
    source: str = ""
    source_digest: str = ""
    feeds: tuple[FeedResult, ...] = ()
    ts_from: Moment = None
    ts_to: Moment = None
    bars: BarCounts = BarCounts()
    corrections: int = 0
    refusals: RefusalCounts = RefusalCounts()
    duplicates: int = 0
    gaps: int = 0
    orders: OrderCounts = OrderCounts()
    fills: int = 0
    fees: dict[str, Decimal] = {}
    currency: str = ""
    start_equity: Decimal | None = None
    final_equity: Decimal | None = None
    total_return: float | None = None
    max_drawdown: float | None = None
    sharpe: float | None = None
    sortino: float | None = None
    win_rate: float | None = None
    profit_factor: float | None = None
    exposure: float | None = None
    trades: int = 0
    seconds: float = 0.0
    bars_per_second: float = 0.0
    events: int = 0
    warnings: tuple[str, ...] = ()
    interrupted: bool = False


class _Ratios(msgspec.Struct, frozen=True):
    """What the equity curve says of a run."""

    max_drawdown: float | None
    sharpe: float | None
    sortino: float | None
    exposure: float | None


_JSON: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def result_of(outcome: RunOutcome) -> RunResult:
    """Return the result of a run: its counts added up over the feeds, and its statistics."""
    bars = sum(feed.closed for feed in outcome.feeds)
    refusals = _total(feed.refusals for feed in outcome.feeds)
    ratios = _ratios(outcome)
    return RunResult(
        run_dir=outcome.run_dir.as_posix() if outcome.run_dir is not None else None,
        run_id=outcome.run_id,
        strategy=outcome.strategy,
        strategy_file=outcome.strategy_file,
        params=outcome.params,
        version=__version__,
        digest=outcome.digest,
        source=outcome.source,
        source_digest=outcome.source_digest,
        feeds=tuple(_feed(feed) for feed in outcome.feeds),
        ts_from=outcome.ts_from or None,
        ts_to=outcome.ts_to or None,
        bars=BarCounts(
            closed=bars,
            by_quality=_total(feed.by_quality for feed in outcome.feeds),
            by_reason=_total(feed.by_reason for feed in outcome.feeds),
        ),
        corrections=sum(feed.corrections for feed in outcome.feeds),
        refusals=RefusalCounts(total=sum(refusals.values()), by_reason=refusals),
        duplicates=sum(feed.duplicates for feed in outcome.feeds),
        gaps=sum(feed.gaps for feed in outcome.feeds),
        orders=OrderCounts(
            total=sum(outcome.orders_by_status.values()),
            by_status=outcome.orders_by_status,
            refused_by_rule=outcome.refused_by_rule,
        ),
        fills=outcome.fills,
        fees=outcome.fees,
        currency=outcome.currency,
        start_equity=outcome.start_equity,
        final_equity=outcome.final_equity,
        total_return=float(outcome.final_equity / outcome.start_equity - 1) if outcome.start_equity > 0 else None,
        max_drawdown=ratios.max_drawdown,
        sharpe=ratios.sharpe,
        sortino=ratios.sortino,
        win_rate=outcome.trades.win_rate,
        profit_factor=_profit_factor(outcome),
        exposure=ratios.exposure,
        trades=outcome.trades.trips,
        seconds=outcome.seconds,
        bars_per_second=bars / outcome.seconds if outcome.seconds else 0.0,
        events=outcome.events,
        warnings=tuple(outcome.warnings),
        interrupted=outcome.interrupted,
    )


def encode_result(result: RunResult) -> bytes:
    """Return the result as JSON, indented, with a newline at its end."""
    return msgspec.json.format(_JSON.encode(result), indent=2) + b"\n"


def write_result(result: RunResult, run_dir: Path) -> Path:
    """Write `result.json` into the run directory and return its path."""
    path = run_dir / FILE
    path.write_bytes(encode_result(result))
    return path


def read_result(run_dir: Path) -> RunResult:
    """Read `result.json` of a run directory.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    path = run_dir / FILE
    if not path.is_file():
        raise ConfigError(
            f"there is no {FILE}", where=str(run_dir), remedy="Name a directory that `barbot run` made and finished"
        )
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunResult)
    except (msgspec.DecodeError, OSError) as error:
        raise ConfigError(f"is no result of a run: {error}", where=str(path)) from None


def _feed(feed: FeedOutcome) -> FeedResult:
    return FeedResult(
        feed=feed.feed,
        closed=feed.closed,
        warmed=feed.warmed,
        first=feed.ts_first or None,
        last=feed.ts_last or None,
        by_quality=feed.by_quality,
        by_reason=feed.by_reason,
        corrections=feed.corrections,
        gaps=feed.gaps,
        duplicates=feed.duplicates,
        refusals=feed.refusals,
        other_counts=feed.other_counts,
    )


def _ratios(outcome: RunOutcome) -> _Ratios:
    ts = np.asarray(outcome.equity_ts, np.int64)
    equity = np.asarray(outcome.equity, np.float64)
    days = stats.EVERY_DAY if ROUND_THE_CLOCK in outcome.calendars else stats.TRADING_DAYS
    returns = stats.daily_returns(ts, equity, days_a_year=days)
    fall = stats.max_drawdown(ts, equity)
    held = zip(outcome.held_from, outcome.held_to, strict=True)
    return _Ratios(
        fall.fraction if fall else None,
        stats.sharpe(returns, days_a_year=days),
        stats.sortino(returns, days_a_year=days),
        stats.exposure(held, int(ts[0]), int(ts[-1])) if len(ts) else None,
    )


def _profit_factor(outcome: RunOutcome) -> float | None:
    lost = outcome.trades.gross_loss
    return float(outcome.trades.gross_profit / lost) if lost else None


def _total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)
