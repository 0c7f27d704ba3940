"""`barbot record`: live feeds into a journal. Floor 5."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from barbot.cli import options
from barbot.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import ConsoleRenderable

    from barbot.run.record import RecordOutcome, RecordPlan, RecordStatus

_SIZE: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kMGT]?i?)B?", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_LEAST_BYTES: Final = 10_000


def record(
    feeds: Annotated[list[str], typer.Argument(metavar="FEED", help="What to record, such as kucoin:BTC-USDT@1m.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The journal to write; its name ends in .jsonl.zst.")
    ],
    run_for: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help="End after so long: 90s, 10m, 2h; default: Ctrl-C.")
    ] = None,
    endpoint: options.Endpoints = None,
    speed: Annotated[
        str | None, typer.Option(metavar="X", help="How fast the clock of the endpoint runs; default: as ours.")
    ] = None,
    warmup: Annotated[
        int, typer.Option(min=0, metavar="N", help="Bars of history before the first one, for a strategy's window.")
    ] = 200,
    trades: Annotated[bool, typer.Option("--trades", help="Record the trades of each instrument, too.")] = False,
    quotes: Annotated[bool, typer.Option("--quotes", help="Record best bid and ask of each instrument, too.")] = False,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="End when the file has this size: 500MB, 1GB.")
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Do not end then, go on in NAME.1.jsonl.zst, NAME.2.jsonl.zst ...")
    ] = False,
    config: options.ConfigFile = None,
    as_json: options.AsJson = False,
    log_level: options.LogLevel = None,
) -> None:
    """Record live feeds, for `barbot run STRATEGY --feed FILE`.

    Every message is stamped and written as it came; history is fetched for the warm-up, and for what was missed when a
    connection was lost. Ctrl-C ends the recording and seals it; after a kill it can be read up to the last tenth of a
    second.
    """
    from barbot import config as settings_of
    from barbot.cli.durations import read_span
    from barbot.cli.planning import check_endpoints, read_endpoints
    from barbot.model.instrument import FeedId
    from barbot.run.record import RecordPlan

    settings = settings_of.load(config, {"run.speed": speed})
    endpoints = read_endpoints(endpoint or ())
    check_endpoints(endpoints, [FeedId.parse(feed).provider for feed in feeds], settings)
    plan = RecordPlan(
        feeds=tuple(feeds),
        file=output,
        warmup=warmup,
        trades=trades,
        quotes=quotes,
        max_bytes=read_size(max_size),
        rotate=rotate,
        endpoints=endpoints,
        venues=settings.providers,
        speed=settings.run.speed,
        run_for_s=read_span(run_for, where="--for"),
    )
    _show_outcome(_record(plan, log_level), as_json=as_json)


def read_size(text: str | None) -> int | None:
    """Read `500MB`, `1.5GB`, `64KiB` or a number of bytes; None without a text.

    Raises:
        ConfigError: it is no size, or too small for a header.
    """
    if text is None:
        return None
    match = _SIZE.fullmatch(text.strip())
    if match is None or match["unit"].lower() not in _UNITS:
        raise ConfigError(f"{text!r} is no size", where="--max-size", remedy="Write 500MB or 1GB")
    size = round(float(match["number"]) * _UNITS[match["unit"].lower()])
    if size < _LEAST_BYTES:
        raise ConfigError(f"{text!r} is too small", where="--max-size", remedy="Give 10kB or more")
    return size


def _record(plan: RecordPlan, log_level: str | None) -> RecordOutcome:
    """Record to the end or to Ctrl-C, showing how it goes."""
    from threading import Event

    from barbot import config
    from barbot.cli.interrupt import stopping
    from barbot.cli.livelines import LiveLog
    from barbot.cli.livescreen import Screen
    from barbot.cli.terminal import errors
    from barbot.run.record import Recording
    from barbot.timing.clock import stopwatch

    stop, console = Event(), errors()
    with Screen(console) as screen:
        lines = LiveLog(log_level, screen.stream, with_bars=False)
        recording = Recording(plan, environment=config.proxies(), tell=lines.tell, saw=lines.saw)
        began = stopwatch()

        def show(status: RecordStatus) -> None:
            screen.draw(lambda: _status(status, stopwatch() - began))

        with stopping(stop, screen.stream):
            return recording.run(stop=stop, show=show if screen.is_shown else None)


def _status(status: RecordStatus, seconds: float) -> ConsoleRenderable:
    from rich.text import Text

    from barbot.cli.livescreen import duration
    from barbot.cli.terminal import moment, plural

    newest = max(status.last_bars.values(), default=-1)
    bar = moment(newest)[11:16] if newest >= 0 else "-"
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(Path(status.file).name, "bold").append(f"  {size_text(status.size)}  running {duration(seconds)}\n")
    line.append(f"{plural(status.connections, 'connection')} up, {plural(status.reconnects, 'reconnect')}, ")
    return line.append(f"{plural(status.frames, 'frame')}, newest bar {bar}")


def size_text(size: int) -> str:
    """Print a size in three digits or so: 950 B, 12 kB, 3.4 MB."""
    for bytes_each, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= bytes_each:
            return f"{size / bytes_each:.{0 if size >= 10 * bytes_each else 1}f} {unit}"
    return f"{size} B"


def _show_outcome(outcome: RecordOutcome, *, as_json: bool) -> None:
    import msgspec

    from barbot.cli.livescreen import duration
    from barbot.cli.terminal import output, plural, print_json, print_rows

    if as_json:
        print_json(msgspec.json.format(msgspec.json.encode(outcome), indent=2) + b"\n")
        return
    rows = [("" if number else "Recorded", path, "bold") for number, path in enumerate(outcome.files)]
    rows += [
        ("" if n else "Feeds", f"{feed}  {plural(bars, 'bar')}", "")
        for n, (feed, bars) in enumerate(outcome.feeds.items())
    ]
    rows.append(("Frames", f"{outcome.frames:,} in {duration(outcome.seconds)}, {size_text(outcome.size)}", ""))
    rows.append(("Reconnects", f"{outcome.reconnects:,}", "yellow" if outcome.reconnects else ""))
    rows.append(("Ended by", outcome.ended, ""))
    rows += [("" if number else "Warnings", warning, "yellow") for number, warning in enumerate(outcome.warnings)]
    print_rows(output(), rows)
