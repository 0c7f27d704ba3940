"""Reads and verifies journals, one zstd frame at a time, so that memory stays flat. Floor 2.

A journal that was cut short is read up to its last whole zstd frame and says so (`torn`). A journal that was
changed is refused at the first zstd frame that is not as it was written, with the record named: reading and
verifying make the same checks, so a replay never runs on a record that `verify` would call bad.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

import msgspec

from barbot.errors import JournalError
from barbot.wire.journal import (
    FIRST_DIGEST,
    INDEX_SIZE,
    INDEX_START,
    VERSION,
    Chain,
    FormatVersion,
    Header,
    Index,
    Record,
    Seal,
    chain_digest,
    unpack_index,
)
from barbot.wire.zstd import ZstdError, decompress

_RECORD: Final = msgspec.json.Decoder(Record)
_CHAIN: Final = msgspec.json.Decoder(Chain)
_VERSION: Final = msgspec.json.Decoder(FormatVersion)
_HEADER: Final = msgspec.json.Decoder(Header)
_NOT_ONE: Final = "is not a barbot journal; a journal is made by `barbot record` or a live run"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found. Only what lies before `torn` or `first_bad` is counted."""

    records: int
    frames: int
    """zstd frames, the header's among them."""
    sealed: bool
    torn: str
    """Where a journal that was cut short ends ("" if it was not); what lies before is good."""
    first_bad: int | None
    """The number of the first record that is not as it was written (0 is the header), or None."""
    problem: str
    """What is wrong with it, in one line; "" if nothing is."""


def open_reader(source: Path | str | BinaryIO) -> JournalReader:
    """Open a journal by its path, or take an open binary file, and read its header.

    Raises:
        JournalError: no such file, a directory, not a journal, a format this barbot does not read.
    """
    if not isinstance(source, Path | str):
        return JournalReader(source, str(getattr(source, "name", "journal")))
    reader = JournalReader(_open(Path(source)), str(source))
    try:
        _ = reader.header
    except JournalError:
        reader.close()
        raise
    return reader


def estimate_records(path: Path | str, *, frames: int = 1000) -> int | None:
    """Return about how many records a journal has, from the indexes of its first zstd frames; None without any.

    Exact where the journal has no more than `frames` of them. Nothing is decompressed or checked.

    Raises:
        JournalError: `path` cannot be opened.
    """
    records = position = 0
    with _open(Path(path)) as file:
        size = file.seek(0, 2)
        for _ in range(frames):
            file.seek(position)
            index = unpack_index(file.read(INDEX_SIZE))
            if index is None or position + INDEX_SIZE + index.length > size:
                return records or None
            records = index.records
            position += INDEX_SIZE + index.length
    return records * size // position if records else None


def verify(source: Path | str | BinaryIO) -> Verification:
    """Read a whole journal and say whether it is as it was written, and where not.

    Raises:
        JournalError: `source` cannot be opened; whatever is wrong inside it is in the answer.
    """
    if isinstance(source, Path | str):
        with _open(Path(source)) as file:
            return _verify(JournalReader(file, str(source)))
    return _verify(JournalReader(source, str(getattr(source, "name", "journal"))))


def _verify(reader: JournalReader) -> Verification:
    problem, first_bad = "", None
    try:
        for _ in reader.batches():
            pass
    except JournalError as error:
        problem, first_bad = str(error), error.record
    return Verification(
        records=reader.records,
        frames=reader.frames,
        sealed=reader.sealed,
        torn=reader.torn,
        first_bad=first_bad,
        problem=problem,
    )


