"""The WebSocket link: a `websockets` protocol on an anyio stream, reading whole socket buffers. Floor 2.

There is no task of its own: pings are answered, and sent if wanted, by whoever receives.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import anyio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import CLOSE_CODE_EXPLANATIONS, Close
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from barbot.errors import ConfigError, LinkLost, VenueError
from barbot.wire.frames import FrameReader
from barbot.wire.link import Frame
from barbot.wire.proxy import STATUS_LINE, join_host
from barbot.wire.tcp import Channel, default_tls, one_line, open_channel, opening

MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
"""How long a message may be unless said otherwise."""

_MAX_HEAD: Final = 65_536
_BODY_TIMEOUT_S: Final = 1.0  # what a refusal has to say comes at once, or is not worth waiting for
_CLOSED_HERE: Final = "the connection has been closed from here"
_RETRYABLE: Final = ("408", "425", "429")  # and 5xx
_ABNORMAL: Final = 1006
_MIN_SECRET: Final = 6  # shorter values are words like `spot`
_TAG: Final = re.compile(r"<[^>]*>")
_LOCATION: Final = re.compile(rb"\r\nlocation:[ \t]*([^\r\n]+)", re.IGNORECASE)

_SILENT: Final = logging.Logger("barbot.wire.websocket", logging.CRITICAL)  # attached to nothing
"""`websockets` would write the request with its token, and every frame, into a debug log."""


class WebSocketLink:
    """A `Link` over a WebSocket. Made by `connect_websocket`."""

    def __init__(
        self,
        channel: Channel,
        protocol: ClientProtocol,
        max_frame_bytes: int,
        *,
        unread: bytes = b"",
        ping_interval_s: float | None = None,
    ) -> None:
        """Take over a channel whose handshake is over; `unread` came behind it."""
        self._channel = channel
        self._protocol = protocol
        self._reader = FrameReader(protocol, max_frame_bytes)
        self._unread = unread
        self._ready: list[Frame] = []
        self._lost: LinkLost | None = None
        self._ping_interval_s = ping_interval_s
        self._ping_at = anyio.current_time() + (ping_interval_s or 0.0)
        self._bytes_at_ping = -1

    @property
    def peer(self) -> str:
        """Host and port of the other end."""
        return self._channel.peer

    @property
    def subprotocol(self) -> str | None:
        """What was agreed on in the handshake."""
        return self._protocol.subprotocol

    @property
    def bytes_in(self) -> int:
        """Bytes read so far."""
        return self._channel.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes written so far."""
        return self._channel.bytes_out

    async def receive(self) -> list[Frame]:
        """Return the messages that one read completed: text as `str`, binary as `bytes`.

        Raises:
            LinkLost: the peer closed (its code and reason), sent what a WebSocket may not (the code and reason
                that it was told), or is gone.
        """
        while not self._ready:
            if self._reader.is_over or self._lost is not None:
                raise self._end()
            data, self._unread = self._unread or await self._read(), b""
            if not data:
                self._lost = LinkLost(f"{self.peer}: hung up without a closing frame", code=_ABNORMAL)
                raise self._lost
            self._ready = self._reader.receive_data(data)
            await self._answer()
        frames, self._ready = self._ready, []
        return frames

    async def _read(self) -> bytes:
        if self._ping_interval_s is None:
            return await self._channel.read()
        while True:
            if anyio.current_time() >= self._ping_at:
                await self._ping(self._ping_interval_s)
            with anyio.CancelScope(deadline=self._ping_at):
                return await self._channel.read()

    async def _ping(self, interval_s: float) -> None:
        if self._channel.bytes_in == self._bytes_at_ping:
            raise LinkLost(f"{self.peer}: sent nothing for {interval_s:g} s, not even a pong", code=_ABNORMAL)
        self._bytes_at_ping = self._channel.bytes_in
        self._ping_at = anyio.current_time() + interval_s
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            await self._answer()

    async def _answer(self) -> None:
        """Send what the protocol wants to: pongs, its part in closing. What has been read is delivered first."""
        data = b"".join(self._protocol.data_to_send())
        if not data:
            return
        try:
            await self._channel.write(data)
        except LinkLost as error:
            self._lost = error

    def _end(self) -> LinkLost:
        """Return how the connection ended: by them, by what they sent, by us, or on the way."""
        theirs, ours = self._protocol.close_rcvd, self._protocol.close_sent
        if self._protocol.close_rcvd_then_sent is False:
            return LinkLost(f"{self.peer}: {_CLOSED_HERE}")
        if theirs is not None and self._protocol.parser_exc is None:
            return LinkLost(
                f"{self.peer}: closed the connection: {_say(theirs)}", code=theirs.code, reason=theirs.reason
            )
        if ours is not None and self._reader.is_over:
            return LinkLost(f"{self.peer}: sent what it may not: {_say(ours)}", code=ours.code, reason=ours.reason)
        return self._lost or LinkLost(f"{self.peer}: {_CLOSED_HERE}")

    async def send(self, frames: Sequence[Frame]) -> None:
        """Send each of `frames` as a message, text or binary as its type says, in one write.

        Raises:
            LinkLost: the connection has ended, or the peer takes no data.
        """
        if self._protocol.state is not State.OPEN:
            raise self._end()
        for frame in frames:
            if isinstance(frame, str):
                self._protocol.send_text(frame.encode())
            else:
                self._protocol.send_binary(frame)
        await self._channel.write(b"".join(self._protocol.data_to_send()))

    async def close(self, timeout_s: float) -> None:
        """Take leave with code 1000 unless leave was taken, wait for theirs, and free the socket."""
        with anyio.move_on_after(timeout_s, shield=True):
            with suppress(LinkLost):  # then it ended by itself, which is all that was wanted
                await self._take_leave(timeout_s)
        self._lost = self._lost or LinkLost(f"{self.peer}: {_CLOSED_HERE}")
        await self._channel.abort()

    async def _take_leave(self, timeout_s: float) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
        await self._channel.write(b"".join(self._protocol.data_to_send()), timeout_s)
        while self._protocol.close_rcvd is None:
            data = await self._channel.read()
            if not data:
                return
            self._reader.receive_data(data)


