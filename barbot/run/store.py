"""`ledger.sqlite`: orders, fills, positions, cash, equity and round trips of one run. Floor 4.

One writer, one file. Rows are gathered and written in batches inside one transaction, which ends with `commit`;
a run killed at any moment (`kill -9`) leaves everything up to the last `commit`. The journal mode is sqlite's
rollback journal: WAL is as safe, but keeps the newest rows in a second file that a copy of the run directory
may miss. Decimals are kept as text, to the last digit; times are ns since the epoch, UTC.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, TypeAlias

import msgspec

from barbot.core.ledger import Position, RoundTrip
from barbot.errors import ConfigError
from barbot.model.market import Side
from barbot.model.order import Fill, Liquidity, Order, OrderStatus, OrderType, TimeInForce

FORMAT: Final = "1"
_BATCH: Final = 1000

_Value: TypeAlias = str | int | None
_Row: TypeAlias = tuple[_Value, ...]

_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE orders (
    client_order_id TEXT PRIMARY KEY, instrument TEXT NOT NULL, side TEXT NOT NULL, quantity TEXT NOT NULL,
    type TEXT NOT NULL, limit_price TEXT, stop_price TEXT, time_in_force TEXT NOT NULL, status TEXT NOT NULL,
    filled_quantity TEXT NOT NULL, average_price TEXT, ts_created INTEGER NOT NULL, ts_updated INTEGER NOT NULL,
    reason TEXT NOT NULL, tag TEXT NOT NULL);
CREATE TABLE fills (
    fill_id TEXT NOT NULL, client_order_id TEXT NOT NULL, instrument TEXT NOT NULL, side TEXT NOT NULL,
    price TEXT NOT NULL, quantity TEXT NOT NULL, fee TEXT NOT NULL, fee_currency TEXT NOT NULL,
    liquidity TEXT NOT NULL, ts_event INTEGER NOT NULL, ts_recv INTEGER NOT NULL);
CREATE TABLE positions (
    instrument TEXT PRIMARY KEY, currency TEXT NOT NULL, quantity TEXT NOT NULL, average_price TEXT,
    cost TEXT NOT NULL, realised TEXT NOT NULL, fees TEXT NOT NULL, ts_entry INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE cash (currency TEXT PRIMARY KEY, amount TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE equity (ts INTEGER NOT NULL, currency TEXT NOT NULL, equity TEXT NOT NULL);
CREATE TABLE trades (
    instrument TEXT NOT NULL, currency TEXT NOT NULL, side TEXT NOT NULL, quantity TEXT NOT NULL,
    entry_price TEXT NOT NULL, exit_price TEXT NOT NULL, ts_entry INTEGER NOT NULL, ts_exit INTEGER NOT NULL,
    fees TEXT NOT NULL, profit TEXT NOT NULL);
"""

_COLUMNS: Final = {
    "meta": 2,
    "orders": 15,
    "fills": 11,
    "positions": 8,
    "cash": 2,
    "equity": 3,
    "trades": 10,
}
_INSERT: Final = {
    table: f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * count)})" for table, count in _COLUMNS.items()
}
_BUY: Final = Side.BUY
_SELL: Final = Side.SELL


class EquityPoint(msgspec.Struct, frozen=True, gc=False):
    """The equity of one currency at one time."""

    ts: int
    currency: str
    equity: Decimal


