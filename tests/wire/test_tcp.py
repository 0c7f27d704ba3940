"""Connections and what is said when there is none; the TCP link."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream, SocketAttribute

from barbot.errors import ConfigError, LinkLost
from barbot.wire.link import Link
from barbot.wire.tcp import Channel, TcpLink, connect_tcp, default_tls, explain, one_line

pytestmark = pytest.mark.anyio

Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[int]]


async def echo(stream: ByteStream) -> None:
    async for chunk in stream:
        await stream.send(chunk)


async def take(link: Link, size: int) -> bytes:
    data = b""
    while len(data) < size:
        (chunk,) = await link.receive()
        assert isinstance(chunk, bytes)
        data += chunk
    return data


async def test_bytes_go_both_ways_and_are_counted(serve: Serve) -> None:
    async with serve(echo) as port:
        link: Link = await connect_tcp("127.0.0.1", port)
        await link.send([b"\x00\xff", "ü"])
        data = await take(link, 4)
        await link.close(5)
    assert data == b"\x00\xff\xc3\xbc"
    assert (link.peer, link.subprotocol, link.bytes_in, link.bytes_out) == (f"127.0.0.1:{port}", None, 4, 4)


async def test_over_tls_too(serve: Serve, client_tls: ssl.SSLContext, server_tls: ssl.SSLContext) -> None:
    sent = bytes(range(256)) * 2_000

    async def handle(stream: ByteStream) -> None:
        received = b""
        while len(received) < len(sent):
            received += await stream.receive()
        await stream.send(received)

    async with serve(handle, server_tls) as port:
        link = await connect_tcp("127.0.0.1", port, ssl_context=client_tls)
        await link.send([sent])
        data = await take(link, len(sent))
        with pytest.raises(LinkLost, match="closed the connection"):
            await link.receive()
        await link.close(5)
    assert data == sent


async def test_what_was_sent_before_closing_arrives(serve: Serve) -> None:
    received = bytearray()
    done = anyio.Event()

    async def handle(stream: ByteStream) -> None:
        async for chunk in stream:
            received.extend(chunk)
        done.set()

    sent = bytes(5_000_000)
    async with serve(handle) as port:
        link = await connect_tcp("127.0.0.1", port)
        await link.send([sent])
        await link.close(5)
        await link.close(5)
        await done.wait()
        with pytest.raises(LinkLost):
            await link.receive()
        with pytest.raises(LinkLost):
            await link.send([b"x"])
    assert received == sent


async def test_the_end_of_the_stream_is_a_lost_link(serve: Serve) -> None:
    async with serve(lambda stream: stream.send(b"last")) as port:
        link = await connect_tcp("127.0.0.1", port)
        data = await take(link, 4)
        with pytest.raises(LinkLost) as caught:
            await link.receive()
        await link.close(5)
    assert (data, str(caught.value)) == (b"last", f"127.0.0.1:{port}: closed the connection")


async def test_a_peer_that_does_not_close_is_left_in_time(serve: Serve) -> None:
    async with serve(lambda stream: anyio.sleep_forever()) as port:
        link = await connect_tcp("127.0.0.1", port)
        await link.close(0.05)


async def test_a_peer_that_takes_no_data_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        channel = Channel(await anyio.connect_tcp("127.0.0.1", deaf.getsockname()[1]), "venue")
        with pytest.raises(LinkLost) as first:
            await channel.write(bytes(20_000_000), timeout_s=0.05)
        with pytest.raises(LinkLost) as second:
            await channel.write(b"more")
        await channel.abort()
    said = "venue: took no data for 0.05 s", "venue: the connection broke in an earlier write"
    assert (str(first.value), str(second.value)) == said


async def test_a_write_is_whole_or_not_begun_when_its_task_is_cancelled(serve: Serve) -> None:
    received = bytearray()
    size = 20_000_000

    async def handle(stream: ByteStream) -> None:
        while len(received) < 2 * size + 3:
            received.extend(await stream.receive())
        await stream.send(b"!")

    async def send(link: TcpLink, data: bytes, scope: anyio.CancelScope) -> None:
        with scope:
            await link.send([data])

    async with serve(handle) as port:
        link = await connect_tcp("127.0.0.1", port)
        scopes = [anyio.CancelScope(), anyio.CancelScope()]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, link, b"a" * size, scopes[0])
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(send, link, b"b" * size, scopes[1])
            await anyio.lowlevel.checkpoint()
            for scope in scopes:
                scope.cancel()
        await link.send([b"end"])
        assert await link.receive() == [b"!"]
        await link.close(5)
    assert received == b"a" * size + b"b" * size + b"end"


async def test_a_refused_connection_says_what_to_check() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(LinkLost) as caught:
        await connect_tcp("127.0.0.1", port)
    said = "connection refused. Check the address, and that something listens there"
    assert str(caught.value) == f"127.0.0.1:{port}: {said}"


async def test_an_unknown_host_says_what_to_check() -> None:
    name = "a" * 64 + ".example"  # a label too long for any name server to be asked
    with pytest.raises(LinkLost) as caught:
        await connect_tcp(name, 443)
    said = re.sub(r"\(.*\)", "(...)", str(caught.value))
    assert said == f"{name}:443: the name cannot be resolved (...). Check its spelling and this machine's DNS"


async def test_what_is_no_host_name_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        await connect_tcp("\N{SNOWMAN}.example", 443)
    assert str(caught.value) == "'\N{SNOWMAN}.example' cannot be a host name. Check its spelling"


async def test_a_certificate_for_another_host_is_not_trusted(
    serve: Serve, client_tls: ssl.SSLContext, other_server_tls: ssl.SSLContext
) -> None:
    async with serve(echo, other_server_tls) as port:
        with pytest.raises(LinkLost) as caught:
            await connect_tcp("127.0.0.1", port, ssl_context=client_tls)
    assert str(caught.value) == (
        f"127.0.0.1:{port}: its TLS certificate cannot be trusted (IP address mismatch, certificate is not valid for "
        "'127.0.0.1'). Check the host's name; if the certificate is right, add its authority to the system's or "
        "SSL_CERT_FILE"
    )


async def test_an_unknown_authority_is_not_trusted(serve: Serve, server_tls: ssl.SSLContext) -> None:
    async with serve(echo, server_tls) as port:
        with pytest.raises(LinkLost, match=r"certificate cannot be trusted \(unable to get local issuer certificate\)"):
            await connect_tcp("127.0.0.1", port, ssl_context=default_tls())


async def test_a_port_without_tls_says_what_to_check(serve: Serve, client_tls: ssl.SSLContext) -> None:
    async with serve(lambda stream: stream.send(b"SSH-2.0\r\n")) as port:
        with pytest.raises(LinkLost) as caught:
            await connect_tcp("127.0.0.1", port, ssl_context=client_tls)
    said = "the TLS handshake failed (wrong version number). Check that this port speaks TLS"
    assert str(caught.value) == f"127.0.0.1:{port}: {said}"


async def test_a_tls_handshake_that_stands_still_says_so(serve: Serve, client_tls: ssl.SSLContext) -> None:
    async with serve(lambda stream: anyio.sleep_forever()) as port:
        with pytest.raises(LinkLost) as caught:
            await connect_tcp("127.0.0.1", port, ssl_context=client_tls, open_timeout_s=0.05)
    said = "the TLS handshake took longer than 0.05 s. Check the network, or allow more time"
    assert str(caught.value) == f"127.0.0.1:{port}: {said}"


async def test_a_venue_that_hangs_up_in_the_tls_handshake(serve: Serve, client_tls: ssl.SSLContext) -> None:
    async def handle(stream: ByteStream) -> None:
        await stream.receive()

    async with serve(handle) as port:
        with pytest.raises(LinkLost) as caught:
            await connect_tcp("127.0.0.1", port, ssl_context=client_tls)
    said = "hung up in the TLS handshake. Check that this port speaks TLS"
    assert str(caught.value) == f"127.0.0.1:{port}: {said}"


async def test_a_reset_is_a_lost_link(serve: Serve) -> None:
    async def handle(stream: ByteStream) -> None:
        raw = stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    async with serve(handle) as port:
        link = await connect_tcp("127.0.0.1", port)
        with pytest.raises(LinkLost) as caught:
            await link.receive()
        await link.close(5)
    said = {f"the connection broke ({os.strerror(errno.ECONNRESET)})", "closed the connection"}  # old anyio: an end
    assert str(caught.value).partition(": ")[2] in said


def test_of_several_addresses_the_first_failure_is_told() -> None:
    refused, away = ConnectionRefusedError(111, "refused"), OSError(errno.ENETUNREACH, "Network is unreachable")
    error = OSError("All connection attempts failed")
    error.__cause__ = ExceptionGroup("several", [away, refused])
    said = "venue:443: cannot connect (Network is unreachable). Check the network and its firewall"
    assert explain("venue:443", error) == said


def test_what_others_write_becomes_one_line() -> None:
    assert [one_line("a\r\n\x1b[31m b\x00"), one_line("x" * 300)] == ["a [31m b", "x" * 197 + "..."]
