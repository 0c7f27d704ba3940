"""The result of a run: counts added up, statistics, and the same object after writing and reading."""

from __future__ import annotations

import json
from array import array
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from barbot import __version__
from barbot.core.ledger import TradeStatistics
from barbot.errors import ConfigError
from barbot.report.result import RunResult, encode_result, read_result, result_of, write_result
from barbot.run.outcome import FeedOutcome, RunOutcome

DAY = 86_400_000_000_000
START = 1_767_571_200_000_000_000


def feed(name: str, **changes: object) -> FeedOutcome:
    plain = FeedOutcome(
        feed=name,
        closed=10,
        warmed=3,
        ts_first=START,
        ts_last=START + DAY,
        by_quality={"OK": 9, "QUIET": 1},
        by_reason={"ELAPSED": 10},
        corrections=1,
        gaps=2,
        duplicates=3,
        other_counts={"late": 1},
        refusals={"not_finite": 2},
    )
    return msgspec.structs.replace(plain, **changes)


def outcome(**changes: object) -> RunOutcome:
    plain = RunOutcome(
        run_id="abc",
        run_dir=Path("runs", "x"),
        strategy="Mine",
        strategy_file="mine.py",
        params={"size": Decimal("0.1")},
        source="feed.csv",
        source_digest="s",
        digest="d",
        feeds=[
            feed("kucoin:BTC-USDT@1m"),
            feed("kucoin:BTC-USDT@1h", by_reason={"DECLARED": 10}, refusals={"off_grid": 1}),
        ],
        ts_from=START,
        ts_to=START + 2 * DAY,
        calendars=["24/7"],
        orders_by_status={"FILLED": 4, "REFUSED": 1},
        refused_by_rule={"cash": 1},
        fills=4,
        currency="USDT",
        fees={"USDT": Decimal("0.10")},
        start_equity=Decimal(100),
        final_equity=Decimal("99.123456789012345678"),
        trades=TradeStatistics(trips=4, wins=1, losses=3, gross_profit=Decimal(1), gross_loss=Decimal(2)),
        equity_ts=array("q", [START, START + DAY, START + 2 * DAY]),
        equity=array("d", [100.0, 120.0, 90.0]),
        held_from=array("q", [START]),
        held_to=array("q", [START + DAY]),
        seconds=0.5,
        events=40,
        warnings=["mind the gap"],
        interrupted=False,
    )
    return msgspec.structs.replace(plain, **changes)


def test_counts_are_added_up_over_the_feeds() -> None:
    result = result_of(outcome())
    found = (result.bars, result.refusals, result.corrections, result.duplicates, result.gaps, result.orders)
    assert [msgspec.to_builtins(part) for part in found] == [
        {"closed": 20, "by_quality": {"OK": 18, "QUIET": 2}, "by_reason": {"ELAPSED": 10, "DECLARED": 10}},
        {"total": 3, "by_reason": {"not_finite": 2, "off_grid": 1}},
        2,
        6,
        4,
        {"total": 5, "by_status": {"FILLED": 4, "REFUSED": 1}, "refused_by_rule": {"cash": 1}},
    ]


def test_ratios_come_from_the_curve_and_the_round_trips() -> None:
    result = result_of(outcome())
    found = (result.max_drawdown, result.exposure, result.win_rate, result.profit_factor, result.bars_per_second)
    assert found == (0.25, 0.5, 0.25, 0.5, 40.0)


def test_a_market_with_sessions_has_fewer_days_a_year() -> None:
    round_the_clock, sessions = (result_of(outcome(calendars=[name])).sharpe for name in ("24/7", "XHKG"))
    assert round_the_clock is not None
    assert sessions is not None
    assert sessions / round_the_clock == pytest.approx((252 / 365) ** 0.5)


def test_what_is_not_defined_is_none() -> None:
    nothing = outcome(
        start_equity=Decimal(0),
        equity_ts=array("q"),
        equity=array("d"),
        trades=TradeStatistics(),
        held_from=array("q"),
        held_to=array("q"),
        seconds=0.0,
        ts_from=0,
        run_dir=None,
    )
    result = result_of(nothing)
    figures = (
        result.total_return,
        result.max_drawdown,
        result.sharpe,
        result.sortino,
        result.exposure,
        result.win_rate,
        result.profit_factor,
        result.ts_from,
        result.run_dir,
    )
    assert (figures, result.bars_per_second) == ((None,) * 9, 0.0)


def test_money_is_written_as_numbers_with_all_digits() -> None:
    text = encode_result(result_of(outcome())).decode()
    exact = json.loads(text, parse_float=Decimal)
    assert (exact["final_equity"], exact["fees"], exact["return"] < 0, exact["version"]) == (
        Decimal("99.123456789012345678"),
        {"USDT": Decimal("0.10")},
        True,
        __version__,
    )


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    result = result_of(outcome(params={"size": 1.0}))
    write_result(result, tmp_path)
    assert read_result(tmp_path) == result


def test_a_result_of_another_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"strategy": "Old", "from_the_future": 1}', encoding="utf-8")
    assert read_result(tmp_path) == RunResult(strategy="Old")


@pytest.mark.parametrize("content", ["", "[]", '{"strategy": 3}', "{}"])
def test_a_file_that_is_no_result(tmp_path: Path, content: str) -> None:
    (tmp_path / "result.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="is no result of a run"):
        read_result(tmp_path)


def test_a_directory_without_a_result(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no result\.json\. Name a directory that `barbot run` made"):
        read_result(tmp_path)
