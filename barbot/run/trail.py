"""What a run leaves behind: digest, audit file, ledger rows and counts, made from the engine's lists. Floor 4.

The digest is SHA-256 over the msgpack of every callback and order, one after another; how they were cut into
drains does not matter.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from barbot.core.audit import IN_DIGEST, AuditRecord, HookFailed, HookSlow, OrderRefused
from barbot.core.desk import TradingDesk
from barbot.model.market import Bar
from barbot.model.order import Fill, Order
from barbot.run.auditfile import AuditFile
from barbot.run.plan import AuditLevel
from barbot.run.store import LedgerStore

_ENCODER: Final = msgspec.msgpack.Encoder()

Listener = Callable[[Sequence[AuditRecord]], None]


class Digest:
    """A running digest of callbacks and orders."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._hash = hashlib.sha256()
        self._encoded = bytearray()
        """Written over at every `add`: a buffer that grows anew each time costs a fifth more."""

    def add(self, records: Sequence[AuditRecord]) -> None:
        """Take records in order; a list's own msgpack header is left out, so that only the records count."""
        if records:
            _ENCODER.encode_into(records, self._encoded)
            header = 1 if len(records) < 16 else 3 if len(records) < 65536 else 5
            self._hash.update(memoryview(self._encoded)[header:])

    def hexdigest(self) -> str:
        """Return the digest so far, in hex."""
        return self._hash.hexdigest()


class Trail:
    """Drains an engine's lists; the driver calls `drain` now and then and `close` at the end."""

    def __init__(
        self,
        desk: TradingDesk,
        *,
        currency: str,
        folder: Path | None,
        level: AuditLevel,
        listener: Listener | None = None,
    ) -> None:
        """Write to `folder` (None keeps nothing but digest and counts); `listener` is shown every record.

        The equity curve in `currency` is kept in memory too (16 bytes a point), for the run's statistics.
        """
        self._currency = currency
        self._desk = desk
        self._audit = AuditFile(folder / "audit.jsonl.zst", full=level == "full") if folder and level != "off" else None
        self._store = LedgerStore(folder / "ledger.sqlite") if folder else None
        self._listener = listener
        self._digest = Digest()
        self.fills = 0
        self.refused_by_rule: Counter[str] = Counter()
        self.slow_hooks: Counter[str] = Counter()
        self.failed_hooks: Counter[str] = Counter()
        self.equity_ts = array("q")
        self.equity = array("d")
        self.held_from = array("q")
        self.held_to = array("q")

    @property
    def digest(self) -> str:
        """The digest of callbacks and orders so far, in hex."""
        return self._digest.hexdigest()

    def drain(self) -> None:
        """Take everything off the engine's lists."""
        records = self._desk.audit
        if records:
            self._take(records)
            records.clear()
        if self._desk.curve:
            self._take_curve()
        if self._desk.trips:
            self._take_trips()

    def _take(self, records: list[AuditRecord]) -> None:
        kinds = set(map(type, records))
        if Fill in kinds:
            self.fills += list(map(type, records)).count(Fill)
        if kinds <= IN_DIGEST:
            self._digest.add(records)
        else:
            self._digest.add([record for record in records if record.__class__ in IN_DIGEST])
            self._count(records)
        if self._store is not None:
            self._keep(self._store, [record for record in records if record.__class__ is not Bar])
        if self._audit is not None:
            self._audit.take(records)
        if self._listener is not None:
            self._listener(records)

    def _count(self, records: list[AuditRecord]) -> None:
        for record in records:
            if isinstance(record, OrderRefused):
                self.refused_by_rule[record.rule] += 1
            elif isinstance(record, HookSlow):
                self.slow_hooks[record.hook] += 1
            elif isinstance(record, HookFailed):
                self.failed_hooks[record.hook] += 1

    def _keep(self, store: LedgerStore, others: list[AuditRecord]) -> None:
        for record in others:
            if isinstance(record, Order):
                store.add_order(record)
            elif isinstance(record, Fill):
                store.add_fill(record)

    def _take_curve(self) -> None:
        store = self._store
        for point in self._desk.curve:
            for currency, amount in point.amounts:
                if currency == self._currency:
                    self.equity_ts.append(point.ts)
                    self.equity.append(float(amount))
                if store is not None:
                    store.add_equity(point.ts, currency, amount)
        self._desk.curve.clear()

    def _take_trips(self) -> None:
        trips = self._desk.trips
        self.held_from.extend([trip.ts_entry for trip in trips])
        self.held_to.extend([trip.ts_exit for trip in trips])
        if self._store is not None:
            for trip in trips:
                self._store.add_trade(trip)
        trips.clear()

    def flush(self) -> None:
        """Make what was drained safe against a kill."""
        if self._audit is not None:
            self._audit.flush()
        if self._store is not None:
            self._store.commit()

    def close(self) -> None:
        """Drain, write the final account and end all files."""
        self.drain()
        if self._audit is not None:
            self._audit.close()
        if self._store is not None:
            self._store.put_positions(self._desk.ledger.positions())
            self._store.put_cash(self._desk.ledger.balances())
            self._store.commit()
            self._store.close()
