"""A journal that a thread compresses and writes is the journal that would be written without it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from barbot.errors import JournalError
from barbot.wire.journal import BinaryFrame, Header, Record, Seal, TextFrame
from barbot.wire.journal_read import open_reader
from barbot.wire.journal_write import JournalWriter, open_writer

if TYPE_CHECKING:
    from typing_extensions import Buffer

HEADER = Header(run_id="r1", barbot="0")


def write(file: io.BytesIO, *, threaded: bool) -> None:
    with JournalWriter(file, HEADER, now=0, flush_bytes=500, flush_ns=50, threaded=threaded) as writer:
        for now in range(0, 3_000, 10):
            writer.frame(now, "c", "in", f"frame {now}")
        writer.tick(3_100)
        writer.frames(3_200, "c", "in", ["a", b"b", "c"])
        writer.seal(4_000)


def test_a_threads_journal_is_byte_for_byte_the_same() -> None:
    alone, threaded = io.BytesIO(), io.BytesIO()
    write(alone, threaded=False)
    write(threaded, threaded=True)
    assert alone.getvalue() == threaded.getvalue()


def test_flush_waits_until_the_thread_has_written(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_writer(path, HEADER, now=0, threaded=True) as writer:
        empty = path.stat().st_size
        writer.frame(1, "c", "in", "frame")
        writer.flush()
        assert path.stat().st_size > empty > 0


@pytest.mark.parametrize("threaded", [False, True])
def test_the_frames_of_one_read_follow_each_other_by_a_nanosecond(tmp_path: Path, *, threaded: bool) -> None:
    path = tmp_path / "journal"
    with open_writer(path, HEADER, now=0, threaded=threaded) as writer:
        writer.frames(10, "c", "in", ["first", b"second", "third"])
        writer.frames(20, "c", "in", [])
        writer.seal(30)
    expected: list[Record] = [
        TextFrame(10, "c", "in", "first"),
        BinaryFrame(11, "c", "in", b"second"),
        TextFrame(12, "c", "in", "third"),
        Seal(30),
    ]
    with open_reader(path) as reader:
        assert list(reader) == expected


def test_frames_are_all_recorded_or_none() -> None:
    file = io.BytesIO()
    writer = JournalWriter(file, HEADER, now=0)
    with pytest.raises(JournalError, match="UTF-8 cannot carry"):
        writer.frames(1, "c", "in", ["sound", "\ud800"])
    writer.seal(2)
    alone = io.BytesIO()
    JournalWriter(alone, HEADER, now=0).seal(2)
    assert file.getvalue() == alone.getvalue()


class Full(io.BytesIO):
    """A disk with room for one write."""

    writes = 0

    def write(self, data: Buffer) -> int:
        self.writes += 1
        if self.writes > 1:
            raise OSError(28, "No space left on device")
        return len(bytes(data))


def record_many(writer: JournalWriter) -> None:
    for now in range(100):
        writer.frame(now, "c", "in", "frame")


def test_what_goes_wrong_in_the_thread_is_raised_to_who_records() -> None:
    file = Full()
    writer = JournalWriter(file, HEADER, now=0, flush_bytes=1, threaded=True)
    with pytest.raises(JournalError, match="No space left on device"):
        record_many(writer)
    assert file.writes == 2, "after what could not be written nothing is"
    assert not writer.is_open
    with pytest.raises(JournalError, match="broken off"):
        writer.frame(200, "c", "in", "frame")
    writer.close()
