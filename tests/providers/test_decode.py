"""From journal to events: each record comes to what it came to when it was recorded."""

from __future__ import annotations

import io
from typing import Final

import pytest

from barbot.errors import ConfigError, JournalError
from barbot.model.market import BarUpdate, Connected, Disconnected, Heartbeat, HistoryBars, Trade
from barbot.providers.decode import Step, Undecodable, decode_journal
from barbot.providers.native import encode_frame
from barbot.wire.journal import BinaryFrame as Binary
from barbot.wire.journal import Connect, Drop, Fetched, FetchedText, Frame, Header, Record, Seal, TextFrame
from barbot.wire.journal_read import open_reader
from barbot.wire.journal_write import JournalWriter

FEED: Final = "native:A@1m"
BAR: Final = BarUpdate(FEED, 0, 1.0, 1.0, 1.0, 1.0, 1.0)


def text(ts: int, payload: str, connection: str = "a") -> Frame:
    return TextFrame(ts, connection, "in", payload)


def test_a_journal_comes_to_its_events_in_order() -> None:
    file = io.BytesIO()
    with JournalWriter(file, Header(run_id="r", barbot="0"), now=0) as writer:
        writer.connect(1, "a", "native", [FEED])
        writer.frame(2, "a", "out", '{"subscribe":1}')
        writer.frame(3, "a", "in", encode_frame([BAR]))
        writer.fetched(4, "a", "GET", "u", 200, encode_frame([HistoryBars(FEED, 0, 60, (BAR,))]))
        writer.frame(5, "a", "in", encode_frame([]))
        writer.drop(6, "a", "bye")
        writer.connect(7, "a", "native", [FEED])
        writer.frame(8, "a", "in", encode_frame([Heartbeat("", 0), Trade("native:A", 1.0, 1.0, 1)]))
        writer.seal(9)
    expected: list[Step] = [
        (1, [Connected("a", 1, (FEED,))]),
        (3, [BarUpdate(FEED, 0, 1.0, 1.0, 1.0, 1.0, 1.0, ts_recv=3)]),
        (4, [HistoryBars(FEED, 0, 60, (BarUpdate(FEED, 0, 1.0, 1.0, 1.0, 1.0, 1.0, ts_recv=4),))]),
        (5, []),
        (6, [Disconnected("a", 6, "bye")]),
        (7, [Connected("a", 7, (FEED,))]),
        (8, [Heartbeat("a", 8), Trade("native:A", 1.0, 1.0, 1, ts_recv=8)]),
        (9, []),
    ]
    assert list(decode_journal(open_reader(io.BytesIO(file.getvalue())))) == expected


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (text(2, '["h",1]'), "not a native frame: Expected `array` of at most length 0"),
        (Binary(2, "a", "in", b"\x00"), "native frames are text, this one is binary"),
        (FetchedText(2, "a", "GET", "u", 500, ""), "GET u answered 500"),
        (text(2, '["h"]', "b"), "connection 'b' is not up"),
        (FetchedText(2, "b", "GET", "u", 200, '["h"]'), "connection 'b' is not up"),
    ],
)
def test_what_cannot_be_decoded_is_told_and_skipped(record: Frame | Fetched, problem: str) -> None:
    records: list[Record] = [Connect(1, "a", "native"), record, text(3, '["h"]')]
    assert list(decode_journal(records)) == [
        (1, [Connected("a", 1)]),
        Undecodable(record.connection, 2, problem, 2),
        (3, [Heartbeat("a", 3)]),
    ]


def test_a_connection_that_was_dropped_decodes_no_more() -> None:
    records: list[Record] = [Connect(1, "a", "native"), Drop(2, "a"), text(3, '["h"]'), Seal(4)]
    assert list(decode_journal(records)) == [
        (1, [Connected("a", 1)]),
        (2, [Disconnected("a", 2)]),
        Undecodable("a", 3, "connection 'a' is not up", 3),
        (4, []),
    ]


def test_a_codec_that_is_not_installed_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"^no provider is called 'nasdaq'\. "):
        list(decode_journal([Connect(1, "a", "nasdaq")]))


def test_damage_stops_the_steps_with_a_journal_error() -> None:
    file = io.BytesIO()
    with JournalWriter(file, Header(run_id="r", barbot="0"), now=0, flush_ns=1) as writer:
        writer.connect(1, "a", "native", [FEED])
        writer.frame(2, "a", "in", '["h"]')
    data = bytearray(file.getvalue())
    data[-1] ^= 1
    steps = decode_journal(open_reader(io.BytesIO(bytes(data))))
    assert next(steps) == (1, [Connected("a", 1, (FEED,))])
    with pytest.raises(JournalError, match="record 2"):
        next(steps)
