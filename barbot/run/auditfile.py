"""`audit.jsonl.zst`: what the engine did, as JSON Lines in zstd frames. Floor 4.

A line is `[kind, ...fields]`. Each zstd frame stands by itself, so that after a kill everything but the last
unflushed quarter of a megabyte can be read, by `zstdcat | jq` too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from barbot.core.audit import AuditRecord, Opened, Updated
from barbot.model.market import Bar
from barbot.model.order import Fill, Order
from barbot.wire.zstd import compress

FLUSH_BYTES: Final = 256 * 1024


def _plain(value: object) -> object:
    """Say in JSON what msgspec does not know: numpy's float64 is a float to Python, and a strategy may log one."""
    return float(value) if isinstance(value, float) else str(value)


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plain)
_COMMONPLACE: Final[frozenset[type]] = frozenset({Bar, Opened, Updated})


class AuditFile:
    """Writes audit records as compressed JSON Lines."""

    def __init__(self, path: Path, *, full: bool) -> None:
        """Create the file; `full` writes every bar transition, else only what is out of the ordinary."""
        self._file = path.open("xb")
        self._full = full
        self._lines = bytearray()

    def take(self, records: Sequence[AuditRecord]) -> None:
        """Write what belongs in the file, in order."""
        kept = records if self._full else [r for r in records if r.__class__ not in _COMMONPLACE]
        if kept:
            self._lines += _ENCODER.encode_lines([_line(record) for record in kept])
            if len(self._lines) >= FLUSH_BYTES:
                self.flush()

    def flush(self) -> None:
        """Hand what waits to the operating system as one zstd frame."""
        if self._lines:
            self._file.write(compress(bytes(self._lines)))
            self._lines.clear()
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self.flush()
        self._file.close()


def _line(record: AuditRecord) -> object:
    if isinstance(record, Bar):
        return ["close", record]
    if isinstance(record, Order):
        return ["order", record]
    return ["fill", record] if isinstance(record, Fill) else record
