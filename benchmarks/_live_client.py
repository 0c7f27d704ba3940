"""One live run against `_live_venue.py`, or a bare reader beside it, in a process of its own.

    python benchmarks/_live_client.py PORT flood|paced|minutes [--frames N] [--journal FILE] ...
    python benchmarks/_live_client.py PORT bare --frames N

It prints one JSON object: what it measured. The run is that of `barbot run`: link, decoder, tracker, engine, hook,
digest; only its journal goes where the script wants it.
"""

from __future__ import annotations

import argparse
import gc
import socket
import sys
import time
import urllib.request
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import ClassVar

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this tree, installed or not

from barbot import Bar, History, Strategy
from barbot.core.costs import PaperSettings
from barbot.core.risk import RiskLimits
from barbot.run.live import LiveRun
from barbot.run.plan import RunPlan
from barbot.wire.journal import Header
from barbot.wire.journal_write import JournalWriter, open_writer
from benchmarks._live_venue import names

_SKIPPED = 0.1
"""The first part of every measurement, in which caches fill."""
_GOODBYE = b"\x88\x02\x03\xe8"
_SAMPLES = 200
_PATIENCE_S = 600.0


class Measured(msgspec.Struct, kw_only=True):
    """What one process measured; what does not apply is empty."""

    hooks: int
    frames: int = 0
    wall_us: float = 0.0
    """Of the wall, per frame."""
    cpu_us: float = 0.0
    """Of this process's processor time, per frame."""
    latencies_us: list[float] = []
    """50th, 99th and 100th percentile."""
    minutes_ms: list[float] = []
    """From each boundary to its last hook."""
    memory: list[tuple[int, float]] = []
    """Frames, and megabytes held then."""
    journal_bytes: int = 0


class Watch(Strategy):
    """Counts, and notes times."""

    history = 30
    feeds: ClassVar[list[str]] = []
    url: ClassVar[str] = ""
    expected: ClassVar[int] = 0
    stop: ClassVar[Event] = Event()

    def on_start(self) -> None:
        self._begin()
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            answer.read()

    def _begin(self) -> None:
        self._count = 0


