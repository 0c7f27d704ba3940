"""What is fetched over HTTP comes back as a value; what cannot be fetched is told in one line."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import anyio
import msgspec
import pytest
from anyio.abc import ByteStream

from barbot.errors import BarbotError, ConfigError, DecodeError, LinkLost
from barbot.wire.http import HttpAnswer, HttpClient

pytestmark = pytest.mark.anyio

Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[int]]


class Get(msgspec.Struct, frozen=True):
    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


def answering(answer: bytes, heads: list[bytes] | None = None) -> Callable[[ByteStream], Awaitable[None]]:
    """Return a server that answers every request alike, one a connection."""

    async def handle(stream: ByteStream) -> None:
        head = await stream.receive()
        while b"\r\n\r\n" not in head or (head.startswith(b"POST") and head.endswith(b"\r\n\r\n")):
            head += await stream.receive()
        if heads is not None:
            heads.append(head)
        await stream.send(answer)

    return handle


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def failure(client: HttpClient, request: Get) -> BarbotError:
    async with client:
        with pytest.raises(BarbotError) as caught:
            await client.fetch(request)
    return caught.value


async def test_an_answer_has_status_body_and_the_headers_that_matter(serve: Serve) -> None:
    heads: list[bytes] = []
    headers = ["Content-Type: application/json", "GW-RateLimit-Remaining: 7", "Set-Cookie: session=secret"]
    said = answer("200 OK", b'{"code":"200000"}', *headers)
    async with serve(answering(said, heads)) as port, HttpClient() as client:
        url = f"http://127.0.0.1:{port}/api/v1/bullet-public?x=1#for the decoder"
        got = await client.fetch(Get(url, "POST", (("KC-API-KEY", "k"),), '{"a":1}'))
    kept = {"content-type": "application/json", "gw-ratelimit-remaining": "7"}
    assert got == HttpAnswer(200, kept, '{"code":"200000"}')
    head, _, body = heads[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert (lines[0], body) == ("POST /api/v1/bullet-public?x=1 HTTP/1.1", b'{"a":1}')
    assert {"KC-API-KEY: k", "User-Agent: barbot", "Content-Length: 7"} <= set(lines)


@pytest.mark.parametrize("status", ["403 Forbidden", "429 Too Many Requests", "503 Busy"])
async def test_any_status_is_a_value(serve: Serve, status: str) -> None:
    async with serve(answering(answer(status, b"slow down", "Retry-After: 3"))) as port, HttpClient() as client:
        got = await client.fetch(Get(f"http://127.0.0.1:{port}/"))
    assert got == HttpAnswer(int(status[:3]), {"retry-after": "3"}, "slow down")


async def test_a_redirect_is_a_value_and_not_followed(serve: Serve) -> None:
    location = "http://127.0.0.1:1/elsewhere"
    async with serve(answering(answer("302 Found", b"", f"Location: {location}"))) as port, HttpClient() as client:
        got = await client.fetch(Get(f"http://127.0.0.1:{port}/"))
    assert got == HttpAnswer(302, {"location": location}, "")


async def test_a_body_is_unpacked_and_text_if_it_can_be(serve: Serve) -> None:
    packed = answer("200 OK", gzip.compress("grüezi".encode()), "Content-Encoding: gzip")
    async with serve(answering(packed)) as port, HttpClient() as client:
        text = await client.fetch(Get(f"http://127.0.0.1:{port}/"))
    async with serve(answering(answer("200 OK", b"\xff\x00"))) as port, HttpClient() as client:
        binary = await client.fetch(Get(f"http://127.0.0.1:{port}/"))
    latin = answer("200 OK", b"gr\xfcezi", "Content-Type: text/plain; charset=latin-1")
    async with serve(answering(latin)) as port, HttpClient() as client:
        declared = await client.fetch(Get(f"http://127.0.0.1:{port}/"))
    assert [text.body, binary.body, declared.body] == ["grüezi", b"\xff\x00", "grüezi"]


async def test_over_tls(serve: Serve, client_tls: ssl.SSLContext, server_tls: ssl.SSLContext) -> None:
    async with serve(answering(answer("200 OK", b"yes")), server_tls) as port:
        client = HttpClient(ssl_context=client_tls)
        async with client:
            got = await client.fetch(Get(f"https://127.0.0.1:{port}/"))
    assert got == HttpAnswer(200, {}, "yes")


async def test_a_certificate_for_another_host_is_not_trusted(
    serve: Serve, client_tls: ssl.SSLContext, other_server_tls: ssl.SSLContext
) -> None:
    async with serve(answering(answer("200 OK")), other_server_tls) as port:
        error = await failure(HttpClient(ssl_context=client_tls), Get(f"https://127.0.0.1:{port}/?token=secret"))
    assert isinstance(error, LinkLost)
    assert str(error).startswith(f"127.0.0.1:{port}: its TLS certificate cannot be trusted (IP address mismatch, ")


async def test_an_unknown_authority_is_not_trusted(serve: Serve, server_tls: ssl.SSLContext) -> None:
    async with serve(answering(answer("200 OK")), server_tls) as port:
        error = await failure(HttpClient(), Get(f"https://127.0.0.1:{port}/"))
    assert "its TLS certificate cannot be trusted (unable to get local issuer certificate)" in str(error)


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"])
async def test_an_answer_that_is_none_or_half_is_a_lost_link(serve: Serve, said: bytes) -> None:
    async with serve(answering(said)) as port:
        error = await failure(HttpClient(), Get(f"http://127.0.0.1:{port}/path?token=secret"))
    text = re.sub(r"\(.+\)$", "(...)", str(error))
    assert (type(error), text) == (LinkLost, f"GET http://127.0.0.1:{port}/path: the connection broke (...)")


async def test_no_answer_in_time_is_a_lost_link_however_slowly_it_drips(serve: Serve) -> None:
    async def drip(stream: ByteStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await stream.send(b"x")
            await anyio.sleep(0.01)

    async with serve(drip) as port:
        error = await failure(HttpClient(timeout_s=0.1), Get(f"http://127.0.0.1:{port}/"))
    said = "no answer within 0.1 s. Check the network, or allow more time"
    assert (type(error), str(error)) == (LinkLost, f"GET http://127.0.0.1:{port}/: {said}")


# httpx and httpcore leave inner generators to the garbage collector when a body is not read to its end; trio minds
@pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")
@pytest.mark.parametrize("packs", [False, True])
async def test_an_answer_that_is_too_long_is_cut_off(serve: Serve, packs: bool) -> None:
    body = bytes(1_000_000)
    long = answer("200 OK", gzip.compress(body), "Content-Encoding: gzip") if packs else answer("200 OK", body)
    async with serve(answering(long)) as port:
        error = await failure(HttpClient(max_body_bytes=100_000), Get(f"http://127.0.0.1:{port}/"))
    said = f"GET http://127.0.0.1:{port}/: the answer is longer than 100000 bytes (at body)"
    assert (type(error), str(error)) == (DecodeError, said)


# httpx and httpcore leave inner generators to the garbage collector when a body is not read to its end; trio minds
@pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")
async def test_an_answer_that_cannot_be_unpacked_is_no_answer(serve: Serve) -> None:
    async with serve(answering(answer("200 OK", b"no gzip", "Content-Encoding: gzip"))) as port:
        error = await failure(HttpClient(), Get(f"http://127.0.0.1:{port}/"))
    said = f"GET http://127.0.0.1:{port}/: the answer cannot be decompressed (at body)"
    assert (type(error), str(error)) == (DecodeError, said)


async def test_a_refused_connection_says_what_to_check(serve: Serve) -> None:
    async with serve(answering(b"")) as port:
        pass
    refused = await failure(HttpClient(), Get(f"http://127.0.0.1:{port}/"))
    said = "connection refused. Check the address, and that something listens there"
    assert (type(refused), str(refused)) == (LinkLost, f"127.0.0.1:{port}: {said}")


async def test_an_unknown_host_says_what_to_check(
    anyio_backend: tuple[str, dict[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if anyio_backend[1].get("use_uvloop"):
        pytest.skip("uvloop resolves names by itself")

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error = await failure(HttpClient(), Get("https://venue.example/"))
    said = "the name cannot be resolved (Name or service not known). Check its spelling and this machine's DNS"
    assert (type(error), str(error)) == (LinkLost, f"venue.example:443: {said}")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://venue.example/?token=secret", "'ftp://venue.example/'"),
        ("venue.example/x", "'venue.example/x'"),
        ("https://[venue/", "'https://[venue/'"),
        ("https://secret@venue:port/", "'venue:port/'"),
        ("https://\N{SNOWMAN}.example/x?token=secret", "GET https://\N{SNOWMAN}.example/x"),
    ],
)
async def test_what_is_no_address_is_refused(url: str, shown: str) -> None:
    error = await failure(HttpClient(), Get(url))
    assert (type(error), str(error)) == (ConfigError, f"{shown} is no HTTP address. Write https://host/path")


@pytest.mark.parametrize("value", ["secret\n", "secr\N{LATIN SMALL LETTER E WITH ACUTE}t"])
async def test_a_header_that_cannot_be_sent_is_refused_without_repeating_it(serve: Serve, value: str) -> None:
    async with serve(answering(answer("200 OK"))) as port:
        url = f"http://127.0.0.1:{port}/"
        error = await failure(HttpClient(), Get(url, headers=(("KC-API-KEY", value),)))
    said = "a header has letters that HTTP does not allow. Check the credentials for stray letters"
    assert (type(error), str(error)) == (ConfigError, f"GET {url}: {said}")


async def test_a_proxy_carries_requests_and_is_named_when_it_refuses(serve: Serve) -> None:
    heads: list[bytes] = []
    async with serve(answering(answer("200 OK", b"yes"), heads)) as port:
        client = HttpClient(proxy=f"u:pass@127.0.0.1:{port}")
        async with client:
            got = await client.fetch(Get("http://venue.example/x"))
    assert (got, heads[0].split(b"\r\n")[0]) == (HttpAnswer(200, {}, "yes"), b"GET http://venue.example/x HTTP/1.1")
    assert b"Proxy-Authorization: Basic dTpwYXNz" in heads[0]
    async with serve(answering(answer("407 Proxy Authentication Required"))) as port:
        refused = await failure(HttpClient(proxy=f"http://127.0.0.1:{port}"), Get("https://venue.example/x?y=secret"))
    said = "407 Proxy Authentication Required. Check the proxy's user, password and rules"
    expected = f"proxy 127.0.0.1:{port} refuses GET https://venue.example/x: {said}"
    assert (type(refused), str(refused)) == (LinkLost, expected)
    away = await failure(HttpClient(proxy=f"http://127.0.0.1:{port}"), Get("https://venue.example/"))
    assert str(away).startswith(f"proxy 127.0.0.1:{port}: connection refused.")
