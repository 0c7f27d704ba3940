"""What goes wrong at a simulated venue, as flags say it. Floor 5.

    2%          a chance: of pushes, of candles, of the minutes of a connection
    90s@5m      for 90 seconds, from five minutes after the start; without `@`, from the first minute on
    3s/60s@5m   by three seconds, for a minute, from five minutes after the start

Times are the venue's: at `--speed 60` ninety seconds take one and a half.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from barbot.cli.durations import read_duration
from barbot.errors import ConfigError
from barbot.sim.chaos import FOREVER, Chances, Chaos, Fault, Kind
from barbot.timing.interval import SECOND

_CHANCE: Final = re.compile(r"(\d+(?:\.\d+)?)%")
_DEFAULT_AT_S: Final = 60.0
ALWAYS: Final = "always"


def read_faults(flags: Mapping[Kind, Sequence[str]], start: int, *, seed: int) -> Chaos:
    """Return what the flags ask for; times count from `start`.

    Raises:
        ConfigError: a flag cannot be read.
    """
    script: list[Fault] = []
    chances: dict[str, float] = {}
    for kind, texts in flags.items():
        where = f"--{kind.replace('_', '-')}"
        for text in texts:
            match = _CHANCE.fullmatch(text.strip())
            if match is None:
                script.append(_read_fault(kind, text, start, where))
            elif kind in Chances.__struct_fields__:
                chances[kind] = float(match[1]) / 100
            else:
                raise ConfigError(f"{text!r}: it happens at a time, not by chance", where=where, remedy=_form(kind))
    return Chaos(script, msgspec.convert(chances, Chances), seed=seed)


def _read_fault(kind: Kind, text: str, start: int, where: str) -> Fault:
    """Read one flag that names a time."""
    span, at_sign, moment = text.partition("@")
    amount, slash, length = span.partition("/")
    at_s = read_duration(moment, where=where) if at_sign else 0.0
    seconds, amount_s = FOREVER, 0.0
    if kind in ("slow", "clock_skew"):
        amount_s = read_duration(amount, where=where)
        seconds = read_duration(length, where=where) if slash else FOREVER
    elif slash or (kind in ("drop", "token_expiry") and span and at_sign):
        raise ConfigError(f"{text!r} cannot be read", where=where, remedy=_form(kind))
    elif kind in ("drop", "token_expiry"):
        at_s = at_s if at_sign else read_duration(span, where=where)
    elif span != ALWAYS:
        seconds = read_duration(span, where=where)
        at_s = at_s if at_sign else _DEFAULT_AT_S
    if at_s < 0 or seconds <= 0:
        raise ConfigError(f"{text!r} lies in the past or lasts no time", where=where, remedy=_form(kind))
    return Fault(start + round(at_s * SECOND), kind, seconds, amount_s)


def _form(kind: Kind) -> str:
    """Return how a flag is written."""
    if kind in ("slow", "clock_skew"):
        return "Write 3s, 3s@5m or 3s/60s@5m"
    if kind in ("drop", "token_expiry"):
        return "Write @5m" + (" or 2%" if kind == "drop" else "")
    return "Write 90s@5m" + (" or 2%" if kind in Chances.__struct_fields__ else "")
