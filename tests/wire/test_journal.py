"""The journal: what is written is what is read, what was flushed is not lost, and no damage goes unnamed."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.errors import JournalError
from barbot.model.instrument import Instrument
from barbot.wire.journal import (
    FIRST_DIGEST,
    INDEX_SIZE,
    BinaryFrame,
    Chain,
    Connect,
    Drop,
    FetchedBinary,
    FetchedText,
    Header,
    Record,
    Seal,
    TextFrame,
    chain_digest,
    pack_index,
    unpack_index,
)
from barbot.wire.journal_read import JournalReader, Verification, open_reader, verify
from barbot.wire.journal_write import JournalWriter, open_writer, without_secrets
from barbot.wire.zstd import CompressionParameter, ZstdError, ZstdFile, compress, decompress

ROOT: Final = Path(__file__).resolve().parents[2]
MS: Final = 1_000_000
HEADER: Final = Header(
    run_id="run-1",
    barbot="0.1.0",
    settings_digest="abc",
    seed=7,
    instruments=(
        Instrument(
            provider="kucoin",
            symbol="BTC-USDT",
            currency="USDT",
            base="BTC",
            price_increment=Decimal("0.10"),
            multiplier=Decimal("1"),
        ),
    ),
    made_by="a test",
)


def write_all(writer: JournalWriter, records: list[Record]) -> None:
    """Hand `records` over through the calls that make them."""
    for record in records:
        match record:
            case TextFrame(ts, connection, direction, payload) | BinaryFrame(ts, connection, direction, payload):
                writer.frame(ts, connection, direction, payload)
            case Connect(ts, connection, codec, feeds, url):
                writer.connect(ts, connection, codec, feeds, url)
            case Drop(ts, connection, reason):
                writer.drop(ts, connection, reason)
            case FetchedText(ts, connection, method, url, status, body) | FetchedBinary(
                ts, connection, method, url, status, body
            ):
                writer.fetched(ts, connection, method, url, status, body)
            case Seal(ts):
                writer.seal(ts)


def small_records() -> list[Record]:
    """Nine records that a flush time of 10 ns cuts into zstd frames of 3, 3, 2 and 1."""
    candle = '["b","native:A@1m",0,1.0,1.0,1.0,1.0,1.0]'
    return [
        Connect(0, "a", "native", ("native:A@1m",), "tcp://venue"),
        TextFrame(1, "a", "out", '{"subscribe":"é\\n"}'),
        TextFrame(10, "a", "in", candle),
        BinaryFrame(20, "a", "in", bytes(range(12))),
        FetchedText(21, "a", "GET", "http://venue/k?a=1", 200, "[]"),
        TextFrame(30, "a", "in", candle),
        FetchedBinary(40, "a", "POST", "http://venue/k", 404, b"\x00"),
        Drop(50, "a", "close 1000: Bye"),
        Seal(60),
    ]


def journal_of(records: list[Record], *, flush_ns: int = 10) -> bytes:
    file = io.BytesIO()
    with JournalWriter(file, HEADER, now=0, flush_ns=flush_ns) as writer:
        write_all(writer, records)
    return file.getvalue()


def blocks_of(data: bytes) -> list[tuple[int, int]]:
    """Return where the zstd frames (with their index) of a whole journal start and end."""
    spans, start = [], 0
    while start < len(data):
        index = unpack_index(data[start : start + INDEX_SIZE])
        assert index is not None
        spans.append((start, start + INDEX_SIZE + index.length))
        start = spans[-1][1]
    return spans


def lines_of(data: bytes) -> list[bytes]:
    """Return the lines as any NDJSON reader sees them, skipping what zstd skips."""
    stream = ZstdFile(io.BytesIO(data))
    return stream.read().splitlines(keepends=True)


def rebuild(blocks: list[tuple[bytes, bytes]]) -> bytes:
    """Write zstd frames of (lines, chain line) with an honest index each."""
    data = b""
    for lines, chain in blocks:
        compressed = compress(lines + chain)
        data += pack_index(json.loads(chain)[1], 0, compressed) + compressed
    return data


def taken_apart(data: bytes) -> list[tuple[bytes, bytes]]:
    blocks = []
    for start, end in blocks_of(data):
        lines = lines_of(data[start:end])
        blocks.append((b"".join(lines[:-1]), lines[-1]))
    return blocks


texts = st.text(st.characters(codec="utf-8"), max_size=40)
stamps = st.integers(0, 2**62)
directions = st.sampled_from(["in", "out"])
plain_urls = st.sampled_from(["", "http://venue/candles?symbol=A&from=1"])
records_strategy: st.SearchStrategy[list[Record]] = st.lists(
    st.one_of(
        st.builds(TextFrame, stamps, texts, directions, texts),
        st.builds(BinaryFrame, stamps, texts, directions, st.binary(max_size=40)),
        st.builds(Connect, stamps, texts, texts, st.lists(texts, max_size=3).map(tuple), plain_urls),
        st.builds(Drop, stamps, texts, texts),
        st.builds(FetchedText, stamps, texts, texts, plain_urls, st.integers(0, 999), texts),
        st.builds(FetchedBinary, stamps, texts, texts, plain_urls, st.integers(0, 999), st.binary()),
    ),
    max_size=30,
)


@given(records_strategy, st.integers(1, 2000), st.booleans())
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_what_is_read(records: list[Record], flush_bytes: int, sealed: bool) -> None:
    records = [*records, Seal(2**62)] if sealed else records
    file = io.BytesIO()
    with JournalWriter(file, HEADER, now=0, flush_bytes=flush_bytes) as writer:
        write_all(writer, records)
    reader = open_reader(io.BytesIO(file.getvalue()))
    assert reader.header == HEADER
    assert list(reader) == records
    assert (reader.sealed, reader.torn, reader.records) == (sealed, "", len(records))


def test_an_ndjson_reader_reads_it_and_the_chain_is_what_the_docs_say() -> None:
    lines = lines_of(journal_of(small_records()))
    kinds = ["header" if isinstance(line, dict) else line[0] for line in map(json.loads, lines)]
    assert kinds == ["header", "z", *"cffz", *"Fhfz", *"Hdz", *"sz"]
    digest, waiting = FIRST_DIGEST, b""
    for line in lines:
        if line.startswith(b'["z"'):
            digest, waiting = chain_digest(digest, waiting), b""
            assert json.loads(line)[2] == digest
        else:
            waiting += line


def test_the_example_in_the_docs_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "journal.md").read_text(encoding="utf-8")
    python, lines = re.findall(r"```(?:python|json)\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(python, "docs/journal.md", "exec"), {})
    assert b"".join(lines_of(Path("example.jsonl.zst").read_bytes())).decode() == lines
    assert verify("example.jsonl.zst").sealed


def test_a_whole_journal_verifies() -> None:
    assert verify(io.BytesIO(journal_of(small_records()))) == Verification(
        records=9, frames=5, sealed=True, torn="", first_bad=None, problem=""
    )


def test_an_unsealed_journal_says_so() -> None:
    assert verify(io.BytesIO(journal_of(small_records()[:4]))) == Verification(
        records=4, frames=3, sealed=False, torn="", first_bad=None, problem=""
    )


@pytest.mark.parametrize("flip", [0x01, 0x10, 0x80, 0xFF])
def test_every_flipped_byte_is_found_and_its_zstd_frame_named(flip: int) -> None:
    data = journal_of(small_records())
    # zstd frame -> what its damage is called, and the first record in it
    names = [
        ("zstd frame 1", "the header", 0),
        ("zstd frame 2", "records 1..3", 1),
        ("zstd frame 3", "records 4..6", 4),
        ("zstd frame 4", "records 7..8", 7),
        ("zstd frame 5", "records 9..9", 9),
    ]
    for (start, end), (frame, span, first) in zip(blocks_of(data), names, strict=True):
        for at in range(start, end):
            damaged = bytearray(data)
            damaged[at] ^= flip
            found = verify(io.BytesIO(bytes(damaged)))
            if at < 8:
                expected = "journal record 0: is not a barbot journal; a journal is made by " + (
                    "`barbot record` or a live run"
                )
            elif at < start + INDEX_SIZE:
                expected = f"journal record {first}: the index of {frame} is damaged"
            else:
                expected = f"journal record {first}: {frame} ({span}) is damaged"
            assert (found.problem, found.first_bad, found.torn) == (expected, first, "")
            assert found.records == max(first - 1, 0)


def test_zstd_alone_would_miss_flipped_bytes_that_the_index_finds() -> None:
    lines = b"".join(b'["f",%d,"a","in","tick tick tick tick"]\n' % (i % 3) for i in range(200))
    compressed = compress(lines, options={CompressionParameter.checksum_flag: 1})
    unseen = 0
    for at in range(len(compressed)):
        for bit in range(8):
            damaged = bytearray(compressed)
            damaged[at] ^= 1 << bit
            try:
                unseen += decompress(bytes(damaged)) == lines
            except (ZstdError, MemoryError):
                continue
    assert unseen > 0


def test_reading_stops_with_an_error_where_the_damage_is() -> None:
    data = bytearray(journal_of(small_records()))
    data[blocks_of(bytes(data))[2][1] - 1] ^= 1
    reader = open_reader(io.BytesIO(bytes(data)))
    seen: list[Record] = []
    with pytest.raises(JournalError, match=r"^journal record 4: zstd frame 3 \(records 4\.\.6\) is damaged$"):
        seen.extend(reader)
    assert seen == small_records()[:3]


def test_a_journal_cut_anywhere_is_read_up_to_its_last_whole_zstd_frame() -> None:
    data, records = journal_of(small_records()), small_records()
    ends = dict(zip([end for _, end in blocks_of(data)], [0, 3, 6, 8, 9], strict=True))
    good = 0
    for size in range(blocks_of(data)[0][1], len(data)):
        good = ends.get(size, good)
        reader = open_reader(io.BytesIO(data[:size]))
        assert list(reader) == records[:good]
        assert not reader.sealed
        assert bool(reader.torn) == (size not in ends)
        found = verify(io.BytesIO(data[:size]))
        assert (found.records, found.torn, found.problem) == (good, reader.torn, "")


def test_a_torn_journal_says_what_is_missing() -> None:
    data = journal_of(small_records())
    spans = blocks_of(data)
    for size, torn in [
        (spans[2][1] - 1, "zstd frame 3 (records 4..6), 3 whole records before it are good, no seal"),
        (spans[3][0] + 5, "the index of zstd frame 4, 6 whole records before it are good, no seal"),
    ]:
        assert verify(io.BytesIO(data[:size])).torn == f"ends in the middle of {torn}"


def test_a_journal_cut_in_its_header_cannot_be_read_and_says_why() -> None:
    data = journal_of(small_records())
    for size in range(1, blocks_of(data)[0][1]):
        with pytest.raises(JournalError, match=r"^journal record 0: ends in the middle of .*, nothing is readable"):
            _ = open_reader(io.BytesIO(data[:size])).header
        assert verify(io.BytesIO(data[:size])).first_bad == 0


def test_a_line_taken_out_or_changed_breaks_the_chain() -> None:
    blocks = taken_apart(journal_of(small_records()))
    whole = Verification(records=9, frames=5, sealed=True, torn="", first_bad=None, problem="")
    assert verify(io.BytesIO(rebuild(blocks))) == whole
    lines, chain = blocks[2]
    shorter = b"".join(lines.splitlines(keepends=True)[1:])
    problem = "journal record 4: zstd frame 3 (records 4..6) does not match its chain line: lines were changed"
    for edited in (shorter, lines.replace(b"200", b"201"), lines + b"\n"):
        found = verify(io.BytesIO(rebuild([*blocks[:2], (edited, chain), *blocks[3:]])))
        assert (found.records, found.first_bad, found.problem) == (3, 4, problem)


def test_zstd_frames_taken_out_or_swapped_break_the_chain() -> None:
    blocks = taken_apart(journal_of(small_records()))
    for edited in ([*blocks[:1], *blocks[2:]], [blocks[0], blocks[2], blocks[1], *blocks[3:]]):
        assert verify(io.BytesIO(rebuild(edited))).first_bad == 1


def test_a_chained_line_that_is_no_record_is_named_itself() -> None:
    header, (lines, _), *_ = taken_apart(journal_of(small_records()))
    for old, new, problem in [
        (b'"out"', b'"up"', "Invalid enum value 'up'"),
        (b'["f",1,', b'["x",1,', "Invalid value 'x'"),
        (b"subscribe", b"subscrib\xff", ""),
        (b'["f",1,', b'["f",1.5,', "Expected `int`, got `float`"),
        (b'"}"]\n["f",10', b'"}"\n["f",10', "Input data was truncated"),
    ]:
        assert lines.count(old) == 1
        edited = lines.replace(old, new)
        chain = json.dumps(["z", 3, chain_digest(json.loads(header[1])[2], edited)]).encode()
        found = verify(io.BytesIO(rebuild([header, (edited, chain)])))
        assert found.first_bad == 2
        assert found.problem.startswith(f"journal record 2: is not a record: {problem}")


def test_a_changed_header_breaks_the_chain() -> None:
    (lines, chain), *rest = taken_apart(journal_of(small_records()))
    found = verify(io.BytesIO(rebuild([(lines.replace(b'"seed":7', b'"seed":8'), chain), *rest])))
    assert (found.first_bad, found.problem) == (
        0,
        "journal record 0: zstd frame 1 (the header) does not match its chain line: lines were changed",
    )


def test_a_zstd_frame_without_its_chain_line_is_refused() -> None:
    header, (lines, _), *_ = taken_apart(journal_of(small_records()))
    compressed = compress(lines)
    found = verify(io.BytesIO(rebuild([header]) + pack_index(3, 0, compressed) + compressed))
    assert (found.first_bad, found.problem) == (
        1,
        "journal record 1: zstd frame 2 (records 1..3) does not end with its chain line",
    )


def test_bytes_that_are_no_zstd_are_refused() -> None:
    header, *_ = taken_apart(journal_of(small_records()))
    found = verify(io.BytesIO(rebuild([header]) + pack_index(1, 0, b"nothing") + b"nothing"))
    assert found.first_bad == 1
    assert found.problem.startswith("journal record 1: zstd frame 2 (records 1..1) does not decompress: ")


def test_bytes_after_the_seal_are_refused() -> None:
    found = verify(io.BytesIO(journal_of(small_records()) + b"more"))
    assert (found.records, found.first_bad, found.problem) == (
        9,
        10,
        "journal record 10: there are bytes after the seal",
    )


def test_a_journal_of_a_later_format_is_refused_with_the_remedy() -> None:
    line = b'{"barbot_journal":2,"something":"else"}\n'
    chain = json.dumps(["z", 0, chain_digest(FIRST_DIGEST, line)]).encode()
    with pytest.raises(JournalError) as caught:
        _ = open_reader(io.BytesIO(rebuild([(line, chain)]))).header
    assert str(caught.value) == (
        "journal record 0: is a journal of format 2, this barbot reads format 1; read it with the barbot that wrote it"
    )
    with pytest.raises(JournalError, match="writes journals of format 1, not 2"):
        JournalWriter(io.BytesIO(), Header(version=2, run_id="", barbot=""), now=0)


def test_a_header_that_is_none_is_refused() -> None:
    line = b'{"barbot_journal":1}\n'
    chain = json.dumps(["z", 0, chain_digest(FIRST_DIGEST, line)]).encode()
    with pytest.raises(JournalError, match=r"^journal record 0: the header cannot be read: Object missing"):
        _ = open_reader(io.BytesIO(rebuild([(line, chain)]))).header


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"time,open,high\n", "is not a barbot journal; a journal is made by `barbot record` or a live run"),
        (
            compress(b"{}\n"),
            "is not a barbot journal; a journal is made by `barbot record` or a live run",
        ),
    ],
    ids=["empty", "csv", "plain zstd"],
)
def test_what_is_no_journal_is_refused_in_one_line(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "feed.jsonl.zst"
    path.write_bytes(content)
    with pytest.raises(JournalError) as caught:
        open_reader(path)
    assert str(caught.value) == f"{path} record 0: {problem}"
    assert verify(path).problem == f"{path} record 0: {problem}"


def test_a_missing_file_and_a_directory_are_refused_in_one_line(tmp_path: Path) -> None:
    for opened in (open_reader, verify):
        with pytest.raises(JournalError) as caught:
            opened(tmp_path / "none")
        assert str(caught.value) == f"{tmp_path / 'none'}: no such file"
        with pytest.raises(JournalError) as caught:
            opened(tmp_path)
        assert str(caught.value) == f"{tmp_path}: is a directory, not a journal"
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"(cannot be opened: Not a directory|no such file)$"):
        open_reader(tmp_path / "file" / "journal")


def test_a_source_that_fails_is_a_journal_error() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    assert verify(Failing()).problem == "journal: cannot be read: Input/output error"


def test_a_journal_is_read_once() -> None:
    reader = open_reader(io.BytesIO(journal_of(small_records())))
    assert list(reader) == small_records()
    with pytest.raises(JournalError, match=r"^journal: was read already; open it again$"):
        list(reader)


def test_a_source_that_gives_few_bytes_at_a_time_is_read_whole() -> None:
    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(7, size or 0))

    assert list(JournalReader(Trickle(journal_of(small_records())))) == small_records()


def test_memory_stays_flat_because_zstd_frames_are_read_one_by_one() -> None:
    file = io.BytesIO(journal_of(small_records()))
    batches = open_reader(file).batches()
    assert next(batches) == small_records()[:3]
    assert file.tell() == blocks_of(file.getvalue())[1][1]


def test_a_flush_comes_when_due_by_time_or_size_and_not_before() -> None:
    file = io.BytesIO()
    writer = JournalWriter(file, HEADER, now=0, flush_bytes=1000)
    assert writer.tick(0) == 100 * MS  # the header waits
    assert writer.tick(100 * MS - 1) == 100 * MS
    assert file.getvalue() == b""
    assert writer.tick(100 * MS) is None
    assert len(blocks_of(file.getvalue())) == 1
    writer.drop(150 * MS, "a", "")
    assert writer.tick(200 * MS) == 250 * MS
    writer.drop(250 * MS, "a", "")  # a record that comes when it is time leaves with the others
    assert writer.tick(250 * MS) is None
    assert len(blocks_of(file.getvalue())) == 2
    writer.frame(251 * MS, "a", "in", "x" * 1000)
    assert len(blocks_of(file.getvalue())) == 3
    writer.flush()
    assert len(blocks_of(file.getvalue())) == 3


def test_the_index_tells_the_last_record_and_the_first_stamp() -> None:
    data = journal_of(small_records())
    indexes = [unpack_index(data[start : start + INDEX_SIZE]) for start, _ in blocks_of(data)]
    assert [(index.records, index.ts) for index in indexes if index] == [(0, 0), (3, 0), (6, 20), (8, 40), (9, 60)]


def test_nothing_is_written_after_the_end() -> None:
    file = io.BytesIO()
    writer = JournalWriter(file, HEADER, now=0)
    writer.seal(1)
    writer.close()
    with pytest.raises(JournalError, match=r"^journal: is sealed; nothing can be added$"):
        writer.drop(2, "a", "")
    with pytest.raises(JournalError, match="is sealed"):
        writer.flush()
    assert list(open_reader(io.BytesIO(file.getvalue()))) == [Seal(1)]
    closed = JournalWriter(io.BytesIO(), HEADER, now=0)
    closed.close()
    with pytest.raises(JournalError, match=r"^journal: is closed; nothing can be added$"):
        closed.seal(2)


def test_text_that_utf8_cannot_carry_is_refused_and_the_rest_is_kept() -> None:
    file = io.BytesIO()
    with JournalWriter(file, HEADER, now=0) as writer:
        writer.frame(1, "a", "in", "good")
        with pytest.raises(JournalError, match=r"^journal: text that UTF-8 cannot carry; record it as bytes$"):
            writer.frame(2, "a", "in", "half \ud800 a pair")
        writer.frame(3, "a", "in", "good again")
    assert list(open_reader(io.BytesIO(file.getvalue()))) == [
        TextFrame(1, "a", "in", "good"),
        TextFrame(3, "a", "in", "good again"),
    ]


def test_a_full_disk_is_a_journal_error_from_then_on() -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError(28, "No space left on device")

    writer = JournalWriter(Full(), HEADER, now=0)
    with pytest.raises(JournalError, match=r"^journal: cannot be written to: .*No space left on device"):
        writer.flush()
    with pytest.raises(JournalError, match="is broken off: it could not be written to; nothing can be added"):
        writer.drop(1, "a", "")


def test_a_file_that_takes_few_bytes_at_a_time_gets_them_all() -> None:
    class Narrow(io.BytesIO):
        def write(self, data: object, /) -> int:
            assert isinstance(data, memoryview)
            return super().write(data[:7])

    file = Narrow()
    with JournalWriter(file, HEADER, now=0, flush_ns=10) as writer:
        write_all(writer, small_records())
    assert file.getvalue() == journal_of(small_records())


def test_open_writer_creates_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl.zst"
    with open_writer(path, HEADER, now=5) as writer:
        assert verify(path).frames == 1  # the header is there at once
        writer.drop(6, "a", "gone")
    with open_reader(path) as reader:
        assert (reader.header, list(reader)) == (HEADER, [Drop(6, "a", "gone")])
    with pytest.raises(JournalError) as caught:
        open_writer(path, HEADER, now=0)
    assert str(caught.value) == f"{path}: exists already; choose another name or remove it"
    with pytest.raises(JournalError, match="cannot be created: No such file or directory"):
        open_writer(tmp_path / "none" / "journal", HEADER, now=0)


CHILD: Final = """
import sys
from barbot.wire.journal import Header
from barbot.wire.journal_write import open_writer

