"""`barbot sim`: a venue on loopback, with faults on request. Floor 5.

It speaks the venue's own protocol, so that anything that talks to the venue can be pointed at it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from threading import Event
from typing import TYPE_CHECKING, Annotated, Final

import typer

from barbot.cli import options
from barbot.errors import ConfigError

if TYPE_CHECKING:
    from barbot.sim.chaos import Chaos
    from barbot.sim.kucoin.simulator import KuCoinSimulator
    from barbot.sim.market import Market

DEFAULT_SYMBOLS: Final = "BTC-USDT,ETH-USDT"
_MOST_SYMBOLS: Final = 10_000

_When = "PERCENT|SPAN@AT"


def _fault(name: str, metavar: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, metavar=metavar, help=text)
    return option


Faults = options.Texts
sim = typer.Typer(
    name="sim",
    help="Serve a fake venue on loopback, speaking the venue's own protocol, with faults on request.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@sim.callback()
def _sim() -> None:
    pass


@sim.command("kucoin")
def kucoin(
    feed: options.Feeds = None,
    random_walk: Annotated[
        bool, typer.Option("--random-walk", help="Make the market up by the seed; the default without --feed.")
    ] = False,
    symbols: Annotated[
        str | None,
        typer.Option(metavar="NAMES|N", help=f"Of the random walk: symbols, or how many; default: {DEFAULT_SYMBOLS}."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the random walk and of faults.")] = 1,
    speed: Annotated[float, typer.Option(metavar="X", help="Let the venue's time run at X times the wall's.")] = 1.0,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0: the system chooses one.")] = 0,
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The venue's time at the start; default: now, or the first of the feed."),
    ] = None,
    history: Annotated[str, typer.Option(metavar="SPAN", help="How far back the random walk goes.")] = "10d",
    trades_per_minute: Annotated[
        float | None, typer.Option(metavar="X", help="Of each symbol of the random walk; default: 12.")
    ] = None,
    silent: Annotated[
        float, typer.Option(min=0.0, max=1.0, metavar="X", help="Fraction of minutes without a trade.")
    ] = 0.0,
    drop: Annotated[Faults, _fault("--drop", "PERCENT|@AT", "Cut connections: by chance a minute, or then.")] = None,
    outage: Annotated[Faults, _fault("--outage", "SPAN[@AT]", "Cut connections and accept none.")] = None,
    late_update: Annotated[
        Faults, _fault("--late-update", _When, "Send the last word on a candle after the first of the next.")
    ] = None,
    reorder: Annotated[Faults, _fault("--reorder", _When, "Let two pushes change places.")] = None,
    duplicate: Annotated[Faults, _fault("--duplicate", _When, "Send a push twice.")] = None,
    garbage: Annotated[Faults, _fault("--garbage", _When, "Send something unreadable in between.")] = None,
    token_expiry: Annotated[
        Faults, _fault("--token-expiry", "SPAN|@AT", "Tokens, and their connections, last so long; or all end then.")
    ] = None,
    slow: Annotated[Faults, _fault("--slow", "SECONDS[/SPAN][@AT]", "Send everything later.")] = None,
    clock_skew: Annotated[Faults, _fault("--clock-skew", "SECONDS[/SPAN][@AT]", "Set the venue's clock wrong.")] = None,
    history_refused: Annotated[
        Faults, _fault("--history-refused", "always|SPAN@AT", "Refuse candles over REST.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the endpoint as one JSON object.")] = False,
) -> None:
    """Serve a KuCoin: REST and WebSocket, spot and futures, on one port.

    Times of faults are the venue's and count from the start: --outage 90s@5m, --drop @10m, --duplicate 2%.
    """
    from barbot.cli.faults import as_kinds, read_duration, read_faults
    from barbot.sim.kucoin.settings import KuCoinSettings
    from barbot.sim.kucoin.simulator import KuCoinSimulator

    if feed and (random_walk or symbols):
        raise ConfigError("a recorded feed is no random walk", where="--feed", remedy="Give one of them")
    span_s = read_duration(history, where="--history")
    market, begins = (
        _recorded(feed, start)
        if feed
        else _walking(symbols or DEFAULT_SYMBOLS, start, seed, span_s, trades_per_minute, silent)
    )
    flags = (
        ("drop", drop),
        ("outage", outage),
        ("late_update", late_update),
        ("reorder", reorder),
        ("duplicate", duplicate),
        ("garbage", garbage),
        ("token_expiry", [text for text in token_expiry or () if text.startswith("@")]),
        ("slow", slow),
        ("clock_skew", clock_skew),
        ("history_refused", history_refused),
    )
    chaos: Chaos = read_faults(as_kinds(flags), begins, seed=seed)
    lifetimes = [text for text in token_expiry or () if not text.startswith("@")]
    settings = KuCoinSettings(seed=seed)
    if lifetimes:
        lifetime = read_duration(lifetimes[-1], where="--token-expiry")
        settings = KuCoinSettings(seed=seed, token_lifetime_s=lifetime)
    simulator = KuCoinSimulator(market, settings, chaos)
    _serve(simulator, begins, speed, port, as_json=as_json)


def _recorded(paths: Sequence[str], start: str | None) -> tuple[Market, int]:
    """Return the market of a recording, and the venue's time at the start."""
    from barbot.sim.market import Market
    from barbot.sim.recorded import open_recording
    from barbot.timing.clock import parse_time
    from barbot.timing.interval import MINUTE

    tapes = open_recording(paths)
    first = min(tape.ts_first for tape in tapes)
    return Market(tapes), first - first % MINUTE if start is None else parse_time(start, where="--start")


