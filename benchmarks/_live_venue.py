"""A KuCoin that costs next to nothing, in a process of its own: HTTP and WebSocket on one loopback port.

    python benchmarks/_live_venue.py [--speed 1]

It prints its port. Frames are made beforehand; in what it sends only two fields change, the candle's start and
the time, which numpy writes into a whole block of frames at once, so that whoever reads is the bottleneck. A
WebSocket is told by its path or by `GET /go` what it is to send:

    /flood?frames=N      N frames in large writes          /paced?frames=N&rate=R   one frame at a time
    /minutes?count=N     at each of N minute boundaries the first push of every symbol

What the last two send carries in its turnover when it was sent, or when the minute began: seconds of the
machine's monotonic timer, which all its processes share.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator
from threading import Event, Lock, Thread
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

BLOCK = 2_000
_MINUTE_S = 60
_NS = 1_000_000_000
_START_AT = b'"candles":["'
_TIME_AT = b'"time":'
_GOODBYE = b"\x88\x02\x03\xe8"


def frame_of(
    symbol: str, start: int, close: float, turnover: float, ts: int, *, volume: float = 0.5, is_first: bool = False
) -> bytes:
    """Return a candle's push as KuCoin spells it, 240 bytes and more."""
    subject = "trade.candles.add" if is_first else "trade.candles.update"
    return (
        f'{{"topic":"/market/candles:{symbol}_1min","type":"message","subject":"{subject}",'
        f'"data":{{"symbol":"{symbol}","candles":["{start}","77333.7","{close:.1f}","79333.7","70320.2",'
        f'"{volume:.8f}","{turnover:.9f}"],"time":{ts}}}}}'
    ).encode()


