"""How fast live frames reach a strategy, how late, and what recording and memory cost.

    python benchmarks/live.py [--quick] [--json] [--frames 10000000]

A venue in a process of its own sends prebuilt KuCoin candle frames over loopback; each figure comes from client
processes of their own, which run what `barbot run` runs: link, decoder, tracker, engine, hook and digest on one
thread. What is compared is measured in turns within one run, and medians are shown. A busy machine stretches what
the wall shows, so microseconds of the client's processor time stand beside it; targets are held against the wall.
`--frames` is how many the memory is watched over.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this tree, installed or not

from benchmarks import link
from benchmarks._live_client import Measured
from benchmarks._table import machine, machine_line, parser, print_json, say, show

_HERE: Final = Path(__file__).resolve().parent
_MILLION: Final = 1_000_000
_RATE: Final = 5_000
_LEAST_RATE: Final = 120_000
_MOST_BEHIND_US: Final = 40.0
_MOST_STRETCH: Final = 2.0
_MOST_RECORDING: Final = 0.10
_MOST_BOUNDARY_MS: Final = 250.0
_MOST_GROWTH_MB: Final = 2.0
_SYMBOLS: Final = 1_000


class Sizes(msgspec.Struct, frozen=True):
    """How much is measured."""

    rounds: int
    flood: int
    paced: int
    link: int
    link_rounds: int
    minutes: int
    speed: float
    """Of the venue's clock where minutes are waited for."""
    memory: int


class Row(msgspec.Struct, kw_only=True):
    """One figure, its target, and whether that is met."""

    title: str
    value: float
    unit: str
    beside: str = ""
    target: str = ""
    met: bool | None = None


