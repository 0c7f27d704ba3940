"""`barbot report`: the result of a run once more, as table, JSON and page. Floor 5."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated, Final

import typer

from barbot.cli import options
from barbot.errors import ConfigError

LATEST: Final = "latest"


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or `latest`.")] = LATEST,
    runs_dir: Annotated[
        Path | None, typer.Option("--runs-dir", metavar="DIR", help="Where `latest` is looked for; default: runs.")
    ] = None,
    config: options.ConfigFile = None,
    as_json: options.AsJson = False,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Make report.html of a run anew and print its result."""
    from barbot.cli.table import show_result
    from barbot.cli.terminal import output, print_json
    from barbot.config import load
    from barbot.report.html import write_report
    from barbot.report.result import encode_result, read_result

    folder = latest_run(load(config, {"run.runs_dir": runs_dir}).run.runs_dir) if run == LATEST else Path(run)
    page = write_report(folder)
    result = read_result(folder)
    if as_json:
        print_json(encode_result(result))
    else:
        show_result(output(), result)
        typer.echo(f"Report: {page}")
    if show:
        webbrowser.open(page.resolve().as_uri())


def latest_run(runs_dir: Path) -> Path:
    """Return the directory of the newest run in `runs_dir` that came to its end.

    Raises:
        ConfigError: there is none.
    """
    finished = [file.parent for file in runs_dir.glob("*/result.json")]
    if not finished:
        raise ConfigError("no finished run is in it", where=str(runs_dir), remedy="Run a strategy first: barbot run")
    return max(finished, key=_age)


def _age(folder: Path) -> tuple[str, int]:
    """Return the time in the name, and of runs of one second the time at which they ended."""
    return folder.name.partition("-")[0], (folder / "result.json").stat().st_mtime_ns