class LedgerStore:
    """Writes one `ledger.sqlite`; use it as a context manager, or call `close` at the end."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made by the first `commit` or full batch."""
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._rows: dict[str, list[_Row]] = {table: [] for table in _COLUMNS}
        self._orders: dict[str, Order] = {}
        """Newest pictures to be written, the one changed last at the end: most orders are finished within a batch."""
        self._fills = self._rows["fills"]
        self._equity = self._rows["equity"]
        self._trades = self._rows["trades"]

    def __enter__(self) -> LedgerStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put_meta(self, key: str, value: str) -> None:
        """Keep a fact of the run under `key`, in place of an earlier one."""
        self._rows["meta"].append((key, value))

    def add_order(self, order: Order) -> None:
        """Keep an order's newest picture, in place of an earlier one. Once, when it is finished, is enough."""
        self._orders.pop(order.client_order_id, None)
        self._orders[order.client_order_id] = order
        if len(self._orders) >= _BATCH:
            self._flush_orders()

    def add_fill(self, fill: Fill) -> None:
        """Keep a fill; fills are read back in the order of their adding."""
        self._fills.append(
            (
                fill.fill_id,
                fill.client_order_id,
                fill.instrument,
                "BUY" if fill.side is _BUY else "SELL",
                str(fill.price),
                str(fill.quantity),
                str(fill.fee),
                fill.fee_currency,
                fill.liquidity._value_,
                fill.ts_event,
                fill.ts_recv,
            )
        )
        if len(self._fills) >= _BATCH:
            self._flush("fills")

    def add_trade(self, trip: RoundTrip) -> None:
        """Keep a round trip."""
        self._trades.append(
            (
                trip.instrument,
                trip.currency,
                "BUY" if trip.side is _BUY else "SELL",
                str(trip.quantity),
                str(trip.entry_price),
                str(trip.exit_price),
                trip.ts_entry,
                trip.ts_exit,
                str(trip.fees),
                str(trip.profit),
            )
        )
        if len(self._trades) >= _BATCH:
            self._flush("trades")

    def add_equity(self, ts: int, currency: str, equity: Decimal) -> None:
        """Keep a point of the equity curve."""
        self._equity.append((ts, currency, str(equity)))
        if len(self._equity) >= _BATCH:
            self._flush("equity")

    def put_positions(self, positions: Iterable[Position]) -> None:
        """Keep the positions as they are now, in place of earlier ones."""
        self._rows["positions"].extend(
            (
                p.instrument,
                p.currency,
                str(p.quantity),
                None if p.average_price is None else str(p.average_price),
                str(p.cost),
                str(p.realised),
                str(p.fees),
                p.ts_entry,
            )
            for p in positions
        )

    def put_cash(self, balances: Mapping[str, Decimal]) -> None:
        """Keep the cash as it is now, in place of earlier amounts."""
        self._rows["cash"].extend((currency, str(amount)) for currency, amount in balances.items())

    def commit(self) -> None:
        """Write everything gathered and end the transaction: from here on it outlives a kill.

        Raises:
            ConfigError: the file cannot be written.
        """
        if self._orders:
            self._flush_orders()
        for table, rows in self._rows.items():
            if rows:
                self._flush(table)
        try:
            self._open().commit()
        except sqlite3.Error as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Commit and let go of the file."""
        self.commit()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _flush_orders(self) -> None:
        self._rows["orders"].extend(map(_order_row, self._orders.values()))
        self._orders.clear()
        self._flush("orders")

    def _flush(self, table: str) -> None:
        rows = self._rows[table]
        try:
            self._open().executemany(_INSERT[table], rows)
        except sqlite3.Error as error:
            raise self._unwritable(error) from error
        rows.clear()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            is_new = not self._path.exists()
            connection = sqlite3.connect(self._path)
            self._connection = connection
            connection.execute("PRAGMA synchronous = NORMAL")
            if is_new:
                connection.executescript(_SCHEMA)
                connection.execute(_INSERT["meta"], ("format", FORMAT))
        return self._connection

    def _unwritable(self, error: sqlite3.Error) -> ConfigError:
        return ConfigError(
            f"cannot be written ({error})",
            where=str(self._path),
            remedy="Give a run directory that can be written and has space",
        )


def _order_row(order: Order) -> _Row:
    average, limit, stop = order.average_price, order.limit_price, order.stop_price
    return (
        order.client_order_id,
        order.instrument,
        "BUY" if order.side is _BUY else "SELL",
        str(order.quantity),
        order.type._value_,
        None if limit is None else str(limit),
        None if stop is None else str(stop),
        order.time_in_force._value_,
        order.status._value_,
        str(order.filled_quantity),
        None if average is None else str(average),
        order.ts_created,
        order.ts_updated,
        order.reason,
        order.tag,
    )


def integrity_check(path: Path) -> str:
    """Return "" when sqlite finds the file whole, else what it found."""
    try:
        with closing(_reader(path)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == "ok" else str(found)


def read_meta(path: Path) -> dict[str, str]:
    """Return the facts of the run."""
    return {str(key): str(value) for key, value in _rows(path, "SELECT key, value FROM meta ORDER BY key")}


def read_orders(path: Path) -> list[Order]:
    """Return all orders, oldest first."""
    return [
        Order(
            client_order_id=str(row[0]),
            instrument=str(row[1]),
            side=_side(row[2]),
            quantity=_decimal(row[3]),
            type=OrderType(row[4]),
            limit_price=_maybe(row[5]),
            stop_price=_maybe(row[6]),
            time_in_force=TimeInForce(row[7]),
            status=OrderStatus(row[8]),
            filled_quantity=_decimal(row[9]),
            average_price=_maybe(row[10]),
            ts_created=_int(row[11]),
            ts_updated=_int(row[12]),
            reason=str(row[13]),
            tag=str(row[14]),
        )
        for row in _rows(path, "SELECT * FROM orders ORDER BY ts_created, rowid")
    ]


def read_fills(path: Path) -> list[Fill]:
    """Return all fills, in the order in which they were kept."""
    return [
        Fill(
            fill_id=str(row[0]),
            client_order_id=str(row[1]),
            instrument=str(row[2]),
            side=_side(row[3]),
            price=_decimal(row[4]),
            quantity=_decimal(row[5]),
            fee=_decimal(row[6]),
            fee_currency=str(row[7]),
            liquidity=Liquidity(row[8]),
            ts_event=_int(row[9]),
            ts_recv=_int(row[10]),
        )
        for row in _rows(path, "SELECT * FROM fills ORDER BY rowid")
    ]


def read_positions(path: Path) -> list[Position]:
    """Return the positions as last kept, by instrument."""
    return [
        Position(
            instrument=str(row[0]),
            currency=str(row[1]),
            quantity=_decimal(row[2]),
            average_price=_maybe(row[3]),
            cost=_decimal(row[4]),
            realised=_decimal(row[5]),
            fees=_decimal(row[6]),
            ts_entry=_int(row[7]),
        )
        for row in _rows(path, "SELECT * FROM positions ORDER BY instrument")
    ]


def read_cash(path: Path) -> dict[str, Decimal]:
    """Return the cash as last kept, by currency."""
    return {str(row[0]): _decimal(row[1]) for row in _rows(path, "SELECT * FROM cash ORDER BY currency")}


def read_equity(path: Path) -> list[EquityPoint]:
    """Return the equity curve, in the order in which it was kept."""
    rows = _rows(path, "SELECT ts, currency, equity FROM equity ORDER BY rowid")
    return [EquityPoint(_int(row[0]), str(row[1]), _decimal(row[2])) for row in rows]


def read_trades(path: Path) -> list[RoundTrip]:
    """Return the round trips, in the order in which they were kept."""
    return [
        RoundTrip(
            instrument=str(row[0]),
            currency=str(row[1]),
            side=_side(row[2]),
            quantity=_decimal(row[3]),
            entry_price=_decimal(row[4]),
            exit_price=_decimal(row[5]),
            ts_entry=_int(row[6]),
            ts_exit=_int(row[7]),
            fees=_decimal(row[8]),
            profit=_decimal(row[9]),
        )
        for row in _rows(path, "SELECT * FROM trades ORDER BY rowid")
    ]


def _rows(path: Path, query: str) -> Iterator[_Row]:
    try:
        with closing(_reader(path)) as connection:
            yield from connection.execute(query)
    except sqlite3.DatabaseError as error:
        raise ConfigError(
            f"is not a ledger of barbot ({error})", where=str(path), remedy="Name a run directory made by barbot run"
        ) from error


def _reader(path: Path) -> sqlite3.Connection:
    """Open for reading; a missing file is an error, not an empty ledger."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _side(value: _Value) -> Side:
    return _BUY if value == "BUY" else _SELL


def _decimal(value: _Value) -> Decimal:
    return Decimal(str(value))


def _maybe(value: _Value) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _int(value: _Value) -> int:
    return int(value or 0)
