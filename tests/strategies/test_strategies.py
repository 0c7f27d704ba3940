"""Each strategy runs over its bundled feed under the contract checker, trades, and does what its docstring says."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from barbot import Order, OrderStatus, Side
from barbot.config import Settings
from barbot.core.audit import AuditRecord
from barbot.core.strategy import validated
from barbot.run.load import load_strategy
from barbot.run.outcome import RunOutcome
from barbot.run.plan import RunPlan
from barbot.run.replay import Replay
from barbot.timing.clock import VirtualClock, parse_time
from barbot.timing.interval import MINUTE

ROOT: Final = Path(__file__).resolve().parents[2]
JOURNAL: Final = "btc-usdt-1m.jsonl.zst"
FEED_OF: Final = {
    "breakout": JOURNAL,
    "pair": "eth-btc-pair-1m.csv",
    "rsi_reversion": "eth-usdt-1h.csv",
    "sma_cross": JOURNAL,
    "trend_filter": JOURNAL,
}


def run(name: str, feed: str, params: dict[str, object] | None = None) -> tuple[RunOutcome, list[Order]]:
    """Run a strategy of the project over a bundled feed; return the outcome and its orders as they were made."""
    path, settings = ROOT / "strategies" / f"{name}.py", Settings()
    strategy = load_strategy(path)
    plan = RunPlan(
        strategy=strategy,
        strategy_file=path.name,
        params=validated(strategy, params or {}),
        feeds=(str(ROOT / "examples" / "feeds" / feed),),
        cash=settings.run.cash,
        paper=settings.paper.settings(),
        limits=settings.risk.limits(),
        check=True,
        runs_dir=None,
    )
    orders: list[Order] = []

    def listen(records: Sequence[AuditRecord]) -> None:
        orders.extend(r for r in records if isinstance(r, Order) and r.status is OrderStatus.PENDING_NEW)

    return Replay(plan, clock=VirtualClock(), listener=listen).run(), orders


def test_every_strategy_is_tested() -> None:
    assert sorted(path.stem for path in (ROOT / "strategies").glob("*.py")) == sorted(FEED_OF)


@pytest.mark.parametrize("name", FEED_OF)
def test_it_trades_and_nothing_is_refused(name: str) -> None:
    outcome, orders = run(name, FEED_OF[name])
    assert (outcome.refused_by_rule, outcome.orders_by_status) == ({}, {"FILLED": len(orders)})
    assert outcome.trades.trips >= 10
    assert outcome.warnings == []


@pytest.mark.parametrize("name", FEED_OF)
def test_its_docstring_names_the_command_that_runs_it(name: str) -> None:
    text = (ROOT / "strategies" / f"{name}.py").read_text("utf-8")
    assert f"barbot run strategies/{name}.py --feed examples/feeds/{FEED_OF[name]}\n" in text


def test_the_sma_cross_trades_where_the_averages_of_the_file_cross() -> None:
    with (ROOT / "examples" / "feeds" / "eth-btc-pair-1m.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["symbol"] == "BTC-USDT"]
    closes = np.array([float(row["close"]) for row in rows])
    fast = np.convolve(closes, np.ones(10) / 10, "valid")[20:]
    above = fast > np.convolve(closes, np.ones(30) / 30, "valid")
    turns = np.flatnonzero(np.diff(above, prepend=False))
    expected = [
        (parse_time(rows[29 + turn]["time"]) + MINUTE, Side.BUY if above[turn] else Side.SELL)
        for turn in turns.tolist()
    ]
    _, orders = run("sma_cross", "eth-btc-pair-1m.csv")
    assert [(order.ts_created, order.side) for order in orders] == expected


def test_the_breakout_buys_inside_the_bar() -> None:
    _, orders = run("breakout", JOURNAL)
    bought = [order.ts_created % MINUTE for order in orders if order.side is Side.BUY]
    assert len([offset for offset in bought if offset]) == len(bought)


def test_the_pair_never_holds_both() -> None:
    _, orders = run("pair", FEED_OF["pair"])
    held = ""
    for order in orders:
        assert (order.instrument != held) is (order.side is Side.BUY)
        held = order.instrument if order.side is Side.BUY else held
