"""The fast reader of frames gives what the protocol of `websockets` gives, however the stream is cut."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from barbot.wire.frames import FrameReader

MAX = 3_000
Message = str | bytes


def client(packed: bool = False, max_bytes: int = MAX) -> ClientProtocol:
    protocol = ClientProtocol(parse_uri("ws://venue/"), state=State.OPEN, max_size=max_bytes)
    if packed:
        protocol.extensions = [deflate()]
    return protocol


def deflate() -> PerMessageDeflate:
    return PerMessageDeflate(False, False, 15, 15)


def plain(opcode: Opcode, data: bytes, fin: bool = True, mask: bool = False) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


def read(stream: bytes, cuts: list[int], *, packed: bool) -> tuple[list[Message], Close | None, list[bytes]]:
    """Return messages, what we closed with, and what we sent, pongs and all, with masks taken off."""
    protocol = client(packed)
    reader = FrameReader(protocol, MAX)
    messages: list[Message] = []
    sent = b""
    for part in pieces(stream, cuts):
        messages += reader.receive_data(part)
        sent += b"".join(protocol.data_to_send())
    return messages, protocol.close_sent, unmasked(sent)


def reference(stream: bytes, *, packed: bool) -> tuple[list[Message], Close | None, list[bytes]]:
    """The same by `websockets` alone, byte by byte, with its frames joined and its text decoded."""
    protocol = client(packed)
    messages: list[Message] = []
    sent = b""
    kind, message = Opcode.TEXT, b""
    for place in range(len(stream)):
        protocol.receive_data(stream[place : place + 1])
        for event in protocol.events_received():
            assert isinstance(event, Frame)
            if event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                continue
            kind = kind if event.opcode is Opcode.CONT else event.opcode
            message += bytes(event.data)
            if event.fin:
                try:
                    messages.append(message if kind is Opcode.BINARY else message.decode())
                except UnicodeDecodeError as error:
                    protocol.fail(1007, f"{error.reason} at position {error.start}")
                message = b""
        sent += b"".join(protocol.data_to_send())
    return messages, protocol.close_sent, unmasked(sent)


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    return [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def unmasked(sent: bytes) -> list[bytes]:
    """Take our own frames apart: control frames all, none longer than 125."""
    frames = []
    while sent:
        length, mask = sent[1] & 0x7F, sent[2:6]
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(sent[6 : 6 + length]))
        frames.append(sent[:1] + payload)
        sent = sent[6 + length :]
    return frames


payloads = st.one_of(
    st.text(max_size=8).map(str.encode),
    st.binary(max_size=8),
    st.sampled_from([125, 126, 127, 300, 1_500, MAX]).map(lambda size: b"x" * size),
)
data_frames = st.builds(
    plain,
    st.sampled_from([Opcode.TEXT, Opcode.TEXT, Opcode.BINARY, Opcode.CONT]),
    payloads,
    st.sampled_from([True, True, False]),
)
control_frames = st.builds(plain, st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125))
good_texts = st.text(max_size=200).map(lambda text: plain(Opcode.TEXT, text.encode()))
endings = st.one_of(
    st.just(b""),
    st.just(plain(Opcode.CLOSE, Close(1001, "bye").serialize())),
    st.just(plain(Opcode.TEXT, b"masked", mask=True)),
    st.just(plain(Opcode.TEXT, b"x" * (MAX + 1))),
    st.just(b"\x82\x7f" + (2**62).to_bytes(8)),
    st.just(plain(Opcode.TEXT, b"cut off")[:-1]),
    st.just(b"\xc1\x01x"),
    st.binary(max_size=12),
)
cut_lists = st.lists(st.integers(0, 4_000), max_size=6)


@given(st.lists(st.one_of(good_texts, data_frames, control_frames), max_size=8), endings, endings, cut_lists)
def test_reads_as_the_protocol_does(frames: list[bytes], ending: bytes, more: bytes, cuts: list[int]) -> None:
    stream = b"".join(frames) + ending + more
    assert reference(stream, packed=False) == read(stream, cuts, packed=False)


@given(st.lists(st.tuples(st.text(max_size=60), st.integers(1, 3)), max_size=8), endings, cut_lists)
def test_reads_compressed_messages_as_the_protocol_does(
    messages: list[tuple[str, int]], ending: bytes, cuts: list[int]
) -> None:
    packer = deflate()
    stream = b""
    for text, parts in messages:
        data = text.encode() * 5
        step = len(data) // parts + 1
        for part in range(parts):
            opcode = Opcode.CONT if part else Opcode.TEXT
            frame = Frame(opcode, data[part * step : (part + 1) * step], fin=part == parts - 1)
            stream += frame.serialize(mask=False, extensions=[packer])
        stream += plain(Opcode.TEXT, b"not compressed")
    stream += ending
    assert reference(stream, packed=True) == read(stream, cuts, packed=True)


@given(st.binary(max_size=60), cut_lists)
def test_any_bytes_give_messages_or_an_end(stream: bytes, cuts: list[int]) -> None:
    assert reference(stream, packed=True) == read(stream, cuts, packed=True)


def test_a_byte_at_a_time() -> None:
    stream = plain(Opcode.TEXT, b"a" * 70) + plain(Opcode.BINARY, b"b" * 2_000) + plain(Opcode.TEXT, "ü".encode())
    cuts = list(range(len(stream)))
    assert read(stream, cuts, packed=False) == (["a" * 70, b"b" * 2_000, "ü"], None, [])


def test_a_bomb_is_not_unpacked() -> None:
    packer = zlib.compressobj(wbits=-15)
    bomb = (packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    stream = b"\xc1\x7e" + len(bomb).to_bytes(2) + bomb
    messages, close, _ = read(stream, [], packed=True)
    assert (messages, close.code if close else None) == ([], 1009)


@pytest.mark.parametrize("size", [0, 1, 1_000])
def test_a_message_in_endless_fragments_is_bounded(size: int) -> None:
    protocol = client()
    reader = FrameReader(protocol, MAX)
    stream = plain(Opcode.TEXT, b"", fin=False) + plain(Opcode.CONT, b"x" * size, fin=False) * 5_000
    assert reader.receive_data(stream) == []
    held = len(reader._message)
    assert (held, reader.is_over) == (0 if size == 0 else MAX, size != 0)