class JournalReader:
    """Iterate over the records of a journal, once, in order. Use `open_reader` to open a path.

    `sealed` and `torn` are known when the iteration has ended. A journal that is neither was not ended by us,
    and was cut, if at all, between two zstd frames: every record that was flushed is there.
    """

    def __init__(self, file: BinaryIO, name: str = "journal") -> None:
        """Hold the file at its start; nothing is read yet. `name` is for messages."""
        self._file = file
        self._name = name
        self._digest = FIRST_DIGEST
        self._header: Header | None = None
        self._started = False
        self.records = 0
        """Records in the zstd frames read so far."""
        self.frames = 0
        """zstd frames read so far, the header's among them."""
        self.sealed = False
        self.torn = ""

    @property
    def header(self) -> Header:
        """The header, read when it is first asked for.

        Raises:
            JournalError: there is none, it is damaged, or of a format this barbot does not read.
        """
        if self._header is None:
            block = self._next_block()
            if block is None:
                raise JournalError(self.torn or "is empty", file=self._name, record=0)
            self._header = self._read_header(*block)
        return self._header

    def __iter__(self) -> Iterator[Record]:
        """Yield the records.

        Raises:
            JournalError: a record is not as it was written (records before its zstd frame were yielded), or
                the journal was read before.
        """
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[list[Record]]:
        """Yield the records of one zstd frame after the other; as iterating, with the same errors."""
        if self._started:
            raise JournalError("was read already; open it again", file=self._name)
        self._started = True
        _ = self.header
        while (block := self._next_block()) is not None:
            yield self._read_records(*block)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _next_block(self) -> tuple[Index, bytes] | None:
        """Return the index and the text of the next zstd frame, None at the end or where it is torn."""
        head = self._read(INDEX_SIZE)
        if not head:
            return None
        if not self.frames and not head.startswith(INDEX_START[: len(head)]):
            raise JournalError(_NOT_ONE, file=self._name, record=0)
        if self.sealed:
            raise self._damage("there are bytes after the seal")
        if len(head) < INDEX_SIZE:
            self._tear(f"the index of zstd frame {self.frames + 1}")
            return None
        index = unpack_index(head)
        if index is None:
            raise self._damage(f"the index of zstd frame {self.frames + 1} is damaged")
        data = self._read(index.length)
        if len(data) < index.length:
            self._tear(self._place(index))
            return None
        return index, self._decompress(index, data)

    def _decompress(self, index: Index, data: bytes) -> bytes:
        if zlib.crc32(data) != index.checksum:
            raise self._damage(f"{self._place(index)} is damaged")
        try:
            return decompress(data)
        except ZstdError as error:
            raise self._damage(f"{self._place(index)} does not decompress: {error}") from None

    def _read_header(self, index: Index, text: bytes) -> Header:
        lines, chain = _split(text)
        try:
            version = _VERSION.decode(lines).version
            if version != VERSION:
                raise JournalError(
                    f"is a journal of format {version}, this barbot reads format {VERSION}; "
                    "read it with the barbot that wrote it",
                    file=self._name,
                    record=0,
                )
            header = _HEADER.decode(lines)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise JournalError(f"the header cannot be read: {error}", file=self._name, record=0) from None
        self._check_chain(index, lines, chain, records=0)
        return header

    def _read_records(self, index: Index, text: bytes) -> list[Record]:
        lines, chain = _split(text)
        try:
            batch = _RECORD.decode_lines(lines)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._bad_line(lines, error) from None
        self._check_chain(index, lines, chain, records=self.records + len(batch))
        self.sealed = bool(batch) and isinstance(batch[-1], Seal)
        return batch

    def _check_chain(self, index: Index, lines: bytes, chain_line: bytes, *, records: int) -> None:
        digest = chain_digest(self._digest, lines)
        try:
            chain = _CHAIN.decode(chain_line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._damage(f"{self._place(index)} does not end with its chain line") from None
        if chain != Chain(records, digest) or index.records != records:
            raise self._damage(f"{self._place(index)} does not match its chain line: lines were changed")
        self._digest = digest
        self.records = records
        self.frames += 1

    def _bad_line(self, lines: bytes, error: Exception) -> JournalError:
        """Name the first of `lines` that is no record; `error` is what all of them together gave."""
        number = self.records + 1
        for line in lines.split(b"\n"):
            try:
                _RECORD.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as found:
                error = found
                break
            number += 1
        return JournalError(f"is not a record: {error}", file=self._name, record=number)

    def _damage(self, problem: str) -> JournalError:
        """Blame the first record of the zstd frame in hand (the header is record 0)."""
        return JournalError(problem, file=self._name, record=self.records + 1 if self.frames else 0)

    def _tear(self, place: str) -> None:
        good = f"{self.records} whole records before it are good" if self.frames else "nothing is readable"
        self.torn = f"ends in the middle of {place}, {good}, no seal"

    def _place(self, index: Index) -> str:
        if not self.frames:
            return "zstd frame 1 (the header)"
        return f"zstd frame {self.frames + 1} (records {self.records + 1}..{index.records})"

    def _read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end of the file."""
        try:
            data = self._file.read(size)
            while data and len(data) < size and (more := self._file.read(size - len(data))):
                data += more
        except OSError as error:
            raise JournalError(f"cannot be read: {error.strerror}", file=self._name) from error
        return data


def _split(text: bytes) -> tuple[bytes, bytes]:
    """Return the lines of a zstd frame without the last one, and the last one."""
    cut = text.rfind(b"\n", 0, -1) + 1
    return text[:cut], text[cut:]


def _open(path: Path) -> BinaryIO:
    if path.is_dir():  # Windows would call it a lack of permission
        raise JournalError("is a directory, not a journal", file=str(path))
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise JournalError("no such file", file=str(path)) from None
    except OSError as error:
        raise JournalError(f"cannot be opened: {error.strerror}", file=str(path)) from error
