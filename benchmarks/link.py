"""Claim: our link takes frames from a WebSocket faster than the stock client of `websockets` does.

    python benchmarks/link.py [--quick] [--json] [--frames 200000] [--rounds 3]

A server in a process of its own sends prebuilt frames (KuCoin candles, 240 bytes) in large writes, so that the
client is the bottleneck. In each round, one after the other: a bare socket that only counts bytes; a bare loop
that hands what it reads to the protocol of `websockets`; its stock client; our link. The table shows the median
round: thousands of frames a second by the clock, and microseconds of the client's CPU a frame, which a busy
machine does not change much.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import socket
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Final, NamedTuple

import anyio
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this tree, installed or not

from barbot.errors import LinkLost
from barbot.wire.websocket import connect_websocket
from benchmarks._table import machine, machine_line, parser, print_json, say, show

BLOCK: Final = 2_000
READ_BYTES: Final = 262_144


class Taken(NamedTuple):
    """What one client came to: frames a second by the clock, and its processor time a frame."""

    rate: float
    cpu_us: float

    def cells(self) -> tuple[str, str]:
        return f"{self.rate / 1e3:,.0f}", f"{self.cpu_us:.2f}"


def candles() -> list[bytes]:
    """Return a block of different candle messages, as KuCoin spells them."""
    walk, price, frames = random.Random(1), 77_320.2, []
    for number in range(BLOCK):
        price = round(price + walk.uniform(-9, 9), 1)
        row = [1_787_422_980.0, price - 3, price, price + 4, price - 5, walk.uniform(0, 9), walk.uniform(0, 90_000)]
        text = ",".join(f'"{value:.8f}"' for value in row)
        frames.append(
            '{"topic":"/market/candles:BTC-USDT_1min","type":"message","subject":"trade.candles.update","data":'
            f'{{"symbol":"BTC-USDT","candles":[{text}],"time":{1_787_423_033_254_043_338 + number}}}}}'.encode()
        )
    return frames


def serve(frames: int) -> None:
    """Serve connection after connection: the handshake, `frames` frames, goodbye."""
    texts = candles()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            peer, _ = listener.accept()
            with peer:
                try:
                    flood(peer, texts, frames)
                except OSError:
                    continue


def flood(peer: socket.socket, texts: list[bytes], frames: int) -> None:
    protocol = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()])
    while not (events := protocol.events_received()):
        protocol.receive_data(peer.recv(65_536))
    assert isinstance(events[0], Request)
    protocol.send_response(protocol.accept(events[0]))
    peer.sendall(b"".join(protocol.data_to_send()))
    # the block only refers back to itself, so that it can be unpacked again and again
    block = b"".join(Frame(Opcode.TEXT, text).serialize(mask=False, extensions=protocol.extensions) for text in texts)
    for _ in range(-(-frames // BLOCK)):
        peer.sendall(block)
    protocol.send_close(1000)
    peer.sendall(b"".join(protocol.data_to_send()))
    while protocol.close_rcvd is None and (data := peer.recv(65_536)):
        protocol.receive_data(data)


def bare_socket(port: int, packs: bool) -> tuple[int, float]:
    """Count bytes and nothing else; frames are worked out from the others' counts (0 here)."""
    with socket.create_connection(("127.0.0.1", port)) as stream:
        stream.sendall(_request(port, packs)[1])
        stream.recv(65_536)
        start, size = perf_counter(), 0
        while data := stream.recv(READ_BYTES):
            size += len(data)
            if data.endswith(b"\x88\x02\x03\xe8"):
                break
        return 0, perf_counter() - start


def bare_protocol(port: int, packs: bool) -> tuple[int, float]:
    """Read blocking, and hand everything to the protocol of `websockets`."""
    protocol, request = _request(port, packs)
    with socket.create_connection(("127.0.0.1", port)) as stream:
        stream.sendall(request)
        while protocol.state is State.CONNECTING:
            protocol.receive_data(stream.recv(READ_BYTES))
        start, count = perf_counter(), 0
        while protocol.close_rcvd is None:
            protocol.receive_data(stream.recv(READ_BYTES))
            texts = [str(f.data, "utf-8") for f in protocol.events_received() if isinstance(f, Frame) and f.opcode == 1]
            count += len(texts)
        return count, perf_counter() - start


