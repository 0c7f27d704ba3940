"""A loopback port for a venue without sockets: HTTP and WebSocket, moved and nothing else. Floor 4.

Requests are parsed by h11; one that asks for an upgrade goes, byte for byte, into the Sans-I/O protocol of
`websockets`. What the venue answers, when it pushes and when it cuts is its own business: it is told the time and
asked when it wants to be asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final, Protocol

import anyio
import h11
from anyio.abc import SocketAttribute, SocketStream, TaskGroup
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from barbot.errors import LinkLost, VenueError
from barbot.sim.pace import ScaledClock
from barbot.timing.interval import SECOND

HOST: Final = "127.0.0.1"
_READ: Final = 65_536
_LARGEST: Final = 1 << 20
_STOP_CHECK_S: Final = 0.05
_CLOSE_S: Final = 2.0
"""How long a client may take to answer a close."""
_CUT: Final = 1006
_LATE: Final = SECOND
_CATCH_UP_S: Final = 0.002
"""When this process was held up, what a client sent meanwhile is read before it is called silent."""
_GONE: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


class Connection(Protocol):
    """One WebSocket connection of a venue."""

    @property
    def closing(self) -> tuple[int, str] | None: ...
    def receive(self, text: str | bytes, now: int) -> None: ...
    def to_send(self, now: int) -> list[str]: ...
    def next_deadline(self) -> int | None: ...


class Venue(Protocol):
    """What is served."""

    def is_down(self, now: int) -> bool: ...
    def delay(self, now: int) -> int: ...
    def rest(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: int
    ) -> tuple[int, list[tuple[str, str]], bytes]: ...
    def open(self, query: str, now: int) -> Connection: ...


async def serve(
    venue: Venue,
    clock: ScaledClock,
    *,
    port: int = 0,
    ready: Callable[[int], None],
    stopped: Callable[[], bool],
) -> None:
    """Serve on loopback until `stopped()`; `ready` is told the port, which for 0 the system chooses.

    Raises:
        OSError: the port is taken.
    """
    listener = await anyio.create_tcp_listener(local_host=HOST, local_port=port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, _Handler(venue, clock).handle, group)
        ready(listener.extra(SocketAttribute.local_port))
        while not stopped():  # noqa: ASYNC110 - a signal handler sets it, and so it works on Windows too
            await anyio.sleep(_STOP_CHECK_S)
        group.cancel_scope.cancel()


class _Handler:
    """Serves one TCP connection after the other, each on its own."""

    def __init__(self, venue: Venue, clock: ScaledClock) -> None:
        self._venue = venue
        self._clock = clock

    async def handle(self, stream: SocketStream) -> None:
        """Serve a connection until it ends."""
        async with stream:
            if self._venue.is_down(self._clock.now()):
                await anyio.aclose_forcefully(stream)
                return
            try:
                with suppress(*_GONE):  # the client hung up; there is nobody to tell
                    await self._speak(stream)
            except LinkLost:
                await anyio.aclose_forcefully(stream)

    async def _speak(self, stream: SocketStream) -> None:
        """Answer requests until the connection ends or becomes a WebSocket."""
        http = h11.Connection(h11.SERVER)
        raw, body = b"", b""
        request: h11.Request | None = None
        while True:
            try:
                event = http.next_event()
            except h11.RemoteProtocolError as error:
                await _send_response(stream, http, 400, [], str(error).encode())
                return
            if event is h11.NEED_DATA:
                data = await stream.receive(_READ)
                raw += data if request is None else b""
                http.receive_data(data)
            elif isinstance(event, h11.Request):
                if _asks_for_upgrade(event):
                    await _Socket(stream, self._venue, self._clock).run(raw)
                    return
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _LARGEST:
                    await _send_response(stream, http, 413, [], b"")
                    return
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                await self._answer(stream, http, request, body)
                if http.our_state is not h11.DONE:
                    return
                http.start_next_cycle()
                request, body, raw = None, b"", http.trailing_data[0]
            else:
                return

    async def _answer(self, stream: SocketStream, http: h11.Connection, request: h11.Request, body: bytes) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        now = self._clock.now()
        status, fields, answer = self._venue.rest(
            request.method.decode("ascii"), request.target.decode("latin-1"), headers, body, now
        )
        if delay := self._venue.delay(now):
            await anyio.sleep(self._clock.wall_s(delay))
        await _send_response(stream, http, status, fields, answer)


class _Socket:
    """One WebSocket connection: a reader, and a writer that wakes for either side."""

    def __init__(self, stream: SocketStream, venue: Venue, clock: ScaledClock) -> None:
        self._stream = stream
        self._venue = venue
        self._clock = clock
        self._protocol = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()], max_size=_LARGEST)
        self._lock = anyio.Lock()
        self._wake = anyio.Event()
        self._parts: list[bytes] = []

    async def run(self, raw: bytes) -> None:
        """Shake hands with the client whose request is `raw`, then serve it until either side closes."""
        self._protocol.receive_data(raw)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                connection = self._shake(event)
                await self._flush()
                if connection is not None:
                    async with anyio.create_task_group() as group:
                        group.start_soon(self._read, connection, group)
                        with suppress(*_GONE):  # the client hung up: here, not through the group, which would wrap it
                            await self._write(connection)
                        group.cancel_scope.cancel()
                return

    def _shake(self, request: Request) -> Connection | None:
        """Accept or refuse the client; return its connection if it is accepted."""
        protocol, connection = self._protocol, None
        try:
            connection = self._venue.open(request.path.partition("?")[2], self._clock.now())
            response = protocol.accept(request)
        except VenueError as error:
            response = protocol.reject(HTTPStatus.UNAUTHORIZED, f"{error}\n")
        protocol.send_response(response)
        return connection if protocol.state is State.OPEN else None

    async def _write(self, connection: Connection) -> None:
        """Send what the venue has to say, when it has to, until it closes."""
        clock, protocol = self._clock, self._protocol
        while True:
            self._wake = anyio.Event()
            texts = connection.to_send(clock.now())
            if protocol.state is not State.OPEN:
                await self._part()
                return
            for text in texts:
                protocol.send_text(text.encode())
            if texts:
                await self._flush()
            if connection.closing is not None:
                await self._close(*connection.closing)
                return
            deadline = connection.next_deadline()
            with anyio.move_on_after(None if deadline is None else clock.wall_s(deadline - clock.now())):
                await self._wake.wait()
            if deadline is not None and clock.now() - deadline > _LATE:
                await anyio.sleep(_CATCH_UP_S)

    async def _close(self, code: int, reason: str) -> None:
        """End the connection as the venue wants it."""
        if code != _CUT and self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            await self._flush()
            await self._part()
        await anyio.aclose_forcefully(self._stream)

    async def _part(self) -> None:
        """Leave the client some time to close as well: the reader cancels this when it has."""
        with anyio.move_on_after(_CLOSE_S):
            await anyio.sleep_forever()

    async def _read(self, connection: Connection, group: TaskGroup) -> None:
        """Hand the client's messages to the venue until the client is gone."""
        protocol = self._protocol
        self._take_frames(connection)
        with suppress(*_GONE):  # the client hung up; the writer is ended below
            while protocol.state in (State.OPEN, State.CLOSING):
                protocol.receive_data(await self._stream.receive(_READ))
                self._take_frames(connection)
                await self._flush()
        group.cancel_scope.cancel()

    def _take_frames(self, connection: Connection) -> None:
        for event in self._protocol.events_received():
            if not isinstance(event, Frame) or event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                continue
            self._parts.append(bytes(event.data))
            if event.fin:
                message = b"".join(self._parts)
                self._parts.clear()
                connection.receive(message, self._clock.now())
                self._wake.set()

    async def _flush(self) -> None:
        """Send what the protocol has ready, in one write; an empty part ends the sending side."""
        async with self._lock:
            parts = self._protocol.data_to_send()
            if data := b"".join(parts):
                await self._stream.send(data)
            if b"" in parts:
                await self._stream.send_eof()


def _asks_for_upgrade(request: h11.Request) -> bool:
    return any(name == b"upgrade" and value.lower() == b"websocket" for name, value in request.headers)


async def _send_response(
    stream: SocketStream, http: h11.Connection, status: int, fields: list[tuple[str, str]], body: bytes
) -> None:
    headers = [(name.encode(), value.encode()) for name, value in fields]
    headers.append((b"content-length", str(len(body)).encode()))
    out = http.send(h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase.encode()))
    out = (out or b"") + (http.send(h11.Data(data=body)) or b"")
    await stream.send(out + (http.send(h11.EndOfMessage()) or b""))
