"""The command line's entry point: commands, exit codes, errors as one line. Floor 5.

Exit codes: 0 done, 1 the strategy or the run failed, 2 usage, configuration or input. An error that barbot raises
on purpose is one line on standard error. Anything else is a bug of ours and shows its traceback.
"""

from __future__ import annotations

import io
import sys
import traceback
from pathlib import Path
from typing import Annotated, Final

import typer
from typer.core import TyperGroup

from barbot import __version__
from barbot.cli import doctor, feed, init, providers, record, report, run, sim
from barbot.errors import BarbotError, ConfigError, JournalError, StrategyError

FAILED: Final = 1
USAGE: Final = 2
TRACEBACK: Final = run.TRACEBACK


class Commands(TyperGroup):
    """The commands; what barbot raises on purpose ends them with a line and an exit code."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer.Context is the context there is
        """Run the command.

        Raises:
            typer.Exit: barbot refused or failed; it was said why.
        """
        try:
            return super().invoke(ctx)
        except BarbotError as error:
            if ctx.meta.get(TRACEBACK):
                traceback.print_exception(error)
            say_error(error)
            raise typer.Exit(exit_code(error)) from None


def exit_code(error: BarbotError) -> int:
    """Return 2 for what the user gave us, 1 for what went wrong with it."""
    return USAGE if isinstance(error, ConfigError | JournalError) else FAILED


def say_error(error: BarbotError) -> None:
    """Write the error to standard error; of a strategy's exception also the line it came from."""
    text = str(error)
    if isinstance(error, StrategyError) and error.__cause__ is not None:
        frame = traceback.extract_tb(error.__cause__.__traceback__)[-1]
        text += f" ({Path(frame.filename).name}:{frame.lineno}). Add --traceback to see how it came there"
    label = typer.style("Error:", fg="red", bold=True) if sys.stderr.isatty() else "Error:"
    typer.echo(f"{label} {text}", err=True)


app = typer.Typer(
    cls=Commands,
    name="barbot",
    help="Trading bots on exact, explained, replayable bars.",
    epilog="Exit codes: 0 done, 1 the strategy or the run failed, 2 usage, configuration or input.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"barbot {__version__}")
        raise typer.Exit


@app.callback()
def _barbot(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command("run")(run.run)
app.command("record")(record.record)
app.command("feed")(feed.feed)
app.add_typer(sim.sim)
app.command("report")(report.report)
app.command("providers")(providers.providers)
app.command("doctor")(doctor.doctor)
app.command("init")(init.init)


def main() -> None:
    """Run the command line; what `barbot` and `python -m barbot` start."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a code page without our letters is no reason to fail
    app(prog_name="barbot")
