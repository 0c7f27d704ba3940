"""The table at the end of a run, and of `barbot report`. Floor 5."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from barbot.cli.terminal import Row, moment, plural, print_rows
from barbot.report.result import FeedResult, RunResult

if TYPE_CHECKING:
    from rich.console import Console


def show_result(console: Console, result: RunResult) -> None:
    """Print the result of a run, readable at 80 columns."""
    print_rows(console, [*_head(result), *_money(result), *_trading(result), *_data(result), *_tail(result)])


def _head(result: RunResult) -> Iterator[Row]:
    params = " ".join(f"{name}={value}" for name, value in result.params.items())
    yield "Strategy", f"{result.strategy}  {params}".rstrip(), "bold"
    for number, feed in enumerate(result.feeds):
        yield ("" if number else "Feeds"), _feed(feed), ""
    if result.interrupted:
        yield "Interrupted", f"stopped at {moment(result.ts_to)}; these are the figures up to then", "yellow"


def _feed(feed: FeedResult) -> str:
    span = f", {moment(feed.first)} to {moment(feed.last)}" if feed.first is not None else ""
    return f"{feed.feed}{span}"


def _money(result: RunResult) -> Iterator[Row]:
    span = f"{_amount(result.start_equity)} -> {_amount(result.final_equity)} {result.currency}"
    yield "Return", f"{_percent(result.total_return, sign=True)}  {span}", _tone(result.total_return)
    yield "Max drawdown", _percent(result.max_drawdown), ""
    yield "Sharpe", f"{_ratio(result.sharpe)}  Sortino {_ratio(result.sortino)}", ""
    won = f"  of {plural(result.trades, 'trade')}, profit factor {_ratio(result.profit_factor)}"
    yield "Win rate", (_percent(result.win_rate) + won) if result.trades else "-  no trade was completed", ""
    yield "Exposure", f"{_percent(result.exposure)}  of the time", ""


def _trading(result: RunResult) -> Iterator[Row]:
    orders = result.orders
    yield "Orders", f"{orders.total:,}  {_counts(orders.by_status)}".rstrip(), ""
    if orders.refused_by_rule:
        yield "  refused", _counts(orders.refused_by_rule), "yellow"
    yield "Fills", f"{result.fills:,}", ""
    fees = ", ".join(f"{_amount(fee)} {currency}" for currency, fee in result.fees.items())
    yield "Fees", fees or "0", ""


def _data(result: RunResult) -> Iterator[Row]:
    speed = f"in {result.seconds:,.2f} s, {result.bars_per_second:,.0f} bars/s"
    yield "Bars closed", f"{result.bars.closed:,}  {speed}", ""
    if result.bars.closed:
        yield "  by quality", _counts(result.bars.by_quality), ""
        yield "  closed by", _counts(result.bars.by_reason), ""
    yield "Corrections", f"{result.corrections:,}", ""
    refused = result.refusals
    yield "Refused data", f"{refused.total:,}  {_counts(refused.by_reason)}".rstrip(), "yellow" if refused.total else ""
    yield "Duplicates", f"{result.duplicates:,}", ""
    yield "Gaps", f"{result.gaps:,}", "yellow" if result.gaps else ""


def _tail(result: RunResult) -> Iterator[Row]:
    for number, warning in enumerate(result.warnings):
        yield ("" if number else "Warnings"), warning, "yellow"
    yield "Digest", result.digest, ""
    if result.run_dir is not None:
        yield "Run directory", str(Path(result.run_dir)), ""


def _counts(counts: Mapping[str, int]) -> str:
    """Print counts, the largest first, without those of 0."""
    shown = sorted((item for item in counts.items() if item[1]), key=lambda item: -item[1])
    return ", ".join(f"{name} {count:,}" for name, count in shown)


def _amount(value: Decimal | None) -> str:
    """Print money: two decimals, or up to eight where it is small."""
    if value is None:
        return "-"
    if abs(value) >= 1 or not value:
        return f"{value:,.2f}"
    return f"{value:.8f}".rstrip("0").rstrip(".")


def _percent(fraction: float | None, *, sign: bool = False) -> str:
    return "-" if fraction is None else f"{fraction * 100:{'+' if sign else ''},.2f} %"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _tone(value: float | None) -> str:
    return "" if not value else "green" if value > 0 else "red"
