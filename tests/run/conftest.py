"""What the tests of runs share: feeds written as files, plans, and one way to run them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest

from barbot.core.audit import AuditRecord
from barbot.core.costs import PaperSettings
from barbot.core.risk import RiskLimits
from barbot.core.strategy import Strategy
from barbot.run.outcome import RunOutcome
from barbot.run.plan import RunPlan
from barbot.run.replay import Replay
from barbot.timing.clock import VirtualClock
from barbot.wire.journal import Header
from barbot.wire.journal_write import open_writer

T0 = 1_767_571_200_000_000_000
MINUTE = 60_000_000_000

Frame: TypeAlias = tuple[int, object]
"""(stamp, what is sent: a frame to encode, or "drop", or feeds to connect)"""


def make_plan(strategy: type[Strategy], *feeds: Path | str, **changes: Any) -> RunPlan:
    """Return a plan with plenty of cash, shorts allowed, the checker on, and no run directory."""
    plan = RunPlan(
        strategy=strategy,
        strategy_file="mine.py",
        params={},
        feeds=tuple(map(str, feeds)),
        cash={"": Decimal(100_000)},
        paper=PaperSettings(),
        limits=RiskLimits(allow_short=True),
        check=True,
        runs_dir=None,
    )
    return msgspec.structs.replace(plan, **changes)


def run(plan: RunPlan) -> tuple[RunOutcome, list[AuditRecord]]:
    """Run a plan; return its outcome and everything that was audited."""
    audit: list[AuditRecord] = []

    def listen(records: Sequence[AuditRecord]) -> None:
        audit.extend(records)

    return Replay(plan, clock=VirtualClock(T0), listener=listen).run(), audit


def write_bars(path: Path, prices: Sequence[float], *, minutes: int = 1, symbol: str = "", first: int = 0) -> Path:
    """Write a CSV of bars, each one price up and one down around its close."""
    lines = ["time,symbol,open,high,low,close,volume" if symbol else "time,open,high,low,close,volume"]
    before = prices[0] if prices else 0
    for number, price in enumerate(prices):
        ts = (T0 + (first + number) * minutes * MINUTE) // 1_000_000_000
        high, low = max(before, price) + 1, min(before, price) - 1
        lines.append(f"{ts},{symbol + ',' if symbol else ''}{before},{high},{low},{price},5")
        before = price
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def write_journal(path: Path, feeds: Sequence[str], frames: Sequence[Frame], *, codec: str = "native") -> Path:
    """Write a journal of one connection that is up from T0 on."""
    with open_writer(path, Header(run_id="made", barbot="0"), now=T0) as writer:
        writer.connect(T0, "c", codec, tuple(feeds))
        for ts, frame in frames:
            if frame == "drop":
                writer.drop(ts, "c", "gone")
            elif frame == "up":
                writer.connect(ts, "c", codec, tuple(feeds))
            else:
                writer.frame(ts, "c", "in", msgspec.json.encode(frame).decode())
        writer.seal(frames[-1][0] if frames else T0)
    return path


@pytest.fixture(scope="session")
def planned() -> Callable[..., RunPlan]:
    """`planned(strategy, *feeds, **changes)`: the plan of a run."""
    return make_plan


@pytest.fixture(scope="session")
def ran() -> Callable[[RunPlan], tuple[RunOutcome, list[AuditRecord]]]:
    """`ran(plan)`: its outcome, and everything that was audited."""
    return run


@pytest.fixture
def bars_csv(tmp_path: Path) -> Callable[..., Path]:
    """`bars_csv(name, prices, minutes=1, symbol="", first=0)`: the path of a CSV of bars."""
    return lambda name, prices, **how: write_bars(tmp_path / name, prices, **how)


@pytest.fixture
def journal(tmp_path: Path) -> Callable[..., Path]:
    """`journal(name, feeds, frames, codec="native")`: the path of a journal."""
    return lambda name, feeds, frames, **how: write_journal(tmp_path / name, feeds, frames, **how)
