"""From the bytes of a WebSocket to its messages, sans I/O, many at a time. Floor 2.

The protocol is that of `websockets`: its `ClientProtocol` negotiates, answers pings, joins in closing, checks
and masks. Handing it every byte costs 2.9 us a message, nearly all of it in the generators of its parser, so
that the plain case is read here, in 0.4 us: a whole unfragmented text or binary message with no mask; one
that is compressed takes 2.3 us instead of 4.1. Everything else, whatever is odd or wrong above all, goes to
the protocol, one whole frame at a time, so that there is one judge of what a WebSocket may send. A test holds
the two against each other.
"""

from __future__ import annotations

from typing import Final

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.frames import CloseCode, Opcode
from websockets.frames import Frame as WireFrame

from barbot.wire.link import Frame

_TEXT: Final = 0x81  # FIN and the opcode
_BINARY: Final = 0x82
_PACKED: Final = {0xC1: Opcode.TEXT, 0xC2: Opcode.BINARY}  # with RSV1: compressed
_OPCODES: Final = frozenset(Opcode)
_SHORT: Final = 125  # longer lengths take 2 bytes more (126) or 8 (127); from 128 on the frame is masked
_LONG_HEAD: Final = 10


class FrameReader:
    """Reads the messages of one connection whose handshake is over; the protocol then says how it ended.

    What the protocol wants to send (pongs, its part in closing) is in its `data_to_send` afterwards.
    """

    def __init__(self, protocol: ClientProtocol, max_bytes: int) -> None:
        """Read for `protocol`, which is open and has been given nothing after the handshake."""
        self.is_over = False
        """Whether nothing more will come: the peer closed, or sent what it may not."""
        self._protocol = protocol
        self._max_bytes = max_bytes
        self._extensions: list[Extension] = protocol.extensions[::-1]
        self._tail = bytearray()  # the beginning of a frame
        self._wanted = 0  # how long that must be to be worth looking at
        self._message = bytearray()  # the fragments of a message so far
        self._message_opcode: Opcode | None = None

    def receive_data(self, data: bytes) -> list[Frame]:
        """Return the messages that `data` completes, in order; the stream may be cut anywhere."""
        if self._tail:
            self._tail += data
            if len(self._tail) < self._wanted:
                return []
            data = bytes(self._tail)
            self._tail.clear()
        frames: list[Frame] = []
        at = 0 if self.is_over else self._scan(data, frames)
        if not self.is_over and at < len(data):
            self._keep(data[at:], frames)
        return frames

    def _keep(self, tail: bytes, frames: list[Frame]) -> None:
        """Put the beginning of a frame aside, unless it can be no frame: nobody waits for the rest of garbage."""
        if len(tail) >= 2 and tail[0] & 0xF not in _OPCODES:
            self._pass_on(tail, frames)
        else:
            self._tail += tail

    def _scan(self, data: bytes, frames: list[Frame]) -> int:
        """Read whole frames into `frames`; return where the first that is not whole begins."""
        at, end = 0, len(data)
        self._wanted = 0
        while end - at >= 2:
            first, length = data[at], data[at + 1]
            start = at + 2
            if length > _SHORT:
                if length == 126 and end - at >= 4:
                    start, length = at + 4, data[at + 2] << 8 | data[at + 3]
                elif length == 127 and end - at >= _LONG_HEAD:
                    start, length = at + _LONG_HEAD, int.from_bytes(data[at + 2 : at + _LONG_HEAD])
                elif length < 128:
                    break
                else:
                    length = self._max_bytes + 1  # masked: the protocol refuses it by its head, as it is
            if length > self._max_bytes:
                self._pass_on(data[at:], frames)
                break
            stop = start + length
            if stop > end:
                self._wanted = stop - at
                break
            is_alone = self._message_opcode is None
            if first == _TEXT and is_alone:
                try:
                    frames.append(data[start:stop].decode())
                except UnicodeDecodeError as error:
                    self._refuse_text(error)
            elif first == _BINARY and is_alone:
                frames.append(data[start:stop])
            elif first in _PACKED and is_alone and self._extensions:
                self._unpack(_PACKED[first], data[start:stop], frames)
            else:
                self._pass_on(data[at:stop], frames)
            if self.is_over:
                break
            at = stop
        return at

    def _unpack(self, opcode: Opcode, payload: bytes, frames: list[Frame]) -> None:
        frame = WireFrame(opcode, payload, True, True)
        try:
            for extension in self._extensions:
                frame = extension.decode(frame, max_size=self._max_bytes)
            frame.check()
        except PayloadTooBig as error:
            self._fail(CloseCode.MESSAGE_TOO_BIG, str(error))
        except ProtocolError as error:
            self._fail(CloseCode.PROTOCOL_ERROR, str(error))
        else:
            self._append(opcode, frame.data, frames)

    def _pass_on(self, data: bytes, frames: list[Frame]) -> None:
        """Let the protocol judge `data`: one whole frame, or what begins with a head that it refuses."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, WireFrame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._join(event, frames)
        self.is_over = self.is_over or self._protocol.close_rcvd is not None or self._protocol.parser_exc is not None

    def _join(self, frame: WireFrame, frames: list[Frame]) -> None:
        """Take a fragment, or a message that is one; the protocol has checked their order and their size."""
        opcode = frame.opcode if self._message_opcode is None else self._message_opcode
        if frame.fin and self._message_opcode is None:
            self._append(opcode, frame.data, frames)
            return
        self._message_opcode = opcode
        self._message += frame.data
        if frame.fin:
            message = bytes(self._message)
            self._message.clear()
            self._message_opcode = None
            self._append(opcode, message, frames)

    def _append(self, opcode: Opcode, payload: bytes | bytearray | memoryview, frames: list[Frame]) -> None:
        if opcode is Opcode.BINARY:
            frames.append(bytes(payload))
            return
        try:
            frames.append(str(payload, "utf-8"))
        except UnicodeDecodeError as error:
            self._refuse_text(error)

    def _refuse_text(self, error: UnicodeDecodeError) -> None:
        self._fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._protocol.fail(code, reason)
        self.is_over = True
