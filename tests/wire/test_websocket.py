"""The WebSocket link against venues on loopback: what it delivers, and what it says when there is no more."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Event
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from barbot.errors import ConfigError, LinkLost, VenueError
from barbot.wire.link import Link
from barbot.wire.websocket import WebSocketLink, connect_websocket

pytestmark = pytest.mark.anyio

Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[int]]
Received: TypeAlias = list[str | bytes]


class Venue:
    """The other end: a server's protocol of `websockets` on an anyio stream, without any manners of its own."""

    def __init__(self, stream: ByteStream, *, packs: bool = False, subprotocol: str = "") -> None:
        self.stream = stream
        self.protocol = ServerProtocol(
            extensions=[ServerPerMessageDeflateFactory()] if packs else None,
            subprotocols=[Subprotocol(subprotocol)] if subprotocol else None,
            max_size=2**25,
        )
        self._events: list[Event] = []

    async def event(self) -> Event:
        while not self._events:
            self.protocol.receive_data(await self.stream.receive())
            self._events = self.protocol.events_received()
        return self._events.pop(0)

    async def accept(self, behind: bytes = b"") -> Request:
        request = await self.event()
        assert isinstance(request, Request)
        self.protocol.send_response(self.protocol.accept(request))
        await self.flush(behind)
        return request

    async def flush(self, behind: bytes = b"") -> None:
        await self.stream.send(b"".join(self.protocol.data_to_send()) + behind)

    async def say(self, *texts: str) -> None:
        for text in texts:
            self.protocol.send_text(text.encode())
        await self.flush()

    async def hear(self) -> tuple[Opcode, bytes]:
        frame = await self.event()
        assert isinstance(frame, Frame)
        return frame.opcode, bytes(frame.data)


def venue(
    script: Callable[[Venue], Awaitable[None]], *, packs: bool = False
) -> Callable[[ByteStream], Awaitable[None]]:
    async def handle(stream: ByteStream) -> None:
        peer = Venue(stream, packs=packs)
        await peer.accept()
        await script(peer)

    return handle


def wire(opcode: Opcode, data: bytes, fin: bool = True, mask: bool = False) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


async def take(link: Link, count: int) -> Received:
    frames: Received = []
    while len(frames) < count:
        frames += await link.receive()
    return frames


async def ending(link: Link) -> tuple[Received, LinkLost]:
    """Return what came before the end, and the end."""
    frames: Received = []
    while True:
        try:
            frames += await link.receive()
        except LinkLost as lost:
            return frames, lost


async def test_text_and_binary_go_both_ways(serve: Serve) -> None:
    requests: list[Request] = []

    async def handle(stream: ByteStream) -> None:
        peer = Venue(stream, subprotocol="market")
        requests.append(await peer.accept())
        heard = [await peer.hear(), await peer.hear()]
        peer.protocol.send_binary(repr(heard).encode())
        await peer.say("grüezi")
        await peer.hear()

    async with serve(handle) as port:
        url = f"ws://127.0.0.1:{port}/endpoint?token=a%2Bb"
        link = await connect_websocket(url, headers=[("X-Key", "k"), ("User-Agent", "bot")], subprotocols=["market"])
        before = link.bytes_in, link.bytes_out
        await link.send(["hü", b"\x00\xff"])
        frames = await take(link, 2)
        after = link.bytes_in - before[0], link.bytes_out - before[1]
        await link.close(1)
    heard = [(Opcode.TEXT, "hü".encode()), (Opcode.BINARY, b"\x00\xff")]
    assert frames == [repr(heard).encode(), "grüezi"]
    assert after == (len(repr(heard)) + 2 + 9, 9 + 8)
    assert (link.peer, link.subprotocol) == (f"127.0.0.1:{port}", "market")
    (request,) = requests
    headers = request.headers
    assert (request.path, headers["X-Key"], headers["User-Agent"]) == ("/endpoint?token=a%2Bb", "k", "bot")


async def test_frames_that_come_behind_the_handshake_are_one_read(serve: Serve) -> None:
    async def handle(stream: ByteStream) -> None:
        peer = Venue(stream)
        await peer.accept(behind=b"".join(wire(Opcode.TEXT, str(number).encode()) for number in range(300)))
        await peer.hear()

    async with serve(handle) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        frames = await link.receive()
        await link.close(1)
    assert frames == [str(number) for number in range(300)]


