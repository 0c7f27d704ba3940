"""`barbot doctor`: is this machine ready? Floor 5."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from barbot.cli import options

if TYPE_CHECKING:
    from barbot.config import Settings
    from barbot.run.checkup import Finding, State

_NEEDED: Final = (
    "anyio",
    "certifi",
    "h11",
    "httpx",
    "msgspec",
    "numpy",
    "protobuf",
    "pydantic",
    "pydantic-settings",
    "rich",
    "structlog",
    "typer",
    "websockets",
)
_EXTRAS: Final = {
    "calendars": ("exchange_calendars", "market sessions"),
    "data": ("duckdb", "Parquet"),
    "ta": ("talib", "TA-Lib beside our own indicators"),
    "uvloop": ("uvloop", "a quicker event loop, not on Windows"),
}
"""Extra to the module that it brings, and what for."""
_LOW_BYTES: Final = 10**9
_LEAST_BYTES: Final = 10**8
_STYLES: Final[dict[str, str]] = {"ok": "", "note": "yellow", "broken": "bold red"}


def doctor(
    endpoint: options.Endpoints = None,
    config: options.ConfigFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Look whether this machine is ready.

    Versions, extras, disk, credentials, the clock against that of each venue, and whether venues can be reached. Exit
    code 1 if something that is needed is broken. Without a network recorded feeds run all the same: a venue that cannot
    be reached counts as broken only if an endpoint was given for it.
    """
    from barbot import config as settings_of
    from barbot.cli.planning import read_endpoints
    from barbot.cli.terminal import Row, output, print_json, print_rows
    from barbot.errors import ConfigError
    from barbot.providers.base import find_provider
    from barbot.run.checkup import Finding

    endpoints = read_endpoints(endpoint or ())
    for name in endpoints:
        find_provider(name)
    found = [*_software(), *_extras()]
    try:
        settings = settings_of.load(config)
        found.append(
            Finding("settings", "ok", str(config or settings_of.DEFAULT_FILE) if _is_file(config) else "defaults")
        )
    except ConfigError as error:
        settings = settings_of.Settings()
        found.append(Finding("settings", "broken", str(error)))
    found += [_disk(settings.run.runs_dir), _credentials(settings), *_network(settings, endpoints)]
    is_ready = all(finding.state != "broken" for finding in found)
    if as_json:
        import msgspec

        encoded = msgspec.json.encode({"ready": is_ready, "findings": found})
        print_json(msgspec.json.format(encoded, indent=2) + b"\n")
    else:
        rows: list[Row] = [(finding.what, _marked(finding), _STYLES[finding.state]) for finding in found]
        print_rows(output(), rows)
    if not is_ready:
        raise typer.Exit(1)


def _is_file(config: Path | None) -> bool:
    from barbot.config import DEFAULT_FILE

    return config is not None or DEFAULT_FILE.is_file()


def _marked(finding: Finding) -> str:
    """Say it without colours too."""
    return {"ok": "", "note": "Note: ", "broken": "BROKEN: "}[finding.state] + finding.text


def _software() -> Iterator[Finding]:
    from barbot import __version__
    from barbot.run.checkup import Finding

    yield Finding("barbot", "ok", __version__)
    yield Finding(
        "Python", "ok", f"{platform.python_version()} {platform.python_implementation()}, {platform.platform()}"
    )
    versions = {
        name: _version(name) for name in (*_NEEDED, *(("backports.zstd",) if sys.version_info < (3, 14) else ()))
    }
    missing = [name for name, number in versions.items() if number is None]
    if missing:
        yield Finding("packages", "broken", f"missing: {', '.join(missing)}. Run: pip install {' '.join(missing)}")
    else:
        yield Finding("packages", "ok", ", ".join(f"{name} {number}" for name, number in versions.items()))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _extras() -> Iterator[Finding]:
    from barbot.run.checkup import Finding

    for extra, (module, purpose) in _EXTRAS.items():
        if find_spec(module) is not None:
            yield Finding(f"extra {extra}", "ok", f"installed: {purpose}")
        else:
            yield Finding(f"extra {extra}", "ok", f'not installed: {purpose}. Run: pip install "barbot[{extra}]"')


def _disk(runs_dir: Path) -> Finding:
    """Say how much room there is where runs are kept, and whether we may write there."""
    from barbot.cli.record import size_text
    from barbot.run.checkup import Finding

    folder = runs_dir.absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return Finding("disk", "broken", f"{folder} cannot be written to. Set run.runs_dir, or its permissions")
    free = shutil.disk_usage(folder).free
    state: State = "ok" if free >= _LOW_BYTES else "note" if free >= _LEAST_BYTES else "broken"
    text = f"{size_text(free)} free where runs are kept ({runs_dir})"
    return Finding("disk", state, text if state == "ok" else f"{text}. Remove old runs, or set run.runs_dir")


def _credentials(settings: Settings) -> Finding:
    from barbot.config import credentials
    from barbot.run.checkup import Finding

    names = [f"{name}.{key}" for name, keys in credentials(settings).items() for key in keys]
    if names:
        return Finding("credentials", "ok", f"{', '.join(names)}: set, and never shown")
    return Finding("credentials", "ok", "none set; public market data need none")


def _network(settings: Settings, endpoints: Mapping[str, str]) -> list[Finding]:
    """Look at all venues at once; one that is slow delays no other."""
    import anyio

    from barbot.config import proxies
    from barbot.providers.base import find_provider, provider_names
    from barbot.run.checkup import Finding, check_venue
    from barbot.run.network import Internet
    from barbot.timing.clock import SystemClock

    environment = proxies()
    names = [name for name in provider_names() if find_provider(name).make_adapter is not None]
    found: dict[str, list[Finding]] = {}

    async def check() -> None:
        async with Internet(environment) as network, anyio.create_task_group() as tasks:

            async def check_one(name: str) -> None:
                own = settings.providers.get(name, {})
                found[name] = await check_venue(name, own, endpoints.get(name, ""), network, SystemClock())

            for name in names:
                tasks.start_soon(check_one, name)

    anyio.run(check)
    through = sorted({key.lower() for key, value in environment.items() if value and key.lower() != "no_proxy"})
    way = f"through the proxy of {', '.join(through)}" if through else "direct, no proxy is set"
    return [Finding("network", "ok", way), *(finding for name in names for finding in found[name])]