def _say(close: Close) -> str:
    explained = CLOSE_CODE_EXPLANATIONS.get(close.code, "")
    return f"{close.code}{f' ({explained})' if explained else ''}{f' {one_line(close.reason)}' if close.reason else ''}"


async def connect_websocket(
    url: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    subprotocols: Sequence[str] = (),
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | None = None,
    max_frame_bytes: int = MAX_FRAME_BYTES,
    open_timeout_s: float = 10.0,
    ping_interval_s: float | None = None,
    compression: bool = True,
) -> WebSocketLink:
    """Return a link to `url`, its handshake done. Certificates are verified unless `ssl_context` says otherwise.

    `proxy`: that of `proxy_for`. `max_frame_bytes` bounds a message, decompressed. With `ping_interval_s`
    protocol pings are sent while somebody receives, and a peer silent from one to the next is given up.

    Raises:
        LinkLost: the venue cannot be reached, or what answers there is no WebSocket.
        VenueError: it answered the upgrade with another status, which is the error's code.
        ConfigError: `url` or `proxy` is none.
    """
    uri = _parse(url)
    factory = ClientPerMessageDeflateFactory(client_max_window_bits=True, compress_settings={"memLevel": 5})
    protocol = ClientProtocol(
        uri,
        extensions=[factory] if compression else None,
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        max_size=max_frame_bytes,
        logger=_SILENT,
    )
    tls = (ssl_context or default_tls()) if uri.secure else None
    with opening(join_host(uri.host, uri.port), open_timeout_s) as stage:
        channel = await open_channel(uri.host, uri.port, stage, tls=tls, proxy=proxy)
        stage.text = "the WebSocket handshake"
        try:
            rest = await _upgrade(channel, protocol, headers, url)
        except BaseException:
            await channel.abort()
            raise
    return WebSocketLink(channel, protocol, max_frame_bytes, unread=rest, ping_interval_s=ping_interval_s)


