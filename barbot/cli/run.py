"""`barbot run`: a strategy over live or recorded feeds, on paper. Floor 5."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from barbot.cli import options

if TYPE_CHECKING:
    from threading import Event

    from rich.console import Console

    from barbot.report.result import RunResult
    from barbot.run.live import LiveStatus
    from barbot.run.outcome import RunOutcome
    from barbot.run.plan import RunPlan

TRACEBACK: Final = "barbot.traceback"
"""The key of the command's context that asks for tracebacks."""


def run(
    ctx: typer.Context,
    strategy: options.StrategyFile,
    feed: options.Feeds = None,
    name: options.Name = None,
    param: options.Params = None,
    config: options.ConfigFile = None,
    cash: options.Cash = None,
    fee_bps: options.FeeBps = None,
    ts_from: options.TimeFrom = None,
    ts_to: options.TimeTo = None,
    endpoint: options.Endpoints = None,
    run_for: options.RunFor = None,
    speed: options.Speed = None,
    label: options.Label = None,
    zone: options.Zone = None,
    interval: options.BarLength = None,
    intrabar: options.Intrabar = None,
    missing: options.Missing = None,
    check: options.Check = False,
    on_error: options.OnError = None,
    audit: options.Audit = None,
    runs_dir: options.RunsDir = None,
    run_dir: options.RunDir = True,
    report: options.Report = True,
    as_json: options.AsJson = False,
    log_level: options.LogLevel = None,
    with_traceback: options.Traceback = False,
) -> None:
    """Run a strategy on paper, live or over a recorded feed.

    Live data are recorded in the run directory, for a replay with --feed.
    Ctrl-C stops cleanly: the result is printed, the run directory complete; a second Ctrl-C stops at once.
    """
    ctx.meta[TRACEBACK] = with_traceback or log_level == "debug"
    from barbot.cli.planning import Request, idle_options, make_plan

    request = Request(
        strategy_file=strategy,
        strategy_name=name,
        feeds=tuple(feed or ()),
        params=tuple(param or ()),
        config_file=config,
        flags={
            **_section("paper", maker_fee_bps=fee_bps, taker_fee_bps=fee_bps),
            **_section("feed", label=label, zone=zone, intrabar=intrabar, missing=missing),
            **_section("run", cash=cash, speed=speed, on_error=on_error, audit=audit, runs_dir=runs_dir),
            **_section("run", check=check or None),
        },
        ts_from=ts_from,
        ts_to=ts_to,
        interval=interval,
        keep=run_dir,
        endpoints=tuple(endpoint or ()),
        run_for=run_for,
    )
    plan = make_plan(request)
    for flag in idle_options(request):
        typer.echo(f"{flag} has no effect here: it is for {'live data' if feed else 'recorded feeds'}", err=True)
    _finish(play(plan, log_level), with_report=report, as_json=as_json)


def _section(name: str, **keys: object) -> dict[str, object]:
    """Return keys of a section of the settings as flags name them."""
    return {f"{name}.{key}": value for key, value in keys.items()}


def play(plan: RunPlan, log_level: str | None) -> RunResult:
    """Run the plan to its end or to Ctrl-C, showing how it goes; return the result.

    Raises:
        BarbotError: the feed, the venue or the strategy failed.
    """
    from threading import Event

    from barbot.cli.terminal import errors
    from barbot.report.result import result_of

    play_it = _replay if plan.feeds else _go_live
    return result_of(play_it(plan, log_level, Event(), errors()))


def _replay(plan: RunPlan, log_level: str | None, stop: Event, console: Console) -> RunOutcome:
    """Run over recorded feeds, showing how far it is."""
    from barbot.cli.interrupt import stopping
    from barbot.cli.lines import RunLog
    from barbot.cli.progress import ProgressBar
    from barbot.run.replay import Replay
    from barbot.timing.clock import SystemClock

    with ProgressBar(console) as bar:
        lines = RunLog(log_level, bar.stream)
        replay = Replay(plan, clock=SystemClock(), listener=lines.listener)
        with stopping(stop, bar.stream):
            outcome = replay.run(stop=stop, progress=bar)
    if held_back := lines.held_back():
        console.out(f"Not shown: {held_back}; --log-level warning shows them all", highlight=False)
    return outcome


def _go_live(plan: RunPlan, log_level: str | None, stop: Event, console: Console) -> RunOutcome:
    """Run over live feeds, showing how it stands."""
    from barbot import config
    from barbot.cli.interrupt import stopping
    from barbot.cli.livelines import LiveLog
    from barbot.cli.livescreen import Screen, status_table
    from barbot.run.live import LiveRun
    from barbot.timing.clock import stopwatch

    with Screen(console) as screen:
        lines = LiveLog(log_level, screen.stream, with_bars=not screen.is_shown)
        live = LiveRun(plan, environment=config.proxies(), listener=lines.listener, tell=lines.tell)
        began = stopwatch()

        def show(status: LiveStatus) -> None:
            screen.draw(
                lambda: status_table(
                    status, plan.strategy.__name__, stopwatch() - began, height=console.height, width=console.width
                )
            )

        with stopping(stop, screen.stream):
            return live.run(stop=stop, show=show if screen.is_shown else None)


def _finish(result: RunResult, *, with_report: bool, as_json: bool) -> None:
    """Write the result and the report into the run directory, and print the result."""
    from barbot.cli.table import show_result
    from barbot.cli.terminal import output, print_json
    from barbot.report.html import write_report
    from barbot.report.result import encode_result, write_result

    if result.run_dir is not None:
        folder = Path(result.run_dir)
        write_result(result, folder)
        if with_report:
            write_report(folder)
    if as_json:
        print_json(encode_result(result))
    else:
        show_result(output(), result)