def _request(port: int, packs: bool) -> tuple[ClientProtocol, bytes]:
    factory = ClientPerMessageDeflateFactory(client_max_window_bits=True)
    protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}"), extensions=[factory] if packs else None)
    protocol.send_request(protocol.connect())
    return protocol, b"".join(protocol.data_to_send())


async def stock(port: int, packs: bool) -> tuple[int, float]:
    """Receive with the stock client: its default, a message at a time."""
    compression = "deflate" if packs else None
    async with connect(f"ws://127.0.0.1:{port}", compression=compression, proxy=None) as connection:
        start, count = perf_counter(), 0
        try:
            while True:
                await connection.recv()
                count += 1
        except ConnectionClosed:
            return count, perf_counter() - start


async def ours(port: int, packs: bool) -> tuple[int, float]:
    """Receive with our link."""
    link = await connect_websocket(f"ws://127.0.0.1:{port}", compression=packs)
    start, count = perf_counter(), 0
    try:
        while True:
            count += len(await link.receive())
    except LinkLost:
        seconds = perf_counter() - start
    await link.close(1)
    return count, seconds


Client = Callable[[int, bool], tuple[int, float]]


def on(uses_uvloop: bool, receive: Callable[[int, bool], Awaitable[tuple[int, float]]]) -> Client:
    """Run `receive` in an event loop of its own."""

    def run(port: int, packs: bool) -> tuple[int, float]:
        return anyio.run(partial(receive, port, packs), backend_options={"use_uvloop": uses_uvloop})

    return run


def clients() -> dict[str, Client]:
    found: dict[str, Client] = {
        "bare socket, bytes only": bare_socket,
        "bare loop, websockets' protocol": bare_protocol,
    }
    loops = {"asyncio": False, "uvloop": True} if importlib.util.find_spec("uvloop") else {"asyncio": False}
    for loop, uses_uvloop in loops.items():
        found[f"stock websockets client, {loop}"] = on(uses_uvloop, stock)
        found[f"barbot link, {loop}"] = on(uses_uvloop, ours)
    return found


def measure(frames: int, rounds: int, packings: Sequence[bool] = (False, True)) -> dict[tuple[str, bool], Taken]:
    """Return what each client came to, with compression and without, against a server of its own."""
    expected = -(-frames // BLOCK) * BLOCK
    results: dict[tuple[str, bool], list[Taken]] = {}
    with serving(frames) as port:
        for _ in range(rounds):
            for packs in packings:
                for name, client in clients().items():
                    cpu = process_time()
                    count, seconds = client(port, packs)
                    cpu = process_time() - cpu
                    if count not in (0, expected):
                        raise SystemExit(f"{name} got {count} frames of {expected}")
                    results.setdefault((name, packs), []).append(Taken(expected / seconds, cpu / expected * 1e6))
    return {
        key: Taken(statistics.median(each.rate for each in taken), statistics.median(each.cpu_us for each in taken))
        for key, taken in results.items()
    }


@contextmanager
def serving(frames: int) -> Iterator[int]:
    """Have a server run; yield its port."""
    command = [sys.executable, __file__, "--serve", "--frames", str(frames)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--frames", type=int)
    made.add_argument("--rounds", type=int)
    made.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = made.parse_args()
    frames = options.frames or (10_000 if options.quick else 200_000)
    rounds = options.rounds or (1 if options.quick else 3)
    if options.serve:
        serve(frames)
        return
    results = measure(frames, rounds)
    if options.as_json:
        rows = [{"client": name, "compressed": packs, **taken._asdict()} for (name, packs), taken in results.items()]
        print_json({"machine": machine(), "frames": frames, "rounds": rounds, "rows": rows})
        return
    columns = ("client", "plain k/s", "us CPU", "deflate k/s", "us CPU")
    shown = [(name, *(cell for packs in (False, True) for cell in results[name, packs].cells())) for name in clients()]
    show("one link, over loopback", columns, shown)
    say(f"{machine_line()}; {frames:,} frames, medians of {rounds} rounds")


if __name__ == "__main__":
    main()