def _parse(url: str) -> WebSocketURI:
    try:
        return parse_uri(url)
    except (InvalidURI, ValueError):
        shown = url.partition("?")[0]
        raise ConfigError(f"{shown!r} is no WebSocket address", remedy="Write wss://host/path") from None


async def _upgrade(channel: Channel, protocol: ClientProtocol, headers: Sequence[tuple[str, str]], url: str) -> bytes:
    """Do the handshake; return what came after the answer's head."""
    request = protocol.connect()
    request.headers["User-Agent"] = "barbot"
    for name, value in headers:
        if name in request.headers:
            del request.headers[name]
        request.headers[name] = value
    protocol.send_request(request)
    await channel.write(b"".join(protocol.data_to_send()))
    head, rest = await _read_head(channel)
    protocol.receive_data(head)
    if protocol.state is State.OPEN:
        protocol.events_received()
        return rest
    raise await _refusal(channel, protocol, head, rest, _secrets(url, headers))


async def _read_head(channel: Channel) -> tuple[bytes, bytes]:
    """Return the head of the answer with its empty line, and what came with it."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0 and len(data) < _MAX_HEAD:
        more = await channel.read()
        if not more:
            raise LinkLost(f"{channel.peer}: hung up in the WebSocket handshake. Check that this is a WebSocket port")
        data += more
        if not data.startswith(b"HTTP/1."[: len(data)]):
            break
    if end < 0:
        raise LinkLost(f"{channel.peer}: does not speak HTTP. Check that this is a WebSocket port, and ws or wss right")
    return data[: end + 4], data[end + 4 :]


async def _refusal(
    channel: Channel, protocol: ClientProtocol, head: bytes, rest: bytes, secrets: Sequence[str]
) -> VenueError | LinkLost:
    """Return what to raise for an answer that opens no WebSocket."""
    status = STATUS_LINE.match(head)
    if status is None or status[1] == b"101":
        fault = one_line(str(protocol.handshake_exc or "no status line"))
        return LinkLost(f"{channel.peer}: its handshake is no WebSocket's ({fault}). Check address and path")
    code, phrase = status[1].decode(), status[2].decode("latin-1").strip()
    said = (await _read_body(channel, protocol, rest)).decode("utf-8", "replace")
    location = _LOCATION.search(head)
    if code[0] == "3" and location is not None:
        said = f"it redirects to {location[1].decode('latin-1').partition('?')[0]}; dial that address if it is right"
    for secret in secrets:
        said = said.replace(secret, "***")
    said = one_line(_TAG.sub(" ", said))
    text = f"{channel.peer} refused the WebSocket handshake ({phrase}){f': {said}' if said else ''}"
    return VenueError(text, code=code, retryable=code in _RETRYABLE or code[0] == "5")


async def _read_body(channel: Channel, protocol: ClientProtocol, rest: bytes) -> bytes:
    """Return the body of a refusal, or what of it has come in time."""
    arrived = rest
    with anyio.move_on_after(_BODY_TIMEOUT_S):
        try:
            protocol.receive_data(rest)
            while protocol.handshake_exc is None:
                data = await channel.read()
                if not data:
                    protocol.receive_eof()
                    break
                arrived += data
                protocol.receive_data(data)
        except LinkLost:
            pass  # the status is known, and is what counts
    for event in protocol.events_received():
        if isinstance(event, Response):
            return bytes(event.body)
    return arrived


def _secrets(url: str, headers: Sequence[tuple[str, str]]) -> list[str]:
    """Return what a refusal must not repeat into a message, as it was sent and decoded; the longest first."""
    parts = urlsplit(url)
    sent = [pair.partition("=")[2] for pair in parts.query.split("&")]
    decoded = [value for _, value in parse_qsl(parts.query)]
    values = {*sent, *decoded, parts.password or "", *(value for _, value in headers)}
    return sorted((value for value in values if len(value) >= _MIN_SECRET), key=len, reverse=True)
