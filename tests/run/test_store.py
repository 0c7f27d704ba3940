"""What was committed to ledger.sqlite is read back to the last digit, whatever became of the writer."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from barbot.core.ledger import Position, RoundTrip
from barbot.errors import ConfigError
from barbot.model.market import Side
from barbot.model.order import Fill, Liquidity, Order, OrderStatus, OrderType, TimeInForce
from barbot.run.store import (
    EquityPoint,
    LedgerStore,
    integrity_check,
    read_cash,
    read_equity,
    read_fills,
    read_meta,
    read_orders,
    read_positions,
    read_trades,
)

D = Decimal


def an_order(number: int, status: OrderStatus = OrderStatus.FILLED) -> Order:
    return Order(
        client_order_id=f"r-{number}",
        instrument="kucoin:BTC-USDT",
        side=Side.SELL,
        quantity=D("0.10"),
        type=OrderType.STOP_LIMIT,
        limit_price=D("1E-8"),
        stop_price=None,
        time_in_force=TimeInForce.DAY,
        status=status,
        filled_quantity=D("0.1"),
        average_price=D("123456789.123456789123456789"),
        ts_created=number,
        ts_updated=2**62,
        reason="it's so",
        tag="é",
    )


def a_fill(number: int) -> Fill:
    return Fill(
        client_order_id="r-1",
        fill_id=f"f-{number}",
        instrument="kucoin:BTC-USDT",
        side=Side.BUY,
        price=D("0.1"),
        quantity=D(3),
        fee=D("-0.00000000000000000001"),
        fee_currency="USDT",
        liquidity=Liquidity.MAKER,
        ts_event=5,
        ts_recv=6,
    )


TRIP = RoundTrip(
    instrument="kucoin:BTC-USDT",
    currency="USDT",
    side=Side.BUY,
    quantity=D(1),
    entry_price=D(100),
    exit_price=D("101.5"),
    ts_entry=1,
    ts_exit=2,
    fees=D("0.2"),
    profit=D("1.3"),
)
POSITION = Position(instrument="a:B", currency="USD", quantity=D(-2), average_price=D(5), cost=D(-10), realised=D(7))


def test_everything_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with LedgerStore(path) as store:
        store.put_meta("run", "x")
        store.add_order(an_order(1, OrderStatus.NEW))
        store.add_order(an_order(2))
        store.add_order(an_order(1))
        store.add_fill(a_fill(1))
        store.add_trade(TRIP)
        store.add_equity(7, "USDT", D("1000.10"))
        store.put_positions([Position(instrument="a:B", currency="USD")])
        store.put_cash({"USDT": D(5)})
        store.commit()
        store.put_positions([POSITION])
        store.put_cash({"USDT": D("4.50"), "KCS": D(0)})
    assert read_meta(path) == {"format": "1", "run": "x"}
    assert read_orders(path) == [an_order(1), an_order(2)]
    assert read_fills(path) == [a_fill(1)]
    assert read_trades(path) == [TRIP]
    assert read_equity(path) == [EquityPoint(7, "USDT", D("1000.10"))]
    assert read_positions(path) == [POSITION]
    assert read_cash(path) == {"KCS": D(0), "USDT": D("4.50")}
    assert integrity_check(path) == ""


def test_full_batches_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with LedgerStore(path) as store:
        for number in range(2500):
            store.add_fill(a_fill(number))
            store.add_equity(number, "USDT", D(number))
    assert [fill.fill_id for fill in read_fills(path)] == [f"f-{n}" for n in range(2500)]
    assert [point.ts for point in read_equity(path)] == list(range(2500))


def test_a_run_can_go_on_in_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    for number in (1, 2):
        with LedgerStore(path) as store:
            store.add_fill(a_fill(number))
    assert read_fills(path) == [a_fill(1), a_fill(2)]


def test_naming_a_store_makes_no_file(tmp_path: Path) -> None:
    LedgerStore(tmp_path / "ledger.sqlite")
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
from decimal import Decimal
from pathlib import Path
from barbot.run.store import LedgerStore
store = LedgerStore(Path(sys.argv[1]))
store.add_equity(1, "USDT", Decimal(1))
store.commit()
for ts in range(5000):
    store.add_equity(ts, "USDT", Decimal(2))
os.kill(os.getpid(), 9) if os.name == "posix" else os._exit(9)
"""


def test_a_killed_run_leaves_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=root, check=False)
    assert done.returncode in (-9, 9)
    assert read_equity(path) == [EquityPoint(1, "USDT", D(1))]
    assert integrity_check(path) == ""


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database, and long enough to be looked at" * 100)
    assert integrity_check(path) == "file is not a database"
    with pytest.raises(ConfigError) as caught:
        read_fills(path)
    assert str(caught.value) == (
        f"{path}: is not a ledger of barbot (file is not a database). Name a run directory made by barbot run"
    )


def test_a_missing_file_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with pytest.raises(ConfigError, match="unable to open database file"):
        read_orders(path)
    assert not path.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path / "nowhere" / "ledger.sqlite")
    store.put_meta("a", "b")
    with pytest.raises(ConfigError, match="cannot be written"):
        store.commit()
