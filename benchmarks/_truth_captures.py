"""Captured WebSocket candles, replayed with the venue's closed flag hidden and shown.

The captures have no repair: what they hold is what there is. After the last message the clock runs on for a
quarter of a minute without data, because most captures end within a second of the last closed message.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import msgspec

from barbot.core.spec import FeedSpec, Grace
from barbot.model.instrument import FeedId
from barbot.model.market import Bar, BarUpdate, ClosedBy, Connected, MarketEvent
from barbot.timing.clock import parse_time
from barbot.timing.interval import SECOND
from barbot.timing.sessions import grid_for
from benchmarks._recording import Seen, run_events

Key: TypeAlias = tuple[str, int]
"""Feed and opening of a bar."""
Numbers: TypeAlias = tuple[float, float, float, float, float]

_MS: Final = 1_000_000
_RUNS_ON: Final = 15 * SECOND
_UNDECLARED_GRACE: Final = Grace()
_DECLARED_GRACE: Final = Grace(minimum=5 * SECOND, initial=5 * SECOND)
"""A venue that declares its closes is waited for: the slowest declaration of these captures came after 4.0 s."""

CAPTURES: Final = (
    ("binance_um_20210722", 4),
    ("binance_us_20211012", 1),
    ("bybit_20260809", 6),
    ("okcoin_20230527", 4),
    ("binance_1s_and_1m_20240928", 26),
    ("kucoin_20210425", 0),
    ("bitget_20220407", 0),
)
"""Each with how many closed bars the README counts in it."""


class Message(NamedTuple):
    """One captured candle."""

    now: int
    connection: str
    update: BarUpdate

    @property
    def key(self) -> Key:
        return self.update.feed, self.update.ts_open

    @property
    def numbers(self) -> Numbers:
        said = self.update
        return said.open, said.high, said.low, said.close, said.volume


class CaptureRow(msgspec.Struct, kw_only=True):
    """What became of one capture."""

    capture: str
    messages: int
    declared: int
    readme: int
    """Closed flags that the README counts."""
    ended: int
    """Bars that are over: declared closed, or followed by a newer one of their feed."""
    hidden_equal: int
    """Of `ended`, how many closed with the flag hidden, once, ending up with the last values that were sent."""
    hidden_by: dict[str, int]
    corrected: int
    shown_equal: int
    """Of `declared`, how many closed with the flag shown: once, by declaration, with the declared values."""
    twice: int
    why: str = ""
    ok: bool = False


def read_capture(data: Path, name: str) -> list[Message]:
    """Return the candles of a capture in order of arrival, stamped with their receipt, else the venue's time."""
    messages: list[Message] = []
    newest = 0
    for row in _rows(data / "ws" / f"{name}.candles.csv"):
        stamp = _ns(row["recv_ts"]) or int(row["event_ms"]) * _MS
        newest = max(newest, stamp)
        interval = row["interval"].replace("min", "m")
        feed = f"{name.partition('_')[0]}:{row['conn']}/{row['symbol']}@{interval}"
        prices = (float(row["open"]), float(row["high"]), float(row["low"]), float(row["close"]))
        update = BarUpdate(
            feed,
            int(row["bar_start_ms"]) * _MS,
            *prices,
            float(row["volume"]),
            is_closed=row["closed"] == "1",
            ts_event=int(row["event_ms"] or 0) * _MS,
            ts_recv=newest,
        )
        messages.append(Message(newest, row["conn"], update))
    return messages


