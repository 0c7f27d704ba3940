"""From what the command line says to the plan of a run. Floor 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from barbot import config
from barbot.cli.durations import read_span
from barbot.config import Settings
from barbot.core.strategy import validated
from barbot.errors import ConfigError
from barbot.feeds.options import ColumnOptions
from barbot.model.instrument import FeedId
from barbot.run.load import load_strategy
from barbot.run.plan import RunPlan
from barbot.timing.clock import parse_time
from barbot.timing.interval import Interval
from barbot.wire.journal_write import without_secrets

_JSON_STARTS: Final = ("[", "{")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asked for. `flags` are settings by `section.key`, None where a flag was not given."""

    strategy_file: str
    strategy_name: str | None = None
    feeds: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    config_file: Path | None = None
    flags: dict[str, object] = {}
    ts_from: str | None = None
    ts_to: str | None = None
    interval: str | None = None
    keep: bool = True
    endpoints: tuple[str, ...] = ()
    run_for: str | None = None


def make_plan(request: Request) -> RunPlan:
    """Return the plan of the run, everything in it checked that can be without opening the feed.

    Raises:
        ConfigError: a setting, the strategy, or a parameter will not do.
    """
    settings = config.load(request.config_file, request.flags)
    strategy = load_strategy(Path(request.strategy_file), request.strategy_name)
    if settings.run.history is not None:
        strategy.window_length = settings.run.history
    params = validated(strategy, settings.params_for(strategy.__name__, read_params(request.params)))
    endpoints = read_endpoints(request.endpoints)
    if not request.feeds:
        providers = [FeedId.parse(feed).provider for feed in strategy.feeds]
        check_endpoints(endpoints, providers, settings)
    columns = _columns(request, settings)
    return RunPlan(
        strategy=strategy,
        strategy_file=Path(request.strategy_file).as_posix(),
        params=params,
        feeds=request.feeds,
        columns=columns,
        missing=settings.feed.missing,
        cash=settings.run.cash,
        instruments={name: settings.instrument(name) for name in settings.instruments},
        instrument_settings={n: section.model_dump(exclude_none=True) for n, section in settings.instruments.items()},
        paper=settings.paper.settings(),
        limits=settings.risk.limits(),
        on_error=settings.run.on_error,
        check=settings.run.check,
        hook_budget_s=settings.run.hook_budget_ms / 1000,
        audit=settings.run.audit,
        speed=settings.run.speed,
        runs_dir=settings.run.runs_dir if request.keep else None,
        endpoints=endpoints,
        venues=settings.providers,
        run_for_s=read_span(request.run_for, where="--for"),
        settings={**settings.as_dict(), "selected": _selected(request)},
        settings_digest=settings.digest(),
    )


def read_params(given: Sequence[str]) -> dict[str, object]:
    """Return `name=value` texts by name. Values stay text for pydantic to read, but for JSON lists and objects.

    Raises:
        ConfigError: a text without `=`, or a list or object that is no JSON.
    """
    params: dict[str, object] = {}
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise ConfigError(f"{text!r} sets nothing", where="--param", remedy="Write --param name=value")
        params[name] = value
        if value.startswith(_JSON_STARTS):
            try:
                params[name] = msgspec.json.decode(value)
            except msgspec.DecodeError as error:
                raise ConfigError(
                    f"{value!r} is not JSON: {error}",
                    where=f"--param {name}",
                    remedy='Write it like [1, 2] or {"a": 1}',
                ) from None
    return params


def columns_for(settings: Settings, interval: Interval | None, ts_from: int | None, ts_to: int | None) -> ColumnOptions:
    """Return how rows of files are read."""
    feed = settings.feed
    return ColumnOptions(
        label=feed.label,
        intrabar=feed.intrabar,
        zone=feed.zone,
        unit=feed.unit,
        ts_from=ts_from,
        ts_to=ts_to,
        interval=interval,
    )


def _columns(request: Request, settings: Settings) -> ColumnOptions:
    ts_from = parse_time(request.ts_from, where="--from") if request.ts_from else None
    ts_to = parse_time(request.ts_to, where="--to") if request.ts_to else None
    if ts_from is not None and ts_to is not None and ts_from >= ts_to:
        raise ConfigError(
            f"{request.ts_to} is not after --from {request.ts_from}", where="--to", remedy="Give a later time"
        )
    return columns_for(settings, read_interval(request.interval), ts_from, ts_to)


def read_interval(text: str | None) -> Interval | None:
    """Return the interval that `--interval` names, None without one.

    Raises:
        ConfigError: there is no such interval.
    """
    if text is None:
        return None
    try:
        return Interval.parse(text)
    except ConfigError as error:
        raise ConfigError(error.problem, where="--interval", remedy=error.remedy) from None


def read_endpoints(given: Sequence[str]) -> dict[str, str]:
    """Return `provider=address` texts by provider.

    Raises:
        ConfigError: a text without `=`.
    """
    endpoints: dict[str, str] = {}
    for text in given:
        name, equals, address = (part.strip() for part in text.partition("="))
        if not equals or not name or not address:
            raise ConfigError(
                f"{text!r} names no provider and address",
                where="--endpoint",
                remedy="Write --endpoint kucoin=http://127.0.0.1:PORT",
            )
        endpoints[name] = address
    return endpoints


def check_endpoints(endpoints: Mapping[str, str], providers: Sequence[str], settings: Settings) -> None:
    """Check what is to be run live: endpoints are of its providers, and a scaled clock needs one of each.

    Raises:
        ConfigError: they are not, or there is none.
    """
    used = list(dict.fromkeys(providers))
    stray = next((name for name in endpoints if name not in used), None)
    if stray is not None:
        raise ConfigError(f"no feed is of {stray!r}", where="--endpoint", remedy=f"The feeds are of: {', '.join(used)}")
    configured = {*endpoints, *(name for name, keys in settings.providers.items() if keys.get("endpoint"))}
    lacking = [name for name in used if name not in configured]
    if settings.run.speed is not None and lacking:
        raise ConfigError(
            f"the clock of {lacking[0]} cannot be scaled: only a simulator's can",
            where="--speed",
            remedy=f"Leave it out, or give a simulator's address: --endpoint {lacking[0]}=URL",
        )


_RECORDED_ONLY: Final = {
    "feed.label": "--label",
    "feed.zone": "--zone",
    "feed.intrabar": "--intrabar",
    "feed.missing": "--missing",
}


def idle_options(request: Request) -> list[str]:
    """Return the flags that were given and do nothing: of recorded feeds in a live run, or the other way round."""
    if request.feeds:
        given: dict[str, object] = {"--endpoint": request.endpoints, "--for": request.run_for}
    else:
        given = {"--from": request.ts_from, "--to": request.ts_to, "--interval": request.interval}
        given |= {flag: request.flags.get(key) for key, flag in _RECORDED_ONLY.items()}
    return [flag for flag, value in given.items() if value]


def _selected(request: Request) -> Mapping[str, object]:
    return {
        "from": request.ts_from,
        "to": request.ts_to,
        "interval": request.interval,
        "endpoints": [without_secrets(text) for text in request.endpoints],
        "for": request.run_for,
    }