@pytest.mark.parametrize("packs", [False, True])
async def test_messages_large_and_small_arrive_whole_and_in_order(serve: Serve, packs: bool) -> None:
    texts = ["a", "b" * 125, "c" * 126, "d" * 70_000, "", "e" * 3_000_000, "f"]

    async def talk(peer: Venue) -> None:
        await peer.say(*texts)
        heard = [(await peer.hear())[1].decode() for _ in texts]
        await peer.say(str(heard == texts))
        await peer.hear()

    async with serve(venue(talk, packs=packs)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        frames = await take(link, len(texts))
        await link.send(texts)
        verdict = await link.receive()
        await link.close(1)
    assert (frames == texts, verdict) == (True, ["True"])


async def test_fragments_are_joined_and_pings_between_them_answered(serve: Serve) -> None:
    heard: list[tuple[Opcode, bytes]] = []

    async def talk(peer: Venue) -> None:
        first, rest = wire(Opcode.TEXT, b"gr\xc3", fin=False), wire(Opcode.CONT, b"\xbcezi")
        await peer.flush(first + wire(Opcode.PING, b"there?"))
        heard.append(await peer.hear())
        await peer.flush(rest)
        await peer.hear()

    async with serve(venue(talk)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        frames = await link.receive()
        await link.close(1)
    assert (frames, heard) == (["grüezi"], [(Opcode.PONG, b"there?")])


async def test_what_came_before_the_venue_closed_is_delivered_first(serve: Serve) -> None:
    heard: list[tuple[Opcode, bytes]] = []

    async def talk(peer: Venue) -> None:
        peer.protocol.send_text(b"last")
        peer.protocol.send_close(1001, "Bye\n")
        await peer.flush()
        heard.append(await peer.hear())

    async with serve(venue(talk)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        frames, lost = await ending(link)
        with pytest.raises(LinkLost, match="Bye"):
            await link.send(["too late"])
        await link.close(1)
        with pytest.raises(LinkLost, match="Bye"):
            await link.receive()
    assert (frames, lost.code, lost.reason) == (["last"], 1001, "Bye\n")
    assert str(lost) == f"127.0.0.1:{port}: closed the connection: 1001 (going away) Bye"
    assert heard == [(Opcode.CLOSE, Close(1001, "Bye\n").serialize())]


async def test_closing_takes_leave_and_may_be_repeated(serve: Serve) -> None:
    heard: list[tuple[Opcode, bytes]] = []

    async def talk(peer: Venue) -> None:
        heard.append(await peer.hear())
        await peer.flush()

    async with serve(venue(talk)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        await link.close(5)
        await link.close(5)
        with pytest.raises(LinkLost, match="closed from here"):
            await link.receive()
        with pytest.raises(LinkLost, match="closed from here"):
            await link.send(["x"])
    assert heard == [(Opcode.CLOSE, Close(1000, "").serialize())]


async def test_closing_while_another_task_receives_ends_both(serve: Serve) -> None:
    ends: list[str] = []

    async def talk(peer: Venue) -> None:
        await peer.hear()
        await peer.flush()

    async def receive(link: Link) -> None:
        ends.append(str((await ending(link))[1]))

    async with serve(venue(talk)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive, link)
            await anyio.wait_all_tasks_blocked()
            await link.close(5)
    assert ends == [f"127.0.0.1:{port}: the connection has been closed from here"]


async def test_a_venue_that_does_not_take_leave_is_left_in_time(serve: Serve) -> None:
    async with serve(venue(lambda peer: anyio.sleep_forever())) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        start = anyio.current_time()
        await link.close(0.05)
        assert 0.04 < anyio.current_time() - start < 2


async def test_closing_works_in_a_cancelled_task(serve: Serve) -> None:
    heard: list[tuple[Opcode, bytes]] = []
    done = anyio.Event()

    async def talk(peer: Venue) -> None:
        heard.append(await peer.hear())
        done.set()

    async with serve(venue(talk)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await link.close(5)
        await done.wait()
    assert heard == [(Opcode.CLOSE, Close(1000, "").serialize())]


FAULTS = {
    "garbage": (b"HTTP/1.1 200 OK\r\n" * 10, 1002),
    "masked": (wire(Opcode.TEXT, b"x", mask=True), 1002),
    "reserved bits": (b"\xf1\x01x", 1002),
    "unknown opcode": (b"\x83\x7e", 1002),
    "continues nothing": (wire(Opcode.CONT, b"x"), 1002),
    "no UTF-8": (wire(Opcode.TEXT, b"\xff"), 1007),
    "no UTF-8 in fragments": (wire(Opcode.TEXT, b"\xc3", fin=False) + wire(Opcode.CONT, b"x"), 1007),
    "10 MB": (b"\x81\x7f" + (10_000_000).to_bytes(8) + bytes(100_000), 1009),
    "10 MB in fragments": (wire(Opcode.TEXT, b"x" * 3_000_000, fin=False) + wire(Opcode.CONT, b"x" * 3_000_000), 1009),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_a_websocket_may_not_send_ends_the_link_and_the_venue_is_told(serve: Serve, fault: str) -> None:
    data, code = FAULTS[fault]
    heard: list[tuple[Opcode, bytes]] = []

    async def talk(peer: Venue) -> None:
        await peer.flush(wire(Opcode.TEXT, b"good") + data)
        heard.append(await peer.hear())

    async with serve(venue(talk)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        frames, lost = await ending(link)
        await link.close(5)
    assert (frames, lost.code) == (["good"], code)
    assert str(lost).startswith(f"127.0.0.1:{port}: sent what it may not: {code} (")
    assert heard == [(Opcode.CLOSE, Close(code, lost.reason).serialize())]


async def test_a_message_of_10_mb_passes_where_that_is_allowed(serve: Serve) -> None:
    text = "x" * 10_000_000

    async def talk(peer: Venue) -> None:
        await peer.say(text)
        await peer.hear()

    async with serve(venue(talk)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}", max_frame_bytes=10_000_000)
        frames = await link.receive()
        await link.close(5)
    assert frames == [text]


async def test_a_stream_cut_in_a_frame_is_told_from_a_close(serve: Serve) -> None:
    async def talk(peer: Venue) -> None:
        await peer.flush(wire(Opcode.TEXT, b"whole") + wire(Opcode.TEXT, b"cut off")[:-1])

    async with serve(venue(talk)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        frames, lost = await ending(link)
        await link.close(5)
    assert (frames, lost.code, str(lost)) == (["whole"], 1006, f"127.0.0.1:{port}: hung up without a closing frame")


async def test_a_reset_is_a_lost_link(serve: Serve) -> None:
    async def talk(peer: Venue) -> None:
        raw = peer.stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    async with serve(venue(talk)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        frames, lost = await ending(link)
        await link.close(5)
    said = {"the connection broke", "hung up without a closing frame"}  # old anyio: an end
    assert (frames, str(lost).partition(": ")[2].partition(" (")[0] in said) == ([], True)


async def test_a_venue_that_is_gone_without_a_word_is_found_out_by_pings(serve: Serve) -> None:
    async with serve(venue(lambda peer: anyio.sleep_forever())) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}", ping_interval_s=0.02)
        frames, lost = await ending(link)
        await link.close(0)
    said = f"127.0.0.1:{port}: sent nothing for 0.02 s, not even a pong"
    assert (frames, lost.code, str(lost)) == ([], 1006, said)


async def test_a_venue_that_answers_pings_is_alive(serve: Serve) -> None:
    heard: list[tuple[Opcode, bytes]] = []

    async def talk(peer: Venue) -> None:
        for _ in range(3):
            heard.append(await peer.hear())
            await peer.flush()
        await peer.say("still here")
        await anyio.sleep_forever()

    async with serve(venue(talk)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}", ping_interval_s=0.1)
        frames = await link.receive()
        await link.close(0)
    assert (frames, heard) == (["still here"], [(Opcode.PING, b"")] * 3)


async def test_a_cancelled_receive_loses_nothing(serve: Serve) -> None:
    texts = [str(number) for number in range(400)]

    async def talk(peer: Venue) -> None:
        for text in texts:
            await peer.say(text)
            await peer.flush(wire(Opcode.PING, b""))
        await anyio.sleep_forever()

    frames: Received = []
    async with serve(venue(talk)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        patience_s = 0.0
        while len(frames) < len(texts):
            with anyio.move_on_after(patience_s):
                frames += await link.receive()
            patience_s = (patience_s + 0.000_05) % 0.000_5
        await link.close(0)
    assert frames == texts


async def test_several_tasks_may_send(serve: Serve) -> None:
    heard: list[tuple[Opcode, bytes]] = []

    async def talk(peer: Venue) -> None:
        heard.extend([await peer.hear() for _ in range(9)])
        await peer.say("got them")
        await peer.hear()

    async def send(link: WebSocketLink, name: str) -> None:
        for number in range(3):
            await link.send([f"{name}{number}" + "x" * 200_000])

    async with serve(venue(talk, packs=True)) as port:
        link = await connect_websocket(f"ws://127.0.0.1:{port}")
        async with anyio.create_task_group() as tasks:
            for name in "abc":
                tasks.start_soon(send, link, name)
            await link.receive()
        await link.close(5)
    names = [data[:2].decode() for _, data in heard]
    assert {name: [n for n in names if n[0] == name] for name in "abc"} == {
        n: [f"{n}{i}" for i in range(3)] for n in "abc"
    }
    assert {len(data) for _, data in heard} == {200_002}


def answering(answer: bytes) -> Callable[[ByteStream], Awaitable[None]]:
    async def handle(stream: ByteStream) -> None:
        await stream.receive()
        await stream.send(answer)

    return handle


REFUSALS = [
    (
        "401 Unauthorized",
        [],
        b'{"code":"401","msg":"token is expired"}',
        ': {"code":"401","msg":"token is expired"}',
        False,
    ),
    ("403 Forbidden", [], b"<html>\n<b>Just a\x00moment</b></html>", ": Just a moment", False),
    ("429 Too Many Requests", [], b"", "", True),
    ("503 Service Unavailable", [], b"secret-token is over its limit", ": *** is over its limit", True),
    (
        "302 Found",
        ["Location: https://other.example/ws?token=secret-token"],
        b"",
        ": it redirects to https://other.example/ws; dial that address if it is right",
        False,
    ),
]


@pytest.mark.parametrize(("status", "headers", "body", "said", "retryable"), REFUSALS)
async def test_a_refused_upgrade_is_the_venues_no(
    serve: Serve, status: str, headers: Sequence[str], body: bytes, said: str, retryable: bool
) -> None:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    async with serve(answering("\r\n".join(lines).encode() + body)) as port:
        with pytest.raises(VenueError) as caught:
            await connect_websocket(f"ws://127.0.0.1:{port}/?token=secret-token&kind=spot")
    code, _, phrase = status.partition(" ")
    expected = f"{code}: 127.0.0.1:{port} refused the WebSocket handshake ({phrase}){said}"
    assert (str(caught.value), caught.value.code, caught.value.retryable) == (expected, code, retryable)


async def test_a_refusal_whose_body_does_not_end_is_told_all_the_same(serve: Serve) -> None:
    async def handle(stream: ByteStream) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nbroken")

    async with serve(handle) as port:
        with pytest.raises(VenueError) as caught:
            await connect_websocket(f"ws://127.0.0.1:{port}")
    assert str(caught.value) == f"500: 127.0.0.1:{port} refused the WebSocket handshake (Oops): broken"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak HTTP. Check that this is a WebSocket port, and ws or wss right"),
        (b"", "hung up in the WebSocket handshake. Check that this is a WebSocket port"),
        (b"HTTP/1.1 101 Swit", "hung up in the WebSocket handshake. Check that this is a WebSocket port"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "its handshake is no WebSocket's (missing Connection header). Check address and path",
        ),
    ],
)
async def test_what_is_no_websocket_is_a_lost_link(serve: Serve, answer: bytes, said: str) -> None:
    async with serve(answering(answer)) as port:
        with pytest.raises(LinkLost) as caught:
            await connect_websocket(f"ws://127.0.0.1:{port}")
    assert str(caught.value) == f"127.0.0.1:{port}: {said}"


async def test_a_venue_that_says_nothing_is_given_up_in_time(serve: Serve) -> None:
    async with serve(lambda stream: anyio.sleep_forever()) as port:
        with pytest.raises(LinkLost) as caught:
            await connect_websocket(f"ws://127.0.0.1:{port}", open_timeout_s=0.05)
    said = "the WebSocket handshake took longer than 0.05 s. Check the network, or allow more time"
    assert str(caught.value) == f"127.0.0.1:{port}: {said}"


@pytest.mark.parametrize("url", ["https://venue.example/?token=secret", "wss:///x?token=secret", "venue", "wss://[::1"])
async def test_what_is_no_address_is_refused_before_anything_is_dialled(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await connect_websocket(url)
    assert str(caught.value) == f"{url.partition('?')[0]!r} is no WebSocket address. Write wss://host/path"


async def test_over_tls_whole_buffers_arrive(
    serve: Serve, client_tls: ssl.SSLContext, server_tls: ssl.SSLContext
) -> None:
    texts = [f"{number:05}" * 40 for number in range(1_000)]

    async def talk(peer: Venue) -> None:
        await peer.say(*texts)
        await peer.hear()

    async with serve(venue(talk), server_tls) as port:
        link = await connect_websocket(f"wss://127.0.0.1:{port}", ssl_context=client_tls, compression=False)
        frames = await take(link, len(texts))
        await link.close(1)
    assert frames == texts


@pytest.mark.parametrize("backend", ["asyncio"])
async def test_an_independent_server_understands_us(backend: str, anyio_backend_name: str) -> None:
    if anyio_backend_name != backend:
        pytest.skip("this server runs on asyncio")
    codes: list[object] = []

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.ping()
            await connection.send(message)
        codes.append(connection.protocol.close_code)

    frames: list[str | bytes] = ["grüezi", b"\x00\xff" * 100, "x" * 500_000]
    with anyio.fail_after(8):
        async with serve_websockets(echo, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            link = await connect_websocket(f"ws://127.0.0.1:{port}")
            await link.send(frames)
            echoed = await take(link, len(frames))
            await link.close(5)
    assert (echoed, codes) == (frames, [CloseCode.NORMAL_CLOSURE])