def _walking(
    symbols: str, start: str | None, seed: int, history_s: float, trades: float | None, silent: float
) -> tuple[Market, int]:
    """Return a market that is made up, and the venue's time at the start."""
    from barbot.sim.market import Market
    from barbot.sim.walk import walking
    from barbot.timing.clock import SystemClock, parse_time
    from barbot.timing.interval import SECOND

    now = SystemClock().now() if start is None else parse_time(start, where="--start")
    first = now - round(history_s * SECOND)
    tapes = (
        walking(name, seed=seed, ts_first=first, trades_per_minute=trades, silent_fraction=silent)
        for name in symbol_names(symbols)
    )
    return Market(tapes), now


def symbol_names(text: str) -> list[str]:
    """Return the symbols that `BTC-USDT,ETH-USDT` or a number asks for.

    Raises:
        ConfigError: the number is too large, or 0.
    """
    if not text.isdecimal():
        return [name.strip() for name in text.split(",")]
    count = int(text)
    if not 1 <= count <= _MOST_SYMBOLS:
        raise ConfigError(f"{count} symbols", where="--symbols", remedy=f"Give 1 to {_MOST_SYMBOLS}, or names")
    return [f"S{number:04d}-USDT" for number in range(1, count + 1)]


def _serve(simulator: KuCoinSimulator, begins: int, speed: float, port: int, *, as_json: bool) -> None:
    """Serve until Ctrl-C; say where, as soon as it is known."""
    import anyio

    from barbot.cli.interrupt import stopping
    from barbot.sim.pace import ScaledClock
    from barbot.sim.server import HOST, serve

    stop = Event()
    clock = ScaledClock(begins, speed)

    def ready(chosen: int) -> None:
        simulator.serve_at(f"ws://{HOST}:{chosen}/endpoint")
        _announce(f"http://{HOST}:{chosen}", list(simulator.market.listings), begins, speed, as_json=as_json)

    async def run() -> None:
        await serve(simulator, clock, port=port, ready=ready, stopped=stop.is_set)

    with stopping(stop, sys.stderr):
        try:
            anyio.run(run)
        except OSError as error:
            raise ConfigError(
                f"port {port} cannot be used: {error}", where="--port", remedy="Leave it out to get a free one"
            ) from error


def _announce(endpoint: str, names: list[str], begins: int, speed: float, *, as_json: bool) -> None:
    from barbot.cli.terminal import plural, print_json
    from barbot.timing.clock import iso

    if as_json:
        import msgspec

        said = {"endpoint": endpoint, "symbols": names, "start": iso(begins), "speed": speed}
        print_json(msgspec.json.encode(said) + b"\n")
        return
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    typer.echo(f"KuCoin at {endpoint}  {plural(len(names), 'symbol')} ({shown}), {iso(begins)[:19]}Z, speed {speed:g}")
    typer.echo(f"barbot run STRATEGY --endpoint kucoin={endpoint}" + (f" --speed {speed:g}" if speed != 1 else ""))
    sys.stdout.flush()
