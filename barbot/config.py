"""Settings: flags over environment over barbot.toml over defaults, checked before anything starts. Floor 5.

The only file that reads the environment: `BARBOT_<SECTION>_<KEY>`, such as `BARBOT_RUN_CASH="10000 USDT"`;
`BARBOT_<PROVIDER>_<KEY>` for a provider's settings; and the names of proxies.
The sources are read one by one and merged here rather than by pydantic-settings, so that each complaint can
name the flag, the variable or the file and key that it is about.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from barbot.core.costs import PaperSettings
from barbot.core.risk import RiskLimits
from barbot.errors import ConfigError
from barbot.model.instrument import Instrument, check_instrument_id
from barbot.model.market import Quality
from barbot.providers.base import provider_names
from barbot.wire.journal_write import without_secrets

DEFAULT_FILE: Final = Path("barbot.toml")
MILLISECOND: Final = 1_000_000
_PREFIX: Final = "BARBOT_"
_AMOUNT: Final = re.compile(r"(?P<amount>[\d_]+(?:\.\d+)?)(?:\s*(?P<currency>[A-Za-z][\w.-]*))?")

_FLAGS: Final = {
    "paper.taker_fee_bps": "--fee-bps",
    "paper.maker_fee_bps": "--fee-bps",
}
"""Flags that are not simply `--<key>`."""

_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_SECRET: Final = re.compile(r"token|key|secret|passphrase|password", re.IGNORECASE)
HIDDEN: Final = "***"

_DECIDES_NOTHING: Final = frozenset({"runs_dir", "audit", "speed", "check", "hook_budget_ms"})
"""Keys of [run] that leave the digest alone: the same decisions are made whatever they say."""


def _read_cash(value: object) -> object:
    """Turn `10000`, `"10000 USDT"` or `"10000 USDT, 2 BTC"` into a table by currency."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return value
    cash = {}
    for part in str(value).split(","):
        match = _AMOUNT.fullmatch(part.strip())
        if not match:
            raise ValueError('write an amount and its currency, such as "10000 USDT"')
        cash[match["currency"] or ""] = Decimal(match["amount"].replace("_", ""))
    return cash


