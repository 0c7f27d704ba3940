"""Writes journals. Floor 2. It is handed the time and an open file; it neither sleeps nor asks a clock.

Records gather in memory and leave as one zstd frame a flush: after `flush_ns` or `flush_bytes` of lines,
whichever comes first. What was flushed survives `kill -9` (it is with the operating system; nothing is
fsynced, so a power cut may take more). Where a disk must not hold up who records, a thread compresses and
writes: what is due is handed to it, at most four frames at a time, and `flush` waits until it has written all.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

import msgspec

from barbot.errors import JournalError
from barbot.wire.journal import (
    FIRST_DIGEST,
    VERSION,
    BinaryFrame,
    Chain,
    Connect,
    Direction,
    Drop,
    FetchedBinary,
    FetchedText,
    Header,
    Record,
    Seal,
    TextFrame,
    chain_digest,
    pack_index,
)
from barbot.wire.zstd import CompressionParameter, compress

_NEWLINE: Final = 0x0A
_MOST_HANDED: Final = 4
"""Frames that the thread may be behind by before who records waits for it."""
_ENCODER: Final = msgspec.json.Encoder()
_USER: Final = re.compile(r"//[^/?#@]*@")
_SECRET: Final = re.compile(
    r"([?&#][^=&#?]*(?:token|key|secret|sign|passphrase|password|auth)[^=&#?]*=)[^&#]+", re.IGNORECASE
)


def open_writer(
    path: Path | str,
    header: Header,
    *,
    now: int,
    flush_bytes: int = 256 * 1024,
    flush_ns: int = 100_000_000,
    level: int = 1,
    threaded: bool = False,
) -> JournalWriter:
    """Create the journal `path`, put its header on the disk and return the writer, which closes the file.

    `threaded`: compress and write in a thread. `level`: zstd's; the fastest makes a stream of candles smaller, too
    (24 bytes a frame in 0.23 us, 27 in 0.38 at level 3).

    Raises:
        JournalError: `path` exists already or cannot be made.
    """
    try:
        file = Path(path).open("xb")  # noqa: SIM115 - the writer that is returned closes it
    except FileExistsError:
        raise JournalError("exists already; choose another name or remove it", file=str(path)) from None
    except OSError as error:
        raise JournalError(f"cannot be created: {error.strerror}", file=str(path)) from error
    writer = JournalWriter(
        file, header, now=now, flush_bytes=flush_bytes, flush_ns=flush_ns, level=level, threaded=threaded
    )
    writer._owned = file
    writer.flush()
    return writer


class JournalWriter:
    """Write records to a binary file, in the order of the calls.

    A context manager: leaving it flushes, and leaves the journal unsealed unless `seal` was called. The file
    is closed only if `open_writer` opened it. Text that UTF-8 cannot carry, and any call after the end, raise
    `JournalError`; so does a file that cannot be written to, and from then on every call.
    """

    def __init__(
        self,
        file: BinaryIO,
        header: Header,
        *,
        now: int,
        flush_bytes: int = 256 * 1024,
        flush_ns: int = 100_000_000,
        level: int = 1,
        threaded: bool = False,
    ) -> None:
        """Hold the header back until the first flush; nothing is written yet."""
        if header.version != VERSION:
            raise JournalError(f"this barbot writes journals of format {VERSION}, not {header.version}")
        self._file = file
        self._name = str(getattr(file, "name", "journal"))
        self._owned: BinaryIO | None = None
        self._ended = ""
        self._flush_bytes = flush_bytes
        self._flush_ns = flush_ns
        self._options: dict[int, int] = {
            CompressionParameter.compression_level: level,
            CompressionParameter.checksum_flag: 1,
        }
        self._digest = FIRST_DIGEST
        self._records = 0
        self._header = bytearray(_ENCODER.encode(header) + b"\n")
        self._header_ts = now
        self._pending = bytearray()
        self._pending_ts = now
        self._due: int | None = now + flush_ns
        self._thread = ThreadPoolExecutor(1, "journal") if threaded else None
        self._handed: deque[Future[None]] = deque()

    @property
    def is_open(self) -> bool:
        """Whether records can be added: it was not ended, and could be written to so far."""
        return not self._ended

    def frame(self, now: int, connection: str, direction: Direction, payload: str | bytes) -> None:
        """Record a frame as it came in or went out."""
        if isinstance(payload, str):
            self._append(now, TextFrame(now, connection, direction, payload))
        else:
            self._append(now, BinaryFrame(now, connection, direction, payload))

    def frames(self, now: int, connection: str, direction: Direction, payloads: Sequence[str | bytes]) -> None:
        """Record what one read brought: the first frame at `now`, each later one 1 ns after the one before it.

        What as many calls of `frame` would write, but for where it is flushed; at half their cost.
        """
        self._check_open()
        records: list[TextFrame | BinaryFrame] = [
            TextFrame(ts, connection, direction, payload)
            if isinstance(payload, str)
            else BinaryFrame(ts, connection, direction, payload)
            for ts, payload in enumerate(payloads, now)
        ]
        try:
            lines = _ENCODER.encode_lines(records)
        except UnicodeEncodeError:
            raise JournalError("text that UTF-8 cannot carry; record it as bytes", file=self._name) from None
        is_first = not self._pending
        self._pending += lines
        self._records += len(records)
        self._look(now, is_first=is_first)

    def connect(self, now: int, connection: str, codec: str, feeds: tuple[str, ...] | list[str], url: str = "") -> None:
        """Record that a connection is up, which provider decodes it, and which feeds it serves."""
        self._append(now, Connect(now, connection, codec, tuple(feeds), without_secrets(url)))

    def drop(self, now: int, connection: str, reason: str) -> None:
        """Record that a connection ended."""
        self._append(now, Drop(now, connection, reason))

    def fetched(self, now: int, connection: str, method: str, url: str, status: int, body: str | bytes) -> None:
        """Record an HTTP exchange at the time its answer was whole."""
        url = without_secrets(url)
        if isinstance(body, str):
            self._append(now, FetchedText(now, connection, method, url, status, body))
        else:
            self._append(now, FetchedBinary(now, connection, method, url, status, body))

    def tick(self, now: int) -> int | None:
        """Flush if it is time; return when to call again, None while nothing waits."""
        if self._due is not None and now >= self._due:
            self._hand_over()
        return self._due

    def flush(self) -> None:
        """Hand what waits to the operating system as one zstd frame (the header as one of its own)."""
        self._hand_over()
        self._settle(0)

    def _hand_over(self) -> None:
        """Write what waits, or have it written by the thread."""
        self._check_open()
        self._due = None
        if self._header:
            header, self._header = self._header, bytearray()
            self._have_written(header, 0, self._header_ts)
        if self._pending:
            pending, self._pending = self._pending, bytearray()
            self._have_written(pending, self._records, self._pending_ts)

    def _have_written(self, lines: bytearray, records: int, ts: int) -> None:
        if self._thread is None:
            self._write(lines, records, ts)
        else:
            self._settle(_MOST_HANDED - 1)
            self._handed.append(self._thread.submit(self._write, lines, records, ts))

    def _settle(self, most: int) -> None:
        """Wait until the thread has no more than `most` frames to write; raise what went wrong in it."""
        handed = self._handed
        while handed and (len(handed) > most or handed[0].done()):
            handed.popleft().result()

    def seal(self, now: int) -> None:
        """End the journal on purpose; it is whole, and nothing can be added."""
        self._append(now, Seal(now))
        self.close()
        self._ended = "is sealed"

    def close(self) -> None:
        """Flush and end the journal without a seal. Does nothing if it has ended."""
        try:
            if not self._ended:
                self.flush()
                self._ended = "is closed"
        finally:
            if self._thread is not None:
                self._thread.shutdown()
            if self._owned is not None:
                self._owned.close()
                self._owned = None

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, now: int, record: Record) -> None:
        if self._ended:  # asked here as well: a call per record costs 5 %
            self._check_open()
        pending = self._pending
        start = len(pending)
        try:
            _ENCODER.encode_into(record, pending, start)
        except UnicodeEncodeError:
            del pending[start:]
            raise JournalError("text that UTF-8 cannot carry; record it as bytes", file=self._name) from None
        pending.append(_NEWLINE)
        self._records += 1
        self._look(now, is_first=not start)

    def _look(self, now: int, *, is_first: bool) -> None:
        """Flush if enough has gathered or waited; `is_first` says that nothing waited before."""
        if is_first:
            self._pending_ts = now
            if self._due is None:
                self._due = now + self._flush_ns
        if len(self._pending) >= self._flush_bytes or (self._due is not None and now >= self._due):
            self._hand_over()

    def _block(self, lines: bytearray, records: int, ts: int) -> bytes:
        self._digest = chain_digest(self._digest, lines)
        chain = _ENCODER.encode(Chain(records, self._digest))
        compressed = compress(b"".join((lines, chain, b"\n")), options=self._options)
        return pack_index(records, ts, compressed) + compressed

    def _write(self, lines: bytearray, records: int, ts: int) -> None:
        if self._ended:  # the thread's last block could not be written: no hole may follow
            return
        rest = memoryview(self._block(lines, records, ts))
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            self._file.flush()
        except (OSError, ValueError) as error:  # ValueError: the file was closed under us
            self._ended = "is broken off: it could not be written to"
            raise JournalError(f"cannot be written to: {error}", file=self._name) from error

    def _check_open(self) -> None:
        if self._ended:
            self._settle(0)  # what the thread has to say is more exact
            raise JournalError(f"{self._ended}; nothing can be added", file=self._name)


def without_secrets(url: str) -> str:
    """Return `url` without its user and password, and `***` for each parameter named like a secret."""
    return _SECRET.sub(r"\1***", _USER.sub("//", url))