def in_frame(text: bytes) -> bytes:
    """Return `text` as a WebSocket frame."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


class Flood:
    """Blocks of frames, all of one length, ready to be stamped."""

    def __init__(self, symbols: list[str]) -> None:
        """Make one block; symbols take turns, no two frames are alike."""
        width = max(map(len, symbols))
        padded = [symbol.rjust(width, "X") for symbol in symbols]
        if padded != symbols:
            raise ValueError("symbols of one length, please")
        walk = random.Random(1)
        frames = [
            in_frame(
                frame_of(
                    symbols[n % len(symbols)], 1_787_422_980, walk.uniform(75_000, 76_000),
                    walk.uniform(10_000, 99_000), 10**18 + n, volume=walk.uniform(0.1, 0.9),
                )
            )
            for n in range(BLOCK)
        ]  # fmt: skip
        self._bytes = np.frombuffer(b"".join(frames), np.uint8).reshape(BLOCK, len(frames[0])).copy()
        self._start = frames[0].index(_START_AT) + len(_START_AT)
        self._time = frames[0].index(_TIME_AT) + len(_TIME_AT)
        self._last = 0

    def block(self, now: int) -> memoryview:
        """Return the block with the time `now` (ns) and the minute that it lies in; each frame 1 ns later."""
        now = self._last = max(now, self._last + BLOCK)
        self._bytes[:, self._start : self._start + 10] = np.frombuffer(b"%010d" % (now // _NS // 60 * 60), np.uint8)
        times: NDArray[np.int64] = now + np.arange(BLOCK, dtype=np.int64)
        for place in range(18, -1, -1):
            self._bytes[:, self._time + place] = times % 10 + 48
            times //= 10
        return self._bytes.reshape(-1).data


class Venue:
    """What all connections share."""

    def __init__(self, port: int, speed: float) -> None:
        """Serve at `port`; let `speed` seconds pass in one."""
        self.port = port
        self.speed = speed
        self.went = Event()
        self.order: tuple[str, dict[str, str]] = ("", {})
        self._anchor, self._began = time.time_ns(), time.perf_counter_ns()

    def now(self) -> int:
        """Return the venue's time in ns."""
        return self._anchor + round((time.perf_counter_ns() - self._began) * self.speed)

    def wall_of(self, ts: int) -> int:
        """Return what the monotonic timer shows (ns) when the venue's time is `ts`."""
        return self._began + round((ts - self._anchor) / self.speed)

    def answer(self, path: str, query: dict[str, str]) -> object:
        """Return the data that belongs to an HTTP request."""
        if path == "/api/v1/timestamp":
            return self.now() // 1_000_000
        if path == "/api/v2/symbols":
            return [{"symbol": name, "baseCurrency": name[:5], "quoteCurrency": "USDT"} for name in names(1_000)]
        if path == "/api/v1/bullet-public":
            server = {"endpoint": f"ws://127.0.0.1:{self.port}/", "pingInterval": 18_000, "pingTimeout": 10_000}
            return {"token": "benchmark", "instanceServers": [server]}
        if path == "/api/v1/market/candles":
            first, last = int(query["startAt"]), int(query["endAt"])
            running = self.now() // _NS // 60 * 60  # left out: what is counted is the stream's alone
            starts = range(min(last // 60 * 60, running - 60), first - 1, -60)
            return [[str(start), "75000", "75000", "75000", "75000", "0.1", "7500"] for start in starts][:1_500]
        if path == "/go":
            self.order = (query["what"], query)
            self.went.set()
        return None


def names(count: int) -> list[str]:
    """Return symbols, all of one length."""
    return [f"C{number:04d}-USDT" for number in range(count)]


def serve(speed: float) -> None:
    """Serve connection after connection, each in a thread."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        venue = Venue(listener.getsockname()[1], speed)
        print(venue.port, flush=True)
        while True:
            peer, _ = listener.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Thread(target=converse, args=(venue, peer), daemon=True).start()


def converse(venue: Venue, peer: socket.socket) -> None:
    """Answer requests until the peer leaves or wants a WebSocket."""
    data = b""
    with peer:
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    more = peer.recv(65_536)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                if b"upgrade: websocket" in head.lower():
                    Socket(venue, peer, head + b"\r\n\r\n").run()
                    return
                parts = urlsplit(head.split(b" ", 2)[1].decode())
                query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
                body = json.dumps({"code": "200000", "data": venue.answer(parts.path, query)}).encode()
                kind = b"Content-Type: application/json\r\n"
                peer.sendall(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (kind, len(body), body))
        except OSError:
            return


class Socket:
    """One WebSocket: a thread reads, this one sends what was ordered."""

    def __init__(self, venue: Venue, peer: socket.socket, head: bytes) -> None:
        """Greet."""
        self.venue, self.peer = venue, peer
        self.symbols: list[str] = []
        self._lock = Lock()
        self._protocol = ServerProtocol()
        self._protocol.receive_data(head)
        request = self._protocol.events_received()[0]
        assert isinstance(request, Request)
        self._path = request.path
        self._protocol.send_response(self._protocol.accept(request))
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            self.peer.sendall(b"".join(self._protocol.data_to_send()))

    def _say(self, message: object) -> None:
        with self._lock:
            self.peer.sendall(in_frame(json.dumps(message).encode()))

    def run(self) -> None:
        """Send until all is sent or the peer is gone."""
        parts = urlsplit(self._path)
        order = (parts.path[1:], {key: values[-1] for key, values in parse_qs(parts.query).items()})
        if not order[0]:
            self._say({"id": "x", "type": "welcome"})
            Thread(target=self._listen, daemon=True).start()
            self.venue.went.wait()
            order = self.venue.order
        else:
            self.symbols = names(10)
        ways: dict[str, Callable[[dict[str, str]], None]] = {
            "flood": self._flood, "paced": self._paced, "minutes": self._minutes,
        }  # fmt: skip
        ways[order[0]](order[1])
        if parts.path != "/":
            self.peer.sendall(_GOODBYE)
        Event().wait(60)  # the peer leaves when it has all

    def _listen(self) -> None:
        """Answer what the peer sends: subscriptions and pings."""
        try:
            while data := self.peer.recv(65_536):
                self._protocol.receive_data(data)
                for event in self._protocol.events_received():
                    if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                        self._answer(json.loads(bytes(event.data)))
                if self._protocol.close_rcvd is not None:
                    self._flush()
                    return
        except OSError:
            return

    def _answer(self, message: dict[str, str]) -> None:
        if message["type"] == "ping":
            self._say({"id": message["id"], "type": "pong", "timestamp": self.venue.now() // 1_000})
        elif message["type"] == "subscribe":
            items = message["topic"].partition(":")[2].split(",")
            self.symbols += [item.rpartition("_")[0] for item in items]
            self._say({"id": message["id"], "type": "ack"})

    # -- what is sent ---------------------------------------------------------------------------------------

    def _flood(self, order: dict[str, str]) -> None:
        flood = Flood(self.symbols)
        for _ in range(-(-int(order["frames"]) // BLOCK)):
            with self._lock:
                self.peer.sendall(flood.block(self.venue.now()))

    def _paced(self, order: dict[str, str]) -> None:
        gap = _NS // int(order["rate"])
        frames = int(order["frames"])
        for number, due in zip(range(frames), self._times(gap), strict=False):
            symbol = self.symbols[number % len(self.symbols)]
            now = self.venue.now()
            pause = due - time.perf_counter_ns()
            if pause > 0:
                time.sleep(pause / _NS)
            sent = time.perf_counter_ns()
            text = frame_of(symbol, now // _NS // 60 * 60, 75_000 + number % 977 / 2, sent / _NS, now + number)
            with self._lock:
                self.peer.sendall(in_frame(text))

    def _times(self, gap: int) -> Iterator[int]:
        due = time.perf_counter_ns()
        while True:
            yield due
            due += gap

    def _minutes(self, order: dict[str, str]) -> None:
        minute = self.venue.now() // _NS // _MINUTE_S + 2  # on_start has returned by then
        for number in range(minute, minute + int(order["count"])):
            start = number * _MINUTE_S
            wall = self.venue.wall_of(start * _NS)
            frames = [
                frame_of(symbol, start, 75_000 + n, wall / _NS, start * _NS + n, is_first=True)
                for n, symbol in enumerate(self.symbols)
            ]
            burst = b"".join(map(in_frame, frames))
            time.sleep(max(wall - time.perf_counter_ns(), 0) / _NS)
            with self._lock:
                self.peer.sendall(burst)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--speed", type=float, default=1.0)
    try:
        serve(arguments.parse_args().speed)
    except KeyboardInterrupt:
        sys.exit(0)
