"""A plotted walk through a run: what the strategy saw, what it did, and what became of the money.

    python examples/walkthrough.py [STRATEGY [FEED]]

Runs the strategy as you would from a shell, with a run directory in a temporary folder and every callback in its
audit file, then draws from that directory alone. The picture is saved next to the run. Needs matplotlib, which
is no dependency of barbot: pip install matplotlib
"""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from math import nan
from pathlib import Path
from types import ModuleType
from typing import Final

import msgspec

from barbot import HOUR, Bar, Gap, Quality, Side

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdFile
else:
    from backports.zstd import ZstdFile

ROOT: Final = Path(__file__).resolve().parents[1]
STRATEGY: Final = "strategies/sma_cross.py"
FEED: Final = "examples/feeds/btc-usdt-1m.jsonl.zst"
SHADES: Final = {Quality.QUIET: "#d9d9d9", Quality.REFILLED: "#9ecae1", Quality.GAP: "#fcae91"}
LEGEND: Final = "shaded: grey quiet, blue refilled from history, red missing"
PRICE, UP, DOWN, MONEY = "#555555", "#1b7837", "#b2182b", "#2166ac"


@dataclass
class Walk:
    """What a run directory tells of the run and its first feed; the bars are as they were in the end."""

    result: dict[str, object]
    feed: str = ""
    bars: list[Bar] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    fills: list[tuple[int, Side, float]] = field(default_factory=list)
    equity: list[tuple[int, float]] = field(default_factory=list)


def run(strategy: str, feed: str) -> dict[str, object]:
    """Run it in a process of its own and return what `--json` prints."""
    runs_dir = tempfile.mkdtemp(prefix="barbot-walkthrough-")
    command = [sys.executable, "-m", "barbot", "run", strategy, "--feed", feed, "--json"]
    command += ["--runs-dir", runs_dir, "--audit", "full"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        sys.exit(done.stderr or done.stdout)
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def read(result: dict[str, object]) -> Walk:
    """Read the run directory: its audit file for the bars, its ledger for fills and equity."""
    folder = ROOT / str(result["run_dir"])
    walk = Walk(result)
    bars: dict[int, Bar] = {}
    for kind, *fields in audit_of(folder / "audit.jsonl.zst"):
        if kind in ("close", "correct"):
            bar = msgspec.convert(fields[0], Bar)
            walk.feed = walk.feed or bar.feed
            if bar.feed == walk.feed:
                bars[bar.ts_open] = bar
        elif kind == "gap":
            gap = msgspec.convert(fields[0], Gap)
            walk.gaps.append((gap.ts_from, gap.ts_to))
    walk.bars = [bars[ts] for ts in sorted(bars)]
    instrument = walk.feed.rpartition("@")[0]
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        fills = ledger.execute("SELECT ts_event, side, price FROM fills WHERE instrument = ?", (instrument,)).fetchall()
        walk.fills = [(ts, Side[side], float(price)) for ts, side, price in fills]
        equity = ledger.execute("SELECT ts, equity FROM equity ORDER BY ts").fetchall()
        walk.equity = [(ts, float(amount)) for ts, amount in equity]
    return walk


def audit_of(path: Path) -> Iterator[list[object]]:
    """Yield the records of an audit file: `[kind, ...]` each."""
    with path.open("rb") as file:
        for line in io.TextIOWrapper(ZstdFile(file), encoding="utf-8"):
            record = json.loads(line)
            assert isinstance(record, list)
            yield record


def time_of(ts: int) -> datetime:
    """Return ns since the epoch as matplotlib takes it."""
    return datetime.fromtimestamp(ts / 1e9, UTC)


def draw(walk: Walk, plt: ModuleType) -> Path:
    """Draw the whole run, a closer look, and the equity; return where the picture is."""
    figure, (whole, close_up, money) = plt.subplots(
        3, 1, figsize=(13, 11), height_ratios=[3, 3, 2], layout="constrained"
    )
    draw_price(whole, walk, walk.bars[0].ts_open, walk.bars[-1].ts_close, is_close=False)
    whole.set_title(f"{walk.result['strategy']} over {walk.feed}", loc="left")
    ts_from, ts_to = stretch(walk)
    draw_price(close_up, walk, ts_from, ts_to, is_close=True)
    close_up.set_title(f"a closer look; {LEGEND}", loc="left")
    money.plot([time_of(ts) for ts, _ in walk.equity], [amount for _, amount in walk.equity], color=MONEY, lw=1.2)
    money.set_title("equity, fees included", loc="left")
    for axes in (whole, close_up, money):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    picture = ROOT / str(walk.result["run_dir"]) / "walkthrough.png"
    figure.savefig(picture, dpi=110)
    return picture


def stretch(walk: Walk) -> tuple[int, int]:
    """Return four hours around the first bar that is not simply sound and not quiet, or the first four."""
    odd = (bar.ts_open for bar in walk.bars if bar.quality in (Quality.REFILLED, Quality.GAP))
    middle = next(odd, walk.bars[0].ts_open + 2 * HOUR)
    return middle - 2 * HOUR, middle + 2 * HOUR


def draw_price(axes: ModuleType, walk: Walk, ts_from: int, ts_to: int, *, is_close: bool) -> None:
    """Draw closes, holes and fills of `[ts_from, ts_to)`; from close by, single bars are marked as well."""
    bars = [bar for bar in walk.bars if ts_from <= bar.ts_open < ts_to]
    axes.plot(*line_of(bars), color=PRICE, lw=0.9, label="close")
    for bar in bars:
        if bar.quality in SHADES:
            axes.axvspan(time_of(bar.ts_open), time_of(bar.ts_close), color=SHADES[bar.quality], lw=0, zorder=0)
    for start, end in walk.gaps:
        if ts_from <= start < ts_to:
            axes.axvspan(time_of(start), time_of(end), color=SHADES[Quality.GAP], lw=0, zorder=0)
    late = [(time_of(bar.ts_close), bar.close) for bar in bars if bar.corrected]
    if is_close and late:
        axes.plot([x for x, _ in late], [y for _, y in late], "o", ms=6, mfc="none", color=PRICE, label="corrected")
    for side, marker, colour, label in ((Side.BUY, "^", UP, "bought"), (Side.SELL, "v", DOWN, "sold")):
        points = [(time_of(ts), price) for ts, of, price in walk.fills if of is side and ts_from <= ts < ts_to]
        size = 60 if is_close else 14
        axes.scatter([x for x, _ in points], [y for _, y in points], size, colour, marker=marker, label=label, zorder=3)
    axes.legend(frameon=False, ncols=4, loc="best", fontsize=9)


def line_of(bars: list[Bar]) -> tuple[list[datetime], list[float]]:
    """Return times and closes, broken where bars are missing: nothing is drawn where nothing is known."""
    times, closes = [], []
    for previous, bar in zip([None, *bars], bars, strict=False):
        if previous is not None and previous.ts_close != bar.ts_open:
            times.append(time_of(bar.ts_open))
            closes.append(nan)
        times.append(time_of(bar.ts_close))
        closes.append(bar.close)
    return times, closes


def main(strategy: str = STRATEGY, feed: str = FEED) -> None:
    """Run, read, draw."""
    if find_spec("matplotlib") is None:
        sys.exit("The picture needs matplotlib, which is not installed. Run: pip install matplotlib")
    import_module("matplotlib").use("Agg")
    walk = read(run(strategy, feed))
    print(f"{len(walk.bars)} bars, {len(walk.fills)} fills, digest {walk.result['digest']}")
    print(f"the picture: {draw(walk, import_module('matplotlib.pyplot'))}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
