"""What every indicator keeps, and what they share: the price they read and the check of their arguments. Floor 2."""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import attrgetter
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

from barbot.errors import ConfigError
from barbot.model.market import Bar

Source: TypeAlias = Literal["open", "high", "low", "close", "hl2", "hlc3", "ohlc4", "volume"]
"""Which number of a bar an indicator reads: `hl2` is (high+low)/2, `hlc3` and `ohlc4` likewise."""

State: TypeAlias = tuple[tuple[float, ...], ...]
"""The closed state of an indicator, immutable; only the indicator that made it can read it."""

NAN: Final = math.nan


@runtime_checkable
class Indicator(Protocol):
    """A number (or several) that follows the bars of one feed.

    `value` is the main output, NaN until there is one; further outputs have names of their own. `ready` is
    whether every output is a number. `warmup` is how many closed bars it takes to get there.
    """

    value: float
    ready: bool
    warmup: int

    def update(self, bar: Bar) -> None:
        """Take a closed bar; whatever was peeked before is forgotten."""

    def peek(self, bar: Bar) -> None:
        """Show the values as if the forming `bar` closed now; the next call starts from the closed bars again."""

    def snapshot(self) -> State:
        """Return the state after the last closed bar."""

    def restore(self, state: State) -> None:
        """Go back to `state`, a snapshot of an indicator with the same arguments, and show its values.

        The same updates then give the same values, bit for bit.
        """


def _hl2(bar: Bar) -> float:
    return (bar.high + bar.low) / 2.0


def _hlc3(bar: Bar) -> float:
    close = bar.close  # by deviations: a bar without a range must give its price to the bit
    return close + ((bar.high - close) + (bar.low - close)) / 3.0


def _ohlc4(bar: Bar) -> float:
    return ((bar.open + bar.close) + (bar.high + bar.low)) / 4.0


_READERS: Final[dict[str, Callable[[Bar], float] | None]] = {
    "open": attrgetter("open"),
    "high": attrgetter("high"),
    "low": attrgetter("low"),
    "close": None,
    "hl2": _hl2,
    "hlc3": _hlc3,
    "ohlc4": _ohlc4,
    "volume": attrgetter("volume"),
}


def source_reader(indicator: str, source: str) -> Callable[[Bar], float] | None:
    """Return what reads `source` from a bar; None for the close, which is read in place (a call costs 40 ns).

    Raises:
        ConfigError: there is no such source.
    """
    if source not in _READERS:
        raise ConfigError(f"source is {source!r}", where=indicator, remedy=f"Use one of: {' '.join(_READERS)}")
    return _READERS[source]


def check_bars(indicator: str, name: str, value: object) -> int:
    """Return `value` if it is a number of bars.

    Raises:
        ConfigError: it is not a whole number, or less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} is {value!r}", where=indicator, remedy="Give a whole number of bars, 1 or more")
    return value


def show(name: str, *arguments: object, source: str = "close", default: str = "close", **named: object) -> str:
    """Print an indicator as the call that makes it: `SMA(10)`, `EMA(10, source='hl2')`."""
    parts = [repr(argument) for argument in arguments]
    parts += [f"{key}={argument!r}" for key, argument in named.items()]
    if source != default:
        parts.append(f"source={source!r}")
    return f"{name}({', '.join(parts)})"
