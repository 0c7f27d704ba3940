"""`barbot sim`: a venue on loopback, with faults on request. Floor 5.

It speaks the venue's own protocol, so that anything that talks to the venue can be pointed at it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING, Final

import typer

from barbot.cli import options
from barbot.cli import simoptions as flags
from barbot.cli.simoptions import DEFAULT_SYMBOLS
from barbot.errors import ConfigError

if TYPE_CHECKING:
    from barbot.sim.chaos import Kind
    from barbot.sim.kucoin.simulator import KuCoinSimulator
    from barbot.sim.market import Market

_MOST_SYMBOLS: Final = 10_000

sim = typer.Typer(
    name="sim",
    help="Serve a fake venue on loopback.\n\nIt speaks the venue's own protocol, with faults on request.",
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
    random_walk: flags.RandomWalk = False,
    symbols: flags.Symbols = None,
    seed: flags.Seed = 1,
    speed: flags.Speed = 1.0,
    port: flags.Port = 0,
    start: flags.Start = None,
    history: flags.History = "10d",
    trades_per_minute: flags.TradesPerMinute = None,
    silent: flags.Silent = 0.0,
    drop: flags.Drop = None,
    outage: flags.Outage = None,
    late_update: flags.LateUpdate = None,
    reorder: flags.Reorder = None,
    duplicate: flags.Duplicate = None,
    garbage: flags.Garbage = None,
    token_expiry: flags.TokenExpiry = None,
    slow: flags.Slow = None,
    clock_skew: flags.ClockSkew = None,
    history_refused: flags.HistoryRefused = None,
    as_json: flags.AsJson = False,
) -> None:
    """Serve a KuCoin: REST and WebSocket, spot and futures, on one port.

    Times of faults are the venue's and count from the start: --outage 90s@5m, --drop @10m, --duplicate 2%.
    """
    from barbot.cli.durations import read_duration

    if feed and (random_walk or symbols):
        raise ConfigError("a recorded feed is no random walk", where="--feed", remedy="Give one of them")
    if feed:
        market, begins = _recorded(feed, start)
    else:
        span_s = read_duration(history, where="--history")
        market, begins = _walking(symbols or DEFAULT_SYMBOLS, start, seed, span_s, trades_per_minute, silent)
    faults: dict[Kind, Sequence[str] | None] = {
        "drop": drop,
        "outage": outage,
        "late_update": late_update,
        "reorder": reorder,
        "duplicate": duplicate,
        "garbage": garbage,
        "token_expiry": token_expiry,
        "slow": slow,
        "clock_skew": clock_skew,
        "history_refused": history_refused,
    }
    _serve(_simulator(market, faults, begins, seed), begins, speed, port, as_json=as_json)


def _simulator(market: Market, faults: Mapping[Kind, Sequence[str] | None], begins: int, seed: int) -> KuCoinSimulator:
    """Return a KuCoin of that market, with what the flags of faults ask for."""
    from barbot.cli.durations import read_duration
    from barbot.cli.faults import read_faults
    from barbot.sim.kucoin.settings import KuCoinSettings
    from barbot.sim.kucoin.simulator import KuCoinSimulator

    given = {kind: texts for kind, texts in faults.items() if texts}
    lifetimes = [text for text in given.get("token_expiry", ()) if not text.startswith("@")]
    given["token_expiry"] = [text for text in given.get("token_expiry", ()) if text.startswith("@")]
    settings = KuCoinSettings(seed=seed)
    if lifetimes:
        lifetime = read_duration(lifetimes[-1], where="--token-expiry")
        settings = KuCoinSettings(seed=seed, token_lifetime_s=lifetime)
    return KuCoinSimulator(market, settings, read_faults(given, begins, seed=seed))


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
