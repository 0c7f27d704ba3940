"""What a run leaves behind does not depend on how it was drained, and outlives a kill."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.core.audit import (
    AuditRecord,
    Corrected,
    Equity,
    Gapped,
    HookFailed,
    HookSlow,
    Logged,
    Opened,
    OrderRefused,
    Updated,
)
from barbot.core.desk import TradingDesk
from barbot.core.ledger import Ledger
from barbot.core.risk import RiskGate, RiskLimits
from barbot.model.market import Bar, Gap, Side
from barbot.model.order import Fill, Liquidity, Order, OrderStatus, OrderType, TimeInForce
from barbot.run.auditfile import AuditFile
from barbot.run.store import read_equity, read_fills, read_orders
from barbot.run.trail import Digest, Trail
from barbot.wire.zstd import decompress

ROOT: Final = Path(__file__).resolve().parents[2]
BAR: Final = Bar("sim:A@1m", 60, 120, 1.0, 3.0, 0.5, 2.0, 4.0)
ORDER: Final = Order(
    client_order_id="t-1", instrument="sim:A", side=Side.BUY, quantity=Decimal("1.50"), type=OrderType.MARKET,
    limit_price=None, stop_price=None, time_in_force=TimeInForce.GTC, status=OrderStatus.FILLED,
    filled_quantity=Decimal("1.50"), average_price=Decimal(2), ts_created=1, ts_updated=2,
)  # fmt: skip
FILL: Final = Fill(
    client_order_id="t-1", fill_id="f-1", instrument="sim:A", side=Side.BUY, price=Decimal(2), quantity=Decimal("1.50"),
    fee=Decimal(0), fee_currency="USD", liquidity=Liquidity.TAKER, ts_event=2, ts_recv=2,
)  # fmt: skip
SAMPLES: Final[list[AuditRecord]] = [
    BAR,
    Opened(BAR),
    Updated(BAR),
    Corrected(BAR, BAR),
    Gapped(Gap("sim:A@1m", 0, 60, "none")),
    ORDER,
    FILL,
    OrderRefused("t-2", "cash", "not enough", 3),
    HookFailed("on_bar_close", "ValueError: x", 4),
    HookSlow("on_bar_close", 0.1, 5),
    Logged("info", "said", {"x": 1.5}, 6),
]


def desk() -> TradingDesk:
    return TradingDesk({}, Ledger({"USD": Decimal(1)}), RiskGate(RiskLimits()), prefix="t", fee_rate=Decimal(0))


def lines_of(path: Path) -> list[object]:
    return [json.loads(line) for line in decompress(path.read_bytes()).splitlines()]


# -- the digest -------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(SAMPLES), max_size=60), st.data())
def test_the_digest_does_not_depend_on_how_records_are_drained(records: list[AuditRecord], data: st.DataObject) -> None:
    whole, cut = (Trail(desk(), currency="USD", folder=None, level="off") for _ in range(2))
    feed(whole, records)
    rest = list(records)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        feed(cut, rest[:size])
        del rest[:size]
    assert cut.digest == whole.digest
    assert (cut.fills, cut.refused_by_rule, cut.slow_hooks, cut.failed_hooks) == (
        whole.fills,
        whole.refused_by_rule,
        whole.slow_hooks,
        whole.failed_hooks,
    )


def feed(trail: Trail, records: Sequence[AuditRecord]) -> None:
    trail._desk.audit.extend(records)
    trail.drain()
    assert trail._desk.audit == []


@pytest.mark.parametrize("size", [1, 15, 16, 65_535, 65_536])
def test_the_digest_does_not_depend_on_the_size_of_a_drain(size: int) -> None:
    whole, single = Digest(), Digest()
    whole.add([BAR] * size)
    for _ in range(size):
        single.add([BAR])
    assert whole.hexdigest() == single.hexdigest()


def test_callbacks_and_orders_are_in_the_digest_and_nothing_else() -> None:
    silent, nothing = Trail(desk(), currency="USD", folder=None, level="off"), Digest()
    feed(silent, SAMPLES[7:])
    assert silent.digest == nothing.hexdigest()
    for sample in SAMPLES[:7]:
        trail = Trail(desk(), currency="USD", folder=None, level="off")
        feed(trail, [sample])
        nothing = Digest()
        nothing.add([sample])
        assert trail.digest == nothing.hexdigest() != Digest().hexdigest()


def test_a_bar_that_differs_in_the_last_digit_is_another_run() -> None:
    digests = set()
    for close in (2.0, 2.0000000000000004):
        digest = Digest()
        digest.add([msgspec.structs.replace(BAR, close=close)])
        digests.add(digest.hexdigest())
    assert len(digests) == 2


# -- counts and files -------------------------------------------------------------------------------------


def test_what_is_counted() -> None:
    trail = Trail(desk(), currency="USD", folder=None, level="off")
    feed(trail, [*SAMPLES, *SAMPLES])
    found = (trail.fills, dict(trail.refused_by_rule), dict(trail.slow_hooks), dict(trail.failed_hooks))
    assert found == (2, {"cash": 2}, {"on_bar_close": 2}, {"on_bar_close": 2})


def test_a_listener_is_shown_everything() -> None:
    shown: list[AuditRecord] = []
    trail = Trail(desk(), currency="USD", folder=None, level="off", listener=lambda records: shown.extend(records))
    feed(trail, SAMPLES)
    assert shown == SAMPLES


def test_orders_fills_and_equity_are_kept(tmp_path: Path) -> None:
    trading = desk()
    trail = Trail(trading, currency="USD", folder=tmp_path, level="events")
    trading.curve += [Equity(1, (("USD", Decimal(5)), ("EUR", Decimal(7)))), Equity(2, (("USD", Decimal(6)),))]
    feed(trail, SAMPLES)
    trail.close()
    file = tmp_path / "ledger.sqlite"
    assert (read_orders(file), read_fills(file)) == ([ORDER], [FILL])
    assert [(p.ts, p.currency, p.equity) for p in read_equity(file)] == [
        (1, "USD", Decimal(5)),
        (1, "EUR", Decimal(7)),
        (2, "USD", Decimal(6)),
    ]
    assert (list(trail.equity_ts), list(trail.equity)) == ([1, 2], [5.0, 6.0])


ALL: Final = (
    "close",
    "open",
    "update",
    "correct",
    "gap",
    "order",
    "fill",
    "order_refused",
    "hook_failed",
    "hook_slow",
    "log",
)


@pytest.mark.parametrize(("level", "kinds"), [("full", ALL), ("events", ALL[3:])])
def test_the_audit_file_has_a_line_a_record(tmp_path: Path, level: str, kinds: tuple[str, ...]) -> None:
    file = AuditFile(tmp_path / "audit", full=level == "full")
    file.take(SAMPLES)
    file.close()
    lines = lines_of(tmp_path / "audit")
    assert tuple(line[0] for line in lines if isinstance(line, list)) == kinds


def test_numbers_of_numpy_are_written_as_numbers(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "audit", full=True)
    file.take([Logged("info", "said", {"price": np.float64(1.5)}, 6)])
    file.close()
    assert lines_of(tmp_path / "audit") == [["log", "info", "said", {"price": 1.5}, 6]]


def test_what_was_flushed_can_be_read_after_a_kill(tmp_path: Path) -> None:
    script = f"""
import os, sys
from pathlib import Path
from decimal import Decimal
from barbot.core.audit import Logged
from barbot.core.desk import TradingDesk
from barbot.core.ledger import Ledger
from barbot.core.risk import RiskGate, RiskLimits
from barbot.run.trail import Trail
from barbot.core.audit import Equity
desk = TradingDesk({{}}, Ledger({{"USD": Decimal(1)}}), RiskGate(RiskLimits()), prefix="t", fee_rate=Decimal(0))
trail = Trail(desk, currency="USD", folder=Path({str(tmp_path)!r}), level="events")
for number in range(3):
    desk.audit.append(Logged("info", "kept" if number < 2 else "lost", {{}}, number))
    desk.curve.append(Equity(number, (("USD", Decimal(number)),)))
    trail.drain()
    if number < 2:
        trail.flush()
os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 9
    assert lines_of(tmp_path / "audit.jsonl.zst") == [["log", "info", "kept", {}, 0], ["log", "info", "kept", {}, 1]]
    assert [p.ts for p in read_equity(tmp_path / "ledger.sqlite")] == [0, 1]
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
