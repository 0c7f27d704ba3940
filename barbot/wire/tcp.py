"""TCP and TLS connections with every failure in one line, and the link over a bare stream. Floor 2.

`open_channel` dials (through a proxy if told to), `Channel` reads whole socket buffers and writes whole
frames; the WebSocket link stands on it too. This is where errors of sockets, DNS and TLS enter the package,
and where they become `LinkLost`.
"""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import anyio
import certifi
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream

from barbot.errors import ConfigError, LinkLost
from barbot.wire.link import Frame
from barbot.wire.proxy import join_host, parse_proxy, tunnel

READ_BYTES: Final = 262_144
"""What one read takes at most: as much as asyncio itself asks the socket for."""

WRITE_TIMEOUT_S: Final = 10.0
"""How long a peer may refuse to take what we send."""

_BROKEN: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)  # ssl.SSLError is an OSError


@functools.cache
def default_tls() -> ssl.SSLContext:
    """Return the TLS settings of all connections: certificates and host names are verified.

    The authorities are those of the system and of certifi: some systems come with none that Python finds.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class Channel:
    """A byte stream to `peer`: whole buffers in, whole writes out, `LinkLost` for whatever goes wrong."""

    def __init__(self, stream: ByteStream, peer: str) -> None:
        """Take over `stream`."""
        self.peer = peer
        self.bytes_in = 0
        self.bytes_out = 0
        self._stream = stream
        self._ssl: ssl.SSLObject | None = stream.extra(TLSAttribute.ssl_object, None)
        self._pending: list[bytes] = []
        self._is_cut = False
        self._is_closed = False
        self._is_reading = False  # not a lock: that would cost every read 2 us
        self._read_over: anyio.Event | None = None
        self._writing = anyio.Lock(fast_acquire=True)

    async def read(self) -> bytes:
        """Wait for bytes and return all that have arrived, up to `READ_BYTES`; empty at the end of the stream.

        Raises:
            LinkLost: the connection broke.
        """
        while self._is_reading:  # somebody closes while another task receives: he reads on when that is done
            self._read_over = self._read_over or anyio.Event()
            await self._read_over.wait()
        self._is_reading = True
        try:
            data = await self._stream.receive(READ_BYTES)
        except anyio.EndOfStream:
            return b""
        except _BROKEN as error:
            raise LinkLost(f"{self.peer}: the connection broke ({_short(error)})") from error
        finally:
            self._is_reading = False
            if self._read_over is not None:
                self._read_over.set()
                self._read_over = None
        if self._ssl is not None:
            data = _drain(self._ssl, data)
        self.bytes_in += len(data)
        return data

    async def write(self, data: bytes = b"", timeout_s: float = WRITE_TIMEOUT_S) -> None:
        """Write `data` after all that was to be written before.

        A write is not cut short by cancellation: half a frame would garble all that follow. One that waits
        for its turn is; its data then goes out with the next.

        Raises:
            LinkLost: the connection broke, or the peer took nothing for `timeout_s`.
        """
        self._pending.append(data)
        async with self._writing:
            data = b"".join(self._pending)
            self._pending.clear()
            if not data:
                return
            if self._is_cut:
                raise LinkLost(f"{self.peer}: the connection broke in an earlier write")
            self._is_cut = True
            with anyio.move_on_after(timeout_s, shield=True):
                await self._send(data)
                self._is_cut = False
            if self._is_cut:
                raise LinkLost(f"{self.peer}: took no data for {timeout_s:g} s")
            self.bytes_out += len(data)

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except _BROKEN as error:
            raise LinkLost(f"{self.peer}: the connection broke ({_short(error)})") from error

    async def finish(self, timeout_s: float) -> None:
        """Say that nothing more will be sent, drop what still comes, and free the socket."""
        if not self._is_closed:
            with anyio.move_on_after(timeout_s, shield=True), suppress(LinkLost, *_BROKEN):  # then it has ended
                await self._half_close()
                while await self.read():
                    pass
        await self.abort()

    async def _half_close(self) -> None:
        if isinstance(self._stream, SocketStream):  # anyio cannot for TLS; there the socket is just closed
            with suppress(RuntimeError):  # uvloop, when the peer has reset the connection
                await self._stream.send_eof()

    async def abort(self) -> None:
        """Free the socket at once."""
        self._is_closed = True
        await anyio.aclose_forcefully(self._stream)


def _drain(tls: ssl.SSLObject, data: bytes) -> bytes:
    """Return `data` and what else of its socket buffer can be decrypted: a TLS read gives one record, 16 KiB."""
    chunks, size = [data], len(data)
    while size < READ_BYTES:
        try:
            chunk = tls.read(READ_BYTES)
        except ssl.SSLError:
            break  # no whole record is left, or a bad one is: then the next read says so
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


class Stage:
    """What a dial is busy with, for the message when it takes too long."""

    def __init__(self, text: str) -> None:
        """Start with `text`."""
        self.text = text


@contextmanager
def opening(peer: str, timeout_s: float) -> Iterator[Stage]:
    """Give up after `timeout_s`, saying in what stage.

    Raises:
        LinkLost: it took too long.
    """
    stage = Stage("connecting")
    try:
        with anyio.fail_after(timeout_s):
            yield stage
    except TimeoutError:
        text = f"{peer}: {stage.text} took longer than {timeout_s:g} s. Check the network, or allow more time"
        raise LinkLost(text) from None


async def open_channel(
    host: str, port: int, stage: Stage, *, tls: ssl.SSLContext | None = None, proxy: str | None = None
) -> Channel:
    """Connect to `host`, with TLS if `tls` says how, through `proxy` if there is one.

    Raises:
        LinkLost: name, connection, proxy or certificate failed; the message says which, and what to do.
        ConfigError: `host` or `proxy` cannot be one.
    """
    peer = join_host(host, port)
    if proxy is None:
        stream: ByteStream = await _connect(host, port, peer)
    else:
        stage.text = "connecting to the proxy"
        stream = await _connect_through(proxy, host, port)
    if tls is None:
        return Channel(stream, peer)
    stage.text = "the TLS handshake"
    return Channel(await _secure(stream, host, tls, peer), peer)


async def _connect_through(text: str, host: str, port: int) -> ByteStream:
    proxy = parse_proxy(text)
    stream: ByteStream = await _connect(proxy.host, proxy.port, f"proxy {proxy.peer}")
    if proxy.secure:
        stream = await _secure(stream, proxy.host, default_tls(), f"proxy {proxy.peer}")
    try:
        await tunnel(stream, proxy, host, port)
    except BaseException as error:
        await anyio.aclose_forcefully(stream)
        if isinstance(error, _BROKEN):
            raise LinkLost(f"proxy {proxy.peer}: the connection broke ({_short(error)})") from error
        raise
    return stream


async def _connect(host: str, port: int, peer: str) -> SocketStream:
    try:
        return await anyio.connect_tcp(host, port)
    except OSError as error:
        raise LinkLost(explain(peer, error)) from error
    except UnicodeError:
        raise ConfigError(f"{host!r} cannot be a host name", remedy="Check its spelling") from None


async def _secure(stream: ByteStream, host: str, tls: ssl.SSLContext, peer: str) -> TLSStream:
    try:
        # not standard_compatible: venues close TCP without TLS's own goodbye; the protocol above notices a cut
        return await TLSStream.wrap(stream, hostname=host, ssl_context=tls, standard_compatible=False)
    except BaseException as error:
        await anyio.aclose_forcefully(stream)
        if isinstance(error, anyio.EndOfStream):
            raise LinkLost(f"{peer}: hung up in the TLS handshake. Check that this port speaks TLS") from error
        if isinstance(error, _BROKEN):
            raise LinkLost(explain(peer, error)) from error
        raise


def one_line(text: str, limit: int = 200) -> str:
    """Return what somebody else wrote, fit for a message: one line of printable letters, `limit` of them at most."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * limit])
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def explain(peer: str, error: BaseException) -> str:
    """Say in one line why `peer` cannot be reached, and what to do, from the innermost cause known."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            fault = cause.verify_message.rstrip(".")
            remedy = (
                "Check the host's name; if the certificate is right, add its authority to the system's or SSL_CERT_FILE"
            )
            return f"{peer}: its TLS certificate cannot be trusted ({fault}). {remedy}"
        if isinstance(cause, ssl.SSLError):
            return f"{peer}: the TLS handshake failed ({_short(cause)}). Check that this port speaks TLS"
        if isinstance(cause, socket.gaierror):
            return f"{peer}: the name cannot be resolved ({_short(cause)}). Check its spelling and this machine's DNS"
        if isinstance(cause, ConnectionRefusedError):
            return f"{peer}: connection refused. Check the address, and that something listens there"
    return f"{peer}: cannot connect ({_short(causes[-1])}). Check the network and its firewall"


def _causes(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    while following is not None:
        if isinstance(following, BaseExceptionGroup):  # one for each address of the host
            following = following.exceptions[0]
        yield following
        following = following.__cause__ or following.__context__


def _short(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    cause = error.__cause__
    return _short(cause) if isinstance(cause, OSError) else str(error) or type(error).__name__


class TcpLink:
    """A `Link` over a bare stream: `receive` gives the bytes as they come, for a framer above."""

    def __init__(self, channel: Channel) -> None:
        """Take over an open channel."""
        self._channel = channel

    @property
    def peer(self) -> str:
        """Host and port of the other end."""
        return self._channel.peer

    @property
    def subprotocol(self) -> str | None:
        """None: there is nothing to agree on."""
        return None

    @property
    def bytes_in(self) -> int:
        """Bytes read so far."""
        return self._channel.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes written so far."""
        return self._channel.bytes_out

    async def receive(self) -> list[Frame]:
        """Return the bytes of one read, as one chunk.

        Raises:
            LinkLost: the connection ended.
        """
        data = await self._channel.read()
        if not data:
            raise LinkLost(f"{self.peer}: closed the connection")
        return [data]

    async def send(self, frames: Sequence[Frame]) -> None:
        """Send `frames` one after the other in one write; text goes as UTF-8.

        Raises:
            LinkLost: the connection has ended, or the peer takes no data.
        """
        await self._channel.write(b"".join([f.encode() if isinstance(f, str) else f for f in frames]))

    async def close(self, timeout_s: float) -> None:
        """Stop sending, wait at most `timeout_s` for the peer to do so too, and free the socket."""
        await self._channel.finish(timeout_s)


async def connect_tcp(
    host: str, port: int, *, ssl_context: ssl.SSLContext | None = None, open_timeout_s: float = 10.0
) -> TcpLink:
    """Return a link to `host`; with `ssl_context` (say `default_tls()`) over TLS.

    Raises:
        LinkLost: it cannot be reached; one line says why and what to do.
        ConfigError: `host` cannot be a host name.
    """
    with opening(join_host(host, port), open_timeout_s) as stage:
        return TcpLink(await open_channel(host, port, stage, tls=ssl_context))
