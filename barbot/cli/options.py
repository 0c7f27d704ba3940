"""The options of `barbot run`, each with its help; `--help` shows them in the order of the command's arguments.
Floor 5.

What an option may say is checked by `barbot.config`, so that flags, environment and barbot.toml have one set of
rules and one kind of error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Text: TypeAlias = str | None
Texts: TypeAlias = list[str] | None

StrategyFile = Annotated[str, typer.Argument(metavar="STRATEGY", help="The strategy's Python file.")]
Feeds = Annotated[
    Texts,
    typer.Option(
        "--feed",
        "-f",
        metavar="FILE",
        help="A recorded feed, in place of live data: a journal (*.jsonl.zst), or CSV or Parquet bars or ticks; may be "
        "given several times, be a glob, and name its instrument: kucoin:BTC-USDT@1m=FILE.",
    ),
]
Name = Annotated[
    Text, typer.Option("--strategy", "-s", metavar="CLASS", help="Which strategy, where the file defines several.")
]
Params = Annotated[
    Texts,
    typer.Option(
        "--param", "-p", metavar="NAME=VALUE", help="A parameter of the strategy; may be given several times."
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Settings; default: barbot.toml here, if there is one."),
]
Cash = Annotated[Text, typer.Option(metavar="AMOUNT", help='Starting cash, such as "10000 USDT".')]
FeeBps = Annotated[
    Text, typer.Option("--fee-bps", metavar="N", help="Fee of every fill, in hundredths of a percent; default: 10.")
]
TimeFrom = Annotated[
    Text, typer.Option("--from", metavar="TIME", help="Begin here: 2026-01-31 or 2026-01-31T09:30:00Z.")
]
TimeTo = Annotated[Text, typer.Option("--to", metavar="TIME", help="End before this time.")]
Endpoints = Annotated[
    Texts,
    typer.Option(
        "--endpoint",
        metavar="PROVIDER=URL",
        help="Live: an address in place of the venue's own, such as that of a simulator; may be given several times.",
    ),
]
RunFor = Annotated[
    Text, typer.Option("--for", metavar="SPAN", help="Live: end after so long by the clock on the wall: 90s, 10m, 2h.")
]
Speed = Annotated[
    Text,
    typer.Option(
        metavar="X",
        help="Play at X times the recorded speed; default: as fast as it goes. Live: how fast the clock of the "
        "endpoint runs.",
    ),
]
Label = Annotated[Text, typer.Option(metavar="open|close", help="Which side of its bar a row's time names.")]
Zone = Annotated[Text, typer.Option(metavar="NAME", help="Time zone of rows that name none, such as Asia/Hong_Kong.")]
BarLength = Annotated[
    Text, typer.Option("--interval", metavar="LENGTH", help="Bar length of the rows, where it cannot be inferred: 1m.")
]
Intrabar = Annotated[
    Text, typer.Option(metavar="none|ohlc", help="Show a row as one closed bar, or walk it open, high, low, close.")
]
Missing = Annotated[
    Text, typer.Option(metavar="gap|quiet", help="What a missing row means: not known, or nothing was traded.")
]
Check = Annotated[bool, typer.Option("--check", help="Verify the bar contract inside the engine while it runs.")]
OnError = Annotated[Text, typer.Option(metavar="stop|continue", help="What a hook that raises does to the run.")]
Audit = Annotated[
    Text, typer.Option(metavar="events|full|off", help="What the audit file holds: the unusual, all, nothing.")
]
RunsDir = Annotated[
    Path | None, typer.Option("--runs-dir", metavar="DIR", help="Where run directories are made; default: runs.")
]
RunDir = Annotated[bool, typer.Option("--run-dir/--no-run-dir", help="Keep the run on disk, or nothing of it.")]
Report = Annotated[bool, typer.Option("--report/--no-report", help="Write report.html into the run directory.")]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the result as one JSON object on standard output; nothing is printed there on failure."
    ),
]
LogLevel = Annotated[
    Text,
    typer.Option(
        "--log-level",
        metavar="LEVEL",
        help="Log every line of this level and above: debug, info, warning, error; default: the first few warnings; "
        "live: info.",
    ),
]
Traceback = Annotated[bool, typer.Option("--traceback", help="Show the Python traceback of an error.")]