def _read_list(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _read_quality(value: object) -> object:
    if isinstance(value, str) and value.upper() in Quality.__members__:
        return Quality[value.upper()]
    if isinstance(value, Quality):
        return value
    raise ValueError(f"a quality is one of {', '.join(Quality.__members__)}")


def _check_zone(name: object) -> object:
    try:
        return ZoneInfo(name).key if isinstance(name, str) else name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = _suggest(str(name), available_timezones())
        raise ValueError(f"no such time zone. {near}Write a name such as Asia/Tokyo or UTC") from None


def _check_instrument(name: object) -> object:
    try:
        return check_instrument_id(str(name))
    except ConfigError as error:
        raise ValueError(str(error)) from None


Amount = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Basis = Annotated[Decimal, Field(gt=-10_000, lt=10_000, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class RunSection(_Section):
    """How a run behaves. `[run]`"""

    cash: Annotated[dict[str, Amount], BeforeValidator(_read_cash)] = {"": Decimal(10_000)}
    """Starting cash: "10000 USDT", a table by currency, or a bare number in the currency of the run."""
    history: Annotated[int, Field(ge=1)] | None = None
    """Bars in a history window; unset: what the strategy says."""
    check: bool = False
    """Verify the bar contract inside the engine."""
    on_error: Literal["stop", "continue"] = "stop"
    """What a hook that raises does to the run."""
    hook_budget_ms: Annotated[float, Field(gt=0)] = 50.0
    """A hook that takes longer is audited and warned of."""
    runs_dir: Path = Path("runs")
    """Where run directories are made."""
    audit: Literal["events", "full", "off"] = "events"
    """What the audit file holds: transitions, everything, nothing."""
    speed: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Recorded seconds per second (unset: as fast as it goes); live: how fast the clock of an endpoint runs."""

    def cash_in(self, currency: str) -> dict[str, Decimal]:
        """Return starting cash by currency; an amount without one is in `currency`."""
        cash: dict[str, Decimal] = {}
        for name, amount in self.cash.items():
            cash[name or currency] = cash.get(name or currency, Decimal(0)) + amount
        return cash


class PaperSection(_Section):
    """How the paper venue fills. `[paper]`"""

    maker_fee_bps: Basis = Decimal(10)
    """Fee of a fill that was resting, in hundredths of a percent; negative: a rebate."""
    taker_fee_bps: Basis = Decimal(10)
    """Fee of a fill that took a price."""
    slippage: Literal["none", "bps", "half_spread"] = "none"
    """How far from the price a market order fills."""
    slippage_bps: Annotated[Decimal, Field(ge=0, lt=10_000)] = Decimal(0)
    """With `slippage = "bps"`: how much worse, in hundredths of a percent."""
    latency_ms: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """From an order's leaving to its arrival at the venue."""
    volume_limit: Annotated[Decimal, Field(gt=0, le=1)] | None = None
    """Largest fraction of the traded volume that one order may take; unset: no limit, no partial fills."""
    limit_fill: Literal["touch", "through"] = "touch"
    """Whether a price that touches a resting limit fills it, or only one that trades through it."""

    @model_validator(mode="after")
    def _slippage_is_used(self) -> PaperSection:
        if self.slippage == "bps" and not self.slippage_bps:
            raise ValueError('slippage = "bps" needs slippage_bps above 0')
        if self.slippage_bps and self.slippage != "bps":
            raise ValueError('slippage_bps has an effect only with slippage = "bps"')
        return self

    def settings(self) -> PaperSettings:
        """Return them as the paper venue takes them."""
        return PaperSettings(
            maker_bps=self.maker_fee_bps,
            taker_bps=self.taker_fee_bps,
            slippage=self.slippage,
            slippage_bps=self.slippage_bps,
            latency_ns=round(self.latency_ms * MILLISECOND),
            limit_fill=self.limit_fill,
            volume_limit=self.volume_limit,
        )


class RiskSection(_Section):
    """What the risk gate lets pass; an unset limit does not limit. `[risk]`"""

    max_order_quantity: Positive | None = None
    max_order_notional: Positive | None = None
    max_position_quantity: Positive | None = None
    max_position_notional: Positive | None = None
    max_orders_per_minute: Annotated[int, Field(ge=1)] | None = None
    max_daily_loss: Positive | None = None
    """In the currency of the run; once lost within a UTC day, only orders that reduce a position pass."""
    allowed_quality: Annotated[
        tuple[Annotated[Quality, BeforeValidator(_read_quality)], ...], BeforeValidator(_read_list)
    ] = (Quality.OK, Quality.QUIET)
    """Qualities of the bar in hand on which an order may act."""
    allow_short: bool = False
    leverage: Annotated[Decimal, Field(ge=1, allow_inf_nan=False)] = Decimal(1)
    """Position value over equity that is allowed."""

    def limits(self) -> RiskLimits:
        """Return them as the risk gate takes them."""
        return RiskLimits(**dict(self))


class FeedSection(_Section):
    """How a recorded feed of rows is to be read. `[feed]`"""

    label: Literal["open", "close"] = "open"
    """Which side of its bar a row's time names."""
    zone: Annotated[str, BeforeValidator(_check_zone)] | None = None
    """Zone of times that name none."""
    unit: Literal["auto", "s", "ms", "us", "ns"] = "auto"
    """What numbers in a time column count, since the epoch."""
    intrabar: Literal["none", "ohlc"] = "none"
    """Whether a row is one closed bar or is walked open, high, low, close."""
    missing: Literal["gap", "quiet"] = "gap"
    """What a missing row means: nothing is known, or nothing was traded."""


class InstrumentSection(_Section):
    """What is known of an instrument. `[instruments."kucoin:BTC-USDT"]`"""

    currency: str | None = None
    base: str | None = None
    price_increment: Positive | None = None
    quantity_increment: Positive | None = None
    min_quantity: Positive | None = None
    max_quantity: Positive | None = None
    min_notional: Positive | None = None
    multiplier: Positive | None = None
    calendar: str | None = None


class StrategySection(_Section):
    """Parameters of whatever strategy is run. `[strategy.params]`"""

    params: dict[str, object] = {}


class Settings(BaseSettings):
    """All settings, valid and frozen. Made by `load`; `Settings()` is the defaults and reads nothing."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        enable_decoding=False,
        extra="forbid",
        frozen=True,
    )

    run: RunSection = RunSection()
    paper: PaperSection = PaperSection()
    risk: RiskSection = RiskSection()
    feed: FeedSection = FeedSection()
    instruments: dict[Annotated[str, BeforeValidator(_check_instrument)], InstrumentSection] = {}
    strategy: StrategySection = StrategySection()
    strategies: dict[str, dict[str, object]] = {}
    providers: dict[str, dict[str, object]] = {}
    """Settings of venues, checked by their adapters: they say how data come in, and a journal has what came."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is handed over and nothing else: `load` does the reading and the merging."""
        return (init_settings,)

    def params_for(self, strategy: str, given: Mapping[str, object] | None = None) -> dict[str, object]:
        """Return the parameters of the class called `strategy`; `given` (flags) beats its own section,
        which beats [strategy.params]."""
        return {**self.strategy.params, **self.strategies.get(strategy, {}), **(given or {})}

    def instrument(self, instrument_id: str) -> Instrument:
        """Return what its name and the settings tell of an instrument.

        Raises:
            ConfigError: `instrument_id` is not `provider:symbol`.
        """
        bare = Instrument.bare(instrument_id)
        known = self.instruments.get(instrument_id)
        return msgspec.structs.replace(bare, **known.model_dump(exclude_none=True)) if known else bare

    def as_dict(self) -> dict[str, object]:
        """Return plain JSON values: decimals as text without trailing zeros, qualities by name, secrets as stars."""
        plain = _plain(self.model_dump())
        assert isinstance(plain, dict)
        plain["providers"] = {name: _without_secrets(keys) for name, keys in self.providers.items()}
        return plain

    def digest(self) -> str:
        """Return SHA-256, in hex, of the canonical JSON of all settings that a decision can depend on."""
        plain = self.as_dict()
        del plain["providers"]
        run = plain["run"]
        assert isinstance(run, dict)
        plain["run"] = {key: value for key, value in run.items() if key not in _DECIDES_NOTHING}
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def load(file: Path | None = None, flags: Mapping[str, object] | None = None) -> Settings:
    """Read and merge all sources and return valid settings.

    `file` is a barbot.toml; without one, that of the working directory is read if there is one. `flags` maps
    `section.key` to what the command line gave; None stands for a flag that was not given.

    Raises:
        ConfigError: a line for each unknown key and wrong value, naming where it stands and the remedy.
    """
    sources = [
        _Source("flag", _read_flags(flags or {})),
        _Source("environment", _read_environment()),
        _read_file(file),
    ]
    try:
        return Settings.model_validate(_merge(sources))
    except ValidationError as error:
        found = [_explain(detail, sources) for detail in error.errors(include_url=False)]
    complaints = {str(complaint): complaint for complaint in found}  # one flag may set two keys
    if len(complaints) == 1:
        raise found[0]
    raise ConfigError("\n".join(complaints))


def proxies() -> dict[str, str]:
    """Return the environment's variables that name proxies, for `barbot.wire.proxy`."""
    return {name: value for name, value in os.environ.items() if name.lower() in _PROXIES}


def credentials(settings: Settings) -> dict[str, list[str]]:
    """Return for each configured provider the keys that hold secrets; never what they hold."""
    found = {name: sorted(filter(_SECRET.search, keys)) for name, keys in settings.providers.items()}
    return {name: keys for name, keys in found.items() if keys}


def _without_secrets(keys: Mapping[str, object]) -> dict[str, object]:
    """Return a provider's settings as plain values, with stars for secrets, also for those inside an address."""
    shown: dict[str, object] = {}
    for key, value in keys.items():
        shown[key] = (
            HIDDEN if _SECRET.search(key) else without_secrets(value) if isinstance(value, str) else _plain(value)
        )
    return shown


class _Source(msgspec.Struct, frozen=True):
    """One place where settings come from: its kind, its table, and the file's name if it is one."""

    kind: Literal["flag", "environment", "file"]
    table: Mapping[str, object]
    name: str = ""

    def holds(self, path: Sequence[str]) -> bool:
        here: object = self.table
        for key in path:
            if not isinstance(here, Mapping) or key not in here:
                return False
            here = here[key]
        return True

    def locate(self, path: Sequence[str]) -> str:
        """Name the place of `path` as the user would find it."""
        if self.kind != "file" and len(path) == 1:
            return f"[{path[0]}]"
        if self.kind == "flag":
            dotted = ".".join(path)
            return _FLAGS.get(dotted, f"--{path[-1].replace('_', '-')}")
        if self.kind == "environment":
            return _PREFIX + "_".join(path[path[0] == "providers" :]).upper().replace("-", "_")
        *section, key = path
        heading = ".".join(part if re.fullmatch(r"[\w-]+", part) else f'"{part}"' for part in section)
        return f"{self.name}: [{heading}] {key}" if heading else f"{self.name}: {key}"


def _read_flags(flags: Mapping[str, object]) -> dict[str, dict[str, object]]:
    table: dict[str, dict[str, object]] = {}
    for dotted, value in flags.items():
        if value is not None:
            section, _, key = dotted.partition(".")
            table.setdefault(section, {})[key] = value
    return table


def _read_environment() -> Mapping[str, object]:
    """Return what BARBOT_* variables say, refusing one whose section is nearly that of a known one.

    Other variables with the prefix are left alone.
    """
    venues = _read_provider_variables()
    for name in sorted(os.environ):
        section = name.removeprefix(_PREFIX).partition("_")[0].lower()
        if name.startswith(_PREFIX) and section not in Settings.model_fields:
            near = difflib.get_close_matches(section, Settings.model_fields, n=1, cutoff=0.7)
            if near:
                right = name.replace(section.upper(), near[0].upper(), 1)
                raise ConfigError("no such setting", where=name, remedy=f"Did you mean {right}?")
    return {**EnvSettingsSource(Settings)(), **({"providers": venues} if venues else {})}


def _read_provider_variables() -> dict[str, dict[str, object]]:
    """Return what BARBOT_<PROVIDER>_<KEY> variables say; of two providers the one with the longer name is meant."""
    starts = {f"{_PREFIX}{name.replace('-', '_')}_".upper(): name for name in provider_names()}
    found: dict[str, dict[str, object]] = {}
    for variable, value in sorted(os.environ.items()):
        fitting = [start for start in starts if variable.upper().startswith(start)]
        if fitting:
            start = max(fitting, key=len)
            found.setdefault(starts[start], {})[variable[len(start) :].lower()] = value
    return found


def _read_file(file: Path | None) -> _Source:
    path = file or DEFAULT_FILE
    if not path.is_file():
        if file is None:
            return _Source("file", {})
        raise ConfigError(
            "no such file" if not path.exists() else "is not a file",
            where=str(path),
            remedy="Name an existing barbot.toml, or leave --config out",
        )
    try:
        return _Source("file", TomlConfigSettingsSource(Settings, path)(), str(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not TOML: {error}", where=str(path), remedy="Correct that line") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None


def _merge(sources: Sequence[_Source]) -> dict[str, object]:
    """Lay the sources over each other, the first one on top, key by key within a section and its tables."""
    merged: dict[str, object] = {}
    for source in reversed(sources):
        merged = _lay_over(merged, source.table)
    return merged


def _lay_over(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = _lay_over(under, value) if both else value  # type: ignore[arg-type]
    return merged


def _explain(detail: ErrorDetails, sources: Sequence[_Source]) -> ConfigError:
    """Turn one complaint of pydantic's into a line that names the place and the remedy."""
    path = [str(part) for part in detail["loc"] if part != "[key]"]
    source = next((s for s in sources if s.holds(path)), None)
    while source is None and path:  # the complaint is about a part of what was given, such as one of a list
        path.pop()
        source = next((s for s in sources if s.holds(path)), None)
    where = source.locate(path) if source and path else "settings"
    if detail["type"] == "extra_forbidden":
        known = list(_known_keys(path[:-1]))
        remedy = f"{_suggest(path[-1], known)}Known are: {', '.join(known)}"
        return ConfigError("no such setting", where=where, remedy=remedy)
    problem = detail["msg"].removeprefix("Value error, ")
    if isinstance(detail["input"], Mapping | BaseModel):
        return ConfigError(problem, where=where)
    return ConfigError(
        f"{detail['input']!r} will not do: {problem[0].lower()}{problem[1:]}",
        where=where,
        remedy="Correct it or leave it out",
    )


def _known_keys(path: Sequence[str]) -> Iterator[str]:
    """Yield the keys that the section at `path` may have."""
    if not path:
        yield from Settings.model_fields
    elif path[0] == "instruments":
        yield from InstrumentSection.model_fields
    else:
        yield from type(getattr(Settings(), path[0])).model_fields


def _suggest(name: str, known: Sequence[str] | set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]!r}? " if near else ""


def _plain(value: object) -> object:
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case Quality():
            return value.name
        case Decimal():
            return _plain_decimal(value)
        case bool() | int() | float() | None:
            return value
        case Path():
            return value.as_posix()
        case _:
            return str(value)


def _plain_decimal(value: Decimal) -> str:
    try:
        return format(value.normalize(), "f") if value else "0"
    except InvalidOperation:
        return str(value)