@contextmanager
def venue(speed: float = 1.0) -> Iterator[int]:
    """Have a venue run; yield its port."""
    command = [sys.executable, str(_HERE / "_live_venue.py"), "--speed", str(speed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def client(kind: str, frames: int, *options: str, speed: float = 1.0) -> Measured:
    """Return what a client process measured against a venue of its own."""
    with venue(speed) as port:
        command = [sys.executable, str(_HERE / "_live_client.py"), str(port), kind, "--frames", str(frames)]
        done = subprocess.run(
            [*command, "--speed", str(speed), *options], stdout=subprocess.PIPE, text=True, timeout=1_800, check=True
        )
    return msgspec.json.decode(done.stdout, type=Measured)


# -- the figures ----------------------------------------------------------------------------------------------


def links(sizes: Sizes) -> list[Row]:
    """Compare our link with the stock client of `websockets` and with a bare socket."""
    rows = []
    results = link.measure(sizes.link, sizes.link_rounds, [False])
    for (name, packs), (rate, cost) in results.items():
        row = Row(title=f"link alone: {name}", value=rate, unit="frames/s", beside=f"{cost:.2f} us CPU")
        if name.startswith("barbot"):
            stock = results[f"stock websockets client, {name.rpartition(' ')[2]}", packs]
            row.target, row.met = "faster than stock", rate > stock.rate
        rows.append(row)
    return rows


def floods(sizes: Sizes, folder: Path) -> list[Row]:
    """Measure frames a second through everything, with the recorder and without, in turns."""
    plain, recorded = [], []
    for number in range(sizes.rounds):
        plain.append(client("flood", sizes.flood))
        journal = folder / f"{number}.jsonl.zst"
        recorded.append(client("flood", sizes.flood, "--journal", str(journal)))
        journal.unlink()
    for measured in plain + recorded:
        if measured.hooks != sizes.flood:
            raise SystemExit(f"{measured.hooks} hooks were called for {sizes.flood} frames")
    wall, wall_recorded = (median(m.wall_us for m in runs) for runs in (plain, recorded))
    cpu, cpu_recorded = (median(m.cpu_us for m in runs) for runs in (plain, recorded))
    rate, cost = 1e6 / wall, wall_recorded / wall - 1
    size = recorded[0].journal_bytes / sizes.flood
    return [
        Row(
            title="link, decoder, tracker, hook", value=rate, unit="frames/s",
            beside=f"{cpu:.2f} us CPU: {1e6 / cpu:,.0f}/s", target=f">= {_LEAST_RATE:,}", met=rate >= _LEAST_RATE,
        ),
        Row(
            title="  and the recorder", value=1e6 / wall_recorded, unit="frames/s",
            beside=f"{cpu_recorded:.2f} us CPU, {size:.0f} bytes a frame",
        ),
        Row(
            title="what the recorder costs", value=cost * 100, unit="%",
            beside=f"{(cpu_recorded / cpu - 1) * 100:.0f} % of CPU", target="< 10", met=cost < _MOST_RECORDING,
        ),
        Row(
            title=f"what it costs at {_RATE:,} frames/s", value=(cpu_recorded - cpu) * _RATE / 1e4, unit="% of a core",
        ),
    ]  # fmt: skip


def latencies(sizes: Sizes) -> list[Row]:
    """Measure from send to hook at a steady rate, beside a bare socket reader, in turns."""
    ours, bare = [], []
    for _ in range(sizes.rounds):
        bare.append(client("bare", sizes.paced, "--rate", str(_RATE)).latencies_us)
        ours.append(client("paced", sizes.paced, "--rate", str(_RATE)).latencies_us)
    p50, p99 = (median(taken[place] for taken in ours) for place in (0, 1))
    bare50, bare99 = (median(taken[place] for taken in bare) for place in (0, 1))
    return [
        Row(
            title=f"send to hook at {_RATE:,}/s, p50", value=p50, unit="us", beside=f"bare socket {bare50:.0f} us",
            target=f"<= bare + {_MOST_BEHIND_US:.0f}", met=p50 <= bare50 + _MOST_BEHIND_US,
        ),
        Row(
            title=f"send to hook at {_RATE:,}/s, p99", value=p99, unit="us", beside=f"bare socket {bare99:.0f} us",
            target="<= 2 x bare", met=p99 <= bare99 * _MOST_STRETCH,
        ),
    ]  # fmt: skip


def boundaries(sizes: Sizes) -> list[Row]:
    """Measure from a minute's end to the last of 1,000 symbols' hooks."""
    measured = client("minutes", sizes.minutes, "--symbols", str(_SYMBOLS), speed=sizes.speed)
    p50, p99, most = (float(value) for value in np.percentile(measured.minutes_ms, [50, 99, 100]))
    return [
        Row(
            title=f"{_SYMBOLS:,} symbols, boundary to last hook, p99", value=p99, unit="ms",
            beside=f"{len(measured.minutes_ms)} minutes: median {p50:.0f}, worst {most:.0f} ms",
            target=f"< {_MOST_BOUNDARY_MS:.0f}", met=p99 < _MOST_BOUNDARY_MS,
        )
    ]  # fmt: skip


def memory(sizes: Sizes) -> list[Row]:
    """Watch the memory over many frames; the first tenth, in which buffers and windows fill, is left out."""
    taken = client("flood", sizes.memory).memory
    frames, held = (np.array(values, float) for values in zip(*taken[len(taken) // 10 :], strict=True))
    if not held.any():
        return []  # the system does not tell
    slope = float(np.polyfit(frames, held, 1)[0]) * _MILLION
    growth = slope * float(frames[-1] - frames[0]) / _MILLION
    return [
        Row(
            title=f"memory over {sizes.memory / _MILLION:g} M frames, growth", value=growth, unit="MB",
            beside=f"{held[0]:.1f} to {held[-1]:.1f} MB, slope {slope:+.3f} MB a million",
            target=f"< {_MOST_GROWTH_MB:.0f}", met=growth < _MOST_GROWTH_MB,
        )
    ]  # fmt: skip


def sizes_of(options: Namespace) -> Sizes:
    """Return how much is measured."""
    if options.quick:
        return Sizes(
            rounds=1,
            flood=50_000,
            paced=2_500,
            link=10_000,
            link_rounds=1,
            minutes=1,
            memory=min(options.frames, 60_000),
            speed=60.0,
        )
    return Sizes(
        rounds=5,
        flood=500_000,
        paced=50_000,
        link=200_000,
        link_rounds=3,
        minutes=30,
        speed=20.0,
        memory=options.frames,
    )


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--frames", type=int, default=10 * _MILLION, help="frames that the memory is watched over")
    options = made.parse_args()
    sizes = sizes_of(options)
    began = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        rows = [*links(sizes), *floods(sizes, Path(folder)), *latencies(sizes), *boundaries(sizes), *memory(sizes)]
    seconds = perf_counter() - began
    if options.as_json:
        print_json({"machine": machine(), "sizes": sizes, "rows": rows, "seconds": seconds})
        return
    verdicts = {True: "met", False: "missed", None: ""}
    shown = [
        (
            row.title,
            f"{row.value:,.{0 if row.value >= 100 else 1}f} {row.unit}",
            row.beside,
            row.target,
            verdicts[row.met],
        )
        for row in rows
    ]
    show("live, over loopback", ("figure", "median", "beside", "target", "verdict"), shown)
    say(f"{machine_line()}; {sizes.rounds} rounds; {seconds:.0f} s")


if __name__ == "__main__":
    main()
