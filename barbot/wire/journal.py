"""The journal's format: its records, its header, and how its zstd frames are strung together. Floor 2.

A journal is JSON Lines inside zstd frames. `journal_write.py` writes it, `journal_read.py` reads and verifies
it; `docs/journal.md` explains it with a worked example. A record is a JSON array that starts with its kind: a
letter, a capital where the last field is base64. The order of the fields below is the format.

    f F   a text or binary frame         c   a connection is up        s   the seal: a clean end
    h H   what was fetched over HTTP     d   a connection ended        z   the chain line of a zstd frame

Records are numbered from 1 in order; the header is record 0; chain lines are not counted.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Final, Literal, TypeAlias

import msgspec

from barbot.model.instrument import Instrument

VERSION: Final = 1
"""The format this barbot writes, and the only one it reads."""

Direction: TypeAlias = Literal["in", "out"]
"""`in`: from the venue to us."""


class FormatVersion(msgspec.Struct, frozen=True, rename={"version": "barbot_journal"}):
    """As much of a header as every format has, so that a later one is told from a damaged one."""

    version: int


class Header(msgspec.Struct, frozen=True, kw_only=True, rename={"version": "barbot_journal"}):
    """The first line: what was recorded, by what, and with which seed. The only line that is an object."""

    version: int = VERSION
    run_id: str
    barbot: str
    """The version of barbot that wrote the journal."""
    settings_digest: str = ""
    seed: int = 0
    instruments: tuple[Instrument, ...] = ()
    made_by: str = ""
    """Free text: the command, script or person behind the journal."""


class TextFrame(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="f"):
    """A text frame as it went over the wire."""

    ts: int
    connection: str
    direction: Direction
    payload: str


class BinaryFrame(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="F"):
    """A binary frame as it went over the wire; base64 in the line, bytes here."""

    ts: int
    connection: str
    direction: Direction
    payload: bytes


class Connect(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """A connection is up; `codec` names the provider that decodes it, `feeds` what it serves from now on."""

    ts: int
    connection: str
    codec: str
    feeds: tuple[str, ...] = ()
    url: str = ""


class Drop(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="d"):
    """A connection ended, and why."""

    ts: int
    connection: str
    reason: str = ""


class FetchedText(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="h"):
    """An HTTP exchange on behalf of a connection: what was asked, and the answer's status and body."""

    ts: int
    connection: str
    method: str
    url: str
    status: int
    body: str


class FetchedBinary(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="H"):
    """The same with a body that is not text."""

    ts: int
    connection: str
    method: str
    url: str
    status: int
    body: bytes


class Seal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="s"):
    """The last record of a journal that ended on purpose, and when."""

    ts: int


class Chain(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="z"):
    """The last line of a zstd frame: the number of its last record, and the digest of all lines so far."""

    records: int
    digest: str


Frame: TypeAlias = TextFrame | BinaryFrame
Fetched: TypeAlias = FetchedText | FetchedBinary
Record: TypeAlias = TextFrame | BinaryFrame | Connect | Drop | FetchedText | FetchedBinary | Seal

FIRST_DIGEST: Final = "0" * 64
"""What stands in for the previous digest in the first zstd frame."""


def chain_digest(previous: str, lines: bytes | bytearray) -> str:
    """Return the hex sha256 over the previous digest (as its 64 letters) and `lines` with their newlines."""
    digest = hashlib.sha256(previous.encode())
    digest.update(lines)
    return digest.hexdigest()


class Index(msgspec.Struct, frozen=True, gc=False):
    """What stands before every zstd frame, in a skippable frame that zstd tools pass over.

    `records` is the number of the last record in the zstd frame, `ts` the stamp of its first, `length` and
    `checksum` (CRC-32) are those of its compressed bytes. zstd itself does not notice every flipped bit (a
    match that points at another copy of the same text decodes to the same lines); the checksum does.
    """

    records: int
    ts: int
    length: int
    checksum: int


# skippable magic 0x184D2A5B ("B"), content length; records, ts, length, checksum; CRC-32 of the four
_INDEX: Final = struct.Struct("<QqII")
_CHECK: Final = struct.Struct("<I")
INDEX_START: Final = struct.pack("<II", 0x184D2A5B, _INDEX.size + _CHECK.size)
INDEX_SIZE: Final = len(INDEX_START) + _INDEX.size + _CHECK.size


def pack_index(records: int, ts: int, compressed: bytes) -> bytes:
    """Return the index of the zstd frame `compressed`."""
    fields = _INDEX.pack(records, ts, len(compressed), zlib.crc32(compressed))
    return INDEX_START + fields + _CHECK.pack(zlib.crc32(fields))


def unpack_index(data: bytes) -> Index | None:
    """Read an index of `INDEX_SIZE` bytes; None if any bit of it is not as it was written."""
    fields = data[len(INDEX_START) : -_CHECK.size]
    if not data.startswith(INDEX_START) or _CHECK.pack(zlib.crc32(fields)) != data[-_CHECK.size :]:
        return None
    return Index(*_INDEX.unpack(fields))
