"""Are barbot's bars the right ones? Built from recorded ticks and messages, against bars of other hands.

    python benchmarks/truth.py [--quick] [--json] [--data DIR]

The nine-trade tape of the bar contract needs no data. All else reads the recorded market data beside the
repository (`../shared/data`; what they are and what is known of them is in their README) and is left out, with
a word, where they are not there. Ends with code 1 if anything differs beyond what that README states.

Column files go through the very path of `barbot run` (barbot.feeds, the engine, a strategy that writes down what
it is shown); captured messages through the engine with its contract checker on.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this tree, installed or not

from barbot.core.spec import FeedSpec, Grace, Source
from barbot.model.instrument import FeedId
from barbot.model.market import Bar, Connected, Heartbeat, MarketEvent, Quality, Trade
from barbot.timing.clock import parse_time
from barbot.timing.interval import DAY, MINUTE, SECOND
from barbot.timing.sessions import grid_for
from benchmarks._recording import run_events
from benchmarks._table import DATA, parser, print_json, say, show
from benchmarks._truth_captures import CaptureRow, capture_rows
from benchmarks._truth_sessions import SessionRow, session_rows
from benchmarks._truth_ticks import TickRow, tick_rows

_START: Final = parse_time("2026-01-31T00:00:00Z")
_MS: Final = SECOND // 1000
_NAME: Final = "tape:X-USD"


class TapeRow(msgspec.Struct, kw_only=True):
    """One bar of the tape."""

    bar: str
    found: str
    expected: str
    ok: bool = False

    def __post_init__(self) -> None:
        self.ok = self.found == self.expected


def tape() -> list[TapeRow]:
    """Play the nine trades of CONTRACT.md with a ping every two seconds; compare each bar as it ended up."""
    stamped = [
        *((minute * MINUTE + ms * _MS, price, number) for minute, ms, price, number in (
            (0, 20_000, 100.0, 1), (0, 50_000, 101.0, 2), (1, 0, 102.0, 3))),
        (2 * MINUTE - _MS // 2, 103.0, 4),
        *((minute * MINUTE + ms * _MS, price, number) for minute, ms, price, number in (
            (2, 10_000, 104.0, 5), (1, 58_000, 90.0, 6), (2, 10_000, 104.0, 5), (5, 5_000, 105.0, 8))),
        (DAY + 5 * MINUTE + 5 * SECOND, 106.0, 9),
    ]  # fmt: skip
    feed = FeedId.parse(f"{_NAME}@1m")
    spec = FeedSpec(feed=feed, grid=grid_for("24/7", feed.interval), source=Source.TRADES, grace=Grace())
    steps: list[tuple[int, list[MarketEvent]]] = []
    now = _START + 20 * SECOND
    steps.append((now, [Connected("link", now, (str(feed),))]))
    for at, price, number in stamped:
        while now + 2 * SECOND < _START + at:
            now += 2 * SECOND
            steps.append((now, [Heartbeat("link", now)]))
        now = max(now, _START + at)
        steps.append((now, [Trade(_NAME, price, 1.0, _START + at, number)]))
    seen = run_events([spec], steps)[str(feed)]
    rest = [seen.closed[ts] for ts in sorted(seen.closed) if ts >= _START + 6 * MINUTE]
    expected = {
        0: "o100 h101 l100 c101 v2 PARTIAL",
        1: "o102 h103 l90 c103 v3 OK corrected 1, closed first with l102 v2",
        2: "o104 h104 l104 c104 v1 OK",
        3: "o104 h104 l104 c104 v0 QUIET",
        4: "o104 h104 l104 c104 v0 QUIET",
        5: "o105 h105 l105 c105 v1 OK",
    }
    rows = []
    for minute, should in expected.items():
        ts_open = _START + minute * MINUTE
        bar, told = seen.closed[ts_open], seen.first_told[ts_open]
        text = _words(bar)
        if bar != told:
            text += f" corrected {bar.corrected}, closed first with l{told.low:g} v{told.volume:g}"
        rows.append(TapeRow(bar=f"minute {minute}", found=text, expected=should))
    quiet = sum(bar.quality is Quality.QUIET and bar.close == 105.0 for bar in rest)
    rows.append(
        TapeRow(
            bar="until next day", found=f"{quiet} of {len(rest)} QUIET at 105", expected="1439 of 1439 QUIET at 105"
        )
    )
    assert seen.forming is not None
    rows.append(TapeRow(bar="next day", found=_words(seen.forming), expected="o106 h106 l106 c106 v1 OK"))
    duplicates = seen.counts.duplicates if seen.counts is not None else 0
    rows.append(TapeRow(bar="the repeated trade", found=f"{duplicates} counted", expected="1 counted"))
    return rows


def _words(bar: Bar) -> str:
    return f"o{bar.open:g} h{bar.high:g} l{bar.low:g} c{bar.close:g} v{bar.volume:g} {bar.quality.name}"


class Truth(msgspec.Struct):
    """All tables."""

    tape: list[TapeRow]
    ticks: list[TickRow] = []
    captures: list[CaptureRow] = []
    sessions: list[SessionRow] = []
    skipped: str = ""

    @property
    def failures(self) -> list[str]:
        """Name every row that is not as it must be."""
        named: list[tuple[str, bool]] = [(f"tape: {row.bar}", row.ok) for row in self.tape]
        named += [(f"ticks: {row.source}", row.ok) for row in self.ticks]
        named += [(f"captures: {row.capture}", row.ok) for row in self.captures]
        named += [(f"sessions: {row.source} {row.what}", row.ok) for row in self.sessions]
        return [name for name, ok in named if not ok]


def look(data: Path, *, quick: bool = False) -> Truth:
    """Return all that can be looked at with what is there; `quick` leaves the largest files out."""
    found = Truth(tape())
    if not data.is_dir():
        found.skipped = f"no recorded market data at {data}: only the tape was played"
        return found
    with tempfile.TemporaryDirectory() as scratch:
        found.ticks = tick_rows(data, Path(scratch), quick=quick)
        found.captures = capture_rows(data)
        found.sessions = session_rows(data, Path(scratch), quick=quick)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, or one JSON object; return the exit code."""
    options = parser(__doc__)
    options.add_argument("--data", type=Path, default=DATA, help="the folder of recorded market data")
    given = options.parse_args(arguments)
    found = look(given.data, quick=given.quick)
    if given.as_json:
        print_json({**_plain(found), "failures": found.failures})
    else:
        _print(found)
    return 1 if found.failures else 0


