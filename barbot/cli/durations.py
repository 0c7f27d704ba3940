"""Durations as flags say them: `90s`, `5m`, `1.5h`, `250ms`. Floor 5."""

from __future__ import annotations

import re
from typing import Final

from barbot.errors import ConfigError

_DURATION: Final = re.compile(r"(?P<number>-?\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|d)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def read_duration(text: str, *, where: str) -> float:
    """Read `90s`, `5m`, `1.5h`, `250ms` or `-3s` into seconds.

    Raises:
        ConfigError: it is no duration.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no duration", where=where, remedy="Write 90s, 5m, 1.5h or 250ms")
    return float(match["number"]) * _UNITS[match["unit"]]


def read_span(text: str | None, *, where: str) -> float | None:
    """Read how long something may take, None without a text.

    Raises:
        ConfigError: it is no duration, or takes no time.
    """
    if text is None:
        return None
    seconds = read_duration(text, where=where)
    if seconds <= 0:
        raise ConfigError(f"{text!r} is no time at all", where=where, remedy="Give a duration above 0, such as 10m")
    return seconds