class Flooded(Watch):
    """Times the whole, and samples the memory."""

    def _begin(self) -> None:
        self._count = 0
        self._from = int(self.expected * _SKIPPED)
        self._every = max(self.expected // _SAMPLES, 1)
        self.memory: list[tuple[int, float]] = []
        self.began = self.ended = (0.0, 0.0)

    def on_bar_update(self, bar: Bar, history: History) -> None:
        count = self._count = self._count + 1
        if count % self._every == 0:
            self._sample(count)

    def _sample(self, count: int) -> None:
        now = (time.perf_counter(), time.process_time())
        self.memory.append((count, held_mb()))
        if count <= self._from:
            self.began, self._from_count = now, count
        self.ended = now
        if count >= self.expected:
            self.stop.set()

    def measured(self) -> Measured:
        frames = self._count - self._from_count
        wall, cpu = (end - begin for begin, end in zip(self.began, self.ended, strict=True))
        return Measured(
            hooks=self._count, frames=frames, wall_us=wall / frames * 1e6, cpu_us=cpu / frames * 1e6, memory=self.memory
        )


class Paced(Watch):
    """Notes how long each frame took from being sent to this hook."""

    def _begin(self) -> None:
        self._took: list[float] = []

    def on_bar_update(self, bar: Bar, history: History) -> None:
        self._took.append(time.perf_counter() - bar.turnover)
        if len(self._took) >= self.expected:
            self.stop.set()

    def measured(self) -> Measured:
        return Measured(hooks=len(self._took), latencies_us=percentiles(self._took))


class Minutes(Watch):
    """Notes when the last bar of each minute was closed, and when that minute was over."""

    def _begin(self) -> None:
        self._last: dict[int, float] = {}
        self._boundary: dict[int, float] = {}
        self._closed: dict[int, int] = {}
        self._count = 0

    def on_bar_close(self, bar: Bar, history: History) -> None:
        self._count += 1
        self._last[bar.ts_close] = time.perf_counter()
        self._closed[bar.ts_close] = self._closed.get(bar.ts_close, 0) + 1

    def on_bar_open(self, bar: Bar, history: History) -> None:
        if bar.turnover:
            self._boundary[bar.ts_open] = bar.turnover
        self._last[bar.ts_open] = time.perf_counter()
        if len(self._boundary) > self.expected and self._closed.get(bar.ts_open) == len(self.feeds):
            self.stop.set()

    def measured(self) -> Measured:
        whole = [ts for ts in self._boundary if self._closed.get(ts) == len(self.feeds)]
        return Measured(hooks=self._count, minutes_ms=[(self._last[ts] - self._boundary[ts]) * 1e3 for ts in whole])


class RecordedRun(LiveRun):
    """A live run whose journal, if any, lies where it is told to, and that keeps nothing else."""

    journal: Path | None = None

    def _open_journal(self, folder: Path | None) -> JournalWriter | None:
        if self.journal is None:
            return None
        header = Header(run_id="benchmark", barbot="0", instruments=tuple(self.market.instruments.values()))
        return open_writer(self.journal, header, now=self.clock.now(), threaded=True)


KINDS: dict[str, type[Flooded | Paced | Minutes]] = {"flood": Flooded, "paced": Paced, "minutes": Minutes}


def run(port: int, kind: str, frames: int, symbols: int, rate: int, journal: Path | None, speed: float) -> Measured:
    """Run live until all has arrived."""
    strategy = KINDS[kind]
    strategy.feeds = [f"kucoin:{name}@1m" for name in names(symbols)]
    strategy.expected = frames
    strategy.url = f"http://127.0.0.1:{port}/go?what={kind}&frames={frames}&rate={rate}&count={frames + 1}"
    plan = RunPlan(
        strategy=strategy,
        strategy_file=Path(__file__).name,
        params={},
        feeds=(),
        cash={"USDT": Decimal(10_000)},
        paper=PaperSettings(),
        limits=RiskLimits(),
        speed=speed,
        runs_dir=None,
        endpoints={"kucoin": f"http://127.0.0.1:{port}"},
        venues={"kucoin": {"history_lag_s": 0.0}},
        run_for_s=_PATIENCE_S,
    )
    live = RecordedRun(plan, environment={}, tell=lambda problem: print(problem.text, file=sys.stderr))
    live.journal = journal
    live.run(stop=strategy.stop)
    assert live.line is not None, "a run that is over had a line"
    watched = live.line.strategy
    assert isinstance(watched, strategy), "the line made what the plan named"
    measured = watched.measured()
    measured.journal_bytes = journal.stat().st_size if journal is not None else 0
    return measured


def bare(port: int, frames: int, rate: int) -> Measured:
    """Read a socket and note how long each frame took; nothing is decoded but its stamp."""
    took: list[float] = []
    with socket.create_connection(("127.0.0.1", port)) as stream:
        key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        head = b"GET /paced?frames=%d&rate=%d HTTP/1.1\r\nHost: x\r\n" % (frames, rate)
        stream.sendall(head + b"Upgrade: websocket\r\nConnection: Upgrade\r\n" + key + b"\r\n")
        data = b""
        while b"\r\n\r\n" not in data:
            data += stream.recv(65_536)
        data = data.partition(b"\r\n\r\n")[2]
        while not data.endswith(_GOODBYE):
            data += stream.recv(262_144)
            now = time.perf_counter()
            *whole, data = data.split(b'"],"time":')
            took += [now - float(part[part.rindex(b'"') + 1 :]) for part in whole]
    return Measured(hooks=len(took), latencies_us=percentiles(took))


def percentiles(took: list[float]) -> list[float]:
    """Return the 50th, the 99th and the 100th percentile in us, of all but the first."""
    kept = np.array(took[int(len(took) * _SKIPPED) :]) * 1e6
    return [float(value) for value in np.percentile(kept, [50, 99, 100])]


def held_mb() -> float:
    """Return the memory that this process holds, 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - 200 times in a timed loop
            return int(file.read().split()[1]) * 4_096 / 1024**2
    except OSError:
        return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=[*KINDS, "bare"])
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--symbols", type=int, default=10)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--journal", type=Path)
    options = parser.parse_args()
    gc.collect()
    if options.kind == "bare":
        measured = bare(options.port, options.frames, options.rate)
    else:
        measured = run(
            options.port, options.kind, options.frames, options.symbols, options.rate, options.journal, options.speed
        )
    print(msgspec.json.encode(measured).decode())


if __name__ == "__main__":
    main()
