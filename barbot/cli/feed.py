"""`barbot feed`: what is in a recorded feed, whether it is whole, and its content as text. Floor 5."""

from __future__ import annotations

from typing import Annotated

import typer

from barbot.cli import options
from barbot.errors import ConfigError


def feed(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A journal (*.jsonl.zst), or CSV or Parquet; may be a glob.")
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Read everything; exit with 1 and name the first bad record or row.")
    ] = False,
    cat: Annotated[bool, typer.Option("--cat", help="Print what is in it as JSON, a line each.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="With --cat: print no more lines than this.")
    ] = None,
    label: options.Label = None,
    zone: options.Zone = None,
    interval: options.BarLength = None,
    config: options.ConfigFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what is in a recorded feed, or verify it.

    Instruments, intervals, span, rows and gaps of CSV and Parquet; connections and records of a journal.
    """
    from barbot.cli import columns, journals
    from barbot.cli.planning import columns_for, read_interval
    from barbot.config import load
    from barbot.run.sources import JOURNAL_SUFFIX

    if verify and cat:
        raise ConfigError("it does not go together with --verify", where="--cat", remedy="Give one of them")
    if file.endswith(JOURNAL_SUFFIX):
        is_good = journals.look(file, verify=verify, cat=cat, limit=limit, as_json=as_json)
    else:
        settings = load(config, {"feed.label": label, "feed.zone": zone})
        how = columns_for(settings, read_interval(interval), None, None)
        known = {name: settings.instrument(name) for name in settings.instruments}
        is_good = columns.look(file, how, known, verify=verify, cat=cat, limit=limit, as_json=as_json)
    if not is_good:
        raise typer.Exit(1)