writer = open_writer(sys.argv[1], Header(run_id="r", barbot="0"), now=0)
for number in range(1000):
    writer.frame(number, "a", "in", f"frame {number}")
writer.flush()
writer.frame(1000, "a", "in", "not flushed")
print("flushed", flush=True)
sys.stdin.read()
"""


def test_kill_9_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "killed.jsonl.zst"
    command = [sys.executable, "-c", CHILD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == b"flushed"
        child.kill()
    with open_reader(path) as reader:
        assert list(reader) == [TextFrame(number, "a", "in", f"frame {number}") for number in range(1000)]
        assert (reader.sealed, reader.torn) == (False, "")


@pytest.mark.parametrize(
    ("url", "journalled"),
    [
        ("wss://venue/?token=abc&connectId=7", "wss://venue/?token=***&connectId=7"),
        ("https://me:pw@venue/a?x=1&apiKey=abc#signature=9", "https://venue/a?x=1&apiKey=***#signature=***"),
        ("https://venue/kline?symbol=BTC-USDT&startAt=1", "https://venue/kline?symbol=BTC-USDT&startAt=1"),
        ("https://venue/a?mail=x@y.z", "https://venue/a?mail=x@y.z"),
    ],
)
def test_urls_lose_their_secrets(url: str, journalled: str) -> None:
    assert without_secrets(url) == journalled
    file = io.BytesIO()
    with JournalWriter(file, HEADER, now=0) as writer:
        writer.connect(1, "a", "native", [], url)
        writer.fetched(2, "a", "GET", url, 200, "")
    assert list(open_reader(io.BytesIO(file.getvalue()))) == [
        Connect(1, "a", "native", (), journalled),
        FetchedText(2, "a", "GET", journalled, 200, ""),
    ]


def test_a_chain_line_is_what_the_format_says() -> None:
    assert Chain(3, "d") == Chain(records=3, digest="d")
    assert json.loads(taken_apart(journal_of([Seal(1)]))[1][1])[:2] == ["z", 1]
