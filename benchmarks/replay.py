"""How fast a recorded feed becomes a finished paper run, phase by phase, and how much memory that takes.

    python benchmarks/replay.py [--quick] [--json]

Each figure is the median of five runs, each in a process of its own, over seeded random walks that the script makes
in a temporary folder. `--quick` is a glance: one run over a twentieth of the data, with fresh objects in one process.
`load` is from the file to events (reading Parquet or a journal, making records), `run` all else: engine, indicators,
hooks, orders, risk, paper, ledger, digest. Rates are by the processor's time, which a busy machine stretches least;
what the wall showed stands beside.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this tree, installed or not

from benchmarks._cases import CASES, Measured, bare_loop, make, measure
from benchmarks._table import machine, machine_line, parser, print_json, say, show

_REPEATS: Final = 5
_MILLION: Final = 1_000_000
_FRAMES: Final = 300_000
_BARE: Final = "bare"
_QUICKER: Final = 20
_US: Final = 1e6
_HOW: Final = "medians of 5 runs, each in a fresh process"
_FEWEST: Final = 2
"""Orders cost what runs with and without them differ by; with fewer fills than this there is nothing to divide."""


class Target(msgspec.Struct, frozen=True):
    """What a figure must reach: a rate at least, or else a size at most."""

    at_least: float | None = None
    at_most: float | None = None
    text: str = ""

    def met(self, value: float) -> bool:
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most


class Row(msgspec.Struct, kw_only=True):
    """One case, in medians; rates in rows a second."""

    case: str
    title: str
    rows: int
    fills: int
    load_rate: float
    run_rate: float
    total_rate: float
    run_rate_wall: float
    peak_mb: float | None
    target: str = ""
    met: bool | None = None


class Figure(msgspec.Struct, kw_only=True):
    """One derived figure."""

    title: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None


SPEED: Final = (
    ("bare", "bare Python loop", Target()),
    ("averages", "declared, no orders", Target(at_least=1.0e6, text="run >= 1.0 M/s")),
    ("cross", "declared, orders", Target(at_least=600e3, text="run >= 600 k/s")),
    ("cross-kept", "  and run directory", Target()),
    ("means", "numpy .mean(), orders", Target(at_least=250e3, text="run >= 250 k/s")),
    ("sums", "numpy .sum()/n, orders", Target()),
    ("fifty", "50 instruments, orders", Target(at_least=450e3, text="run >= 450 k/s")),
    ("trades", "trades, close hook", Target(at_least=1.5e6, text="run >= 1.5 M/s")),
    ("trades-updates", "trades, update hook", Target()),
    ("candles", "journal, dense", Target(at_most=6.0, text="total <= 6 us")),
    ("candles-sparse", "journal, sparse", Target()),
)


class Bench:
    """Runs cases in processes of their own (in a hurry: in this one), over feeds made once."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        """Keep feeds in `folder`."""
        self.folder = folder
        self.quick = quick
        self.repeats = 1 if quick else _REPEATS
        self._done: dict[tuple[str, int], list[Measured]] = {}

    def size(self, case: str) -> int:
        """Return how many rows a case runs over."""
        rows = _FRAMES if case.startswith("candles") else _MILLION
        return rows // _QUICKER if self.quick else rows

    def runs(self, case: str, rows: int, repeats: int | None = None) -> list[Measured]:
        """Return what some runs of the case came to; each case and size is run once only."""
        key = (case, rows)
        if key not in self._done:
            run = self._here if self.quick else self.apart
            self._done[key] = [run(case, rows) for _ in range(repeats or self.repeats)]
        return self._done[key]

    def _here(self, case: str, rows: int) -> Measured:
        return run_case(case, rows, self.folder)

    def apart(self, case: str, rows: int) -> Measured:
        """Run in another process, which finds the feed made: to make ten million bars takes a gigabyte."""
        if case in CASES:
            self._call("--make", CASES[case].feed, rows)
        return msgspec.json.decode(self._call("--case", case, rows), type=Measured)

    def _call(self, what: str, name: str, rows: int) -> bytes:
        script = str(Path(__file__).resolve())
        command = [sys.executable, script, what, name, "--rows", str(rows), "--folder", str(self.folder)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout

    def row(self, case: str, title: str, target: Target) -> Row:
        """Measure a case and judge it."""
        runs = self.runs(case, self.size(case))
        rows = runs[0].rows
        load, run = median(one.load_cpu for one in runs), median(one.run_cpu for one in runs)
        total = median(one.load_cpu + one.run_cpu for one in runs)
        peaks = [one.peak_mb for one in runs if one.peak_mb is not None]
        made = Row(
            case=case,
            title=title,
            rows=rows,
            fills=runs[0].fills,
            load_rate=rows / load if load else 0.0,
            run_rate=rows / run,
            total_rate=rows / total,
            run_rate_wall=rows / median(one.run_wall for one in runs),
            peak_mb=median(peaks) if peaks else None,
            target=target.text,
        )
        if target.text:
            made.met = target.met(made.run_rate if target.at_least else _US / made.total_rate)
        assert len({one.digest for one in runs}) == 1, f"{case}: runs over one feed have different digests"
        return made


def order_costs(bench: Bench) -> list[Figure]:
    """Return what an order (sent, checked, filled, booked) costs in a short and in a long run."""
    found = []
    for rows in (bench.size("cross") // 10, bench.size("cross")):
        with_orders, without = bench.runs("cross", rows), bench.runs("averages", rows)
        more = median(one.run_cpu for one in with_orders) - median(one.run_cpu for one in without)
        fills = with_orders[0].fills
        if fills >= _FEWEST:
            found.append(Figure(title=f"an order, of {fills:,} in {rows:,} bars", value=more / fills * _US, unit="us"))
    if len(found) == 2:
        ratio = found[1].value / found[0].value
        title = "the same order in a run ten times as long"
        found.append(
            Figure(title=title, value=ratio, unit="times", target="does not grow (<= 1.15)", met=ratio <= 1.15)
        )
    return found


def memory(bench: Bench) -> list[Figure]:
    """Return the peak of a process over a million bars and, unless in a hurry, over ten."""
    found = []
    cases = (("averages", "without orders"), ("cross", "with orders"))
    for case, title in cases[: 1 if bench.quick else 2]:
        base = _peak([bench.apart(case, _MILLION)] if bench.quick else bench.runs(case, _MILLION))
        if base is None:
            return []
        found.append(
            Figure(title=f"peak memory, 1 M bars, {title}", value=base, unit="MB", target="< 200 MB", met=base < 200)
        )
        if not bench.quick:
            more = (_peak(bench.runs(case, 10 * _MILLION, repeats=1)) or base) - base
            named = f"10 M bars, {title}: more by"
            found.append(Figure(title=named, value=more, unit="MB", target="<= +60 MB", met=more <= 60))
    return found


def _peak(runs: Sequence[Measured]) -> float | None:
    peaks = [one.peak_mb for one in runs if one.peak_mb is not None]
    return median(peaks) if peaks else None


def _verdict(met: bool | None) -> str:
    return "" if met is None else "met" if met else "MISSED"


def _rate(rate: float) -> str:
    return "-" if not rate else f"{rate / 1e6:.2f} M" if rate >= 1e6 else f"{rate / 1e3:.0f} k"


def _print(rows: Sequence[Row], figures: Sequence[Figure], *, quick: bool) -> None:
    how = "one run each over a twentieth of the data, in one process: a glance" if quick else _HOW
    say(f"{machine_line()}; {how}. Rows a second of processor time.")
    show(
        "From a recorded feed to a finished paper run",
        ("case", "rows", "fills", "load", "run", "total", "run, wall", "target", "verdict"),
        [
            (
                row.title, row.rows, row.fills or "-", _rate(row.load_rate), _rate(row.run_rate), _rate(row.total_rate),
                _rate(row.run_rate_wall), row.target, _verdict(row.met),
            )
            for row in rows
        ],
    )  # fmt: skip
    say(
        "The strategy is an SMA(10)/SMA(30) cross: declared indicators, or numpy over the window; orders are market "
        "orders with a fee (the goal for them is 1.0 M/s). The bare loop makes the bar, calls a hook and keeps two "
        "averages. Trades: 120 a minute to 1m bars. Journals: candle frames in barbot's own codec, update and close "
        "hooks; dense is 50 feeds and 200 frames a second, sparse one of each, where every frame is a zstd frame "
        "by itself."
    )
    show(
        "Orders and memory",
        ("figure", "value", "target", "verdict"),
        [
            (
                one.title,
                f"{one.value:.2f} {one.unit}" if one.unit != "MB" else f"{one.value:.0f} MB",
                one.target,
                _verdict(one.met),
            )
            for one in figures
        ],
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = parser(__doc__)
    for name in ("--case", "--make", "--rows", "--folder"):
        made.add_argument(name, help=argparse.SUPPRESS)  # how the script calls itself
    return made.parse_args(arguments)


def run_case(case: str, rows: int, folder: Path) -> Measured:
    """Run a case once, its feed made in `folder` unless it is there."""
    if case == _BARE:
        return bare_loop(rows)
    feed = make(CASES[case].feed, rows, folder)
    with tempfile.TemporaryDirectory(dir=folder) as runs_dir:
        return measure(case, feed, Path(runs_dir))


def _as_child(given: argparse.Namespace) -> None:
    folder, rows = Path(given.folder), int(given.rows)
    if given.make:
        make(given.make, rows, folder)
    else:
        print_json(msgspec.to_builtins(run_case(given.case, rows, folder)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, or one JSON object."""
    given = _parse(arguments)
    if given.folder:
        _as_child(given)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), quick=given.quick)
        rows = [bench.row(*case) for case in SPEED]
        frames = [
            Figure(title=f"a frame: {row.title}", value=_US / row.total_rate, unit="us", target=row.target, met=row.met)
            for row in rows
            if row.case.startswith("candles")
        ]
        figures = [*frames, *order_costs(bench), *memory(bench)]
    if given.as_json:
        how = {"quick": given.quick, "repeats": bench.repeats}
        print_json({**machine(), **how, "rows": msgspec.to_builtins(rows), "figures": msgspec.to_builtins(figures)})
    else:
        _print(rows, figures, quick=given.quick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
