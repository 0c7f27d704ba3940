"""What a provider declares and how it is found. Floor 3.

A provider is a record, not a class to inherit from: it says what its venue does, and the engine, the
simulator and `barbot providers` go by that. Its codec is a `Decoder`: an object per connection that turns
frames into market events, sans I/O. Past it there is only `ts_open` in UTC nanoseconds.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Protocol, TypeAlias

import msgspec

from barbot.errors import ConfigError
from barbot.model.market import MarketEvent
from barbot.timing.interval import Interval
from barbot.wire.journal import Fetched

ENTRY_POINTS: Final = "barbot.providers"
"""The entry-point group of providers in other packages: `name = "package.module:PROVIDER"`."""

_BUILT_IN: Final = {
    "native": "barbot.providers.native:PROVIDER",
    "native-history": "barbot.providers.native:HISTORY",
    "native-trades": "barbot.providers.native:TRADES",
}


class Sends(enum.Enum):
    """What a venue streams."""

    TRADES = "trades"
    CANDLES = "candles"
    BOTH = "trades and candles"


class LabelSide(enum.Enum):
    """Which end of a bar the venue's label names."""

    OPEN = "open"
    CLOSE = "close"


class Silence(enum.Enum):
    """What a venue sends for an interval without trades."""

    FLAT = "flat candles, on time"
    LATE = "flat candles, with the next trade"
    NOTHING = "nothing"


class Grace(msgspec.Struct, frozen=True):
    """How long after its end a bar is kept open: `initial_s` at first, then learned within the bounds."""

    minimum_s: float = 0.5
    initial_s: float = 2.0
    maximum_s: float = 10.0


class Decoder(Protocol):
    """The codec of one connection. A fresh one is made for each, so it may keep state.

    Both methods return the events in the order in which they are to happen, each with `ts_recv` = `now`. A
    frame that says nothing about a market is a `Heartbeat`: it proves that the connection is alive.
    """

    def receive_frame(self, frame: str | bytes, now: int) -> list[MarketEvent]:
        """Decode one incoming frame, text as `str`, binary as `bytes`.

        Raises:
            DecodeError: it is not what the venue says it sends; the next frame may be given all the same.
        """
        ...

    def receive_fetched(self, record: Fetched, now: int) -> list[MarketEvent]:
        """Decode what was fetched over HTTP for this connection: history, mostly.

        Raises:
            DecodeError: the body is not what the venue says it answers.
        """
        ...


DecoderFactory: TypeAlias = Callable[[str, tuple[str, ...]], Decoder]
"""Makes the decoder of a connection from its name and its feeds."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """What one venue does, as far as bars depend on it."""

    name: str
    """As in feed ids: `kucoin`."""
    title: str
    """For people: `KuCoin spot`."""
    intervals: tuple[Interval, ...]
    """The bar lengths it offers, shortest first; empty: any."""
    label: LabelSide
    declares_close: bool
    """Whether its candles carry a closed flag that can be believed."""
    sends: Sends
    has_history: bool
    """Whether it can be asked for bars that were missed."""
    silence: Silence
    heartbeat_s: float
    """How often we prove to the venue that we live; 0: never."""
    max_subscriptions: int | None
    """Per connection; None: no limit is known."""
    zone: str
    """The time zone of its labels, an IANA name."""
    grace: Grace
    settle_s: float = 0.0
    """How long after a supersession a last word on the old bar is waited for."""
    make_decoder: DecoderFactory
    """Loads the codec when it is called, so that looking a provider up imports nothing heavy."""


def provider_names() -> list[str]:
    """Return the names of the providers that are installed, built-in ones first, without loading any."""
    return [*_BUILT_IN, *(name for name in sorted(_plugged_in()) if name not in _BUILT_IN)]


def find_provider(name: str) -> Provider:
    """Return the provider called `name`; a built-in one goes before a plugged-in one of the same name.

    Raises:
        ConfigError: there is none, or the package that offers it cannot be loaded.
    """
    if name in _BUILT_IN:
        return _load(EntryPoint(name, _BUILT_IN[name], ENTRY_POINTS))
    point = _plugged_in().get(name)
    if point is not None:
        return _load(point)
    names = provider_names()
    close = difflib.get_close_matches(name, names, n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    raise ConfigError(f"no provider is called {name!r}", remedy=f"{meant}Installed are: {', '.join(names)}")


def _plugged_in() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _load(point: EntryPoint) -> Provider:
    where = f"provider {point.name!r} ({point.value})"
    try:
        provider: object = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"cannot be loaded: {error}", where=where, remedy="Reinstall the package that offers it"
        ) from error
    if not isinstance(provider, Provider):
        raise ConfigError(
            f"is a {type(provider).__name__}, not a Provider record",
            where=where,
            remedy="Point the entry point at a barbot.providers.base.Provider",
        )
    return provider
