"""What a user is told when the network or somebody on the way fails: one line, over real sockets."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from threading import Event
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest
from anyio.abc import ByteStream, SocketAttribute

from barbot.errors import BarbotError, ConfigError, LinkLost
from barbot.providers.base import Dial, Fetch, Purpose
from barbot.providers.kucoin.connection import KuCoinConnection
from barbot.providers.kucoin.venue import SPOT
from barbot.run.live import LiveRun
from barbot.run.network import Internet

if TYPE_CHECKING:
    from tests.run.live.conftest import Stage

SPEED = 100.0
"""Patience of ten seconds is over in a tenth of one."""
CDN = "<html><head><title>Access denied | api.kucoin.com used Cloudflare</title></head><body>\n1015</body></html>"


class Answering:
    """A port that gives every request the same bytes, and notes their first lines."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.port = 0

    async def handle(self, stream: ByteStream) -> None:
        async with stream:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += await stream.receive()
                self.asked.append(head.partition(b"\r\n")[0].decode())
                await stream.send(self.answer)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass  # the client went first


def http(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", body]
    return "\r\n".join(lines).encode()


def start(stage: Stage, endpoint: str, answering: Answering | None = None, **environment: str) -> BarbotError:
    """Run against `endpoint` with a server beside it; return how it ended."""
    plan = stage.rehearse(stage.simulator(), minutes=1).plan

    async def main() -> BarbotError:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with listener, anyio.create_task_group() as tasks:
            port = listener.extra(SocketAttribute.local_port)
            if answering is not None:
                tasks.start_soon(listener.serve, answering.handle)
            own = {name: value.format(port=port) for name, value in environment.items()}
            venue = {"kucoin": endpoint.format(port=port)}
            live = LiveRun(
                msgspec.structs.replace(plan, endpoints=venue, speed=SPEED), environment=own, tell=lambda _: None
            )
            try:
                await live.serve(Event())
            except BarbotError as error:
                return error
            finally:
                tasks.cancel_scope.cancel()
        raise AssertionError("it ran")

    return anyio.run(main)


THROTTLED = '{"code":"429000","msg":"Too many requests in a short period of time, please retry later."}'
REGION = '{"code":"400302","msg":"Our services are currently unavailable in the U.S."}'


@pytest.mark.parametrize(
    ("answer", "line", "is_repeated"),
    [
        (http("429 Too Many Requests", THROTTLED), "429000: Too many requests in a short period", True),
        (http("403 Forbidden", REGION), "400302: Our services are currently unavailable in the U.S.", False),
        (http("403 Forbidden", CDN), "HTTP 403, not an answer of its API: Access denied | api.kucoin.com used", True),
        (http("451 Unavailable", "no\nservice\nhere"), "HTTP 451, not an answer of its API: no service here", False),
        (http("502 Bad Gateway", ""), "HTTP 502, not an answer of its API: an empty body", True),
        (http("200 OK", '{"code":"200000","data":17'), "HTTP 200, not an answer of its API", False),
        (http("200 OK", '{"code":"200000","data":"now"}'), "an answer that is not as documented", False),
        (http("302 Found", "", "Location: https://elsewhere.example/"), "HTTP 302, not an answer of its API", False),
        (b"SSH-2.0-OpenSSH_9\r\n", "GET http://127.0.0.1", True),
        (b"", "GET http://127.0.0.1", True),
    ],
    ids=["429", "403", "cdn", "451", "502", "truncated", "wrong-type", "redirect", "no-http", "hangs-up"],
)
def test_what_a_venue_answers_instead_is_told_in_one_line(
    stage: Stage, answer: bytes, line: str, is_repeated: bool
) -> None:
    answering = Answering(answer)
    error = start(stage, "http://127.0.0.1:{port}", answering)
    assert str(error).startswith(line), str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 250
    assert (len(answering.asked) > 1) == is_repeated
    assert [path.name for path in stage.folder.iterdir()] == [], "nothing was started"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_port_where_nobody_listens_is_told_in_one_line(stage: Stage) -> None:
    port = free_port()
    error = start(stage, f"http://127.0.0.1:{port}")
    assert str(error) == (f"127.0.0.1:{port}: connection refused. Check the address, and that something listens there")


def test_a_name_that_does_not_exist_is_told_in_one_line(stage: Stage) -> None:
    error = start(stage, "http://no..such..host.invalid")
    assert "no..such..host.invalid" in str(error)
    assert "\n" not in str(error)


def test_a_proxy_that_refuses_is_told_in_one_line(stage: Stage) -> None:
    refusing = Answering(http("403 Forbidden", "no"))
    error = start(stage, "https://venue.example", refusing, HTTPS_PROXY="http://user:secret@127.0.0.1:{port}")
    assert "proxy 127.0.0.1:" in str(error)
    assert "refuses GET https://venue.example/api/v1/timestamp: 403 Forbidden" in str(error)
    assert "secret" not in str(error)
    assert refusing.asked[0] == "CONNECT venue.example:443 HTTP/1.1"


def test_something_that_is_no_proxy_is_a_matter_of_configuration(stage: Stage) -> None:
    error = start(stage, "https://venue.example", HTTPS_PROXY="socks5://127.0.0.1:1080")
    assert isinstance(error, ConfigError)
    assert str(error) == "proxy: a socks5 proxy is not supported. Name an HTTP proxy"


def test_each_address_goes_its_own_way() -> None:
    plain, secure = Answering(http("200 OK", "plain")), Answering(http("403 Forbidden", "secure"))

    async def main() -> list[str]:
        said = []
        async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
            ports = []
            for answering in (plain, secure):
                listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
                await stack.enter_async_context(listener)
                tasks.start_soon(listener.serve, answering.handle)
                ports.append(listener.extra(SocketAttribute.local_port))
            ways = {"HTTP_PROXY": f"http://127.0.0.1:{ports[0]}", "https_proxy": f"http://127.0.0.1:{ports[1]}"}
            async with Internet({**ways, "NO_PROXY": "direct.example"}) as network:
                answer = await network.fetch(Fetch(url="http://venue.example/a", purpose=Purpose.STARTUP))
                said.append(str(answer.body))
                for way in (
                    lambda: network.fetch(Fetch(url="https://venue.example/b", purpose=Purpose.STARTUP)),
                    lambda: network.dial(Dial("wss://venue.example/c", KuCoinConnection(SPOT, "c"))),
                ):
                    try:
                        await way()
                    except LinkLost as error:
                        said.append(str(error))
            tasks.cancel_scope.cancel()
        return said

    said = anyio.run(main)
    assert said[0] == "plain"
    assert ["403 Forbidden" in text for text in said] == [False, True, True]
    assert plain.asked == ["GET http://venue.example/a HTTP/1.1"]
    assert secure.asked == ["CONNECT venue.example:443 HTTP/1.1"] * 2


def test_an_address_that_is_none_is_a_matter_of_configuration() -> None:
    async def main(url: str) -> None:
        async with Internet({}) as network:
            await network.dial(Dial(url, KuCoinConnection(SPOT, "c")))

    for url, line in (
        ("tcp://venue.example", "'tcp://venue.example' is no address. Write tcp://HOST:PORT"),
        (
            "ftp://venue.example:1/x?token=secret",
            "'ftp://venue.example:1/x' is no WebSocket address. Write wss://host/path",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            anyio.run(main, url)
        assert str(caught.value) == line