def _rows(path: Path) -> Iterator[dict[str, str]]:
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
    else:
        with gzip.open(f"{path}.gz", "rt", encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def _ns(seconds: str) -> int:
    """Return `1626992742.2895691` in ns without going through a float; 0 for nothing."""
    whole, _, fraction = seconds.partition(".")
    return int(whole or 0) * SECOND + int(fraction.ljust(9, "0")[:9])


def replay(messages: Sequence[Message], *, hide_flag: bool, grace: Grace) -> dict[str, Seen]:
    """Run the messages through the engine, its contract checker on; return what a strategy saw."""
    feeds: dict[str, str] = {message.update.feed: message.connection for message in messages}
    specs = [
        FeedSpec(feed=feed, grid=grid_for("24/7", feed.interval), grace=grace) for feed in map(FeedId.parse, feeds)
    ]
    return run_events(specs, _steps(messages, feeds, hide_flag=hide_flag))


def _steps(
    messages: Sequence[Message], feeds: dict[str, str], *, hide_flag: bool
) -> Iterator[tuple[int, list[MarketEvent]]]:
    """Yield what arrived with one stamp as one step, connections first and silence last."""
    first, last = messages[0].now, messages[-1].now
    links = dict.fromkeys(feeds.values())
    yield first, [Connected(link, first, tuple(f for f, on in feeds.items() if on == link)) for link in links]
    events: list[MarketEvent] = []
    now = first
    for message in messages:
        if message.now != now:
            yield now, events
            now, events = message.now, []
        update = message.update
        events.append(msgspec.structs.replace(update, is_closed=False) if hide_flag else update)
    yield now, events
    yield last + _RUNS_ON, []


def judge(name: str, readme: int, messages: Sequence[Message]) -> CaptureRow:
    """Replay a capture both ways and compare with what the venue said last of each bar."""
    declared = {message.key: message.numbers for message in messages if message.update.is_closed}
    newest: dict[str, int] = {}
    for message in messages:
        newest[message.key[0]] = max(message.key[1], newest.get(message.key[0], 0))
    last_said = {message.key: message.numbers for message in messages}
    ended = {key: said for key, said in last_said.items() if key in declared or key[1] < newest[key[0]]}
    ended.update(declared)
    hidden = replay(messages, hide_flag=True, grace=_UNDECLARED_GRACE)
    shown = replay(messages, hide_flag=False, grace=_DECLARED_GRACE)
    by = [hidden[feed].closed[ts].closed_by for feed, ts in ended if ts in hidden[feed].closed]
    row = CaptureRow(
        capture=name,
        messages=len(messages),
        declared=len(declared),
        readme=readme,
        ended=len(ended),
        hidden_equal=sum(_holds(hidden, key, said) for key, said in ended.items()),
        hidden_by={reason.name: by.count(reason) for reason in ClosedBy if reason in by},
        corrected=sum(seen.corrections for seen in hidden.values()),
        shown_equal=sum(_holds(shown, key, said, by=ClosedBy.DECLARED) for key, said in declared.items()),
        twice=sum(n > 1 for run in (hidden, shown) for seen in run.values() for n in seen.times_closed.values()),
        why=_reason(name, hidden),
    )
    row.ok = (row.declared, row.hidden_equal, row.shown_equal, row.twice) == (readme, row.ended, row.declared, 0)
    return row


def _holds(seen: dict[str, Seen], key: Key, said: Numbers, *, by: ClosedBy | None = None) -> bool:
    """Whether the bar closed exactly once, ended up as `said`, and closed `by` that."""
    bar: Bar | None = seen[key[0]].closed.get(key[1])
    if bar is None or seen[key[0]].times_closed[key[1]] != 1 or (by is not None and bar.closed_by is not by):
        return False
    return (bar.open, bar.high, bar.low, bar.close, bar.volume) == said


def _reason(name: str, hidden: dict[str, Seen]) -> str:
    changed = [
        f"{seen.closed[ts].feed.partition('/')[2]} {_difference(told, seen.closed[ts])}"
        for seen in hidden.values()
        for ts, told in seen.first_told.items()
        if seen.closed[ts] != told
    ]
    notes = {
        "kucoin": "no closed flag: bars with a newer one behind them",
        "bitget": "no closed flag; 10 x 1000 bars of history, then live",
        "binance_1s": "no time of receipt: stamped with the venue's; a second's only message is its last",
    }
    note = next((text for start, text in notes.items() if name.startswith(start)), "")
    return "; ".join(filter(None, [note, *(f"corrected {text}" for text in changed)]))


def _difference(told: Bar, final: Bar) -> str:
    fields = ("open", "high", "low", "close", "volume")
    return " ".join(
        f"{field[0]} {getattr(told, field):g}->{getattr(final, field):g}"
        for field in fields
        if getattr(told, field) != getattr(final, field)
    )


def bitfinex(data: Path) -> CaptureRow:
    """Replay the log in which the old bar is sent again and again after the new one began.

    It has no prices but the close and no times of arrival: a bar is flat at its close, and messages come a
    second apart, from the newest bar's opening on.
    """
    messages: list[Message] = []
    now = 0
    with (data / "ws/bitfinex_interleaved_20180503.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            ts_open, price = parse_time(row["bar_start_utc"]), float(row["close"])
            now = max(now + SECOND, ts_open + SECOND)
            update = BarUpdate(
                "bitfinex:ws/X@1m", ts_open, price, price, price, price, float(row["volume"]), ts_recv=now
            )
            messages.append(Message(now, "ws", update))
    row_of = judge("bitfinex_interleaved_20180503", 0, messages)
    seen = replay(messages, hide_flag=True, grace=_UNDECLARED_GRACE)["bitfinex:ws/X@1m"]
    duplicates = seen.counts.duplicates if seen.counts is not None else 0
    row_of.why = f"the old bar comes {duplicates} times more with nothing new; closes and volumes only"
    return row_of


def capture_rows(data: Path) -> list[CaptureRow]:
    """Return a row for each capture."""
    rows = [judge(name, readme, read_capture(data, name)) for name, readme in CAPTURES]
    return [*rows, bitfinex(data)]
