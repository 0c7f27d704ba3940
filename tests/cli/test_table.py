"""Tables fit 80 columns on a terminal, and are plain lines, as long as they are, anywhere else."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from barbot.cli.table import show_result
from barbot.cli.terminal import moment, plural, print_rows
from barbot.report.result import FeedResult, OrderCounts, RunResult

LONG = "word " * 30
FULL = RunResult(
    strategy="Mine",
    params={"fast": 1},
    digest="d" * 64,
    run_dir="x",
    feeds=(FeedResult(feed="kucoin:BTC-USDT@1m", first=0, last=60_000_000_000), FeedResult(feed="kucoin:BTC-USDT@1h")),
    ts_to=60_000_000_000,
    total_return=-0.5,
    start_equity=Decimal("0.10"),
    final_equity=Decimal("0.05"),
    currency="BTC",
    orders=OrderCounts(total=3, by_status={"FILLED": 1, "REFUSED": 2}, refused_by_rule={"cash": 2}),
    warnings=("first", "second"),
    interrupted=True,
)


def shown(*rows: tuple[str, str, str], terminal: bool) -> list[str]:
    file = io.StringIO()
    print_rows(Console(file=file, width=80, force_terminal=terminal, color_system=None), rows)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_long_value_is_wrapped_beside_its_label_on_a_terminal() -> None:
    lines = shown(("Label", LONG, ""), ("x", "y", ""), terminal=True)
    assert (max(map(len, lines)) <= 80, [line[:7] for line in lines]) == (
        True,
        ["Label  ", *["       "] * 2, "x      "],
    )


def test_a_long_value_is_one_line_elsewhere() -> None:
    assert shown(("Label", LONG, ""), ("x", "y", ""), terminal=False) == [f"Label  {LONG}".rstrip(), "x      y"]


def test_nothing_is_taken_for_markup() -> None:
    assert shown(("a", "[bold]b[/] :smile:", ""), terminal=True) == ["a  [bold]b[/] :smile:"]


def test_a_digest_fits_one_line_of_80_columns() -> None:
    file = io.StringIO()
    show_result(Console(file=file, width=80, force_terminal=True, color_system=None), FULL)
    assert f"Digest         {'d' * 64}" in [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_result_with_everything_out_of_the_ordinary() -> None:
    file = io.StringIO()
    show_result(Console(file=file, width=80), FULL)
    assert file.getvalue().splitlines() == [
        "Strategy       Mine  fast=1",
        "Feeds          kucoin:BTC-USDT@1m, 1970-01-01 00:00:00 to 1970-01-01 00:01:00",
        "               kucoin:BTC-USDT@1h",
        "Interrupted    stopped at 1970-01-01 00:01:00; these are the figures up to then",
        "Return         -50.00 %  0.1 -> 0.05 BTC",
        "Max drawdown   -",
        "Sharpe         -  Sortino -",
        "Win rate       -  no trade was completed",
        "Exposure       -  of the time",
        "Orders         3  REFUSED 2, FILLED 1",
        "  refused      cash 2",
        "Fills          0",
        "Fees           0",
        "Bars closed    0  in 0.00 s, 0 bars/s",
        "Corrections    0",
        "Refused data   0",
        "Duplicates     0",
        "Gaps           0",
        "Warnings       first",
        "               second",
        f"Digest         {'d' * 64}",
        "Run directory  x",
    ]


@pytest.mark.parametrize(
    ("ts", "text"),
    [(None, "-"), (0, "1970-01-01 00:00:00"), ("2026-01-05T00:00:00.5Z", "2026-01-05 00:00:00")],
)
def test_moments(ts: int | str | None, text: str) -> None:
    assert moment(ts) == text


def test_plurals() -> None:
    assert [plural(count, "bar") for count in (0, 1, 2000)] == ["0 bars", "1 bar", "2,000 bars"]