def _plain(found: Truth) -> Mapping[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(found)
    return plain


def _mark(ok: bool) -> str:
    return "yes" if ok else "NO"


def _print(found: Truth) -> None:
    show(
        "The nine-trade tape of the bar contract",
        ("bar", "is", "right"),
        [(row.bar, row.found, _mark(row.ok)) for row in found.tape],
        left=2,
    )
    if found.skipped:
        say(found.skipped)
    else:
        _print_ticks(found.ticks)
        _print_captures(found.captures)
        show(
            "Sessions, labels, holes: recorded bars through the column feed",
            ("source", "what", "found", "must be", "right"),
            [(row.source, row.what, row.found, row.expected, _mark(row.ok)) for row in found.sessions],
            left=2,
        )
        say(
            "Auction bars are no longer than the auction and stand alone; on 8 of the 493 days of HK.00700 Futu's own "
            "is not flat, so that is not asked for."
        )
    say("All is as it must be." if not found.failures else "Not as it must be: " + ", ".join(found.failures))


def _print_ticks(rows: Sequence[TickRow]) -> None:
    show(
        "Bars built from recorded ticks, against independent bars of the same source (README: what it states)",
        ("source", "bars", "OHLC", "README", "OHLCV", "README", "QUIET", "right"),
        [
            (
                row.source, row.bars, row.ohlc, row.readme_ohlc, "-" if row.ohlcv is None else row.ohlcv,
                "-" if row.readme_ohlcv is None else row.readme_ohlcv, row.quiet, _mark(row.ok),
            )
            for row in rows
        ],
    )  # fmt: skip
    say(
        "Prices equal to 1e-12, volumes to 1e-9. QUIET: bars without a trade, of which the independent sources have "
        "none; as many as they leave out between their first and last. A bar that still forms when the file ends is "
        "compared as it stands. No tick was refused. What differs, and why:"
    )
    for row in rows:
        if row.why:
            say(f"  {row.source}: {row.why}")
    say("")


def _print_captures(rows: Sequence[CaptureRow]) -> None:
    show(
        "Captured candles, replayed with the venue's closed flag hidden and shown (checker on)",
        ("capture", "sent", "over", "equal", "by", "corr.", "flagged", "equal", "twice", "right"),
        [
            (
                row.capture.rpartition("_")[0], row.messages, row.ended, row.hidden_equal,
                " ".join(f"{reason.lower()[:3]} {n}" for reason, n in row.hidden_by.items()), row.corrected,
                row.declared, row.shown_equal, row.twice, _mark(row.ok),
            )
            for row in rows
        ],
    )  # fmt: skip
    say(
        "over: bars declared closed or followed by a newer one. equal: with the flag hidden, closed once and in the "
        "end (corr.: corrections) as last sent; by: superseded or elapsed, grace 2 s. flagged: declared closed; equal: "
        "with the flag shown closed once, DECLARED, as declared, grace 5 s (OKCoin declares up to 4.0 s after the end)."
    )
    for row in rows:
        if row.why:
            say(f"  {row.capture}: {row.why}")
    say("")


if __name__ == "__main__":
    sys.exit(main())
