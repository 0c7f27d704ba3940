"""The options of `barbot sim`, each with its help; `faults` reads those that say what goes wrong. Floor 5."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from barbot.cli.options import Text, Texts

DEFAULT_SYMBOLS: Final = "BTC-USDT,ETH-USDT"

_WHEN: Final = "PERCENT|SPAN@AT"
_AMOUNT: Final = "SECONDS[/SPAN][@AT]"

RandomWalk = Annotated[
    bool, typer.Option("--random-walk", help="Make the market up by the seed; the default without --feed.")
]
Symbols = Annotated[
    Text,
    typer.Option(metavar="NAMES|N", help=f"Of the random walk: symbols, or how many; default: {DEFAULT_SYMBOLS}."),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Of the random walk and of faults.")]
Speed = Annotated[float, typer.Option(metavar="X", help="Let the venue's time run at X times the wall's.")]
Port = Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0: the system chooses one.")]
Start = Annotated[
    Text,
    typer.Option(
        metavar="TIME",
        help="The venue's time at the start; what is before is history. Default: now, or the first of the feed.",
    ),
]
History = Annotated[str, typer.Option(metavar="SPAN", help="How far back the random walk goes.")]
TradesPerMinute = Annotated[
    float | None, typer.Option(metavar="X", help="Of each symbol of the random walk; default: 12.")
]
Silent = Annotated[float, typer.Option(min=0.0, max=1.0, metavar="X", help="Fraction of minutes without a trade.")]
Drop = Annotated[
    Texts, typer.Option("--drop", metavar="PERCENT|@AT", help="Cut connections: by chance a minute, or then.")
]
Outage = Annotated[Texts, typer.Option("--outage", metavar="SPAN[@AT]", help="Cut connections and accept none.")]
LateUpdate = Annotated[
    Texts,
    typer.Option("--late-update", metavar=_WHEN, help="Send the last word on a candle after the first of the next."),
]
Reorder = Annotated[Texts, typer.Option("--reorder", metavar=_WHEN, help="Let two pushes change places.")]
Duplicate = Annotated[Texts, typer.Option("--duplicate", metavar=_WHEN, help="Send a push twice.")]
Garbage = Annotated[Texts, typer.Option("--garbage", metavar=_WHEN, help="Send something unreadable in between.")]
TokenExpiry = Annotated[
    Texts,
    typer.Option(
        "--token-expiry", metavar="SPAN|@AT", help="Tokens, and their connections, last so long; or all end then."
    ),
]
Slow = Annotated[Texts, typer.Option("--slow", metavar=_AMOUNT, help="Send everything later.")]
ClockSkew = Annotated[Texts, typer.Option("--clock-skew", metavar=_AMOUNT, help="Set the venue's clock wrong.")]
HistoryRefused = Annotated[
    Texts, typer.Option("--history-refused", metavar="always|SPAN@AT", help="Refuse candles over REST.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the endpoint as one JSON object.")]
