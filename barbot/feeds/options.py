"""How column files are to be read, and where they lie. Floor 3."""

from __future__ import annotations

import enum
import re
from typing import Final, Literal

import msgspec

from barbot.errors import ConfigError
from barbot.timing.interval import Interval

Label = Literal["open", "close"]
Intrabar = Literal["none", "ohlc"]
Unit = Literal["auto", "s", "ms", "us", "ns"]

_BOUND: Final = re.compile(r"(?P<instrument>[a-z][a-z0-9_-]+:[^@=\s\\]+)(@(?P<interval>[^=\s]+))?=(?P<path>.+)")


class Kind(enum.Enum):
    """What the rows of a file are."""

    BARS = "bars"
    TRADES = "trades"
    QUOTES = "quotes"


class ColumnOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the files of a run are read; the same for all of them.

    `label` says whether a bar's time is that of its opening or of its end. `zone` (an IANA name) is that of
    times without a zone, which are refused where it is None. `interval` overrides what is inferred from the
    first rows. `ts_from` (included) and `ts_to` (excluded) select by a bar's opening and a trade's time.
    """

    label: Label = "open"
    intrabar: Intrabar = "none"
    zone: str | None = None
    unit: Unit = "auto"
    ts_from: int | None = None
    ts_to: int | None = None
    interval: Interval | None = None
    chunk_rows: int = 8_192

    def __post_init__(self) -> None:
        if self.chunk_rows < 1:
            raise ConfigError(f"a chunk of {self.chunk_rows} rows cannot be read", remedy="Give 1 or more")


class SourceSpec(msgspec.Struct, frozen=True):
    """A file or a glob, and what it is bound to where the user said so."""

    path: str
    instrument: str | None = None
    interval: Interval | None = None

    @classmethod
    def parse(cls, text: str) -> SourceSpec:
        """Read `PATH`, `provider:SYMBOL=PATH` or `provider:SYMBOL@1m=PATH`; a path may be a glob.

        Raises:
            ConfigError: nothing is there, or the interval is not one that barbot knows.
        """
        if not text.strip():
            raise ConfigError("no file is named", where="--feed", remedy="Give a path")
        match = _BOUND.fullmatch(text)
        if not match:
            return cls(text)
        interval = Interval.parse(match["interval"]) if match["interval"] else None
        return cls(match["path"], match["instrument"], interval)
