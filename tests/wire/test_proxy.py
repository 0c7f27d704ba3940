"""Which proxy is meant, and the way through it."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import anyio
import pytest
from anyio.abc import ByteStream
from websockets.http11 import Request
from websockets.server import ServerProtocol

from barbot.errors import ConfigError, LinkLost
from barbot.wire.proxy import parse_proxy, proxy_for
from barbot.wire.websocket import connect_websocket

Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[int]]

ALL = {"HTTPS_PROXY": "http://s:1", "HTTP_PROXY": "http://p:2", "ALL_PROXY": "http://a:3"}


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("wss://venue.example/ws", {}, None),
        ("wss://venue.example/ws", ALL, "http://s:1"),
        ("https://venue.example", ALL, "http://s:1"),
        ("ws://venue.example", ALL, "http://p:2"),
        ("http://venue.example", ALL, "http://p:2"),
        ("wss://venue.example", {"ALL_PROXY": "a:3"}, "a:3"),
        ("wss://venue.example", {"HTTP_PROXY": "http://p:2"}, None),
        ("wss://venue.example", {"HTTPS_PROXY": "http://S:1", "https_proxy": "http://s:1"}, "http://s:1"),
        ("wss://venue.example", {"HTTPS_PROXY": " ", "ALL_PROXY": ""}, None),
    ],
)
def test_the_scheme_says_which_proxy_is_meant(url: str, environment: Mapping[str, str], proxy: str | None) -> None:
    assert proxy_for(url, environment) == proxy


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_direct"),
    [
        ("wss://venue.example", "*", True),
        ("wss://venue.example", "venue.example", True),
        ("wss://Venue.Example./", "other, VENUE.example", True),
        ("wss://ws.venue.example", "venue.example", True),
        ("wss://ws.venue.example", ".venue.example", True),
        ("wss://ws.venue.example", "*.venue.example", True),
        ("wss://myvenue.example", "venue.example", False),
        ("wss://venue.example", "venue.example:443", True),
        ("wss://venue.example", "venue.example:8443", False),
        ("wss://venue.example:8443", "venue.example:8443", True),
        ("wss://10.1.2.3", "10.0.0.0/8", True),
        ("wss://11.1.2.3", "10.0.0.0/8", False),
        ("wss://10.1.2.3", "10.1.2.3", True),
        ("wss://[fd00::1]:1", "[fd00::1]", True),
        ("wss://[fd00::1]", "fd00::/8", True),
        ("wss://venue.example", ",, ", False),
        ("ws://127.0.0.1:8080", "", True),
        ("ws://[::1]:8080", "", True),
        ("ws://localhost:8080", "", True),
        ("ws://0.0.0.1", "", False),
        ("ws://[venue", "", True),
    ],
)
def test_no_proxy_and_this_machine_are_reached_directly(url: str, no_proxy: str, is_direct: bool) -> None:
    assert proxy_for(url, {**ALL, "NO_PROXY": no_proxy}) == (None if is_direct else proxy_for(url, ALL))
    assert (proxy_for(url, {**ALL, "no_proxy": no_proxy}) is None) == is_direct


def test_a_proxy_is_read_and_prints_without_its_password() -> None:
    proxies = [parse_proxy(text) for text in ("http://u:p%40ss@h:1", "h:2", "https://[::1]", "http://u@h")]
    assert [(proxy.host, proxy.port, proxy.secure, proxy.authorization) for proxy in proxies] == [
        ("h", 1, False, "Basic " + base64.b64encode(b"u:p@ss").decode()),
        ("h", 2, False, ""),
        ("::1", 443, True, ""),
        ("h", 80, False, "Basic " + base64.b64encode(b"u:").decode()),
    ]
    assert repr(proxies) == "[Proxy(h:1), Proxy(h:2), Proxy([::1]:443), Proxy(h:80)]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("socks5://u:secret@h:1", "a socks5 proxy is not supported. Name an HTTP proxy"),
        ("http://", "is not the URL of a proxy. Write it as http://user:password@host:port"),
        ("http://u:secret@h:port", "is not the URL of a proxy. Write it as http://user:password@host:port"),
        ("http://u:secret@[h", "is not the URL of a proxy. Write it as http://user:password@host:port"),
    ],
)
def test_what_is_no_proxy_is_refused_without_repeating_it(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_proxy(text, where="HTTPS_PROXY")
    assert str(caught.value) == f"HTTPS_PROXY: {said}"


async def copy(source: ByteStream, target: ByteStream) -> None:
    async for chunk in source:
        await target.send(chunk)


def forwarding(heads: list[str], port: int) -> Callable[[ByteStream], Awaitable[None]]:
    """Return a proxy that notes what it is asked for and leads everybody to `port`."""

    async def handle(stream: ByteStream) -> None:
        heads.append((await stream.receive()).decode())
        async with await anyio.connect_tcp("127.0.0.1", port) as venue, anyio.create_task_group() as tasks:
            await stream.send(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
            tasks.start_soon(copy, venue, stream)
            await copy(stream, venue)
            tasks.cancel_scope.cancel()

    return handle


async def greet(stream: ByteStream) -> None:
    """Be a venue: accept and greet."""
    protocol = ServerProtocol()
    while not (events := protocol.events_received()):
        protocol.receive_data(await stream.receive())
    assert isinstance(events[0], Request)
    protocol.send_response(protocol.accept(events[0]))
    protocol.send_text(b"hello")
    await stream.send(b"".join(protocol.data_to_send()))
    while protocol.close_rcvd is None:
        protocol.receive_data(await stream.receive())
    await stream.send(b"".join(protocol.data_to_send()))


@pytest.mark.anyio
async def test_a_websocket_goes_through_a_proxy(serve: Serve) -> None:
    heads: list[str] = []
    async with serve(greet) as venue, serve(forwarding(heads, venue)) as port:
        link = await connect_websocket("ws://venue.example/ws", proxy=f"http://u:pass@127.0.0.1:{port}")
        frames = await link.receive()
        await link.close(5)
    assert (frames, link.peer) == (["hello"], "venue.example:80")
    target, authorization = "venue.example:80", base64.b64encode(b"u:pass").decode()
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"Proxy-Authorization: Basic {authorization}", "", ""]
    assert heads == ["\r\n".join(lines)]


@pytest.mark.anyio
async def test_tls_through_a_proxy_is_that_of_the_venue(
    serve: Serve, client_tls: ssl.SSLContext, server_tls: ssl.SSLContext
) -> None:
    heads: list[str] = []
    async with serve(greet, server_tls) as venue, serve(forwarding(heads, venue)) as port:
        link = await connect_websocket("wss://127.0.0.1:443", proxy=f"127.0.0.1:{port}", ssl_context=client_tls)
        frames = await link.receive()
        await link.close(5)
        with pytest.raises(LinkLost, match=r"venue\.example:443: its TLS certificate cannot be trusted"):
            await connect_websocket("wss://venue.example", proxy=f"127.0.0.1:{port}", ssl_context=client_tls)
    assert (frames, link.peer) == (["hello"], "127.0.0.1:443")
    assert [head.partition("\r\n")[0] for head in heads] == [
        "CONNECT 127.0.0.1:443 HTTP/1.1",
        "CONNECT venue.example:443 HTTP/1.1",
    ]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "refuses a connection to venue.example:443: 407 Proxy Authentication Required. "
            "Check the proxy's user and password",
        ),
        (
            b"HTTP/1.0 403 Forbidden\r\n\r\nno venues here",
            "refuses a connection to venue.example:443: 403 Forbidden. Ask who runs it, or list the host in NO_PROXY",
        ),
        (b"", "hung up on a connection to venue.example:443. Check the proxy's address and rules"),
        (b"220 mail.example\r\n\r\n", "does not speak HTTP. Check the proxy's address and port"),
        (b"x" * 100_000, "does not speak HTTP. Check the proxy's address and port"),
        (
            b"HTTP/1.1 200 OK\r\n\r\nhello",
            "sent 5 bytes before venue.example:443 was spoken to. Check the proxy",
        ),
    ],
)
async def test_a_proxy_that_refuses_is_named_with_its_reason(serve: Serve, answer: bytes, said: str) -> None:
    async def handle(stream: ByteStream) -> None:
        await stream.receive()
        await stream.send(answer)

    async with serve(handle) as port:
        with pytest.raises(LinkLost) as caught:
            await connect_websocket("wss://venue.example/?token=secret", proxy=f"http://u:pass@127.0.0.1:{port}")
    assert str(caught.value) == f"proxy 127.0.0.1:{port} {said}"


@pytest.mark.anyio
async def test_a_proxy_that_is_not_there_is_named(serve: Serve) -> None:
    async with serve(greet) as port:
        pass
    with pytest.raises(LinkLost) as caught:
        await connect_websocket("wss://venue.example", proxy=f"http://127.0.0.1:{port}")
    said = "connection refused. Check the address, and that something listens there"
    assert str(caught.value) == f"proxy 127.0.0.1:{port}: {said}"
